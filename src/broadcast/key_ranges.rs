//! The counters of every key: which are given away, and to which plan.

use crate::lorawan::KeyFingerprint;
use crate::store::RangeState;
use crate::store::Reservation;
use std::collections::BTreeMap;

/// The counters of the keys that are enrolled, as the journals on disk have them or are about to.
#[derive(Debug)]
pub struct KeyRanges {
    by_key: BTreeMap<KeyFingerprint, RangeState>,
}

impl KeyRanges {
    /// The counters as they were recovered.
    pub fn new(by_key: BTreeMap<KeyFingerprint, RangeState>) -> Self {
        KeyRanges { by_key }
    }

    /// How the counters of a key stand; `None` when it is not enrolled.
    pub fn of(&self, key: &KeyFingerprint) -> Option<&RangeState> {
        self.by_key.get(key)
    }

    /// The plans that hold counters of the key, the oldest first.
    pub fn reservations(&self, key: &KeyFingerprint) -> &[Reservation] {
        let counters = self.of(key).and_then(RangeState::counters);
        counters.map_or(&[], |counters| &counters.reservations)
    }

    /// Gives away what is wanted and lets go of the plans in `over`.
    ///
    /// # Errors
    /// One line: the counters are lost, used, or held by too many plans.
    pub fn reserve(&mut self, wanted: &Reservation, over: &[[u8; 32]]) -> Result<(), String> {
        let Some(RangeState::Intact(counters)) = self.by_key.get_mut(&wanted.key) else {
            return Err("the group's counters were lost meanwhile".to_owned());
        };
        if let Some(changed) = counters.with(wanted, over).map_err(|error| error.to_string())? {
            *counters = changed;
        }
        Ok(())
    }
}
