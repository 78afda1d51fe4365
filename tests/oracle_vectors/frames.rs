//! The room `lorawan` against bytes made by other implementations: `vectors/frame_vectors.json`. Each vector
//! is either used or named here with the reason why not.

use super::fragments::lcg;
use std::collections::BTreeMap;

use fuotad::lorawan::FrameError;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::PackageVersion;
use fuotad::lorawan::RootKey;
use fuotad::lorawan::Secret;
use fuotad::lorawan::Tail;
use fuotad::lorawan::TailCause;
use fuotad::lorawan::data_block_mic;
use fuotad::lorawan::decrypt_mc_key;
use fuotad::lorawan::encrypt_mc_key;
use fuotad::lorawan::mc_ke_key;
use fuotad::lorawan::multicast_frame;
use fuotad::lorawan::open_multicast;
use fuotad::lorawan::parse_header;
use fuotad::lorawan::ts003;
use fuotad::lorawan::ts004;
use fuotad::lorawan::ts005;
use serde_json::Value;

/// Commands that the room does not speak.
const OUT_OF_SCOPE: &[(&str, &str)] = &[
    ("TS004v1_DataFragment_i0_n1", "the room `fragment` writes and reads fragments"),
    ("TS004v1_DataFragment_i3_n16383", "the room `fragment` writes and reads fragments"),
    ("TS004v2_DataFragment_i1_n1000", "the room `fragment` writes and reads fragments"),
    ("TS006v1_DevDeleteImageReq_17011973", "firmware management is not spoken"),
    ("TS006v1_DevRebootCountdownReq_262657", "firmware management is not spoken"),
    ("TS006v1_DevRebootTimeReq_1400000000", "firmware management is not spoken"),
    ("TS006v1_DevVersionAns_fw11223344_hw12345678", "firmware management is not spoken"),
    ("TS006v1_DevVersionReq", "firmware management is not spoken"),
    ("TS006v1_PackageVersionReq", "firmware management is not spoken"),
];

/// The FPort of TS006, whose dialogues are left out.
const FIRMWARE_MANAGEMENT_FPORT: u8 = 203;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/frame_vectors.json");
    #[expect(clippy::disallowed_methods, reason = "a test reads its vectors")]
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().unwrap_or_else(|| panic!("{name} is a list"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is a text"))
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} is a number"))
}

fn unhex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    unhex(text(value, name))
}

fn secret(value: &Value, name: &str) -> Secret {
    Secret::from_hex(text(value, name)).unwrap()
}

fn session_keys(value: &Value) -> McSessionKeys {
    McSessionKeys::from_parts(secret(value, "mc_nwk_s_key"), secret(value, "mc_app_s_key"))
}

fn mc_addr(value: &Value) -> McAddr {
    text(value, "mc_addr").parse().unwrap()
}

#[test]
fn group_keys_are_those_of_five_other_implementations() {
    let vectors = vectors();
    for vector in list(&vectors, "mc_key_vectors") {
        let root = match text(vector, "root_key_kind") {
            "GenAppKey (1.0.x)" => RootKey::GenAppKey(secret(vector, "root_key")),
            "AppKey (1.1)" => RootKey::AppKey(secret(vector, "root_key")),
            kind => panic!("unknown kind {kind}"),
        };
        let mc_key = secret(vector, "mc_key");
        let mc_root_key = root.mc_root_key();
        assert_eq!(mc_root_key.expose(), secret(vector, "mc_root_key").expose());
        let mc_ke_key = mc_ke_key(&mc_root_key);
        assert_eq!(mc_ke_key.expose(), secret(vector, "mc_ke_key").expose());
        let mc_key_encrypted = encrypt_mc_key(&mc_ke_key, &mc_key);
        assert_eq!(mc_key_encrypted, *secret(vector, "mc_key_encrypted").expose());
        assert_eq!(decrypt_mc_key(&mc_ke_key, &mc_key_encrypted).expose(), mc_key.expose());
        let derived = McSessionKeys::derive(&mc_key, mc_addr(vector));
        assert_eq!(derived.mc_app_s_key().expose(), secret(vector, "mc_app_s_key").expose());
        assert_eq!(derived.mc_nwk_s_key().expose(), secret(vector, "mc_nwk_s_key").expose());
        assert_eq!(derived.fingerprint(), session_keys(vector).fingerprint());
    }
    assert_eq!(list(&vectors, "mc_key_vectors").len(), 3);
}

