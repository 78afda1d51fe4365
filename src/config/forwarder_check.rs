//! The packet forwarder's configuration against fuotad's own: what must change, and what is worth knowing.

use super::error::printable;
use super::forwarder_file::Form;
use super::forwarder_file::ForwarderFile;
use super::forwarder_file::GatewayPart;
use super::forwarder_file::RadioPart;
use crate::campaign::Group;
use crate::forwarder;
use crate::forwarder::GatewayId;
use crate::radio::Dbm;
use serde::Serialize;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::Path;

/// fuotad gives a silent forwarder up after three and a half of its keepalives; this is the longest that counts.
const KEEPALIVE_MAX_S: f64 = 35.0;
/// The forwarder's own default, seconds.
const KEEPALIVE_DEFAULT_S: f64 = 5.0;
/// A restart of fuotad, or of the gateway's network, may take so long, seconds.
const RESTART_S: f64 = 60.0;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing, or something unlawful, is sent until it is changed.
    MustChange,
    /// It works; the operator should know.
    Note,
}

/// One value of the forwarder's configuration that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where it stands in the forwarder's file.
    pub key: String,
    /// Value found in the forwarder's file.
    pub found: String,
    /// Value that fuotad needs there.
    pub wanted: String,
    /// Reason why the value must change, one sentence.
    pub why: String,
}

/// What the forwarder's file is held against.
#[derive(Clone, Copy)]
pub struct Against<'a> {
    /// Address on which fuotad listens for the forwarder.
    pub listen: SocketAddr,
    /// fuotad's side of the forwarder.
    pub link: &'a forwarder::Settings,
    /// The groups, with their channels and powers.
    pub groups: &'a [Group],
    /// The tty that fuotad's own `[gps]` reads.
    pub gps_tty: Option<&'a Path>,
}

impl ForwarderFile {
    /// Everything that does not fit, what must change first.
    pub fn findings(&self, against: &Against<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        match &self.gateway {
            Some(gateway) => gateway.findings(against, &mut findings),
            None => findings.push(note(
                "gateway_conf",
                "absent",
                "the file that has it",
                "server, ports and gateway id cannot be checked: give that file too",
            )),
        }
        match self.form {
            Some(form) => self.radio_findings(form, against, &mut findings),
            None => findings.push(note(
                "SX130x_conf",
                "absent",
                "the file that has it",
                "frequencies and powers cannot be checked: give that file too",
            )),
        }
        findings.sort_by_key(|finding| finding.severity);
        for finding in &mut findings {
            // What stands in the file is shown, not obeyed.
            finding.found = printable(&finding.found);
        }
        findings
    }

    fn radio_findings(&self, form: Form, against: &Against<'_>, findings: &mut Vec<Finding>) {
        let chip = if form == Form::Sx1302 { "SX130x_conf" } else { "SX1301_conf" };
        let chain = against.link.rf_chain;
        let key = format!("{chip}.radio_{chain}");
        let ours = against.link.forwarder_antenna_gain;
        let theirs = Dbm::from_f64(self.antenna_gain_dbi.unwrap_or(0.0)).unwrap_or_default();
        if ours != theirs {
            findings.push(must(
                format!("{chip}.antenna_gain"),
                self.antenna_gain_dbi.map_or("absent: 0".to_owned(), |gain| gain.to_string()),
                ours,
                format!(
                    "radio.forwarder-antenna-gain-dbi says {ours}: every frame would leave the antenna {} dB too {}",
                    (ours - theirs).max(theirs - ours),
                    if ours > theirs { "strong" } else { "weak" }
                ),
            ));
        }
        let Some(radio) = self.radios.get(usize::from(chain)).filter(|radio| radio.transmits) else {
            let why = "fuotad sends on this chain (radio.rf-chain), and the forwarder drops what it may not send without a word";
            findings.push(must(format!("{key}.tx_enable"), "not true", "true", why));
            return;
        };
        if self.lbt {
            let why = "the forwarder listens before it talks and drops a frame without a word while the channel is busy";
            if !against.groups.iter().any(|group| group.terms.listens_before_talk) {
                findings.push(note(format!("{chip} listen before talk"), "enabled", "known to fuotad", why));
            }
        } else if against.groups.iter().any(|group| group.terms.listens_before_talk) {
            let why =
                "radio.listen-before-talk says that this forwarder does, and fuotad's limits rely on it";
            findings.push(must(format!("{chip} listen before talk"), "not enabled", "enabled", why));
        }
        for group in against.groups {
            radio.frequency(&key, group, findings);
            radio.power(&key, form, group, theirs, against.link, findings);
        }
    }
}

