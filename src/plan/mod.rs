//! The forecast of a task: its timetable, its odds and its alternatives.
//!
//! * [`Timetable`]: sessions, hours, airtime. There is no second calculator: the same engine runs the whole campaign
//!   in a simulated world without losses, and this room reads the result.
//! * [`Chance`]: how likely a device is to complete, and what it would take for almost all to.
//! * [`Choice`]: the same image at every data rate that is legal here, the cheapest first.
//! * [`counters_from`]: the counters that the journal has left, instead of those of a new key.
//! * [`learned_from`]: the losses that the service learned of, which decide what a lean group gets.

mod chances;
mod choices;
mod compare;
mod counters;
mod hearing;
mod learned;
mod timetable;

pub use chances::Chance;
pub use chances::WANTED;
pub use chances::chances;
pub use choices::ASSUMED_LOSS_PERCENT;
pub use choices::Choice;
pub use choices::choices;
pub use compare::Compared;
pub use compare::compare;
pub use counters::counters_from;
pub use hearing::Heard;
pub use hearing::RateHeard;
pub use learned::lean_lines;
pub use learned::learned_from;
pub use timetable::HourPlan;
pub use timetable::SessionPlan;
pub use timetable::Timetable;