#[test]
fn frames_are_built_and_opened_as_five_other_implementations_do() {
    let vectors = vectors();
    for vector in list(&vectors, "multicast_frames") {
        let name = text(vector, "name");
        let keys = session_keys(vector);
        let mc_addr = mc_addr(vector);
        let fcnt = u32::try_from(number(vector, "fcnt")).unwrap();
        let fport = u8::try_from(number(vector, "fport")).unwrap();
        let payload = bytes(vector, "payload");
        let phy = bytes(vector, "phy_payload");
        assert_eq!(multicast_frame(&keys, mc_addr, fcnt, fport, &payload).unwrap(), phy, "{name}");
        let opened = open_multicast(&keys, mc_addr, fcnt, &phy).unwrap();
        assert_eq!((opened.fport, opened.payload), (fport, payload), "{name}");
        let header = parse_header(&phy).unwrap();
        assert_eq!(
            (header.mc_addr, header.fport, header.mhdr, header.fctrl),
            (mc_addr, Some(fport), 0x60, 0)
        );
        assert_eq!(u32::from(header.fcnt16), fcnt & 0xffff, "{name}");
        if vector["loramac_node"]["result"].as_str().unwrap().starts_with("reject") {
            // That device took the 16 bits it saw for the whole counter.
            assert_eq!(open_multicast(&keys, mc_addr, u32::from(header.fcnt16), &phy), Err(FrameError::Mic));
        }
    }
    assert_eq!(list(&vectors, "multicast_frames").len(), 11);
}

#[test]
fn frames_that_devices_drop_are_dropped_for_the_same_reason() {
    let vectors = vectors();
    let keys = session_keys(&vectors["multicast_frames"][0]);
    let mc_addr = mc_addr(&vectors["multicast_frames"][0]);
    let reasons = BTreeMap::from([
        ("confirmed MType", FrameError::MType(0xa0)),
        ("ACK bit set", FrameError::Ack),
        ("bit 6 set (ADRACKReq position)", FrameError::FCtrlBit6),
        ("FOpts present", FrameError::FOpts(1)),
        ("FPort 0", FrameError::FPort(0)),
        ("no FPort", FrameError::NoFPort),
        ("MIC wrong", FrameError::Mic),
    ]);
    let frames = list(&vectors["frames_a_device_drops"], "frames");
    for frame in frames {
        let name = text(frame, "name");
        let phy = bytes(frame, "phy_payload");
        let fcnt = u32::from(parse_header(&phy).unwrap().fcnt16);
        assert_eq!(open_multicast(&keys, mc_addr, fcnt, &phy).err().as_ref(), reasons.get(name), "{name}");
    }
    assert_eq!(frames.len(), reasons.len());
}

/// Any command of the room, to put those of three packages and two directions into one table.
#[derive(Debug, PartialEq)]
enum Command {
    Ts003Down(ts003::Request),
    Ts003Up(ts003::Answer),
    Ts004Down(ts004::Request),
    Ts004Up(ts004::Answer),
    Ts005Down(ts005::Request),
    Ts005Up(ts005::Answer),
}

impl Command {
    fn write(&self, version: PackageVersion) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Command::Ts003Down(command) => command.write(version, &mut out),
            Command::Ts003Up(command) => command.write(version, &mut out),
            Command::Ts004Down(command) => command.write(version, &mut out),
            Command::Ts004Up(command) => command.write(version, &mut out),
            Command::Ts005Down(command) => command.write(version, &mut out),
            Command::Ts005Up(command) => command.write(version, &mut out),
        }
        .unwrap();
        out
    }

    /// Reads the bytes as the same kind of command.
    fn parse_alike(&self, bytes: &[u8], version: PackageVersion) -> Vec<Command> {
        let port = match self {
            Command::Ts003Down(_) | Command::Ts003Up(_) => ts003::FPORT,
            Command::Ts004Down(_) | Command::Ts004Up(_) => ts004::FPORT,
            Command::Ts005Down(_) | Command::Ts005Up(_) => ts005::FPORT,
        };
        let is_down = matches!(self, Command::Ts003Down(_) | Command::Ts004Down(_) | Command::Ts005Down(_));
        let (commands, tail) = parse(port, is_down, bytes, version);
        assert_eq!(tail, None);
        commands
    }
}

