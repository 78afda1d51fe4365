//! The TOML reader's refusals in the operator's words: which key, what stands there, what to write.

use super::error::printable;
use super::syntax::syntax;
use super::written::Written;
use super::written::joined;
use super::written::number_in;
use super::written::part;
use super::written::unit;
use super::written::value_in;
use super::written::whole;
use crate::task::nearest;

/// What must be written, as it may look.
const EXAMPLES: [(&str, &str); 11] = [
    ("aws.region", "\"eu-west-1\""),
    ("region", "\"EU868\""),
    ("name", "\"meters\""),
    ("mc-addr", "\"01c0ffee\""),
    ("address", "\"lns.example.org:1700\""),
    ("tty", "\"/dev/ttyS1\""),
    ("id", "\"6d2f0c1e-0000-0000-0000-000000000000\""),
    ("endpoint", "\"c1abcdefghijkl.credentials.iot.eu-west-1.amazonaws.com\""),
    ("role-alias", "\"fuotad-read\""),
    ("certificate-file", "\"/etc/fuotad/device.pem\""),
    ("key-file", "\"/etc/fuotad/device.key\""),
];

/// The reader's `message` as it is told.
pub(super) fn reworded(message: &str, written: &Written<'_>) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = misfit(&message)
        .map(|(found, expected)| in_words(written.key, found, expected, value_in(written.line)))
        .or_else(|| missing_field(&message).map(|field| missing(field, written)))
        .or_else(|| unknown_key(&message, written))
        .or_else(|| unknown_word(&message, written.key))
        .or_else(|| syntax(&message, written))
        .unwrap_or_else(|| format!("{}: {message}", written.key));
    printable(&told)
}

/// The same for a value of the environment, whose key the message ends with. `keys` are those of all variables, with __
/// between their parts.
pub(super) fn reworded_variable<'a>(message: &str, keys: impl Iterator<Item = &'a String>) -> String {
    let mut keys = keys;
    let (message, place) = match message.split_once(" for key `") {
        Some((message, place)) => (message, place.split('`').next().unwrap_or_default().to_owned()),
        None => (message, String::new()),
    };
    let unknown = message.starts_with("unknown field ").then(|| names(message).first().copied()).flatten();
    let key = match unknown {
        None => place,
        // Its place is the table around it.
        Some(wrong) => keys
            .find(|key| key.split("__").any(|part| part == wrong))
            .map_or(wrong.to_owned(), |key| key.replace("__", ".")),
    };
    let variable = format!("FUOTAD__{}", key.replace('.', "__").replace('-', "_").to_uppercase());
    let table = key.rsplit_once('.').map_or("", |(table, _)| table);
    let table = if message.contains("`gateway`, `radio`") { "" } else { table };
    reworded(message, &Written { key: &variable, table, line: "" })
}

/// What was found and what was expected, of serde's "invalid type: …, expected …".
fn misfit(message: &str) -> Option<(&str, &str)> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    rest.rsplit_once(", expected ")
}

/// The field of "missing field `…`".
pub(super) fn missing_field(message: &str) -> Option<&str> {
    let rest = message
        .strip_prefix("missing field `")
        .or_else(|| message.strip_prefix("missing configuration field \""))?;
    rest.strip_suffix(['`', '"'])
}

fn missing(field: &str, written: &Written<'_>) -> String {
    let key = joined(written.table, field);
    let example =
        EXAMPLES.iter().find(|(name, _)| key == *name || *name == field).map(|(_, example)| *example);
    match (written.line.is_empty(), example) {
        (true, _) if field == "gateway" => {
            "the table [gateway] is missing: write [gateway] and below it region = \"EU868\"".to_owned()
        }
        (true, _) => format!("the table [{field}] is missing: write it"),
        (false, Some(example)) => format!(
            "{} is missing: write {field} = {example}, with its own value",
            joined(written.table, field)
        ),
        (false, None) => {
            format!("{} is missing: write {field} = and its value", joined(written.table, field))
        }
    }
}

