//! The known name that a name from outside resembles.

/// No longer name resembles any, in bytes.
const MAX_NAME_BYTES: usize = 80;

/// The one of `paths` whose last part `name` was probably meant to be: at most a third of it written
/// differently. So a member in the wrong object finds its place, too.
pub fn nearest<'a>(name: &str, paths: &[&'a str]) -> Option<&'a str> {
    if name.len() > MAX_NAME_BYTES {
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
}
