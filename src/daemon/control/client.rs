//! The asking side of the control socket, for the command line.

use super::request::VERSION;
use serde_json::Value;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Whoever does not answer within this does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read, bytes.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Why there is no answer to a request.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No daemon, no right to ask it, or no answer in time.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The daemon refuses the request.
    #[error("{message}")]
    Refused {
        /// One word: docs/control.md has them.
        code: String,
        /// One line for people.
        message: String,
    },
}

/// A connection to a running service.
#[derive(Debug)]
pub struct ControlClient(BufReader<UnixStream>);

impl ControlClient {
    /// Connects to the service behind the socket at `path`.
    ///
    /// # Errors
    /// The system's word where there is no way.
    pub fn connect(path: &Path) -> Result<ControlClient, ControlError> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(ControlClient(BufReader::new(stream)))
    }

    /// Waits for answers up to `patience` from now on.
    ///
    /// # Errors
    /// The system's word where it sets no limit.
    pub fn wait_up_to(&mut self, patience: Duration) -> Result<(), ControlError> {
        Ok(self.0.get_ref().set_read_timeout(Some(patience))?)
    }

    /// Asks one thing: an object with `do` and its members; the version is added.
    ///
    /// # Errors
    /// [`ControlError::Refused`] by the service; else the system's word.
    pub fn ask(&mut self, mut request: Value) -> Result<Value, ControlError> {
        request["v"] = VERSION.into();
        let mut line = request.to_string();
        line.push('\n');
        self.0.get_mut().write_all(line.as_bytes())?;
        let mut answer = String::new();
        (&mut self.0).take(ANSWER_BYTES_MAX).read_line(&mut answer)?;
        if answer.is_empty() {
            let text = "the service is busy or just ending";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text).into());
        }
        let mut answer: Value = serde_json::from_str(&answer).map_err(io::Error::other)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match answer.get("error") {
            Some(error) => {
                Err(ControlError::Refused { code: text(&error["code"]), message: text(&error["message"]) })
            }
            None => Ok(answer["ok"].take()),
        }
    }
}
