//! From the engine's state to what the status socket and the service manager show.

use super::answers;
use super::server_socket::ServerSocketState;
use super::snapshot::BandSnapshot;
use super::snapshot::CampaignSnapshot;
use super::snapshot::ClockSnapshot;
use super::snapshot::DisputeSnapshot;
use super::snapshot::FleetSnapshot;
use super::snapshot::ForwarderSnapshot;
use super::snapshot::HearingSnapshot;
use super::snapshot::LnsSnapshot;
use super::snapshot::OtherSenderSnapshot;
use super::snapshot::RelaySnapshot;
use super::snapshot::ServerSnapshot;
use super::snapshot::SessionSnapshot;
use super::snapshot::Snapshot;
use super::snapshot::TaskSnapshot;
use super::snapshot::WaitSnapshot;
use super::socket::SocketCounts;
use super::state_folder::free_bytes;
use crate::broadcast::Phase;
use crate::broadcast::TaskState;
use crate::campaign::CampaignState;
use crate::engine::ClockState;
use crate::engine::Engine;
use crate::fleet::Fleet;
use crate::forwarder::Obstacle;
use crate::forwarder::OtherSender;
use crate::region::Parameters;
use crate::report::Event;
use crate::report::WaitReason;
use crate::report::disputed;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::Distrust;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::path::Path;

/// How a reason begins that keeps us from sending anything, while traffic is relayed.
pub const RELAY_ONLY: &str = "relay only: ";

/// What is to be said where no network server is configured.
pub const NO_SERVER: &str = "no [[network-server]]: the gateway's own traffic ends here, so the gateway leaves its network; write [[network-server]] and address = \"HOST:PORT\" of the server that the packet forwarder used to send to";

/// What the engine does not know.
#[derive(Clone, Copy)]
pub struct HostState<'a> {
    /// When the process began, by the monotonic clock, whose zero is the boot.
    pub started: Instant,
    /// The law of the gateway's region.
    pub region: &'static Parameters,
    /// Where the forwarder is expected.
    pub listen: &'a str,
    /// What happened on the socket.
    pub socket: SocketCounts,
    /// What happened on the sockets towards the network servers.
    pub server_sockets: &'a [ServerSocketState],
    /// Why the wall clock is not followed.
    pub distrust: Option<Distrust>,
    /// How it stands with a GPS receiver of our own.
    pub gps: Option<&'a str>,
    /// How the connections to network servers' application sides fare.
    pub lns: &'a [LnsSnapshot],
    /// The folder of counters, marks and records.
    pub state_dir: &'a Path,
    /// Why a task's image is not there.
    pub missing_image: &'a dyn Fn(&str) -> Option<String>,
}

/// The whole daemon as it stands at `now`.
pub fn snapshot(engine: &Engine, now: Now, around: HostState<'_>) -> Snapshot {
    // The forwarder's GPS may know the time where our own clock does not, and may contradict it.
    let now = Now { gps: engine.now().gps_at(now.mono), ..now };
    let states: Vec<TaskState> = engine.tasks().collect();
    let forwarder = forwarder(engine, around);
    let not_ready = not_ready(engine, &forwarder, &states, around);
    let tasks = states.into_iter().map(|state| task(state, now, around)).collect();
    Snapshot {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: now.mono.us_since(around.started) / 1_000_000,
        region: region_name(around.region),
        is_ready: not_ready.is_empty(),
        not_ready,
        relay_only: relay_only(engine),
        clock: clock(engine.clocks(), now, around),
        forwarder,
        servers: servers(engine, around.server_sockets),
        relay: relay(engine),
        lns: around.lns.to_vec(),
        bands: bands(engine, around.region),
        hearing: engine.hearing_ppm().map(hearing),
        fleets: engine.fleets().map(|each| fleet(each, now)).collect(),
        answers: engine.answering().map(|answering| answers::snapshot(&answering, now)).collect(),
        tasks,
        refused: Vec::new(),
        ordered_again: engine.ordered_again().map(ordered_again).collect(),
        warnings: warnings(engine),
        finished: Vec::new(),
        state_free_bytes: free_bytes(around.state_dir),
    }
}

fn fleet((group, fleet): (&str, &Fleet), now: Now) -> FleetSnapshot {
    let counts = fleet.readiness(now);
    FleetSnapshot {
        group: group.to_owned(),
        devices: counts.devices,
        told: counts.told,
        proved: counts.proved,
        refused: counts.refused,
        not_heard_here: counts.not_heard_here,
        silent: counts.silent,
    }
}

