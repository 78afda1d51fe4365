//! What every refusal promises: one printable line that an operator can read.

use std::fmt::Display;

/// What a stranger wrote is not shown at a greater length than this, characters.
const LINE_CHARS_MAX: usize = 4096;

/// Checks that `error` is one printable line.
pub fn check(error: &dyn Display) {
    let line = error.to_string();
    assert!(!line.is_empty(), "a refusal says why");
    assert!(!line.contains(|c: char| c.is_control()), "a refusal is one printable line: {line:?}");
}

/// Checks the refusal of what the operator wrote, if it is one, and gives what was read.
pub fn checked<T, E: Display>(read: Result<T, E>) -> Option<T> {
    read.inspect_err(|error| check(error)).ok()
}

/// The same for what a stranger wrote: the line is short, too.
pub fn checked_short<T, E: Display>(read: Result<T, E>) -> Option<T> {
    if let Err(error) = &read {
        let chars = error.to_string().chars().count();
        assert!(chars <= LINE_CHARS_MAX, "a refusal can be read at a glance, this has {chars} characters");
    }
    checked(read)
}
