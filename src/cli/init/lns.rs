//! The application side of the network server, through which the first group's devices are set up.

use super::questions::Questions;
use crate::cli::exit::Failure;
use crate::cli::operator_args::InitArgs;
use crate::lns::Dialect;
use crate::lns::UnknownDialect;
use std::path::Path;
use std::path::PathBuf;

/// Says that devices are set up by others.
const NONE: &str = "none";
/// A broker beside the service.
const BROKER: &str = "mqtt://127.0.0.1:1883";
/// What groups call it.
const NAME: &str = "lns";

/// What was answered of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lns {
    kind: Dialect,
    broker: String,
    application: String,
    tenant: Option<String>,
    password_file: Option<PathBuf>,
}

impl Lns {
    /// Asks for it; `None`: the devices are set up by others.
    ///
    /// # Errors
    /// There is no answer, or a flag's is no good.
    pub fn ask(args: &InitArgs, questions: &mut Questions<'_>) -> Result<Option<Lns>, Failure> {
        let kind = |text: &str| match text {
            NONE => Ok(None),
            text => text.parse().map(Some).map_err(|error: UnknownDialect| format!("{error}, or \"{NONE}\"")),
        };
        let question = "Whose devices are set up from here over MQTT (chirpstack, the-things-stack, or none)";
        let Some(kind) = questions.ask(("--lns", args.lns.as_deref()), question, Some(NONE), kind)? else {
            return Ok(None);
        };
        let url = |text: &str| match text.starts_with("mqtt://") || text.starts_with("mqtts://") {
            true => Ok(text.to_owned()),
            false => {
                Err(format!("{text:?}: write mqtts://HOST:PORT, or mqtt://HOST:PORT without encryption"))
            }
        };
        let proposed = (kind == Dialect::ChirpStack).then_some(BROKER);
        let broker = questions.ask(("--broker", args.broker.as_deref()), "Its broker", proposed, url)?;
        let (question, example) = match kind {
            Dialect::ChirpStack => ("Its application (the 36 characters in its address)", "the id"),
            Dialect::TheThingsStack => ("Its application (APPLICATION@TENANT)", "my-meters@ttn"),
        };
        let some = |text: &str| match text {
            "" => Err(format!("nothing: write {example}")),
            text => Ok(text.to_owned()),
        };
        let flag = ("--application", args.application.as_deref());
        let application = questions.ask(flag, question, None, some)?;
        let (application, tenant) = match application.split_once('@') {
            Some((application, tenant)) => (application.to_owned(), Some(tenant.to_owned())),
            None => (application, None),
        };
        Ok(Some(Lns { kind, broker, application, tenant, password_file: args.password_file.clone() }))
    }

    /// Its lines of the configuration.
    pub fn text(&self) -> String {
        let Lns { kind, broker, application, tenant, password_file } = self;
        let mut text = format!(
            "\n[[lns]]\nname = \"{NAME}\"\nkind = \"{kind}\"\nbroker = {}\napplications = [{}]\n",
            quoted(broker),
            quoted(application)
        );
        if let Some(tenant) = tenant {
            text.push_str(&format!("tenant = {}\n", quoted(tenant)));
        }
        if let Some(path) = password_file {
            text.push_str(&format!("password-file = {}\n", quoted(&path.to_string_lossy())));
        }
        text
    }

    /// The lines of a group whose devices stand in `devices_file`.
    pub fn of_group(devices_file: &Path) -> String {
        format!(
            "lns = \"{NAME}\"\ndevices-file = {}\n\
             start-when = {{ ready-percent = 95, min-ready-percent = 50, at-latest-h = 168 }}\n",
            quoted(&devices_file.to_string_lossy())
        )
    }
}

/// A string as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
