//! The configuration files of Semtech's packet forwarders: JSON with C comments, in the form of the SX1302's
//! (`SX130x_conf`, before 2.0 `SX1302_conf`) or of the SX1301's (`SX1301_conf`).

use super::error::ConfigError;
use serde_json::Value;

/// RF chains of a concentrator, and entries of an SX1301's gain table.
const RADIOS: usize = 2;
const SX1301_GAINS_MAX: usize = 16;

/// What a forwarder's configuration says, as far as it matters here. What is absent is `None`, what has the wrong
/// type too, as the forwarder itself has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForwarderFile {
    /// Which chip's form it has; `None` when the file holds no concentrator.
    pub form: Option<Form>,
    /// `antenna_gain`: gain of the antenna, dBi.
    pub antenna_gain_dbi: Option<f64>,
    /// `radio_0` and `radio_1`: the two RF chains.
    pub radios: [RadioPart; RADIOS],
    /// Whether it is told to listen before it talks.
    pub lbt: bool,
    /// `gateway_conf`; `None` when the file has none.
    pub gateway: Option<GatewayPart>,
}

/// Which forwarder the file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `sx1302_hal`: what is not in its gain table is sent with the next lower entry, or with the lowest.
    Sx1302,
    /// `packet_forwarder` up to 4.0.1: what is not in its gain table is refused.
    Sx1301,
}

/// An RF chain of the concentrator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RadioPart {
    /// `enable` and `tx_enable`: whether the chain transmits.
    pub transmits: bool,
    /// `tx_freq_min` and `tx_freq_max` in Hz.
    pub frequencies_hz: Option<(f64, f64)>,
    /// `rf_power` of its gain table in dBm, ascending; empty when there is none.
    pub gains_dbm: Vec<f64>,
}

/// `gateway_conf`: the forwarder's link to its server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GatewayPart {
    /// `gateway_ID`: EUI of the gateway, hex digits.
    pub id: Option<String>,
    /// `server_address`: host that the forwarder sends to.
    pub server_address: Option<String>,
    /// `serv_port_up`: UDP port of PUSH_DATA.
    pub port_up: Option<f64>,
    /// `serv_port_down`: UDP port of PULL_DATA.
    pub port_down: Option<f64>,
    /// `keepalive_interval`: seconds between two PULL_DATA.
    pub keepalive_s: Option<f64>,
    /// `forward_crc_valid`: whether receptions with a good CRC are pushed.
    pub forwards_valid: Option<bool>,
    /// `gps_tty_path`: path of the GPS receiver's tty.
    pub gps_tty: Option<String>,
    /// `beacon_period`: seconds between two beacons, 0 for none.
    pub beacon_period_s: Option<f64>,
    /// `autoquit_threshold`: unanswered PULL_DATA after which the forwarder ends.
    pub autoquit: Option<f64>,
}

impl ForwarderFile {
    /// Reads one file, or several of which a later one wins key by key (`global_conf.json`, `local_conf.json`).
    ///
    /// # Errors
    /// No JSON, with its line; or JSON of something else.
    pub fn from_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<ForwarderFile, ConfigError> {
        let mut whole = Value::Null;
        for text in texts {
            let json = serde_json::from_str(&without_comments(text)).map_err(|error| ConfigError::Text {
                line: error.line(),
                message: format!("no JSON: {}", without_place(&error.to_string())),
                hint: String::new(),
            })?;
            merge(&mut whole, json);
        }
        let file = ForwarderFile::from_json(&whole);
        if file.form.is_none() && file.gateway.is_none() {
            let message = "holds neither SX130x_conf, SX1302_conf or SX1301_conf nor gateway_conf: it is no configuration of a Semtech packet forwarder";
            return Err(ConfigError::value("the file", message));
        }
        Ok(file)
    }

    fn from_json(json: &Value) -> ForwarderFile {
        let forms =
            [("SX130x_conf", Form::Sx1302), ("SX1302_conf", Form::Sx1302), ("SX1301_conf", Form::Sx1301)];
        let found = forms.into_iter().find_map(|(key, form)| Some((json.get(key)?, form)));
        let gateway = json.get("gateway_conf").map(GatewayPart::from_json);
        let Some((chip, form)) = found else {
            return ForwarderFile { gateway, ..ForwarderFile::default() };
        };
        ForwarderFile {
            form: Some(form),
            antenna_gain_dbi: chip["antenna_gain"].as_f64(),
            radios: ["radio_0", "radio_1"].map(|key| RadioPart::from_json(&chip[key], chip, form)),
            lbt: is_true(&chip["sx1261_conf"]["lbt"]["enable"]) || is_true(&chip["lbt_cfg"]["enable"]),
            gateway,
        }
    }
}

impl RadioPart {
    fn from_json(radio: &Value, chip: &Value, form: Form) -> RadioPart {
        let mut gains_dbm: Vec<f64> = match form {
            Form::Sx1302 => {
                let entries = radio["tx_gain_lut"].as_array();
                entries.into_iter().flatten().filter_map(|entry| entry["rf_power"].as_f64()).collect()
            }
            Form::Sx1301 => {
                let entry = |n| chip[format!("tx_lut_{n}")]["rf_power"].as_f64();
                (0..SX1301_GAINS_MAX).filter_map(entry).collect()
            }
        };
        gains_dbm.sort_by(f64::total_cmp);
        RadioPart {
            transmits: is_true(&radio["enable"]) && is_true(&radio["tx_enable"]),
            frequencies_hz: radio["tx_freq_min"].as_f64().zip(radio["tx_freq_max"].as_f64()),
            gains_dbm,
        }
    }
}

