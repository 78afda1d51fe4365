//! TS003, TS004 and TS005 commands, `DataFragment` and data frames: what is read is written again and read to the
//! same.

use fuotad::fragment::DataFragment;
use fuotad::lorawan::CommandError;
use fuotad::lorawan::MAX_COMMANDS;
use fuotad::lorawan::MAX_PAYLOAD;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::PackageVersion;
use fuotad::lorawan::Secret;
use fuotad::lorawan::Tail;
use fuotad::lorawan::multicast_frame;
use fuotad::lorawan::open_multicast;
use fuotad::lorawan::parse_header;
use fuotad::lorawan::ts003;
use fuotad::lorawan::ts004;
use fuotad::lorawan::ts005;
use std::fmt::Debug;

/// Gives `data` to every reader of payloads and frames.
pub fn run(data: &[u8]) {
    for version in [PackageVersion::V1, PackageVersion::V2] {
        keeps(data, version, ts003::Request::parse, ts003::Request::write);
        keeps(data, version, ts003::Answer::parse, ts003::Answer::write);
        keeps(data, version, ts004::Request::parse, ts004::Request::write);
        keeps(data, version, ts004::Answer::parse, ts004::Answer::write);
        keeps(data, version, ts005::Request::parse, ts005::Request::write);
        keeps(data, version, ts005::Answer::parse, ts005::Answer::write);
    }
    fragment(data);
    frame(data);
}

type Parse<C> = fn(&[u8], PackageVersion) -> (Vec<C>, Option<Tail>);
type Write<C> = fn(&C, PackageVersion, &mut Vec<u8>) -> Result<(), CommandError>;

fn keeps<C: Debug + PartialEq>(data: &[u8], version: PackageVersion, parse: Parse<C>, write: Write<C>) {
    let (commands, tail) = parse(data, version);
    assert!(commands.len() <= MAX_COMMANDS, "no more commands are read than fit a frame");
    if let Some(tail) = tail {
        assert_eq!(
            data.get(tail.offset),
            Some(&tail.cid),
            "what was not understood is where it is said to be"
        );
    }
    let mut whole = Vec::new();
    for command in &commands {
        let mut alone = Vec::new();
        let written = write(command, version, &mut alone);
        assert_eq!(written, Ok(()), "what was read can be written: {command:?}");
        let again = parse(&alone, version);
        assert_eq!(
            (again.0.iter().collect(), again.1),
            (vec![command], None),
            "a command alone is read as it was written"
        );
        whole.extend(alone);
    }
    assert_eq!(parse(&whole, version), (commands, None), "all together are read as they were written");
}

fn fragment(data: &[u8]) {
    if let Ok(message) = DataFragment::parse(data) {
        let mut written = Vec::new();
        message.write(&mut written);
        assert_eq!(written, data, "a DataFragment is written as it came");
    }
}

fn frame(data: &[u8]) {
    let own = McAddr::new(0x01c0_ffee);
    let keys = McSessionKeys::derive(&Secret::from_bytes([7; 16]), own);
    let header = parse_header(data).ok();
    let mc_addr = header.map_or(own, |header| header.mc_addr);
    let fcnt = header.map_or(2, |header| u32::from(header.fcnt16));
    let opened = open_multicast(&keys, mc_addr, fcnt, data);
    assert!(opened.is_err(), "nobody guesses a MIC");
    let Some((&fport, payload)) = data.split_first() else { return };
    if let Ok(phy) = multicast_frame(&keys, own, fcnt, fport, payload) {
        let opened = open_multicast(&keys, own, fcnt, &phy);
        let opened = opened.map(|opened| (opened.fport, opened.payload));
        assert_eq!(opened, Ok((fport, payload.to_vec())), "a frame is opened to what was put in");
        assert!(payload.len() <= MAX_PAYLOAD, "no frame is longer than the radio takes");
    }
}
