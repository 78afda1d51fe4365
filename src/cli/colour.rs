//! Colour for the words that say how it stands: on a terminal only, and not where `NO_COLOR` is set (no-color.org).

use std::io::IsTerminal;
use std::io::Result;
use std::io::Write;

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// Words at the beginning of a line, after its blanks.
const WORDS: [(&str, &str); 13] = [
    ("ready", GREEN),
    ("not ready", RED),
    ("good ", GREEN),
    ("note ", YELLOW),
    ("unsure ", YELLOW),
    ("bad ", RED),
    ("MEND", RED),
    ("warning", YELLOW),
    ("ignored ", YELLOW),
    ("refused ", RED),
    ("fuotad:", RED),
    ("referee     PASS", GREEN),
    ("referee     VIOLATION", RED),
];

/// Whether `stream` is a terminal whose owner wants colour.
pub fn is_wanted(stream: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// The line with its first word in colour, where that says how it stands.
pub fn tinted(line: &str) -> String {
    let (blanks, rest) = line.split_at(line.len() - line.trim_start().len());
    match WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
        Some((word, colour)) => {
            let (word, rest) = rest.split_at(word.trim_end().len());
            format!("{blanks}{colour}{word}{PLAIN}{rest}")
        }
        None => line.to_owned(),
    }
}

/// Colours what is written to it, a line at a time; a line without an end goes out when it is flushed.
pub struct Tinted<W: Write> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Tinted<W> {
    /// Everything that is written goes to `out`.
    pub fn new(out: W) -> Tinted<W> {
        Tinted { out, line: Vec::new() }
    }

    fn put(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        match std::str::from_utf8(&line) {
            Ok(text) => self.out.write_all(tinted(text).as_bytes()),
            Err(_) => self.out.write_all(&line),
        }
    }
}

impl<W: Write> Write for Tinted<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.put()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.put()?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_says_how_it_stands_is_coloured_and_nothing_else() {
        for (line, expected) in [
            ("ready, 2 task(s)\n", "\x1b[32mready\x1b[0m, 2 task(s)\n"),
            ("not ready, it waits for x", "\x1b[31mnot ready\x1b[0m, it waits for x"),
            ("MEND  clock: y", "\x1b[31mMEND\x1b[0m  clock: y"),
            ("  referee     PASS: all", "  \x1b[32mreferee     PASS\x1b[0m: all"),
            ("{\"ready\":true}", "{\"ready\":true}"),
            ("goods", "goods"),
        ] {
            assert_eq!(tinted(line), expected);
        }
    }

    #[test]
    fn lines_that_come_in_parts_are_coloured_once_and_a_question_goes_out() {
        let mut shown = Vec::new();
        let mut out = Tinted::new(&mut shown);
        write!(out, "not re").unwrap();
        write!(out, "ady\nSend it? ").unwrap();
        out.flush().unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), "\x1b[31mnot ready\x1b[0m\nSend it? ");
    }
}
