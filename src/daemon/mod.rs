//! The real world: clock, socket, disk, folder, service manager, and the loop that joins them to the engine.
//!
//! ```text
//! packet forwarder ──► socket ──┐                        ┌──► socket ──► packet forwarder
//! task folder ──► folder ───────┤                        ├──► keeper ──► files ──► disk (own thread)
//! control socket ──► orders ────┤                        │
//! cloud ──► Fact ───────────────┼─► driver ─► engine ─► ─┼──► images / the cloud's fetcher
//! keeper's answers, signals ────┤      │                 ├──► log, systemd
//! GPS receiver ──► clock ───────┘      └─► status, page   └──► the next deadline
//! ```
//!
//! One runtime with one thread; the engine is touched by the driver alone. What may block (files, images) has
//! its own thread behind a bounded channel, so no sync and no slow disk ever delays the radio. Here, and only
//! here, live clocks, files, sockets and threads.
#![expect(clippy::disallowed_methods, reason = "the wing that touches the world")]

mod answers;
#[cfg(feature = "aws")]
pub mod aws;
mod boot;
mod clock;
mod clock_log;
mod control;
mod driver;
mod end_report;
mod error;
mod fact;
mod files;
mod folder;
#[cfg(feature = "gps")]
mod gps;
mod images;
mod io_words;
mod journal;
mod lns;
mod local_socket;
mod lock;
mod log;
mod log_queue;
mod notes;
mod pull_memory;
mod relay_text;
mod run;
mod server_socket;
mod server_sockets;
mod settings;
mod signals;
mod snapshot;
mod socket;
mod state_folder;
mod status;
mod store_thread;
mod systemd;
#[cfg(any(feature = "aws", feature = "lns"))]
mod tls;
mod view;
mod waiting;
#[cfg(feature = "web")]
mod web;

pub use answers::of_report as answers_of_report;
pub use clock::wall_clock;
pub use control::ControlClient;
pub use control::ControlError;
pub use control::PAGE_MAX;
pub use error::StartError;
pub use fact::FACTS_MAX;
pub use fact::Fact;
pub use fact::FetchOrder;
pub use fact::Fetched;
pub use fact::ImageWish;
pub use files::FolderFiles;
pub use io_words::file_words;
pub use io_words::hidden;
pub use io_words::io_words;
pub use lns::LnsLinks;
pub use lns::LnsSettings;
pub use lns::LnsTls;
pub use lns::SILENT_AFTER;
pub use log::check_filter as check_log_filter;
pub use relay_text::kept_relay_text;
pub use run::Cloud;
pub use run::CloudChannels;
pub use run::run;
pub use settings::ClockSettings;
pub use settings::GpsSettings;
pub use settings::Settings;
pub use settings::WebSettings;
pub use snapshot::AnswersSnapshot;
pub use snapshot::BandSnapshot;
pub use snapshot::CampaignSnapshot;
pub use snapshot::ClockSnapshot;
pub use snapshot::DisputeSnapshot;
pub use snapshot::FleetSnapshot;
pub use snapshot::ForwarderSnapshot;
pub use snapshot::HearingSnapshot;
pub use snapshot::LnsSnapshot;
pub use snapshot::OtherSenderSnapshot;
pub use snapshot::SessionSnapshot;
pub use snapshot::Snapshot;
pub use snapshot::TaskSnapshot;
pub use snapshot::WaitSnapshot;
pub use socket::is_own;
pub use socket::own_address;
pub use state_folder::StateFolder;
pub use state_folder::enrol_in;
pub use status::read_status;
pub use view::NO_SERVER;
