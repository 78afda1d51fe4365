//! How names and values from outside are shown: escaped, shortened, and with the known name they resemble.

/// How much of a value or of a name an error shows, in characters.
const MAX_SHOWN_CHARS: usize = 80;

/// A text in quotes, escaped and shortened.
pub fn shown_text(text: &str) -> String {
    let is_whole = text.chars().nth(MAX_SHOWN_CHARS).is_none();
    let beginning: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    format!("{beginning:?}{}", if is_whole { "" } else { "…" })
}

/// The name of a member: bare if it is an ordinary one, else as a text.
pub fn shown_name(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain && name.len() <= MAX_SHOWN_CHARS { name.to_owned() } else { shown_text(name) }
}

/// The one of `paths` whose last part `name` was probably meant to be: at most a third of it written
/// differently. So a member in the wrong object finds its place, too.
pub fn nearest<'a>(name: &str, paths: &[&'a str]) -> Option<&'a str> {
    if name.len() > MAX_SHOWN_CHARS {
        return None;
    }
    let scored = paths.iter().map(|path| (distance(name, last_part(path)), *path));
    let (edits, path) = scored.min_by_key(|(edits, _)| *edits)?;
    (edits <= last_part(path).len() / 3).then_some(path)
}

fn last_part(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// How many letters to insert, drop or change from `a` to `b`, capitals apart (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_through_small_slips_and_not_through_large_ones() {
        let known = ["MulticastGroups", "Start", "Interval", "Sha256", "SessionTimeoutExponent"];
        for (name, meant) in [
            ("sha256", Some("Sha256")),
            ("Sha-256", Some("Sha256")),
            ("multicast-groups", Some("MulticastGroups")),
            ("MulticastGroup", Some("MulticastGroups")),
            ("Stort", Some("Start")),
            ("SessionTimoutExponent", Some("SessionTimeoutExponent")),
            ("Colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, &known), meant, "{name}");
        }
        assert_eq!(nearest(&"Start".repeat(100), &known), None);
    }

    #[test]
    fn what_an_error_shows_is_escaped_and_short() {
        assert_eq!(shown_text("a\"\n\u{1b}b"), r#""a\"\n\u{1b}b""#);
        assert_eq!(shown_text(&"ä".repeat(80)).chars().count(), 82);
        assert_eq!(shown_text(&"ä".repeat(81)).chars().count(), 83);
        assert_eq!(shown_name("Sha256"), "Sha256");
        assert_eq!(shown_name("a b"), "\"a b\"");
        assert_eq!(shown_name(""), "\"\"");
    }
}
