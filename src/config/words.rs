//! All mistakes of a text that cannot be read, each found where it stands. [`super::reword`] has the words.

use super::error::ConfigError;
use super::reword::missing_field;
use super::reword::reworded;
use super::written::Written;
use super::written::joined;

/// Mistakes that are told at once.
const MISTAKES_MAX: usize = 16;

/// All mistakes of `text`, of which `first` is the reader's first; `again` reads a text anew. What was told is blanked,
/// so that the rest is read; it comes back as it is then.
pub(super) fn mistakes(
    text: &str,
    first: toml::de::Error,
    again: impl Fn(&str) -> Option<toml::de::Error>,
) -> (ConfigError, String) {
    let mut errors = Vec::new();
    let mut lines: Vec<&str> = text.split('\n').collect();
    let mut next = Some(first);
    while let Some(error) = next {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        // Blanking keeps the lines, but not the columns.
        let so_far = lines.join("\n");
        let number = so_far.as_bytes()[..at.min(so_far.len())].iter().filter(|byte| **byte == b'\n').count();
        let missing = missing_field(error.message());
        // An empty span where something is missing: of the whole file.
        let place = error.span().filter(|span| missing.is_none() || !span.is_empty()).map(|_| number);
        let table = place.map_or(String::new(), |number| table_at(text, number));
        let told_key = missing.map_or_else(|| key_at(text, number), |field| joined(&table, field));
        // What was blanked is missing afterwards, and so is all of a table.
        let is_known = |(known, _, _): &(String, usize, ConfigError)| {
            *known == told_key || known.starts_with(&format!("{told_key}."))
        };
        let is_said =
            missing.is_some() && (errors.iter().any(is_known) || place.is_none() && !errors.is_empty());
        if !is_said {
            let line = lines.get(number).copied().unwrap_or_default();
            let words = words_that_fit(&lines, number, &again);
            let written = Written { key: &told_key, table: &table, line: place.map_or("", |_| line) };
            let message = reworded(words.as_deref().unwrap_or(error.message()), &written);
            errors.push((told_key, number, ConfigError::Text { line: number + 1, message }));
        }
        if errors.len() == MISTAKES_MAX || place.is_none() || !blank(&mut lines, number, missing.is_some()) {
            break;
        }
        next = again(&lines.join("\n"));
    }
    errors.sort_by_key(|(_, number, _)| *number);
    let mut errors: Vec<ConfigError> = errors.into_iter().map(|(_, _, error)| error).collect();
    let error = if errors.len() == 1 { errors.remove(0) } else { ConfigError::Several { errors } };
    (error, lines.join("\n"))
}

