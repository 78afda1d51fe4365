//! A GPS receiver on a tty of its own: the real process at one end of a pseudo-terminal, sentences at the other.

use crate::support::site::Site;
use fuotad::daemon::Snapshot;
use rustix::io::ioctl_fionbio;
use rustix::pty::OpenptFlags;
use rustix::pty::grantpt;
use rustix::pty::openpt;
use rustix::pty::ptsname;
use rustix::pty::unlockpt;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Instant;
use std::time::SystemTime;

/// 2031-05-06 07:08:09 UTC: far from every wall clock.
const FAR_UNIX_S: f64 = 1_935_817_689.0;

/// The far end of a tty: whoever holds it is the receiver.
struct Receiver {
    master: File,
    tty: PathBuf,
    began: Instant,
    unix_s: f64,
}

impl Receiver {
    /// A receiver that names `unix_s` now, at the end of a new tty.
    fn new(unix_s: f64) -> Receiver {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        // While nobody reads, a sentence is lost, as on a wire.
        ioctl_fionbio(&master, true).unwrap();
        let tty = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        Receiver { master: File::from(master), tty, began: Instant::now(), unix_s }
    }

    /// One RMC sentence of this moment, with a fix or without.
    fn say(&self, status: char) {
        let unix_s = self.unix_s + self.began.elapsed().as_secs_f64();
        let stamp = jiff::Timestamp::from_millisecond((unix_s * 1000.0) as i64).unwrap();
        let (time, date) = (stamp.strftime("%H%M%S.%3f"), stamp.strftime("%d%m%y"));
        let body = format!("GPRMC,{time},{status},4614.400,N,00315.139,E,0.0,0.0,{date},,,A");
        let checksum = body.bytes().fold(0, |sum, byte| sum ^ byte);
        let _ = write!(&self.master, "${body}*{checksum:02X}\r\n");
    }

    /// Says it again at every look until `is_so`.
    fn says_until(&self, site: &mut Site, what: &str, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
        site.wait(what, 20, |snapshot| {
            self.say('A');
            is_so(snapshot)
        })
    }
}

/// A site whose `[gps] tty` is a link that a test may lead elsewhere.
fn site(name: &str, trust: &str) -> (Site, PathBuf) {
    let mut site = Site::new(name, 8);
    let link = site.path("gps-tty");
    site.extend(&format!("[gps]\ntty = \"{}\"\n", link.display()), &[("FUOTAD__CLOCK__TRUST", trust)]);
    (site, link)
}

fn plug(link: &PathBuf, receiver: &Receiver) {
    let _ = std::fs::remove_file(link);
    symlink(&receiver.tty, link).unwrap();
}

fn gps(snapshot: &Snapshot) -> &str {
    snapshot.clock.gps.as_deref().unwrap_or_default()
}

#[test]
fn where_the_wall_clock_is_not_trusted_the_receiver_gives_the_time() {
    let (mut site, link) = site("gps-time", "never");
    let receiver = Receiver::new(FAR_UNIX_S);
    plug(&link, &receiver);
    site.start();
    site.wait("an open tty", 10, |snapshot| gps(snapshot).contains("no sentence yet"));
    receiver.say('V');
    let snapshot = site.wait("a receiver without a fix", 10, |snapshot| gps(snapshot) == "no fix");
    assert!(!snapshot.clock.is_trusted, "a time without a fix is none");
    let snapshot = receiver.says_until(&mut site, "a trusted clock", |snapshot| snapshot.clock.is_trusted);
    let utc = snapshot.clock.utc.clone().unwrap();
    assert!(utc.starts_with("2031-05-06T07:08:"), "{utc}");
    assert_eq!(gps(&snapshot), "a fix");
    assert!(site.cli(&["status", "--socket", &site.socket()]).contains("GPS        a fix"));
}

