//! The answer of `fuotad plan`, before it is printed as text or as JSON.

use crate::campaign::Power;
use crate::cloud::FuotaTaskJson;
use crate::plan::Chance;
use crate::plan::Choice;
use crate::plan::Compared;
use crate::plan::Timetable;

/// Everything that is printed.
pub struct Answer<'a> {
    pub name: &'a str,
    /// The order as it was read: every member that a service answered, known or not.
    pub said: &'a FuotaTaskJson,
    pub timetable: &'a Timetable,
    pub chances: &'a [Chance],
    pub choices: &'a [Choice],
    /// The data rate of the task's group.
    pub data_rate: u8,
    /// The same campaign by others' policies, and ours with other promises of hearing (`min-heard`); where asked for.
    pub compared: &'a [Compared],
    pub promises: &'a [(f64, Timetable)],
    /// The battery of the group's devices.
    pub power: Power,
    /// Whether the counters are those of the service's journal.
    pub knows_journal: bool,
    pub warnings: &'a [String],
}
