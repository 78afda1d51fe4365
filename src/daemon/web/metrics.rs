//! The status for Prometheus: conventional names and units, labels that a configuration or a bound keeps few.

use crate::answers::Holdings;
use crate::daemon::snapshot::Snapshot;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

/// The form of the text: Prometheus', which every collector reads.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Tasks with series of their own; of more the first ones.
const TASKS_MAX: usize = 32;
/// Phases of a task, so that each has a number, be it 0.
const PHASES: [&str; 6] = ["fetching", "decoding", "saving", "waiting", "armed", "sending"];

/// Labels, and what is measured with them.
type Row<T> = (Vec<(&'static str, String)>, T);

/// Everything of `snapshot` that is a number.
pub fn text(snapshot: &Snapshot) -> Option<String> {
    let mut page = Page(Registry::with_prefix("fuotad"));
    service(snapshot, &mut page);
    traffic(snapshot, &mut page);
    devices(snapshot, &mut page);
    air(snapshot, &mut page);
    tasks(snapshot, &mut page);
    let mut text = String::new();
    encode(&mut text, &page.0).ok()?;
    Some(in_prometheus_form(&text))
}

/// OpenMetrics gives a counter's head the name without `_total`, Prometheus' own form the name of its samples.
fn in_prometheus_form(text: &str) -> String {
    let counter = |line: &str| line.strip_prefix("# TYPE ")?.strip_suffix(" counter").map(str::to_owned);
    let counters: Vec<String> = text.lines().filter_map(counter).collect();
    let mut form = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest))
                if counters.iter().any(|counter| counter == name) =>
            {
                form.push_str(&format!("# {what} {name}_total {rest}\n"));
            }
            _ => form.push_str(&format!("{line}\n")),
        }
    }
    form
}

/// A registry that is filled once and written out.
struct Page(Registry);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    fn gauges(&mut self, name: &str, help: &str, rows: Vec<Row<f64>>) {
        let family = Family::<Vec<(&'static str, String)>, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in rows {
            family.get_or_create(&escaped(labels)).set(value);
        }
        self.0.register(name, help, family);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        self.0.register(name, help, counter);
    }

    fn counters(&mut self, name: &str, help: &str, rows: Vec<Row<u64>>) {
        let family = Family::<Vec<(&'static str, String)>, Counter>::default();
        for (labels, value) in rows {
            family.get_or_create(&escaped(labels)).inc_by(value);
        }
        self.0.register(name, help, family);
    }
}

