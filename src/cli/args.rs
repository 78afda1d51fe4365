//! The words that the command line understands.

use super::group_args::GroupCommand;
use super::group_args::InspectCommand;
use super::operator_args::DEFAULT_CONFIG;
use super::operator_args::DoctorArgs;
use super::operator_args::InitArgs;
use super::operator_args::LookArgs;
use super::operator_args::OrderArgs;
use super::operator_args::RehearseArgs;
use super::operator_args::RerunArgs;
use super::operator_args::TaskArgs;
use super::prepare_args::PrepareArgs;
use crate::config::Dialect;
use crate::lns;
use clap::ArgGroup;
use clap::Args;
use clap::Parser;
use clap::Subcommand;
use std::path::PathBuf;

/// LoRaWAN multicast firmware broadcaster for the gateway.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Examples:\n  fuotad init --apply\n  fuotad doctor\n  fuotad order app.bin --group meters\n  fuotad status --watch"
)]
pub struct Cli {
    /// The command to carry out.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of the command line.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the broadcast service
    #[command(after_help = "Examples:\n  fuotad run --config fuotad.toml")]
    Run {
        /// The configuration file of the service
        #[arg(long, short, default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
    /// Make a first configuration: reads the packet forwarder's files, asks, writes, says what to change
    Init(InitArgs),
    /// Look for whatever keeps the service from its work: rights, ports, clock, forwarder, servers, disk
    Doctor(DoctorArgs),
    /// Show how the running service is doing
    Status(StatusArgs),
    /// Show how far the devices of a group are with their set-up, or begin with one of them anew
    Devices(DevicesArgs),
    /// Validate a configuration and say what is wrong
    #[command(group(ArgGroup::new("asked").args(["forwarder", "online"])))]
    #[command(
        after_help = "Examples:\n  fuotad check\n  fuotad check --forwarder /etc/lora/global_conf.json\n  fuotad check --online"
    )]
    Check {
        /// The configuration file of the service
        #[arg(default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// The same, as the other commands have it
        #[arg(long = "config", short = 'c', value_name = "CONFIG", conflicts_with = "config")]
        named: Option<PathBuf>,
        /// Print the effective configuration
        #[arg(long, conflicts_with = "forwarder")]
        print: bool,
        /// Say what must change in the packet forwarder's configuration (global_conf.json); given again, a
        /// later file wins (local_conf.json)
        #[arg(long, value_name = "FILE")]
        forwarder: Vec<PathBuf>,
        /// Which forwarder reads the file: semtech reads gateway_conf.server_address, mp, poly and dragino read
        /// the list gateway_conf.servers
        #[arg(long, requires = "forwarder", value_name = "NAME")]
        dialect: Option<Dialect>,
        /// Ask AWS, too: credentials, clock, tasks, their images and what vouches for them
        #[arg(long, conflicts_with = "print")]
        online: bool,
        /// On the gateway, before a reload: whatever would make `run` relay only is an error
        #[arg(long)]
        strict: bool,
        /// Machine-readable, with --forwarder or --online
        #[arg(long, requires = "asked")]
        json: bool,
    },
    /// Say beforehand what a task will do: fragments, timetable, sessions, airtime, warnings
    Plan(PlanArgs),
    /// Order the broadcast of an image: plans it, shows the plan, asks, and sends it to the service
    Order(OrderArgs),
    /// Send nothing of a task until it is resumed, across restarts
    #[command(after_help = "Examples:\n  fuotad pause app-1a2b3c4d")]
    Pause(TaskArgs),
    /// Let a paused task go on where it was
    #[command(after_help = "Examples:\n  fuotad resume app-1a2b3c4d")]
    Resume(TaskArgs),
    /// End a task for good, wherever it came from
    #[command(after_help = "Examples:\n  fuotad cancel app-1a2b3c4d")]
    Cancel(TaskArgs),
    /// Send a task that is over once more, as TASK~2: what its devices can still use of it
    Rerun(RerunArgs),
    /// Show the tasks that are not over
    Tasks(LookArgs),
    /// Show the campaigns that are over, the latest last: the reports in the state folder
    History(LookArgs),
    /// At a desk: make a gateway's devices file from a list of root keys on standard input
    Prepare(PrepareArgs),
    /// Check an image's signature as the service does before a broadcast
    Verify(VerifyArgs),
    /// Run a whole campaign in the simulated world
    Simulate(SimulateArgs),
    /// Run a task in the simulated world with the law, the radio and the groups of the real configuration
    Rehearse(RehearseArgs),
    /// Make multicast groups and enrol their keys
    #[command(after_help = "Examples:\n  fuotad group new meters\n  fuotad group enrol meters")]
    Group {
        /// What to do with them.
        #[command(subcommand)]
        command: GroupCommand,
    },
    /// Show fragments, frames, airtimes and keys as JSON lines, for interop work
    #[command(
        after_help = "Examples:\n  fuotad inspect airtime --sf 12 --bw-hz 125000 --len 51\n  fuotad inspect fragments --ts004 2 --frag-size 48 --coded 3 app.bin"
    )]
    Inspect {
        /// The form of the answer.
        #[command(subcommand)]
        command: InspectCommand,
    },
}

