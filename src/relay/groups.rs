//! Our groups as network servers must leave them alone: whether a downlink to one of their addresses is of somebody who
//! has the group's key.

use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::lorawan::authentic_fcnt;
use std::collections::BTreeSet;

/// Upper halves of the frame counter that are tried: a server that is beyond has sent four million frames.
const UPPER_HALVES: u16 = 64;

/// Whose downlink it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// It goes to none of our groups.
    NoGroup,
    /// It has the group's McNwkSKey: a second sender.
    HasKey,
    /// No device takes it. `is_news`: it is the first one to that address.
    HasNoKey {
        /// Whether the operator should be told.
        is_news: bool,
    },
}

/// Addresses and keys of our groups.
#[derive(Debug)]
pub(super) struct Groups {
    keys: Vec<(McAddr, McSessionKeys)>,
    told: BTreeSet<u32>,
}

impl Groups {
    pub fn new(keys: Vec<(McAddr, McSessionKeys)>) -> Self {
        Groups { keys, told: BTreeSet::new() }
    }

    /// Judges a data frame down to `dev_addr`.
    pub fn sender(&mut self, dev_addr: u32, phy_payload: &[u8]) -> Sender {
        let mut of_group = self.keys.iter().filter(|(mc_addr, _)| mc_addr.as_u32() == dev_addr).peekable();
        if of_group.peek().is_none() {
            return Sender::NoGroup;
        }
        if of_group
            .any(|(mc_addr, keys)| authentic_fcnt(keys, *mc_addr, phy_payload, 0..UPPER_HALVES).is_some())
        {
            return Sender::HasKey;
        }
        Sender::HasNoKey { is_news: self.told.insert(dev_addr) }
    }
}
