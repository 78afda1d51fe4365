//! What files say about the wall clock.

use std::collections::BTreeSet;

/// Which state of a file was seen. It is compared with other stamps of the same file only, never with a clock: the
/// clock that wrote it is the one in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Last modification, whole seconds.
    pub mtime_s: i64,
    /// Last modification, nanoseconds of that second.
    pub mtime_ns: i64,
    /// The inode's number.
    pub inode: u64,
}

/// The files that say that the wall clock is synchronised, as far as they exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    stamps: BTreeSet<Stamp>,
}

impl Evidence {
    /// No file.
    pub const NONE: Evidence = Evidence { stamps: BTreeSet::new() };

    /// The files of one look, in any order.
    pub fn new(stamps: impl IntoIterator<Item = Stamp>) -> Evidence {
        Evidence { stamps: stamps.into_iter().collect() }
    }

    /// No file exists.
    pub fn is_empty(&self) -> bool {
        self.stamps.is_empty()
    }

    /// A file was made anew or touched since `before`. A file that vanished says nothing.
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
