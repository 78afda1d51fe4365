//! Campaigns: a verified image becomes multicast frames, each a pure function of (task as accepted, group, k).
//!
//! * [`Sequence`]: which fragment frame number k carries. Frozen: a change here is a new encoder version.
//! * [`Plan`]: everything that is settled before the first frame; its hash is what the counters are reserved for.
//! * [`Session`]: when the devices listen.
//! * `Campaign`: one task being carried out; it only decides what happens next.
//! * [`Turns`]: whose turn it is when several campaigns share the radio.
//! * [`Broadcaster`]: all campaigns that share one radio, their marks and their records.
//! * [`setup`]: the TS004/TS005 commands that prepare a device, as the operator's network server sends them.
//!
//! This room knows no datagrams, sockets or files.

mod admission;
mod agreement;
mod air;
mod arming;
mod breaker;
mod broadcaster;
mod calendar;
mod campaign;
mod fetching;
mod frames;
mod gate;
mod group;
mod held_image;
mod history;
mod intake;
mod io;
mod marks;
mod order;
mod plan;
mod planning;
mod record;
mod sequence;
mod session;
pub mod setup;
mod state;
mod step;
mod traces;
mod turns;
mod twin;

pub use breaker::CRASH_REST_US;
pub use broadcaster::Broadcaster;
pub use group::DeviceProfile;
pub use group::Group;
pub use group::Handover;
pub use group::MaxLost;
pub use group::SessionRule;
pub use io::Fetch;
pub use io::NotSaved;
pub use io::SignatureWish;
pub use io::TaskSource;
pub use io::Want;
pub use plan::ENCODER_VERSION;
pub use plan::Plan;
pub use plan::PlanError;
pub use record::Proof;
pub use record::Record;
pub use record::RecordState;
pub use sequence::Position;
pub use sequence::Sequence;
pub use session::Session;
pub use state::CampaignState;
pub use state::Phase;
pub use state::TaskState;
pub use step::Progress;
pub use step::Refusal;
pub use step::Transmit;
pub use step::Verdict;
pub use traces::Trace;
pub use traces::trace_of_use;
pub use turns::Turns;
