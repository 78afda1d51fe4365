//! JSON with the habits of `parson`, the reader of the packet forwarders: what it takes is taken, what it refuses is
//! refused, so that "good" means good to the forwarder.
//!
//! Beside plain JSON it takes C comments of both kinds, numbers like `1.` and `-.5`, and anything behind the outermost
//! bracket. It refuses a name that stands twice, leading zeros (`0e1` too), 20 levels of brackets and a byte order mark.

/// Levels of brackets below the outermost.
const NESTING_MAX: usize = 19;
/// Names of one object, and entries of one list.
const NAMES_MAX: usize = 960;
const ENTRIES_MAX: usize = 122_880;

/// A value of the forwarder's file.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`: as good as a value of a wrong type.
    Null,
    /// Either `true` or `false`, in lower case.
    Bool(bool),
    /// Every number is a double; the forwarder casts it where it needs whole ones.
    Number(f64),
    /// Up to the first `\u0000`, as C has it.
    Text(String),
    /// Entries in the order of the file.
    List(Vec<Json>),
    /// In their order, each name once.
    Object(Vec<(String, Json)>),
}

/// Why the forwarder would not start: its whole file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it stopped reading, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl Json {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// The forwarder's reader refuses it.
    pub fn read(text: &str) -> Result<Json, Refused> {
        let bytes = plain(text);
        // C's strings end there.
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let mut reader = Reader { bytes: &bytes[..end], text, at: 0 };
        reader.skip_spaces();
        match reader.next() {
            b'{' | b'[' => reader.value(0).map_err(|message| Refused { line: reader.line(), message }),
            0xEF => Err(Refused { line: 1, message: "a byte order mark is no JSON: save without it".into() }),
            _ => Err(Refused { line: reader.line(), message: "expected { first".into() }),
        }
    }

    /// The member `name` of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// The text without its comments, every byte where it was.
pub(super) fn plain(text: &str) -> Vec<u8> {
    without_comments(without_comments(text.into(), b"/*", b"*/"), b"//", b"\n")
}

/// Each comment becomes blanks, its line breaks too. One that never ends loses its first two characters only.
fn without_comments(mut bytes: Vec<u8>, start: &[u8], end: &[u8]) -> Vec<u8> {
    let (mut at, mut is_string, mut is_escaped) = (0, false, false);
    while at < bytes.len() {
        if bytes[at] == b'\\' && !is_escaped {
            is_escaped = true;
            at += 1;
            continue;
        }
        if bytes[at] == b'"' && !is_escaped {
            is_string = !is_string;
        } else if !is_string && bytes[at..].starts_with(start) {
            let inside = at + start.len();
            let length = bytes[inside..].windows(end.len()).position(|part| part == end);
            let last = length.map_or(inside, |length| inside + length + end.len());
            bytes[at..last].fill(b' ');
            if length.is_none() {
                break;
            }
            at = last - 1;
        }
        is_escaped = false;
        at += 1;
    }
    bytes
}

