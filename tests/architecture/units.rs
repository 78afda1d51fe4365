//! The units of systemd as a pair: what they say of each other.

use std::fs;
use std::path::Path;

/// The settings of a unit by section, as `[Section] Key=value`; comments are none.
fn settings(unit: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(unit)).unwrap();
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.starts_with('[') {
            true => section = line.to_owned(),
            false => settings.push(format!("{section} {line}")),
        }
    }
    settings
}

#[test]
fn a_service_that_cannot_start_is_tried_again_for_ever_and_keeps_its_socket() {
    let service = settings("fuotad.service");
    for wanted in ["[Unit] StartLimitIntervalSec=0", "[Service] Restart=always", "[Service] RestartSec=2s"] {
        assert!(service.iter().any(|setting| setting == wanted), "{wanted}");
    }
    // The next datagram would start it at once, until the socket's own limit ends both.
    let ends = |setting: &&String| setting.contains("RestartPreventExitStatus=");
    assert_eq!(service.iter().find(ends), None);
}

#[test]
fn stopping_the_socket_stops_both_and_a_restart_of_the_service_leaves_it_open() {
    let (service, socket) = (settings("fuotad.service"), settings("fuotad.socket"));
    assert!(service.iter().any(|setting| setting == "[Unit] Requires=fuotad.socket"));
    // Each of these closes the socket when the service is restarted, or when it crashes.
    for binding in ["PartOf=", "BindsTo=", "Requires=", "StopPropagatedFrom="] {
        assert!(!socket.iter().any(|setting| setting.contains(binding)), "fuotad.socket: {binding}");
    }
    assert!(!service.iter().any(|setting| setting.contains("PropagatesStopTo=")), "fuotad.service");
}
