//! In which line of the text a key stands, so that a value that is read and cannot be used is found as fast as one that
//! cannot be read.

use super::error::ConfigError;
use super::error::Mistakes;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

/// Members by which an entry of a list is called in errors: `group meters`, `aws.task 6d2f…`.
const NAMES: [&str; 2] = ["name", "id"];

impl ConfigError {
    /// The same with the line of each key in `text`, in the order of the text. A value that came from `environment` is
    /// told with its variable.
    pub fn in_text(self, text: &str, environment: &BTreeMap<String, String>) -> ConfigError {
        let Ok(table) = DeTable::parse(text) else { return self };
        let place = |error: &ConfigError| match error {
            ConfigError::Value { line: None, key, message } => {
                let variable = format!("FUOTAD__{}", key.replace('.', "__").replace('-', "_").to_uppercase());
                if environment.keys().any(|name| name.to_uppercase() == variable) {
                    return ConfigError::Environment { message: format!("{variable} ({key}): {message}") };
                }
                let line = of_table(table.get_ref(), key).map(|at| line_at(text, at.start));
                ConfigError::Value { line, key: key.clone(), message: message.clone() }
            }
            other => other.clone(),
        };
        let mut errors: Vec<ConfigError> = self.each().iter().map(place).collect();
        errors.sort_by_key(|error| error.line().unwrap_or(usize::MAX));
        let mut mistakes = Mistakes::default();
        errors.into_iter().for_each(|error| mistakes.add(error));
        mistakes.or(None::<()>).err().unwrap_or(self)
    }
}

impl ConfigError {
    /// These mistakes and those of `more`, which was found in the rest of `text`: what is missing of a table there may be
    /// what could not be read.
    pub fn and(self, more: ConfigError, text: &str) -> ConfigError {
        let lines: Vec<&str> = text.split('\n').collect();
        let is_table = |error: &ConfigError| {
            let line = error.line().and_then(|number| lines.get(number - 1));
            line.is_none_or(|line| line.trim_start().starts_with('['))
        };
        let more = more.each().iter().filter(|error| !is_table(error)).cloned();
        let mut errors: Vec<ConfigError> = self.each().iter().cloned().chain(more).collect();
        errors.sort_by_key(|error| error.line().unwrap_or(usize::MAX));
        let mut mistakes = Mistakes::default();
        errors.into_iter().for_each(|error| mistakes.add(error));
        mistakes.or(None::<()>).err().unwrap_or(self)
    }
}

fn line_at(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Where `rest` of a key stands in `table`: the member, or as much of the way there as is written.
fn of_table(table: &DeTable<'_>, rest: &str) -> Option<Range<usize>> {
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let after = |name: &str| {
        let quoted = format!("{name:?}");
        let after = rest.strip_prefix(name).or_else(|| rest.strip_prefix(&quoted))?;
        after.is_empty().then_some("").or_else(|| after.starts_with(['.', '[', ' ']).then_some(after))
    };
    let found = table
        .iter()
        .filter_map(|(name, value)| Some((name.get_ref().len(), after(name.get_ref())?, name.span(), value)));
    let (_, rest, at, value) = found.max_by_key(|(length, ..)| *length)?;
    of_value(value, rest).or(Some(at))
}

/// Where the rest of a key stands in a value; `None`: nowhere nearer than the value itself.
fn of_value(value: &Spanned<DeValue<'_>>, rest: &str) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::Table(table) => of_table(table, rest),
        DeValue::Array(entries) => {
            let called = |(index, entry): (usize, &Spanned<DeValue<'_>>)| {
                let numbered = rest.strip_prefix(&format!("[{index}]"));
                let name = NAMES.iter().find_map(|name| entry.get_ref().get(name)?.get_ref().as_str());
                let named = || rest.strip_prefix(' ')?.strip_prefix(name?);
                let after = numbered.or_else(named)?;
                (after.is_empty() || after.starts_with('.')).then_some((index, after.len()))
            };
            // The longest name: one may begin as another does.
            let (index, left) =
                entries.iter().enumerate().filter_map(called).min_by_key(|(_, left)| *left)?;
            let (entry, rest) = (entries.get(index)?, &rest[rest.len() - left..]);
            of_value(entry, rest).or(Some(entry.span()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[gateway]\nregion = \"EU868\"\n\n[[group]]\nname = \"a\"\nfport = 0\n\n[[group]]\nname = \"a.b\"\n\
                        fport = 1\n[group.signing]\npins = [\n  \"x\",\n  \"y\",\n]\n[aws]\nregion = \"r\"\n[[aws.task]]\nid = \"t\"\n\
                        start = \"x\"\n[ota.\"u.1\"]\nstart = \"y\"\n";

    fn line_of(key: &str) -> Option<usize> {
        ConfigError::value(key, "no").in_text(TEXT, &BTreeMap::new()).line()
    }

    #[test]
    fn every_key_is_found_where_it_stands() {
        for (key, line) in [
            ("gateway.region", 2),
            ("group a.fport", 6),
            ("group a.b.fport", 10),
            ("group[1].name", 9),
            ("group a.b.signing.pins[1]", 14),
            ("aws.region", 17),
            ("aws.task t.start", 20),
            ("ota.\"u.1\".start", 22),
        ] {
            assert_eq!(line_of(key), Some(line), "{key}");
        }
    }

    #[test]
    fn a_key_that_is_missing_is_told_at_its_table_and_one_of_no_table_without_a_line() {
        assert_eq!(line_of("group a.mc-addr"), Some(4));
        assert_eq!(line_of("group a.b.signing"), Some(11));
        assert_eq!(line_of("gateway.id"), Some(1));
        assert_eq!(line_of("radio.duty-share"), None);
    }

    #[test]
    fn a_value_of_the_environment_is_told_with_its_variable() {
        let variables = BTreeMap::from([("FUOTAD__RADIO__DUTY_SHARE".to_owned(), "7".to_owned())]);
        let error = ConfigError::value("radio.duty-share", "7 is too much").in_text(TEXT, &variables);
        assert_eq!(
            error.to_string(),
            "environment: FUOTAD__RADIO__DUTY_SHARE (radio.duty-share): 7 is too much"
        );
    }

    #[test]
    fn mistakes_come_in_the_order_of_the_text_and_each_once() {
        let mut mistakes = Mistakes::default();
        for key in ["group a.fport", "gateway.region", "group a.fport"] {
            mistakes.add(ConfigError::value(key, "no"));
        }
        let error = mistakes.or(None::<()>).unwrap_err().in_text(TEXT, &BTreeMap::new());
        assert_eq!(error.to_string(), "2 mistakes: line 2: gateway.region: no; line 6: group a.fport: no");
    }
}
