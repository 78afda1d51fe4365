//! A list of devices and their root keys, comma-separated, as vendors and operators have it. Errors name the line and
//! repeat nothing that stands where a key belongs.

use super::error::ConfigError;
use super::error::Mistakes;
use crate::lorawan::Eui64;
use crate::lorawan::Secret;
use std::collections::BTreeMap;

/// Columns by their names; the first two must be there.
const COLUMNS: [&str; 6] = ["dev-eui", "root-key", "name", "device-id", "lorawan", "hardware"];
/// Mistakes that are told at once.
const MISTAKES_MAX: usize = 16;

/// One device of the list. No Debug: it holds a key.
pub struct ListedDevice {
    /// Line of the list, from 1.
    pub line: usize,
    /// DevEUI of the device.
    pub dev_eui: Eui64,
    /// The root key of the device.
    pub root_key: Secret,
    /// Its name; default: its DevEUI.
    pub name: String,
    /// Its device_id at The Things Stack.
    pub device_id: Option<String>,
    /// The LoRaWAN version, like `1.0.4`.
    pub lorawan: Option<String>,
    /// What the device is, for people.
    pub hardware: Option<String>,
}

/// The devices of a list, in its order. The first line names the columns.
///
/// # Errors
/// Every line that cannot be used, with its number.
pub fn listed_devices(text: &str) -> Result<Vec<ListedDevice>, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_end()));
    let mut lines = lines.by_ref().filter(|(_, line)| !line.is_empty());
    let header = lines.next().unwrap_or((1, ""));
    let columns = columns(header.1).map_err(|message| at(header.0, message))?;
    let mut mistakes = Mistakes::default();
    let mut count = 0;
    let mut devices = Vec::new();
    let mut seen = Seen::default();
    for (number, line) in lines {
        let device = device(number, line, &columns).and_then(|device| seen.take(&device).map(|()| device));
        match device {
            Ok(device) => devices.push(device),
            Err(message) => {
                count += 1;
                mistakes.add(at(number, message));
            }
        }
        if count == MISTAKES_MAX {
            break;
        }
    }
    if devices.is_empty() && count == 0 {
        mistakes.add(at(header.0, "there is no device below the header".to_owned()));
    }
    mistakes.or(Some(devices))
}

fn at(line: usize, message: String) -> ConfigError {
    ConfigError::Text { line, message }
}

/// The names in the header.
fn columns(header: &str) -> Result<Vec<&'static str>, String> {
    let wanted = "write a first line like dev-eui,root-key,name";
    if header.is_empty() {
        return Err(format!("it is empty: {wanted}"));
    }
    if header.contains(';') && !header.contains(',') {
        return Err(format!("semicolons stand where commas belong: {wanted}"));
    }
    let mut columns = Vec::new();
    for name in fields(header)? {
        let name = name.trim().to_ascii_lowercase();
        let Some(known) = COLUMNS.iter().find(|known| **known == name) else {
            // A first line without names begins with a DevEUI and a key.
            let shown = if name.len() < 16 { format!("{name:?}") } else { "what stands there".to_owned() };
            return Err(format!("{shown} is no column: there are {}; {wanted}", COLUMNS.join(", ")));
        };
        if columns.contains(known) {
            return Err(format!("the column {known} is there twice"));
        }
        columns.push(*known);
    }
    match COLUMNS[..2].iter().find(|needed| !columns.contains(*needed)) {
        Some(missing) => Err(format!("the column {missing} is missing: {wanted}")),
        None => Ok(columns),
    }
}

fn device(line: usize, text: &str, columns: &[&str]) -> Result<ListedDevice, String> {
    let fields = fields(text)?;
    if fields.len() != columns.len() {
        return Err(format!("there are {} fields, and the header has {}", fields.len(), columns.len()));
    }
    let field = |name: &str| {
        let place = columns.iter().position(|column| *column == name)?;
        fields.get(place).map(|field| field.trim()).filter(|field| !field.is_empty())
    };
    let dev_eui = field("dev-eui").ok_or("dev-eui is empty: write 16 hex digits")?;
    let dev_eui: Eui64 = dev_eui.parse().map_err(|error| format!("dev-eui {dev_eui:?}: {error}"))?;
    let root_key = field("root-key").ok_or("root-key is empty: write 32 hex digits")?;
    let root_key = Secret::from_hex(root_key).map_err(|error| format!("root-key: {error}"))?;
    if *root_key.expose() == [0; 16] {
        return Err("root-key is all zeros, which is no key: write the device's own".to_owned());
    }
    let text = |name: &str| field(name).map(str::to_owned);
    let name = text("name").unwrap_or_else(|| dev_eui.to_string());
    if let Some(odd) = [Some(&name), text("device-id").as_ref(), text("hardware").as_ref()]
        .into_iter()
        .flatten()
        .find(|text| text.chars().any(char::is_control))
    {
        return Err(format!("{odd:?} has a control character in it"));
    }
    let (device_id, lorawan, hardware) = (text("device-id"), text("lorawan"), text("hardware"));
    Ok(ListedDevice { line, dev_eui, root_key, name, device_id, lorawan, hardware })
}

/// The fields of a line (RFC 4180, without line feeds in quotes).
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars().peekable();
    let mut is_quoted = false;
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if is_quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if is_quoted || field.is_empty() => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    if is_quoted { Err("a quote is not closed".to_owned()) } else { Ok(fields) }
}

