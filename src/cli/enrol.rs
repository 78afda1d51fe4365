//! `fuotad group enrol`: a key begins to send on this gateway, once, by command.

use super::exit::Failure;
use super::exit::warn;
use super::files;
use super::group_args::EnrolArgs;
use super::service_user::ServiceUser;
use crate::broadcast::trace_of_use;
use crate::config::Config;
use crate::config::KeySource;
use crate::daemon::StartError;
use crate::daemon::StateFolder;
use crate::daemon::enrol_in;
use crate::daemon::io_words;
use crate::forwarder::GatewayId;
use crate::lorawan::KeyFingerprint;
use crate::store::Enrolment;
use crate::store::FCNT_FIRST;
use crate::store::RangeState;
use serde_json::json;
use std::fs::DirBuilder;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

/// Enrols the key of a group that the configuration has.
pub fn run(args: &EnrolArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let config = files::config(&args.config)?;
    make_state_folder(&args.config, &config);
    let mut key_path = args.key_file.clone();
    let mut read_key = |source: KeySource<'_>| match (&args.key_file, source) {
        (Some(path), _) => files::key(path),
        (None, KeySource::File(path)) => {
            key_path = Some(path.to_owned());
            files::key(path)
        }
        (None, source @ KeySource::Credential(_)) => files::key_from(source)
            .map_err(|error| format!("{error}: say where the key lies with --key-file")),
    };
    let (keys, proposed) =
        config.group_keys(&args.name, &mut read_key).map_err(|error| files::refused(&args.config, error))?;
    let key = keys.fingerprint();
    let folder = StateFolder::read(&config.state.dir).map_err(unreadable)?;
    // A key that is enrolled needs no number: enrolling it is refused, with the one that counts.
    let is_known = folder.is_some_and(|folder| folder.recovered.ranges.contains_key(&key));
    let first_fcnt = args.first_fcnt.or(proposed).or(is_known.then_some(FCNT_FIRST)).ok_or_else(|| {
        Failure::usage(format!(
            "from where on are the counters of group {} free? say --first-fcnt 2 for a key that was never used",
            args.name
        ))
    })?;
    let new = NewKey { group: &args.name, key, key_path, first_fcnt, after_loss: args.after_loss };
    enrol(&config, &new)?;
    if args.json {
        let answer = json!({
            "group": args.name,
            "key": new.key.to_string(),
            "first_fcnt": first_fcnt,
            "after_loss": args.after_loss,
            "state_dir": config.state.dir,
        });
        return Ok(writeln!(out, "{answer}")?);
    }
    writeln!(out, "group {}: its key is enrolled, the first FCnt is {first_fcnt}", args.name)?;
    writeln!(out, "a service that runs takes it at its next start: systemctl restart fuotad")?;
    Ok(())
}

/// The service's folder, where root enrols before the first start: one of root's would be of no use to the service.
/// What cannot be done here is told by whoever needs the folder.
pub fn make_state_folder(path: &Path, config: &Config) {
    let dir = &config.state.dir;
    let Some(user) = ServiceUser::of(path, dir).filter(|_| !dir.exists()) else { return };
    if DirBuilder::new().recursive(true).mode(0o700).create(dir).is_ok() {
        let _ = std::os::unix::fs::chown(dir, Some(user.uid), Some(user.gid));
    }
}

/// A key that is to be enrolled.
pub struct NewKey<'a> {
    /// Name of the key's group.
    pub group: &'a str,
    /// Fingerprint of the session keys.
    pub key: KeyFingerprint,
    /// Where it lies, if in a file.
    pub key_path: Option<PathBuf>,
    /// The first FCnt that may be used.
    pub first_fcnt: u32,
    /// What was known of its counters is lost or not to be relied on.
    pub after_loss: bool,
}

