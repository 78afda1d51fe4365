//! All campaigns that share one radio: which tasks are open, whose frame is next, what must be durable before it.
//!
//! * [`Broadcaster`]: the tasks of one radio from the document's arrival to the end of the campaign.
//! * [`TurnRule`]: whose turn it is when several campaigns share the radio.
//! * [`Record`]: a task as it is kept on disk.
//!
//! This room knows no datagrams, sockets or files.

mod admission;
mod arming;
mod breaker;
mod broadcaster;
mod fetching;
mod finished_tasks;
mod intake;
mod io;
mod marks;
mod open_task;
mod planning;
mod record;
mod rounds;
mod state;
mod traces;
mod turn_rule;
mod turns;

pub use breaker::CRASH_REST_US;
pub use broadcaster::Broadcaster;
pub use io::Fetch;
pub use io::NotSaved;
pub use io::Output;
pub use io::SignatureWish;
pub use io::TaskSource;
pub use record::Proof;
pub use record::Record;
pub use record::RecordState;
pub use state::Phase;
pub use state::TaskState;
pub use traces::Trace;
pub use traces::trace_of_use;
pub use turn_rule::TurnRule;
