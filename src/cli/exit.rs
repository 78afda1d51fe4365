//! How a command ends: `sysexits.h` for what went wrong, the simulation's own verdicts for what came out.

use super::colour;
use crate::config::ConfigError;
use crate::daemon::StartError;
use crate::daemon::io_words;
use std::fmt;
use std::io::ErrorKind;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Why a command failed: one line, or one for each mistake of a text, and its exit code.
#[derive(Clone, Debug)]
pub struct Failure {
    code: u8,
    message: String,
    /// Further lines, one for each mistake of a text.
    details: Vec<String>,
}

impl Failure {
    /// EX_USAGE: the command was used wrongly.
    pub fn usage(message: impl fmt::Display) -> Self {
        Failure { code: 64, message: message.to_string(), details: Vec::new() }
    }

    /// EX_DATAERR: an input is wrong.
    pub fn data(message: impl fmt::Display) -> Self {
        Failure { code: 65, message: message.to_string(), details: Vec::new() }
    }

    /// EX_NOINPUT: a file cannot be read.
    pub fn no_input(message: impl fmt::Display) -> Self {
        Failure { code: 66, message: message.to_string(), details: Vec::new() }
    }

    /// EX_UNAVAILABLE: a service is not there.
    pub fn unavailable(message: impl fmt::Display) -> Self {
        Failure { code: 69, message: message.to_string(), details: Vec::new() }
    }

    /// EX_CANTCREAT: a file cannot be written.
    pub fn cannot_create(message: impl fmt::Display) -> Self {
        Failure { code: 73, message: message.to_string(), details: Vec::new() }
    }

    /// EX_IOERR: the output cannot be written.
    pub fn io(message: impl fmt::Display) -> Self {
        Failure { code: 74, message: message.to_string(), details: Vec::new() }
    }

    /// EX_CONFIG: the configuration is wrong.
    pub fn config(message: impl fmt::Display) -> Self {
        Failure { code: 78, message: message.to_string(), details: Vec::new() }
    }

    /// A text of `path` that cannot be used: each of its mistakes in a line of its own.
    pub fn text(code: u8, path: &Path, error: &ConfigError) -> Self {
        let path = path.display();
        match error {
            ConfigError::Several { errors } => Failure {
                code,
                message: format!("{path}: {} mistakes", errors.len()),
                details: errors.iter().map(ConfigError::to_string).collect(),
            },
            one => Failure { code, message: format!("{path}: {one}"), details: Vec::new() },
        }
    }

    /// The same with the way out.
    pub fn with_hint(self, hint: &str) -> Self {
        Failure { message: format!("{}; {hint}", self.message), ..self }
    }

    /// What is wrong, a line for each mistake.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.message.as_str()).chain(self.details.iter().map(String::as_str))
    }

    /// Says it on stderr, and gives the exit code. A reader that went away is told nothing.
    pub fn tell(&self) -> ExitCode {
        if !self.message.is_empty() {
            complain("fuotad", &self.message);
            self.details.iter().for_each(|line| complain(" ", line));
        }
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
        Failure { code: error.exit_code(), message: error.to_string(), details: Vec::new() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::io(""),
            _ => Failure::io(format!("standard output: {}", io_words(&error))),
        }
    }
}

/// One line that stops nothing.
pub fn warn(message: impl fmt::Display) {
    complain("warning", &message.to_string());
}

fn complain(who: &str, message: &str) {
    // Nobody is left to be told when stderr is gone.
    let colon = if who.trim().is_empty() { "" } else { ":" };
    let line = format!("{who}{colon} {}", one_line(message));
    let is_tinted = colour::is_wanted(&std::io::stderr());
    let _ = writeln!(std::io::stderr(), "{}", if is_tinted { colour::tinted(&line) } else { line });
}

/// What an operator may see: one line, and nothing that has the form of a key, wherever it was read.
pub fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        let (head, tail) = rest.split_at(digits);
        // A key with a digit too many or too few, or read as a number, is nearly a key.
        match digits {
            30..=40 => line.push_str(&format!("({digits} digits)")),
            _ => line.push_str(head),
        }
        let mut chars = tail.chars();
        line.extend(chars.next().map(|c| if c.is_control() { ' ' } else { c }));
        rest = chars.as_str();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        assert_eq!(one_line("a\nb\u{1b}[31mé"), "a b [31mé");
    }

    #[test]
    fn what_has_the_form_of_a_key_is_not_shown() {
        let key = "00112233445566778899aAbBcCdDeEfF";
        assert_eq!(one_line(&format!("unknown `{key}`: {key}")), "unknown `(32 digits)`: (32 digits)");
        assert_eq!(one_line(&format!("digest {key}{key}")), format!("digest {key}{key}"));
        assert_eq!(one_line(&key[1..]), "(31 digits)");
    }
}