fn clock(clocks: ClockState, now: Now, around: HostState<'_>) -> ClockSnapshot {
    let dispute = clocks.dispute.as_ref();
    ClockSnapshot {
        is_trusted: now.gps.is_some(),
        reason: dispute.map(disputed).or(around.distrust.map(|distrust| distrust.to_string())),
        utc: now.gps.map(rfc3339_from_gps),
        gps: around.gps.map(str::to_owned),
        forwarder_utc: clocks.forwarder.map(rfc3339_from_gps),
        dispute: dispute.map(|dispute| DisputeSnapshot {
            own_utc: rfc3339_from_gps(dispute.ours),
            forwarder_utc: rfc3339_from_gps(dispute.theirs),
            apart_s: dispute.apart_us() as f64 / 1e6,
            is_utc_for_gps: dispute.is_utc_for_gps(),
        }),
    }
}

/// One line for `systemctl status`.
pub fn headline(snapshot: &Snapshot) -> String {
    let sending = snapshot.tasks.iter().find(|task| task.phase == Phase::Sending.as_str());
    if let Some((task, campaign)) = sending.and_then(|task| task.campaign.as_ref().map(|c| (task, c))) {
        return format!("sending {}: {}/{} frames", task.task, campaign.frames_done, campaign.frames);
    }
    match snapshot.not_ready.first() {
        Some(reason) if reason.starts_with(RELAY_ONLY) => reason.clone(),
        Some(reason) => format!("waiting for {reason}"),
        None => format!("ready, {} task(s)", snapshot.tasks.len()),
    }
}

/// The words of [`Event::AlreadyOver`], for whoever did not look into the log.
fn ordered_again((task, outcome): (&TaskId, &str)) -> (String, String) {
    (task.to_string(), Event::AlreadyOver { outcome: outcome.to_owned() }.to_string())
}

fn warnings(engine: &Engine) -> Vec<String> {
    let has_servers = engine.servers().next().is_some();
    let no_server = (!has_servers).then(|| NO_SERVER.to_owned());
    no_server.into_iter().chain(engine.warned().iter().cloned()).collect()
}

/// The name of a region; of one that nobody knows, that.
fn region_name(region: &Parameters) -> String {
    if region.sub_bands.is_empty() { region.rp_name.to_owned() } else { region.region.to_string() }
}

fn not_ready(
    engine: &Engine,
    forwarder: &ForwarderSnapshot,
    tasks: &[TaskState],
    around: HostState<'_>,
) -> Vec<String> {
    let mut reasons = Vec::new();
    reasons.extend(relay_only(engine).map(|reason| format!("{RELAY_ONLY}{reason}")));
    let obstacle = engine.link().obstacle;
    reasons.extend(obstacle.map(|obstacle| not_connected(obstacle, forwarder)));
    for task in tasks {
        let Some((wait, sentence)) = task.wait.as_ref().map(|(wait, _)| wait).zip(task.waiting.as_ref())
        else {
            continue;
        };
        let missing = (around.missing_image)(task.task.as_str());
        let is_said = matches!(wait.reason, WaitReason::Forwarder(_) | WaitReason::Halted(_));
        if is_said || (wait.reason.is_in_course() && missing.is_none()) {
            continue;
        }
        let is_of_clock = matches!(wait.reason, WaitReason::Clock { dispute: None, .. });
        let doubt = around.distrust.filter(|_| is_of_clock);
        let doubt = doubt.map(|doubt| format!(" ({doubt})")).unwrap_or_default();
        reasons.push(format!("{}{doubt} [task {}]", missing.as_ref().unwrap_or(sentence), task.task));
    }
    reasons
}

/// Why nothing can be handed to the forwarder, with what an operator can do about it.
fn not_connected(obstacle: Obstacle, forwarder: &ForwarderSnapshot) -> String {
    let other = forwarder.others.first().filter(|other| Some(&other.gateway) != forwarder.gateway.as_ref());
    match (obstacle, &forwarder.gateway, other) {
        (Obstacle::NotHeard, None, _) => format!(
            "the packet forwarder: nothing was heard on {} yet; its server_address and serv_port must name it",
            forwarder.listen
        ),
        (Obstacle::NotHeard, Some(gateway), Some(other)) => format!(
            "the packet forwarder {gateway}: it has not been heard on {}, but {} sends there: write `id = \"{}\"` under `[gateway]` if that is this gateway",
            forwarder.listen, other.gateway, other.gateway
        ),
        (Obstacle::NotHeard, Some(gateway), None) => format!(
            "the packet forwarder {gateway}: it has not been heard on {} yet; its server_address and serv_port must name it",
            forwarder.listen
        ),
        (_, Some(gateway), _) => format!("the packet forwarder {gateway}: {}", obstacle.reason()),
        (_, None, _) => obstacle.as_str().to_owned(),
    }
}

