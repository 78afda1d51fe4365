//! What is said when the service cannot be asked, or refuses.

use super::exit::Failure;
use crate::daemon::ControlError;
use crate::daemon::io_words;
use std::io::Error;
use std::io::ErrorKind;
use std::path::Path;

/// Why the service behind `socket` did not do what it was asked, with the way out.
pub fn refused(socket: &Path, error: ControlError) -> Failure {
    match error {
        ControlError::Refused { code, message } => match code.as_str() {
            "refused" | "already-over" | "already-paused" | "not-paused" | "wrong-size" => {
                Failure::data(message)
            }
            "unknown-request" => Failure::unavailable(format!(
                "the service that runs is of another version: restart it (`systemctl restart fuotad`); it says: {message}"
            )),
            "already-ordered" | "no-room" | "too-many-orders" | "disk" => Failure::cannot_create(message),
            _ => Failure::unavailable(message),
        },
        ControlError::Io(error) => unreachable(socket, &error),
    }
}

fn unreachable(socket: &Path, error: &Error) -> Failure {
    let advice = match error.kind() {
        _ if is_absent(error) => "is the service running? `systemctl status fuotad`",
        ErrorKind::PermissionDenied => {
            "only root and the group fuotad may ask: `sudo usermod -aG fuotad $USER`, then log in again"
        }
        _ => "try again",
    };
    Failure::unavailable(format!("{}: {}: {advice}", socket.display(), io_words(error)))
}

/// Whether no service is there.
pub fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_ask_is_told_the_way_out() {
        let denied = ControlError::Io(ErrorKind::PermissionDenied.into());
        let text = refused(Path::new("/run/x"), denied).to_string();
        assert!(text.starts_with("/run/x: ") && text.contains("usermod -aG fuotad"), "{text}");
        let older = ControlError::Refused { code: "unknown-request".to_owned(), message: "x".to_owned() };
        assert!(refused(Path::new("/run/x"), older).to_string().contains("restart it"));
        let absent = refused(Path::new("/run/x"), ControlError::Io(ErrorKind::NotFound.into())).to_string();
        assert!(absent.contains("is the service running?"), "{absent}");
    }
}
