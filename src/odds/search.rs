//! Search in a range of numbers of which the larger ones suffice.

/// The smallest number from `low` up to `enough` that suffices; `enough` is known to, or is the answer all the same.
pub(super) fn least(mut low: u16, mut enough: u16, suffices: impl Fn(u16) -> bool) -> u16 {
    while low < enough {
        let middle = low.midpoint(enough);
        if suffices(middle) {
            enough = middle;
        } else {
            low = middle + 1;
        }
    }
    enough
}