/// Where the devices file is by default.
pub const DEFAULT_DEVICES: &str = "/etc/fuotad/devices.toml";

/// Arguments of `fuotad status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fuotad status --watch\n  fuotad status --ready || echo \"not ready\"")]
pub struct StatusArgs {
    /// The service's status socket; default: the one in its configuration
    #[arg(long)]
    pub socket: Option<PathBuf>,
    /// The configuration file of the service
    #[arg(long, short, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Again every second until interrupted
    #[arg(long)]
    pub watch: bool,
    /// For scripts: end with 75 while it is not ready; without it, with 0 whenever it answers
    #[arg(long, conflicts_with = "watch")]
    pub ready: bool,
    /// Machine-readable; with --watch one document a line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `fuotad devices`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fuotad devices\n  fuotad devices show meter-17\n  fuotad devices retry 70b3d57ed0000001"
)]
pub struct DevicesArgs {
    /// What to do; default: list
    #[command(subcommand)]
    pub command: Option<DevicesCommand>,
    /// The group; default: the only one with an lns
    #[arg(long, short, global = true)]
    pub group: Option<String>,
    /// The service's control socket; default: the one in its configuration
    #[arg(long, global = true)]
    pub socket: Option<PathBuf>,
    /// The configuration file of the service
    #[arg(long, short, global = true, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Machine-readable: one device a line
    #[arg(long, global = true)]
    pub json: bool,
}

/// Commands of `fuotad devices`.
#[derive(Debug, Subcommand)]
pub enum DevicesCommand {
    /// All devices, and why some are not further
    List,
    /// Everything that is known of one device
    Show {
        /// Its DevEUI or its name
        device: String,
    },
    /// Go on with devices whose dialogue had ended
    Retry {
        /// Their DevEUIs or names
        #[arg(required = true)]
        devices: Vec<String>,
    },
    /// Forget all that was learned of devices, and begin anew
    Forget {
        /// Their DevEUIs or names
        #[arg(required = true)]
        devices: Vec<String>,
    },
    /// Ask all devices for their versions, and show how they uplink, who is out of reach and how long they would take
    Survey,
}

/// Arguments of `fuotad plan`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fuotad plan meters-1.4.2.json --svg plan.svg\n  fuotad plan meters-1.4.2.json --setup --devices devices.toml"
)]
pub struct PlanArgs {
    /// The task document, JSON
    pub task: PathBuf,
    /// The configuration file of the service
    #[arg(long, short, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// The image, where the task does not name a local file
    #[arg(long)]
    pub image: Option<PathBuf>,
    /// Compare it with the beats of ChirpStack, AWS and MultiTech, and with other promises of hearing
    #[arg(long, conflicts_with = "setup")]
    pub compare: bool,
    /// Draw the timetable into this file, SVG
    #[arg(long, value_name = "FILE", conflicts_with = "setup")]
    pub svg: Option<PathBuf>,
    /// Print the commands that prepare each device of the devices file, as JSON lines
    #[arg(long)]
    pub setup: bool,
    /// With --setup: write each command as the message to publish at this network server's broker: chirpstack,
    /// or the-things-stack with its own topics
    #[arg(long = "for", requires = "setup", value_name = "KIND")]
    pub server: Option<lns::Dialect>,
    /// The devices file for --setup (TOML: [[device]] with name and gen-app-key or app-key, or as `prepare` writes it)
    #[arg(long, default_value = DEFAULT_DEVICES)]
    pub devices: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `fuotad verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fuotad verify app.bin --signature app.sig --certificate signer.pem --anchor root.pem"
)]
pub struct VerifyArgs {
    /// The image, or a signed object of AWS Signer with the image inside
    pub image: PathBuf,
    /// Its signature: DER, RSA bytes, base64 of either, or the document of AWS Signer
    #[arg(long)]
    pub signature: Option<PathBuf>,
    /// The signer's certificate, and those above it (PEM or DER)
    #[arg(long, requires = "signature")]
    pub certificate: Option<PathBuf>,
    /// A certificate that is trusted: the signer's own, or one above it; as often as needed
    #[arg(long)]
    pub anchor: Vec<PathBuf>,
    /// The SHA-256 of a certificate, or of a public key, that is trusted; as often as needed
    #[arg(long)]
    pub pin: Vec<String>,
    /// SHA256 or SHA1; default: what the signature says, else SHA256
    #[arg(long)]
    pub hash: Option<String>,
    /// ECDSA or RSA; default: what the certificate's key is for
    #[arg(long)]
    pub algorithm: Option<String>,
    /// Take signatures over SHA-1, too
    #[arg(long)]
    pub sha1: bool,
    /// When certificates must be valid (RFC 3339); default: now
    #[arg(long)]
    pub at: Option<String>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `fuotad simulate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fuotad simulate eu868-100kb.toml --seed 7 --svg course.svg")]
pub struct SimulateArgs {
    /// The scenario file, TOML
    pub scenario: PathBuf,
    /// Where luck comes from
    #[arg(long)]
    pub seed: Option<u64>,
    /// Broadcast this file instead of the generated image
    #[arg(long)]
    pub image: Option<PathBuf>,
    /// Draw the course into this file, SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test reads the documents")]
mod tests {
    use super::*;
    use clap::error::ErrorKind;
    use std::fs;
    use std::path::Path;

