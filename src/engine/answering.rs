//! What the devices of a campaign said so far, as it is shown.

use super::course::Course;
use super::course::Stage;
use crate::answers::Roll;
use crate::task::TaskId;
use crate::time::Instant;

/// One campaign whose ordered fragments were sent, and what its devices said to it.
#[derive(Clone, Copy, Debug)]
pub struct Answering<'a> {
    /// Id of the campaign's task.
    pub task: &'a TaskId,
    /// Name of its group in the configuration.
    pub group: &'a str,
    /// Its devices and what each holds.
    pub roll: &'a Roll,
    /// Questions to all that were put, and whose answers are in.
    pub questions: u16,
    /// How far it is.
    pub stage: Stage,
    /// Until when what it waits for is waited for: answers to its question, or to those to single devices.
    pub until: Option<Instant>,
}

impl<'a> Answering<'a> {
    /// The campaign of a group, once something was sent.
    pub(super) fn of(group: &'a str, course: &'a Course) -> Option<Answering<'a>> {
        let Course { task, roll, rounds, stage, .. } = course;
        let until = match stage {
            Stage::Sending => course.answers_until,
            Stage::Between(_) => course.rest.decide_at,
            Stage::Asking(_) => course.asking_until,
            Stage::Over(_) => None,
        };
        let answering = Answering { task, group, roll, questions: rounds.questions, stage: *stage, until };
        roll.has_begun().then_some(answering)
    }
}
