//! The words of `fuotad group` and `fuotad inspect`.

use super::operator_args::DEFAULT_CONFIG;
use crate::lorawan::McAddr;
use clap::Args;
use clap::Subcommand;
use std::path::PathBuf;

/// Commands of `fuotad group`.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make an address and a key, write the key file, print the [[group]] text; on the gateway, enrol the key
    New {
        /// The name of the new group
        name: String,
        /// Where the key goes; it must not exist
        #[arg(long)]
        key_file: Option<PathBuf>,
        /// The address, when the network server has assigned one
        #[arg(long)]
        mc_addr: Option<McAddr>,
        /// The configuration file; where there is one the key is enrolled in its state folder
        #[arg(long, short, default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
    /// Say once from where on the counters of a group's key are free; without it nothing is sent under the key
    Enrol(EnrolArgs),
}

/// Arguments of `fuotad group enrol`.
#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// The group's name in the configuration
    pub name: String,
    /// The first FCnt that may be used, 2 to 65534; default: the group's first-fcnt
    #[arg(long)]
    pub first_fcnt: Option<u32>,
    /// The counters are lost or not to be relied on: begin anew at --first-fcnt, beyond every FCnt the key ever used
    #[arg(long, requires = "first_fcnt")]
    pub after_loss: bool,
    /// The McKey, where the configuration names a credential of the service manager
    #[arg(long)]
    pub key_file: Option<PathBuf>,
    /// The configuration file of the service
    #[arg(long, short, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Commands of `fuotad inspect`.
#[derive(Debug, Subcommand)]
pub enum InspectCommand {
    /// TS004 fragments of a file: uncoded, then coded
    Fragments {
        /// TS004 version, 1 or 2
        #[arg(long)]
        ts004: u8,
        /// Bytes per fragment (FragSize), 1 to 255
        #[arg(long)]
        frag_size: usize,
        /// Number of coded fragments to show
        #[arg(long)]
        coded: u16,
        /// The file that is cut into fragments
        image: PathBuf,
    },
    /// A multicast downlink frame
    Frames(FrameArgs),
    /// Time on air of a PHYPayload
    Airtime(AirtimeArgs),
    /// Keys derived from a McKey
    Keys {
        /// The McKey, 32 hex digits
        #[arg(long)]
        mc_key: String,
        /// The McAddr, 8 hex digits
        #[arg(long)]
        mc_addr: McAddr,
        /// A LoRaWAN 1.0.x device's GenAppKey, 32 hex digits
        #[arg(long, conflicts_with = "app_key")]
        gen_app_key: Option<String>,
        /// A LoRaWAN 1.1 device's AppKey, 32 hex digits
        #[arg(long)]
        app_key: Option<String>,
    },
}

/// Arguments of `fuotad inspect frames`.
#[derive(Debug, Args)]
pub struct FrameArgs {
    /// The McAddr, 8 hex digits
    #[arg(long)]
    pub mc_addr: McAddr,
    /// The McKey, 32 hex digits
    #[arg(long, required_unless_present_all = ["mc_nwk_s_key", "mc_app_s_key"])]
    pub mc_key: Option<String>,
    /// The McNwkSKey, instead of the McKey, 32 hex digits
    #[arg(long, requires = "mc_app_s_key", conflicts_with = "mc_key")]
    pub mc_nwk_s_key: Option<String>,
    /// The McAppSKey, instead of the McKey, 32 hex digits
    #[arg(long, requires = "mc_nwk_s_key", conflicts_with = "mc_key")]
    pub mc_app_s_key: Option<String>,
    /// Frame counter, 32 bit
    #[arg(long)]
    pub fcnt: u32,
    /// FPort of the frame, 1 to 223
    #[arg(long)]
    pub fport: u8,
    /// FRMPayload as hex digits, 1 to 242 bytes
    #[arg(long)]
    pub payload: String,
}

/// Arguments of `fuotad inspect airtime`.
#[derive(Debug, Args)]
pub struct AirtimeArgs {
    /// Spreading factor of LoRa, 5 to 12
    #[arg(long, required_unless_present = "fsk_bps")]
    pub sf: Option<u8>,
    /// LoRa bandwidth in Hz: 125000, 250000 or 500000
    #[arg(long, required_unless_present = "fsk_bps")]
    pub bw_hz: Option<u32>,
    /// GFSK bit rate instead of LoRa
    #[arg(long, conflicts_with_all = ["sf", "bw_hz", "cr", "preamble", "crc", "implicit"])]
    pub fsk_bps: Option<u32>,
    /// Length of the PHYPayload in bytes, 0 to 255
    #[arg(long)]
    pub len: usize,
    /// Coding rate 4/(4+n), with n from 1 to 4
    #[arg(long, default_value_t = 1)]
    pub cr: u8,
    /// Preamble symbols; default 8, and 12 at SF5 and SF6
    #[arg(long)]
    pub preamble: Option<u16>,
    /// Count a CRC of the payload
    #[arg(long)]
    pub crc: bool,
    /// Count an implicit header (class B beacons)
    #[arg(long)]
    pub implicit: bool,
}
