//! One value of a forwarder's file changed in its place: comments, order and all other bytes stay as they are.

use super::json::plain;
use core::ops::Range;

/// The text with `token` as the value of `key`, as findings name it (`gateway_conf.servers[0].serv_port_up`). A member
/// that is absent is put first into its object. `None`: the text, which the forwarder's reader takes, has no such object.
pub fn with_value(text: &str, key: &str, token: &str) -> Option<String> {
    let bytes = plain(text);
    let scan = Scan(&bytes);
    let (folder, name) = key.rsplit_once('.')?;
    let mut at = scan.spaces(0);
    for part in folder.split('.') {
        let (member, index) = match part.split_once('[') {
            None => (part, None),
            Some((member, rest)) => (member, Some(rest.strip_suffix(']')?.parse::<usize>().ok()?)),
        };
        at = scan.member(at, member)?;
        if let Some(index) = index {
            at = scan.entry(at, index)?;
        }
    }
    if scan.byte(at) != b'{' {
        return None;
    }
    if let Some(start) = scan.member(at, name) {
        let Range { start, end } = start..scan.end(start)?;
        return Some(format!("{}{token}{}", text.get(..start)?, text.get(end..)?));
    }
    let inside = at + 1;
    let first = scan.spaces(inside);
    let is_empty = scan.byte(first) == b'}';
    // It stands as the first member stands, on a line of its own or not.
    let blanks = bytes.get(inside..first)?;
    let line = blanks.iter().rposition(|byte| *byte == b'\n').filter(|_| !is_empty);
    let lead = line.map_or(" ".to_owned(), |line| {
        let indent = blanks.get(line + 1..).unwrap_or_default();
        format!("\n{}", String::from_utf8_lossy(indent))
    });
    let comma = if is_empty { " " } else { "," };
    Some(format!("{}{lead}\"{name}\": {token}{comma}{}", text.get(..inside)?, text.get(inside..)?))
}

/// JSON without comments that is known to be good.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn spaces(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C) {
            at += 1;
        }
        at
    }

    /// Behind the string that begins at `at`.
    fn string(&self, mut at: usize) -> Option<usize> {
        loop {
            at += 1;
            match self.byte(at) {
                b'"' => return Some(at + 1),
                b'\\' => at += 1,
                0 => return None,
                _ => {}
            }
        }
    }

    /// Behind the value that begins at `at`.
    fn end(&self, at: usize) -> Option<usize> {
        let mut depth = 0usize;
        let mut at = at;
        loop {
            match self.byte(at) {
                0 => return None,
                b'"' => at = self.string(at)?,
                b'{' | b'[' => {
                    depth += 1;
                    at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    at += 1;
                }
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => {
                    at += 1;
                    continue;
                }
                _ => {
                    while !matches!(self.byte(at), b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' | 0) {
                        at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(at);
            }
        }
    }

    /// Where the value of `name` begins in the object at `at`.
    fn member(&self, at: usize, name: &str) -> Option<usize> {
        if self.byte(at) != b'{' {
            return None;
        }
        let mut at = at + 1;
        loop {
            at = self.spaces(at);
            match self.byte(at) {
                b',' => at += 1,
                b'"' => {
                    let end = self.string(at)?;
                    let is_it = self.0.get(at + 1..end - 1)? == name.as_bytes();
                    let value = self.spaces(self.spaces(end) + 1);
                    if is_it {
                        return Some(value);
                    }
                    at = self.end(value)?;
                }
                _ => return None,
            }
        }
    }

    /// Where entry `index` of the list at `at` begins.
    fn entry(&self, at: usize, index: usize) -> Option<usize> {
        if self.byte(at) != b'[' {
            return None;
        }
        let mut at = self.spaces(at + 1);
        for _ in 0..index {
            at = self.spaces(self.end(at)?);
            at = self.spaces(at + 1);
        }
        (self.byte(at) != b']').then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::forwarder_file::file::ForwarderFile;
    use crate::config::forwarder_file::given::Given;

    const TEXT: &str = "{\n  // \"gateway_conf\": {\"server_address\": \"no\"}\n  \"SX130x_conf\": { \"x\": [ {\"a\": \"}\"}, 2 ] },\n  \
        \"gateway_conf\": {\n    \"gateway_ID\": \"00\", /* serv_port_up */\n    \"server_address\": \"a.b\", // why\n    \
        \"serv_port_up\":1680,\n    \"servers\": [ {\"serv_port_up\": 1}, { \"serv_port_up\": 2 } ]\n  }\n}\n";

    #[test]
    fn a_value_is_changed_and_nothing_else() {
        let changed = with_value(TEXT, "gateway_conf.server_address", "\"127.0.0.1\"").unwrap();
        assert_eq!(changed, TEXT.replace("\"a.b\"", "\"127.0.0.1\""));
        let changed = with_value(TEXT, "gateway_conf.serv_port_up", "1700").unwrap();
        assert_eq!(changed, TEXT.replace("1680", "1700"));
        let changed = with_value(TEXT, "gateway_conf.servers[1].serv_port_up", "1700").unwrap();
        assert_eq!(changed, TEXT.replace(": 2 }", ": 1700 }"));
    }

    #[test]
    fn what_is_absent_is_put_first_into_its_object() {
        let changed = with_value(TEXT, "gateway_conf.serv_port_down", "1700").unwrap();
        let lead = "\"gateway_conf\": {\n";
        assert_eq!(changed, TEXT.replace(lead, &format!("{lead}    \"serv_port_down\": 1700,\n")));
        let file = ForwarderFile::from_texts([changed.as_str()]).unwrap();
        assert_eq!(file.gateway.unwrap().server.port_down, Given::Is(1700));
        assert_eq!(with_value("{\"a\":{}}", "a.b", "1").unwrap(), "{\"a\":{ \"b\": 1 }}");
    }

    #[test]
    fn an_object_that_is_not_there_is_not_made() {
        for key in ["none.a", "gateway_conf.servers[2].a", "gateway_conf.gateway_ID.a", "gateway_conf"] {
            assert_eq!(with_value(TEXT, key, "1"), None, "{key}");
        }
    }
}
