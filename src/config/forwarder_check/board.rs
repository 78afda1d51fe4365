//! The concentrator's section against the groups: chains, frequencies, powers.

use super::finding::Against;
use super::finding::Finding;
use super::finding::Findings;
use super::gateway;
use super::lbt;
use crate::campaign::Group;
use crate::config::forwarder_file::Board;
use crate::config::forwarder_file::Form;
use crate::config::forwarder_file::ForwarderFile;
use crate::config::forwarder_file::GAINS_MAX;
use crate::config::forwarder_file::Given;
use crate::config::forwarder_file::RadioPart;
use crate::forwarder;
use crate::radio::Dbm;

impl ForwarderFile {
    /// Everything that does not fit, what must change first.
    pub fn findings(&self, against: &Against<'_>) -> Vec<Finding> {
        let mut findings = Findings::default();
        let wanted = "the file that has it";
        match &self.gateway {
            Some(gateway) => gateway::check(gateway, against, &mut findings),
            None => {
                let why = "server, ports and gateway id cannot be checked: give that file too";
                findings.note("gateway_conf", "absent", wanted, why);
            }
        }
        match &self.board {
            Some(board) => check(board, against, &mut findings),
            None => {
                let why = "frequencies and powers cannot be checked: give that file too";
                findings.note("SX130x_conf", "absent", wanted, why);
            }
        }
        findings.sorted()
    }
}

fn check(board: &Board, against: &Against<'_>, findings: &mut Findings) {
    starts(board, findings);
    if board.is_public != Given::Is(true) {
        let why = "the board would use the sync word of private networks, and LoRaWAN devices would not hear it, nor it them";
        findings.must(format!("{}.lorawan_public", board.key), &board.is_public, "true", why);
    }
    if board.full_duplex == Given::Is(true) {
        let why =
            "fuotad takes the gateway for deaf while it sends: what it says of uplinks lost is too much";
        findings.note(format!("{}.full_duplex", board.key), "true", "as the board is", why);
    }
    let file_gain = antenna_gain(board, against.link, findings);
    let chain = against.link.rf_chain;
    let key = format!("{}.radio_{chain}", board.key);
    lbt::check(board.key, board.lbt.as_ref(), against, findings);
    let Some(radio) = board.radios.get(usize::from(chain)).filter(|radio| radio.transmits) else {
        let why = "fuotad sends on this chain (radio.rf-chain), and the forwarder drops what it may not send without a word";
        return findings.must(format!("{key}.tx_enable"), "not true", "true", why);
    };
    for group in against.groups {
        frequency(radio, &key, group, findings);
        power(radio, board, &key, group, file_gain, against.link, findings);
    }
}

/// What keeps the forwarder from starting.
fn starts(board: &Board, findings: &mut Findings) {
    if board.key == "SX130x_conf" {
        let [com_type, com_path] = &board.bus;
        let is_bus = |text: &String| ["SPI", "spi", "USB", "usb"].iter().any(|bus| text.starts_with(bus));
        let why = "sx1302_hal does not start without it since 2.0";
        if !com_type.is().is_some_and(is_bus) {
            findings.must("SX130x_conf.com_type", com_type, "SPI or USB", why);
        }
        if com_path.is().is_none() {
            findings.must("SX130x_conf.com_path", com_path, "the board's device, as /dev/spidev0.0", why);
        }
    }
    let chips: &[&str] = match board.form {
        Form::Sx1302 => &["SX1250", "SX1255", "SX1257"],
        Form::Sx1301 => &["SX1255", "SX1257"],
    };
    for (n, radio) in board.radios.iter().enumerate().filter(|(_, radio)| radio.enabled) {
        if !radio.chip.is().is_some_and(|chip| chips.iter().any(|known| chip.starts_with(known))) {
            let key = format!("{}.radio_{n}.type", board.key);
            findings.must(
                key,
                &radio.chip,
                chips.join(" or "),
                "the forwarder does not start with another chip",
            );
        }
        if radio.transmits && board.form == Form::Sx1302 && radio.rows > GAINS_MAX {
            let why = "the forwarder does not start with more rows";
            let wanted = format!("at most {GAINS_MAX} rows");
            findings.must(
                format!("{}.radio_{n}.tx_gain_lut", board.key),
                format!("{} rows", radio.rows),
                wanted,
                why,
            );
        }
    }
}

