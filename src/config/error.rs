//! What can be wrong with a configuration, in one line each.

use thiserror::Error;

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ConfigError {
    #[error("line {line}: {message}{hint}")]
    Text { line: usize, message: String, hint: String },
    #[error("environment: {message}")]
    Environment { message: String },
    #[error("{key}: {message}")]
    Value { key: String, message: String },
    #[error("{} mistakes: {}", errors.len(), listed(errors))]
    Several { errors: Vec<ConfigError> },
}

impl ConfigError {
    /// A wrong value of one key.
    pub fn value(key: impl Into<String>, message: impl ToString) -> Self {
        ConfigError::Value { key: printable(&key.into()), message: printable(&message.to_string()) }
    }
}

fn listed(errors: &[ConfigError]) -> String {
    errors.iter().map(ConfigError::to_string).collect::<Vec<_>>().join("; ")
}

/// `text` on one line and without anything that a terminal obeys: names of keys and values come from the file.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}