struct Reader<'a> {
    /// Without comments, as long as `text`.
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    /// The byte that comes next, 0 at the end.
    fn next(&self) -> u8 {
        self.peek(0)
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn line(&self) -> usize {
        1 + self.text.bytes().take(self.at).filter(|byte| *byte == b'\n').count()
    }

    fn skip_spaces(&mut self) {
        while matches!(self.next(), b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C) {
            self.at += 1;
        }
    }

    fn value(&mut self, nesting: usize) -> Result<Json, String> {
        if nesting > NESTING_MAX {
            return Err("brackets are nested deeper than the forwarder reads".into());
        }
        self.skip_spaces();
        match self.next() {
            b'{' => self.object(nesting + 1),
            b'[' => self.list(nesting + 1),
            b'"' => self.text().map(Json::Text),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Json, String> {
        let words = [("true", Json::Bool(true)), ("false", Json::Bool(false)), ("null", Json::Null)];
        for (word, value) in words {
            if self.bytes[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err("expected a value".into())
    }

    fn object(&mut self, nesting: usize) -> Result<Json, String> {
        let mut members: Vec<(String, Json)> = Vec::new();
        self.list_of(b'}', |reader| {
            let name = reader.text()?;
            reader.skip_spaces();
            if reader.next() != b':' {
                return Err("expected a name in quotes and a colon: is there a comma too many?".into());
            }
            reader.at += 1;
            let value = reader.value(nesting)?;
            if members.iter().any(|(known, _)| *known == name) {
                return Err(format!("{name:?} stands twice in one object: the forwarder refuses the file"));
            }
            if members.len() == NAMES_MAX {
                return Err(format!("more than {NAMES_MAX} names in one object"));
            }
            members.push((name, value));
            Ok(())
        })?;
        Ok(Json::Object(members))
    }

    fn list(&mut self, nesting: usize) -> Result<Json, String> {
        let mut entries = Vec::new();
        self.list_of(b']', |reader| {
            if entries.len() == ENTRIES_MAX {
                return Err(format!("more than {ENTRIES_MAX} entries in one list"));
            }
            entries.push(reader.value(nesting)?);
            Ok(())
        })?;
        Ok(Json::List(entries))
    }

    /// What stands between brackets, with commas between.
    fn list_of(
        &mut self,
        close: u8,
        mut one: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.at += 1;
        self.skip_spaces();
        if self.next() == close {
            self.at += 1;
            return Ok(());
        }
        while self.next() != 0 {
            one(self)?;
            self.skip_spaces();
            if self.next() != b',' {
                break;
            }
            self.at += 1;
            self.skip_spaces();
        }
        if self.next() != close {
            return Err(format!("expected a comma or {}", char::from(close)));
        }
        self.at += 1;
        Ok(())
    }

    /// A string literal. Its first character is not looked at: of a name it may be anything.
    fn text(&mut self) -> Result<String, String> {
        let start = self.at + 1;
        self.at = start;
        while self.next() != b'"' {
            if self.next() == b'\\' {
                self.at += 1;
            }
            if self.next() == 0 {
                return Err("a string that does not end".into());
            }
            self.at += 1;
        }
        self.at += 1;
        if self.next() == 0 {
            return Err("the file ends behind a string".into());
        }
        unescaped(&self.bytes[start..self.at - 1])
    }

    fn number(&mut self) -> Result<Json, String> {
        let length = number_length(&self.bytes[self.at..]);
        let digits = &self.bytes[self.at..self.at + length];
        let has_leading_zero = match digits {
            [b'-', b'0', next, ..] | [b'0', next, ..] => *next != b'.',
            _ => false,
        };
        let text = core::str::from_utf8(digits).unwrap_or_default();
        match text.parse() {
            Ok(number) if !has_leading_zero => {
                self.at += length;
                Ok(Json::Number(number))
            }
            _ => Err("a number that the forwarder does not read: leading zeros and 0x are none".into()),
        }
    }
}

/// As many bytes as C's strtod takes; Rust's parser knows the rest of its forms.
fn number_length(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(bytes.first() == Some(&b'-'));
    for word in ["infinity", "inf", "nan"] {
        let there = bytes.get(sign..sign + word.len());
        if there.is_some_and(|there| there.eq_ignore_ascii_case(word.as_bytes())) {
            return sign + word.len();
        }
    }
    let mut end = sign + digits(sign);
    if bytes.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let exponent = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(exponent).is_some_and(u8::is_ascii_digit) {
            end = exponent + digits(exponent);
        }
    }
    end
}

/// The characters of a string literal, without the quotes.
fn unescaped(bytes: &[u8]) -> Result<String, String> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'\\' => {
                let [escaped, tail @ ..] = rest else { return Err("a string ends with a backslash".into()) };
                rest = tail;
                match escaped {
                    b'"' | b'\\' | b'/' => text.push(*escaped),
                    b'b' => text.push(0x08),
                    b'f' => text.push(0x0C),
                    b'n' => text.push(b'\n'),
                    b'r' => text.push(b'\r'),
                    b't' => text.push(b'\t'),
                    b'u' => rest = push_utf16(rest, &mut text)?,
                    _ => return Err(format!("\\{} in a string is no escape", escaped.escape_ascii())),
                }
            }
            0..0x20 => return Err("a line break or tab inside a string".into()),
            other => text.push(*other),
        }
    }
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    Ok(String::from_utf8_lossy(&text[..end]).into_owned())
}

