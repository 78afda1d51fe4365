//! JSON more strictly than serde_json reads it: no object has a name twice, and a list is no object. And how names and
//! values from outside are shown in errors.

use core::fmt;
use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde::de::Error as _;
use serde::de::IntoDeserializer;
use serde::de::Unexpected;
use serde::de::Visitor;
use serde::de::value::MapDeserializer;
use serde::de::value::SeqDeserializer;
use serde::forward_to_deserialize_any;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

/// How much of a value or of a name an error shows, in characters.
const MAX_SHOWN_CHARS: usize = 80;

/// The one value in `bytes`, with no name twice in any object.
///
/// # Errors
/// serde_json's, with line and column.
pub fn tree(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes).map(|Tree(value)| value)
}

/// A text in quotes, escaped and shortened.
pub fn shown_text(text: &str) -> String {
    let is_whole = text.chars().nth(MAX_SHOWN_CHARS).is_none();
    let beginning: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    format!("{beginning:?}{}", if is_whole { "" } else { "…" })
}

/// The name of a member: bare if it is an ordinary one, else as a text.
pub fn shown_name(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain && name.len() <= MAX_SHOWN_CHARS { name.to_owned() } else { shown_text(name) }
}

/// A value that is read. Types that derive `Deserialize` take the items of a list for their members, one by one;
/// here a list is no object.
#[derive(Clone, Copy)]
pub struct Node<'a>(pub &'a Value);

impl<'a> IntoDeserializer<'a, serde_json::Error> for Node<'a> {
    type Deserializer = Node<'a>;

    fn into_deserializer(self) -> Node<'a> {
        self
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(Node));
                let read = visitor.visit_seq(&mut items)?;
                items.end().map(|()| read)
            }
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.as_str(), Node(value)));
                let mut members = MapDeserializer::new(members);
                let read = visitor.visit_map(&mut members)?;
                members.end().map(|()| read)
            }
            leaf => leaf.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        let found = match self.0 {
            Value::Object(_) => return self.deserialize_any(visitor),
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => {
                return Err(not_an_object(Unexpected::Other(&format!("number `{number}`"))));
            }
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Other("a list"),
        };
        Err(not_an_object(found))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, serde_json::Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, serde_json::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct enum identifier ignored_any
    }
}

fn not_an_object(found: Unexpected<'_>) -> serde_json::Error {
    serde_json::Error::invalid_type(found, &"an object")
}

/// A JSON value in which no object has a name twice. `serde_json::Value` would silently take the last one, and
/// the operator may have meant the other.
struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Tree, D::Error> {
        from.deserialize_any(TreeVisitor).map(Tree)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Tree(item)) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom(format!("{} stands here twice", shown_name(&name))));
            }
            let Tree(value) = from.next_value()?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_in_any_object_is_refused() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"c":2,"a":1}}]"#] {
            let error = tree(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("a stands here twice at line 1 column "), "{error}");
        }
        let text = r#"{"a":{"a":[1,-2,0.5,null,true,"x"]}}"#;
        assert_eq!(tree(text.as_bytes()).unwrap().to_string(), text);
    }

    #[test]
    fn a_list_is_no_object() {
        #[derive(Debug, Deserialize)]
        struct Pair {
            left: u8,
        }
        let read = |text: &str| Pair::deserialize(Node(&tree(text.as_bytes()).unwrap()));
        assert_eq!(read(r#"{"left":7}"#).unwrap().left, 7);
        assert_eq!(read("[7]").unwrap_err().to_string(), "invalid type: a list, expected an object");
    }

    #[test]
    fn what_an_error_shows_is_escaped_and_short() {
        assert_eq!(shown_text("a\"\n\u{1b}b"), r#""a\"\n\u{1b}b""#);
        assert_eq!(shown_text(&"ä".repeat(80)).chars().count(), 82);
        assert_eq!(shown_text(&"ä".repeat(81)).chars().count(), 83);
        assert_eq!(shown_name("Sha256"), "Sha256");
        assert_eq!(shown_name("a b"), "\"a b\"");
        assert_eq!(shown_name(""), "\"\"");
    }
}