fn parse(port: u8, is_down: bool, bytes: &[u8], version: PackageVersion) -> (Vec<Command>, Option<Tail>) {
    fn wrap<C>(
        (commands, tail): (Vec<C>, Option<Tail>),
        as_any: fn(C) -> Command,
    ) -> (Vec<Command>, Option<Tail>) {
        (commands.into_iter().map(as_any).collect(), tail)
    }
    match (port, is_down) {
        (ts003::FPORT, true) => wrap(ts003::Request::parse(bytes, version), Command::Ts003Down),
        (ts003::FPORT, false) => wrap(ts003::Answer::parse(bytes, version), Command::Ts003Up),
        (ts004::FPORT, true) => wrap(ts004::Request::parse(bytes, version), Command::Ts004Down),
        (ts004::FPORT, false) => wrap(ts004::Answer::parse(bytes, version), Command::Ts004Up),
        (ts005::FPORT, true) => wrap(ts005::Request::parse(bytes, version), Command::Ts005Down),
        (ts005::FPORT, false) => wrap(ts005::Answer::parse(bytes, version), Command::Ts005Up),
        _ => panic!("no package on port {port}"),
    }
}

/// What each named vector says, in types.
fn expected_commands() -> BTreeMap<&'static str, Command> {
    let mut expected = clock_commands();
    expected.extend(fragmentation_commands());
    expected.extend(multicast_setup_commands());
    expected
}

fn clock_commands() -> BTreeMap<&'static str, Command> {
    use ts003::Answer;
    use ts003::Request;
    let app_time_ans = || Command::Ts003Down(Request::AppTime { time_correction: -34, token_ans: 5 });
    let app_time_req = || {
        let device_time = 1_400_000_000;
        Command::Ts003Up(Answer::AppTime { device_time, token_req: 5, ans_required: true })
    };
    let resync = || Command::Ts003Down(Request::ForceDeviceResync { nb_transmissions: 2 });
    let not_supported = Answer::DeviceAppTimePeriodicity { not_supported: true, time: 1_400_000_000 };
    BTreeMap::from([
        ("TS003v1_AppTimeAns_minus34_tok5", app_time_ans()),
        ("TS003v1_AppTimeReq_1400000000_ans1_tok5", app_time_req()),
        ("TS003v1_DeviceAppTimePeriodicityAns_notsup_t1400000000", Command::Ts003Up(not_supported)),
        ("TS003v1_ForceDeviceResync_2", resync()),
        ("TS003v2_AppTimeAns_minus34_tok5", app_time_ans()),
        ("TS003v2_AppTimeReq_1400000000_ans1_tok5", app_time_req()),
        (
            "TS003v2_DeviceAppTimePeriodicityReq_3",
            Command::Ts003Down(Request::DeviceAppTimePeriodicity { period: 3 }),
        ),
        ("TS003v2_ForceDeviceResync_2", resync()),
    ])
}

fn fragmentation_commands() -> BTreeMap<&'static str, Command> {
    use Command::Ts004Down as Down;
    use Command::Ts004Up as Up;
    use ts004::Answer;
    use ts004::Request;
    let setup = |v2| {
        Down(Request::FragSessionSetup(ts004::FragSessionSetupReq {
            frag_index: 1,
            mc_group_bit_mask: 0b0101,
            nb_frag: 1000,
            frag_size: 50,
            frag_algo: 0,
            block_ack_delay: 5,
            padding: 7,
            descriptor: [0x11, 0x22, 0x33, 0x44],
            v2,
        }))
    };
    let v2 =
        ts004::FragSessionSetupV2 { ack_reception: true, session_cnt: 258, mic: [0xc1, 0xc2, 0xc3, 0xc4] };
    let replay = ts004::FragSessionSetupAns {
        frag_index: 1,
        session_cnt_replay: true,
        wrong_descriptor: false,
        frag_index_not_supported: false,
        not_enough_memory: false,
        encoding_unsupported: false,
    };
    let status = || {
        let counts = ts004::FragCounts { frag_index: 1, nb_frag_received: 1000, missing_frag: 3 };
        Up(Answer::FragSessionStatus(ts004::FragSessionStatusAns {
            memory_error: true,
            mic_error: false,
            session_does_not_exist: false,
            counts: Some(counts),
        }))
    };
    BTreeMap::from([
        (
            "TS004v1_FragSessionDeleteAns_i1_notexist",
            Up(Answer::FragSessionDelete { frag_index: 1, session_does_not_exist: true }),
        ),
        ("TS004v1_FragSessionDeleteReq_i1", Down(Request::FragSessionDelete { frag_index: 1 })),
        ("TS004v1_FragSessionSetupReq_i1_mask0b0101_nb1000_size50_ack5_pad7", setup(None)),
        ("TS004v1_FragSessionStatusAns_i1_rx1000_miss3_mem1", status()),
        (
            "TS004v1_FragSessionStatusReq_i1_allparticipants",
            Down(Request::FragSessionStatus { frag_index: 1, participants: true }),
        ),
        ("TS004v2_FragDataBlockReceivedAns_i1", Down(Request::FragDataBlockReceived { frag_index: 1 })),
        (
            "TS004v2_FragDataBlockReceivedReq_i1_micerr",
            Up(Answer::FragDataBlockReceived { frag_index: 1, mic_error: true }),
        ),
        ("TS004v2_FragSessionSetupAns_i1_replay", Up(Answer::FragSessionSetup(replay))),
        ("TS004v2_FragSessionSetupReq_i1_mask0b0101_nb1000_size50_ack5_ackrx1_pad7_cnt258", setup(Some(v2))),
        ("TS004v2_FragSessionStatusAns_i1_rx1000_miss3_mem1", status()),
        ("TS004v2_PackageVersionReq", Down(Request::PackageVersion)),
    ])
}