fn in_words(key: &str, found: &str, expected: &str, line_value: &str) -> String {
    let value = match found {
        // A date without quotes is one of the reader's own.
        "map" if line_value.starts_with(|c: char| c.is_ascii_digit()) => line_value.to_owned(),
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        found => {
            let start = found.find(['`', '"']).unwrap_or(0);
            let value = found[start..].trim_start_matches('`');
            value.split('`').next().unwrap_or_default().to_owned()
        }
    };
    let wanted = match (expected, found) {
        ("a sequence", "map") => {
            let table = key.split('.').next().unwrap_or_default();
            return format!("[{table}] is written with two brackets, as [[{table}]]: there may be several");
        }
        (_, "map") if !key.contains('.') && !key.is_empty() => {
            return format!("[[{key}]] is written with one bracket, as [{key}]: there is one");
        }
        ("a sequence", _) if value.starts_with('"') => format!("a list in brackets: [{value}]"),
        ("a sequence", _) => "a list in brackets, as [\"a\", \"b\"]".to_owned(),
        ("a boolean", _) => "true or false, without quotes".to_owned(),
        ("a string" | "path string" | "string", _) => format!("text in quotes{}", quoted(line_value)),
        ("f64" | "f32" | "a floating point", _) => format!("a number without quotes{}", part(key, &value)),
        ("u8" | "u16", _) if key.ends_with("ts004-version") => "1 or 2, without quotes".to_owned(),
        ("u8", _) => format!("a whole number from 0 to 255{}", whole(key, &value, 255.0)),
        ("u16", _) => format!("a whole number from 0 to 65535{}", whole(key, &value, 65_535.0)),
        ("u32", _) if number_in(&value).is_some_and(|number| number > f64::from(u32::MAX)) => {
            "a whole number up to 4294967295".to_owned()
        }
        ("u32", _) => format!("a whole number{}", whole(key, &value, f64::from(u32::MAX))),
        ("u64" | "usize" | "an integer", _) => format!("a whole number{}", whole(key, &value, 9e15)),
        ("i8" | "i16" | "i32" | "i64", _) => format!("a whole number, which may be negative{}", unit(key)),
        ("IP address", _) => "an address in quotes, like \"192.0.2.7\"".to_owned(),
        (other, _) if other.starts_with("struct ") => "a table with keys of its own".to_owned(),
        (other, _) => other.to_owned(),
    };
    format!("{key} is {value}, and must be {wanted}")
}

fn quoted(value: &str) -> String {
    let is_plain = !matches!(value, "" | "true" | "false") && !value.contains(['"', '[', '{', '\\']);
    if is_plain { format!(": \"{value}\"") } else { String::new() }
}

/// The names that a message of the reader has in backquotes.
fn names(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// Of "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(message: &str, written: &Written<'_>) -> Option<String> {
    let names = names(message.strip_prefix("unknown field ").map(|_| message)?);
    let (wrong, known) = names.split_first()?;
    // A table of its own that nobody knows is a wrong key of the one around it.
    let around = match written.table.rsplit_once('.') {
        Some((around, last)) if last == *wrong => around,
        None if written.table.split('[').next() == Some(wrong) => "",
        _ => written.table,
    };
    let place = if around.is_empty() { "this file".to_owned() } else { format!("[{around}]") };
    let key = if written.line.is_empty() && !written.key.is_empty() {
        written.key.to_owned()
    } else {
        joined(around, wrong)
    };
    let wider = || known.iter().find(|name| wrong.len() > 2 && name.starts_with(*wrong)).copied();
    let hint = match nearest(wrong, known).or_else(wider) {
        Some(name) => format!(" (did you mean `{name}`?)"),
        None if known.len() == 1 => format!("; there is {}", known[0]),
        None => format!("; there are {}", known.join(", ")),
    };
    Some(format!("{key} is no key of {place}{hint}"))
}

/// Of "unknown variant `x`, expected `a` or `b`", or of the same in other words without what is expected.
fn unknown_word(message: &str, key: &str) -> Option<String> {
    if let Some((_, wrong)) = message.split_once(" does not have variant constructor ") {
        return Some(format!(
            "{key} is \"{wrong}\", which is none of its words (config/fuotad.toml has them)"
        ));
    }
    let names = names(message.strip_prefix("unknown variant ").map(|_| message)?);
    let (wrong, known) = names.split_first()?;
    let hint = nearest(wrong, known).map(|name| format!(" (did you mean \"{name}\"?)")).unwrap_or_default();
    let known: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
    let known = match known.split_last() {
        Some((last, [])) => format!("{last}, or be left out"),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => return None,
    };
    Some(format!("{key} is \"{wrong}\", and must be {known}{hint}"))
}
