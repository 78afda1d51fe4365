//! What the relay needs of a configuration, apart from everything that may be wrong with the rest of it.
//!
//! A gateway must not leave its network because a key file is missing or a group is misspelt. So `[gateway]` (its id),
//! `[forwarder]` and `[[network-server]]` can be had alone: from a configuration of which another value cannot be used
//! ([`Config::relay_only`]), from a text that is no configuration ([`Salvaged::from_text`]), and from what was kept of
//! the last good start ([`Config::relay_text`]).

use super::error::ConfigError;
use super::file::Config;
use super::server;
use crate::daemon;
use crate::daemon::ClockSettings;
use crate::engine;
use crate::forwarder;
use crate::forwarder::GatewayId;
use crate::region::Parameters;
use crate::region::RfRegion;
use crate::region::parameters_even_withdrawn;
use crate::region::unknown_law;
use crate::relay::RelaySettings;
use crate::schedule::Kept;
use crate::task::nearest;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use toml::Table;
use toml::Value;

/// The tables without which nothing is relayed.
const RELAY: [&str; 3] = ["gateway", "forwarder", "network-server"];
/// Tables that tell where we live and speak: taken when they can be used.
const HOUSEHOLD: [&str; 6] = ["state", "status", "control", "log", "clock", "web"];
/// All other tables, which the relay can do without.
const OTHERS: [&str; 7] = ["radio", "tasks", "aws", "ota", "gps", "group", "lns"];
/// How often the task folder would be looked into, microseconds.
const SCAN_US: u64 = 3_000_000;

impl Config {
    /// The settings of a daemon that relays and nothing else, and says `reason`: no group, no task, no cloud.
    ///
    /// # Errors
    /// A value that the relay itself needs.
    pub fn relay_only(&self, reason: String) -> Result<daemon::Settings, ConfigError> {
        let gateway = self.gateway.id.as_deref().map(str::parse::<GatewayId>).transpose();
        let region = self.likely_law();
        let mut relay = server::relay(&self.network_server, self.listen()?)?;
        if region.is_none() {
            without_law(&mut relay);
        }
        let link = forwarder::Settings {
            gateway: gateway.map_err(|error| self.wrong_id(&error))?,
            allow: self.forwarder.allow.iter().map(IpAddr::to_canonical).collect(),
            ..forwarder::Settings::default()
        };
        let engine = engine::Settings {
            region: region.unwrap_or(unknown_law()),
            groups: Vec::new(),
            trust_by_task: BTreeMap::new(),
            means: Default::default(),
            turns: Default::default(),
            fleets: Vec::new(),
            forwarder: link,
            relay,
            kept: Kept::default(),
            crash_rest_us: 0,
        };
        Ok(daemon::Settings {
            engine,
            listen: self.listen()?,
            state_dir: self.state.dir.clone(),
            tasks_folder: self.tasks.folder.clone(),
            scan_us: SCAN_US,
            status_socket: self.status.socket.clone(),
            control_socket: self.control_socket(),
            // Not even a wrong address of the page keeps the relay away.
            web: self.web.as_ref().and_then(|web| web.settings().ok()),
            clock: ClockSettings { trust: self.clock.trust, evidence: self.clock.evidence.clone() },
            gps: None,
            lns: Vec::new(),
            log: self.log.filter.clone(),
            relay_only: Some(reason),
            relay_text: None,
            remarks: Vec::new(),
        })
    }

    /// The law that network servers' downlinks are held against; `None`: the region has no such name.
    fn likely_law(&self) -> Option<&'static Parameters> {
        let (region, _) = RfRegion::parse_with_note(&self.gateway.region).ok()?;
        Some(parameters_even_withdrawn(region))
    }

    /// What the relay needs of this configuration, as a text that can be kept: no comment, no group, no path of a key.
    /// `None` when it cannot be written down.
    pub fn relay_text(&self) -> Option<String> {
        let mut table = Table::try_from(self).ok()?;
        table.retain(|name, _| RELAY.contains(&name) || HOUSEHOLD.contains(&name));
        toml::to_string(&table).ok()
    }
}