/// What no two devices may share, with the lines where it stands.
#[derive(Default)]
struct Seen {
    dev_euis: BTreeMap<Eui64, usize>,
    names: BTreeMap<String, usize>,
    device_ids: BTreeMap<String, usize>,
}

impl Seen {
    fn take(&mut self, device: &ListedDevice) -> Result<(), String> {
        let twice = |what: &str, value: &dyn std::fmt::Display, line: usize| {
            Err(format!("{what} {value} stands in line {line}, too: leave one out"))
        };
        if let Some(line) = self.dev_euis.insert(device.dev_eui, device.line) {
            return twice("dev-eui", &device.dev_eui, line);
        }
        if let Some(line) = self.names.insert(device.name.clone(), device.line) {
            return twice("name", &device.name, line);
        }
        if let Some(id) = &device.device_id
            && let Some(line) = self.device_ids.insert(id.clone(), device.line)
        {
            return twice("device-id", id, line);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f";

    fn refusal(text: &str) -> String {
        listed_devices(text).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_list_is_read_with_columns_in_any_order_quotes_and_what_spreadsheets_add() {
        let text = format!(
            "\u{feff}name,DEV-EUI,root-key,hardware\r\n\"meter 1, cellar\",70B3D57ED0000001,{KEY},\"rev \"\"b\"\"\"\r\n\r\n,70b3d57ed0000002,{KEY},\r\n"
        );
        let devices = listed_devices(&text).unwrap();
        let shown: Vec<_> = devices
            .iter()
            .map(|device| {
                (device.line, device.name.as_str(), device.dev_eui.to_string(), device.hardware.as_deref())
            })
            .collect();
        assert_eq!(
            shown,
            [
                (2, "meter 1, cellar", "70b3d57ed0000001".to_owned(), Some("rev \"b\"")),
                (4, "70b3d57ed0000002", "70b3d57ed0000002".to_owned(), None),
            ]
        );
        assert_eq!(devices[0].root_key.expose()[15], 15);
    }

    #[test]
    fn every_line_that_cannot_be_used_is_named_by_its_number() {
        let eui = "70b3d57ed0000001";
        let with = |line: &str| refusal(&format!("dev-eui,root-key,name\n{line}\n"));
        for (line, said) in [
            (format!("{eui},{KEY}"), "line 2: there are 2 fields, and the header has 3"),
            (
                format!("{eui},{},a", &KEY[1..]),
                "line 2: root-key: a key is 32 hex digits, but this has 31 bytes",
            ),
            (format!("{eui},{}g,a", &KEY[1..]), "line 2: root-key: a key is written in hex digits only"),
            (format!("{eui},{},a", "0".repeat(32)), "line 2: root-key is all zeros"),
            (format!("{eui},,a"), "line 2: root-key is empty"),
            (
                format!("{},{KEY},a", &eui[1..]),
                "line 2: dev-eui \"0b3d57ed0000001\": an EUI is 16 hex digits",
            ),
            (format!("70-b3-d5-7e-d0-00-00-01,{KEY},a"), "line 2: dev-eui \"70-b3-d5-7e-d0-00-00-01\""),
            (format!("{eui},{KEY},\"a"), "line 2: a quote is not closed"),
            (format!("{eui},{KEY},a\u{7}b"), "line 2: \"a\\u{7}b\" has a control character"),
            (
                format!("{eui},{KEY},a\n{},{KEY},b", eui.to_uppercase()),
                "line 3: dev-eui 70b3d57ed0000001 stands in line 2, too",
            ),
            (format!("{eui},{KEY},a\n70b3d57ed0000002,{KEY},a"), "line 3: name a stands in line 2, too"),
            (String::new(), "line 1: there is no device below the header"),
        ] {
            let refusal = with(&line);
            assert!(refusal.contains(said), "{line}: {refusal}");
            assert!(!refusal.contains("0102030405"), "{refusal}");
        }
        for (text, said) in [
            (format!("{eui},{KEY}\n"), "line 1: what stands there is no column"),
            ("dev-eui;root-key\n".to_owned(), "line 1: semicolons stand where commas belong"),
            ("dev-eui,key\n".to_owned(), "line 1: \"key\" is no column: there are dev-eui, root-key"),
            ("dev-eui,dev-eui\n".to_owned(), "line 1: the column dev-eui is there twice"),
            ("dev-eui,name\n".to_owned(), "line 1: the column root-key is missing"),
            (String::new(), "line 1: it is empty: write a first line like dev-eui,root-key,name"),
        ] {
            assert!(refusal(&text).contains(said), "{text}: {}", refusal(&text));
        }
        let devices = format!("dev-eui,root-key,device-id\n{eui},{KEY},m\n70b3d57ed0000002,{KEY},m\n");
        assert!(refusal(&devices).contains("line 3: device-id m stands in line 2, too"));
    }

    #[test]
    fn all_mistakes_are_told_at_once_up_to_a_bound() {
        let text = "dev-eui,root-key\n".to_owned() + &"x,y\n".repeat(100);
        let Err(ConfigError::Several { errors }) = listed_devices(&text).map(drop) else { panic!("one") };
        assert_eq!(errors.len(), MISTAKES_MAX);
    }
}