/// Why nothing but traffic is relayed.
fn relay_only(engine: &Engine) -> Option<String> {
    let reason = engine.halted()?;
    let of_the_start = reason.strip_prefix(RELAY_ONLY).map(str::to_owned);
    Some(of_the_start.unwrap_or_else(|| format!("the disk: {reason}")))
}

fn forwarder(engine: &Engine, around: HostState<'_>) -> ForwarderSnapshot {
    let link = engine.link();
    let counts = link.counts;
    ForwarderSnapshot {
        listen: around.listen.to_owned(),
        gateway: link.gateway.map(|gateway| gateway.to_string()),
        online: link.online.map(|address| address.to_string()),
        counter_error_us: link.counter.map(|counter| counter.error_us),
        rxok: link.stat.and_then(|stat| stat.rxok),
        rxfw: link.stat.and_then(|stat| stat.rxfw),
        txnb: link.stat.and_then(|stat| stat.txnb),
        ackr_percent: link.stat.and_then(|stat| stat.ackr_percent),
        pushes: counts.pushes,
        uplinks: counts.uplinks,
        pulls: counts.pulls,
        odd: counts.malformed + counts.foreign + counts.dropped + counts.unknown_acks,
        received: around.socket.received,
        sent: around.socket.sent,
        receive_errors: around.socket.receive_errors,
        send_errors: around.socket.send_errors,
        kernel_dropped: around.socket.dropped,
        swallowed: counts.silently_dropped,
        others: engine.other_senders().map(other_sender).collect(),
    }
}

fn other_sender(sender: OtherSender) -> OtherSenderSnapshot {
    OtherSenderSnapshot {
        gateway: sender.gateway.to_string(),
        address: sender.from.to_string(),
        datagrams: sender.datagrams,
    }
}

fn servers(engine: &Engine, server_sockets: &[ServerSocketState]) -> Vec<ServerSnapshot> {
    let servers = engine.servers().zip(server_sockets).map(|((server, counts), socket)| ServerSnapshot {
        name: server.name.clone(),
        address: socket.address.map(|address| address.to_string()),
        trouble: socket.trouble.clone(),
        is_uplink_only: server.is_uplink_only,
        is_online: counts.is_online() && socket.address.is_some(),
        pushed: counts.pushed,
        uplinks: counts.uplinks,
        push_acked: counts.push_acked,
        asked: counts.asked,
        flooded: counts.flooded,
        received: socket.counts.received,
        sent: socket.counts.sent,
        send_errors: socket.counts.send_errors,
        foreign: socket.foreign,
        kernel_dropped: socket.counts.dropped,
        waiting: socket.waiting as u64,
    });
    servers.collect()
}

fn relay(engine: &Engine) -> RelaySnapshot {
    let counts = engine.relayed();
    RelaySnapshot {
        passed: counts.passed,
        collided: counts.collided,
        overlapped: counts.overlapped,
        malformed: counts.malformed,
        unlawful: counts.unlawful,
        breaches: counts.breaches,
        refused: counts.refused,
        airtime_us: counts.airtime_us,
        wrong_mic: counts.wrong_mic,
        refused_by: engine.refused_downlinks().iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect(),
    }
}

fn bands(engine: &Engine, region: &Parameters) -> Vec<BandSnapshot> {
    let bands = engine.bands();
    let shown = bands.iter().filter_map(|used| {
        let band = region.sub_bands.get(usize::from(used.sub_band))?;
        let budget_us = used.budget_us.filter(|_| !band.needs_opt_in || used.total_us > 0)?;
        Some(BandSnapshot {
            label: band.label.to_owned(),
            min_hz: band.min_hz,
            max_hz: band.max_hz,
            ours_us: used.ours_us,
            total_us: used.total_us,
            budget_us,
            left_us: budget_us.saturating_sub(used.total_us),
            reserve_us: budget_us.saturating_mul(engine.reserve_ppm().into()) / 1_000_000,
        })
    });
    shown.collect()
}

fn task(state: TaskState, now: Now, around: HostState<'_>) -> TaskSnapshot {
    let missing = (around.missing_image)(state.task.as_str());
    TaskSnapshot {
        task: state.task.to_string(),
        phase: state.phase.as_str().to_owned(),
        waiting: missing.or(state.waiting),
        wait: state.wait.map(|(wait, since_us)| WaitSnapshot {
            reason: wait.reason.kind().to_owned(),
            since_s: since_us / 1_000_000,
            ends_in_s: wait.until.map(|until| until.us_since(now.mono) / 1_000_000),
            ends_at: wait.until.and_then(|until| now.gps_at(until)).map(rfc3339_from_gps),
        }),
        campaign: state.campaign.map(|state| campaign(state, now, around.region)),
    }
}