/// Nobody can be held to a law that nobody knows.
fn without_law(relay: &mut RelaySettings) {
    for server in &mut relay.servers {
        server.is_enforced = false;
    }
}

/// What could be read of a text that is no configuration as a whole.
#[derive(Clone, Debug)]
pub struct Salvaged {
    /// The relay's tables; all else has its defaults.
    pub config: Config,
    /// No table is there that nobody knows: it may be one of the relay's, misspelt. Otherwise what was kept of a good start
    /// is better.
    pub is_sure: bool,
}

impl Salvaged {
    /// The relay's tables of `text`, each read for itself; `None` when one of them cannot be used.
    pub fn from_text(text: &str, environment: &BTreeMap<String, String>) -> Option<Salvaged> {
        let whole: Table = toml::from_str(text).ok()?;
        let is_strange =
            |name: &str| !RELAY.contains(&name) && !HOUSEHOLD.contains(&name) && !OTHERS.contains(&name);
        let has_strange = whole.keys().any(|name| is_strange(name) && nearest(name, &OTHERS).is_none());
        // Without a server there is nothing to relay, and a misspelt one is one that is missing.
        whole.get("network-server").and_then(Value::as_array).filter(|list| !list.is_empty())?;
        let mut table = Table::new();
        table.insert("gateway".to_owned(), Value::Table(gateway(&whole)));
        for name in &RELAY[1..] {
            table.extend(whole.get(*name).map(|value| ((*name).to_owned(), value.clone())));
        }
        let mut sections = RELAY.map(str::to_owned).to_vec();
        let mut config = read(&table, &sections, environment)?;
        for name in HOUSEHOLD {
            let (mut more, mut and_its) = (table.clone(), sections.clone());
            more.extend(whole.get(name).map(|value| (name.to_owned(), value.clone())));
            and_its.push(name.to_owned());
            if let Some(better) = read(&more, &and_its, environment) {
                (table, sections, config) = (more, and_its, better);
            }
        }
        Some(Salvaged { config, is_sure: !has_strange })
    }
}

/// `[gateway]` as far as the relay needs it: the region may be missing or misspelt.
fn gateway(whole: &Table) -> Table {
    let written = whole.get("gateway").and_then(Value::as_table);
    let mut table = Table::new();
    for (name, value) in written.into_iter().flatten() {
        let is_usable = match name.as_str() {
            "id" => true,
            "region" => value.is_str(),
            "withdrawn-region" => value.is_bool(),
            _ => false,
        };
        if is_usable {
            table.insert(name.clone(), value.clone());
        }
    }
    table.entry("region").or_insert_with(|| Value::String(String::new()));
    table
}

/// A configuration of these tables, with those variables over it that belong to `sections`.
fn read(table: &Table, sections: &[String], environment: &BTreeMap<String, String>) -> Option<Config> {
    let text = toml::to_string(table).ok()?;
    let is_meant = |name: &str| {
        let name = name.to_lowercase().replace('_', "-");
        sections.iter().any(|section| name.starts_with(&format!("fuotad--{section}--")))
    };
    let theirs = environment.iter().filter(|(name, _)| is_meant(name));
    let theirs = theirs.map(|(name, value)| (name.clone(), value.clone())).collect();
    Config::from_text(&text, &theirs).or_else(|_| Config::from_text(&text, &BTreeMap::new())).ok()
}

