//! What must hold whatever comes in, where there is no fuzzer: the targets of `fuzz/` are driven with random bytes, with
//! every file of their corpus, and with such files changed at random.

#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]
#![expect(clippy::disallowed_methods, reason = "a test reads the corpus")]

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseResult;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// A target's function.
type Run = fn(&[u8]);

const TARGETS: &[(&str, Run)] = &[
    ("commands", fuzz::commands::run),
    #[cfg(feature = "daemon")]
    ("configurations", fuzz::configurations::run),
    ("datagrams", fuzz::datagrams::run),
    ("documents", fuzz::documents::run),
    ("engine", fuzz::engine::run),
    ("fragments", fuzz::fragments::run),
    ("network_servers", fuzz::network_servers::run),
    ("signatures", fuzz::signatures::run),
    ("state_files", fuzz::state_files::run),
];

/// Longer inputs only take longer, bytes.
const RANDOM_BYTES_MAX: usize = 1024;
/// No corpus is larger than this, all targets together, bytes.
const CORPUS_BYTES_MAX: u64 = 1_500_000;

/// One change of an input.
#[derive(Clone, Debug)]
enum Edit {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    /// What follows is that of another file.
    Splice(Index, Index, Index),
}

impl Edit {
    fn any() -> impl Strategy<Value = Edit> {
        let at = any::<Index>;
        prop_oneof![
            4 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
            2 => (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, more)| Edit::Insert(at, more)),
            2 => (at(), any::<u8>()).prop_map(|(at, count)| Edit::Remove(at, count)),
            1 => (at(), at(), at()).prop_map(|(at, other, from)| Edit::Splice(at, other, from)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let len = bytes.len();
        match self {
            Edit::Set(at, byte) if len > 0 => bytes[at.index(len)] = *byte,
            Edit::Set(..) => {}
            Edit::Insert(at, more) => {
                let at = at.index(len + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Edit::Remove(at, count) => {
                let at = at.index(len + 1);
                bytes.drain(at..len.min(at + usize::from(*count)));
            }
            Edit::Splice(at, other, from) => {
                let other = other.get(corpus);
                bytes.truncate(at.index(len + 1));
                bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
    }
}

/// The files of a target's corpus, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let files: BTreeMap<_, _> = files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    assert!(!files.is_empty(), "{target} has a corpus");
    files.into_values().collect()
}

fn drive<T>(cases: u32, inputs: impl Strategy<Value = T>, run: impl Fn(T) -> TestCaseResult)
where
    T: std::fmt::Debug,
{
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config).run(&inputs, run).unwrap();
}

#[test]
fn random_bytes_break_no_promise() {
    for (_, run) in TARGETS {
        drive(128, prop::collection::vec(any::<u8>(), 0..RANDOM_BYTES_MAX), |bytes| {
            run(&bytes);
            Ok(())
        });
    }
}

#[test]
fn every_file_of_the_corpus_keeps_every_promise() {
    for (target, run) in TARGETS {
        corpus(target).iter().for_each(|bytes| run(bytes));
    }
}

#[test]
fn files_of_the_corpus_that_were_changed_break_no_promise() {
    for (target, run) in TARGETS {
        let corpus = corpus(target);
        let edits = prop::collection::vec(Edit::any(), 1..6);
        drive(256, (any::<Index>(), edits), |(file, edits)| {
            let mut bytes = file.get(&corpus).clone();
            edits.iter().for_each(|edit| edit.apply(&mut bytes, &corpus));
            run(&bytes);
            Ok(())
        });
    }
}

#[test]
fn every_corpus_has_a_target_and_all_are_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let known = |name: &str| name == "configurations" || TARGETS.iter().any(|(target, _)| *target == name);
    let mut bytes = 0;
    for name in names {
        let name = name.into_string().unwrap();
        assert!(known(&name), "{name} is a target");
        bytes += corpus(&name).iter().map(|file| file.len() as u64).sum::<u64>();
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes are too many");
}