fn campaign(state: CampaignState, now: Now, region: &Parameters) -> CampaignSnapshot {
    let permille = u64::from(state.frames_done) * 1000 / u64::from(state.frames.max(1));
    let eta = state.left_us.zip(now.gps).map(|(left_us, gps)| rfc3339_from_gps(gps.plus_us(left_us)));
    CampaignSnapshot {
        group: state.group,
        frequency_hz: state.channel.frequency_hz,
        data_rate: state.channel.dr,
        sub_band: sub_band(region, state.channel.sub_band.0).to_owned(),
        frames_done: state.frames_done,
        frames: state.frames,
        percent: permille as f64 / 10.0,
        sent: state.progress.account.sent,
        radiated: state.progress.account.radiated,
        not_radiated: state.progress.account.not_radiated,
        unconfirmed: state.progress.account.unconfirmed(),
        extra_coded: state.progress.account.extra_coded,
        airtime_us: state.airtime_us,
        spacing_us: state.spacing_us,
        session: state.session.map(|(start, end)| (rfc3339_from_gps(start), rfc3339_from_gps(end))),
        sessions: state.sessions.into_iter().map(session).collect(),
        fragments: state.fragments,
        left_s: state.left_us.map(|left_us| left_us / 1_000_000),
        eta,
    }
}

fn session((start, end, frames): (GpsTime, GpsTime, Option<u32>)) -> SessionSnapshot {
    SessionSnapshot { start: rfc3339_from_gps(start), end: rfc3339_from_gps(end), frames }
}

fn hearing((promised_ppm, kept_ppm): (u32, u32)) -> HearingSnapshot {
    // To a hundredth: a number for people and for what compares it.
    let percent = |ppm: u32| f64::from(ppm / 100) / 100.0;
    HearingSnapshot { promised_percent: percent(promised_ppm), kept_percent: percent(kept_ppm) }
}

/// The law's name of sub-band number `index`.
pub fn sub_band(region: &Parameters, index: u8) -> &'static str {
    region.sub_bands.get(usize::from(index)).map_or("?", |band| band.label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarder_that_never_spoke_did_not_fall_silent_and_the_line_to_write_is_named() {
        let mut forwarder = ForwarderSnapshot {
            listen: "127.0.0.1:1700".to_owned(),
            gateway: Some("0016c001f1500812".to_owned()),
            ..ForwarderSnapshot::default()
        };
        let why = not_connected(Obstacle::NotHeard, &forwarder);
        assert!(
            why.starts_with("the packet forwarder 0016c001f1500812: it has not been heard on 127.0.0.1:1700"),
            "{why}"
        );
        let silent = "the packet forwarder 0016c001f1500812: it fell silent";
        assert_eq!(not_connected(Obstacle::Silent, &forwarder), silent);
        forwarder.others = vec![OtherSenderSnapshot {
            gateway: "aa555a0000000000".to_owned(),
            ..OtherSenderSnapshot::default()
        }];
        let why = not_connected(Obstacle::NotHeard, &forwarder);
        assert!(
            why.contains("aa555a0000000000 sends there") && why.contains("`id = \"aa555a0000000000\"`"),
            "{why}"
        );
        assert!(!why.contains("silent"), "{why}");
    }

    #[test]
    fn clocks_that_contradict_each_other_are_shown_with_both_times() {
        let around = HostState {
            started: Instant::ZERO,
            region: crate::region::parameters(crate::region::RfRegion::Eu868).unwrap(),
            listen: "127.0.0.1:1700",
            socket: SocketCounts::default(),
            server_sockets: &[],
            distrust: None,
            gps: None,
            lns: &[],
            missing_image: &|_| None,
            state_dir: Path::new("/"),
        };
        let ours = crate::time::GpsTime::from_us(1_479_369_618_000_000);
        let theirs = ours.plus_us(18_000_000);
        let dispute = Some(crate::time::ClockDispute { ours, theirs });
        let now = Now { mono: Instant::ZERO, gps: None };
        let page = clock(ClockState { forwarder: Some(theirs), dispute }, now, around);
        assert!(!page.is_trusted && page.reason.unwrap().ends_with("as where UTC is taken for GPS time"));
        let dispute = page.dispute.unwrap();
        assert_eq!(
            (dispute.own_utc.as_str(), dispute.forwarder_utc.as_str()),
            ("2026-11-22T08:00:00Z", "2026-11-22T08:00:18Z")
        );
        assert!(dispute.is_utc_for_gps && dispute.apart_s == 18.0);
        assert_eq!(page.forwarder_utc.as_deref(), Some("2026-11-22T08:00:18Z"));
    }
}
