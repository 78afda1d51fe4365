//! A disk that loses what was not synced: pages and names are durable, pending, torn or rotten, and every
//! operation can be the last one before the power goes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use crate::store::FILE_BYTES_MAX;
use crate::store::Files;
use crate::store::FilesError;
use crate::store::FilesErrorKind;

/// Bytes of a page: what the disk writes at least.
pub const PAGE_BYTES: usize = 4096;

/// What a power cut makes of one thing that was not synced. Of a pending change of a name, which is never torn,
/// everything but [`PageFate::New`] means that it did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFate {
    /// It had reached the disk.
    New,
    /// It had not reached the disk.
    Old,
    /// The power went while it was being written: garbage, made from this seed.
    Torn(u64),
}

type Page = Arc<Vec<u8>>;

/// A file's contents, as the process sees them and as the disk holds them. Pages are shared, so that a clone of
/// a disk is cheap.
#[derive(Clone, Debug, Default)]
struct Content {
    cached: Vec<Page>,
    cached_bytes: usize,
    durable: Vec<Page>,
    durable_bytes: usize,
    /// Tear units (not pages) written since the last sync.
    dirty: BTreeSet<usize>,
}

/// A change of the directory that is not durable yet. It names the file itself, not only its name.
#[derive(Clone, Debug)]
enum NameChange {
    Bind { name: String, file: u64 },
    Rename { from: String, to: String, file: u64 },
    Unbind { name: String },
}

/// One directory on a simulated disk. Operations that change something are counted from 1; see
/// [`Disk::crash_after`].
#[derive(Clone, Debug)]
pub struct Disk {
    contents: BTreeMap<u64, Content>,
    next_file: u64,
    cached_names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    name_changes: Vec<NameChange>,
    tear_bytes: usize,
    operations: u64,
    crash_at: Option<u64>,
    fail_at: Option<(u64, FilesErrorKind)>,
    full_from: Option<u64>,
    written_bytes: u64,
}

impl Disk {
    /// An empty disk whose pages of 4 KiB are written whole or torn as a whole.
    pub fn new() -> Self {
        Disk::with_tears(PAGE_BYTES)
    }

    /// An empty disk that tears within a page, at multiples of `tear_bytes` (a divisor of [`PAGE_BYTES`], for
    /// instance 512; anything else counts as a whole page).
    pub fn with_tears(tear_bytes: usize) -> Self {
        let is_divisor = tear_bytes > 0 && PAGE_BYTES.is_multiple_of(tear_bytes);
        Disk {
            contents: BTreeMap::new(),
            next_file: 0,
            cached_names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            tear_bytes: if is_divisor { tear_bytes } else { PAGE_BYTES },
            operations: 0,
            crash_at: None,
            fail_at: None,
            full_from: None,
            written_bytes: 0,
        }
    }

    /// How many changing operations were tried: create, write, sync, rename, remove, sync-dir.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// The power goes during the changing operation number `operation` (as [`Disk::operations`] counts): it
    /// and everything later fails. A write or a change of a name has been issued by then, so [`Disk::power_cut`]
    /// decides over it as over all that is pending; a sync has achieved nothing that the fates do not say.
    pub fn crash_after(&mut self, operation: u64) {
        self.crash_at = Some(operation);
    }

    /// The changing operation number `operation` fails, once, and changes nothing. A failing sync lies from
    /// then on, as real ones do: the pages count as clean, can be read, and are lost at the next power cut.
    pub fn fail_at(&mut self, operation: u64, kind: FilesErrorKind) {
        self.fail_at = Some((operation, kind));
    }

    /// From the changing operation number `operation` on, new files find no room; what is there can be overwritten.
    /// `None`: there is room.
    pub fn fill_from(&mut self, operation: Option<u64>) {
        self.full_from = operation;
    }

