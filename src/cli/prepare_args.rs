//! The arguments of `fuotad prepare`.

use crate::config::Hex;
use clap::Args;
use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use core::str::FromStr;
use std::path::PathBuf;

/// Arguments of `fuotad prepare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fuotad prepare --group meters --mc-key-file meters.mckey --root gen-app-key < keys.csv > meters.devices.toml"
)]
pub struct PrepareArgs {
    /// The group whose McKey it is
    #[arg(long)]
    pub group: String,
    /// The file with the group's McKey
    #[arg(long)]
    pub mc_key_file: PathBuf,
    /// Which key stands in the column root-key
    #[arg(long, value_enum)]
    pub root: RootKind,
    /// TS004 v2: the image that the devices check by a MIC of their own
    #[arg(long, requires = "session_cnt")]
    pub image: Option<PathBuf>,
    /// TS004 v2: the SessionCnt values to make MICs for, FIRST..LAST, both included
    #[arg(long, requires = "image")]
    pub session_cnt: Option<SessionCounts>,
    /// TS004 v2: the descriptor that the task will have, 8 hex digits
    #[arg(long, requires = "image", default_value = "00000000", value_parser = descriptor)]
    pub descriptor: Hex<4>,
    /// TS004 v2: give the gateway the keys of such MICs, for images to come
    #[arg(long)]
    pub with_integrity_keys: bool,
    /// One of the batches whose devices have their root keys from the same source, by its name; default: this list is one
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub batch: Option<String>,
    /// Where the devices file goes; it must not exist. Default: standard output
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// What a root key is (TS005-1.0.0 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RootKind {
    /// The GenAppKey of LoRaWAN 1.0.x devices
    #[value(name = "gen-app-key")]
    GenAppKey,
    /// The AppKey of LoRaWAN 1.0.x devices that take it for their GenAppKey
    #[value(name = "app-key-1.0")]
    AppKey10,
    /// The AppKey of LoRaWAN 1.1 devices
    #[value(name = "app-key-1.1")]
    AppKey11,
}

/// Values of SessionCnt, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCounts {
    /// The first SessionCnt of the range.
    pub first: u16,
    /// The last SessionCnt, not below the first.
    pub last: u16,
}

/// MICs of one device at most: each takes 12 bytes of its file.
const SESSION_COUNTS_MAX: u16 = 64;

impl FromStr for SessionCounts {
    type Err = String;

    fn from_str(text: &str) -> Result<SessionCounts, String> {
        let wrong =
            || format!("write FIRST..LAST, like 0..7, at most {SESSION_COUNTS_MAX} counts up to 65535");
        let (first, last) = text.split_once("..").ok_or_else(wrong)?;
        let (first, last): (u16, u16) = first.parse().ok().zip(last.parse().ok()).ok_or_else(wrong)?;
        let is_good = last.checked_sub(first).is_some_and(|more| more < SESSION_COUNTS_MAX);
        if is_good { Ok(SessionCounts { first, last }) } else { Err(wrong()) }
    }
}

fn descriptor(text: &str) -> Result<Hex<4>, String> {
    let number = (text.len() == 8).then(|| u32::from_str_radix(text, 16).ok()).flatten();
    number.map(|number| Hex(number.to_be_bytes())).ok_or_else(|| "write 8 hex digits".to_owned())
}
