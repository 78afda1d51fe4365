//! The checksum that LoRaMac-node's demonstration application reports.

/// The first byte of the report, which TS004 leaves free; four of the checksum follow, low byte first.
pub(super) const REPORT_CID: u8 = 0x05;

/// CRC-32 of IEEE 802.3 (reflected, polynomial EDB88320).
pub fn crc32(bytes: &[u8]) -> u32 {
    let folded = |crc: u32, byte: &u8| {
        let step = |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        (0..8).fold(crc ^ u32::from(*byte), step)
    };
    !bytes.iter().fold(u32::MAX, folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_every_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
