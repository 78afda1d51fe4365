//! Which program holds a UDP port: what a person would look up with `ss`, which gateways seldom have.
#![expect(clippy::disallowed_methods, reason = "the command line reads the system's tables")]

use std::fs;
use std::net::SocketAddr;

/// Tables of the kernel's UDP sockets.
const TABLES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

/// The names of the programs that hold the port of `address`; a socket whose program we may not see is `?`.
pub fn holders(address: SocketAddr) -> Vec<String> {
    let tables = TABLES.iter().filter_map(|table| fs::read_to_string(table).ok());
    let inodes: Vec<u64> = tables.flat_map(|table| inodes(&table, address.port())).collect();
    let mut names: Vec<String> =
        inodes.iter().map(|inode| program(*inode).unwrap_or("?".to_owned())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The sockets on `port` in a table of proc(5).
fn inodes(table: &str, port: u16) -> Vec<u64> {
    let of = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = columns.get(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(local, 16).ok()? == port;
        is_it.then(|| columns.get(9)?.parse().ok()).flatten()
    };
    table.lines().skip(1).filter_map(of).collect()
}

fn program(inode: u64) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let mut processes = fs::read_dir("/proc").ok()?.flatten();
    let process = processes.find(|process| {
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|link| link.as_os_str() == wanted.as_str())
    })?;
    Some(fs::read_to_string(process.path().join("comm")).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn the_program_that_holds_a_port_is_named() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let ours = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(holders(address), [ours.trim()]);
        drop(socket);
        assert_eq!(holders(address), [] as [String; 0]);
    }

    #[test]
    fn a_table_is_read_by_its_columns() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n \
            1: 0100007F:06A4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4242 2 0 0\n \
            2: 0100007F:06A5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 7 2 0 0\n";
        assert_eq!(inodes(table, 1700), [4242]);
    }
}
