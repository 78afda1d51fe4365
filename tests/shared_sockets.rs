//! The real process between a forwarder and a network server, on real sockets and in real time. Alone in its program:
//! nothing else may take its milliseconds.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]
#![expect(clippy::disallowed_methods, reason = "a test of the real world touches it")]

#[path = "support/mod.rs"]
mod support;

use crate::support::site::Site;

/// So many seconds of sending; a campaign of ten minutes by this variable.
const SECONDS: &str = "FUOTAD_TEST_SHARED_S";

#[test]
fn a_campaign_and_a_network_server_share_a_radio_for_a_minute_without_a_lost_frame() {
    let seconds: usize = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(60);
    // Frames stand in trains: the first minute takes 30 % of a minute in 40 s, what is left waits for the next one.
    let mut site = Site::new("shared", (seconds * 34 / 10).min(12_000));
    site.network(3600);
    site.start();
    site.wait("both sides are heard", 10, |status| {
        status.forwarder.online.is_some() && status.servers.iter().any(|server| server.is_online)
    });
    site.order("lamps-1", "");
    let status = site.wait("it is over", 10 * seconds as u64, |status| !status.finished.is_empty());
    let shown = site.cli(&["status", "--socket", &site.socket()]);
    assert!(shown.contains("downlinks") && shown.contains("server     127.0.0.1:"), "{shown}");
    assert!(status.finished[0].1.ends_with("frames sent"), "{:?}", status.finished);
    site.wait_for_the_air();
    let (server, devices) = site.network_counts();
    site.terminate();
    println!("{server:?}\n{devices:?}\n{:?}\n{:?}", status.relay, status.servers);
    let verdict = site.verdict();
    println!("{} frames in {} s", verdict.frames, status.uptime_s);
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
    assert_eq!(verdict.devices_complete, site.devices());
    assert!(status.uptime_s >= seconds as u64, "{} s", status.uptime_s);
    assert_eq!((status.forwarder.swallowed, status.relay.collided, status.relay.malformed), (0, 0, 0));
    assert!(server.answers.accepted >= seconds as u64 / 10, "{server:?}");
    assert_eq!((server.answers.unanswered, server.unread, server.strange_acks), (0, 0, 0), "{server:?}");
    let heard = devices.rx1 + devices.rx2;
    // One may be under way at the end.
    assert!(heard + 1 >= server.answers.accepted, "{server:?} {devices:?}");
}
