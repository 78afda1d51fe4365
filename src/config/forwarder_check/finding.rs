//! One value of the forwarder's configuration that does not fit.

use crate::campaign::Group;
use crate::config::error::printable;
use crate::config::forwarder_file::Dialect;
use crate::forwarder;
use crate::region::Parameters;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::Path;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing, or something unlawful, is sent until it is changed.
    MustChange,
    /// It works; the operator should know.
    Note,
}

/// One value of the forwarder's configuration that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where it stands in the forwarder's file.
    pub key: String,
    /// Value found in the forwarder's file.
    pub found: String,
    /// Value that fuotad needs there.
    pub wanted: String,
    /// Reason why the value must change, one sentence.
    pub why: String,
}

/// What the forwarder's file is held against.
#[derive(Clone, Copy)]
pub struct Against<'a> {
    /// Address on which fuotad listens for the forwarder.
    pub listen: SocketAddr,
    /// fuotad's side of the forwarder.
    pub link: &'a forwarder::Settings,
    /// The law of the gateway's region.
    pub region: &'static Parameters,
    /// The groups, with their channels and powers.
    pub groups: &'a [Group],
    /// The tty that fuotad's own `[gps]` reads.
    pub gps_tty: Option<&'a Path>,
    /// Which forwarder reads the file; `None`: not told.
    pub dialect: Option<Dialect>,
}

/// The findings of one check, in the order in which they are made.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn must(
        &mut self,
        key: impl ToString,
        found: impl ToString,
        wanted: impl ToString,
        why: impl ToString,
    ) {
        self.push(
            Severity::MustChange,
            [key.to_string(), found.to_string(), wanted.to_string(), why.to_string()],
        );
    }

    pub(super) fn note(
        &mut self,
        key: impl ToString,
        found: impl ToString,
        wanted: impl ToString,
        why: impl ToString,
    ) {
        self.push(Severity::Note, [key.to_string(), found.to_string(), wanted.to_string(), why.to_string()]);
    }

    fn push(&mut self, severity: Severity, [key, found, wanted, why]: [String; 4]) {
        // What stands in the file is shown, not obeyed.
        self.0.push(Finding { severity, key, found: printable(&found), wanted, why: printable(&why) });
    }

    pub(super) fn is_good(&self) -> bool {
        self.0.iter().all(|finding| finding.severity == Severity::Note)
    }

    /// What must change comes first.
    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.severity);
        self.0
    }
}
