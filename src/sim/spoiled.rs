//! A gateway that is wrong on purpose: its store sees its files through somebody who spoils one of its rules. A judge
//! that does not notice is no judge.

use super::disk::Disk;
use crate::store::Files;
use crate::store::FilesError;
use std::cell::RefCell;
use std::rc::Rc;

/// The disk outlives every store that is opened on it.
pub(super) type SharedDisk = Rc<RefCell<Disk>>;

/// What is spoiled.
pub trait Spoil {
    /// What a store reads of a file instead of what is there.
    fn read(&mut self, name: &str, there: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let _ = name;
        there
    }

    /// Whether a write to a file, or a new file, is swallowed: it says that it is done.
    fn swallows(&mut self, name: &str) -> bool {
        let _ = name;
        false
    }
}

/// A disk as a gateway's store sees it.
#[derive(Clone, Default)]
pub(super) struct GatewayDisk {
    pub(super) disk: SharedDisk,
    pub(super) spoil: Option<Rc<RefCell<dyn Spoil>>>,
}

impl GatewayDisk {
    fn is_swallowed(&self, name: &str) -> bool {
        self.spoil.as_ref().is_some_and(|spoil| spoil.borrow_mut().swallows(name.trim_end_matches(".new")))
    }
}

impl Files for GatewayDisk {
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, FilesError> {
        let there = self.disk.read(name)?;
        Ok(match &self.spoil {
            Some(spoil) => spoil.borrow_mut().read(name, there),
            None => there,
        })
    }
    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<(), FilesError> {
        if self.is_swallowed(name) { Ok(()) } else { self.disk.create(name, bytes) }
    }
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FilesError> {
        if self.is_swallowed(name) { Ok(()) } else { self.disk.write_at(name, offset, bytes) }
    }
    fn sync(&mut self, name: &str) -> Result<(), FilesError> {
        if self.is_swallowed(name) { Ok(()) } else { self.disk.sync(name) }
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FilesError> {
        if self.is_swallowed(from) { Ok(()) } else { self.disk.rename(from, to) }
    }
    fn remove(&mut self, name: &str) -> Result<(), FilesError> {
        self.disk.remove(name)
    }
    fn sync_dir(&mut self) -> Result<(), FilesError> {
        self.disk.sync_dir()
    }
    fn list(&mut self) -> Result<Vec<String>, FilesError> {
        self.disk.list()
    }
}
