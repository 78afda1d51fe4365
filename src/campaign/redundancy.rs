//! How many coded fragments a campaign sends before its first question.

use crate::answers::Expected;
use crate::report::Lean;

/// How many coded fragments a campaign whose devices answer sends before it asks them first. Any other
/// campaign sends what is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redundancy {
    /// As many as the task orders.
    #[default]
    Ordered,
    /// As many as the expected loss asks for, and no more than the task orders; all of these while nothing is expected.
    Lean(Option<Expected>),
    /// So many: an earlier run planned it like that, whatever was learned since.
    Planned(u16),
}

impl Redundancy {
    /// What is sent before the first question instead of `ordered` coded fragments; `None`: these, without a word.
    pub(super) fn lean(self, nb_frag: u16, ordered: u16) -> Option<Lean> {
        match self {
            Redundancy::Ordered => None,
            Redundancy::Lean(expected) => {
                let coded = expected.map_or(ordered, |expected| expected.coded(nb_frag, ordered));
                Some(Lean { coded, ordered, expected })
            }
            Redundancy::Planned(coded) => Some(Lean { coded: coded.min(ordered), ordered, expected: None }),
        }
    }
}
