//! A value as the forwarder takes it: its reader casts every number and passes over what has another type.

use super::json::Json;
use core::fmt;
use core::ops::RangeInclusive;

/// What stands behind a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Given<T> {
    /// Nothing: the forwarder's default counts.
    #[default]
    Absent,
    /// Something of another type or out of range, as it is shown. What the forwarder makes of it is named by the key.
    Odd(String),
    /// A value of the right type and range.
    Is(T),
}

impl<T> Given<T> {
    /// The value, when it is one.
    pub fn is(&self) -> Option<&T> {
        match self {
            Given::Is(value) => Some(value),
            _ => None,
        }
    }

    /// The value; `absent` where there is nothing, `odd` where there is something else.
    pub fn or(&self, absent: T, odd: T) -> T
    where
        T: Clone,
    {
        match self {
            Given::Absent => absent,
            Given::Odd(_) => odd,
            Given::Is(value) => value.clone(),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Given<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Absent => f.write_str("absent"),
            Given::Odd(found) => f.write_str(found),
            Given::Is(value) => value.fmt(f),
        }
    }
}

/// A string of `object`.
pub(super) fn text(object: &Json, key: &str) -> Given<String> {
    given(object, key, |value| match value {
        Json::Text(text) => Some(text.clone()),
        _ => None,
    })
}

/// A truth value of `object`.
pub(super) fn flag(object: &Json, key: &str) -> Given<bool> {
    given(object, key, |value| match value {
        Json::Bool(flag) => Some(*flag),
        _ => None,
    })
}

/// A number of `object` whose fraction the forwarder drops; out of `range` it depends on the processor what is left.
pub(super) fn whole(object: &Json, key: &str, range: RangeInclusive<i64>) -> Given<i64> {
    given(object, key, |value| match value {
        Json::Number(number) if number.is_finite() => {
            // Saturates, so what is far out stays out of the range.
            Some(number.trunc() as i64).filter(|whole| range.contains(whole))
        }
        _ => None,
    })
}

fn given<T>(object: &Json, key: &str, read: impl Fn(&Json) -> Option<T>) -> Given<T> {
    let Some(value) = object.get(key) else { return Given::Absent };
    read(value).map_or_else(|| Given::Odd(shown(value)), Given::Is)
}

fn shown(value: &Json) -> String {
    match value {
        Json::Null => "null".into(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => number.to_string(),
        Json::Text(text) => format!("{text:?}"),
        Json::List(_) => "a list".into(),
        Json::Object(_) => "an object".into(),
    }
}
