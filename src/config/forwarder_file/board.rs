//! `SX130x_conf`, `SX1302_conf`, `SX1301_conf`: the concentrator.

use super::given::Given;
use super::given::flag;
use super::given::text;
use super::given::whole;
use super::json::Json;

/// RF chains of a concentrator.
pub(super) const RADIOS: usize = 2;
/// Rows of a gain table that the HAL takes.
pub const GAINS_MAX: usize = 16;
const I8: core::ops::RangeInclusive<i64> = i8::MIN as i64..=i8::MAX as i64;
const U32: core::ops::RangeInclusive<i64> = 0..=u32::MAX as i64;

/// Which forwarder the file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `sx1302_hal`: what is not in its gain table is sent with the next lower entry, or with the lowest.
    Sx1302,
    /// `packet_forwarder` up to 4.0.1: what is not in its gain table is refused.
    Sx1301,
}

/// What the concentrator's section says.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// Name of the section.
    pub key: &'static str,
    /// Whose form it has.
    pub form: Form,
    /// `com_type` and `com_path`, which sx1302_hal does not start without since 2.0.
    pub bus: [Given<String>; 2],
    /// `lorawan_public`: sync word 0x34; anything but `true` is the private 0x12.
    pub is_public: Given<bool>,
    /// `full_duplex`: the board hears while it sends.
    pub full_duplex: Given<bool>,
    /// `antenna_gain` in dBi. The forwarder keeps whole ones, without the fraction.
    pub antenna_gain_dbi: Given<f64>,
    /// `radio_0` and `radio_1`: the two RF chains.
    pub radios: [RadioPart; RADIOS],
    /// Listen before talk, when it is enabled.
    pub lbt: Option<Lbt>,
}

/// An RF chain of the concentrator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RadioPart {
    /// `enable`: whether the chain is used at all.
    pub enabled: bool,
    /// `type`: name of the radio chip.
    pub chip: Given<String>,
    /// `tx_enable` of an enabled chain: whether it transmits.
    pub transmits: bool,
    /// `tx_freq_min` in Hz; absent or of another type it is 0.
    pub least_hz: Given<i64>,
    /// `tx_freq_max` in Hz; absent or of another type it is 0.
    pub most_hz: Given<i64>,
    /// Rows of its gain table, as many as the file has.
    pub rows: usize,
    /// `rf_power` of its gain table in dBm, ascending; empty when there is none.
    pub gains_dbm: Vec<i64>,
}

/// Channels on which the forwarder listens before it talks: on others it drops every frame after an OK.
#[derive(Clone, Debug, PartialEq)]
pub struct Lbt {
    /// Name of the block.
    pub key: &'static str,
    /// The channels in the order of the file.
    pub channels: Vec<LbtChannel>,
}

/// A channel of listen before talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LbtChannel {
    /// `freq_hz`: centre of the channel, Hz.
    pub frequency_hz: i64,
    /// `bandwidth` in Hz; `None`: the form has none.
    pub bandwidth_hz: Option<i64>,
    /// Longest frame that is sent, milliseconds.
    pub max_tx_ms: i64,
}

impl Board {
    /// Reads a section on its own.
    pub(super) fn from_json(key: &'static str, form: Form, chip: &Json) -> Board {
        Board {
            key,
            form,
            bus: [text(chip, "com_type"), text(chip, "com_path")],
            is_public: flag(chip, "lorawan_public"),
            full_duplex: flag(chip, "full_duplex"),
            antenna_gain_dbi: antenna_gain(chip),
            radios: ["radio_0", "radio_1"].map(|radio| RadioPart::from_json(chip.get(radio), chip, form)),
            lbt: Lbt::from_json(chip, form),
        }
    }

    /// A later file's section: the forwarder reads it from the beginning, but keeps the chains and the antenna's gain
    /// that it does not name.
    pub(super) fn overlay(&mut self, chip: &Json) {
        let mut later = Board::from_json(self.key, self.form, chip);
        for (radio, (before, key)) in
            later.radios.iter_mut().zip(self.radios.iter().zip(["radio_0", "radio_1"]))
        {
            if !matches!(chip.get(key), Some(Json::Object(_))) {
                *radio = before.clone();
            }
        }
        if later.antenna_gain_dbi == Given::Absent {
            later.antenna_gain_dbi = self.antenna_gain_dbi.clone();
        }
        later.lbt = later.lbt.or(self.lbt.take());
        *self = later;
    }
}

fn antenna_gain(chip: &Json) -> Given<f64> {
    match (whole(chip, "antenna_gain", I8), chip.get("antenna_gain")) {
        (Given::Is(_), Some(Json::Number(gain))) => Given::Is(*gain),
        (Given::Odd(found), _) => Given::Odd(found),
        _ => Given::Absent,
    }
}

impl RadioPart {
    fn from_json(radio: Option<&Json>, chip: &Json, form: Form) -> RadioPart {
        let Some(radio @ Json::Object(_)) = radio else { return RadioPart::default() };
        let power = |entry: &Json| whole(entry, "rf_power", I8).or(0, 0);
        let mut gains_dbm: Vec<i64> = match (form, radio.get("tx_gain_lut")) {
            (Form::Sx1302, Some(Json::List(entries))) => entries.iter().map(power).collect(),
            (Form::Sx1302, _) => Vec::new(),
            (Form::Sx1301, _) => {
                let entry =
                    |n| chip.get(&format!("tx_lut_{n}")).filter(|entry| matches!(entry, Json::Object(_)));
                (0..GAINS_MAX).filter_map(entry).map(power).collect()
            }
        };
        let rows = gains_dbm.len();
        gains_dbm.truncate(GAINS_MAX);
        gains_dbm.sort_unstable();
        let enabled = flag(radio, "enable") == Given::Is(true);
        RadioPart {
            enabled,
            chip: text(radio, "type"),
            transmits: enabled && flag(radio, "tx_enable") == Given::Is(true),
            least_hz: whole(radio, "tx_freq_min", U32),
            most_hz: whole(radio, "tx_freq_max", U32),
            rows,
            gains_dbm,
        }
    }
}

impl Lbt {
    fn from_json(chip: &Json, form: Form) -> Option<Lbt> {
        let (key, list, block) = match form {
            Form::Sx1302 => ("sx1261_conf.lbt", "channels", chip.get("sx1261_conf")?.get("lbt")?),
            Form::Sx1301 => ("lbt_cfg", "chan_cfg", chip.get("lbt_cfg")?),
        };
        if flag(block, "enable") != Given::Is(true) {
            return None;
        }
        let channel = |entry: &Json| {
            let number = |key: &str| whole(entry, key, U32).or(0, 0);
            match form {
                Form::Sx1302 => LbtChannel {
                    frequency_hz: number("freq_hz"),
                    bandwidth_hz: Some(number("bandwidth")),
                    max_tx_ms: number("transmit_time_ms"),
                },
                // Scans of 128 us allow 400 ms of sending, those of 5 ms 4 s.
                Form::Sx1301 => LbtChannel {
                    frequency_hz: number("freq_hz"),
                    bandwidth_hz: None,
                    max_tx_ms: if number("scan_time_us") == 5000 { 4000 } else { 400 },
                },
            }
        };
        let channels = match block.get(list) {
            Some(Json::List(entries)) => entries.iter().map(channel).collect(),
            _ => Vec::new(),
        };
        Some(Lbt { key, channels })
    }
}
