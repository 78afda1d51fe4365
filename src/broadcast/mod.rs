//! All campaigns that share one radio: which tasks are open, whose frame is next, what must be durable before it.
//!
//! * [`Broadcaster`]: the tasks of one radio from the document's arrival to the end of the campaign.
//! * [`Judge`]: what will come of an order, said beforehand by the code that carries it out.
//! * [`TurnRule`]: whose turn it is when several campaigns share the radio.
//! * [`Record`]: a task as it is kept on disk.
//!
//! Inside, the book of tasks (`task_book.rs`) knows what is ordered and how far it is, the turns (`turns.rs`) whose frame
//! is next, and the broadcaster joins them. The radio's scheduler is lent to it for each call.
//!
//! This room knows no datagrams, sockets or files.

mod admission;
mod arming;
mod breaker;
mod broadcaster;
mod fetching;
mod finished_tasks;
mod further;
mod io;
mod judge;
mod key_ranges;
mod marks;
mod open_task;
mod outbox;
mod pauses;
mod planning;
mod questions;
mod queue;
mod record;
mod site;
mod stage;
mod state;
mod task_book;
mod traces;
mod turn_rule;
mod turns;
mod verbs;
mod waits;

pub use breaker::CRASH_REST_US;
pub use broadcaster::Broadcaster;
pub use io::Fetch;
pub use io::NotSaved;
pub use io::Output;
pub use io::SignatureWish;
pub use io::TaskSource;
pub use judge::Foreseen;
pub use judge::Judge;
pub use judge::Judgement;
pub use judge::KnownImage;
pub use pauses::Pauses;
pub use record::Proof;
pub use record::Record;
pub use record::RecordState;
pub use site::Means;
pub use state::Phase;
pub use state::TaskState;
pub use traces::Trace;
pub use traces::trace_of_use;
pub use turn_rule::TurnRule;
pub use verbs::Done;
pub use verbs::Verb;
pub use verbs::VerbError;
