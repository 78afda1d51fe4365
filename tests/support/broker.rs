//! The distribution's mosquitto as the broker of a network server, and its own clients as the other side. They must be
//! there: a test that cannot ask them fails.

use super::scratch::Scratch;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::channel;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

/// Whatever is waited for comes within this, or the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// A broker on a port of its own, with a listener for its neighbours that nobody has to prove anything at.
pub struct Broker {
    scratch: Scratch,
    child: Option<Child>,
    /// Where fuotad connects.
    pub port: u16,
    /// Where the network server's side connects.
    back: u16,
}

impl Broker {
    /// A broker with these lines about fuotad's listener, in mosquitto's own words; it runs. `DIR` stands for its folder.
    pub fn start(name: &str, files: &[(&str, &[u8])], lines: &str) -> Broker {
        let scratch = Scratch::new(&format!("broker-{name}"));
        for (name, bytes) in files {
            scratch.write(name, bytes);
        }
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Broker { port: free(), back: free(), scratch, child: None };
        broker.configure(lines);
        broker.up();
        broker
    }

    /// Lines about fuotad's listener for its next start.
    pub fn configure(&self, lines: &str) {
        let (port, back) = (self.port, self.back);
        // Its own user could not read what lies in our folder.
        let text = format!(
            "user root\nper_listener_settings true\nlistener {back} 127.0.0.1\nallow_anonymous true\n\
             listener {port} 127.0.0.1\n{lines}\n"
        );
        self.scratch.write("mosquitto.conf", text.replace("DIR", &self.scratch.dir().display().to_string()));
    }

    /// Starts it.
    pub fn up(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.scratch.path("log")).unwrap();
        let program = if std::path::Path::new("/usr/sbin/mosquitto").exists() {
            "/usr/sbin/mosquitto"
        } else {
            "mosquitto"
        };
        let child = Command::new(program)
            .arg("-c")
            .arg(self.scratch.path("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("mosquitto must be installed: apt-get install mosquitto mosquitto-clients");
        self.child = Some(child);
        until("the broker listens", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "mosquitto: {}", String::from_utf8_lossy(&self.scratch.read("log")));
            [self.port, self.back].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
    }

    /// Kills it.
    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Publishes a message as a network server does; `retain`: the broker keeps it.
    pub fn publish(&self, topic: &str, payload: &str, qos: u8, retain: bool) {
        let mut command = Command::new("mosquitto_pub");
        command.args([
            "-p",
            &self.back.to_string(),
            "-h",
            "127.0.0.1",
            "-t",
            topic,
            "-q",
            &qos.to_string(),
            "-s",
        ]);
        if retain {
            command.arg("-r");
        }
        let mut child =
            command.stdin(Stdio::piped()).spawn().expect("mosquitto_pub: apt-get install mosquitto-clients");
        child.stdin.take().unwrap().write_all(payload.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Whoever subscribes to everything, from now on.
    pub fn subscriber(&self) -> Subscriber {
        let mut child = Command::new("mosquitto_sub")
            .args(["-p", &self.back.to_string(), "-h", "127.0.0.1", "-t", "#", "-q", "1", "-F", "%q %t %p"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("mosquitto_sub: apt-get install mosquitto-clients");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, messages) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).all(|line| tell.send(line).is_ok()));
        let subscriber = Subscriber { child, messages };
        // It is there once it hears itself called.
        until("the subscriber listens", || {
            self.publish("test/ready", "called", 0, false);
            subscriber.messages.try_recv().is_ok()
        });
        subscriber
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path(name)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.down();
    }
}

/// What everybody publishes at a broker.
pub struct Subscriber {
    child: Child,
    messages: Receiver<String>,
}

impl Subscriber {
    /// The next message that is no call of our own: QoS, topic, payload.
    pub fn next(&self) -> String {
        loop {
            let message = self.messages.recv_timeout(PATIENCE).expect("a message");
            if !message.contains(" test/ready") {
                return message;
            }
        }
    }
}

impl Subscriber {
    /// The next message, if one comes so soon.
    pub fn within(&self, patience: Duration) -> Option<String> {
        self.messages.recv_timeout(patience).ok().filter(|message| !message.contains(" test/ready"))
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
