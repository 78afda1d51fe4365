//! The boards of one forwarder (`rxpk.brd`), each with a counter of its own. Our emissions go to one of them, the first
//! that was heard, and stay there: another one may not be able to transmit.

use super::counter::Counter;
use super::counter::Heard;
use crate::time::Instant;
use crate::time::Tmst;

/// Boards whose counters are learned; uplinks of more have no place in time.
const BOARDS_MAX: usize = 4;

/// The counters of all boards.
#[derive(Debug, Default)]
pub(super) struct Boards {
    /// The number of our board, once it was heard; a forwarder that names none has number 0.
    ours: Option<u32>,
    counter: Counter,
    others: Vec<(u32, Counter)>,
    /// The forwarder says which board it means, so we do.
    is_named: bool,
}

impl Boards {
    /// The counter of our board.
    pub fn ours(&self) -> &Counter {
        &self.counter
    }

    /// The board to name in our emissions; `None` where the forwarder knows of none.
    pub fn name(&self) -> Option<u32> {
        self.ours.filter(|_| self.is_named)
    }

    /// Learns from an uplink of `board`; whether that is ours.
    pub fn hear(&mut self, received: Instant, board: Option<u32>, tmst: Tmst) -> (Heard, bool) {
        self.is_named |= board.is_some();
        let board = board.unwrap_or(0);
        if *self.ours.get_or_insert(board) == board {
            return (self.counter.hear(received, tmst), true);
        }
        if !self.others.iter().any(|(number, _)| *number == board) && self.others.len() + 1 < BOARDS_MAX {
            self.others.push((board, Counter::default()));
        }
        let counter = self.others.iter_mut().find(|(number, _)| *number == board);
        (counter.map_or(Heard::Fits, |(_, counter)| counter.hear(received, tmst)), false)
    }

    /// The counter that the timestamps of `board` belong to, if it was heard. Where the forwarder names no boards there
    /// is one, whatever a server writes.
    pub fn counter_of(&self, board: Option<u32>) -> Option<&Counter> {
        let board = board.unwrap_or(0);
        if !self.is_named || self.ours == Some(board) {
            return Some(&self.counter);
        }
        self.others.iter().find(|(number, _)| *number == board).map(|(_, counter)| counter)
    }

    /// Drops everything: the forwarder was started anew.
    pub fn forget(&mut self) {
        self.counter.forget();
        self.ours = None;
        self.is_named = false;
        self.others.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Instant {
        Instant::from_us(s * 1_000_000)
    }

    #[test]
    fn four_boards_are_learned_and_a_fifth_has_no_place_in_time() {
        let mut boards = Boards::default();
        for board in 0..9u32 {
            assert_eq!(boards.hear(at(0), Some(board), Tmst(board * 100_000_000)), (Heard::Fits, board == 0));
        }
        for board in 0..9u32 {
            let instant = boards
                .counter_of(Some(board))
                .and_then(|counter| counter.instant_of(at(0), Tmst(board * 100_000_000 + 5_000_000), at(0)));
            assert_eq!(instant, (board < 4).then_some(at(5)), "board {board}");
        }
        assert_eq!(boards.name(), Some(0));
        boards.forget();
        assert_eq!(boards.hear(at(1), Some(7), Tmst(1)), (Heard::Fits, true));
        assert_eq!(boards.name(), Some(7));
    }

    #[test]
    fn a_forwarder_that_names_no_board_has_one_whatever_a_server_writes() {
        let mut boards = Boards::default();
        boards.hear(at(0), None, Tmst(9));
        assert_eq!(boards.name(), None);
        for board in [None, Some(0), Some(7)] {
            assert!(boards.counter_of(board).is_some_and(|counter| counter.error_us(at(0)).is_some()));
        }
    }
}
