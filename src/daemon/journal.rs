//! The journal's native protocol (systemd, "Native Journal Protocol"): a datagram of fields for each line. Ours, because
//! whoever logs must not wait for a journal that stands still, and the usual layer sends from where it is called.

use super::log_queue::LogQueue;
use super::log_queue::Sink;
use super::log_queue::dropped_text;
use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use tracing::Event;
use tracing::Level;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the journal listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";
/// Of a longer value the beginning, bytes.
const VALUE_BYTES_MAX: usize = 4096;

/// Turns events into datagrams for the journal.
#[derive(Debug)]
pub struct JournalLayer {
    queue: LogQueue,
}

impl JournalLayer {
    /// A layer that puts its datagrams into `queue`.
    pub fn new(queue: LogQueue) -> Self {
        JournalLayer { queue }
    }
}

impl<S: Subscriber> Layer<S> for JournalLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = head(*metadata.level());
        put(&mut fields, "TARGET", metadata.target());
        if let Some(file) = metadata.file() {
            put(&mut fields, "CODE_FILE", file);
        }
        if let Some(line) = metadata.line() {
            put(&mut fields, "CODE_LINE", &line.to_string());
        }
        event.record(&mut Fields(&mut fields));
        self.queue.put(&fields);
    }
}

/// The journal behind `path`.
///
/// # Errors
/// Nobody listens at the address of the journal.
pub fn to_journal(path: &'static Path) -> io::Result<Sink> {
    let socket = UnixDatagram::unbound()?;
    // Tried once; the journal may be another one later.
    UnixDatagram::unbound()?.connect(path)?;
    Ok(Box::new(move |datagram| socket.send_to(datagram, path).map(drop)))
}

/// The line that says how many were dropped.
pub fn dropped(lines: u64) -> Vec<u8> {
    let mut fields = head(Level::WARN);
    put(&mut fields, "MESSAGE", &dropped_text(lines));
    fields
}

fn head(level: Level) -> Vec<u8> {
    let priority = match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "5",
        Level::DEBUG => "6",
        Level::TRACE => "7",
    };
    let mut fields = Vec::new();
    put(&mut fields, "PRIORITY", priority);
    put(&mut fields, "SYSLOG_IDENTIFIER", "fuotad");
    fields
}

/// One field. A value with a line break in it goes with its length.
fn put(fields: &mut Vec<u8>, name: &str, value: &str) {
    let end = (0..=value.len().min(VALUE_BYTES_MAX)).rev().find(|end| value.is_char_boundary(*end));
    let value = end.and_then(|end| value.get(..end)).unwrap_or_default();
    fields.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        fields.push(b'\n');
        fields.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        fields.push(b'=');
    }
    fields.extend_from_slice(value.as_bytes());
    fields.push(b'\n');
}

/// The name as the journal takes it: capitals, digits and `_`, not beginning with one of the latter two.
fn journal_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(plain).collect();
    name.trim_start_matches(|c: char| c == '_' || c.is_ascii_digit()).chars().take(64).collect()
}

struct Fields<'a>(&'a mut Vec<u8>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let name = journal_name(field.name());
        if !name.is_empty() {
            put(self.0, &name, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn a_line_is_a_datagram_with_its_fields() {
        let path = std::env::temp_dir().join(format!("fuotad-journal-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let sink = to_journal(Box::leak(path.clone().into_boxed_path())).unwrap();
        let queue = LogQueue::start(sink, dropped).unwrap();
        let lines = tracing_subscriber::registry().with(JournalLayer::new(queue));
        let nothing: Option<u32> = None;
        tracing::subscriber::with_default(lines, || {
            tracing::warn!(task = "lamps-1", k = 7_u32, nothing, reason = "a\nb", "it {}", "waits");
        });
        let mut buffer = [0; 4096];
        let length = journal.recv(&mut buffer).unwrap();
        std::fs::remove_file(path).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        for field in
            ["PRIORITY=4\n", "SYSLOG_IDENTIFIER=fuotad\n", "MESSAGE=it waits\n", "TASK=lamps-1\n", "K=7\n"]
        {
            assert!(text.contains(field), "{field}: {text}");
        }
        assert!(text.contains("REASON\n\u{3}\0\0\0\0\0\0\0a\nb\n") && !text.contains("NOTHING"), "{text:?}");
    }

    #[test]
    fn names_are_the_journals() {
        assert_eq!(journal_name("left_out"), "LEFT_OUT");
        assert_eq!(journal_name("_1.r#type"), "R_TYPE");
    }
}
