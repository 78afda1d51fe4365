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
}

impl ConfigError {
    /// A wrong value of one key.
    pub fn value(key: impl Into<String>, message: impl ToString) -> Self {
        ConfigError::Value { key: key.into(), message: message.to_string() }
    }
}