/// The character of `\uXXXX` or of a pair of them; what follows it.
fn push_utf16<'a>(digits: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], String> {
    let none = || "\\u without a character".to_owned();
    let unit = |digits: &[u8]| {
        let digits = digits.get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        u16::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(digits).ok_or_else(none)?;
    let (units, length) = match first {
        0xD800..=0xDBFF => {
            let second = digits.get(4..).and_then(|more| more.strip_prefix(b"\\u")).and_then(unit);
            (vec![first, second.ok_or_else(none)?], 10)
        }
        _ => (vec![first], 4),
    };
    let character = String::from_utf16(&units).map_err(|_| none())?;
    text.extend(character.as_bytes());
    Ok(&digits[length..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    /// Texts and what the forwarders' own reader made of them: values in its order, numbers by their bits, strings by
    /// their bytes; `null` where it refused the file.
    const CASES: &str = include_str!("../../../tests/configs/forwarder-json-cases.json");

    fn dump(json: &Json, out: &mut String) {
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        match json {
            Json::Null => out.push_str("null"),
            Json::Bool(flag) => write!(out, "{flag}").unwrap(),
            Json::Number(number) if number.is_nan() => out.push_str("#7ff8000000000000"),
            Json::Number(number) => write!(out, "#{:016x}", number.to_bits()).unwrap(),
            Json::Text(text) => write!(out, "\"{}\"", hex(text)).unwrap(),
            Json::List(entries) => {
                out.push('[');
                for (n, entry) in entries.iter().enumerate() {
                    out.push_str(if n > 0 { "," } else { "" });
                    dump(entry, out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (n, (name, value)) in members.iter().enumerate() {
                    write!(out, "{}\"{}\":", if n > 0 { "," } else { "" }, hex(name)).unwrap();
                    dump(value, out);
                }
                out.push('}');
            }
        }
    }

    #[test]
    fn what_the_forwarders_reader_takes_is_taken_and_what_it_refuses_is_refused() {
        let cases: Vec<(String, Option<String>)> = serde_json::from_str(CASES).unwrap();
        assert!(cases.len() >= 60);
        for (text, wanted) in cases {
            let read = Json::read(&text).ok().map(|json| {
                let mut out = String::new();
                dump(&json, &mut out);
                out
            });
            assert_eq!(read, wanted, "{text:?}");
        }
    }

    #[test]
    fn a_refusal_names_its_line_and_what_is_wrong() {
        let cases = [
            ("{\n\"a\":1,\n\"a\":2}", 3, "\"a\" stands twice"),
            ("{ /* a\n b */\n \"x\": }", 3, "expected a value"),
            ("{\"a\":1,\n}", 2, "a string that does not end"),
            ("[1\n2]", 2, "expected a comma or ]"),
            ("\u{FEFF}{}", 1, "byte order mark"),
            ("", 1, "expected { first"),
            ("{\"a\":\n01}", 2, "leading zeros"),
            ("{\"a\":\"x\ny\"}", 2, "line break or tab"),
        ];
        for (text, line, needle) in cases {
            let refused = Json::read(text).unwrap_err();
            assert!(refused.message.contains(needle), "{text:?}: {refused:?}");
            assert_eq!(refused.line, line, "{text:?}: {refused:?}");
        }
    }
}