/// An accepted session that starts in 300 s.
fn accepted(mc_group_id: u8) -> ts005::McSessionAns {
    ts005::McSessionAns {
        mc_group_id,
        dr_error: false,
        freq_error: false,
        mc_group_undefined: false,
        start_missed: false,
        reserved: 0,
        time_to_start: Some(300),
    }
}

fn multicast_setup_commands() -> BTreeMap<&'static str, Command> {
    use Command::Ts005Down as Down;
    use Command::Ts005Up as Up;
    use ts005::Answer;
    use ts005::Request;
    let class_b_req = Request::McClassBSession(ts005::McClassBSessionReq {
        mc_group_id: 1,
        session_time: 1_400_000_000,
        periodicity: 3,
        time_out: 4,
        dl_frequency_hz: 869_525_000,
        dr: 3,
    });
    let class_c_req = || {
        Down(Request::McClassCSession(ts005::McClassCSessionReq {
            mc_group_id: 0,
            session_time: 1_400_000_000,
            time_out: 10,
            dl_frequency_hz: 869_525_000,
            dr: 3,
        }))
    };
    let missed = ts005::McSessionAns { start_missed: true, time_to_start: None, ..accepted(0) };
    let setup = Request::McGroupSetup(ts005::McGroupSetupReq {
        mc_group_id: 2,
        mc_addr: McAddr::new(0x01fe_5a7c),
        mc_key_encrypted: std::array::from_fn(|i| 0xa0 + i as u8),
        min_mc_fcount: 256,
        max_mc_fcount: 131_072,
    });
    let groups = [Some(McAddr::new(0x01fe_5a7c)), None, Some(McAddr::new(0x01fe_5a7d)), None];
    let group_ok = || Up(Answer::McGroupSetup { mc_group_id: 2, id_error: false });
    let group_refused = || Up(Answer::McGroupSetup { mc_group_id: 3, id_error: true });
    let status_req = || Down(Request::McGroupStatus { req_group_mask: 0b0101 });
    let version = |package_version| Up(Answer::PackageVersion { package_identifier: 2, package_version });
    BTreeMap::from([
        ("TS005v1_McClassBSessionAns_g1_ok_tts300", Up(Answer::McClassBSession(accepted(1)))),
        ("TS005v1_McClassBSessionReq_g1_t1400000000_to4_per3_869525000_dr3", Down(class_b_req)),
        ("TS005v1_McClassCSessionAns_g0_ok_tts300", Up(Answer::McClassCSession(accepted(0)))),
        ("TS005v1_McClassCSessionReq_g0_t1400000000_to10_869525000_dr3", class_c_req()),
        (
            "TS005v1_McGroupDeleteAns_g1_undefined",
            Up(Answer::McGroupDelete { mc_group_id: 1, mc_group_undefined: true }),
        ),
        ("TS005v1_McGroupSetupAns_g2_ok", group_ok()),
        ("TS005v1_McGroupSetupAns_g3_iderror", group_refused()),
        ("TS005v1_McGroupSetupReq_g2_min256_max131072", Down(setup)),
        ("TS005v1_McGroupStatusReq_mask0b0101", status_req()),
        ("TS005v1_PackageVersionAns", version(1)),
        ("TS005v1_PackageVersionReq", Down(Request::PackageVersion)),
        ("TS005v2_McClassCSessionAns_g0_ok_tts300", Up(Answer::McClassCSession(accepted(0)))),
        ("TS005v2_McClassCSessionAns_g0_startmissed", Up(Answer::McClassCSession(missed))),
        ("TS005v2_McClassCSessionReq_g0_t1400000000_to10_869525000_dr3", class_c_req()),
        ("TS005v2_McGroupDeleteReq_g1", Down(Request::McGroupDelete { mc_group_id: 1 })),
        ("TS005v2_McGroupSetupAns_g2_ok", group_ok()),
        ("TS005v2_McGroupSetupAns_g3_iderror", group_refused()),
        (
            "TS005v2_McGroupStatusAns_total2_mask0b0101",
            Up(Answer::McGroupStatus { nb_total_groups: 2, mc_addrs: groups }),
        ),
        ("TS005v2_McGroupStatusReq_mask0b0101", status_req()),
        ("TS005v2_PackageVersionAns", version(2)),
    ])
}