/// What the forwarder takes off each power that it is asked for: whole dB.
fn antenna_gain(board: &Board, link: &forwarder::Settings, findings: &mut Findings) -> Dbm {
    let key = format!("{}.antenna_gain", board.key);
    let written = board.antenna_gain_dbi.or(0.0, 0.0);
    let theirs = Dbm::from_f64(written.trunc()).unwrap_or_default();
    let ours = link.forwarder_antenna_gain;
    let found = match &board.antenna_gain_dbi {
        Given::Is(gain) if gain.fract() != 0.0 => format!("{gain}, which the forwarder reads as {theirs}"),
        Given::Absent => "absent: 0".to_owned(),
        Given::Odd(found) => format!("{found}, which the forwarder reads as 0 or another number"),
        Given::Is(gain) => gain.to_string(),
    };
    let is_sure = !matches!(&board.antenna_gain_dbi, Given::Odd(_));
    if ours != theirs || !is_sure {
        let why = format!(
            "radio.forwarder-antenna-gain-dbi says {ours}: every frame would leave the antenna {} dB too {}",
            (ours - theirs).max(theirs - ours),
            if ours > theirs { "strong" } else { "weak" }
        );
        let wanted = if ours.centi() % 100 == 0 {
            ours.to_string()
        } else {
            "whole dB, the same on both sides".into()
        };
        findings.must(key, found, wanted, why);
    } else if written.fract() != 0.0 {
        findings.note(key, found, theirs, "the forwarder drops the fraction");
    }
    theirs
}

fn frequency(radio: &RadioPart, key: &str, group: &Group, findings: &mut Findings) {
    let bounds = [("tx_freq_min", &radio.least_hz), ("tx_freq_max", &radio.most_hz)];
    let [least_hz, most_hz] = bounds.map(|(_, bound)| bound.or(0, 0));
    // An absent bound is 0 to the forwarder.
    if (least_hz..=most_hz).contains(&i64::from(group.frequency_hz)) {
        return;
    }
    let [least, most] = bounds.map(|(_, bound)| match bound {
        Given::Is(bound) => bound.to_string(),
        other => format!("{other} (0)"),
    });
    findings.must(
        format!("{key}.tx_freq_min, tx_freq_max"),
        format!("{least} to {most}"),
        format!("around {}", group.frequency_hz),
        format!("group {} is sent there, and the forwarder would refuse it (TX_FREQ)", group.name),
    );
}

fn power(
    radio: &RadioPart,
    board: &Board,
    key: &str,
    group: &Group,
    file_gain: Dbm,
    link: &forwarder::Settings,
    findings: &mut Findings,
) {
    let name = &group.name;
    let key = match board.form {
        Form::Sx1302 => format!("{key}.tx_gain_lut"),
        Form::Sx1301 => "SX1301_conf.tx_lut_*".to_owned(),
    };
    // As fuotad asks: whole dBm, rounded down; the forwarder takes its own gain off.
    let powe = (group.eirp - link.antenna_gain + link.forwarder_antenna_gain).centi().div_euclid(100);
    let asked_dbm = i64::from(powe) - i64::from(file_gain.centi() / 100);
    let wanted = format!("an entry for {asked_dbm} dBm");
    let Some((&lowest, &highest)) = radio.gains_dbm.first().zip(radio.gains_dbm.last()) else {
        let why = format!("what group {name} radiates cannot be told from this file");
        return findings.note(key, "absent", wanted, why);
    };
    let lower = radio.gains_dbm.iter().copied().filter(|entry| *entry <= asked_dbm).max();
    let radiated = |entry: i64| Dbm::from_f64(entry as f64).unwrap_or_default() + link.antenna_gain;
    match lower {
        Some(entry) if entry == asked_dbm => {}
        _ if board.form == Form::Sx1301 => {
            let found = format!("{lowest} to {highest} dBm, not {asked_dbm}");
            let why = format!(
                "this forwarder refuses what is not in its table (TX_POWER): group {name} would never be sent; choose another eirp-dbm"
            );
            findings.must(key, found, wanted, why);
        }
        None => {
            let why = format!(
                "below its lowest entry the forwarder sends with that entry, which is MORE: group {name} would radiate {} dBm EIRP instead of {}",
                radiated(lowest),
                group.eirp
            );
            findings.must(key, format!("lowest {lowest} dBm"), wanted, why);
        }
        Some(entry) if entry == highest => {
            let why = format!(
                "group {name} asks for {} dBm EIRP and gets {}: lower its eirp-dbm, or plan with what devices will hear",
                group.eirp,
                radiated(entry)
            );
            findings.must(key, format!("highest {highest} dBm"), wanted, why);
        }
        Some(entry) => {
            let why = format!(
                "group {name} gets the next lower entry: {} dBm EIRP instead of {}",
                radiated(entry),
                group.eirp
            );
            findings.note(key, format!("next lower {entry} dBm"), wanted, why);
        }
    }
}
