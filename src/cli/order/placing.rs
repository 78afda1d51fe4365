//! Where an order and its image lie: both in the task folder, the image first.

use crate::cli::exit::Failure;
use crate::cli::service_user::ServiceUser;
use crate::config::Config;
use crate::daemon::io_words;
use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// Where document and image of one order lie.
pub struct Placing {
    /// Path of the task document.
    pub document: PathBuf,
    /// The image beside it.
    pub image: PathBuf,
    user: Option<ServiceUser>,
}

impl Placing {
    /// In the task folder of `config`, under `name`.
    ///
    /// # Errors
    /// Such an order is there already.
    pub fn new(config: &Config, name: &str) -> Result<Placing, Failure> {
        let folder = &config.tasks.folder;
        let folder = std::path::absolute(folder).unwrap_or(folder.clone());
        let document = folder.join(format!("{name}.json"));
        if document.exists() {
            return Err(Failure::cannot_create(format!(
                "{} is ordered already: removing it stops it; another --name sends it once more",
                document.display()
            )));
        }
        let image = folder.join(format!("{name}.bin"));
        Ok(Placing { document, image, user: ServiceUser::of(&folder, &config.state.dir) })
    }

    /// Writes both for the service's group to read. The document, which the service looks for, comes last and whole.
    ///
    /// # Errors
    /// One of them cannot be written; neither is left.
    pub fn put(&self, image: &[u8], document: &[u8]) -> Result<(), Failure> {
        self.write(&self.image, image)?;
        self.write(&self.document, document).inspect_err(|_| drop(fs::remove_file(&self.image)))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let new = path.with_extension("new");
        let written = (|| {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o640).open(&new)?;
            if let Some(user) = &self.user {
                user.give_to_group(&file)?;
            }
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, path)
        })();
        written.map_err(|error: io::Error| {
            let _ = fs::remove_file(&new);
            let advice = if error.kind() == io::ErrorKind::PermissionDenied { ": ask as root" } else { "" };
            Failure::cannot_create(format!("{}: {}{advice}", path.display(), io_words(&error)))
        })
    }
}
