//! The real process against a simulated gateway: real sockets on the loopback, real files, real time, real kills.

use crate::support::site;
use crate::support::site::Site;
use std::fs::File;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

/// How often the process is killed in a campaign; more by this variable.
const KILLS: &str = "FUOTAD_TEST_KILLS";

#[test]
fn a_campaign_over_real_sockets_reaches_the_devices_within_the_law() {
    let mut site = Site::new("campaign", 24);
    site.start();
    site.wait("the forwarder is heard", 5, |status| status.forwarder.online.is_some());
    site.order("lamps-1", "");
    site.wait("it sends", 10, |status| status.tasks.iter().any(|task| task.phase == "sending"));
    let shown = site.cli(&["status", "--socket", &site.socket()]);
    assert!(shown.contains("lamps-1") && shown.contains("sending"), "{shown}");
    let status = site.wait("it is over", 30, |status| !status.finished.is_empty());
    assert_eq!(status.finished[0].0, "lamps-1");
    assert!(status.finished[0].1.starts_with("complete: 32 frames sent"), "{:?}", status.finished);
    assert!(status.forwarder.counter_error_us.is_some(), "uplinks teach the counter");
    let json = site.cli(&["status", "--json", "--socket", &site.socket()]);
    assert!(serde_json::from_str::<fuotad::daemon::Snapshot>(&json).unwrap().is_ready);
    let (code, took) = site.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
    site.wait_for_the_air();
    let verdict = site.verdict();
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
    assert_eq!((verdict.devices_complete, verdict.frames, verdict.repeated_frames), (site.devices(), 32, 0));
    let report = site.report("lamps-1");
    assert_eq!(
        (&report["sent"], &report["unconfirmed"], &report["swallowed"]),
        (&32.into(), &0.into(), &0.into())
    );
    assert_eq!(report["outcome"], status.finished[0].1);
    assert!(report["begin"].is_null() && report["end"].is_null(), "nobody vouches for the clock: {report:#}");
    assert_eq!(report["image-sha256"].as_str().map(str::len), Some(64), "{report:#}");
    let log = site.log();
    assert!(!log.contains(site::MC_KEY), "no key in the log");
    assert!(log.contains("is known to +-15 ms"), "{log}");
    let of_task: Vec<&str> = log.lines().filter(|line| line.contains("lamps-1")).collect();
    let of_frames = of_task.iter().filter(|line| line.contains("goes out in"));
    assert_eq!(of_frames.count(), 0, "frames are told at debug: {log}");
    for tenths in 1..10 {
        let line = of_task.iter().filter(|line| line.contains(&format!("frames sent ({tenths}0 %)")));
        assert_eq!(line.count(), 1, "{tenths}: {log}");
    }
    assert!(log.contains("task lamps-1, group lamps: 4 of 32 frames sent (10 %)"), "{log}");
    // Whoever reads the texts alone sees what each is about.
    for event in ["planned for group lamps", "the first frame is on its way", "complete: 32 frames sent"] {
        let line =
            of_task.iter().find(|line| line.contains(event)).unwrap_or_else(|| panic!("{event}: {log}"));
        assert!(line.contains("task lamps-1") && line.contains("group lamps"), "{line}");
    }
}

#[test]
fn status_remembers_what_ended_before_a_restart_fits_the_screen_and_tells_scripts_whether_it_is_ready() {
    let mut site = whole_campaign("status");
    site.no_radio();
    site.order("6d2f0c1e-0000-0000-0000-000000000000-of-the-lamps-in-the-long-street", "");
    std::fs::write(site.path("tasks").join("broken.json"), "{ \"FirmwareUpdateImage\": 7 }").unwrap();
    site.start();
    let page =
        site.wait("both are read", 10, |status| !status.refused.is_empty() && !status.tasks.is_empty());
    assert_eq!(page.refused[0].0, "broken", "{:?}", page.refused);
    let (task, outcome) = &page.finished[0];
    assert!(task == "lamps-1" && outcome.starts_with("complete: "), "{:?}", page.finished);
    let socket = site.socket();
    let text = site.cli(&["status", "--socket", &socket]);
    assert!(text.contains(&format!("over       lamps-1: {outcome}")), "{text}");
    assert!(text.contains("refused    broken: ") && text.contains("    phase "), "{text}");
    for line in text.lines().filter(|line| line.chars().count() > 80) {
        assert_eq!(line.split_whitespace().count(), 1, "a line could be broken: {line}");
    }
    // It answered; whether it is ready is another question.
    assert!(text.contains("not ready, it waits for"), "{text}");
    assert_eq!(site.status_code(&["--ready"]), Some(75));
    site.terminate();
    std::fs::remove_dir_all(site.path("tasks")).unwrap();
    std::fs::create_dir_all(site.path("tasks")).unwrap();
    site.radio_on();
    site.start();
    site.wait("it is ready", 10, |status| status.is_ready);
    assert_eq!(site.status_code(&["--ready"]), Some(0));
}

