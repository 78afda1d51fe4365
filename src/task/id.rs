//! The name of a task that never runs twice.

use core::fmt;

use super::error::TaskError;
use crate::image::Digest;
use crate::json::shown_text;

/// The longest task id in characters.
pub const MAX_ID_CHARS: usize = 256;

/// The id of a task: 1 to [`MAX_ID_CHARS`] printable characters. A file without `Id` gives its name,
/// less `.json`, as the id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(String);

impl TaskId {
    /// The id that `text` spells.
    ///
    /// # Errors
    ///
    /// [`TaskError::Value`] when it is empty, blank, too long, or has a character that does not print.
    pub fn new(text: &str) -> Result<TaskId, TaskError> {
        if text.trim().is_empty() || text.chars().count() > MAX_ID_CHARS || !text.chars().all(is_printable) {
            return Err(TaskError::Value {
                path: "Id".to_owned(),
                value: shown_text(text),
                allowed: format!("1 to {MAX_ID_CHARS} printable characters (absent: the file's name)"),
            });
        }
        Ok(TaskId(text.to_owned()))
    }

    /// The name of the campaign for `group` of an order that names several groups: `ID@group`, whatever the others are.
    ///
    /// # Errors
    ///
    /// [`TaskError::Value`] when it is too long.
    pub fn of_group(&self, group: &str) -> Result<TaskId, TaskError> {
        TaskId::new(&format!("{self}@{group}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fixed-size name under which the counter journal knows this task:
    /// the first 16 bytes of the id's SHA-256.
    pub fn record_id(&self) -> [u8; 16] {
        let mut record_id = [0; 16];
        record_id.copy_from_slice(&Digest::of(self.0.as_bytes()).as_bytes()[..16]);
        record_id
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Neither a control character nor one that is invisible or turns the text around it: an id stands in logs.
fn is_printable(c: char) -> bool {
    let is_invisible = matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}');
    !c.is_control() && !is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_256_characters_is_taken_and_one_more_is_not() {
        let longest = "ä".repeat(256);
        assert_eq!(TaskId::new(&longest).unwrap().as_str(), longest);
        assert!(TaskId::new(&"ä".repeat(257)).is_err());
    }

    #[test]
    fn an_id_that_does_not_print_is_refused_and_shown_escaped() {
        for text in ["", " ", "a\nb", "a\u{0}b", "a\u{202E}b", "\u{1b}[2J"] {
            let message = TaskId::new(text).unwrap_err().to_string();
            assert!(message.starts_with("Id is \"") && !message.contains(['\n', '\u{1b}', '\0', '\u{202E}']));
            assert!(message.contains("1 to 256 printable characters"), "{message}");
        }
    }

    #[test]
    fn the_record_id_is_the_beginning_of_the_sha_256_of_the_id() {
        let record_id = TaskId::new("abc").unwrap().record_id();
        assert_eq!(record_id[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(record_id[12..], [0x5d, 0xae, 0x22, 0x23]);
    }
}