    /// Turns one bit of a file over, wherever it is: in the cache and on the medium.
    pub fn flip_bit(&mut self, name: &str, bit: usize) {
        let Some(content) = self.cached_names.get(name).and_then(|file| self.contents.get_mut(file)) else {
            return;
        };
        let (page, within) = (bit / 8 / PAGE_BYTES, bit / 8 % PAGE_BYTES);
        for pages in [&mut content.cached, &mut content.durable] {
            if let Some(page) = pages.get_mut(page) {
                Arc::make_mut(page)[within] ^= 1 << (bit % 8);
            }
        }
    }

    /// How many things [`Disk::power_cut`] will ask for: tear units not synced, then changes of names.
    pub fn pending(&self) -> usize {
        self.contents.values().map(|content| content.dirty.len()).sum::<usize>() + self.name_changes.len()
    }

    /// Cuts the power and restores it: `outcome` says what became of each pending thing, by its number (pages
    /// in the order of their files' creation, then names in the order of their changes). The disk works again.
    pub fn power_cut(&mut self, outcome: &mut dyn FnMut(usize) -> PageFate) {
        let mut number = 0;
        let mut next_fate = || {
            number += 1;
            outcome(number - 1)
        };
        for content in self.contents.values_mut() {
            content.lose_power(self.tear_bytes, &mut next_fate);
        }
        for change in std::mem::take(&mut self.name_changes) {
            if next_fate() == PageFate::New {
                change.apply(&mut self.durable_names);
            }
        }
        self.cached_names = self.durable_names.clone();
        self.drop_nameless();
        self.process_died();
    }

    /// The process died but the machine ran on: whatever was written can still be read, and is
    /// still not durable.
    pub fn process_died(&mut self) {
        self.crash_at = None;
        self.fail_at = None;
    }

    /// Turns page `page` of a file into garbage, as flash does between two starts. Nothing if there is none.
    pub fn rot(&mut self, name: &str, page: usize, seed: u64) {
        self.set_page(name, page, &garbage(PAGE_BYTES, seed));
    }

    /// Overwrites page `page` of a file behind everyone's back (a stale copy, a misdirected write); short
    /// `bytes` are filled up with zeros. Nothing if there is no such page.
    pub fn set_page(&mut self, name: &str, page: usize, bytes: &[u8]) {
        let Some(file) = self.cached_names.get(name) else { return };
        let Some(content) = self.contents.get_mut(file) else { return };
        let mut whole = bytes.to_vec();
        whole.resize(PAGE_BYTES, 0);
        let whole = Arc::new(whole);
        for pages in [&mut content.cached, &mut content.durable] {
            if let Some(old) = pages.get_mut(page) {
                *old = Arc::clone(&whole);
            }
        }
    }

    /// Bytes that syncs have written, whole pages of 4 KiB counted; the file system's own are not.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Counts a changing operation. `Ok(true)`: carry it out and then fail with [`power_cut_error`], because the
    /// power goes during it.
    fn begin(&mut self, operation: &'static str, name: &str) -> Result<bool, FilesError> {
        self.operations += 1;
        if self.crash_at.is_some_and(|at| self.operations > at) {
            return Err(power_cut_error(operation, name));
        }
        if let Some((at, kind)) = self.fail_at
            && at == self.operations
        {
            self.fail_at = None;
            return Err(error(operation, name, kind, "made to fail"));
        }
        Ok(self.crash_at == Some(self.operations))
    }

    fn content(&mut self, operation: &'static str, name: &str) -> Result<&mut Content, FilesError> {
        let file = self.cached_names.get(name);
        let content = file.and_then(|file| self.contents.get_mut(file));
        content.ok_or_else(|| error(operation, name, FilesErrorKind::NotFound, "no such file"))
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.cached_names);
        self.name_changes.push(change);
    }

    fn drop_nameless(&mut self) {
        let named: BTreeSet<u64> =
            self.cached_names.values().chain(self.durable_names.values()).copied().collect();
        self.contents.retain(|file, _| named.contains(file));
    }
}

impl Default for Disk {
    fn default() -> Self {
        Disk::new()
    }
}

