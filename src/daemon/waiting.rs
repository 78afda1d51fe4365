//! Datagrams that wait for a way to their network server: a bounded queue in which the oldest makes room.

use super::socket::DATAGRAM_BYTES_MAX;
use std::collections::VecDeque;

/// Datagrams that may wait for one server: a look-up that hangs for seconds while every demodulator is busy.
const DATAGRAMS_MAX: usize = 4096;
/// Their bytes, at most.
const BYTES_MAX: usize = 2 << 20;
/// Datagrams that one fact may bring for one server: an uplink, a keepalive, answers to its downlinks.
const TURN_DATAGRAMS_MAX: usize = 16;
/// Their bytes: one uplink of any length and short ones.
const TURN_BYTES_MAX: usize = 2 * DATAGRAM_BYTES_MAX;

/// The queue of one server.
#[derive(Debug, Default)]
pub struct Waiting {
    datagrams: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Waiting {
    /// Whether what comes next may push out something older.
    pub fn is_full(&self) -> bool {
        self.datagrams.len() + TURN_DATAGRAMS_MAX > DATAGRAMS_MAX || self.bytes + TURN_BYTES_MAX > BYTES_MAX
    }

    /// Puts a datagram at the end; how many of the oldest had to go for it.
    pub fn push(&mut self, datagram: Vec<u8>) -> u64 {
        self.bytes += datagram.len();
        self.datagrams.push_back(datagram);
        let mut dropped = 0;
        while self.datagrams.len() > DATAGRAMS_MAX || self.bytes > BYTES_MAX {
            self.pop();
            dropped += 1;
        }
        dropped
    }

    /// The oldest datagram that waits.
    pub fn first(&self) -> Option<&[u8]> {
        self.datagrams.front().map(Vec::as_slice)
    }

    /// Removes the oldest datagram that waits.
    pub fn pop(&mut self) {
        if let Some(datagram) = self.datagrams.pop_front() {
            self.bytes -= datagram.len();
        }
    }

    /// How many datagrams wait for the server.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_before_anything_is_pushed_out_and_then_the_oldest_goes() {
        let mut waiting = Waiting::default();
        let mut number = 0_u32;
        while !waiting.is_full() {
            assert_eq!(waiting.push(number.to_be_bytes().to_vec()), 0);
            number += 1;
        }
        for _ in 0..TURN_DATAGRAMS_MAX {
            assert_eq!(
                waiting.push(number.to_be_bytes().to_vec()),
                u64::from(number as usize >= DATAGRAMS_MAX)
            );
            number += 1;
        }
        assert_eq!((waiting.len(), waiting.first()), (DATAGRAMS_MAX, Some(&1_u32.to_be_bytes()[..])));
    }

    #[test]
    fn long_datagrams_are_bounded_by_their_bytes() {
        let mut waiting = Waiting::default();
        while !waiting.is_full() {
            assert_eq!(waiting.push(vec![0; DATAGRAM_BYTES_MAX]), 0);
        }
        let dropped: u64 = (0..100).map(|_| waiting.push(vec![0; DATAGRAM_BYTES_MAX])).sum();
        assert!(dropped > 90 && waiting.bytes <= BYTES_MAX, "{dropped}");
        while waiting.first().is_some() {
            waiting.pop();
        }
        assert_eq!((waiting.bytes, waiting.is_full()), (0, false));
    }
}
