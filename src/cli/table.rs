//! Plain tables, lines and durations for people, on a screen of 80 columns.

use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;

/// Columns of the narrowest screen that is served.
const SCREEN: usize = 80;

/// Rows of cells under a header, columns as wide as they must be; the first column is left-aligned. What is wider than
/// the screen is folded: each row under its first cell.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    if widths.iter().sum::<usize>() + 2 * widths.len() > SCREEN {
        return rows.iter().map(|row| folded(header, row)).collect();
    }
    let line = |cells: Vec<&str>| {
        let mut line = String::from(" ");
        for (column, (cell, width)) in cells.into_iter().zip(&widths).enumerate() {
            let cell = if column == 0 { format!(" {cell:<width$}") } else { format!("  {cell:>width$}") };
            line.push_str(&cell);
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = line(header.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

fn folded(header: &[&str], row: &[String]) -> String {
    let mut cells = header.iter().zip(row);
    let first = cells.next().map_or("", |(_, cell)| cell.as_str());
    let rest: Vec<String> = cells
        .filter(|(_, cell)| !cell.is_empty())
        .map(|(name, cell)| format!("{name} {cell}").trim_start().to_owned())
        .collect();
    let rest = if rest.is_empty() { String::new() } else { format!("    {}\n", rest.join(", ")) };
    wrapped(&format!("  {first}\n{rest}"))
}

/// The lines of `text`, each broken between words where it is wider than the screen. What follows stands under the second
/// word of a label, or two columns further right.
pub fn wrapped(text: &str) -> String {
    text.lines().map(wrapped_line).collect()
}

fn wrapped_line(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    // A label and its value have two blanks between them.
    let value = line.trim_start().find("  ").map(|at| indent + at);
    let value = value.map(|at| at + line[at..].len() - line[at..].trim_start().len());
    let hanging = " ".repeat(value.filter(|at| *at < SCREEN / 2).unwrap_or(indent + 2));
    let mut text = String::new();
    let mut width = 0;
    let mut rest = line;
    while !rest.is_empty() {
        let blanks = rest.len() - rest.trim_start().len();
        let word = rest[blanks..].split(' ').next().unwrap_or_default();
        let added = blanks + word.chars().count();
        if width + added > SCREEN && width > hanging.len() {
            text.push('\n');
            text.push_str(&hanging);
            width = hanging.len() + word.chars().count();
        } else {
            text.push_str(&rest[..blanks]);
            width += added;
        }
        text.push_str(word);
        rest = &rest[blanks + word.len()..];
    }
    text.push('\n');
    text
}

/// A duration of `us` microseconds as people say it, in its two largest units: `1 h 2 min`.
pub fn duration(us: u64) -> String {
    let s = us / 1_000_000;
    let (larger, smaller) = match s {
        0..60 => return format!("{s} s"),
        60..3600 => ((s / 60, "min"), (s % 60, "s")),
        3600..86_400 => ((s / 3600, "h"), (s / 60 % 60, "min")),
        _ => ((s / 86_400, "d"), (s / 3600 % 24, "h")),
    };
    match smaller {
        (0, _) => format!("{} {}", larger.0, larger.1),
        (count, unit) => format!("{} {} {count} {unit}", larger.0, larger.1),
    }
}

/// The length of a session as its commands have it, and as people say it.
pub fn session(exponent: u8) -> String {
    format!("2^{exponent} s = {}", duration(1_000_000 << exponent))
}

/// A time with its zone, RFC 3339, to the second.
pub fn moment(gps: GpsTime) -> String {
    to_second(&rfc3339_from_gps(gps))
}

/// An RFC 3339 time without the parts of its second.
pub fn to_second(time: &str) -> String {
    let end = time.rfind(['Z', '+', '-']).unwrap_or(time.len());
    let whole = time.get(..end).and_then(|head| head.split_once('.')).map(|(whole, _)| whole);
    whole.map_or(time.to_owned(), |whole| format!("{whole}{}", &time[end..]))
}

/// `12.345 s` from microseconds.
pub fn seconds(us: u64) -> String {
    format!("{}.{:03} s", us / 1_000_000, us % 1_000_000 / 1000)
}

/// `12.3 %` of two figures.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "1000".to_owned()], vec!["long".to_owned(), "1".to_owned()]];
        assert_eq!(table(&["x", "n"], &rows), "  x        n\n  a     1000\n  long     1\n");
    }

    #[test]
    fn a_table_that_is_too_wide_is_folded_under_its_first_cells() {
        let name = "6d2f0c1e-0000-0000-0000-000000000000".to_owned();
        let row = vec![name.clone(), "sending".to_owned(), String::new(), "2026-11-22T08:12:00Z".to_owned()];
        assert!(table(&["task", "phase", "group", "end"], std::slice::from_ref(&row)).starts_with("  task"));
        let wide = vec![name, "w".repeat(30), String::new(), "2026-11-22T08:12:00Z".to_owned()];
        let folded = "  6d2f0c1e-0000-0000-0000-000000000000\n    phase wwwwwwwwwwwwwwwwwwwwwwwwwwwwww, end 2026-11-22T08:12:00Z\n";
        assert_eq!(table(&["task", "phase", "group", "end"], &[wide]), folded);
    }

    #[test]
    fn lines_are_broken_between_words_and_go_on_under_their_value() {
        let words = "word ".repeat(30);
        let text =
            wrapped(&format!("refused    lamps-1: {words}\nshort\n  lamps-1: {words}{}", "x".repeat(90)));
        assert!(text.lines().all(|line| line.len() <= 80 || line.trim_start() == "x".repeat(90)), "{text}");
        let second = text.lines().nth(1).unwrap();
        assert!(second.starts_with("           word"), "{text}");
        assert!(text.contains("\nshort\n  lamps-1: word") && text.contains("\n    word"), "{text}");
        let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(joined(&text).matches("word").count(), 60);
    }

    #[test]
    fn figures_are_for_people() {
        for (s, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3_723, "1 h 2 min"),
            (7_200, "2 h"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(s * 1_000_000 + 999_999), words);
        }
        assert_eq!(to_second("2026-11-22T08:30:06.993887Z"), "2026-11-22T08:30:06Z");
        assert_eq!(to_second("2026-11-22T08:30:06Z"), "2026-11-22T08:30:06Z");
        assert_eq!(to_second("2026-11-22T08:30:06.5+01:00"), "2026-11-22T08:30:06+01:00");
        assert_eq!(seconds(394_496), "0.394 s");
        assert_eq!(percent(1, 8), "12.5 %");
        assert_eq!(percent(1, 0), "-");
    }
}