#[test]
fn a_receiver_that_agrees_makes_the_wall_clock_trusted() {
    let (mut site, link) = site("gps-evidence", "auto");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let receiver = Receiver::new(now.as_secs_f64());
    plug(&link, &receiver);
    site.start();
    let before = site.wait("an open tty", 10, |snapshot| gps(snapshot).contains("no sentence yet"));
    assert!(before.clock.reason.unwrap().contains("nothing says that it is synchronised"));
    receiver.says_until(&mut site, "a trusted clock", |snapshot| snapshot.clock.is_trusted);
}

#[test]
fn a_receiver_that_contradicts_a_trusted_wall_clock_makes_it_distrusted() {
    let (mut site, link) = site("gps-contradiction", "always");
    let receiver = Receiver::new(FAR_UNIX_S);
    plug(&link, &receiver);
    site.start();
    site.wait("an open tty", 10, |snapshot| {
        snapshot.clock.is_trusted && gps(snapshot).contains("no sentence yet")
    });
    let snapshot = receiver.says_until(&mut site, "a contradiction", |snapshot| !snapshot.clock.is_trusted);
    assert!(snapshot.clock.reason.unwrap().contains("the GPS receiver contradict each other"));
}

#[test]
fn a_tty_that_another_process_holds_is_refused_and_taken_when_it_is_free() {
    let (mut site, link) = site("gps-held", "never");
    let receiver = Receiver::new(FAR_UNIX_S);
    plug(&link, &receiver);
    let held = File::options().read(true).write(true).open(&receiver.tty).unwrap();
    site.start();
    let held_by = format!("(process {})", std::process::id());
    let snapshot = site.wait("a refused tty", 10, |snapshot| gps(snapshot).contains(&held_by));
    assert!(gps(&snapshot).contains("leave out [gps]"), "{}", gps(&snapshot));
    assert!(snapshot.forwarder.online.is_some() || site.is_running(), "the service goes on");
    drop(held);
    receiver.says_until(&mut site, "a fix", |snapshot| gps(snapshot) == "a fix");
}

#[test]
fn a_receiver_may_be_plugged_in_late_and_unplugged_and_plugged_in_again() {
    let (mut site, link) = site("gps-unplugged", "never");
    site.start();
    site.wait("a missing tty", 10, |snapshot| gps(snapshot).contains("cannot be opened"));
    for _ in 0..2 {
        let receiver = Receiver::new(FAR_UNIX_S);
        plug(&link, &receiver);
        receiver.says_until(&mut site, "a fix", |snapshot| gps(snapshot) == "a fix");
        drop(receiver);
        site.wait("a hung-up tty", 10, |snapshot| {
            gps(snapshot).contains("hung up") || gps(snapshot).contains("cannot")
        });
    }
    assert!(site.log().contains("GPS: "), "the log says it, too");
}

#[test]
fn a_receiver_that_cannot_be_is_refused_by_check() {
    let mut site = Site::new("gps-config", 8);
    site.extend("[gps]\ntty = \"ttyS1\"\n", &[]);
    let refused = |site: &Site| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_fuotad"))
            .args(["check", &site.config()])
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = refused(&site);
    assert!(code == Some(78) && told.contains("gps.tty: \"ttyS1\" is no path of a device"), "{told}");
    let text = std::fs::read_to_string(site.config()).unwrap();
    let with = |gps: &str| std::fs::write(site.config(), text.replace("tty = \"ttyS1\"", gps)).unwrap();
    with("tty = \"/dev/ttyS1\"\nbaud = 1200");
    let (code, told) = refused(&site);
    assert!(
        code == Some(78)
            && told.contains("gps.baud: 1200 is no speed of a receiver: write one of 4800, 9600,"),
        "{told}"
    );
    with("tty = \"/dev/nowhere\"");
    let (code, told) = refused(&site);
    assert!(code == Some(0) && told.contains("gps.tty: /dev/nowhere is not here"), "{told}");
}
