//! `fuotad group new`: an address, a key, and the text that belongs into the configuration.

use super::enrol::NewKey;
use super::enrol::enrol;
use super::enrol::make_state_folder;
use super::exit::Failure;
use super::exit::warn;
use super::files;
use super::inspect::hex;
use super::service_user::ServiceUser;
use crate::config::SessionKind;
use crate::daemon::hidden;
use crate::daemon::io_words;
use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::lorawan::Secret;
use crate::store::FCNT_FIRST;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Makes a group and prints its text. The key file is new and readable by its owner only; an existing one is never touched.
pub fn new(
    name: &str,
    key_file: Option<PathBuf>,
    mc_addr: Option<McAddr>,
    config: &Path,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let key_file = key_file.unwrap_or_else(|| PathBuf::from(format!("{name}.mckey")));
    let made = make(name, &key_file, mc_addr, SessionKind::Windows, config)?;
    write!(out, "{}", made.text)?;
    let config = config.display();
    if made.is_enrolled {
        warn(format!("the key is enrolled: put the lines into {config}, then systemctl restart fuotad"));
    } else {
        writeln!(out, "first-fcnt = {FCNT_FIRST}                     # a new key: no counter was ever used")?;
        warn(format!(
            "{config} is not here, so this is not the gateway: put the lines and the key there, then `fuotad group enrol {name}`, once",
        ));
    }
    if mc_addr.is_none() {
        warn(MADE_UP);
    }
    Ok(())
}

/// What is to be said of an address that nobody assigned.
pub const MADE_UP: &str = "the address is made up, in the block of experimental networks: where your network has a DevAddr block, take one of it with --mc-addr";

/// A group that was made.
pub struct NewGroup {
    /// Its lines for the configuration.
    pub text: String,
    /// Its address, given or made up.
    pub mc_addr: McAddr,
    /// Whether its key is enrolled, which it is where there is a configuration.
    pub is_enrolled: bool,
}

/// Makes address and key, and enrols the key where `config` exists.
pub fn make(
    name: &str,
    key_file: &Path,
    mc_addr: Option<McAddr>,
    session: SessionKind,
    config: &Path,
) -> Result<NewGroup, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(Failure::usage(format!("group name {name:?}: use letters, digits, - and _")));
    }
    let mut random = Zeroizing::new([0u8; 20]);
    getrandom::fill(random.as_mut()).map_err(|error| Failure::io(format!("no randomness: {error}")))?;
    let (key, address) = random.split_at(16);
    let mc_addr = mc_addr.unwrap_or_else(|| random_address(address));
    let key_text = Zeroizing::new(hex(key) + "\n");
    let file = make_secret_file(key_file, &key_text, "--key-file")?;
    // The service has another working directory than whoever makes the group.
    let key_file = std::path::absolute(key_file).unwrap_or(key_file.to_owned());
    let key_path = toml::Value::from(key_file.to_string_lossy().into_owned());
    let session = match session {
        SessionKind::Windows => {
            "session = \"windows\"                   # its devices are told when to listen (fuotad plan --setup)\n\
             spacing = \"burst\"                     # as fast as devices, hearing and law allow, then silence"
        }
        SessionKind::Always => {
            "session = \"always\"                    # at the region's second receive window"
        }
    };
    let text = format!(
        "[[group]]\nname = \"{name}\"\nmc-addr = \"{mc_addr}\"\nmc-key-file = {key_path}\n{session}\n"
    );
    let keys = Secret::from_hex(key_text.trim()).map(|key| McSessionKeys::derive(&key, mc_addr));
    let keys = keys.map_err(|error| Failure::io(format!("the key that was made: {error}")))?;
    let is_enrolled = config.exists();
    if is_enrolled {
        let new = NewKey {
            group: name,
            key: keys.fingerprint(),
            key_path: Some(key_file.clone()),
            first_fcnt: FCNT_FIRST,
            after_loss: false,
        };
        let config_file = files::config(config)?;
        make_state_folder(config, &config_file);
        enrol(&config_file, &new)?;
        give_to_the_service(&file, &key_file, config, &config_file.state.dir);
    }
    Ok(NewGroup { text, mc_addr, is_enrolled })
}

/// A new file with this text, readable by its owner only; an existing one is never touched. `option` names another.
pub fn make_secret_file(path: &Path, text: &str, option: &str) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let wrong =
        |error: &dyn std::fmt::Display| Failure::cannot_create(format!("{}: {error}", path.display()));
    let mut file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            wrong(&format!("it is there already and never overwritten: give another {option}"))
        }
        _ => wrong(&io_words(&error)),
    })?;
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        // Half a file would only be in the way of the next attempt.
        let _ = std::fs::remove_file(path);
        return Err(wrong(&io_words(&error)));
    }
    Ok(file)
}

/// A key that root makes is for the service to read, which runs as another user.
fn give_to_the_service(key_file: &File, path: &Path, config: &Path, state_dir: &Path) {
    let Some(user) = ServiceUser::of(config, state_dir) else { return };
    let given = user.give_to_group(key_file).map_err(|error| io_words(&error));
    if let Err(error) = given.and_then(|()| user.can_read(path)) {
        warn(format!("the service cannot read the key: {error}"));
    }
    if let Some(folder) = hidden(path) {
        warn(format!(
            "the unit hides {} from the service (ProtectHome, PrivateTmp): make the key in /etc/fuotad, or pass it with LoadCredential=",
            folder.display()
        ));
    }
}

/// A random address in the block of experimental networks (NetID 0 and 1, TS001-1.0.4 6.1.1: prefix 0000000b).
fn random_address(bytes: &[u8]) -> McAddr {
    let value = bytes.iter().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
    McAddr::new((value & 0x03ff_ffff).max(1))
}