#[test]
fn a_group_that_does_not_say_when_its_devices_listen_is_told_once_and_gets_no_frame_untold() {
    let mut site = Site::new("unsaid", 4);
    site.replace("            session = \"always\"\n            rx-is-elsewhere = true\n", "");
    site.start();
    site.wait("the forwarder is heard", 10, |status| status.forwarder.online.is_some());
    site.order("lamps-1", "");
    let page = site.wait("it is refused", 10, |status| !status.refused.is_empty());
    let reason = &page.refused[0].1;
    assert!(reason.contains("give a StartTime (or write session = \"always\""), "{reason}");
    site.terminate();
    let log = site.log();
    assert_eq!(
        log.matches("group lamps.session: it is not written, which means \"windows\"").count(),
        1,
        "{log}"
    );
    assert_eq!(site.frames(), 0);
}

#[test]
fn at_debug_each_frame_is_told_and_a_cancelled_task_is_named() {
    let mut site = Site::new("debug", 30);
    site.extend("[log]\nfilter = \"info,fuotad=debug\"\n", &[]);
    site.start();
    site.wait("the forwarder is heard", 10, |status| status.forwarder.online.is_some());
    site.order("lamps-1", "");
    site.wait_for_frames(5);
    std::fs::remove_file(site.path("tasks").join("lamps-1.json")).unwrap();
    let status = site.wait("the task is gone", 10, |status| !status.finished.is_empty());
    let cancelled = status.finished[0].1.clone();
    let sent: u32 = cancelled.split_whitespace().nth(2).unwrap().parse().unwrap();
    site.terminate();
    let log = site.log();
    for frame in 0..sent {
        let told = format!("task lamps-1, group lamps: frame {frame} (FCnt {})", frame + 2);
        assert_eq!(log.lines().filter(|line| line.contains(&told)).count(), 1, "{told}: {log}");
    }
    assert!(log.contains(&format!("task lamps-1, group lamps: {cancelled}")), "{log}");
}

#[test]
fn a_watched_status_goes_on_when_the_service_restarts() {
    let mut site = Site::new("watch", 4);
    site.start();
    site.wait("it answers", 10, |_| true);
    let (shown, told) = (site.path("shown"), site.path("told"));
    let mut watcher = Command::new(env!("CARGO_BIN_EXE_fuotad"))
        .args(["status", "--watch", "--json", "--socket", &site.socket()])
        .stdout(File::create(&shown).unwrap())
        .stderr(File::create(&told).unwrap())
        .spawn()
        .unwrap();
    let looks = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
    site.wait("a look", 10, |_| looks(&shown) > 0);
    site.terminate();
    let until = Instant::now() + Duration::from_secs(10);
    while looks(&told) == 0 && Instant::now() < until {
        site.wait_for(Duration::from_millis(20));
    }
    let before = looks(&shown);
    site.start();
    site.wait("another look", 10, |_| looks(&shown) > before);
    assert!(watcher.try_wait().unwrap().is_none(), "it goes on");
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    let told = std::fs::read_to_string(told).unwrap();
    assert!(told.contains("is the service running") && told.contains("still looking"), "{told}");
    assert_eq!(site.terminate().0, Some(0));
}

#[test]
fn a_daemon_that_is_told_to_stop_in_the_middle_goes_on_where_it_was() {
    let mut site = Site::new("stop", 24);
    site.order("lamps-1", "");
    site.start();
    site.wait_for_frames(10);
    let (code, took) = site.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
    site.start();
    site.wait("it is over", 30, |status| !status.finished.is_empty());
    site.terminate();
    site.wait_for_the_air();
    let verdict = site.verdict();
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
    // A clean stop leaves an exact mark: nothing is repeated, nothing is lost.
    assert_eq!((verdict.devices_complete, verdict.frames, verdict.repeated_frames), (site.devices(), 32, 0));
}