/// Where a text that is no TOML says that the state folder is: the line `dir = ` below `[state]`, if it can be read.
pub fn state_dir_in(text: &str) -> Option<PathBuf> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with("[state]")).skip(1);
    let line = lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .find(|line| line.strip_prefix("dir").is_some_and(|rest| rest.trim_start().starts_with('=')))?;
    let table: Table = toml::from_str(line).ok()?;
    table.get("dir").and_then(Value::as_str).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [gateway]
        region = "EU868"
        id = "0016c001f1500812"
        [radio]
        duty-share = 0.3 # a secret stands in a comment: 00112233445566778899aabbccddeeff
        [forwarder]
        listen = "127.0.0.1:1701"
        [[network-server]]
        address = "lns.example.org:1700"
        enforce = true
        [state]
        dir = "/var/lib/elsewhere"
        [[group]]
        name = "meters"
        mc-addr = "01c0ffee"
        mc-key-file = "/etc/fuotad/meters.mckey"
    "#;

    fn salvaged(text: &str) -> Option<Salvaged> {
        Salvaged::from_text(text, &BTreeMap::new())
    }

    #[test]
    fn what_is_kept_has_the_relays_tables_and_nothing_that_is_secret() {
        let config = Config::from_text(GOOD, &BTreeMap::new()).unwrap();
        let text = config.relay_text().unwrap();
        for secret in ["00112233", "mckey", "group", "radio"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        let kept = Config::from_text(&text, &BTreeMap::new()).unwrap();
        assert_eq!(kept.network_server[0].address, "lns.example.org:1700");
        assert!(kept.network_server[0].enforce);
        assert_eq!(kept.state.dir, PathBuf::from("/var/lib/elsewhere"));
        assert_eq!(kept.gateway.id, config.gateway.id);
        assert_eq!(kept.forwarder.listen, "127.0.0.1:1701");
    }

    #[test]
    fn a_misspelt_key_elsewhere_leaves_the_relays_tables_as_they_are() {
        for (from, to) in [
            ("mc-addr =", "mc-adr ="),
            ("duty-share = 0.3", "duty-share = \"a third\""),
            ("[radio]", "[radioo]"),
            ("region = \"EU868\"", "regoin = \"EU868\""),
            ("region = \"EU868\"", "region = 868"),
        ] {
            let salvaged = salvaged(&GOOD.replace(from, to)).expect(to);
            assert!(salvaged.is_sure, "{to}");
            assert_eq!(salvaged.config.network_server[0].address, "lns.example.org:1700", "{to}");
            assert_eq!(salvaged.config.state.dir, PathBuf::from("/var/lib/elsewhere"), "{to}");
            let settings = salvaged.config.relay_only("why".to_owned()).expect(to);
            assert!(settings.engine.groups.is_empty(), "{to}");
        }
    }

    #[test]
    fn what_may_be_a_misspelt_table_of_the_relay_is_not_relied_on() {
        assert!(salvaged(&GOOD.replace("network-server", "network-servers")).is_none());
        let more = "[[network-servers]]\naddress = \"b:1\"\n[[network-server]]";
        assert!(!salvaged(&GOOD.replace("[[network-server]]", more)).unwrap().is_sure);
        assert!(salvaged(&GOOD.replace("enforce = true", "enforc = true")).is_none());
        assert!(salvaged(&GOOD.replace("listen = ", "lisen = ")).is_none());
        assert!(salvaged(&GOOD.replace("[radio]", "[radio")).is_none());
    }

    #[test]
    fn no_server_is_held_to_a_law_that_nobody_knows() {
        let config = Config::from_text(&GOOD.replace("EU868", "EU867"), &BTreeMap::new()).unwrap();
        let settings = config.relay_only("why".to_owned()).unwrap();
        assert!(!settings.engine.relay.servers[0].is_enforced);
        assert!(settings.engine.region.sub_bands.is_empty());
    }

    #[test]
    fn the_state_folder_of_a_broken_text_is_found_by_its_line() {
        assert_eq!(state_dir_in(&format!("{GOOD}\nbroken = [")), Some(PathBuf::from("/var/lib/elsewhere")));
        assert_eq!(state_dir_in("[state]\n[tasks]\ndir = \"/x\"\n"), None);
        assert_eq!(state_dir_in("dir = \"/x\"\n"), None);
    }
}
