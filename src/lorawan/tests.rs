//! Properties of the whole room: hostile bytes are normal, and keys stay unseen.

use proptest::prelude::*;

use crate::lorawan::address::McAddr;
use crate::lorawan::command::CommandError;
use crate::lorawan::command::PackageVersion;
use crate::lorawan::command::Tail;
use crate::lorawan::frame::multicast_frame;
use crate::lorawan::frame::open_multicast;
use crate::lorawan::frame::parse_header;
use crate::lorawan::keys::KeyFingerprint;
use crate::lorawan::keys::McSessionKeys;
use crate::lorawan::keys::RootKey;
use crate::lorawan::secret::Secret;
use crate::lorawan::ts003;
use crate::lorawan::ts004;
use crate::lorawan::ts005;

/// Reads, writes what was read, and reads again: the second reading must equal the first, byte for byte
/// on the second writing.
fn check_stable<C: PartialEq + core::fmt::Debug>(
    bytes: &[u8],
    version: PackageVersion,
    parse: impl Fn(&[u8], PackageVersion) -> (Vec<C>, Option<Tail>),
    write: impl Fn(&C, PackageVersion, &mut Vec<u8>) -> Result<(), CommandError>,
) {
    let write_all = |commands: &[C]| {
        let mut out = Vec::new();
        for command in commands {
            write(command, version, &mut out).unwrap();
        }
        out
    };
    let (commands, tail) = parse(bytes, version);
    let read_up_to = tail.map_or(bytes.len(), |tail| tail.offset);
    let once = write_all(&commands);
    // Reserved bits are lost, bytes are not.
    assert_eq!(once.len(), read_up_to);
    let (again, tail) = parse(&once, version);
    assert_eq!((&again, tail), (&commands, None));
    assert_eq!(write_all(&again), once);
}

proptest! {
    #[test]
    fn whatever_bytes_come_as_commands_reading_is_safe_and_stable(
        // Low CIDs, or hardly anything would get past the first byte.
        bytes in proptest::collection::vec(prop_oneof![0u8..10, any::<u8>()], 0..260),
        is_v2 in any::<bool>(),
    ) {
        let version = if is_v2 { PackageVersion::V2 } else { PackageVersion::V1 };
        check_stable(&bytes, version, ts003::Request::parse, ts003::Request::write);
        check_stable(&bytes, version, ts003::Answer::parse, ts003::Answer::write);
        check_stable(&bytes, version, ts004::Request::parse, ts004::Request::write);
        check_stable(&bytes, version, ts004::Answer::parse, ts004::Answer::write);
        check_stable(&bytes, version, ts005::Request::parse, ts005::Request::write);
        check_stable(&bytes, version, ts005::Answer::parse, ts005::Answer::write);
    }

    #[test]
    fn whatever_bytes_come_as_a_frame_nothing_panics_and_nothing_is_accepted(
        mut phy in proptest::collection::vec(any::<u8>(), 0..300),
        fctrl in any::<u8>(),
    ) {
        let mc_addr = McAddr::new(0x01c0_ffee);
        let keys = McSessionKeys::derive(&Secret::from_bytes([7; 16]), mc_addr);
        let _ = parse_header(&phy);
        prop_assert!(open_multicast(&keys, mc_addr, 2, &phy).is_err());
        // The same with a head that leads further in.
        if phy.len() > 8 {
            phy[..8].copy_from_slice(&[0x60, 0xee, 0xff, 0xc0, 0x01, fctrl, 2, 0]);
            let _ = parse_header(&phy);
            prop_assert!(open_multicast(&keys, mc_addr, 2, &phy).is_err());
        }
    }

    #[test]
    fn what_one_side_seals_the_other_opens(
        payload in proptest::collection::vec(any::<u8>(), 1..=242),
        (mc_key, number, fcnt, fport) in (any::<[u8; 16]>(), any::<u32>(), any::<u32>(), 1u8..=223),
    ) {
        let mc_addr = McAddr::new(number);
        let keys = McSessionKeys::derive(&Secret::from_bytes(mc_key), mc_addr);
        let phy = multicast_frame(&keys, mc_addr, fcnt, fport, &payload).unwrap();
        let opened = open_multicast(&keys, mc_addr, fcnt, &phy).unwrap();
        prop_assert_eq!((opened.fport, opened.payload), (fport, payload));
    }
}

#[test]
fn no_key_shows_in_anything_the_room_prints() {
    let bytes: [u8; 16] = core::array::from_fn(|i| 0xa1 + i as u8);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = || Secret::from_hex(&hex).unwrap();
    let mc_addr = McAddr::new(0x01c0_ffee);
    let keys = McSessionKeys::from_parts(secret(), secret());
    let phy = multicast_frame(&keys, mc_addr, 2, 201, b"fragment").unwrap();
    let mut printed = vec![
        format!("{keys:?} {keys:#?} {:?} {}", keys.fingerprint(), keys.fingerprint()),
        format!("{:?} {:?}", RootKey::GenAppKey(secret()), RootKey::AppKey(secret())),
        format!("{:?} {:?}", parse_header(&phy), open_multicast(&keys, mc_addr, 2, &phy)),
        format!("{:?}", open_multicast(&keys, mc_addr, 3, &phy)),
    ];
    // Texts that are nearly the key: cut, lengthened, with a stray character at either end.
    let texts =
        [hex[1..].to_owned(), format!("{hex} "), format!("{}g", &hex[1..]), format!("g{}", &hex[1..])];
    for text in texts {
        let errors = [
            Secret::from_hex(&text).map(|_| ()),
            text.parse().map(|_: KeyFingerprint| ()),
            text.parse().map(|_: McAddr| ()),
        ];
        for error in errors {
            let error = error.unwrap_err();
            printed.push(format!("{error} {error:?}"));
        }
    }
    let derived = McSessionKeys::derive(&secret(), mc_addr);
    printed.push(format!("{derived:?}"));
    let printed = printed.join("\n");
    for key in [&bytes, derived.mc_app_s_key().expose(), derived.mc_nwk_s_key().expose()] {
        // Any three bytes in a row would be too much, in hex or as the numbers a derived Debug prints.
        for window in key.windows(3) {
            let in_hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
            let in_numbers = format!("{}, {}, {}", window[0], window[1], window[2]);
            assert!(!printed.to_lowercase().contains(&in_hex), "{in_hex} in:\n{printed}");
            assert!(!printed.contains(&in_numbers), "{in_numbers} in:\n{printed}");
        }
    }
}
