//! Uplinks counted once, whatever a broker doubles or reorders.

/// FCnt of the newest uplink, and which of the 32 before it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// The newest FCnt; `None` before the first and after a join.
    pub(super) newest: Option<u32>,
    /// Bit n: the uplink n + 1 before the newest came.
    pub(super) seen: u32,
}

/// What an uplink is among those that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The newest.
    Newest,
    /// It came behind a newer one; what it says holds.
    Overtaken,
    /// It came before.
    Copy,
}

/// A counter so far below the newest begins anew: the device was reset without a join.
const RESET_DISTANCE: u32 = 1024;

impl Counted {
    /// Takes in the uplink `f_cnt`.
    pub(super) fn count(&mut self, f_cnt: u32) -> Order {
        let Some(newest) = self.newest else {
            *self = Counted { newest: Some(f_cnt), seen: 0 };
            return Order::Newest;
        };
        if f_cnt > newest || newest - f_cnt >= RESET_DISTANCE {
            let shift = f_cnt.checked_sub(newest).unwrap_or(33);
            self.seen = match shift {
                0..=31 => self.seen << shift | 1 << (shift - 1),
                32 => 1 << 31,
                _ => 0,
            };
            self.newest = Some(f_cnt);
            return Order::Newest;
        }
        let behind = newest - f_cnt;
        let bit = match behind {
            1..=32 => 1 << (behind - 1),
            _ => 0,
        };
        if bit == 0 || self.seen & bit != 0 {
            return Order::Copy;
        }
        self.seen |= bit;
        Order::Overtaken
    }
}

#[cfg(test)]
mod tests {
    use super::Order::Copy;
    use super::Order::Newest;
    use super::Order::Overtaken;
    use super::*;

    #[test]
    fn each_uplink_counts_once_in_whatever_order_it_comes() {
        let mut counted = Counted::default();
        let orders: Vec<Order> =
            [5, 5, 7, 6, 6, 5, 39, 7, 8, 80, 39].map(|f_cnt| counted.count(f_cnt)).into();
        let expected = [Newest, Copy, Newest, Overtaken, Copy, Copy, Newest, Copy, Overtaken, Newest, Copy];
        assert_eq!(orders, expected);
    }

    #[test]
    fn a_counter_that_begins_anew_is_a_new_uplink() {
        let mut counted = Counted::default();
        counted.count(5000);
        assert_eq!(counted.count(0), Order::Newest);
        assert_eq!(counted.count(1), Order::Newest);
    }
}
