//! The download of images through everything a backhaul, a service and a power cut can do.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::cloud_side::Log;
use crate::support::fake_aws::FakeAws;
use crate::support::fake_aws::Fault;
use crate::support::fake_aws::Op;
use crate::support::scratch::Scratch;
use crate::support::small_world;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuotad::broadcast::SignatureWish;
use fuotad::cloud::image_ref;
use fuotad::daemon::Fact;
use fuotad::daemon::FetchOrder;
use fuotad::daemon::Fetched;
use fuotad::daemon::ImageWish;
use fuotad::daemon::aws;
use fuotad::daemon::aws::Settings;
use fuotad::image::Digest;
use fuotad::signing::Evidence;
use fuotad::task::ImageRef;
use fuotad::task::TaskId;
use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

const IMAGE: &str = "s3://fw-bucket/meters/app.bin";
const OBJECT: &str = "fw-bucket/meters/app.bin";
/// Longer than any step should take.
const LIMIT: Duration = Duration::from_secs(30);
/// What one request asks for.
const RANGE: usize = 128 * 1024;

/// A gateway's images, which outlive its process; gone when the test is over.
struct Disk(Scratch);

impl Disk {
    fn new(name: &str) -> Disk {
        Disk(Scratch::new(name))
    }

    /// Where the images are, once there are any.
    fn images(&self) -> PathBuf {
        self.0.path("images")
    }

    /// The names and lengths of the files with this ending.
    fn files(&self, ending: &str) -> Vec<(String, u64)> {
        let Ok(entries) = std::fs::read_dir(self.images()) else { return Vec::new() };
        let entries = entries.map(|entry| entry.unwrap());
        let named =
            entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()));
        named.filter(|(name, _)| name.ends_with(ending)).collect()
    }
}

/// The cloud side of one process.
struct Process {
    facts: mpsc::Receiver<Fact>,
    wishes: mpsc::Sender<ImageWish>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
    log: Arc<Mutex<Vec<String>>>,
    credentials: PathBuf,
}

impl Process {
    fn start(fake: &FakeAws, disk: &Disk) -> Process {
        Process::start_with(fake, disk, |_| {})
    }

    /// These were wished before it could look at any of them.
    fn start_asked(fake: &FakeAws, disk: &Disk, orders: Vec<FetchOrder>) -> Process {
        Process::begin(fake, disk, |_| {}, orders)
    }

    fn start_with(fake: &FakeAws, disk: &Disk, prepare: impl FnOnce(&mut Settings)) -> Process {
        Process::begin(fake, disk, prepare, Vec::new())
    }

    fn begin(
        fake: &FakeAws,
        disk: &Disk,
        prepare: impl FnOnce(&mut Settings),
        asked: Vec<FetchOrder>,
    ) -> Process {
        let credentials = disk.0.path("credentials");
        let text = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = SECRET/CANARY+key\n";
        std::fs::write(&credentials, text).unwrap();
        let mut settings = Settings::new("eu-west-1", &[]);
        settings.endpoint_url = Some(fake.url());
        settings.credentials_file = Some(credentials.clone());
        settings.images_dir = Some(disk.images());
        settings.timeouts.fetch_first = Duration::from_millis(2);
        settings.timeouts.longest = Duration::from_millis(10);
        settings.timeouts.answer = Duration::from_secs(2);
        prepare(&mut settings);
        let (to_us, facts) = mpsc::channel(16);
        let (wishes, to_them) = mpsc::channel(64);
        for order in asked {
            wishes.try_send(ImageWish::Fetch(order)).unwrap();
        }
        let (stop, stopped) = oneshot::channel();
        let log = Arc::new(Mutex::new(Vec::new()));
        let subscriber = Log(Arc::clone(&log));
        let thread = std::thread::spawn(move || {
            tracing::subscriber::with_default(subscriber, || {
                let stopped = async {
                    let _ = stopped.await;
                };
                runtime().block_on(aws::run(settings, to_us, to_them, stopped));
            });
        });
        let (stop, thread, runtime) = (Some(stop), Some(thread), runtime());
        Process { facts, wishes, stop, thread, runtime, log, credentials }
    }

