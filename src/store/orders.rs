//! Orders that arrive in pieces: an image, then its document, in a folder of their own.
//!
//! | file | holds | written |
//! |---|---|---|
//! | `NAME.part` | an image on its way | a piece at a time; removed at the next start |
//! | `NAME.bin` | a whole image | sync, rename, directory sync |
//! | `NAME.json` | the document: with it the order counts | last, the same way |
//! | `NAME.new` | a document on its way | removed at the next start |
//!
//! Whatever moment the power goes at, an order is there with its whole image, or nothing of it is.

use super::files::Files;
use super::files::FilesError;
use super::files::FilesErrorKind;
use crate::image::Digest;
use crate::image::MAX_IMAGE_BYTES;
use sha2::Digest as _;
use sha2::Sha256;
use std::collections::BTreeSet;
use thiserror::Error;

/// Orders that are kept at a time.
pub const ORDERS_MAX: usize = 32;
/// Images that may be on their way at a time; one more takes the place of the one that nobody went on with for longest.
pub const UPLOADS_MAX: usize = 4;
/// The most bytes of one piece.
pub const PIECE_BYTES_MAX: usize = 4096;
/// Room that is left for everything else in the state folder, bytes.
const SPARE_BYTES: u64 = 4 << 20;

/// What the name of an order's document ends with.
const DOCUMENT: &str = ".json";
/// What the name of its image ends with.
const IMAGE: &str = ".bin";
const PART: &str = ".part";
const NEW: &str = ".new";

/// Why a piece or an order is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    /// An order of this name is kept.
    #[error("{0} is ordered already: `fuotad cancel {0}` stops it, another --name sends it once more")]
    Known(String),
    /// The image is empty or longer than [`MAX_IMAGE_BYTES`].
    #[error("the image has {0} bytes: 1 to {MAX_IMAGE_BYTES} are taken")]
    Size(u64),
    /// Too many orders are kept.
    #[error("{ORDERS_MAX} orders are kept already: wait until one is over, or `fuotad cancel` one")]
    TooMany,
    /// The disk has no room for the image.
    #[error(
        "the state folder has {free} bytes left and the image needs {needed} with some to spare: make room"
    )]
    NoRoom {
        /// What is left on the disk, bytes.
        free: u64,
        /// The image and what is to be left, bytes.
        needed: u64,
    },
    /// Nobody began with an order of this name, or the service was restarted since.
    #[error("no image of {0} is on its way: begin with order.begin")]
    NotBegun(String),
    /// The piece does not go on where the last one ended.
    #[error("the next byte is number {have}, and this piece begins at {offset}: go on from {have}")]
    Offset {
        /// Bytes that are there.
        have: u64,
        /// Where the piece begins.
        offset: u64,
    },
    /// The piece is empty, too long, or reaches beyond the end of the image.
    #[error("the piece has {bytes} bytes: 1 to {most} may come")]
    Piece {
        /// Length of the piece.
        bytes: usize,
        /// The most that may come.
        most: u64,
    },
    /// Some pieces are missing.
    #[error("{have} of {bytes} bytes of the image are there: send the rest")]
    Incomplete {
        /// Bytes that are there.
        have: u64,
        /// Length of the image.
        bytes: u64,
    },
    /// The pieces are not the image that was announced. They are dropped.
    #[error("the image has SHA-256 {found}, and {expected} was announced: begin anew")]
    Damaged {
        /// SHA-256 as it was announced.
        expected: Digest,
        /// SHA-256 of the pieces.
        found: Digest,
    },
    /// The disk failed. What had come of the image is dropped.
    #[error("the state folder: {0}")]
    Files(#[from] FilesError),
}

/// An image on its way.
#[derive(Debug)]
struct Upload {
    name: String,
    bytes: u64,
    digest: Digest,
    have: u64,
    sum: Sha256,
}

