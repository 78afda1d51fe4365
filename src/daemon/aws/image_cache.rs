//! The image cache: images on this gateway's disk, so that a backhaul is used once. Whole ones by their digest: all that tasks
//! need, and of the others the three used last; partial downloads by what they are of, so that a restart of the process goes on where it was.
//!
//! Nothing from here is believed: whoever takes an image hashes it. A part of an image counts up to the offset that
//! was written down after it was synced; what a power cut left behind it is cut off. When the disk fails, downloads
//! go on without it.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fs::OFlags;

use super::needed::Needed;
use super::part::ObjectVersion;
use crate::daemon::folder::read_regular;
use crate::image::Digest;
use crate::image::MAX_IMAGE_BYTES;

/// Whole images that are kept beside those that tasks need.
const IMAGES_MAX: usize = 3;
/// Partial downloads that are kept.
const PARTS_MAX: usize = 3;
const IMAGE: &str = "img";
const PART: &str = "part";
/// How much of a part is durable, in decimal digits.
const DURABLE: &str = "durable";
const DIGITS_MAX: usize = 20;

/// A folder of images.
#[derive(Clone, Debug)]
pub(super) struct ImageCache {
    dir: PathBuf,
    needed: Needed,
}

/// The name of a partial image: where it lies, and which content of it.
#[derive(Clone, Debug)]
pub(super) struct PartialDownload(String);

impl PartialDownload {
    pub(super) fn new(place: &str, version: &ObjectVersion) -> PartialDownload {
        let what = format!("{place:?} {:?} {:?} {}", version.etag, version.version, version.size);
        PartialDownload(Digest::of(what.as_bytes()).to_string()[..32].to_owned())
    }
}

impl ImageCache {
    /// The folder, for nobody else to read.
    ///
    /// # Errors
    /// The error of the file system, where the folder cannot be made.
    pub(super) fn open(dir: &Path) -> io::Result<ImageCache> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(ImageCache { dir: dir.to_owned(), needed: Needed::default() })
    }

    /// Which images are not thrown away.
    pub(super) fn needed(&self) -> &Needed {
        &self.needed
    }

    /// The image with this digest. One that is not what it was is thrown away.
    pub(super) fn image(&self, digest: Digest) -> Option<Vec<u8>> {
        let path = self.path(&digest.to_string(), IMAGE);
        let file = open(&path, OpenOptions::new().read(true).write(true)).ok()?;
        let bytes = read_regular(&file, MAX_IMAGE_BYTES).ok()?;
        if Digest::of(&bytes) != digest {
            tracing::warn!("{}: not the image that it was: thrown away", path.display());
            let _ = std::fs::remove_file(&path);
            return None;
        }
        // Used now: it stays longest.
        let _ = file.set_modified(SystemTime::now());
        Some(bytes)
    }

    /// The durable beginning of a partial image.
    pub(super) fn partial(&self, partial: &PartialDownload, size: usize) -> Vec<u8> {
        let durable = open(&self.path(&partial.0, DURABLE), OpenOptions::new().read(true))
            .and_then(|file| read_regular(&file, DIGITS_MAX));
        let durable = durable.ok().and_then(|text| String::from_utf8(text).ok()?.parse::<usize>().ok());
        let Some(durable) = durable.filter(|durable| *durable <= size) else { return Vec::new() };
        let part = open(&self.path(&partial.0, PART), OpenOptions::new().read(true))
            .and_then(|file| read_regular(&file, MAX_IMAGE_BYTES));
        let mut bytes = part.ok().filter(|part| part.len() >= durable).unwrap_or_default();
        bytes.truncate(durable);
        bytes
    }

    /// Makes `bytes`, of which `known` are there already, durable as the beginning of an image.
    ///
    /// # Errors
    /// The system's; what was durable before still is.
    pub(super) fn add(&self, partial: &PartialDownload, bytes: &[u8], known: usize) -> io::Result<()> {
        let path = self.path(&partial.0, PART);
        let is_new = !path.exists();
        let file = open(&path, OpenOptions::new().write(true).create(true))?;
        let known = if file.metadata()?.len() >= known as u64 { known } else { 0 };
        file.write_all_at(&bytes[known..], known as u64)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_data()?;
        self.write(&self.path(&partial.0, DURABLE), bytes.len().to_string().as_bytes())?;
        if is_new {
            self.prune(PART, PARTS_MAX);
        }
        Ok(())
    }

    /// Keeps a whole image, and forgets its beginning.
    ///
    /// # Errors
    /// The error of the file system, where the image cannot be written or renamed.
    pub(super) fn keep(&self, partial: &PartialDownload, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        self.write(&self.path(&digest.to_string(), IMAGE), bytes)?;
        self.forget(partial);
        self.prune(IMAGE, IMAGES_MAX);
        Ok(())
    }

    /// Forgets the beginning of an image.
    pub(super) fn forget(&self, partial: &PartialDownload) {
        for ending in [DURABLE, PART] {
            // It may be on no disk.
            let _ = std::fs::remove_file(self.path(&partial.0, ending));
        }
    }

    /// Writes a whole file: after a power cut it is there as it was, or as it is to be.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = open(&new, OpenOptions::new().write(true).create(true).truncate(true))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(&self.dir)?.sync_all()
    }

    /// Removes what was used longest ago and is not needed.
    fn prune(&self, ending: &str, keep: usize) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        let needed =
            self.needed.digests().iter().map(|digest| self.path(&digest.to_string(), IMAGE)).collect();
        let needed: BTreeSet<PathBuf> = needed;
        let mut aged: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let is_meant = path.extension().is_some_and(|extension| extension == ending);
                let used = path.metadata().and_then(|metadata| metadata.modified()).ok()?;
                (is_meant && !needed.contains(&path)).then_some((used, path))
            })
            .collect();
        aged.sort();
        let many = aged.len().saturating_sub(keep);
        for (_, path) in aged.into_iter().take(many) {
            let _ = std::fs::remove_file(path.with_extension(DURABLE));
            let _ = std::fs::remove_file(&path);
        }
    }

    fn path(&self, name: &str, ending: &str) -> PathBuf {
        self.dir.join(format!("{name}.{ending}"))
    }
}