#[test]
fn a_daemon_that_is_killed_again_and_again_never_reuses_a_counter() {
    let kills: u64 = std::env::var(KILLS).ok().and_then(|kills| kills.parse().ok()).unwrap_or(5);
    let mut site = Site::new("kill", 74);
    site.order("lamps-1", "");
    let mut luck = fuotad::sim::random::Random::new(u64::from(std::process::id()));
    println!("seed {}", std::process::id());
    for _ in 0..kills {
        site.start();
        // Somewhere: while it starts, plans, reserves, or between two frames.
        if luck.below(4) == 0 {
            site.wait_for(Duration::from_millis(luck.below(400)));
        } else {
            site.wait_for_frames_if_any_are_left(1 + luck.below(30));
            site.wait_for(Duration::from_millis(luck.below(150)));
        }
        site.kill();
    }
    site.start();
    site.wait("it is over", 60, |status| !status.finished.is_empty());
    let (code, _) = site.terminate();
    assert_eq!(code, Some(0));
    site.wait_for_the_air();
    let verdict = site.verdict();
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
    assert_eq!(verdict.devices_complete, site.devices());
    println!("{} frames, {} repeated, {kills} kills", verdict.frames, verdict.repeated_frames);
}

/// A campaign from its first frame to its end.
fn whole_campaign(name: &str) -> Site {
    let mut site = Site::new(name, 4);
    site.order("lamps-1", "");
    site.start();
    site.wait("it is over", 30, |status| !status.finished.is_empty());
    site.terminate();
    site
}

fn remove(site: &Site, is_meant: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(site.path("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && is_meant(path.file_name().unwrap().to_str().unwrap()) {
            std::fs::remove_file(path).unwrap();
        }
    }
}

fn is_journal(name: &str) -> bool {
    name.ends_with(".a") || name.ends_with(".b")
}

#[test]
fn a_key_that_nobody_enrolled_sends_nothing_and_says_how_to_enrol_it() {
    let mut site = Site::new("unenrolled", 4);
    std::fs::create_dir(site.path("state")).unwrap();
    site.order("lamps-1", "");
    site.start();
    let status = site.wait("it is refused", 10, |status| !status.refused.is_empty());
    assert!(status.refused[0].1.contains("say `fuotad group enrol lamps` once"), "{:?}", status.refused);
    site.terminate();
    assert_eq!(site.frames(), 0);
    // The number in the configuration is what the command proposes.
    let said = site.cli(&["group", "enrol", "lamps", "-c", &site.config()]);
    assert!(said.contains("the first FCnt is 2"), "{said}");
    site.start();
    site.wait("it is over", 30, |status| !status.finished.is_empty());
}

#[test]
fn enrolling_twice_changes_nothing_and_says_the_next_free_counter() {
    let site = whole_campaign("enrol-twice");
    let enrol = ["group", "enrol", "lamps", "-c", &site.config()];
    let (code, text) = site.refuses(&enrol);
    assert_eq!(code, Some(65), "{text}");
    assert!(text.contains("is enrolled already for group lamps, its first free FCnt is "), "{text}");
    let (_, text) = site.refuses(&[enrol.as_slice(), &["--after-loss", "--first-fcnt", "3"]].concat());
    assert!(text.contains("FCnt 3 is spent, ") && text.contains(" is the first free one"), "{text}");
    site.cli(&[enrol.as_slice(), &["--after-loss", "--first-fcnt", "5000", "--json"]].concat());
}

