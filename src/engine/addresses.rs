//! Groups whose McAddr is the DevAddr of a device that is heard here.

use crate::campaign::Group;
use crate::forwarder::Uplink;
use crate::lorawan::McAddr;

/// MType of data frames of devices, unconfirmed and confirmed (TS001-1.0.4 4.2.1).
const DATA_UP: [u8; 2] = [0b010, 0b100];

/// The addresses of groups that no device was heard with yet.
#[derive(Debug)]
pub(super) struct Addresses {
    groups: Vec<(McAddr, String)>,
}

impl Addresses {
    /// Those of these groups.
    pub(super) fn new(groups: &[Group]) -> Addresses {
        Addresses { groups: groups.iter().map(|group| (group.mc_addr, group.name.clone())).collect() }
    }

    /// A device was heard: what is wrong if it has the address of a group, told once for each group.
    pub(super) fn heard(&mut self, uplink: &Uplink) -> Option<String> {
        let is_data = uplink.first_byte.is_some_and(|mhdr| DATA_UP.contains(&(mhdr >> 5)));
        let dev_addr = uplink.dev_addr.filter(|_| uplink.crc_ok && is_data)?;
        let at = self.groups.iter().position(|(mc_addr, _)| mc_addr.as_u32() == dev_addr)?;
        let (mc_addr, group) = self.groups.swap_remove(at);
        Some(format!(
            "group {group}: a device with DevAddr {mc_addr} was heard here, which is the group's McAddr: each takes frames of the other for its own; give the group an address that no device has (`fuotad group new --mc-addr`) and prepare its devices again"
        ))
    }
}