    fn order(&self, image: &str, digest: Option<Digest>, signature: SignatureWish) {
        // A stand-in on this machine speaks no TLS; a task could not name it.
        let image = match image.strip_prefix("http://") {
            Some(_) => ImageRef::Https(image.to_owned()),
            None => image_ref(image).unwrap(),
        };
        self.wish(ImageWish::Fetch(FetchOrder { task: task_id(), image, digest, signature }));
    }

    fn wish(&self, wish: ImageWish) {
        self.wishes.blocking_send(wish).unwrap();
    }

    fn fetch(&self) {
        self.order(IMAGE, None, SignatureWish::No);
    }

    fn fact(&mut self) -> Fact {
        let Process { facts, runtime, log, .. } = self;
        let next = runtime.block_on(async { tokio::time::timeout(LIMIT, facts.recv()).await });
        next.unwrap_or_else(|_| panic!("no fact; the log: {:#?}", log.lock().unwrap())).unwrap()
    }

    /// What came in the end, whatever was missing before.
    fn brought(&mut self) -> Result<(Vec<u8>, Option<Evidence>), String> {
        loop {
            match self.fact() {
                Fact::Image(_, Fetched::Image(bytes, evidence)) => return Ok((bytes, evidence)),
                Fact::Image(_, Fetched::Failed(reason)) => return Err(reason),
                Fact::Image(_, Fetched::Missing(_)) => {}
                other => panic!("{other:?} is not about an image"),
            }
        }
    }

