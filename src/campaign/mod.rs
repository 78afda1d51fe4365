//! One task on one group: a verified image becomes multicast frames,
//! each a pure function of (task as accepted, group, frame number).
//!
//! * [`Sequence`]: which fragment each frame carries. Frozen: a change here is a new encoder version.
//! * [`Plan`]: everything that is settled before the first frame; its hash is what the counters are reserved for.
//! * [`Session`]: when the devices listen.
//! * [`Campaign`]: the task being carried out; it only decides what happens next.
//! * [`Preflight`]: the frames decoded by a decoder of our own before the first of them is sent.
//! * [`agreement`]: the announced session of the group against the configured one.
//! * [`setup`]: the TS004/TS005 commands that prepare a device, as the operator's network server sends them.
//!
//! This room knows one campaign. Who shares the radio, and what is written down, is the broadcaster's business.

pub mod agreement;
mod bursts;
mod calendar;
#[expect(clippy::module_inception, reason = "the file holds `Campaign`")]
mod campaign;
mod fcnt_guard;
mod followed;
mod frag_size;
mod frames;
mod group;
mod held_image;
mod listening;
mod numbers;
mod plan;
mod plan_error;
mod power;
mod preflight;
mod redundancy;
mod remaining;
mod sending;
mod sequence;
mod session;
mod setbacks;
pub mod setup;
mod state;
mod step;
mod time_left;
mod unsettled;

pub use campaign::Campaign;
pub use frames::question_frame;
pub use group::DeviceProfile;
pub use group::Group;
pub use group::Handover;
pub use group::MaxLost;
pub use group::ProfileName;
pub use group::SessionRule;
pub use listening::SESSIONS_ALLOWED_MAX;
pub use listening::SessionLimits;
pub use plan::CANARY_FCNTS;
pub use plan::ENCODER_VERSION;
pub use plan::Plan;
pub use plan::check_region;
pub use plan_error::PlanError;
pub use power::DeviceClass;
pub use power::Power;
pub use preflight::Preflight;
pub use redundancy::Redundancy;
pub use sequence::Position;
pub use sequence::Sequence;
pub use session::Session;
pub use state::CampaignState;
pub use step::Begin;
pub use step::Ending;
pub use step::FollowUp;
pub use step::Pause;
pub use step::Progress;
pub use step::Refusal;
pub use step::Step;
pub use step::Transmit;
pub use step::Turn;
pub use step::Verdict;
