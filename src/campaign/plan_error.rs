//! Why a task cannot be planned.

use crate::fragment::FragmentError;
use crate::fragment::MAX_FRAGMENTS;
use crate::region::RegionError;
use crate::region::RfRegion;
use crate::schedule::Refused;
use thiserror::Error;

/// The last frame counter that is ever used: real devices rebuild the upper half of the counter wrongly.
pub const LAST_FCNT: u32 = 65_534;

/// Why a task cannot be planned. Each message has the number and the way out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PlanError {
    #[error(
        "LoRaWAN.RfRegion of the task is {task:?}, and the gateway's is {gateway}: correct the task or `gateway.region`"
    )]
    WrongRegion { task: String, gateway: RfRegion },
    #[error("LoRaWAN.RfRegion of the task: {0}")]
    UnknownRegion(RegionError),
    #[error(transparent)]
    Region(#[from] RegionError),
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(
        "FragmentSizeBytes {size} is too large for DR{dr}: at most {largest} fit a downlink of {payload} bytes{because}"
    )]
    FragmentTooLarge { size: u16, dr: u8, largest: usize, payload: usize, because: String },
    #[error(
        "FragmentSizeBytes {size} is not a multiple of {multiple}, which device-profile {profile} needs: use {next}"
    )]
    FragmentNotAligned { size: usize, multiple: usize, profile: &'static str, next: usize },
    #[error(
        "{nb_frag} fragments and {coded} coded ones are over the {MAX_FRAGMENTS} that TS004 can number: use FragmentSizeBytes {smallest} or more"
    )]
    TooManyFragments { nb_frag: usize, coded: usize, smallest: usize },
    #[error(
        "{nb_frag} fragments and {coded} coded ones are over the {MAX_FRAGMENTS} that TS004 can number, at any fragment size DR{dr} allows: use a faster data rate or less redundancy"
    )]
    ImageTooLarge { nb_frag: usize, coded: usize, dr: u8 },
    #[error(
        "the campaign needs {needed} frame counters from {first} on, but the last usable one is {LAST_FCNT}: give the group a new key (`fuotad group new`)"
    )]
    OutOfCounters { needed: u32, first: u32 },
    #[error(
        "Fuotad.CodedFrom {coded_from} with {ordered} coded fragments of {nb_frag}: TS004 numbers {MAX_FRAGMENTS} fragments in all; leave it out, and the whole image is sent"
    )]
    NoNumbersLeft { coded_from: u32, nb_frag: u16, ordered: u32 },
    #[error("Fuotad.CodedFrom with RedundancyPercent 0 sends nothing: order 1 or more")]
    NothingToSend,
}