    /// Placeholders of the documents that must be numbers.
    const NUMBERS: &[&str] = &["N", "\"$N\""];

    /// The command lines of `fuotad` in the fenced and indented blocks of a document.
    fn block_lines(text: &str) -> Vec<String> {
        let fenced = text.split("```").skip(1).step_by(2).flat_map(str::lines).map(str::to_owned);
        let indented = text.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned);
        let joined = fenced.chain(indented).collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        let command = |line: &str| {
            let line = line.trim().trim_start_matches("sudo ");
            let ours = line.strip_prefix("fuotad ");
            let built = line.strip_prefix("cargo run ").and_then(|rest| rest.split_once("-- "));
            ours.or(built.map(|(_, words)| words)).map(str::to_owned)
        };
        joined.lines().filter_map(command).collect()
    }

    /// The command lines of `fuotad` within the sentences of a document.
    fn inline_lines(text: &str) -> Vec<&str> {
        let prose = text.split("```").step_by(2).flat_map(|part| part.split('`').skip(1).step_by(2));
        prose.filter_map(|span| span.strip_prefix("fuotad ")).collect()
    }

    /// What is wrong with the words in `line`, before a pipe, a redirection or a remark.
    fn mistake(line: &str) -> Option<clap::Error> {
        let words =
            line.split_whitespace().take_while(|word| !matches!(*word, "|" | "<" | ">" | ">>" | "&&" | "#"));
        let words = words.map(|word| if NUMBERS.contains(&word) { "7" } else { word });
        Cli::try_parse_from(std::iter::once("fuotad").chain(words)).err()
    }

    #[test]
    fn every_command_line_in_the_documents_is_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut seen = 0;
        for folder in ["", "docs", "systemd"] {
            for entry in fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|extension| extension != "md") {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                for line in block_lines(&text) {
                    seen += 1;
                    let mistake = mistake(&line);
                    assert!(mistake.is_none(), "{}: fuotad {line}: {}", path.display(), mistake.unwrap());
                }
                // A sentence may name a command without all that it needs.
                for line in inline_lines(&text) {
                    seen += 1;
                    let kind = mistake(line).map(|mistake| mistake.kind());
                    let ends_open =
                        line.split_whitespace().next_back().is_some_and(|word| word.starts_with("--"));
                    let is_incomplete = ends_open && kind == Some(ErrorKind::InvalidValue)
                        || matches!(
                            kind,
                            Some(
                                ErrorKind::MissingRequiredArgument
                                    | ErrorKind::MissingSubcommand
                                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                            )
                        );
                    assert!(kind.is_none() || is_incomplete, "{}: fuotad {line}: {kind:?}", path.display());
                }
            }
        }
        assert!(seen > 30, "only {seen} command lines were found");
    }

    #[test]
    fn every_example_of_the_help_is_understood() {
        use clap::CommandFactory;
        let (mut seen, whole) = (0, Cli::command());
        for command in whole.get_subcommands().chain([&whole]) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:"), "fuotad {} --help shows no example", command.get_name());
            for line in help.lines().filter_map(|line| line.trim().strip_prefix("fuotad ")) {
                seen += 1;
                let line = line.split(" || ").next().unwrap();
                let mistake = mistake(line);
                assert!(mistake.is_none(), "fuotad {line}: {}", mistake.unwrap());
            }
        }
        assert!(seen > 8, "only {seen} examples were found");
    }

    #[test]
    fn a_command_line_that_is_not_understood_is_found() {
        let text =
            "```sh\nfuotad check a.toml # why\ncargo run -- simulate \\\n  b.toml\n```\n    fuotad status";
        assert_eq!(block_lines(text), ["check a.toml # why", "simulate    b.toml", "status"]);
        assert_eq!(inline_lines("`fuotad run` and `other`\n```\n`fuotad no`\n```"), ["run"]);
        assert!(mistake("check a.toml # why").is_none());
        assert!(mistake("group enrol meters --first-fcnt N").is_none());
        assert!(mistake("check --offline a.toml").is_some());
        assert!(mistake("plan").is_some());
    }
}
