//! Names that stand twice in one JSON object: the forwarder's parser refuses the whole text then, without a word.

use core::fmt;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use std::collections::BTreeSet;

/// The first name that stands twice in one object of the first JSON value in `json`, however deep.
pub(super) fn repeated_name(json: &[u8]) -> Option<String> {
    let mut repeated = None;
    let walk = Walk(&mut repeated);
    // Text that cannot be read is judged by whoever reads it.
    let _ = walk.deserialize(&mut serde_json::Deserializer::from_slice(json));
    repeated
}

/// Walks through one value and leaves the first repeated name.
struct Walk<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(Walk(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = object.next_key::<String>()? {
            object.next_value_seed(Walk(self.0))?;
            if !names.insert(name.clone()) {
                self.0.get_or_insert(name);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_repeated_within_one_object_only() {
        let repeated = |json: &str| repeated_name(json.as_bytes());
        assert_eq!(
            repeated(r#"{"txpk":{"freq":1,"x":[{"freq":2},{"freq":true}],"freq":null}}"#).as_deref(),
            Some("freq")
        );
        assert_eq!(repeated(r#"{"a":[[{"b":-1,"c":1.5,"b":"x"}]]}"#).as_deref(), Some("b"));
        assert_eq!(repeated(r#"{"a":{"b":1},"b":{"a":1}} {"a":1,"a":1}"#), None);
        assert_eq!(repeated(r#"{"a":1,"a":"#), None, "text that ends too early is no JSON");
    }
}