/// Enrols a key in the configuration's state folder, unless something there, or beside the key, says that it was used.
pub fn enrol(config: &Config, new: &NewKey<'_>) -> Result<(), Failure> {
    let NewKey { group, key, first_fcnt, after_loss, .. } = *new;
    let dir = &config.state.dir;
    let gateway =
        config.gateway.id.as_ref().and_then(|id| id.parse::<GatewayId>().ok()).map(|id| id.to_string());
    let folder = StateFolder::read(dir).map_err(unreadable)?;
    if let Some(folder) = &folder {
        let recovered = &folder.recovered;
        let of_gateways = recovered.enrolments.values().filter_map(|enrolment| enrolment.gateway.as_ref());
        if let Some((there, here)) =
            of_gateways.zip(gateway.iter().cycle()).find(|(there, here)| there != here)
            && !after_loss
        {
            let known = recovered.ranges.get(&key).and_then(RangeState::counters);
            let known =
                known.map_or(String::new(), |counters| format!(" (here {} or more)", counters.next_free));
            return Err(Failure::data(format!(
                "{}: this state folder belongs to gateway {there}, and this one is {here}: two gateways must not send under one key; use an empty folder and new keys, or --after-loss --first-fcnt N{known} where the other gateway is gone",
                dir.display()
            )));
        }
        let known = recovered.enrolments.get(&key).and_then(|enrolment| enrolment.group.as_ref());
        if let Some(other) = known.filter(|other| *other != group) {
            return Err(Failure::data(format!(
                "this key is the one of group {other}: each group needs a key of its own (`fuotad group new {group}`)"
            )));
        }
        let is_there =
            matches!(recovered.ranges.get(&key), Some(RangeState::Intact(_) | RangeState::Damaged { .. }));
        let trace = trace_of_use(recovered, &folder.reports, key, group).filter(|_| !is_there);
        if let Some(trace) = trace {
            if !after_loss {
                return Err(Failure::data(format!(
                    "{}: the key of group {group} was used here ({}), and its counter journal is gone: at least {} counters are spent, how many nobody knows; take a new key (`fuotad group new`), or say --after-loss --first-fcnt N with an N beyond every FCnt it ever used",
                    dir.display(),
                    trace.what,
                    trace.next_free
                )));
            }
            if first_fcnt < trace.next_free {
                return Err(Failure::data(format!(
                    "--first-fcnt {first_fcnt} is used: {} says that all below {} are",
                    trace.what, trace.next_free
                )));
            }
        }
    }
    let is_known = folder.is_some_and(|folder| folder.recovered.ranges.contains_key(&key));
    if let Some(witness) = witness(new.key_path.as_deref()).filter(|path| path.exists())
        && !is_known
        && !after_loss
    {
        return Err(Failure::data(format!(
            "{} says that this key was enrolled before, and {} knows nothing of it: the state folder was lost or changed; take a new key (`fuotad group new`), or say --after-loss --first-fcnt N with an N beyond every FCnt it ever used",
            witness.display(),
            dir.display()
        )));
    }
    let enrolment = Enrolment::new(group, gateway, first_fcnt, after_loss);
    enrol_in(dir, key, &enrolment).map_err(|error| match error {
        StartError::SecondInstance { .. } => Failure::data(format!(
            "the service runs in {}, and holds the counters that would begin anew: systemctl stop fuotad.socket fuotad.service, enrol, and start both again",
            dir.display()
        )),
        error => unreadable(error),
    })?;
    leave_witness(new);
    Ok(())
}

const AS_ROOT: &str = "run this command as root or as the service's user";

/// Whoever may not look into the folder is another user than the service's.
fn unreadable(error: StartError) -> Failure {
    match error {
        StartError::Store { dir, error } => Failure::data(format!("{}: {error}", dir.display())),
        error => Failure::from(error).with_hint(AS_ROOT),
    }
}

/// The file beside a key that says that it was enrolled: it stays when the state folder is lost.
fn witness(key_path: Option<&Path>) -> Option<PathBuf> {
    let mut name = key_path?.to_owned().into_os_string();
    name.push(".enrolled");
    Some(name.into())
}

fn leave_witness(new: &NewKey<'_>) {
    let Some(path) = witness(new.key_path.as_deref()) else {
        return warn(format!(
            "group {}: its key lies in no file, so nothing beside it says that it was enrolled: a lost state folder is not noticed",
            new.group
        ));
    };
    let text = format!(
        "The key of group {} (fingerprint {}) was enrolled with first FCnt {}. Keep this file beside the key: it tells a lost state folder from a new one.\n",
        new.group, new.key, new.first_fcnt
    );
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).open(&path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::PermissionDenied => warn(format!(
            "{} cannot be written: a lost state folder would not be noticed; {AS_ROOT}",
            path.display()
        )),
        Err(error) => warn(format!(
            "{}: {}: a lost state folder would not be noticed",
            path.display(),
            io_words(&error)
        )),
    }
}
