//! Log lines on their way out: a bounded queue and a thread that writes. Whoever logs never waits for whoever reads: a
//! line that finds no room is dropped and counted, and the count is told when lines flow again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait at most.
const LINES_MAX: usize = 512;
/// The longest line that waits, bytes; of a longer one the beginning.
const LINE_BYTES_MAX: usize = 8192;

/// Where lines end: writes one, however long that takes.
pub type Sink = Box<dyn FnMut(&[u8]) -> io::Result<()> + Send>;
/// Makes the line that says how many were dropped.
pub type Dropped = fn(u64) -> Vec<u8>;

/// The end of the queue that lines are put in.
#[derive(Clone, Debug)]
pub struct LogQueue {
    lines: SyncSender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    put: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
}

impl LogQueue {
    /// Starts the thread that writes to `sink`.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(sink: Sink, dropped: Dropped) -> io::Result<LogQueue> {
        let (lines, waiting) = sync_channel(LINES_MAX);
        let counts = Arc::new(Counts::default());
        let own = Arc::clone(&counts);
        thread::Builder::new().name("log".to_owned()).spawn(move || write(&waiting, sink, &own, dropped))?;
        Ok(LogQueue { lines, counts })
    }

    /// Puts a line in, or counts that there was no room.
    pub fn put(&self, line: &[u8]) {
        let line = line.get(..LINE_BYTES_MAX).unwrap_or(line).to_vec();
        match self.lines.try_send(line) {
            Ok(()) => self.counts.put.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.counts.dropped.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// Waits until all lines are written, but not longer than `patience`.
    pub fn flush(&self, patience: Duration) {
        let started = Instant::now();
        let is_behind =
            || self.counts.written.load(Ordering::Acquire) < self.counts.put.load(Ordering::Relaxed);
        while is_behind() && started.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn write(waiting: &Receiver<Vec<u8>>, mut sink: Sink, counts: &Counts, dropped: Dropped) {
    while let Ok(line) = waiting.recv() {
        // Nobody is left to be told when a line cannot be written.
        let is_written = sink(&line).is_ok();
        if is_written {
            let lost = counts.dropped.swap(0, Ordering::Relaxed);
            if lost > 0 {
                let _ = sink(&dropped(lost));
            }
        }
        counts.written.fetch_add(1, Ordering::Release);
    }
}

/// One write is one line.
impl io::Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = LogQueue;

    fn make_writer(&'a self) -> LogQueue {
        self.clone()
    }
}

/// What is said of lines that were dropped.
pub fn dropped_text(lines: u64) -> String {
    format!("{lines} log lines were dropped: whoever reads the log stood still, and nothing waited for it")
}

/// The same as a line of its own.
pub fn dropped_line(lines: u64) -> Vec<u8> {
    (dropped_text(lines) + "\n").into_bytes()
}

/// Writes to standard error without the lock that everybody else in the process would wait for.
pub fn to_stderr() -> Sink {
    Box::new(|line| {
        let mut rest = line;
        while !rest.is_empty() {
            match rustix::io::write(rustix::stdio::stderr(), rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                // Somebody made the terminal or the pipe one that does not wait.
                Err(rustix::io::Errno::AGAIN) => thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    fn told(lost: u64) -> Vec<u8> {
        format!("{lost} lost").into_bytes()
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_no_time_and_is_told_how_many() {
        let (go, stands) = channel::<()>();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&seen);
        let sink = move |line: &[u8]| {
            // Until the reader is back, each write waits.
            let _ = stands.recv();
            own.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        };
        let queue = LogQueue::start(Box::new(sink), told).unwrap();
        let lines = LINES_MAX as u64 + 1000;
        for n in 0..lines {
            queue.put(format!("line {n}").as_bytes());
        }
        queue.flush(Duration::from_millis(20));
        drop(go);
        queue.flush(Duration::from_secs(20));
        let seen = seen.lock().unwrap();
        let lost: u64 = lines - (seen.len() as u64 - 1);
        assert_eq!(seen[1], format!("{lost} lost"), "after the first line that flowed");
        assert!((LINES_MAX..=LINES_MAX + 2).contains(&seen.len()), "{}", seen.len());
        assert_eq!(seen[0], "line 0");
    }

    #[test]
    fn a_long_line_is_cut() {
        let seen = Arc::new(Mutex::new(0));
        let own = Arc::clone(&seen);
        let sink = move |line: &[u8]| {
            *own.lock().unwrap() = line.len();
            Ok(())
        };
        let queue = LogQueue::start(Box::new(sink), told).unwrap();
        queue.put(&vec![b'x'; 100_000]);
        queue.flush(Duration::from_secs(20));
        assert_eq!(*seen.lock().unwrap(), LINE_BYTES_MAX);
    }
}