#[test]
fn a_journal_that_is_gone_is_a_loss_and_not_a_new_key() {
    let mut site = whole_campaign("journal-gone");
    remove(&site, is_journal);
    site.order("lamps-2", "");
    site.start();
    let status = site.wait("it is refused", 10, |status| !status.refused.is_empty());
    assert!(status.refused[0].1.contains("its journal is gone"), "{:?}", status.refused);
    site.terminate();
    let frames = site.frames();
    // Whatever else is removed, as long as a record or a report is left.
    remove(&site, |name| is_journal(name) || name.starts_with("key-"));
    std::fs::remove_file(site.path("key.enrolled")).unwrap();
    let enrol = ["group", "enrol", "lamps", "-c", &site.config()];
    let (code, text) = site.refuses(&enrol);
    assert_eq!(code, Some(65), "{text}");
    assert!(text.contains("was used here (report-lamps-1") && text.contains("counters are spent"), "{text}");
    let (_, text) = site.refuses(&[enrol.as_slice(), &["--after-loss", "--first-fcnt", "3"]].concat());
    assert!(text.contains("--first-fcnt 3 is used: report-lamps-1"), "{text}");
    site.cli(&[enrol.as_slice(), &["--after-loss", "--first-fcnt", "9000"]].concat());
    // Nobody knows what was on the air in the last hour; in US915 no law limits it.
    site.start();
    site.wait("it is over", 30, |status| status.finished.iter().any(|(task, _)| task == "lamps-2"));
    site.terminate();
    site.wait_for_the_air();
    assert!(site.frames() > frames);
    let verdict = site.verdict();
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
}

#[test]
fn a_wiped_state_folder_is_noticed_by_the_file_beside_the_key() {
    let site = whole_campaign("wiped");
    std::fs::remove_dir_all(site.path("state")).unwrap();
    let enrol = ["group", "enrol", "lamps", "-c", &site.config()];
    let (code, text) = site.refuses(&enrol);
    assert_eq!(code, Some(65), "{text}");
    assert!(text.contains("key.enrolled says that this key was enrolled before"), "{text}");
    assert!(!site.path("state").exists() || std::fs::read_dir(site.path("state")).unwrap().count() == 0);
    site.cli(&[enrol.as_slice(), &["--after-loss", "--first-fcnt", "9000"]].concat());
}

#[test]
fn a_key_of_another_group_a_folder_of_another_gateway_and_a_running_service_are_refused() {
    let mut site = Site::new("enrol-wrong", 4);
    site.start();
    site.wait("it runs", 10, |_| true);
    let enrol = ["group", "enrol", "lamps", "-c", &site.config()];
    let (_, text) = site.refuses(&[enrol.as_slice(), &["--after-loss", "--first-fcnt", "9000"]].concat());
    assert!(text.contains("the service runs in ") && text.contains("systemctl stop"), "{text}");
    site.terminate();
    site.replace("name = \"lamps\"", "name = \"lights\"");
    let (_, text) = site.refuses(&["group", "enrol", "lights", "-c", &site.config()]);
    assert!(text.contains("this key is the one of group lamps"), "{text}");
    site.replace("name = \"lights\"", "name = \"lamps\"");
    // The folder comes from another gateway.
    let journals = site.path("state");
    std::fs::remove_dir_all(&journals).unwrap();
    std::fs::remove_file(site.path("key.enrolled")).unwrap();
    site.replace("[gateway]", "[gateway]\n            id = \"0016c001f1500812\"");
    site.cli(&enrol);
    site.replace("0016c001f1500812", "0016c001f1500813");
    let (_, text) = site.refuses(&enrol);
    assert!(text.contains("belongs to gateway 0016c001f1500812, and this one is 0016c001f1500813"), "{text}");
    let (_, text) = site.refuses(&["group", "enrol", "nobody", "-c", &site.config()]);
    assert!(text.contains("there is no group \"nobody\": the configuration has lamps"), "{text}");
}

