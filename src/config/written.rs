//! A line of a configuration as it is written, for those who say what is wrong with it.

/// Where the reader stopped.
pub(super) struct Written<'a> {
    /// The key with its table.
    pub key: &'a str,
    /// The table alone, without the key.
    pub table: &'a str,
    /// The line as it is written; empty when something is missing of the whole file.
    pub line: &'a str,
}

/// The value in a line, without a remark behind it.
pub(super) fn value_in(line: &str) -> &str {
    let value = line.split_once('=').map_or("", |(_, value)| value.trim());
    // A # within quotes is no remark.
    let is_quoted = value.starts_with(['"', '\'']);
    if is_quoted { value } else { value.split('#').next().unwrap_or_default().trim() }
}

/// The unit in a key's name.
pub(super) fn unit(key: &str) -> &'static str {
    let key = key.to_lowercase().replace('_', "-");
    let units = [
        ("-hz", ", in Hz"),
        ("-dbm", ", in dBm"),
        ("-dbi", ", in dBi"),
        ("-ms", ", in milliseconds"),
        ("-s", ", in seconds"),
        ("-bytes", ", in bytes"),
        ("-percent", ", in percent"),
    ];
    units.iter().find(|(suffix, _)| key.ends_with(suffix)).map_or("", |(_, unit)| unit)
}

/// The unit, and the number in `value`: a frequency in Hz.
pub(super) fn whole(key: &str, value: &str, max: f64) -> String {
    let unit = unit(key);
    match number_in(value).map(|number| number * scale(key, value)) {
        Some(mhz) if key.ends_with("-hz") && (1.0..10_000.0).contains(&mhz) => {
            format!("{unit}: {}", (mhz * 1e6).round())
        }
        Some(number) if (0.0..=max).contains(&number) && number.fract() == 0.0 => format!("{unit}: {number}"),
        _ => unit.to_owned(),
    }
}

/// By how much a number in another unit than its key's is larger.
fn scale(key: &str, value: &str) -> f64 {
    let letters: String = value.chars().filter(char::is_ascii_alphabetic).collect();
    let key = key.to_lowercase().replace('_', "-");
    match letters.to_lowercase().as_str() {
        "min" | "m" if key.ends_with("-s") => 60.0,
        "h" if key.ends_with("-s") => 3600.0,
        "d" if key.ends_with("-s") => 86_400.0,
        "s" if key.ends_with("-ms") => 1000.0,
        "khz" if key.ends_with("-hz") => 1000.0,
        "kib" | "kb" | "k" if key.ends_with("-bytes") => 1024.0,
        "mib" | "mb" | "m" if key.ends_with("-bytes") => 1_048_576.0,
        _ => 1.0,
    }
}

/// The unit, and the number in `value`: percents as a part of one.
pub(super) fn part(key: &str, value: &str) -> String {
    let unit = unit(key);
    match number_in(value) {
        Some(percent) if value.contains('%') => format!("{unit}: {}", percent / 100.0),
        Some(number) => format!("{unit}: {}", number * scale(key, value)),
        None => unit.to_owned(),
    }
}

/// The only number in a text.
pub(super) fn number_in(value: &str) -> Option<f64> {
    let is_of_number = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    let mut numbers =
        value.split(|c| !is_of_number(c)).filter(|part| part.contains(|c: char| c.is_ascii_digit()));
    let number = numbers.next()?.parse().ok()?;
    numbers.next().is_none().then_some(number)
}

/// `key` with the table before it.
pub(super) fn joined(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}
