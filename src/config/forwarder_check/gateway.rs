//! `gateway_conf` against fuotad's side of the link.

use super::finding::Against;
use super::finding::Findings;
use super::server;
use crate::config::forwarder_file::Gateway;
use crate::config::forwarder_file::Given;
use crate::forwarder::GatewayId;
use std::path::Path;

/// fuotad gives a silent forwarder up after three and a half of its keepalives; this is the longest that counts.
const KEEPALIVE_MAX_S: i64 = 35;
/// The forwarder's own default, seconds.
const KEEPALIVE_DEFAULT_S: i64 = 5;
/// A restart of fuotad, or of the gateway's network, may take so long, seconds.
const RESTART_S: i64 = 60;
/// The forwarder's default between two reports, seconds; and the longest that costs nothing.
const STAT_DEFAULT_S: i64 = 30;
const STAT_MAX_S: i64 = 60;
/// The EUI in the files as they are shipped.
const SHIPPED_ID: u64 = 0xAA55_5A00_0000_0000;

pub(super) fn check(gateway: &Gateway, against: &Against<'_>, findings: &mut Findings) {
    server::check(gateway, against.listen, against.dialect, findings);
    id(gateway, against.link.gateway, findings);
    timing(gateway, findings);
    if gateway.forwards_valid == Given::Is(false) {
        let why =
            "without uplinks nobody learns the concentrator's counter, and the network server hears nothing";
        findings.must("gateway_conf.forward_crc_valid", "false", "true", why);
    }
    beacons(&gateway.beacon_period_s, findings);
    if let Some((theirs, ours)) = gateway.gps_tty.is().zip(against.gps_tty)
        && Path::new(theirs) == ours
    {
        let why = "[gps] tty reads it: two readers take each other's bytes. Leave out [gps], the forwarder tells fuotad its GPS time";
        findings.must("gateway_conf.gps_tty_path", theirs, "not fuotad's", why);
    }
}

/// The number in `gateway_ID` as `sscanf` reads it: blanks, `0x`, then digits up to the first that is none.
fn eui(text: &str) -> u64 {
    let digits = text.trim_start();
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
    let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
    match digits[..length].trim_start_matches('0') {
        "" => 0,
        number => u64::from_str_radix(number, 16).unwrap_or(u64::MAX),
    }
}

fn id(gateway: &Gateway, wanted: Option<GatewayId>, findings: &mut Findings) {
    let key = "gateway_conf.gateway_ID";
    let found = gateway.id.is().map(|text| eui(text)).unwrap_or(0);
    if let Some(wanted) = wanted {
        if wanted != GatewayId(found.to_be_bytes()) {
            let why = "gateway.id names another forwarder: fuotad would not send it anything";
            findings.must(key, &gateway.id, wanted, why);
        }
    } else if gateway.id.is().is_some() && (found == SHIPPED_ID || found == 0) {
        let why = "it is no gateway's own EUI: two gateways with it look like one to the network server";
        findings.note(key, &gateway.id, "the EUI on the board", why);
    }
}

fn timing(gateway: &Gateway, findings: &mut Findings) {
    let key = "gateway_conf.keepalive_interval";
    let keepalive_s = gateway.keepalive_s.or(KEEPALIVE_DEFAULT_S, 0);
    let wanted = format!("1 to {KEEPALIVE_MAX_S}, better 10");
    if keepalive_s > KEEPALIVE_MAX_S {
        let why = "fuotad would take the forwarder for gone between two of its PULL_DATA";
        findings.must(key, keepalive_s, wanted, why);
    } else if keepalive_s <= 0 {
        let why = "the forwarder sends PULL_DATA without end and never listens for a downlink";
        findings.must(key, &gateway.keepalive_s, wanted, why);
    }
    let threshold = gateway.autoquit.or(0, 0);
    if threshold > 0 && keepalive_s > 0 {
        let patience_s = threshold.saturating_mul(keepalive_s);
        let why = format!("the forwarder ends itself when fuotad is away for {patience_s} s");
        let key = "gateway_conf.autoquit_threshold";
        if patience_s < RESTART_S {
            findings.must(key, threshold, "0", format!("{why}: a restart may take longer"));
        } else {
            findings.note(key, threshold, "0", why);
        }
    }
    let stat_s = gateway.stat_s.or(STAT_DEFAULT_S, 0);
    if stat_s > STAT_MAX_S || stat_s == 0 {
        let why =
            "a report is the only word on what was radiated: a campaign waits for one before it is complete";
        findings.note("gateway_conf.stat_interval", stat_s, STAT_DEFAULT_S, why);
    }
}

fn beacons(period_s: &Given<i64>, findings: &mut Findings) {
    let key = "gateway_conf.beacon_period";
    let wanted = "0, unless there are Class B devices";
    match period_s.or(0, 0) {
        0 => {}
        period_s @ 1..6 => {
            findings.must(key, period_s, wanted, "the forwarder does not start with a period under 6 s");
        }
        period_s => {
            let why = "the forwarder sends beacons of its own: a frame that meets one is refused, or dropped after an OK, and their airtime is not in fuotad's account";
            findings.note(key, period_s, wanted, why);
        }
    }
}