#[test]
fn a_second_instance_is_refused_before_it_reads_a_counter() {
    let mut site = Site::new("second", 4);
    site.start();
    let status = site.wait("the first is up", 10, |_| true);
    assert!(status.uptime_s < 60, "since the process began, not since the boot: {} s", status.uptime_s);
    let second =
        Command::new(env!("CARGO_BIN_EXE_fuotad")).args(["run", "-c", &site.config()]).output().unwrap();
    assert_eq!(second.status.code(), Some(75));
    let text = String::from_utf8(second.stderr).unwrap();
    assert!(text.starts_with("fuotad: another fuotad works in"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(site.is_running());
}

#[test]
fn a_start_that_cannot_be_says_why_in_one_line() {
    let refused = |site: &Site, code: i32, words: &str| {
        let started = Instant::now();
        let run =
            Command::new(env!("CARGO_BIN_EXE_fuotad")).args(["run", "-c", &site.config()]).output().unwrap();
        let text = String::from_utf8(run.stderr).unwrap();
        assert_eq!((run.status.code(), text.lines().count()), (Some(code), 1), "{text}");
        assert!(text.contains(words), "{text}");
        assert!(started.elapsed() < Duration::from_secs(5));
    };
    let mut site = Site::new("refused", 4);
    let occupied = UdpSocket::bind(site.listen()).unwrap();
    refused(&site, 69, "is in use");
    drop(occupied);
    site.replace("[forwarder]", "[forwarder");
    refused(&site, 78, "line ");
    std::fs::remove_file(site.config()).unwrap();
    refused(&site, 66, "it is not there");
}

#[test]
fn a_malformed_task_beside_a_good_one_disturbs_nobody() {
    let mut site = Site::new("malformed", 24);
    std::fs::write(site.path("tasks").join("broken.json"), "{ \"Status\": ").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", site.path("tasks").join("link.json")).unwrap();
    site.order("cloudy", r#","FirmwareUpdateImage":"s3://bucket/key","Id":"cloudy""#);
    site.order("lamps-1", "");
    let image = site.take_image();
    site.start();
    let status = site.wait("it says what is missing", 10, |status| {
        status.tasks.iter().any(|task| task.waiting.as_ref().is_some_and(|why| why.contains("image.bin")))
            && status.refused.len() == 2
    });
    assert!(
        status.refused.iter().any(|(task, reason)| task == "broken" && !reason.contains("task broken")),
        "{:?}",
        status.refused
    );
    assert!(
        status.refused.iter().any(|(task, why)| task == "cloudy" && why.contains("no cloud is configured"))
    );
    site.put_image(&image);
    site.wait("it sends", 15, |status| status.tasks.iter().any(|task| task.phase == "sending"));
    std::fs::remove_file(site.path("tasks").join("lamps-1.json")).unwrap();
    let status = site.wait("the task is gone", 10, |status| !status.finished.is_empty());
    assert!(status.finished[0].1.starts_with("cancelled after"), "{:?}", status.finished);
    assert!(site.is_running());
    let log = site.log();
    assert_eq!(log.lines().filter(|line| line.contains("link.json")).count(), 1, "{log}");
    assert_eq!(log.lines().filter(|line| line.contains("task broken")).count(), 1, "{log}");
}

/// Frames that the daemon may have handed to the forwarder before they are due.
const HANDED_OVER_MAX: u64 = 3;

#[test]
fn removing_a_file_stops_its_campaign_before_the_next_frame() {
    let mut site = Site::new("removed", 74);
    // Nothing is found by looking again and again.
    site.replace("scan-s = 1", "scan-s = 3600");
    site.start();
    site.wait("the forwarder is heard", 10, |status| status.forwarder.online.is_some());
    site.order("lamps-1", "");
    site.wait_for_frames(5);
    std::fs::remove_file(site.path("tasks").join("lamps-1.json")).unwrap();
    let by_then = site.frames();
    let status = site.wait("it is cancelled", 10, |status| !status.finished.is_empty());
    assert!(status.finished[0].1.starts_with("cancelled after"), "{:?}", status.finished);
    site.wait_for_the_air();
    let verdict = site.verdict();
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
    assert!((5..=by_then + HANDED_OVER_MAX).contains(&verdict.frames), "{} after {by_then}", verdict.frames);
}

#[test]
fn a_file_that_is_replaced_in_two_steps_while_it_is_sent_goes_on() {
    let mut site = Site::new("two-steps", 24);
    site.replace("scan-s = 1", "scan-s = 3600");
    site.order("lamps-1", "");
    site.start();
    site.wait_for_frames(5);
    std::fs::remove_file(site.path("tasks").join("lamps-1.json")).unwrap();
    site.order("lamps-1", "");
    let status = site.wait("it is over", 30, |status| !status.finished.is_empty());
    assert!(status.finished[0].1.starts_with("complete: 32 frames sent"), "{:?}", status.finished);
    let log = site.log();
    assert!(log.contains("waiting: its file in the task folder: it is gone and cancels the task"), "{log}");
    site.wait_for_the_air();
    let verdict = site.verdict();
    assert!(verdict.is_content(), "{:?}", verdict.breaches);
    assert_eq!((verdict.devices_complete, verdict.frames, verdict.repeated_frames), (site.devices(), 32, 0));
}

#[test]
fn without_a_forwarder_or_a_clock_it_stays_up_and_says_what_it_waits_for() {
    let mut site = Site::new("waiting", 4);
    site.no_radio();
    site.order("lamps-1", r#","Fuotad":{"Start":"2040-01-01T00:00:00Z"}"#);
    site.start();
    let status = site.wait("the plan", 10, |status| status.tasks.iter().any(|task| task.phase == "waiting"));
    assert!(!status.is_ready);
    assert!(
        status.not_ready[0].starts_with("the packet forwarder: nothing was heard"),
        "{:?}",
        status.not_ready
    );
    assert!(!status.clock.is_trusted && status.clock.reason.is_some());
    site.radio_on();
    let status = site.wait("the forwarder", 10, |status| status.forwarder.online.is_some());
    let status = if status.not_ready.iter().any(|why| why.contains("clock")) {
        status
    } else {
        site.wait("the clock", 10, |status| status.not_ready.iter().any(|why| why.contains("clock")))
    };
    assert!(status.not_ready[0].contains("a trusted clock"), "{:?}", status.not_ready);
    assert_eq!(site.terminate().0, Some(0));
}

#[test]
fn a_gateway_whose_state_folder_is_broken_stays_on_its_network_and_sends_nothing() {
    let mut site = Site::new("halted", 4);
    site.network(7200);
    std::fs::write(site.path("state"), "a file").unwrap();
    site.order("lamps-1", "");
    site.start();
    let status = site.wait("it relays", 30, |status| {
        status.servers.iter().any(|server| server.pushed > 3 && server.push_acked > 3)
            && status.relay.passed > 2
    });
    assert!(!status.is_ready && status.not_ready[0].contains("the state folder"), "{:?}", status.not_ready);
    assert!(status.tasks.iter().all(|task| task.phase == "waiting"), "{:?}", status.tasks);
    assert_eq!(site.terminate().0, Some(0));
    let (server, _) = site.network_counts();
    assert!(server.answers.accepted > 0, "{server:?}");
    assert!(site.frames() <= server.answers.sent, "nothing but the server's downlinks was on the air");
}

/// The next datagram. A child of another test that ends may interrupt the wait.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> (usize, SocketAddr) {
    loop {
        match socket.recv_from(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            received => return received.unwrap(),
        }
    }
}

#[test]
fn a_network_server_that_is_gone_and_found_by_name_gets_its_gateway_back() {
    let mut site = Site::new("gone", 4);
    // Whatever family the name leads to first.
    let address = ("localhost", 0).to_socket_addrs().unwrap().next().unwrap();
    let port = UdpSocket::bind(address).unwrap().local_addr().unwrap().port();
    site.extend(&format!("[[network-server]]\naddress = \"localhost:{port}\"\n"), &[]);
    site.start();
    // Nobody is there: each datagram comes back as "connection refused", and the forwarder notices nothing.
    site.wait("uplinks are relayed to nobody", 10, |status| {
        status.servers.iter().any(|server| server.pushed > 3 && server.push_acked == 0)
            && status.forwarder.counter_error_us.is_some()
    });
    let server = UdpSocket::bind((address.ip(), port)).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut buffer = [0; 2048];
    let (mut uplinks, mut keepalives) = (0, 0);
    while uplinks == 0 || keepalives == 0 {
        let (length, from) = receive(&server, &mut buffer);
        match buffer[3] {
            0 => uplinks += 1,
            2 => keepalives += 1,
            other => panic!("kind {other} in {length} bytes"),
        }
        let ack = [buffer[0], buffer[1], buffer[2], if buffer[3] == 0 { 1 } else { 4 }];
        server.send_to(&ack, from).unwrap();
    }
    site.wait("it is online", 10, |status| status.servers.iter().any(|server| server.is_online));
    // An answer from anywhere else is not read.
    let thief = UdpSocket::bind((address.ip(), 0)).unwrap();
    let (_, gateway) = receive(&server, &mut buffer);
    let downlink = b"\x02\x01\x02\x03{\"txpk\":{}}";
    thief.send_to(downlink, gateway).unwrap();
    server.send_to(downlink, gateway).unwrap();
    site.wait("one of the two is read", 10, |status| status.servers.iter().any(|server| server.asked == 1));
    assert_eq!(site.terminate().0, Some(0));
}