impl Files for Disk {
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, FilesError> {
        if self.crash_at.is_some_and(|at| self.operations >= at) {
            return Err(power_cut_error("read", name));
        }
        let content = self.cached_names.get(name).and_then(|file| self.contents.get(file));
        match content {
            Some(content) if content.cached_bytes > FILE_BYTES_MAX => {
                Err(error("read", name, FilesErrorKind::TooLarge, "too large"))
            }
            content => Ok(content.map(Content::bytes)),
        }
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<(), FilesError> {
        let is_last = self.begin("create", name)?;
        if self.full_from.is_some_and(|from| self.operations >= from) {
            return Err(error("create", name, FilesErrorKind::NoSpace, "no room"));
        }
        let mut content = Content::default();
        content.write(0, bytes, self.tear_bytes);
        let file = self.next_file;
        self.next_file += 1;
        self.contents.insert(file, content);
        self.change_name(NameChange::Bind { name: name.to_owned(), file });
        end(is_last, "create", name)
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FilesError> {
        let is_last = self.begin("write", name)?;
        let tear_bytes = self.tear_bytes;
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        if at.saturating_add(bytes.len()) > FILE_BYTES_MAX {
            return Err(error("write", name, FilesErrorKind::TooLarge, "too large"));
        }
        self.content("write", name)?.write(at, bytes, tear_bytes);
        end(is_last, "write", name)
    }

    fn sync(&mut self, name: &str) -> Result<(), FilesError> {
        let tear_bytes = self.tear_bytes;
        match self.begin("sync", name) {
            Ok(false) => {
                let pages = self.content("sync", name)?.sync(tear_bytes);
                self.written_bytes += (pages * PAGE_BYTES) as u64;
                Ok(())
            }
            Ok(true) => Err(power_cut_error("sync", name)),
            Err(failed) => {
                if failed.kind != FilesErrorKind::PowerCut {
                    self.content("sync", name)?.dirty.clear();
                }
                Err(failed)
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FilesError> {
        let is_last = self.begin("rename", from)?;
        let Some(&file) = self.cached_names.get(from) else {
            return Err(error("rename", from, FilesErrorKind::NotFound, "no such file"));
        };
        self.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), file });
        end(is_last, "rename", from)
    }

    fn remove(&mut self, name: &str) -> Result<(), FilesError> {
        let is_last = self.begin("remove", name)?;
        self.content("remove", name)?;
        self.change_name(NameChange::Unbind { name: name.to_owned() });
        end(is_last, "remove", name)
    }

    fn sync_dir(&mut self) -> Result<(), FilesError> {
        let is_last = self.begin("sync-dir", "")?;
        if !is_last {
            self.name_changes.clear();
            self.durable_names = self.cached_names.clone();
            self.drop_nameless();
        }
        end(is_last, "sync-dir", "")
    }

    fn list(&mut self) -> Result<Vec<String>, FilesError> {
        if self.crash_at.is_some_and(|at| self.operations >= at) {
            return Err(power_cut_error("list", ""));
        }
        Ok(self.cached_names.keys().cloned().collect())
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Bind { name, file } => {
                names.insert(name.clone(), *file);
            }
            NameChange::Rename { from, to, file } => {
                if names.get(from) == Some(file) {
                    names.remove(from);
                }
                names.insert(to.clone(), *file);
            }
            NameChange::Unbind { name } => {
                names.remove(name);
            }
        }
    }
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.cached.len() * PAGE_BYTES);
        for page in &self.cached {
            bytes.extend_from_slice(page);
        }
        bytes.truncate(self.cached_bytes);
        bytes
    }

    fn write(&mut self, at: usize, bytes: &[u8], tear_bytes: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        let from = at.min(self.cached_bytes);
        self.cached_bytes = self.cached_bytes.max(end);
        self.cached.resize_with(self.cached_bytes.div_ceil(PAGE_BYTES), || Arc::new(vec![0; PAGE_BYTES]));
        let mut rest = bytes;
        let mut position = at;
        while !rest.is_empty() {
            let within = position % PAGE_BYTES;
            let (piece, later) = rest.split_at(rest.len().min(PAGE_BYTES - within));
            let page = Arc::make_mut(&mut self.cached[position / PAGE_BYTES]);
            page[within..within + piece.len()].copy_from_slice(piece);
            position += piece.len();
            rest = later;
        }
        // A gap before `at` is written as zeros.
        self.dirty.extend(from / tear_bytes..end.div_ceil(tear_bytes));
    }

    /// How many pages were written.
    fn sync(&mut self, tear_bytes: usize) -> usize {
        let units_per_page = PAGE_BYTES / tear_bytes;
        let pages: BTreeSet<usize> = self.dirty.iter().map(|unit| unit / units_per_page).collect();
        self.durable.resize_with(self.cached.len(), || Arc::new(vec![0; PAGE_BYTES]));
        for page in &pages {
            self.durable[*page] = Arc::clone(&self.cached[*page]);
        }
        self.durable_bytes = self.cached_bytes;
        self.dirty.clear();
        pages.len()
    }

    fn lose_power(&mut self, tear_bytes: usize, next_fate: &mut dyn FnMut() -> PageFate) {
        for unit in std::mem::take(&mut self.dirty) {
            let seed = match next_fate() {
                PageFate::Old => continue,
                PageFate::New => None,
                PageFate::Torn(seed) => Some(seed),
            };
            let from = unit * tear_bytes;
            let end = (from + tear_bytes).min(self.cached_bytes);
            self.durable_bytes = self.durable_bytes.max(end);
            let pages = self.durable_bytes.div_ceil(PAGE_BYTES);
            self.durable.resize_with(pages, || Arc::new(vec![0; PAGE_BYTES]));
            let (page, within) = (from / PAGE_BYTES, from % PAGE_BYTES);
            let target = &mut Arc::make_mut(&mut self.durable[page])[within..within + tear_bytes];
            match seed {
                None => target.copy_from_slice(&self.cached[page][within..within + tear_bytes]),
                Some(seed) => target.copy_from_slice(&garbage(tear_bytes, seed)),
            }
        }
        self.cached = self.durable.clone();
        self.cached_bytes = self.durable_bytes;
    }
}

