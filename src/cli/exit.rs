//! How a command ends: `sysexits.h` for what went wrong, the simulation's own verdicts for what came out.

use crate::daemon::StartError;
use std::fmt;
use std::process::ExitCode;

/// Why a command failed: one line and its exit code.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// EX_USAGE: the command was used wrongly.
    pub fn usage(message: impl fmt::Display) -> Self {
        Failure { code: 64, message: message.to_string() }
    }

    /// EX_DATAERR: an input is wrong.
    pub fn data(message: impl fmt::Display) -> Self {
        Failure { code: 65, message: message.to_string() }
    }

    /// EX_NOINPUT: a file cannot be read.
    pub fn no_input(message: impl fmt::Display) -> Self {
        Failure { code: 66, message: message.to_string() }
    }

    /// EX_UNAVAILABLE: a service is not there.
    pub fn unavailable(message: impl fmt::Display) -> Self {
        Failure { code: 69, message: message.to_string() }
    }

    /// EX_CANTCREAT: a file cannot be written.
    pub fn cannot_create(message: impl fmt::Display) -> Self {
        Failure { code: 73, message: message.to_string() }
    }

    /// EX_IOERR: the output cannot be written.
    pub fn io(message: impl fmt::Display) -> Self {
        Failure { code: 74, message: message.to_string() }
    }

    /// EX_CONFIG: the configuration is wrong.
    pub fn config(message: impl fmt::Display) -> Self {
        Failure { code: 78, message: message.to_string() }
    }

    /// Its exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Failure { code: error.exit_code(), message: error.to_string() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::io(error)
    }
}