/// The folder, and the images that are on their way into it.
#[derive(Debug)]
pub struct OrderFolder<F> {
    files: F,
    uploads: Vec<Upload>,
    kept: BTreeSet<String>,
}

impl<F: Files> OrderFolder<F> {
    /// Opens the folder and removes whatever is no whole order.
    ///
    /// # Errors
    /// What the disk could not do.
    pub fn open(mut files: F) -> Result<OrderFolder<F>, FilesError> {
        let names = files.list()?;
        let kept: BTreeSet<String> =
            names.iter().filter_map(|name| name.strip_suffix(DOCUMENT)).map(str::to_owned).collect();
        for name in &names {
            let is_orphan = name.strip_suffix(IMAGE).is_some_and(|stem| !kept.contains(stem));
            if is_orphan || name.ends_with(PART) || name.ends_with(NEW) {
                files.remove(name)?;
            }
        }
        Ok(OrderFolder { files, uploads: Vec::new(), kept })
    }

    /// The names of the orders that are kept.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(String::as_str)
    }

    /// The document of an order; `None`: no such order is kept.
    ///
    /// # Errors
    /// What the disk could not do.
    pub fn document(&mut self, name: &str) -> Result<Option<Vec<u8>>, FilesError> {
        if self.kept.contains(name) { self.files.read(&file(name, DOCUMENT)) } else { Ok(None) }
    }

    /// Announces an image of so many bytes with this SHA-256; the bytes of it that are there already. `free` is the room
    /// on the disk, bytes. Nothing is written yet.
    ///
    /// # Errors
    /// [`OrderError::Known`], [`OrderError::Size`], [`OrderError::TooMany`], [`OrderError::NoRoom`]; the disk's.
    pub fn begin(
        &mut self,
        name: &str,
        bytes: u64,
        digest: Digest,
        free: Option<u64>,
    ) -> Result<u64, OrderError> {
        if self.kept.contains(name) {
            return Err(OrderError::Known(name.to_owned()));
        }
        if bytes == 0 || bytes > MAX_IMAGE_BYTES as u64 {
            return Err(OrderError::Size(bytes));
        }
        if self.kept.len() >= ORDERS_MAX {
            return Err(OrderError::TooMany);
        }
        if let Some(upload) = self.upload(name)
            && (upload.bytes, upload.digest) == (bytes, digest)
        {
            return Ok(upload.have);
        }
        let needed = bytes + SPARE_BYTES;
        if let Some(free) = free.filter(|free| *free < needed) {
            return Err(OrderError::NoRoom { free, needed });
        }
        self.drop_image(name)?;
        while self.uploads.len() >= UPLOADS_MAX {
            let oldest = self.uploads[0].name.clone();
            self.drop_image(&oldest)?;
        }
        let name = name.to_owned();
        self.uploads.push(Upload { name, bytes, digest, have: 0, sum: Sha256::new() });
        Ok(0)
    }

    /// Takes the next piece; the bytes that are there now.
    ///
    /// # Errors
    /// [`OrderError::NotBegun`], [`OrderError::Offset`], [`OrderError::Piece`]; the disk's, after which nothing of the image is there.
    pub fn piece(&mut self, name: &str, offset: u64, piece: &[u8]) -> Result<u64, OrderError> {
        let upload = self.upload(name).ok_or_else(|| OrderError::NotBegun(name.to_owned()))?;
        let (have, most) = (upload.have, (upload.bytes - upload.have).min(PIECE_BYTES_MAX as u64));
        if offset != have {
            return Err(OrderError::Offset { have, offset });
        }
        if piece.is_empty() || piece.len() as u64 > most {
            return Err(OrderError::Piece { bytes: piece.len(), most });
        }
        upload.have += piece.len() as u64;
        upload.sum.update(piece);
        let now_there = upload.have;
        let part = file(name, PART);
        let written = match have {
            0 => self.files.create(&part, piece),
            _ => self.files.write_at(&part, have, piece),
        };
        self.or_drop(name, written)?;
        Ok(now_there)
    }

    /// Says whether the whole image has come.
    ///
    /// # Errors
    /// [`OrderError::NotBegun`], [`OrderError::Incomplete`]; [`OrderError::Damaged`], after which nothing of the image is there.
    pub fn check(&mut self, name: &str) -> Result<(), OrderError> {
        let upload = self.upload(name).ok_or_else(|| OrderError::NotBegun(name.to_owned()))?;
        let (have, bytes, expected) = (upload.have, upload.bytes, upload.digest);
        if have < bytes {
            return Err(OrderError::Incomplete { have, bytes });
        }
        let found = Digest::from_bytes(upload.sum.clone().finalize().into());
        if found != expected {
            self.drop_image(name)?;
            return Err(OrderError::Damaged { expected, found });
        }
        Ok(())
    }

    /// Keeps the order: with the document it counts, whatever happens from then on.
    ///
    /// # Errors
    /// As [`OrderFolder::check`]; the disk's, after which nothing of the order is there.
    pub fn keep(&mut self, name: &str, document: &[u8]) -> Result<(), OrderError> {
        self.check(name)?;
        let kept = self.put(name, document);
        if kept.is_err() {
            // Whatever is left of it goes at the next start.
            for ending in [NEW, DOCUMENT, IMAGE] {
                let _ = self.files.remove(&file(name, ending));
            }
        }
        self.or_drop(name, kept)?;
        self.uploads.retain(|upload| upload.name != name);
        self.kept.insert(name.to_owned());
        Ok(())
    }

    fn put(&mut self, name: &str, document: &[u8]) -> Result<(), FilesError> {
        self.files.sync(&file(name, PART))?;
        self.files.rename(&file(name, PART), &file(name, IMAGE))?;
        // A document without its image would be an order that nobody can carry out.
        self.files.sync_dir()?;
        self.files.create(&file(name, NEW), document)?;
        self.files.sync(&file(name, NEW))?;
        self.files.rename(&file(name, NEW), &file(name, DOCUMENT))?;
        self.files.sync_dir()
    }

    /// Drops an image on its way, or removes an order; whether there was one.
    ///
    /// # Errors
    /// What the disk could not do.
    pub fn remove(&mut self, name: &str) -> Result<bool, FilesError> {
        if !self.kept.contains(name) {
            let was_begun = self.upload(name).is_some();
            self.drop_image(name)?;
            return Ok(was_begun);
        }
        self.files.remove(&file(name, DOCUMENT)).or_else(nothing_there)?;
        // The image goes only when the order does not count any more.
        self.files.sync_dir()?;
        self.kept.remove(name);
        self.files.remove(&file(name, IMAGE)).or_else(nothing_there)?;
        Ok(true)
    }

    /// The image that is on its way under `name`, which somebody goes on with.
    fn upload(&mut self, name: &str) -> Option<&mut Upload> {
        let index = self.uploads.iter().position(|upload| upload.name == name)?;
        let upload = self.uploads.remove(index);
        self.uploads.push(upload);
        self.uploads.last_mut()
    }

    fn drop_image(&mut self, name: &str) -> Result<(), FilesError> {
        let had = self.uploads.iter().find(|upload| upload.name == name).map_or(0, |upload| upload.have);
        self.uploads.retain(|upload| upload.name != name);
        if had > 0 { self.files.remove(&file(name, PART)).or_else(nothing_there) } else { Ok(()) }
    }

    /// A disk that failed once may have kept anything: the image has to come anew.
    fn or_drop(&mut self, name: &str, done: Result<(), FilesError>) -> Result<(), OrderError> {
        done.map_err(|error| {
            let _ = self.drop_image(name);
            error.into()
        })
    }
}

fn file(name: &str, ending: &str) -> String {
    format!("{name}{ending}")
}

fn nothing_there(error: FilesError) -> Result<(), FilesError> {
    if error.kind == FilesErrorKind::NotFound { Ok(()) } else { Err(error) }
}