impl GatewayPart {
    fn from_json(gateway: &Value) -> GatewayPart {
        let text = |key: &str| gateway[key].as_str().map(str::to_owned);
        let number = |key: &str| gateway[key].as_f64();
        GatewayPart {
            id: text("gateway_ID"),
            server_address: text("server_address"),
            port_up: number("serv_port_up"),
            port_down: number("serv_port_down"),
            keepalive_s: number("keepalive_interval"),
            forwards_valid: gateway["forward_crc_valid"].as_bool(),
            gps_tty: text("gps_tty_path"),
            beacon_period_s: number("beacon_period"),
            autoquit: number("autoquit_threshold"),
        }
    }
}

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true)
}

/// Objects key by key, everything else whole.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// C comments of both kinds become blanks, except inside strings; lines stay where they are.
fn without_comments(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if next == '"' {
            let length = string_length(rest);
            bare.push_str(&rest[..length]);
            length
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let length = comment.find("*/").map_or(rest.len(), |at| at + 4);
            bare.push(' ');
            bare.extend(rest[..length].chars().filter(|c| *c == '\n'));
            length
        } else {
            bare.push(next);
            next.len_utf8()
        };
        rest = &rest[length..];
    }
    bare
}

/// Bytes of the string literal at the beginning of `text`, quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

/// The JSON reader's message without its own line and column.
fn without_place(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SX1302: &str = include_str!("../../tests/configs/forwarder-sx1302.json");
    const SX1301: &str = include_str!("../../tests/configs/forwarder-sx1301.json");
    const LOCAL: &str = include_str!("../../tests/configs/forwarder-local.json");

    #[test]
    fn comments_go_and_what_looks_like_one_in_a_string_stays() {
        assert_eq!(without_comments("a /* b\n // \" */ c"), "a  \n c");
        assert_eq!(without_comments("1 // two\n3"), "1 \n3");
        for text in [r#""http://x""#, r#""/* \" */""#, r#""\\""#, "\"open // end", "ä/ö"] {
            assert_eq!(without_comments(text), text);
        }
        assert_eq!(without_comments(r#""\\"// gone"#), r#""\\""#);
        assert_eq!(without_comments("x /* for ever"), "x  ");
    }

    #[test]
    fn an_sx1302_file_is_read() {
        let file = ForwarderFile::from_texts([SX1302]).unwrap();
        assert_eq!((file.form, file.antenna_gain_dbi, file.lbt), (Some(Form::Sx1302), Some(2.0), false));
        let [first, second] = &file.radios;
        assert!(first.transmits && !second.transmits);
        assert_eq!(first.frequencies_hz, Some((863e6, 870e6)));
        assert_eq!((first.gains_dbm.len(), first.gains_dbm[0], first.gains_dbm[15]), (16, 12.0, 27.0));
        let gateway = file.gateway.unwrap();
        assert_eq!(gateway.id.as_deref(), Some("0016C001F1500812"));
        assert_eq!(gateway.server_address.as_deref(), Some("127.0.0.1"));
        assert_eq!((gateway.port_up, gateway.port_down), (Some(1700.0), Some(1700.0)));
        assert_eq!((gateway.beacon_period_s, gateway.gps_tty, gateway.autoquit), (None, None, None));
        // Before 2.0 the section had another name.
        let older = SX1302.replace("SX130x_conf", "SX1302_conf");
        assert_eq!(ForwarderFile::from_texts([older.as_str()]).unwrap().form, Some(Form::Sx1302));
    }

    #[test]
    fn an_sx1301_file_has_one_gain_table_for_both_radios_and_a_local_file_wins() {
        let file = ForwarderFile::from_texts([SX1301]).unwrap();
        assert_eq!(file.form, Some(Form::Sx1301));
        assert_eq!(file.radios[0].gains_dbm, [-6.0, 0.0, 14.0, 20.0, 27.0]);
        let gateway = file.gateway.unwrap();
        assert_eq!(gateway.server_address.as_deref(), Some("router.example.org"));
        assert_eq!((gateway.beacon_period_s, gateway.autoquit), (Some(128.0), Some(3.0)));
        assert_eq!(gateway.gps_tty.as_deref(), Some("/dev/ttyAMA0"));
        let gateway = ForwarderFile::from_texts([SX1301, LOCAL]).unwrap().gateway.unwrap();
        assert_eq!(gateway.server_address.as_deref(), Some("127.0.0.1"));
        assert_eq!(gateway.keepalive_s, Some(10.0), "what the local file does not say stays");
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_line() {
        let error = ForwarderFile::from_texts(["{ /* a\n b */\n \"x\": }"]).unwrap_err().to_string();
        assert_eq!(error, "line 3: no JSON: expected value");
        let error = ForwarderFile::from_texts(["{\"radio\":1}"]).unwrap_err().to_string();
        assert!(error.contains("no configuration of a Semtech packet forwarder"), "{error}");
        assert!(ForwarderFile::from_texts([]).is_err());
        for text in ["{\"gateway_conf\":null}", "{\"gateway_conf\":[7],\"SX1301_conf\":3}"] {
            assert!(ForwarderFile::from_texts([text]).is_ok(), "{text}: nothing in it, but no crash");
        }
    }
}
