//! The kinds of network server that are spoken to.

use core::fmt;
use core::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

/// Which network server stands behind a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// ChirpStack v4 with its JSON encoding; its broker offers QoS 1.
    #[serde(rename = "chirpstack")]
    ChirpStack,
    /// The Things Stack v3; its broker offers QoS 0 only.
    TheThingsStack,
}

impl Dialect {
    /// Every dialect, in the order of the documents.
    pub const ALL: [Dialect; 2] = [Dialect::ChirpStack, Dialect::TheThingsStack];

    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::ChirpStack => "chirpstack",
            Dialect::TheThingsStack => "the-things-stack",
        }
    }

    /// Whether the broker acknowledges messages (QoS 1).
    pub const fn is_acknowledged(self) -> bool {
        matches!(self, Dialect::ChirpStack)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no network server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of network server; write \"chirpstack\" or \"the-things-stack\"")]
pub struct UnknownDialect(pub String);

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        let named = Dialect::ALL.into_iter().find(|dialect| dialect.name() == text);
        named.ok_or_else(|| UnknownDialect(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_read_by_the_name_that_it_is_written_with() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        let error = "ChirpStack".parse::<Dialect>().unwrap_err().to_string();
        assert!(
            error.contains("\"ChirpStack\" is no kind") && error.contains("write \"chirpstack\""),
            "{error}"
        );
    }
}
