//! Listen before talk: the forwarder says OK and then drops what its list does not have.

use super::finding::Against;
use super::finding::Findings;
use crate::campaign::Group;
use crate::config::forwarder_file::Lbt;
use crate::config::forwarder_file::LbtChannel;
use crate::lorawan::FRAME_OVERHEAD;
use crate::radio::Modulation;
use crate::radio::downlink_airtime_us;

pub(super) fn check(board_key: &str, lbt: Option<&Lbt>, against: &Against<'_>, findings: &mut Findings) {
    let claims = |group: &Group| group.terms.listens_before_talk;
    let Some(lbt) = lbt else {
        if against.groups.iter().any(claims) {
            let why =
                "radio.listen-before-talk says that this forwarder does, and fuotad's limits rely on it";
            findings.must(format!("{board_key} listen before talk"), "not enabled", "enabled", why);
        }
        return;
    };
    let key = format!("{board_key}.{}", lbt.key);
    if !against.groups.iter().any(claims) {
        let why = "the forwarder listens before it talks and drops a frame without a word while the channel is busy: radio.listen-before-talk tells fuotad";
        findings.note(&key, "enabled", "known to fuotad", why);
    }
    for group in against.groups {
        channel(&key, lbt, group, against, findings);
    }
}

fn channel(key: &str, lbt: &Lbt, group: &Group, against: &Against<'_>, findings: &mut Findings) {
    let Some((modulation, airtime_us)) = longest_frame(group, against) else { return };
    let bw_hz = match modulation {
        Modulation::LoRa { bw_hz, .. } => Some(i64::from(bw_hz)),
        Modulation::Gfsk { .. } => None,
    };
    let is_its = |channel: &&LbtChannel| {
        channel.frequency_hz == i64::from(group.frequency_hz)
            && channel.bandwidth_hz.zip(bw_hz).is_none_or(|(theirs, ours)| theirs == ours)
    };
    let wanted = match bw_hz {
        Some(bw_hz) => format!("{} Hz, {bw_hz} Hz wide", group.frequency_hz),
        None => format!("{} Hz", group.frequency_hz),
    };
    let Some(channel) = lbt.channels.iter().find(is_its) else {
        let why = format!(
            "group {} is sent on a channel that is not in the list: every frame is dropped after an OK",
            group.name
        );
        return findings.must(key, format!("{} other channel(s)", lbt.channels.len()), wanted, why);
    };
    let airtime_ms = airtime_us.div_ceil(1000);
    if i64::try_from(airtime_ms).unwrap_or(i64::MAX) > channel.max_tx_ms {
        let why = format!(
            "the longest frame of group {} lasts {airtime_ms} ms: the forwarder drops it after an OK. Allow it there, or choose a faster data-rate",
            group.name
        );
        findings.must(
            key,
            format!("frames of at most {} ms", channel.max_tx_ms),
            format!("{airtime_ms} ms"),
            why,
        );
    }
}

/// How the group's frames are modulated, and how long the longest lasts, microseconds.
fn longest_frame(group: &Group, against: &Against<'_>) -> Option<(Modulation, u64)> {
    let Group { terms, frequency_hz, data_rate, eirp, .. } = group;
    let rate = against.region.data_rate(*data_rate).ok()?;
    let channel = against.region.check_under(terms, *frequency_hz, *data_rate, *eirp);
    let payload = channel
        .and_then(|channel| against.region.max_payload(&channel, terms.downlink_dwell))
        .unwrap_or(rate.max_payload(terms.downlink_dwell));
    Some((rate.modulation, downlink_airtime_us(rate.modulation, payload + FRAME_OVERHEAD)))
}