impl GatewayPart {
    fn findings(&self, against: &Against<'_>, findings: &mut Vec<Finding>) {
        self.server(against.listen, findings);
        let id = self.id.as_deref().map(str::parse::<GatewayId>);
        if let (Some(wanted), Some(found)) = (against.link.gateway, &self.id)
            && !matches!(id, Some(Ok(id)) if id == wanted)
        {
            let why = "gateway.id names another forwarder: fuotad would not send it anything";
            findings.push(must("gateway_conf.gateway_ID", found, wanted, why));
        }
        if self.forwards_valid == Some(false) {
            let why = "without uplinks nobody learns the concentrator's counter, and the network server hears nothing";
            findings.push(must("gateway_conf.forward_crc_valid", "false", "true", why));
        }
        let keepalive_s = self.keepalive_s.unwrap_or(KEEPALIVE_DEFAULT_S);
        if keepalive_s > KEEPALIVE_MAX_S {
            let why = "fuotad would take the forwarder for gone between two of its PULL_DATA";
            let wanted = format!("at most {KEEPALIVE_MAX_S}, better 10");
            findings.push(must("gateway_conf.keepalive_interval", keepalive_s, wanted, why));
        }
        if let Some(threshold) = self.autoquit.filter(|threshold| *threshold > 0.0) {
            let patience_s = threshold * keepalive_s;
            let why = format!("the forwarder ends itself when fuotad is away for {patience_s} s");
            let key = "gateway_conf.autoquit_threshold";
            findings.push(if patience_s < RESTART_S {
                must(key, threshold, "0", format!("{why}: a restart may take longer"))
            } else {
                note(key, threshold, "0", why)
            });
        }
        if let Some(period_s) = self.beacon_period_s.filter(|period_s| *period_s > 0.0) {
            let why = "the forwarder sends beacons of its own: frames that meet one go later, and their airtime is not in fuotad's account";
            findings.push(note(
                "gateway_conf.beacon_period",
                period_s,
                "0, unless there are Class B devices",
                why,
            ));
        }
        if let Some((theirs, ours)) = self.gps_tty.as_deref().zip(against.gps_tty)
            && Path::new(theirs) == ours
        {
            let why = "[gps] tty reads it: two readers take each other's bytes. Leave out [gps], the forwarder tells fuotad its GPS time";
            findings.push(must("gateway_conf.gps_tty_path", theirs, "not fuotad's", why));
        }
    }

    fn server(&self, listen: SocketAddr, findings: &mut Vec<Finding>) {
        let why = "fuotad is the forwarder's one server and passes everything on to the network server";
        let key = "gateway_conf.server_address";
        let wanted =
            if listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
        let found = self.server_address.as_deref().unwrap_or("absent");
        if listen.is_ipv6() && !listen.ip().is_unspecified() {
            let why = "the forwarder speaks IPv4 only, and fuotad listens on IPv6: change [forwarder] listen";
            findings.push(must(key, found, "an IPv4 address", why));
        } else {
            let address = if found == "localhost" { Ok(IpAddr::from([127, 0, 0, 1])) } else { found.parse() };
            match address {
                Ok(address) if address == listen.ip() => {}
                Ok(address) if listen.ip().is_unspecified() && address.is_loopback() => {}
                // A name or an address of this machine may lead here, unless only loopback is listened on.
                Ok(address) if listen.ip().is_unspecified() && !address.is_unspecified() => {
                    findings.push(note(
                        key,
                        found,
                        wanted,
                        format!("{why}: it must be this machine's address"),
                    ));
                }
                Err(_) if !listen.ip().is_loopback() && self.server_address.is_some() => {
                    findings.push(note(
                        key,
                        found,
                        wanted,
                        format!("{why}: the name must lead to this machine"),
                    ));
                }
                _ => findings.push(must(key, found, wanted, why)),
            }
        }
        for (key, port) in
            [("gateway_conf.serv_port_up", self.port_up), ("gateway_conf.serv_port_down", self.port_down)]
        {
            if port != Some(f64::from(listen.port())) {
                let found = port.map_or("absent".to_owned(), |port| port.to_string());
                findings.push(must(key, found, listen.port(), why));
            }
        }
    }
}

