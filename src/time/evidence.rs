//! Evidence of files that the wall clock is synchronised.

use std::collections::BTreeSet;

/// A state of one file. It is compared with other stamps of the same file only, never with a clock, because the
/// clock that wrote it is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Time of the last modification, whole seconds.
    pub mtime_s: i64,
    /// Nanoseconds of that second, 0 to 999999999.
    pub mtime_ns: i64,
    /// Number of the file's inode.
    pub inode: u64,
}

/// The existing files that show that the wall clock is synchronised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    stamps: BTreeSet<Stamp>,
}

impl Evidence {
    /// Evidence without any file.
    pub const NONE: Evidence = Evidence { stamps: BTreeSet::new() };

    /// The stamps of all files that exist, in any order.
    pub fn new(stamps: impl IntoIterator<Item = Stamp>) -> Evidence {
        Evidence { stamps: stamps.into_iter().collect() }
    }

    /// Whether no file of evidence exists.
    pub fn is_empty(&self) -> bool {
        self.stamps.is_empty()
    }

    /// Whether a file was created or touched since `before`. A file that vanished proves nothing.
    pub fn is_news_to(&self, before: &Evidence) -> bool {
        !self.stamps.is_subset(&before.stamps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_new_touched_or_replaced_is_news_and_one_that_vanished_is_none() {
        let stamp = Stamp { mtime_s: 5, mtime_ns: 7, inode: 1 };
        let one = Evidence::new([stamp]);
        assert!(one.is_news_to(&Evidence::NONE));
        assert!(!one.is_news_to(&one));
        assert!(!Evidence::NONE.is_news_to(&one));
        // Touched by a clock that stands in the past, in the same second, or replaced by another file.
        for other in
            [Stamp { mtime_s: 4, ..stamp }, Stamp { mtime_ns: 8, ..stamp }, Stamp { inode: 2, ..stamp }]
        {
            assert!(Evidence::new([other]).is_news_to(&one), "{other:?}");
            assert!(Evidence::new([stamp, other]).is_news_to(&one), "{other:?}");
        }
    }
}
