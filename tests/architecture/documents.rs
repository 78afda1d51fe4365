//! The documents: their links lead somewhere, the paths they name exist, and the README stays short.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Folders with documents.
const FOLDERS: &[&str] = &["", "docs", "fuzz", "systemd"];

/// How a word in backticks begins that is a path of the repository.
const ROOTS: &[&str] =
    &[".ci/", "benches/", "ci/", "config/", "docs/", "examples/", "fuzz/", "src/", "systemd/", "tests/"];

/// Paths that documents name and that are made elsewhere: by a tool, or by a change that is on its way. The test
/// refuses a row whose path has come to be.
const NOT_HERE: &[&str] = &["fuzz/artifacts/"];

/// Lines of the README, at most.
const README_LINES: usize = 110;
/// Characters of a line of the README, at most.
const README_COLUMNS: usize = 100;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document: its path in the repository and its text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut documents = Vec::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path).unwrap();
                documents.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    documents
}

/// The text without its fenced blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// Where the links of a text lead, those into the web left out.
fn links(text: &str) -> Vec<&str> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    ends.filter(|target| !target.starts_with("https://")).collect()
}

#[test]
fn every_message_of_the_troubleshooting_page_is_one_of_the_program() {
    let text = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ")).filter_map(|row| row.split('|').nth(1));
    let messages: Vec<&str> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(messages.len() > 20, "only {} messages", messages.len());
    // Texts go on behind a backslash in the next line, and have their quotes escaped.
    let program: String = super::house().iter().map(|source| source.text.replace('\\', "")).collect();
    let is_said = |message: &&str| {
        let mut parts = message.split("...").map(str::trim).filter(|part| !part.is_empty());
        parts.all(|part| program.contains(part))
    };
    let unsaid: Vec<&str> = messages.into_iter().filter(|message| !is_said(message)).collect();
    assert!(unsaid.is_empty(), "no source says {unsaid:#?}");
}

/// What a heading is called in a link to it.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let words: String =
            heading.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect();
        words.replace(' ', "-")
    };
    headings.map(slug).collect()
}

/// The words in backticks that are paths of the repository, a line number behind them taken off.
fn paths(text: &str) -> Vec<&str> {
    let words = text.split('`').skip(1).step_by(2);
    let is_plain = |word: &&str| !word.contains([' ', '*', '<', '…', '{']);
    words.filter(|word| ROOTS.iter().any(|root| word.starts_with(root))).filter(is_plain).collect()
}

/// The links of a document that lead nowhere.
fn broken(path: &Path, text: &str) -> Vec<String> {
    let prose = prose(text);
    let folder = root().join(path.parent().unwrap());
    let leads = |target: &&str| {
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        if file.is_empty() {
            return anchors(text).contains(anchor);
        }
        let there = folder.join(file);
        let is_heading = || fs::read_to_string(&there).is_ok_and(|text| anchors(&text).contains(anchor));
        there.exists() && (anchor.is_empty() || is_heading())
    };
    links(&prose).into_iter().filter(|target| !leads(target)).map(str::to_owned).collect()
}

#[test]
fn every_link_leads_to_a_document_and_a_heading() {
    for (path, text) in documents() {
        let broken = broken(&path, &text);
        assert!(broken.is_empty(), "{}: {broken:?} lead nowhere", path.display());
    }
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let readme = Path::new("README.md");
    let text = "# A `B` c\n[a](docs/nothing.md) [b](#a-b-c) [c](#d) [d](LICENSE-MIT)\n```\n[e](f)\n```";
    assert_eq!(broken(readme, text), ["docs/nothing.md", "#d"]);
    assert!(links("[a](https://example.org)").is_empty());
}

#[test]
fn every_document_is_linked_from_the_readme_or_from_one_that_is() {
    let documents = documents();
    let mut reached = BTreeSet::from([PathBuf::from("README.md")]);
    let mut open = vec![PathBuf::from("README.md")];
    while let Some(path) = open.pop() {
        let Some((_, text)) = documents.iter().find(|(other, _)| *other == path) else { continue };
        for target in links(&prose(text)) {
            let file = target.split('#').next().unwrap();
            let there = fs::canonicalize(root().join(path.parent().unwrap()).join(file));
            let home = fs::canonicalize(root()).unwrap();
            let inside = there.ok().and_then(|there| there.strip_prefix(home).map(Path::to_owned).ok());
            open.extend(inside.filter(|inside| reached.insert(inside.clone())));
        }
    }
    let lost: Vec<_> =
        documents.iter().map(|(path, _)| path).filter(|path| !reached.contains(*path)).collect();
    assert!(lost.is_empty(), "nobody who begins with README.md finds {lost:?}");
}

#[test]
fn every_path_that_a_document_names_exists() {
    let mut missing = Vec::new();
    for (document, text) in documents().iter().filter(|(path, _)| !path.ends_with("CHANGELOG.md")) {
        for path in paths(&prose(text)) {
            // `tests/world/crashes` may be a folder or, without its ending, a file.
            // A document beside the sources of its own may mean those.
            let places = [root().to_owned(), root().join(document.parent().unwrap())];
            let is_at =
                |place: &PathBuf| place.join(path).exists() || place.join(format!("{path}.rs")).exists();
            let is_there = places.iter().any(is_at);
            if !is_there && !NOT_HERE.iter().any(|absent| path.starts_with(absent)) {
                missing.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
    let come = NOT_HERE.iter().filter(|path| path.starts_with("src/") && root().join(path).exists());
    assert_eq!(come.collect::<Vec<_>>(), [] as [&&str; 0], "these are here now: take the rows out");
}

#[test]
fn a_path_in_backticks_is_found_and_a_pattern_is_not() {
    assert_eq!(paths("`src/a.rs` and `tests/*.rs`, `README.md`, `src/b`"), ["src/a.rs", "src/b"]);
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = readme.lines().count();
    assert!(lines <= README_LINES, "{lines} lines; what is too long for the README belongs to docs/");
    let wide: Vec<&str> = readme.lines().filter(|line| line.chars().count() > README_COLUMNS).collect();
    assert!(wide.is_empty(), "wider than {README_COLUMNS}: {wide:#?}");
}