/// `length` bytes that look like nothing in particular (xorshift64).
fn garbage(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next_word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next_word()).collect();
    bytes.truncate(length);
    bytes
}

fn end(is_last: bool, operation: &'static str, name: &str) -> Result<(), FilesError> {
    if is_last { Err(power_cut_error(operation, name)) } else { Ok(()) }
}

fn power_cut_error(operation: &'static str, name: &str) -> FilesError {
    error(operation, name, FilesErrorKind::PowerCut, "the power is gone")
}

fn error(operation: &'static str, name: &str, kind: FilesErrorKind, detail: &str) -> FilesError {
    FilesError { operation, name: name.to_owned(), kind, detail: detail.to_owned() }
}

/// A disk outlives the store on it: a world keeps one end.
impl Files for Rc<RefCell<Disk>> {
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, FilesError> {
        self.borrow_mut().read(name)
    }
    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<(), FilesError> {
        self.borrow_mut().create(name, bytes)
    }
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FilesError> {
        self.borrow_mut().write_at(name, offset, bytes)
    }
    fn sync(&mut self, name: &str) -> Result<(), FilesError> {
        self.borrow_mut().sync(name)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FilesError> {
        self.borrow_mut().rename(from, to)
    }
    fn remove(&mut self, name: &str) -> Result<(), FilesError> {
        self.borrow_mut().remove(name)
    }
    fn sync_dir(&mut self) -> Result<(), FilesError> {
        self.borrow_mut().sync_dir()
    }
    fn list(&mut self) -> Result<Vec<String>, FilesError> {
        self.borrow_mut().list()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with(name: &str, bytes: &[u8]) -> Disk {
        let mut disk = Disk::new();
        disk.create(name, bytes).unwrap();
        disk.sync(name).unwrap();
        disk.sync_dir().unwrap();
        disk
    }

    #[test]
    fn two_pages_that_were_not_synced_have_two_fates() {
        let fates = [PageFate::Old, PageFate::New, PageFate::Torn(1)];
        for (first, second) in fates.iter().flat_map(|a| fates.iter().map(move |b| (*a, *b))) {
            let mut disk = disk_with("f", &[0; 2 * PAGE_BYTES]);
            disk.write_at("f", 0, &[1; 2 * PAGE_BYTES]).unwrap();
            assert_eq!(disk.read("f").unwrap().unwrap(), vec![1; 2 * PAGE_BYTES]);
            assert_eq!(disk.pending(), 2);
            disk.power_cut(&mut |number| [first, second][number]);
            let bytes = disk.read("f").unwrap().unwrap();
            for (page, fate) in bytes.chunks(PAGE_BYTES).zip([first, second]) {
                match fate {
                    PageFate::Old => assert!(page.iter().all(|byte| *byte == 0)),
                    PageFate::New => assert!(page.iter().all(|byte| *byte == 1)),
                    PageFate::Torn(_) => assert!(page.iter().any(|byte| *byte > 1)),
                }
            }
            assert_eq!(disk.pending(), 0);
        }
    }

    #[test]
    fn a_tear_may_run_through_a_page() {
        let mut disk = Disk::with_tears(512);
        disk.create("f", &[0; PAGE_BYTES]).unwrap();
        disk.sync("f").unwrap();
        disk.sync_dir().unwrap();
        disk.write_at("f", 0, &[1; PAGE_BYTES]).unwrap();
        disk.power_cut(&mut |number| if number < 3 { PageFate::New } else { PageFate::Old });
        let bytes = disk.read("f").unwrap().unwrap();
        assert_eq!(bytes.iter().filter(|byte| **byte == 1).count(), 3 * 512);
        assert_eq!(bytes[3 * 512], 0);
    }

    #[test]
    fn a_name_is_durable_only_after_the_directory_is_synced() {
        let mut disk = disk_with("old", b"x");
        disk.rename("old", "new").unwrap();
        let mut lost = disk.clone();
        lost.power_cut(&mut |_| PageFate::Old);
        assert_eq!(lost.list().unwrap(), ["old"]);
        let mut kept = disk.clone();
        kept.power_cut(&mut |_| PageFate::New);
        assert_eq!(kept.list().unwrap(), ["new"]);
        disk.sync_dir().unwrap();
        disk.power_cut(&mut |_| PageFate::Old);
        assert_eq!(disk.list().unwrap(), ["new"]);
        assert_eq!(disk.read("new").unwrap().unwrap(), b"x");
    }

    #[test]
    fn nothing_works_after_the_cut_until_the_power_is_back() {
        let mut disk = disk_with("f", &[0; 10]);
        disk.crash_after(disk.operations() + 1);
        assert_eq!(disk.write_at("f", 0, &[1]).unwrap_err().kind, FilesErrorKind::PowerCut);
        assert_eq!(disk.sync("f").unwrap_err().kind, FilesErrorKind::PowerCut);
        assert_eq!(disk.read("f").unwrap_err().kind, FilesErrorKind::PowerCut);
        disk.power_cut(&mut |_| PageFate::New);
        assert_eq!(disk.read("f").unwrap().unwrap()[..2], [1, 0]);
    }

    #[test]
    fn a_failed_sync_lies_from_then_on() {
        let mut disk = disk_with("f", &[0; 10]);
        disk.write_at("f", 0, &[1]).unwrap();
        disk.fail_at(disk.operations() + 1, FilesErrorKind::Io);
        assert_eq!(disk.sync("f").unwrap_err().kind, FilesErrorKind::Io);
        disk.sync("f").unwrap();
        assert_eq!(disk.read("f").unwrap().unwrap()[0], 1);
        disk.power_cut(&mut |_| PageFate::New);
        assert_eq!(disk.read("f").unwrap().unwrap()[0], 0);
    }

    #[test]
    fn the_meter_counts_whole_pages_when_they_are_synced() {
        let mut disk = disk_with("f", &[0; 3 * PAGE_BYTES]);
        assert_eq!(disk.written_bytes(), 3 * 4096);
        disk.write_at("f", 4000, &[1; 200]).unwrap();
        assert_eq!(disk.written_bytes(), 3 * 4096);
        disk.sync("f").unwrap();
        assert_eq!(disk.written_bytes(), 5 * 4096);
    }
}
