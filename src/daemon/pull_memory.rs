//! Where the packet forwarder asked for downlinks, from one life of the process to the next: a small file beside the
//! store's own. It is a hint that the next keepalive replaces, so nothing waits for it, it is not synced, and a damaged
//! or missing one is none.

use crate::forwarder::PullAddress;
use serde_json::Value;
use serde_json::json;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

/// The name of the file in the state folder.
const NAME: &str = "forwarder";
/// A longer file is none of ours.
const BYTES_MAX: u64 = 1024;

/// The file, and what it says.
#[derive(Debug)]
pub struct PullMemory {
    dir: PathBuf,
    boot_id: [u8; 16],
    known: Option<PullAddress>,
}

impl PullMemory {
    /// Reads what the last life left. What was written in another boot is void: the forwarder has another port since.
    pub fn read(dir: &Path, boot_id: [u8; 16]) -> Self {
        let mut text = String::new();
        let file = File::open(dir.join(NAME)).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
        let known = file.ok().and_then(|_| parse(&text, boot_id));
        PullMemory { dir: dir.to_owned(), boot_id, known }
    }

    /// The address that is remembered.
    pub fn known(&self) -> Option<PullAddress> {
        self.known
    }

    /// Writes a new address down, on a thread that may wait for the disk.
    pub fn learn(&mut self, address: PullAddress) {
        if self.known == Some(address) {
            return;
        }
        self.known = Some(address);
        let (dir, text) = (self.dir.clone(), text(address, self.boot_id));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = replace(&dir, &text) {
                tracing::debug!(%error, "the packet forwarder's address was not written down");
            }
        });
    }
}

fn replace(dir: &Path, text: &str) -> io::Result<()> {
    let temporary = dir.join(format!("{NAME}.tmp"));
    std::fs::write(&temporary, text)?;
    std::fs::rename(temporary, dir.join(NAME))
}

fn text(last: PullAddress, boot_id: [u8; 16]) -> String {
    let PullAddress { gateway, address, version } = last;
    let boot = format!("{:032x}", u128::from_be_bytes(boot_id));
    let [gateway, address] = [gateway.to_string(), address.to_string()];
    format!("{}\n", json!({ "boot": boot, "gateway": gateway, "address": address, "version": version }))
}

fn parse(text: &str, boot_id: [u8; 16]) -> Option<PullAddress> {
    let value: Value = serde_json::from_str(text).ok()?;
    let member = |name: &str| value.get(name)?.as_str();
    let boot = u128::from_str_radix(member("boot")?, 16).ok()?;
    let last = PullAddress {
        gateway: member("gateway")?.parse().ok()?,
        address: member("address")?.parse().ok()?,
        version: u8::try_from(value.get("version")?.as_u64()?).ok()?,
    };
    (boot.to_be_bytes() == boot_id).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarder::GatewayId;

    const LAST: PullAddress = PullAddress {
        gateway: GatewayId([0, 0x16, 0xC0, 1, 0xF1, 0x50, 8, 0x12]),
        address: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_001),
        version: 2,
    };

    #[test]
    fn what_was_written_is_read_back_in_the_same_boot_only() {
        let written = text(LAST, [7; 16]);
        assert_eq!(parse(&written, [7; 16]), Some(LAST));
        assert_eq!(parse(&written, [8; 16]), None);
    }

    #[test]
    fn a_damaged_or_missing_file_is_none() {
        let written = text(LAST, [7; 16]);
        for bytes in 0..written.trim_end().len() {
            assert_eq!(parse(&written[..bytes], [7; 16]), None, "{bytes}");
        }
        assert_eq!(PullMemory::read(Path::new("/nonexistent"), [7; 16]).known(), None);
    }
}
