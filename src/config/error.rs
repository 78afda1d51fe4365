//! What can be wrong with a configuration, in one line each.

use thiserror::Error;

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ConfigError {
    #[error("line {line}: {message}")]
    Text { line: usize, message: String },
    #[error("environment: {message}")]
    Environment { message: String },
    /// Without a line where the text is not at hand.
    #[error("{}{key}: {message}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Value { line: Option<usize>, key: String, message: String },
    #[error("{} mistakes: {}", errors.len(), listed(errors))]
    Several { errors: Vec<ConfigError> },
}

impl ConfigError {
    /// A wrong value of one key.
    pub fn value(key: impl Into<String>, message: impl ToString) -> Self {
        ConfigError::Value {
            line: None,
            key: printable(&key.into()),
            message: printable(&message.to_string()),
        }
    }

    /// Each mistake by itself.
    pub fn each(&self) -> &[ConfigError] {
        match self {
            ConfigError::Several { errors } => errors,
            one => std::slice::from_ref(one),
        }
    }

    /// The line of the text that it is in, from 1.
    pub(super) fn line(&self) -> Option<usize> {
        match self {
            ConfigError::Text { line, .. } => Some(*line),
            ConfigError::Value { line, .. } => *line,
            ConfigError::Environment { .. } | ConfigError::Several { .. } => None,
        }
    }
}

/// The mistakes of one configuration, each told once: whoever mends it wants to know all of them.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<ConfigError>);

impl Mistakes {
    /// The value, or nothing and the mistake is kept.
    pub fn take<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| error.each().iter().for_each(|one| self.add(one.clone()))).ok()
    }

    /// Keeps a mistake, once however often it is found.
    pub fn add(&mut self, error: ConfigError) {
        if !self.0.contains(&error) {
            self.0.push(error);
        }
    }

    /// `made` of what was read, when nothing was wrong with it.
    ///
    /// # Errors
    /// Every mistake that was kept.
    pub fn or<T>(mut self, made: Option<T>) -> Result<T, ConfigError> {
        match made {
            Some(made) if self.0.is_empty() => Ok(made),
            _ if self.0.len() == 1 => Err(self.0.remove(0)),
            _ => Err(ConfigError::Several { errors: self.0 }),
        }
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