/// Opens a file of ours: never through a link, and for nobody else to read.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::folder::tests::TempDir;
    use crate::task::TaskId;

    fn version(etag: &str) -> ObjectVersion {
        ObjectVersion { size: 1000, etag: Some(etag.to_owned()), ..ObjectVersion::default() }
    }

    fn names(cache: &ImageCache) -> Vec<String> {
        let entries = std::fs::read_dir(&cache.dir).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_three_images_used_last_are_kept() {
        let dir = TempDir::new("cache-three");
        let cache = ImageCache::open(&dir.path().join("images")).unwrap();
        let partial = PartialDownload::new("s3://b/k", &version("\"1\""));
        let old = SystemTime::UNIX_EPOCH;
        let digests: Vec<Digest> = (0..4_u8).map(|number| Digest::of(&[number])).collect();
        for (digest, number) in digests[..3].iter().zip(0..) {
            cache.keep(&partial, *digest, &[number]).unwrap();
            let path = cache.path(&digest.to_string(), IMAGE);
            File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        }
        // Use keeps.
        assert_eq!(cache.image(digests[0]), Some(vec![0]));
        cache.keep(&partial, digests[3], &[3]).unwrap();
        let there: Vec<bool> = digests.iter().map(|digest| cache.image(*digest).is_some()).collect();
        assert_eq!(there.iter().filter(|there| **there).count(), 3);
        assert!(there[0] && there[3], "{there:?}");
    }

    #[test]
    fn an_image_that_a_task_needs_stays_until_the_task_is_over() {
        let dir = TempDir::new("cache-needed");
        let cache = ImageCache::open(dir.path()).unwrap();
        let partial = PartialDownload::new("s3://b/k", &version("\"1\""));
        let task = |number: u8| TaskId::new(&number.to_string()).unwrap();
        let keep = |number: u8| {
            cache.keep(&partial, Digest::of(&[number]), &[number]).unwrap();
            let path = cache.path(&Digest::of(&[number]).to_string(), IMAGE);
            let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number.into());
            File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        };
        let there = || -> Vec<u8> {
            (0..20).filter(|number| cache.path(&Digest::of(&[*number]).to_string(), IMAGE).exists()).collect()
        };
        for number in 0..5 {
            cache.needed().need(&task(number), Some(Digest::of(&[number])));
            keep(number);
        }
        for number in 5..10 {
            keep(number);
        }
        assert_eq!(there(), [0, 1, 2, 3, 4, 7, 8, 9], "all that are needed, and three");
        cache.needed().over(&task(0));
        cache.needed().over(&task(3));
        keep(10);
        assert_eq!(there(), [1, 2, 4, 8, 9, 10]);
    }

    #[test]
    fn an_image_that_rotted_is_thrown_away() {
        let dir = TempDir::new("cache-rot");
        let cache = ImageCache::open(dir.path()).unwrap();
        let digest = Digest::of(b"image");
        cache.keep(&PartialDownload::new("p", &version("e")), digest, b"image").unwrap();
        std::fs::write(cache.path(&digest.to_string(), IMAGE), b"imagE").unwrap();
        assert_eq!((cache.image(digest), names(&cache)), (None, Vec::new()));
    }

    #[test]
    fn a_begun_image_counts_up_to_what_is_durable() {
        let dir = TempDir::new("cache-partial");
        let cache = ImageCache::open(dir.path()).unwrap();
        let partial = PartialDownload::new("s3://b/k", &version("\"1\""));
        assert_eq!(cache.partial(&partial, 1000), b"");
        cache.add(&partial, &[1; 300], 0).unwrap();
        cache.add(&partial, &[[1; 300], [2; 300]].concat(), 300).unwrap();
        assert_eq!(cache.partial(&partial, 1000), [[1; 300], [2; 300]].concat());
        // A power cut in the middle of the next range.
        let path = cache.path(&partial.0, PART);
        File::options().append(true).open(&path).unwrap().write_all(&[9; 100]).unwrap();
        assert_eq!(cache.partial(&partial, 1000).len(), 600);
        // The same place with another content is something else.
        assert_eq!(cache.partial(&PartialDownload::new("s3://b/k", &version("\"2\"")), 1000), b"");
        assert_eq!(cache.partial(&partial, 599), b"");
        File::options().write(true).open(&path).unwrap().set_len(599).unwrap();
        assert_eq!(cache.partial(&partial, 1000), b"");
        // What was lost is written again.
        cache.add(&partial, &[3; 700], 600).unwrap();
        assert_eq!(cache.partial(&partial, 1000), [3; 700]);
        cache.keep(&partial, Digest::of(b"x"), b"x").unwrap();
        assert_eq!(names(&cache), [format!("{}.img", Digest::of(b"x"))]);
    }

    #[test]
    fn begun_images_are_bounded_and_nobody_else_reads_them() {
        use std::os::unix::fs::PermissionsExt;
        let dir = TempDir::new("cache-bound");
        let cache = ImageCache::open(&dir.path().join("images")).unwrap();
        for number in 0..10 {
            let partial = PartialDownload::new("p", &version(&number.to_string()));
            cache.add(&partial, &[0; 10], 0).unwrap();
            let mode = cache.path(&partial.0, PART).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
        assert_eq!(names(&cache).len(), 2 * PARTS_MAX);
        assert_eq!(cache.dir.metadata().unwrap().permissions().mode() & 0o077, 0);
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = TempDir::new("cache-link");
        let cache = ImageCache::open(dir.path()).unwrap();
        let (target, partial) = (dir.path().join("precious"), PartialDownload::new("p", &version("1")));
        std::fs::write(&target, b"precious").unwrap();
        std::os::unix::fs::symlink(&target, cache.path(&partial.0, PART)).unwrap();
        assert!(cache.add(&partial, &[0; 10], 0).is_err());
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    }
}