#[test]
fn commands_are_written_and_read_as_two_other_implementations_do() {
    let vectors = vectors();
    let mut expected = expected_commands();
    let mut out_of_scope: BTreeMap<&str, &str> = OUT_OF_SCOPE.iter().copied().collect();
    for vector in list(&vectors, "commands") {
        let name = text(vector, "name");
        if out_of_scope.remove(name).is_some() {
            continue;
        }
        let command = expected.remove(name).unwrap_or_else(|| panic!("{name} is neither used nor left out"));
        let version = match &name[5..7] {
            "v1" => PackageVersion::V1,
            "v2" => PackageVersion::V2,
            _ => panic!("{name} has no version"),
        };
        let hex = bytes(vector, "hex");
        assert_eq!(command.write(version), hex, "{name}");
        assert_eq!(command.parse_alike(&hex, version), [command], "{name}");
    }
    assert!(expected.is_empty(), "not among the vectors: {expected:?}");
    assert!(out_of_scope.is_empty(), "not among the vectors: {out_of_scope:?}");
}

#[test]
fn the_mic_of_a_data_block_is_the_one_a_device_accepted() {
    let vectors = vectors();
    let blocks = list(&vectors, "ts004_v2_data_block_mic");
    for vector in blocks {
        let name = text(vector, "name");
        let session_cnt = u16::try_from(number(vector, "session_cnt")).unwrap();
        let frag_index = u8::try_from(number(vector, "frag_index")).unwrap();
        let descriptor: [u8; 4] = bytes(vector, "descriptor").try_into().unwrap();
        let (seed, length) = (number(&vector["data"], "seed"), number(&vector["data"], "length"));
        let image: Vec<u8> = lcg(seed).take(length as usize).map(|x| (x >> 24) as u8).collect();
        let mic: [u8; 4] = bytes(vector, "mic").try_into().unwrap();
        // The same for both kinds of root key.
        for root in [RootKey::GenAppKey, RootKey::AppKey] {
            let root = root(secret(vector, "root_key"));
            assert_eq!(data_block_mic(&root, session_cnt, frag_index, descriptor, &image), mic, "{name}");
        }
        let request = bytes(vector, "frag_session_setup_req");
        let (commands, tail) = ts004::Request::parse(&request, PackageVersion::V2);
        let [ts004::Request::FragSessionSetup(setup)] = &commands[..] else { panic!("{name}: {commands:?}") };
        let v2 = setup.v2.unwrap();
        assert_eq!((tail, setup.frag_index, setup.descriptor), (None, frag_index, descriptor), "{name}");
        assert_eq!((v2.session_cnt, v2.mic), (session_cnt, mic), "{name}");
        let (nb_frag, frag_size) = (usize::from(setup.nb_frag), usize::from(setup.frag_size));
        assert_eq!(nb_frag * frag_size - usize::from(setup.padding), image.len(), "{name}");
        let device = &vector["swl2001_v2_device"];
        for run in ["uplinks_and_events", "uplinks_with_mic_last_byte_flipped"] {
            let lines = list(device, run).iter().map(|line| line.as_str().unwrap());
            assert!(lines.filter(|line| check_line(line, PackageVersion::V2)).count() >= 2, "{name}");
        }
    }
    assert_eq!(blocks.len(), 3);
}