/// The values as the text form wants them: the encoder writes them as they are.
fn escaped(labels: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    let value = |value: String| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    labels.into_iter().map(|(name, text)| (name, value(text))).collect()
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn service(snapshot: &Snapshot, page: &mut Page) {
    let build = vec![("version", snapshot.version.clone()), ("region", snapshot.region.clone())];
    page.gauges("build_info", "Version of the program and region of the gateway", vec![(build, 1.0)]);
    page.gauge("uptime_seconds", "Time since the start of the service", snapshot.uptime_s as f64);
    page.gauge("ready", "Whether a frame could go out now if one were due", flag(snapshot.is_ready));
    page.gauge(
        "relay_only",
        "Whether a fault keeps it from sending frames of its own",
        flag(snapshot.relay_only.is_some()),
    );
    page.gauge("clock_trusted", "Whether GPS time is known", flag(snapshot.clock.is_trusted));
    page.gauge(
        "clock_disputed",
        "Whether two clocks contradict each other",
        flag(snapshot.clock.dispute.is_some()),
    );
    if let Some(free) = snapshot.state_free_bytes {
        page.gauge("state_free_bytes", "Room that is left for the state folder", free as f64);
    }
}

fn traffic(snapshot: &Snapshot, page: &mut Page) {
    let forwarder = &snapshot.forwarder;
    page.gauge("forwarder_online", "Whether the packet forwarder is heard", flag(forwarder.online.is_some()));
    if let Some(error_us) = forwarder.counter_error_us {
        page.gauge(
            "concentrator_clock_error_seconds",
            "How well the concentrator's counter is known",
            seconds(error_us),
        );
    }
    page.counter("forwarder_uplinks", "Uplinks with a good CRC", forwarder.uplinks);
    page.counter("forwarder_odd_datagrams", "Datagrams that were odd, foreign or unread", forwarder.odd);
    page.counter(
        "forwarder_frames_swallowed",
        "Frames acknowledged and never given to the radio",
        forwarder.swallowed,
    );
    page.counter(
        "forwarder_kernel_dropped",
        "Datagrams dropped unread by the kernel",
        forwarder.kernel_dropped,
    );
    let named = |name: &String| vec![("server", name.clone())];
    let servers = || snapshot.servers.iter();
    let online = servers().map(|server| (named(&server.name), flag(server.is_online))).collect();
    page.gauges("server_online", "Whether a network server answers", online);
    let uplinks = servers().map(|server| (named(&server.name), server.uplinks)).collect();
    page.counters("server_uplinks", "Uplinks relayed to a network server", uplinks);
    let asked = servers().map(|server| (named(&server.name), server.asked)).collect();
    page.counters("server_downlinks", "Downlinks that a network server asked for", asked);
    let relay = &snapshot.relay;
    let results = [
        ("passed", relay.passed),
        ("collided", relay.collided),
        ("overlapped", relay.overlapped),
        ("malformed", relay.malformed),
        ("unlawful", relay.unlawful),
        ("refused", relay.refused),
    ];
    let results = results.map(|(result, count)| (vec![("result", result.to_owned())], count));
    page.counters("downlinks", "Downlinks of network servers by what became of them", results.to_vec());
}

fn devices(snapshot: &Snapshot, page: &mut Page) {
    let connected = snapshot.lns.iter();
    let connected = connected.map(|lns| (vec![("lns", lns.name.clone())], flag(lns.state == "connected")));
    page.gauges(
        "lns_connected",
        "Whether the application side of a network server is connected",
        connected.collect(),
    );
    let mut devices = Vec::new();
    for fleet in &snapshot.fleets {
        let lost = fleet.refused + fleet.not_heard_here + fleet.silent;
        for (state, count) in [
            ("proved", fleet.proved),
            ("told", fleet.told.saturating_sub(fleet.proved)),
            ("refused", fleet.refused),
            ("not_heard_here", fleet.not_heard_here),
            ("silent", fleet.silent),
            ("asked", fleet.devices.saturating_sub(fleet.told + lost)),
        ] {
            devices
                .push((vec![("group", fleet.group.clone()), ("state", state.to_owned())], f64::from(count)));
        }
    }
    page.gauges("devices", "Devices of a group by state; each stands in one", devices);
    page.gauges(
        "device_results",
        "Devices of a group by what they hold of its newest image",
        results(snapshot),
    );
}

/// What the devices of each group hold of its newest campaign's image.
fn results(snapshot: &Snapshot) -> Vec<Row<f64>> {
    let mut newest = BTreeMap::new();
    newest.extend(snapshot.answers.iter().map(|answers| (&answers.group, answers.counts)));
    let of_group = |(group, counts): (&String, Holdings)| {
        let Holdings { done, probably, missing, failed, lost_state, unheard, not_told } = counts;
        let counts = [
            ("done", done),
            ("probably", probably),
            ("missing", missing),
            ("failed", failed),
            ("lost_state", lost_state),
            ("unheard", unheard),
            ("not_told", not_told),
        ];
        let label = |result: &str| vec![("group", group.clone()), ("result", result.to_owned())];
        counts.map(|(result, count)| (label(result), f64::from(count)))
    };
    newest.into_iter().flat_map(of_group).collect()
}

fn air(snapshot: &Snapshot, page: &mut Page) {
    let mut airtime = Vec::new();
    let (mut budget, mut reserve) = (Vec::new(), Vec::new());
    for band in &snapshot.bands {
        let label = |sender: &str| vec![("band", band.label.clone()), ("sender", sender.to_owned())];
        airtime.push((label("campaigns"), seconds(band.ours_us)));
        airtime.push((label("servers"), seconds(band.total_us.saturating_sub(band.ours_us))));
        budget.push((vec![("band", band.label.clone())], seconds(band.budget_us)));
        reserve.push((vec![("band", band.label.clone())], seconds(band.reserve_us)));
    }
    page.gauges("band_airtime_seconds", "Airtime in the law's window that ends now", airtime);
    page.gauges("band_budget_seconds", "Airtime that the law allows in its window", budget);
    page.gauges("band_reserve_seconds", "Airtime of the budget that is kept for network servers", reserve);
    if let Some(hearing) = &snapshot.hearing {
        let ratio = |of: &str, percent: f64| (vec![("of", of.to_owned())], percent / 100.0);
        let hearing = vec![ratio("promised", hearing.promised_percent), ratio("kept", hearing.kept_percent)];
        page.gauges(
            "hearing_ratio",
            "Part of usual uplinks that is heard in the hour that ends now",
            hearing,
        );
    }
}

fn tasks(snapshot: &Snapshot, page: &mut Page) {
    let in_phase = |phase: &str| snapshot.tasks.iter().filter(|task| task.phase == phase).count();
    let phases = PHASES.map(|phase| (vec![("phase", phase.to_owned())], in_phase(phase) as f64));
    page.gauges("tasks", "Tasks that are not over by phase", phases.to_vec());
    page.gauge("tasks_refused", "Orders that were refused lately", snapshot.refused.len() as f64);
    let shown = || snapshot.tasks.iter().take(TASKS_MAX);
    let waits = shown().filter_map(|task| {
        let wait = task.wait.as_ref()?;
        Some((vec![("task", task.task.clone()), ("reason", wait.reason.clone())], wait.since_s as f64))
    });
    page.gauges("task_waiting_seconds", "For how long a task has waited, by its reason", waits.collect());
    let (mut frames, mut left) = (Vec::new(), Vec::new());
    for task in shown() {
        let Some(campaign) = &task.campaign else { continue };
        let label = || vec![("task", task.task.clone()), ("group", campaign.group.clone())];
        for (state, count) in [
            ("planned", campaign.frames),
            ("done", campaign.frames_done),
            ("radiated", campaign.radiated),
            ("made_up", campaign.extra_coded),
            ("unconfirmed", campaign.unconfirmed),
        ] {
            frames.push(([label(), vec![("state", state.to_owned())]].concat(), f64::from(count)));
        }
        left.extend(campaign.left_s.map(|left_s| (label(), left_s as f64)));
    }
    page.gauges("task_frames", "Frames of a campaign by state", frames);
    page.gauges("task_left_seconds", "Time until a campaign's last frame is over", left);
}
