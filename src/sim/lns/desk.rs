//! What is settled at a desk before a world begins: keys, and what is prepared for each meter.

use super::meter::Meter;
use super::script::LnsScript;
use super::script::MeterScript;
use crate::fleet::Batch;
use crate::fleet::Member;
use crate::fleet::SessionMics;
use crate::fleet::Setup;
use crate::fragment::Ts004Version;
use crate::lorawan::Eui64;
use crate::lorawan::RootKey;
use crate::lorawan::Secret;
use crate::lorawan::data_block_mic;
use crate::lorawan::encrypt_mc_key;
use crate::lorawan::mc_ke_key;
use crate::region::Parameters;
use crate::sim::device;
use crate::sim::random::Random;

/// The first of three counts that MICs are prepared for.
const FIRST_SESSION_CNT: u16 = 5;

/// Every meter of the script, and what is prepared for it.
pub(super) fn prepared(
    script: &LnsScript,
    region: &'static Parameters,
    mc_key: &Secret,
    image: &[u8],
    random: &mut Random,
) -> (Vec<Meter>, Vec<Member>) {
    let mut one = |(index, meter): (usize, &MeterScript)| {
        let dev_eui = Eui64::from_bytes([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 1, (index >> 8) as u8, index as u8]);
        let settings = settings(meter, index, region);
        let member = member(meter, dev_eui, index, mc_key, &script.setup, image);
        (Meter::new(meter.clone(), dev_eui.to_string(), settings, random.split(index as u64)), member)
    };
    script.meters.iter().enumerate().map(&mut one).unzip()
}

/// A meter's settings; the root key is its own.
fn settings(meter: &MeterScript, index: usize, region: &'static Parameters) -> device::Settings {
    let name = format!("meter-{index}");
    let stock = device::Settings::stock(meter.stack, name, root_key(index), region);
    device::Settings {
        ts004_version: if meter.is_v2 { Ts004Version::V2 } else { Ts004Version::V1 },
        clock_error_us: meter.clock_error_us,
        ..stock
    }
}

fn root_key(index: usize) -> RootKey {
    let mut bytes = [0x11; 16];
    bytes[..8].copy_from_slice(&(index as u64 + 1).to_be_bytes());
    RootKey::GenAppKey(Secret::from_bytes(bytes))
}

/// What is prepared for a meter at a desk.
fn member(
    meter: &MeterScript,
    dev_eui: Eui64,
    index: usize,
    mc_key: &Secret,
    setup: &Setup,
    image: &[u8],
) -> Member {
    let root = root_key(if meter.has_wrong_key { index + 1_000_000 } else { index });
    let mic = |session_cnt: u16| data_block_mic(&root, session_cnt, 0, setup.descriptor, image);
    let session_mics = SessionMics {
        sha256: setup.image_sha256.unwrap_or_default(),
        descriptor: setup.descriptor,
        first_session_cnt: FIRST_SESSION_CNT,
        mics: (FIRST_SESSION_CNT..FIRST_SESSION_CNT + 3).map(mic).collect(),
    };
    Member {
        dev_eui,
        name: format!("meter-{index}"),
        mc_key_encrypted: encrypt_mc_key(&mc_ke_key(&root.mc_root_key()), mc_key),
        batch: Batch::named("meters"),
        session_mics: meter.is_v2.then_some(session_mics),
    }
}
