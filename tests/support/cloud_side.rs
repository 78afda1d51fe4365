//! The cloud side of the daemon at work against the double of AWS, with its log.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

use fuotad::cloud::image_ref;

use fuotad::broadcast::SignatureWish;
use fuotad::broadcast::TaskSource;
use fuotad::cloud::FuotaTaskJson;
use fuotad::daemon::Fact;
use fuotad::daemon::FetchOrder;
use fuotad::daemon::Fetched;
use fuotad::daemon::ImageWish;
use fuotad::daemon::aws;
use fuotad::daemon::aws::Settings;
use fuotad::task::ImageRef;
use fuotad::task::Task;
use fuotad::task::TaskId;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::fake_aws::FakeAws;
use super::scratch::Scratch;
use super::small_world;

/// The task that a harness of FUOTA tasks looks at.
const TASK: &str = "6d2f0c1e-0000-4000-8000-000000000001";

/// Longer than any step should take.
const LIMIT: Duration = Duration::from_secs(10);

/// The cloud side at work, and the double that it talks to.
pub struct Cloud {
    pub fake: FakeAws,
    pub facts: mpsc::Receiver<Fact>,
    pub fetches: mpsc::Sender<ImageWish>,
    pub stop: Option<oneshot::Sender<()>>,
    pub thread: Option<JoinHandle<()>>,
    pub log: Arc<Mutex<Vec<String>>>,
    pub runtime: tokio::runtime::Runtime,
    scratch: Scratch,
}

impl Cloud {
    pub fn start(name: &str, prepare: impl FnOnce(&FakeAws, &mut Settings)) -> Cloud {
        let fake = FakeAws::start();
        let scratch = Scratch::new(name);
        let credentials = scratch.path("credentials");
        write_credentials(&credentials);
        let mut settings = Settings::new("eu-west-1", &[TASK]);
        settings.endpoint_url = Some(fake.url());
        settings.credentials_file = Some(credentials.clone());
        settings.profile = Some("gateway".to_owned());
        settings.poll = Duration::from_millis(10);
        settings.timeouts.poll_first = Duration::from_millis(2);
        settings.timeouts.fetch_first = Duration::from_millis(2);
        settings.timeouts.longest = Duration::from_millis(20);
        settings.timeouts.answer = Duration::from_secs(2);
        settings.wireless_gateway = Some("gateway-0".to_owned());
        prepare(&fake, &mut settings);
        let (to_us, facts) = mpsc::channel(16);
        let (fetches, to_them) = mpsc::channel(16);
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
        Cloud { fake, facts, fetches, stop, thread, log, runtime, scratch }
    }

    /// The credentials file.
    pub fn credentials(&self) -> PathBuf {
        self.scratch.path("credentials")
    }

    pub fn fact(&mut self) -> Fact {
        let Cloud { facts, runtime, log, .. } = self;
        let next = runtime.block_on(async { tokio::time::timeout(LIMIT, facts.recv()).await });
        next.unwrap_or_else(|_| panic!("no fact; the log: {:#?}", log.lock().unwrap())).unwrap()
    }

    /// The next fact is a task; as the engine reads it.
    pub fn task(&mut self) -> Task {
        self.task_and_cloud().0
    }

    /// The same, and what AWS said around it.
    pub fn task_and_cloud(&mut self) -> (Task, Value) {
        let fact = self.fact();
        let Fact::Task { document, stem, source } = fact else { panic!("{fact:?} is no task") };
        assert_eq!(source, TaskSource::Cloud);
        let json = FuotaTaskJson::from_slice(&document).unwrap();
        let (cloud, task) = (json.cloud.clone().unwrap_or_default(), json.into_cloud_task().unwrap());
        assert_eq!(stem, task.id.as_str());
        (task, cloud)
    }

    pub fn assert_no_fact(&mut self) {
        assert!(self.facts.try_recv().is_err(), "nothing changed, and yet there is a fact");
    }

    pub fn fetch(&self, image: &str) {
        self.fetch_ref(image_ref(image).unwrap());
    }

    pub fn fetch_ref(&self, image: ImageRef) {
        let order = FetchOrder { task: task_id(), image, digest: None, signature: SignatureWish::No };
        self.fetches.blocking_send(ImageWish::Fetch(order)).unwrap();
    }

    /// The next fact says why the image is not there yet.
    pub fn missing(&mut self) -> String {
        match self.fact() {
            Fact::Image(id, Fetched::Missing(reason)) if id == task_id() => reason,
            other => panic!("{other:?} is not about a missing image"),
        }
    }

    /// The next fact about the image. Facts about tasks may stand before it.
    pub fn image(&mut self) -> Result<Vec<u8>, String> {
        loop {
            match self.fact() {
                Fact::Image(id, Fetched::Image(bytes, None)) if id == task_id() => return Ok(bytes),
                Fact::Image(id, Fetched::Failed(reason)) if id == task_id() => return Err(reason),
                Fact::Task { .. } | Fact::Image(_, Fetched::Missing(_)) => {}
                other => panic!("{other:?} is not about the image"),
            }
        }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
            let complaints = self.fake.world().complaints.clone();
            assert!(complaints.is_empty(), "{complaints:#?}");
            assert!(!self.log().contains("CANARY"), "a secret is in the log:\n{}", self.log());
        }
    }
}

pub fn write_credentials(path: &PathBuf) {
    let text = "[gateway]\naws_access_key_id = AKIDCANARYEXAMPLE\naws_secret_access_key = SECRET/CANARY+key\n\
                aws_session_token = TOKEN/CANARY+token==\n";
    std::fs::write(path, text).unwrap();
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub fn task_id() -> TaskId {
    TaskId::new(TASK).unwrap()
}

/// Bytes without a pattern that a wrong offset would hide.
pub fn firmware(bytes: usize) -> Vec<u8> {
    small_world::lcg(1, bytes)
}

/// Keeps the lines of this program's log.
pub struct Log(pub Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("fuotad")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{value:?}");
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
