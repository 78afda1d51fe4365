//! The probability that a device completes, by loss rate.

use crate::campaign::Group;
use crate::odds::Odds;
use crate::odds::Receiver;
use crate::report::Planned;

/// The loss rates that a plan shows, per cent.
const LOSS_PERCENTS: [u8; 5] = [1, 5, 10, 20, 30];
/// Part of the devices that counts as almost all.
pub const WANTED: f64 = 0.999;

/// The odds at one loss rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// Frames that a device loses, each by itself, per cent.
    pub loss_percent: u8,
    /// The probability that a device completes whose decoder can hold everything.
    pub completes: f64,
    /// The same for the profile's decoder as its makers ship it; `None` when the profile knows of no limit.
    pub completes_as_shipped: Option<f64>,
    /// Coded fragments with which [`WANTED`] of all devices complete; `None`: no number is enough.
    pub coded_wanted: Option<u16>,
}

/// The odds of one device of `group` under `planned`, with all that is ordered.
pub fn chances(planned: &Planned, group: &Group) -> Vec<Chance> {
    let profile = &group.profile;
    let Ok(mut odds) = Odds::new(planned.nb_frag, group.ts004_version, profile.repeats) else {
        return Vec::new();
    };
    let able = Receiver { max_lost: None, finishes_on_coded: profile.finishes_on_coded };
    let shipped =
        profile.max_lost(planned.nb_frag).map(|max_lost| Receiver { max_lost: Some(max_lost), ..able });
    let is_refused =
        profile.stock_caps.is_some_and(|(most, size)| planned.nb_frag > most || planned.frag_size > size);
    let chance = |loss_percent: u8| {
        let loss = f64::from(loss_percent) / 100.0;
        Chance {
            loss_percent,
            completes: odds.completes(planned.ordered(), able, loss),
            completes_as_shipped: match (is_refused, shipped) {
                (true, _) => Some(0.0),
                (false, shipped) => shipped.map(|shipped| odds.completes(planned.ordered(), shipped, loss)),
            },
            coded_wanted: odds.coded_needed(able, loss, WANTED),
        }
    };
    LOSS_PERCENTS.map(chance).to_vec()
}