impl RadioPart {
    fn frequency(&self, key: &str, group: &Group, findings: &mut Vec<Finding>) {
        let frequency_hz = f64::from(group.frequency_hz);
        let (least_hz, most_hz) = self.frequencies_hz.unwrap_or((0.0, 0.0));
        if !(least_hz..=most_hz).contains(&frequency_hz) {
            findings.push(must(
                format!("{key}.tx_freq_min, tx_freq_max"),
                format!("{least_hz} to {most_hz}"),
                format!("around {frequency_hz}"),
                format!("group {} is sent there, and the forwarder would refuse it (TX_FREQ)", group.name),
            ));
        }
    }

    fn power(
        &self,
        key: &str,
        form: Form,
        group: &Group,
        file_gain: Dbm,
        link: &forwarder::Settings,
        findings: &mut Vec<Finding>,
    ) {
        let name = &group.name;
        let key = match form {
            Form::Sx1302 => format!("{key}.tx_gain_lut"),
            Form::Sx1301 => "SX1301_conf.tx_lut_*".to_owned(),
        };
        // As fuotad asks: whole dBm, rounded down; the forwarder takes its own gain off.
        let powe = (group.eirp - link.antenna_gain + link.forwarder_antenna_gain).centi().div_euclid(100);
        let asked = Dbm::from_whole(powe) - file_gain;
        let Some((&lowest, &highest)) = self.gains_dbm.first().zip(self.gains_dbm.last()) else {
            let why = format!("what group {name} radiates cannot be told from this file");
            findings.push(note(key, "absent", format!("an entry for {asked} dBm"), why));
            return;
        };
        let asked_dbm = f64::from(asked.centi()) / 100.0;
        let lower =
            self.gains_dbm.iter().copied().filter(|entry| *entry <= asked_dbm).fold(None, |_, e| Some(e));
        let radiated = |entry: f64| Dbm::from_f64(entry).unwrap_or_default() + link.antenna_gain;
        let wanted = format!("an entry for {asked} dBm");
        match lower {
            Some(entry) if entry == asked_dbm => {}
            _ if form == Form::Sx1301 => {
                let found = format!("{lowest} to {highest} dBm, not {asked}");
                let why = format!(
                    "this forwarder refuses what is not in its table (TX_POWER): group {name} would never be sent; choose another eirp-dbm"
                );
                findings.push(must(key, found, wanted, why));
            }
            None => {
                let why = format!(
                    "below its lowest entry the forwarder sends with that entry, which is MORE: group {name} would radiate {} dBm EIRP instead of {}",
                    radiated(lowest),
                    group.eirp
                );
                findings.push(must(key, format!("lowest {lowest} dBm"), wanted, why));
            }
            Some(entry) if entry == highest => {
                let why = format!(
                    "group {name} asks for {} dBm EIRP and gets {}: lower its eirp-dbm, or plan with what devices will hear",
                    group.eirp,
                    radiated(entry)
                );
                findings.push(must(key, format!("highest {highest} dBm"), wanted, why));
            }
            Some(entry) => {
                let why = format!(
                    "group {name} gets the next lower entry: {} dBm EIRP instead of {}",
                    radiated(entry),
                    group.eirp
                );
                findings.push(note(key, format!("next lower {entry} dBm"), wanted, why));
            }
        }
    }
}

fn must(key: impl ToString, found: impl ToString, wanted: impl ToString, why: impl ToString) -> Finding {
    finding(Severity::MustChange, key, found, wanted, why)
}

fn note(key: impl ToString, found: impl ToString, wanted: impl ToString, why: impl ToString) -> Finding {
    finding(Severity::Note, key, found, wanted, why)
}

fn finding(
    severity: Severity,
    key: impl ToString,
    found: impl ToString,
    wanted: impl ToString,
    why: impl ToString,
) -> Finding {
    let (key, found) = (key.to_string(), found.to_string());
    Finding { severity, key, found, wanted: wanted.to_string(), why: why.to_string() }
}