    fn image(&mut self) -> Vec<u8> {
        self.brought().unwrap().0
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        let _ = std::fs::remove_file(&self.credentials);
        if !std::thread::panicking() {
            ended.unwrap();
            assert!(!self.log().contains("CANARY"), "a secret is in the log:\n{}", self.log());
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn task_id() -> TaskId {
    TaskId::new("t").unwrap()
}

/// Bytes without a pattern that a wrong offset would hide.
fn firmware(bytes: usize) -> Vec<u8> {
    small_world::lcg(1, bytes)
}

fn started(name: &str, bytes: &[u8]) -> (FakeAws, Disk) {
    let fake = FakeAws::start();
    fake.put_object(OBJECT, bytes, true);
    (fake, Disk::new(name))
}

#[test]
fn a_mebibyte_with_three_requests_of_ten_failing_costs_less_than_a_fifth_more() {
    let bytes = firmware(1 << 20);
    let (fake, disk) = started("flaky", &bytes);
    let faults = [
        Fault::Cut(RANGE / 3),
        Fault::Reset,
        Fault::Error(503, "SlowDown"),
        Fault::Cut(RANGE - 1),
        Fault::CutHead(20),
        Fault::Error(500, "InternalError"),
    ];
    // Every third request fails until it is done.
    let good = Fault::Drip(RANGE, Duration::ZERO);
    let script = faults.into_iter().cycle().flat_map(|fault| [fault, good.clone(), good.clone()]);
    fake.fail(Op::Get, script.take(100));
    let mut process = Process::start(&fake, &disk);
    process.fetch();
    assert!(process.image() == bytes);
    let (requests, sent) = (fake.count(Op::Get), fake.world().sent_bytes);
    let failed = requests.div_ceil(3);
    println!("1 MiB: {requests} requests, {failed} of them failed, {sent} bytes sent");
    assert!(failed * 10 >= requests * 3, "{failed} of {requests}");
    assert!(sent < (1 << 20) * 12 / 10, "{sent} bytes");
}

#[test]
fn a_body_may_be_cut_at_any_byte() {
    let bytes = firmware(3000);
    let (fake, disk) = started("cuts", &bytes);
    let mut process = Process::start(&fake, &disk);
    let cuts = (0..3001).step_by(97).chain([1, 2, 2998, 2999, 3000]).map(Fault::Cut);
    let heads = [0, 1, 8, 9, 16, 40, 200].map(Fault::CutHead);
    for fault in cuts.chain(heads) {
        fake.fail(Op::Get, [fault.clone()]);
        process.fetch();
        assert!(process.image() == bytes, "{fault:?}: {}", process.log());
        assert!(fake.is_spent(Op::Get), "{fault:?} did not strike");
    }
}

#[test]
fn a_download_goes_on_after_a_restart_where_it_was() {
    let bytes = firmware(3 * RANGE + 1000);
    let (fake, disk) = started("restart", &bytes);
    // One range, and half of the second; then nothing any more.
    let good = Fault::Drip(RANGE, Duration::ZERO);
    fake.fail(Op::Get, [vec![good, Fault::Cut(RANGE / 2)], vec![Fault::Reset; 10_000]].concat());
    let process = Process::start(&fake, &disk);
    process.fetch();
    fake.wait_for(Op::Get, 5);
    drop(process);
    assert_eq!(disk.files(".part").iter().map(|file| file.1).sum::<u64>(), (RANGE + RANGE / 2) as u64);
    fake.no_faults();
    let sent = fake.world().sent_bytes;
    let mut process = Process::start(&fake, &disk);
    process.fetch();
    assert!(process.image() == bytes);
    let more = fake.world().sent_bytes - sent;
    assert_eq!(more, bytes.len() - RANGE - RANGE / 2, "only what was missing");
    assert!(process.log().contains(&format!("{} of {} bytes are here", RANGE + RANGE / 2, bytes.len())));
    let kept = disk.files("");
    assert_eq!(kept, [(format!("{}.img", Digest::of(&bytes)), bytes.len() as u64)]);
}

#[test]
fn an_object_that_was_replaced_while_the_process_was_away_is_fetched_anew_and_never_mixed() {
    let (old, new) = (firmware(2 * RANGE), firmware(2 * RANGE).into_iter().rev().collect::<Vec<_>>());
    let (fake, disk) = started("replaced", &old);
    let good = Fault::Drip(RANGE, Duration::ZERO);
    fake.fail(Op::Get, [vec![good], vec![Fault::Reset; 10_000]].concat());
    let process = Process::start(&fake, &disk);
    process.fetch();
    fake.wait_for(Op::Get, 3);
    drop(process);
    fake.no_faults();
    fake.put_object(OBJECT, &new, true);
    let mut process = Process::start(&fake, &disk);
    process.fetch();
    assert!(process.image() == new);
}

#[test]
fn an_image_whose_digest_is_known_is_taken_from_the_disk_and_three_are_kept_beside_it() {
    let (fake, disk) = started("shelf", b"");
    let images: Vec<Vec<u8>> = (0..5).map(|number| firmware(1000 + number)).collect();
    let mut process = Process::start(&fake, &disk);
    for (number, image) in images.iter().enumerate() {
        fake.put_object(&format!("b/{number}"), image, true);
        process.order(&format!("s3://b/{number}"), None, SignatureWish::No);
        assert!(process.image() == *image);
    }
    // The last one is what the task needs now.
    assert_eq!(disk.files(".img").len(), 1 + 3);
    drop(process);
    let requests = fake.world().requests.len();
    let mut process = Process::start(&fake, &disk);
    process.order("s3://b/4", Some(Digest::of(&images[4])), SignatureWish::No);
    assert!(process.image() == images[4]);
    assert_eq!(fake.world().requests.len(), requests, "nobody was asked");
    // One that is not kept any more is fetched.
    process.order("s3://b/0", Some(Digest::of(&images[0])), SignatureWish::No);
    assert!(process.image() == images[0]);
}

/// What `task` asks for: the object `b/task`.
fn asked(task: &str, digest: Option<Digest>) -> FetchOrder {
    let image = image_ref(&format!("s3://b/{task}")).unwrap();
    FetchOrder { task: TaskId::new(task).unwrap(), image, digest, signature: SignatureWish::No }
}

#[test]
fn the_image_of_a_task_that_is_not_over_stays_whatever_comes_after_it() {
    let (fake, disk) = started("needed", b"");
    let image = |number: usize| firmware(1000 + number);
    let mut process = Process::start(&fake, &disk);
    // The first two are not over: one whose digest is known, and one whose digest was learned.
    for number in 0..8 {
        let digest = (number == 0).then(|| Digest::of(&image(number)));
        let order = asked(&format!("t{number}"), digest);
        fake.put_object(&format!("b/t{number}"), &image(number), true);
        let task = order.task.clone();
        process.wish(ImageWish::Fetch(order));
        assert!(process.image() == image(number));
        if number > 1 {
            process.wish(ImageWish::Over(task));
        }
    }
    // What the last one needed was not too much yet when it was kept.
    assert_eq!(disk.files(".img").len(), 2 + 1 + 3);
    // Asked again later, and after a restart, without a network.
    let requests = fake.world().requests.len();
    for _ in 0..2 {
        for number in 0..2 {
            process.wish(ImageWish::Fetch(asked(&format!("t{number}"), Some(Digest::of(&image(number))))));
            assert!(process.image() == image(number));
        }
        drop(process);
        process = Process::start(&fake, &disk);
    }
    assert_eq!(fake.world().requests.len(), requests, "nobody was asked");
}

#[test]
fn after_a_restart_no_new_image_pushes_out_one_that_is_asked_for_behind_it() {
    let (fake, disk) = started("behind", b"");
    let image = |number: usize| firmware(1000 + number);
    let old: Vec<FetchOrder> =
        (0..6).map(|number| asked(&format!("old{number}"), Some(Digest::of(&image(number))))).collect();
    let mut process = Process::start(&fake, &disk);
    for (number, order) in old.iter().enumerate() {
        fake.put_object(&format!("b/old{number}"), &image(number), true);
        process.wish(ImageWish::Fetch(order.clone()));
        assert!(process.image() == image(number));
    }
    drop(process);
    assert_eq!(disk.files(".img").len(), 6);
    // Nobody could bring the old ones again, and more new ones than are fetched at once are in front of them.
    fake.world().objects.clear();
    let new: Vec<FetchOrder> = (0..12).map(|number| asked(&format!("new{number}"), None)).collect();
    for number in 0..12 {
        fake.put_object(&format!("b/new{number}"), &image(100 + number), true);
    }
    let mut process = Process::start_asked(&fake, &disk, [new, old].concat());
    let mut brought: Vec<String> = (0..18)
        .map(|_| match process.fact() {
            Fact::Image(task, Fetched::Image(..)) => task.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    brought.sort();
    assert_eq!(brought.iter().filter(|task| task.starts_with("old")).count(), 6, "{brought:?}");
}

#[test]
fn a_task_that_is_over_leaves_its_place_to_the_next_download() {
    let bytes = firmware(1000);
    let (fake, disk) = started("place", b"");
    let mut process = Process::start(&fake, &disk);
    // As many as are fetched at once, and none of them is there.
    for number in 0..8 {
        process.wish(ImageWish::Fetch(asked(&format!("t{number}"), None)));
        assert!(matches!(process.fact(), Fact::Image(_, Fetched::Missing(_))));
    }
    fake.put_object("b/good", &bytes, true);
    process.wish(ImageWish::Fetch(asked("good", None)));
    process.wish(ImageWish::Over(TaskId::new("t3").unwrap()));
    assert!(process.image() == bytes);
}

#[test]
fn a_disk_that_cannot_be_written_does_not_keep_an_image_away() {
    let bytes = firmware(1000);
    let (fake, disk) = started("full", &bytes);
    std::fs::write(disk.images(), b"a file where the folder should be").unwrap();
    let mut process = Process::start(&fake, &disk);
    process.fetch();
    assert!(process.image() == bytes);
    assert!(process.log().contains("no image is kept"), "{}", process.log());
    drop(process);
    std::fs::remove_file(disk.images()).unwrap();
}

#[test]
fn an_object_that_is_replaced_between_two_ranges_is_fetched_anew() {
    let (old, new) = (firmware(3 * RANGE), firmware(3 * RANGE).into_iter().rev().collect::<Vec<_>>());
    let unseen = || Fault::SwapUnseen(new.clone());
    let rounds = (0..3).flat_map(|at| {
        [(at, false, Fault::Swap(new.clone())), (at, true, Fault::Swap(new.clone())), (at, true, unseen())]
    });
    for (round, (at, is_versioned, swap)) in rounds.enumerate() {
        let (fake, disk) = started(&format!("swap-{round}"), &old);
        fake.put_object(OBJECT, &old, is_versioned);
        let good = Fault::Drip(RANGE, Duration::ZERO);
        fake.fail(Op::Get, [vec![good; at], vec![swap]].concat());
        let mut process = Process::start(&fake, &disk);
        process.fetch();
        assert!(process.image() == new, "swapped before range {at}");
        assert!(process.log().contains("the object changed while it was fetched"), "{}", process.log());
    }
}

#[test]
fn a_precondition_that_fails_in_the_middle_begins_anew() {
    let bytes = firmware(3 * RANGE);
    let (fake, disk) = started("412", &bytes);
    let good = Fault::Drip(RANGE, Duration::ZERO);
    fake.fail(Op::Get, [good, Fault::Error(412, "PreconditionFailed")]);
    let mut process = Process::start(&fake, &disk);
    process.fetch();
    assert!(process.image() == bytes);
    let ranges: Vec<String> = fake.requests(Op::Get).iter().map(|get| get.headers["range"].clone()).collect();
    assert_eq!(ranges[2], "bytes=0-131071");
}

#[test]
fn a_body_that_is_longer_than_announced_brings_no_foreign_byte() {
    let bytes = firmware(2 * RANGE);
    let (fake, disk) = started("longer", &bytes);
    fake.fail(Op::Get, [Fault::Longer, Fault::Overrun, Fault::Longer]);
    let mut process = Process::start(&fake, &disk);
    process.fetch();
    assert!(process.image() == bytes);
    assert!(process.log().contains("it is longer than it says"), "{}", process.log());
    assert!(fake.is_spent(Op::Get));
}

#[test]
fn a_range_that_is_ignored_brings_the_whole_and_another_range_nothing() {
    let bytes = firmware(2 * RANGE + 5);
    let (fake, disk) = started("ignored", &bytes);
    fake.fail(Op::Get, [Fault::Cut(1000), Fault::IgnoreRange]);
    let mut process = Process::start(&fake, &disk);
    process.fetch();
    assert!(process.image() == bytes);
    fake.fail(Op::Get, [Fault::OtherRange]);
    process.fetch();
    assert!(process.image() == bytes);
    assert!(process.log().contains("it is not the range that was asked for"), "{}", process.log());
}

#[test]
fn a_redirection_to_another_host_is_told_by_its_name_and_not_followed() {
    let bytes = firmware(1000);
    let (fake, disk) = started("redirect", &bytes);
    let elsewhere = FakeAws::start();
    let address = format!("{}/fw?X-Amz-Signature=CANARY", elsewhere.url());
    let mut process = Process::start(&fake, &disk);
    for op in [Op::Head, Op::Get] {
        fake.fail(op, [Fault::Redirect(address.clone())]);
        process.fetch();
        let Fact::Image(_, Fetched::Missing(reason)) = process.fact() else { panic!("it was followed") };
        let host = elsewhere.url().trim_start_matches("http://").to_owned();
        assert!(reason.contains(&format!("redirected (307) to {host}, which is not followed")), "{reason}");
        assert!(!reason.contains("CANARY"));
        assert!(process.image() == bytes);
    }
    assert!(elsewhere.world().requests.is_empty());
}

#[test]
fn a_drip_below_the_speed_floor_is_cut_off_and_what_came_is_kept() {
    let bytes = firmware(4000);
    let (fake, disk) = started("drip", &bytes);
    fake.fail(Op::Get, [Fault::Drip(1, Duration::from_millis(50))]);
    let mut process = Process::start_with(&fake, &disk, |settings| {
        settings.timeouts.answer = Duration::from_millis(300);
        settings.timeouts.floor_bps = 100_000;
    });
    process.fetch();
    assert!(process.image() == bytes);
    let gets = fake.requests(Op::Get);
    let from: usize = gets[1].headers["range"][6..].split('-').next().unwrap().parse().unwrap();
    assert!((1..20).contains(&from), "resumed at {from}");
    assert!(process.log().contains("nothing came"), "{}", process.log());
}

#[test]
fn the_sums_that_s3_has_of_the_whole_are_compared() {
    let bytes = firmware(2000);
    let crc32c = BASE64_STANDARD.encode(crc32c::crc32c(&bytes).to_be_bytes());
    let sha256 = BASE64_STANDARD.encode(Digest::of(&bytes).as_bytes());
    let (fake, disk) = started("sums", &bytes);
    let put = |headers: &[(&'static str, &str)]| {
        let mut world = fake.world();
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        world.objects.get_mut(OBJECT).unwrap().checksums = headers.collect();
    };
    let mut process = Process::start(&fake, &disk);
    for good in [
        vec![("x-amz-checksum-crc32c", crc32c.as_str()), ("x-amz-checksum-type", "FULL_OBJECT")],
        vec![("x-amz-checksum-sha256", sha256.as_str())],
        // Sums of sums say nothing of the whole.
        vec![("x-amz-checksum-crc32c", "AAAAAA=="), ("x-amz-checksum-type", "COMPOSITE")],
        vec![("x-amz-checksum-crc32c", "AAAAAA==-3")],
    ] {
        put(&good);
        process.fetch();
        assert!(process.image() == bytes, "{good:?}");
    }
    put(&[("x-amz-checksum-crc32c", "AAAAAA=="), ("x-amz-checksum-type", "FULL_OBJECT")]);
    process.fetch();
    assert!(process.brought().unwrap_err().contains("it changed 4 times"));
    assert!(process.log().contains("its CRC32C is not the one that S3 has of it"), "{}", process.log());
}

#[test]
fn a_signature_is_brought_from_beside_the_object_from_its_metadata_or_from_within() {
    let bytes = firmware(1000);
    let (fake, disk) = started("evidence", &bytes);
    let mut process = Process::start(&fake, &disk);
    process.order(IMAGE, None, SignatureWish::IfThere);
    assert_eq!(process.brought().unwrap().1, None);
    process.order(IMAGE, None, SignatureWish::Needed);
    let Fact::Image(_, Fetched::Missing(reason)) = process.fact() else { panic!("it needs a signature") };
    assert!(reason.contains("no signature: put it beside the object as KEY.sig"), "{reason}");
    fake.put_object(&format!("{OBJECT}.sig"), b"beside", false);
    let (image, evidence) = process.brought().unwrap();
    assert!(image == bytes);
    let evidence = evidence.unwrap();
    assert_eq!(
        (evidence.signature.as_slice(), evidence.origin.as_str()),
        (&b"beside"[..], "s3://fw-bucket/meters/app.bin.sig")
    );
    let metadata = [("sig-sha256-rsa".to_owned(), "d2l0aGlu".to_owned())];
    fake.world().objects.get_mut(OBJECT).unwrap().metadata = metadata.into();
    process.order(IMAGE, None, SignatureWish::Needed);
    let evidence = process.brought().unwrap().1.unwrap();
    assert_eq!(
        (evidence.signature.as_slice(), evidence.algorithm.as_deref()),
        (&b"d2l0aGlu"[..], Some("rsa"))
    );
    let payload = BASE64_STANDARD.encode(&bytes);
    let document = format!(
        r#"{{"rawPayloadSize":1000,"signature":"c2ln","signatureAlgorithm":"SHA256withECDSA","payload":"{payload}"}}"#
    );
    fake.put_object(OBJECT, document.as_bytes(), true);
    process.order(IMAGE, None, SignatureWish::Needed);
    let (image, evidence) = process.brought().unwrap();
    assert!(image == bytes, "the image is what was inside");
    assert_eq!(evidence.unwrap().signature, b"c2ln");
}

#[test]
fn an_image_that_is_replaced_while_its_signature_is_awaited_is_fetched_anew() {
    let (old, new) = (firmware(1000), firmware(1001));
    let (fake, disk) = started("late", &old);
    let mut process = Process::start(&fake, &disk);
    process.order(IMAGE, None, SignatureWish::Needed);
    assert!(matches!(process.fact(), Fact::Image(_, Fetched::Missing(_))));
    fake.put_object(OBJECT, &new, true);
    fake.wait(Op::Head, 3);
    fake.put_object(&format!("{OBJECT}.sig"), b"of the new one", false);
    let (image, evidence) = process.brought().unwrap();
    assert!(image == new);
    assert_eq!(evidence.unwrap().signature, b"of the new one");
}

#[test]
fn an_image_of_the_web_is_fetched_as_patiently_and_its_address_is_shown_nowhere() {
    let bytes = firmware(2 * RANGE + 77);
    let (fake, disk) = started("web", &bytes);
    let address = format!("{}/{OBJECT}?X-Amz-Signature=CANARY", fake.url());
    let mut process = Process::start(&fake, &disk);
    for faults in [
        vec![],
        vec![Fault::Empty(403), Fault::Empty(503)],
        vec![Fault::Drip(RANGE, Duration::ZERO), Fault::Cut(70_000), Fault::Reset],
        vec![Fault::IgnoreRange, Fault::IgnoreRange],
        vec![Fault::Redirect("http://127.0.0.1:1/x".to_owned())],
        vec![Fault::Drip(RANGE, Duration::ZERO), Fault::Error(412, "PreconditionFailed")],
        vec![Fault::Drip(RANGE, Duration::ZERO), Fault::Longer, Fault::OtherRange],
    ] {
        fake.fail(Op::Get, faults.clone());
        process.order(&address, None, SignatureWish::No);
        assert!(process.image() == bytes, "{faults:?}: {}", process.log());
        assert!(fake.is_spent(Op::Get), "{faults:?} did not strike");
    }
    assert!(fake.requests(Op::Get).iter().all(|get| !get.headers.contains_key("authorization")));
    process.order(&address, None, SignatureWish::Needed);
    assert!(process.brought().unwrap_err().contains("give the task's Sha256"));
    fake.put_object(OBJECT, &firmware(2_000_000), true);
    process.order(&address, None, SignatureWish::No);
    let reason = process.brought().unwrap_err();
    assert!(reason.contains("2000000 bytes are over the limit of 1048576"), "{reason}");
    assert!(!reason.contains("CANARY") && !process.log().contains("CANARY"), "{reason}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the faults and wherever the process is stopped, the image comes whole.
    #[test]
    fn any_faults_and_any_restarts_bring_the_image_whole(
        size in 1..400_000_usize,
        faults in prop::collection::vec((0..9_u8, 0..140_000_usize), 0..12),
        stop_after in 0..8_usize,
    ) {
        let bytes = firmware(size);
        let (fake, disk) = started("any", &bytes);
        let fault = |(kind, at): (u8, usize)| match kind {
            0 => Fault::Reset,
            1 => Fault::Cut(at),
            2 => Fault::CutHead(at % 300),
            3 => Fault::Error(503, "SlowDown"),
            4 => Fault::IgnoreRange,
            5 => Fault::OtherRange,
            6 => Fault::Longer,
            7 => Fault::Html(502),
            _ => Fault::Drip(20_000, Duration::ZERO),
        };
        fake.fail(Op::Get, faults.into_iter().map(fault));
        let mut process = Process::start(&fake, &disk);
        process.fetch();
        // It may be done before.
        while fake.count(Op::Get) < stop_after && process.facts.try_recv().is_err() {
            std::thread::yield_now();
        }
        drop(process);
        let mut process = Process::start(&fake, &disk);
        process.fetch();
        prop_assert!(process.image() == bytes, "{}", process.log());
    }
}