#[test]
fn a_real_devices_dialogues_are_understood_to_the_last_byte() {
    let vectors = vectors();
    let mut checked = 0;
    for run in list(&vectors["swl2001_v2_device_dialogues"], "runs") {
        for lines in ["device_input", "device_output"] {
            for line in list(run, lines) {
                checked += usize::from(check_line(line.as_str().unwrap(), PackageVersion::V2));
            }
        }
    }
    assert_eq!(checked, CHECKED_LINES);
}

/// Lines of the dialogues that carry commands of ours.
const CHECKED_LINES: usize = 51;

/// Reads the payload of one dialogue line and writes it again; `false` when the line carries none of ours.
/// `dl 201 1 0103` goes to the device, `UPLINK fport=201 0106004000` comes from it; `DL` only repeats the
/// former and cuts it, the others tell what happened inside the device.
fn check_line(line: &str, version: PackageVersion) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    let (port, is_down, payload) = match words[..] {
        ["dl", port, _window, payload] => (port, true, unhex(payload)),
        ["UPLINK", port, payload] => (port.trim_start_matches("fport="), false, unhex(payload)),
        ["DL" | "GROUP" | "EVENT" | "gps", ..] => return false,
        _ => panic!("unknown line {line}"),
    };
    let port = port.parse().unwrap();
    if port == FIRMWARE_MANAGEMENT_FPORT {
        return false;
    }
    let (commands, tail) = parse(port, is_down, &payload, version);
    if is_down && port == ts004::FPORT && payload[0] == 0x08 {
        let cause = TailCause::UnknownCid;
        assert_eq!((commands, tail), (vec![], Some(Tail { offset: 0, cid: 0x08, cause })));
        return false;
    }
    assert_eq!(tail, None, "{line}");
    assert!(!commands.is_empty(), "{line}");
    let written: Vec<u8> = commands.iter().flat_map(|command| command.write(version)).collect();
    assert_eq!(written, payload, "{line}");
    true
}

#[test]
fn what_a_real_device_said_is_read_as_it_was_meant() {
    let up = |port, hex: &str| {
        let (commands, tail) = parse(port, false, &unhex(hex), PackageVersion::V2);
        assert_eq!(tail, None);
        commands
    };
    let session = |answer| vec![Command::Ts005Up(ts005::Answer::McClassCSession(answer))];
    let refused = ts005::McSessionAns { time_to_start: None, ..accepted(0) };
    // The lines of the dialogues "start missed", "group undefined", "bad frequency and DR", "no clock".
    let start_missed = true;
    assert_eq!(up(200, "0420"), session(ts005::McSessionAns { start_missed, ..refused }));
    let mc_group_undefined = true;
    assert_eq!(up(200, "0410"), session(ts005::McSessionAns { mc_group_undefined, ..refused }));
    let both = ts005::McSessionAns { dr_error: true, freq_error: true, ..refused };
    assert_eq!(up(200, "040c"), session(both));
    let time_to_start = Some(ts005::TIME_TO_START_UNKNOWN);
    assert_eq!(up(200, "0400ffffff"), session(ts005::McSessionAns { time_to_start, ..accepted(0) }));
    // "two commands in one downlink": both answers in one uplink.
    let version = ts005::Answer::PackageVersion { package_identifier: 2, package_version: 2 };
    let group = ts005::Answer::McGroupSetup { mc_group_id: 0, id_error: false };
    assert_eq!(up(200, "0002020200"), [Command::Ts005Up(version), Command::Ts005Up(group)]);
    // A lossy session: the block is reported first, then the status of 23 received, 64 << 8 being the index.
    let block = ts004::Answer::FragDataBlockReceived { frag_index: 1, mic_error: false };
    let status = ts004::FragSessionStatusAns {
        memory_error: false,
        mic_error: false,
        session_does_not_exist: false,
        counts: Some(ts004::FragCounts { frag_index: 1, nb_frag_received: 23, missing_frag: 0 }),
    };
    let status = ts004::Answer::FragSessionStatus(status);
    assert_eq!(up(201, "04010100174000"), [Command::Ts004Up(block), Command::Ts004Up(status)]);
}
