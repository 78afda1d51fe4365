//! Why a request is not answered with what it asked for.

/// Why a request is not answered with what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// One word for programs: docs/control.md has them.
    pub code: &'static str,
    /// One line for people: what is wrong and what to do.
    pub message: String,
}

impl Refusal {
    /// A refusal of this code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }
}
