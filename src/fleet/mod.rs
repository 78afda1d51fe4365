//! The devices of a group made ready for a campaign, one dialogue each, through a network server's application side.
//!
//! A device that uplinks once a day takes days, so everything it answered is on disk before the next command goes, and
//! nothing answered is asked again. What it is asked, in this order: the group (with the version of TS005), the
//! fragmentation session (with the version of TS004, which devices of version 2 are asked alone before everything else),
//! the clock, and the Class C session last, when its start is fixed.
//!
//! * [`Fleet`]: the devices of one group, their records on disk, the airtime that commands may take.
//! * [`Setup`]: what the devices are told for one campaign; [`Member`]: what is prepared for one of them.
//! * [`Batch`]: devices whose root keys came from one source. No answer of TS005 reveals a wrong one, so up to three
//!   canaries of a new batch are asked under the group's key before the others are told their session.
//! * [`DeviceState`]: how far one device is, in our words and in those of AWS.
//!
//! The room sees events of a network server ([`lns::Event`](crate::lns::Event)) and wishes pushes; it knows no
//! connection, no campaign and no clock. Whoever owns it saves its records first and publishes its pushes then.

mod airtime_share;
mod answer;
mod answering;
mod batch;
mod command;
mod counted;
mod device;
mod due;
#[expect(clippy::module_inception, reason = "the file holds `Fleet`")]
mod fleet;
mod frag_session;
mod further;
mod habits;
mod judge;
mod looking;
mod member;
mod progress;
mod proofs;
mod proving;
mod question;
mod questions;
mod queue_item;
mod readiness;
mod records;
mod rules;
mod setup;
mod standing;
mod start_gate;
mod starting;
mod state;
mod step;
mod trial;
mod view;

pub use airtime_share::AirtimeRule;
pub use batch::Batch;
pub use fleet::Fleet;
pub use fleet::Output;
pub use frag_session::FragSession;
pub use judge::ClockVerdict;
pub use judge::TimedAnswer;
pub use member::Member;
pub use member::SessionMics;
pub use question::Question;
pub use questions::QUESTIONS_ALONE;
pub use readiness::Readiness;
pub use rules::FleetRules;
pub use setup::Channel;
pub use setup::Setup;
pub use setup::Window;
pub use start_gate::StartWhen;
pub use start_gate::rounded;
pub use state::DeviceState;
pub use state::Refusal;
pub use step::Step;
pub use trial::CANARIES_MAX;
pub use view::DeviceView;
