//! What keeps a frame off the air for a while, with its numbers.

use core::fmt;

/// A limit of the air that a frame waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AirLimit {
    /// The sub-band's duty cycle, everybody's frames counted.
    Law {
        /// Label of the sub-band in the law.
        sub_band: &'static str,
        /// Airtime of everything in the window that ends now, microseconds.
        used_us: u64,
        /// What the law allows in a window, less what is kept for network servers, microseconds.
        budget_us: u64,
        /// Length of the window, microseconds.
        window_us: u64,
    },
    /// The part of the duty cycle that campaigns may take (`duty-share`).
    Share {
        /// Label of the sub-band in the law.
        sub_band: &'static str,
        /// Airtime of campaigns in the window that ends now, microseconds.
        used_us: u64,
        /// What they may take in a window, microseconds.
        share_us: u64,
        /// Length of the window, microseconds.
        window_us: u64,
    },
    /// What network servers are expected to want of the duty cycle.
    Demand {
        /// Label of the sub-band in the law.
        sub_band: &'static str,
        /// Airtime that they will want in a window if they go on as they did, microseconds.
        expected_us: u64,
        /// What the law allows in a window, microseconds.
        budget_us: u64,
    },
    /// Receive windows in which a network server may still answer a device.
    Windows {
        /// How many of them are open or to come.
        windows: usize,
    },
    /// The time for which the gateway may be deaf because it sends (`max-deaf`).
    Deafness {
        /// How long it sent in the window that ends now, microseconds.
        deaf_us: u64,
        /// How long it may, microseconds.
        limit_us: u64,
        /// Length of the window, microseconds.
        window_us: u64,
    },
    /// The part of uplinks that is promised to be heard (`min-heard`).
    Hearing {
        /// For how much of the hour that ends now the mean uplink was lost, microseconds.
        lost_us: u64,
        /// For how much of it that may be, microseconds.
        limit_us: u64,
    },
    /// The hole in which slow uplinks are heard after a train of frames (`min-heard`).
    Hole {
        /// The length of the hole, microseconds.
        hole_us: u64,
    },
    /// Another frame is on the air, or the packet forwarder has it.
    Busy,
    /// The distance of all campaigns' frames in the sub-band.
    Spacing {
        /// Label of the sub-band in the law.
        sub_band: &'static str,
    },
}

impl AirLimit {
    /// A word for the limit, without its numbers.
    pub fn kind(self) -> &'static str {
        match self {
            AirLimit::Law { .. } => "duty-cycle",
            AirLimit::Share { .. } => "duty-share",
            AirLimit::Demand { .. } => "server-demand",
            AirLimit::Windows { .. } => "receive-windows",
            AirLimit::Deafness { .. } => "max-deaf",
            AirLimit::Hearing { .. } => "min-heard",
            AirLimit::Hole { .. } => "hole-for-uplinks",
            AirLimit::Busy => "radio-busy",
            AirLimit::Spacing { .. } => "spacing",
        }
    }
}

/// What is waited for, as the object of "it waits for".
impl fmt::Display for AirLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            AirLimit::Law { sub_band, used_us, budget_us, window_us } => write!(
                f,
                "room in sub-band {sub_band}: {} of the {} that the law leaves it in {} are used",
                Seconds(used_us),
                Seconds(budget_us),
                Seconds(window_us)
            ),
            AirLimit::Share { sub_band, used_us, share_us, window_us } => write!(
                f,
                "its share of sub-band {sub_band} (duty-share): campaigns used {} of {} in {}",
                Seconds(used_us),
                Seconds(share_us),
                Seconds(window_us)
            ),
            AirLimit::Demand { sub_band, expected_us, budget_us } => write!(
                f,
                "the network servers' downlinks in sub-band {sub_band}: at their pace they want {} of the law's {}",
                Seconds(expected_us),
                Seconds(budget_us)
            ),
            AirLimit::Windows { windows } => write!(
                f,
                "a gap between receive windows: a network server may still answer in {windows} of them"
            ),
            AirLimit::Deafness { deaf_us, limit_us, window_us } => write!(
                f,
                "the gateway's hearing (max-deaf): it sent for {} of the last {}, and may for {}",
                Seconds(deaf_us),
                Seconds(window_us),
                Seconds(limit_us)
            ),
            AirLimit::Hearing { lost_us, limit_us } => write!(
                f,
                "the uplinks of this hour (min-heard): a usual one was lost in {} of it, and may be in {}",
                Seconds(lost_us),
                Seconds(limit_us)
            ),
            AirLimit::Hole { hole_us } => {
                write!(f, "a hole of {} in which slow uplinks are heard (min-heard)", Seconds(hole_us))
            }
            AirLimit::Busy => {
                f.write_str("a free radio: another frame is on the air or with the packet forwarder")
            }
            AirLimit::Spacing { sub_band } => {
                write!(f, "the distance that all campaigns keep in sub-band {sub_band}")
            }
        }
    }
}

/// Microseconds as seconds with a decimal.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} s", self.0 / 1_000_000, self.0 % 1_000_000 / 100_000)
    }
}
