//! The ways of an order: to the running service, which keeps both; without one into the task folder, the image first.

use crate::cli::asking;
use crate::cli::bar::Bar;
use crate::cli::exit::Failure;
use crate::cli::exit::warn;
use crate::cli::service_user::ServiceUser;
use crate::config::Config;
use crate::daemon::ControlClient;
use crate::daemon::ControlError;
use crate::daemon::io_words;
use crate::image::Digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use serde_json::json;
use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// The service judges and keeps the order within this, on a slow disk, too.
const COMMIT: Duration = Duration::from_secs(120);

/// Where document and image of one order go.
pub struct Placing {
    /// Path of the task document, which names the order.
    pub document: PathBuf,
    /// The image beside it.
    pub image: PathBuf,
    way: Way,
}

enum Way {
    /// Over the control socket.
    Service { socket: PathBuf, name: String },
    /// Into the task folder, for this user.
    Folder(Option<ServiceUser>),
}

impl Placing {
    /// The way for an order called `name` with this image: the running service, or the task folder of `config`.
    ///
    /// # Errors
    /// The service may not be asked or does not take it; such an order is there already.
    pub fn new(config: &Config, name: &str, image: &[u8]) -> Result<Placing, Failure> {
        let socket = config.control_socket();
        let begun = ControlClient::connect(&socket).and_then(|mut client| begin(&mut client, name, image));
        match begun {
            Ok((_, image)) => {
                let way = Way::Service { socket, name: name.to_owned() };
                Ok(Placing { document: image.with_extension("json"), image, way })
            }
            Err(ControlError::Io(error)) if asking::is_absent(&error) => Placing::in_folder(config, name),
            Err(error) => Err(asking::refused(&socket, error)),
        }
    }

    /// The way by the task folder of `config`, whoever runs.
    ///
    /// # Errors
    /// Such an order is there already.
    pub fn in_folder(config: &Config, name: &str) -> Result<Placing, Failure> {
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
        let way = Way::Folder(ServiceUser::of(&folder, &config.state.dir));
        Ok(Placing { document, image, way })
    }

    /// Whether no service runs, so that the task folder is the way.
    pub fn is_folder(&self) -> bool {
        matches!(self.way, Way::Folder(_))
    }

    /// Sends both to the service, or writes both for the service's group to read. The document, with which the order
    /// counts, comes last and whole. What is to be told about it, a line.
    ///
    /// # Errors
    /// The service does not take it, or a file cannot be written; then nothing is ordered.
    pub fn put(&self, image: &[u8], document: &[u8]) -> Result<String, Failure> {
        match &self.way {
            Way::Service { socket, name } => {
                let sent = send(socket, name, image, document);
                let answer = sent.map_err(|error| {
                    let failure = asking::refused(socket, error);
                    failure.with_hint("nothing was ordered; the same command goes on where this one ended")
                })?;
                Ok(taken(name, &answer))
            }
            Way::Folder(user) => {
                write(user.as_ref(), &self.image, image)?;
                write(user.as_ref(), &self.document, document)
                    .inspect_err(|_| drop(fs::remove_file(&self.image)))?;
                let path = self.document.display();
                Ok(format!("`fuotad status --watch` shows it, removing {path} stops it"))
            }
        }
    }
}

/// Announces the image: the bytes that the service has already, and where it keeps the image.
fn begin(client: &mut ControlClient, name: &str, image: &[u8]) -> Result<(usize, PathBuf), ControlError> {
    let digest = Digest::of(image).to_string();
    let answer =
        client.ask(json!({"do": "order.begin", "name": name, "bytes": image.len(), "sha256": digest}))?;
    let have = answer["have"].as_u64().and_then(|have| usize::try_from(have).ok()).unwrap_or(0);
    Ok((have.min(image.len()), PathBuf::from(answer["image"].as_str().unwrap_or_default())))
}

/// Sends what the service has not yet, then the task. Of an image that it lost on the way it gets all once more.
fn send(socket: &Path, name: &str, image: &[u8], document: &[u8]) -> Result<Value, ControlError> {
    let task: Value = serde_json::from_slice(document).map_err(io::Error::other)?;
    let mut is_second = false;
    loop {
        // Whoever was asked for consent took longer than a connection lasts.
        let mut client = ControlClient::connect(socket)?;
        let sent = pieces(&mut client, name, image).and_then(|()| {
            client.wait_up_to(COMMIT)?;
            client.ask(json!({"do": "order.commit", "name": name, "task": task}))
        });
        match sent {
            Err(ControlError::Refused { code, .. })
                if !is_second && matches!(code.as_str(), "not-begun" | "damaged") =>
            {
                is_second = true;
            }
            sent => return sent,
        }
    }
}

fn pieces(client: &mut ControlClient, name: &str, image: &[u8]) -> Result<(), ControlError> {
    let (mut have, _) = begin(client, name, image)?;
    let bar = Bar::new("bytes");
    for piece in image[have..].chunks(crate::store::PIECE_BYTES_MAX) {
        let text = BASE64_STANDARD.encode(piece);
        client.ask(json!({"do": "order.piece", "name": name, "offset": have, "piece": text}))?;
        have += piece.len();
        bar.at(have as u64, image.len() as u64, || "sent to the service".to_owned());
    }
    Ok(())
}

/// What is to be told about an order that the service took.
fn taken(name: &str, answer: &Value) -> String {
    let texts = |member: &str| {
        let values = answer[member].as_array().map(Vec::as_slice).unwrap_or_default();
        values.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let ahead = match texts("ahead") {
        none if none.is_empty() => String::new(),
        ahead => format!("it shares the radio with {}, which came first; ", ahead.join(", ")),
    };
    format!("{ahead}`fuotad status --watch` shows it, `fuotad cancel {name}` stops it")
}

fn write(user: Option<&ServiceUser>, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let new = path.with_extension("new");
    let written = (|| {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o640).open(&new)?;
        if let Some(user) = user {
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

/// Says that nobody is there to judge it.
pub fn warn_of_folder(placing: &Placing) {
    if placing.is_folder() {
        warn(
            "the service does not run: the order goes into the task folder, and is looked at when it starts",
        );
    }
}