/// Blanks what the mistake of line `number` belongs to: its table where the mistake is the table's. Whether anything
/// was left to blank.
fn blank(lines: &mut [&str], number: usize, is_of_table: bool) -> bool {
    let Some(line) = lines.get(number) else { return false };
    if line.is_empty() {
        return false;
    }
    if is_header(line) || is_of_table {
        let start = lines[..=number].iter().rposition(|line| is_header(line)).unwrap_or(number);
        let length = lines[start + 1..].iter().take_while(|line| !is_header(line)).count();
        lines[start..=start + length].fill("");
    } else {
        lines[number] = "";
    }
    true
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[') && !line.contains('=')
}

/// What the reader says of line `number` where a word stands: which words may. A value of another kind hides them.
fn words_that_fit(
    lines: &[&str],
    number: usize,
    again: impl Fn(&str) -> Option<toml::de::Error>,
) -> Option<String> {
    let (key, value) = lines.get(number)?.split_once('=')?;
    if value.trim_start().starts_with('"') || is_header(lines[number]) {
        return None;
    }
    let probe = format!("{key}= \"{}\"", value.trim().replace(['"', '\\'], ""));
    let mut lines = lines.to_vec();
    lines[number] = &probe;
    let message = again(&lines.join("\n"))?.message().to_owned();
    message.starts_with("unknown variant").then_some(message)
}

/// The key that is set in line `number`, with its table.
fn key_at(text: &str, number: usize) -> String {
    let line = text.split('\n').nth(number).unwrap_or_default();
    let table = table_at(text, number);
    match line.split_once('=') {
        Some((key, _)) if !is_header(line) => joined(&table, key.trim()),
        _ => table,
    }
}

/// The table that line `number` belongs to: `radio`, `group[1]`, `group[0].signing`.
fn table_at(text: &str, number: usize) -> String {
    let headers = text.split('\n').take(number + 1).map(str::trim).filter(|line| is_header(line));
    let mut table = String::new();
    let mut counts: Vec<(String, usize)> = Vec::new();
    for header in headers {
        let header = header.split('#').next().unwrap_or_default().trim();
        let name = header.trim_start_matches('[').trim_end_matches(']').trim().to_owned();
        if header.starts_with("[[") {
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => counts.push((name.clone(), 0)),
            }
        }
        table = name;
    }
    let outer = table.split('.').next().unwrap_or_default().to_owned();
    match counts.iter().find(|(name, _)| *name == outer) {
        // A single one needs no number.
        Some((_, count)) if text.matches(&format!("[[{outer}]]")).count() > 1 => {
            table.replacen(&outer, &format!("{outer}[{count}]"), 1)
        }
        _ => table,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::devices::Devices;
    use crate::config::file::Config;
    use std::collections::BTreeMap;

    fn said(text: &str) -> String {
        Config::from_text(text, &BTreeMap::new()).map_or_else(|error| error.to_string(), |_| String::new())
    }

    fn in_gateway(text: &str) -> String {
        said(&format!("[gateway]\nregion = \"EU868\"\n{text}\n"))
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named_with_its_key_and_what_to_write() {
        for (text, wanted) in [
            (
                "[radio]\nfrequency-hz = 869.525",
                "line 4: radio.frequency-hz is 869.525, and must be a whole number, in Hz: 869525000",
            ),
            (
                "[radio]\ndata-rate = \"DR5\"",
                "line 4: radio.data-rate is \"DR5\", and must be a whole number from 0 to 255: 5",
            ),
            (
                "[radio]\ndata-rate = -1",
                "line 4: radio.data-rate is -1, and must be a whole number from 0 to 255",
            ),
            (
                "[radio]\nduty-share = \"0.4\"",
                "line 4: radio.duty-share is \"0.4\", and must be a number without quotes: 0.4",
            ),
            (
                "[radio]\neirp-dbm = \"27\" # dBm",
                "line 4: radio.eirp-dbm is \"27\", and must be a number without quotes, in dBm: 27",
            ),
            (
                "[radio]\nlisten-before-talk = \"yes\"",
                "line 4: radio.listen-before-talk is \"yes\", and must be true or false, without quotes",
            ),
            (
                "[forwarder]\nallow = \"10.0.0.1\"",
                "line 4: forwarder.allow is \"10.0.0.1\", and must be a list in brackets: [\"10.0.0.1\"]",
            ),
            (
                "[[network-server]]\naddress = 1700",
                "line 4: network-server.address is 1700, and must be text in quotes: \"1700\"",
            ),
            (
                "[group]\nname = \"a\"",
                "line 3: [group] is written with two brackets, as [[group]]: there may be several",
            ),
            (
                "[[radio]]\ndata-rate = 5",
                "line 3: [[radio]] is written with one bracket, as [radio]: there is one",
            ),
            (
                "[[group]]\nname = \"a\"",
                "line 3: group.mc-addr is missing: write mc-addr = \"01c0ffee\", with its own value",
            ),
        ] {
            assert_eq!(in_gateway(text), wanted);
        }
        assert_eq!(
            said("[gateway]\n"),
            "line 1: gateway.region is missing: write region = \"EU868\", with its own value"
        );
        assert_eq!(
            said("[radio]\n"),
            "line 1: the table [gateway] is missing: write [gateway] and below it region = \"EU868\""
        );
        let devices = Devices::from_text("[[device]]\nname = 7\n").unwrap_err().to_string();
        assert!(devices.starts_with("line 2: device.name is 7, and must be text in quotes"), "{devices}");
    }

    #[test]
    fn all_mistakes_are_told_at_once_each_once_and_in_the_order_of_the_file() {
        let text = "[radio]\nfrequency-hz = 869.525\ndata-rate = 5 dr\nduty = 1\n[gatway]\nx = 1\n\
                    [[group]]\nname = \"a\"\nmc-addr = 26011111\n[[group]]\nname = \"b\"\n";
        let said = in_gateway(text);
        let lines: Vec<&str> = said.strip_prefix("6 mistakes: ").unwrap_or(&said).split("; ").collect();
        let starts = [
            "line 4: radio.frequency-hz is 869.525",
            "line 5: ",
            "line 6: radio.duty is no key",
            "line 7: gatway is no key of this file",
            "line 11: group[0].mc-addr is 26011111",
            "line 12: group[1].mc-addr is missing",
        ];
        assert_eq!(lines.len(), starts.len(), "{said}");
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
    }

    #[test]
    fn no_text_makes_the_teller_run_for_ever_or_tell_the_same_twice() {
        let text = "[gateway]\nregion = 1\n".to_owned() + &"[radio]\ndata-rate = \"x\"\n".repeat(50);
        let told = said(&text);
        assert!(told.matches("line ").count() <= super::MISTAKES_MAX, "{told}");
        for text in ["[", "]", "[[", "a", "=", "\u{0}", "[group]\n[group]\n", "[gateway]\n\"", "\"\"\"\n\n"] {
            assert!(!said(text).is_empty(), "{text:?}");
        }
    }
}
