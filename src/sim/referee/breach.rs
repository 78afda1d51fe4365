//! Breaches: the rules that a transmission can break.

use crate::radio::AirtimeError;
use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::region::RfRegion;
use crate::time::Instant;

/// A rule that was broken on the air, in one line with its numbers and its clause. `at` is when the
/// transmission began unless its text says otherwise; frequencies are centres.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Breach {
    /// The referee was told of a transmission after a later one, and may have misjudged both.
    #[error("{at}: told after a transmission of {later}; the referee must hear the air in order of start")]
    OutOfOrder {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// The start that was told before.
        later: Instant,
    },
    /// No radio can send this.
    #[error("{at}: {phy_len} bytes of {modulation} cannot be on the air: {reason}")]
    NotSendable {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Modulation of the transmission.
        modulation: Modulation,
        /// Bytes of the PHYPayload.
        phy_len: usize,
        /// Reason why no radio can send it.
        reason: AirtimeError,
    },
    /// The time on air is not what the bytes need.
    #[error(
        "{at}: on the air for {said_us} us, but {phy_len} bytes of {modulation} last {airtime_us} us \
         (AN1200.13)"
    )]
    Airtime {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// As the transmission says, in microseconds.
        said_us: u64,
        /// As computed, in microseconds.
        airtime_us: u64,
        /// Modulation of the transmission.
        modulation: Modulation,
        /// Bytes of the PHYPayload.
        phy_len: usize,
    },
    /// One transmitter sent two things at once.
    #[error(
        "{at}: begins while the transmission of {other} is on the air until {until}; there is one \
         transmitter"
    )]
    Overlap {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// When the other transmission began.
        other: Instant,
        /// When the other transmission ends.
        until: Instant,
    },
    /// More airtime in a window than the sub-band allows. `at` is the end of the window.
    #[error(
        "{at}: {used_us} us on the air in the {window_us} us that end here, {label} allows {budget_us} \
         us ({clause})"
    )]
    Duty {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// On-time inside the window, in microseconds.
        used_us: u64,
        /// Length of the window in microseconds.
        window_us: u64,
        /// The most that is legal, in microseconds.
        budget_us: u64,
        /// Label of the sub-band whose limit was broken.
        label: &'static str,
        /// Where its limits are written.
        clause: &'static str,
    },
    /// A single transmission is too long.
    #[error("{at}: {airtime_us} us in one piece, {label} allows {max_tx_us} us ({clause})")]
    Dwell {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Its time on air in microseconds.
        airtime_us: u64,
        /// The limit in microseconds.
        max_tx_us: u64,
        /// Label of the sub-band whose limit was broken.
        label: &'static str,
        /// Where its limits are written.
        clause: &'static str,
    },
    /// More spectrum than one transmission may occupy.
    #[error("{at}: {bandwidth_hz} Hz of occupied bandwidth, {label} allows {max_bandwidth_hz} Hz ({clause})")]
    TooWide {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Occupied bandwidth in Hz.
        bandwidth_hz: u32,
        /// The limit in Hz.
        max_bandwidth_hz: u32,
        /// Label of the sub-band whose limit was broken.
        label: &'static str,
        /// Where its limits are written.
        clause: &'static str,
    },
    /// Too little silence between two transmissions.
    #[error(
        "{at}: {silence_us} us after the transmission before, {label} wants {min_pause_us} us of pause ({clause})"
    )]
    Pause {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Since the end of the transmission before, in microseconds.
        silence_us: u64,
        /// The least in microseconds.
        min_pause_us: u64,
        /// Label of the sub-band whose limit was broken.
        label: &'static str,
        /// Where its limits are written.
        clause: &'static str,
    },
    /// The occupied bandwidth leaves the band of the region.
    #[error(
        "{at}: {frequency_hz} Hz with {bandwidth_hz} Hz of occupied bandwidth leaves {region} \
         ({rp_name}, {min_hz}-{max_hz} Hz)"
    )]
    OutsideRegion {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Centre frequency in Hz.
        frequency_hz: u32,
        /// Occupied bandwidth in Hz.
        bandwidth_hz: u32,
        /// Region whose rules were broken.
        region: RfRegion,
        /// Name of the region in RP002.
        rp_name: &'static str,
        /// Lower end of the band in Hz.
        min_hz: u32,
        /// Upper end of the band in Hz.
        max_hz: u32,
    },
    /// The occupied bandwidth is strictly inside no default sub-band.
    #[error(
        "{at}: {frequency_hz} Hz with {bandwidth_hz} Hz of occupied bandwidth is not strictly inside a \
         sub-band; the nearest is {label}, {min_hz}-{max_hz} Hz ({clause})"
    )]
    OutsideSubBands {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Centre frequency in Hz.
        frequency_hz: u32,
        /// Occupied bandwidth in Hz.
        bandwidth_hz: u32,
        /// Label of the nearest sub-band.
        label: &'static str,
        /// Its lower border in Hz.
        min_hz: u32,
        /// Its upper border in Hz.
        max_hz: u32,
        /// Where its limits are written.
        clause: &'static str,
    },
    /// Not one of the fixed downlink channels.
    #[error("{at}: {frequency_hz} Hz is no downlink channel of {region} ({clause})")]
    OffRaster {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Centre frequency in Hz.
        frequency_hz: u32,
        /// Region whose rules were broken.
        region: RfRegion,
        /// Where the channels are written.
        clause: &'static str,
    },
    /// The radiated power is above the sub-band's limit.
    #[error("{at}: {eirp} dBm EIRP at {frequency_hz} Hz, {label} allows {max_eirp} dBm ({clause})")]
    Eirp {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// What left the antenna, EIRP.
        eirp: Dbm,
        /// The sub-band's limit of power, EIRP.
        max_eirp: Dbm,
        /// Centre frequency in Hz.
        frequency_hz: u32,
        /// Label of the sub-band whose limit was broken.
        label: &'static str,
        /// Where its limits are written.
        clause: &'static str,
    },
    /// The region has no downlink data rate with this modulation.
    #[error("{at}: {modulation} is no downlink data rate of {region} (RP002, {rp_name})")]
    DataRate {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Modulation of the transmission.
        modulation: Modulation,
        /// Region whose rules were broken.
        region: RfRegion,
        /// Name of the region in RP002.
        rp_name: &'static str,
    },
    /// More bytes than devices accept at this data rate.
    #[error("{at}: {phy_len} bytes of {modulation}, {region} allows {max_phy_len} (RP002, {rp_name})")]
    TooLong {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Bytes of the PHYPayload.
        phy_len: usize,
        /// The limit: MHDR, M and MIC.
        max_phy_len: usize,
        /// Modulation of the transmission.
        modulation: Modulation,
        /// Region whose rules were broken.
        region: RfRegion,
        /// Name of the region in RP002.
        rp_name: &'static str,
    },
    /// LoRa with upright chirps: devices do not hear it.
    #[error("{at}: a LoRa downlink without inverted IQ (TS001-1.0.4, physical layer)")]
    Polarity {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
    },
    /// A LoRa downlink has no CRC, a GFSK downlink has one.
    #[error(
        "{at}: {modulation} with payload CRC {crc}; downlinks have one with GFSK only (RP002, physical \
         layer)"
    )]
    Crc {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Whether there was one.
        crc: bool,
        /// Modulation of the transmission.
        modulation: Modulation,
    },
    /// Not the preamble of a LoRaWAN downlink.
    #[error(
        "{at}: a preamble of {preamble} with {modulation}, LoRaWAN has {expected} (RP002, physical \
         layer)"
    )]
    Preamble {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Its length in symbols (GFSK: bytes).
        preamble: u16,
        /// The right length in symbols (GFSK: bytes).
        expected: u16,
        /// Modulation of the transmission.
        modulation: Modulation,
    },
    /// A group frame with a header that a multicast frame cannot have.
    #[error(
        "{at}: group {mc_addr:08x} FCnt {fcnt}: MHDR {mhdr:#04x}, FCtrl {fctrl:#04x}, FPort {fport:?}; \
         multicast has 0x60, 0x00 and 1 to 223 (TS001-1.0.4 4)"
    )]
    GroupHeader {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// McAddr of the group, as a number.
        mc_addr: u32,
        /// FCnt of the frame.
        fcnt: u16,
        /// MHDR, the first byte of the frame.
        mhdr: u8,
        /// FCtrl of the frame.
        fctrl: u8,
        /// FPort, when there is one.
        fport: Option<u8>,
    },
    /// A counter that is never to be used.
    #[error(
        "{at}: group {mc_addr:08x} FCnt {fcnt} is never sent; only 2 to 65534 are (TS005-1.0.0, \
         McGroupSetupReq minimum and maximum)"
    )]
    ReservedFcnt {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// McAddr of the group, as a number.
        mc_addr: u32,
        /// FCnt of the frame.
        fcnt: u16,
    },
    /// One counter carried two different payloads: a keystream was used twice.
    #[error("{at}: group {mc_addr:08x} FCnt {fcnt} carries other bytes than at {first} (TS001-1.0.4 4.3.1)")]
    FcntReused {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// McAddr of the group, as a number.
        mc_addr: u32,
        /// FCnt of the frame.
        fcnt: u16,
        /// When the counter was first on the air.
        first: Instant,
    },
    /// A counter below one that was sent since power came.
    #[error("{at}: group {mc_addr:08x} FCnt {fcnt} after {highest} in one power cycle (TS001-1.0.4 4.3.1)")]
    FcntFell {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// McAddr of the group, as a number.
        mc_addr: u32,
        /// FCnt of the frame.
        fcnt: u16,
        /// The highest FCnt since power came.
        highest: u16,
    },
    /// Nobody was told to listen for the whole frame.
    #[error(
        "{at}: group {mc_addr:08x} FCnt {fcnt} lasts until {end}, not wholly inside an announced \
         session{} (TS005-1.0.0 3.5)",
        missed_text(.missed)
    )]
    OutsideSession {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// McAddr of the group, as a number.
        mc_addr: u32,
        /// FCnt of the frame.
        fcnt: u16,
        /// When the frame ends.
        end: Instant,
        /// Start and end of the session it sticks out of, when it touches one.
        missed: Option<(Instant, Instant)>,
    },
    /// A device says complete and does not hold the image. `at` is when it says so.
    #[error(
        "{at}: device {device} is complete with {image_bytes} bytes that are not the image of \
         {expected_bytes} bytes (TS004-1.0.0)"
    )]
    WrongImage {
        /// Instant of the breach, as [`Breach`] defines it.
        at: Instant,
        /// Name of the device in the scenario.
        device: String,
        /// Length of what it holds, in bytes.
        image_bytes: usize,
        /// Length of the image in bytes.
        expected_bytes: usize,
    },
}

/// The first breaches in full, all of them as a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaches {
    pub(super) first: Vec<Breach>,
    pub(super) count: u64,
}

impl Breaches {
    /// So many are kept: who breaks one rule often learns nothing from the hundred-and-first.
    pub(super) const MAX_KEPT: usize = 100;

    pub(super) fn add(&mut self, breach: Breach) {
        self.count += 1;
        if self.first.len() < Self::MAX_KEPT {
            self.first.push(breach);
        }
    }
}

fn missed_text(missed: &Option<(Instant, Instant)>) -> String {
    missed.map_or_else(String::new, |(start, end)| format!("; the one it touches is {start} to {end}"))
}
