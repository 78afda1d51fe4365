//! A line that is no TOML: what it seems to mean, and how that is written.

use super::written::Written;
use super::written::joined;
use super::written::part;
use super::written::value_in;

/// Quotation marks of word processors.
const CURLY: [char; 8] = ['“', '”', '„', '‟', '‘', '’', '«', '»'];

/// What is wrong with the line at which the reader stopped; `None`: it is no matter of form.
pub(super) fn syntax(message: &str, written: &Written<'_>) -> Option<String> {
    let line = written.line.trim();
    let key = written.key;
    if message == "duplicate key" {
        let what = if line.starts_with('[') { line } else { key };
        return Some(format!("{what} is there twice: leave one out"));
    }
    if message.contains("overflow") {
        return Some(format!("{key} is {}, which is too large", value_in(written.line)));
    }
    if message == "invalid IP address syntax" {
        let value = value_in(written.line);
        return Some(format!("{key} is {value}, and must be addresses in figures, like 192.0.2.7"));
    }
    // What a reader of ours says stands for itself.
    if !message.contains("expected")
        && !message.starts_with("invalid ")
        && !message.starts_with("unexpected ")
    {
        return None;
    }
    let told = match line.split_once('=') {
        _ if line.starts_with('[') => table(line),
        None => no_equals(written.table, line),
        Some(_) => format!("{key} is {}", value(key, value_in(written.line))),
    };
    Some(told)
}

fn table(line: &str) -> String {
    let name = line.trim_matches(['[', ']', ' ']);
    let right = if line.starts_with("[[") { format!("[[{name}]]") } else { format!("[{name}]") };
    format!("{line} is not closed as it was opened: write {right}")
}

fn no_equals(table: &str, line: &str) -> String {
    if line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>") {
        return format!("{line} is the mark of a merge: decide what stands here, and remove it");
    }
    if line.starts_with(['{', '}']) {
        return format!("{line} is no TOML, and looks like JSON: write [table] and key = value");
    }
    if line.starts_with('"') && !line.contains(':') {
        return format!("{line} stands alone: a list has a comma between two entries");
    }
    let Some((key, value)) = line.split_once([':', ' ', '\t']) else {
        return format!("{} is a key without a value: write {line} = and its value", joined(table, line));
    };
    format!("{line} has no = between key and value: write {} = {}", key.trim(), value.trim())
}

/// What is written behind the =, and what may be.
fn value(key: &str, value: &str) -> String {
    let is_number = |text: &str| text.parse::<f64>().is_ok();
    let plain = value.trim_matches(['"', '\'', '“', '”', '„', '‟', '‘', '’', '«', '»']);
    if value.is_empty() {
        return "followed by nothing: write a number, true, false, \"text in quotes\" or [a list] behind the =".to_owned();
    }
    if value.contains(CURLY) {
        return format!("{value}, in quotes of a word processor: write \"{plain}\"");
    }
    match value.chars().next() {
        Some('"') if value.len() > 1 && value.ends_with('"') && value.contains('\\') => {
            return format!("{value}, and a \\ within \" begins an escape: write '{plain}'");
        }
        Some('"') => {
            return format!(
                "{value}, which must end with a second \" and have none within: write \"{plain}\""
            );
        }
        Some('\'') => {
            return format!("{value}, which must end with the quote that it begins with: write \"{plain}\"");
        }
        Some('[') => return format!("{value}, and a list ends with ] and has a comma between two entries"),
        _ => {}
    }
    match value.to_lowercase().as_str() {
        "yes" | "on" | "true" => return format!("{value}: write true"),
        "no" | "off" | "false" => return format!("{value}: write false"),
        _ => {}
    }
    if is_number(&value.replace(',', ".")) {
        let number = value.replace(',', ".");
        let number = number.trim_end_matches('.');
        let number =
            if number.len() > 1 && !number.contains('.') { number.trim_start_matches('0') } else { number };
        let number = if number.starts_with('.') { format!("0{number}") } else { number.to_owned() };
        return format!("{value}: write {number}");
    }
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let is_unit = unit.len() < value.len() && unit.chars().all(|c| c.is_alphabetic() || c == ' ' || c == '%');
    let in_unit = part(key, value);
    match in_unit.rsplit_once(": ") {
        Some((_, number)) if is_unit => format!("{value}: write the number alone, {number}"),
        _ => format!("{value}, which is no number, and text stands in quotes: write \"{plain}\""),
    }
}
