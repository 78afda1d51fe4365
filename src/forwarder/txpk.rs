//! The PULL_RESP we send (PROTOCOL.TXT 5.4 and 6, `txpk`).
//!
//! Packet forwarders answer a malformed request with silence, and one bad base64 character ends them. So
//! everything is checked before it leaves; no key is ever null, and all that a default could decide is said.

use core::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::radio::Dbm;
use crate::radio::Emission;
use crate::radio::Modulation;
use crate::time::Tmst;

use super::error::Invalid;
use super::packet;
use super::packet::PULL_RESP_HEADER;
use super::settings::Settings;

/// Forwarders read 1000 bytes with the terminator; the rest is cut, and the request vanishes.
pub(super) const MAX_DATAGRAM: usize = 999;

/// Deviation of LoRaWAN's GFSK in Hz (RP002-1.0.4 4.2).
const FDEV_HZ: u32 = 25_000;

/// Preamble bytes of LoRaWAN's GFSK (RP002-1.0.4 4.2).
const PREAMBLE_GFSK: u8 = 5;

/// One packet to be sent, checked.
#[derive(Debug)]
pub(super) struct TxPk {
    datagram: Vec<u8>,
    powe: i32,
}

impl TxPk {
    /// Checks and writes `emission`, to start when the counter shows `tmst`, or at once without it; `board` is named
    /// where the forwarder has several.
    pub fn new(
        settings: &Settings,
        emission: &Emission,
        tmst: Option<Tmst>,
        board: Option<u32>,
    ) -> Result<TxPk, Invalid> {
        let powe = powe(settings, emission.eirp);
        check(settings, emission, powe)?;
        // 200 bytes hold all but the payload.
        let mut json = String::with_capacity(200 + emission.phy_payload.len() * 4 / 3);
        write(&mut json, settings, emission, (tmst, board), powe).expect("a String takes every text");
        let datagram = [&packet::pull_resp(packet::VERSION_NEWEST, 0), json.as_bytes()].concat();
        debug_assert!(datagram.len() <= MAX_DATAGRAM, "255 bytes of payload need less than 600");
        Ok(TxPk { datagram, powe })
    }

    /// The datagram under `token`; a repeat differs in nothing else.
    pub fn datagram(&self, token: u16) -> Vec<u8> {
        let mut datagram = self.datagram.clone();
        datagram[..PULL_RESP_HEADER].copy_from_slice(&packet::pull_resp(packet::VERSION_NEWEST, token));
        datagram
    }

    /// What the forwarder is asked to put into the antenna connector.
    pub fn conducted(&self, settings: &Settings) -> Dbm {
        Dbm::from_whole(self.powe) - settings.forwarder_antenna_gain
    }
}

/// Whole dBm, rounded down: what leaves the antenna must not be more than was asked for.
fn powe(settings: &Settings, eirp: Dbm) -> i32 {
    (eirp - settings.antenna_gain + settings.forwarder_antenna_gain).centi().div_euclid(100)
}

fn check(settings: &Settings, emission: &Emission, powe: i32) -> Result<(), Invalid> {
    if settings.rf_chain > 1 {
        return Err(Invalid::RfChain { rf_chain: settings.rf_chain });
    }
    let bytes = emission.phy_payload.len();
    if !(1..=255).contains(&bytes) {
        return Err(Invalid::Size { bytes });
    }
    let frequency_hz = emission.frequency_hz;
    if !(100_000_000..=1_100_000_000).contains(&frequency_hz) || !frequency_hz.is_multiple_of(100) {
        return Err(Invalid::Frequency { frequency_hz });
    }
    let is_known = match emission.modulation {
        Modulation::LoRa { sf, bw_hz } => {
            (5..=12).contains(&sf) && [125_000, 250_000, 500_000].contains(&bw_hz)
        }
        Modulation::Gfsk { bit_rate_bps } => (500..=250_000).contains(&bit_rate_bps),
    };
    if !is_known {
        return Err(Invalid::Modulation { datr: emission.modulation.to_string() });
    }
    if !(-20..=50).contains(&powe) {
        return Err(Invalid::Power { powe });
    }
    Ok(())
}

fn write(
    json: &mut String,
    settings: &Settings,
    emission: &Emission,
    (tmst, board): (Option<Tmst>, Option<u32>),
    powe: i32,
) -> core::fmt::Result {
    match tmst {
        Some(Tmst(tmst)) => write!(json, r#"{{"txpk":{{"imme":false,"tmst":{tmst}"#)?,
        None => write!(json, r#"{{"txpk":{{"imme":true"#)?,
    }
    let mhz = emission.frequency_hz / 1_000_000;
    let hz = emission.frequency_hz % 1_000_000;
    write!(json, r#","freq":{mhz}.{hz:06},"rfch":{},"powe":{powe}"#, settings.rf_chain)?;
    if let Some(board) = board {
        write!(json, r#","brd":{board}"#)?;
    }
    let datr = emission.modulation;
    match emission.modulation {
        Modulation::LoRa { sf, .. } => {
            // RP002-1.0.4 4.1: 8 symbols, 12 at SF5 and SF6. Downlinks: polarity inverted, no CRC.
            let prea = if sf < 7 { 12 } else { 8 };
            write!(
                json,
                r#","modu":"LORA","datr":"{datr}","codr":"4/5","ipol":true,"prea":{prea},"ncrc":true"#
            )?;
        }
        Modulation::Gfsk { bit_rate_bps } => {
            write!(
                json,
                r#","modu":"FSK","datr":{bit_rate_bps},"fdev":{FDEV_HZ},"prea":{PREAMBLE_GFSK},"ncrc":false"#
            )?;
        }
    }
    write!(json, r#","size":{},"data":""#, emission.phy_payload.len())?;
    STANDARD.encode_string(&emission.phy_payload, json);
    json.push_str("\"}}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use semtech_udp::Down;
    use semtech_udp::Packet;
    use semtech_udp::pull_resp;

    use super::*;
    use crate::time::Instant;

    fn emission(modulation: Modulation, frequency_hz: u32, eirp: Dbm, phy_payload: Vec<u8>) -> Emission {
        Emission { start: Instant::ZERO, frequency_hz, modulation, eirp, phy_payload }
    }

    fn sf9(payload: &[u8]) -> Emission {
        emission(
            Modulation::LoRa { sf: 9, bw_hz: 125_000 },
            869_525_000,
            Dbm::from_whole(27),
            payload.to_vec(),
        )
    }

    fn json(emission: &Emission, tmst: Option<Tmst>) -> String {
        let datagram = TxPk::new(&Settings::default(), emission, tmst, None).unwrap().datagram(0);
        String::from_utf8(datagram[4..].to_vec()).unwrap()
    }

    fn by_semtech(datagram: &[u8]) -> pull_resp::Packet {
        match Packet::parse_downlink(datagram) {
            Ok(Down::PullResp(packet)) => *packet,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lora_request_is_written_to_the_byte() {
        let datagram = TxPk::new(&Settings::default(), &sf9(b"\xff\xff\xfe"), Some(Tmst(7)), None)
            .unwrap()
            .datagram(0xABCD);
        let mut expected = vec![2, 0xAB, 0xCD, 3];
        expected.extend_from_slice(
            br#"{"txpk":{"imme":false,"tmst":7,"freq":869.525000,"rfch":0,"powe":27,"modu":"LORA","datr":"SF9BW125","codr":"4/5","ipol":true,"prea":8,"ncrc":true,"size":3,"data":"///+"}}"#,
        );
        assert_eq!(datagram, expected);
        assert!(json(&sf9(&[1]), None).starts_with(r#"{"txpk":{"imme":true,"freq""#));
    }

    #[test]
    fn gfsk_has_a_deviation_a_crc_and_a_numeric_data_rate() {
        let gfsk =
            emission(Modulation::Gfsk { bit_rate_bps: 50_000 }, 868_800_000, Dbm::from_whole(14), vec![1, 2]);
        assert_eq!(
            json(&gfsk, None),
            r#"{"txpk":{"imme":true,"freq":868.800000,"rfch":0,"powe":14,"modu":"FSK","datr":50000,"fdev":25000,"prea":5,"ncrc":false,"size":2,"data":"AQI="}}"#
        );
    }

    #[test]
    fn sf5_and_sf6_have_twelve_preamble_symbols() {
        for (sf, prea) in [(5, 12), (6, 12), (7, 8), (12, 8)] {
            let lora =
                emission(Modulation::LoRa { sf, bw_hz: 125_000 }, 868_100_000, Dbm::from_whole(14), vec![1]);
            assert!(json(&lora, None).contains(&format!("\"prea\":{prea},")));
        }
    }

    #[test]
    fn a_forwarder_that_multiplies_and_truncates_gets_the_same_hertz() {
        let grids = [(863_000_000, 870_000_000), (902_000_000, 928_000_000), (470_000_000, 510_000_000)];
        for hz in grids.into_iter().flat_map(|(low, high)| (low..=high).step_by(100)) {
            let text = format!("{}.{:06}", hz / 1_000_000, hz % 1_000_000);
            assert_eq!((1e6 * text.parse::<f64>().unwrap()) as u32, hz);
        }
    }

    #[test]
    fn power_is_rounded_down_and_moved_by_both_gains() {
        let settings = |antenna, forwarder| Settings {
            antenna_gain: Dbm::from_centi(antenna),
            forwarder_antenna_gain: Dbm::from_centi(forwarder),
            ..Settings::default()
        };
        assert_eq!(powe(&settings(0, 0), Dbm::from_whole(27)), 27);
        assert_eq!(powe(&settings(215, 0), Dbm::from_whole(27)), 24);
        assert_eq!(powe(&settings(215, 200), Dbm::from_whole(27)), 26);
        assert_eq!(powe(&settings(50, 0), Dbm::from_whole(0)), -1);
        let txpk = TxPk::new(&settings(215, 200), &sf9(&[1]), None, None).unwrap();
        assert_eq!(txpk.conducted(&settings(215, 200)), Dbm::from_whole(24));
    }

    #[test]
    fn what_a_forwarder_would_drop_or_die_of_is_refused() {
        let refused =
            |settings: Settings, emission: &Emission| TxPk::new(&settings, emission, None, None).unwrap_err();
        let plain = Settings::default();
        let chain = Settings { rf_chain: 2, ..plain.clone() };
        assert_eq!(refused(chain, &sf9(&[1])), Invalid::RfChain { rf_chain: 2 });
        assert_eq!(refused(plain.clone(), &sf9(&[])), Invalid::Size { bytes: 0 });
        assert_eq!(refused(plain.clone(), &sf9(&[0; 256])), Invalid::Size { bytes: 256 });
        for frequency_hz in [0, 868_100_050, 2_425_000_000] {
            let odd = Emission { frequency_hz, ..sf9(&[1]) };
            assert_eq!(refused(plain.clone(), &odd), Invalid::Frequency { frequency_hz });
        }
        for modulation in [
            Modulation::LoRa { sf: 4, bw_hz: 125_000 },
            Modulation::LoRa { sf: 13, bw_hz: 125_000 },
            Modulation::LoRa { sf: 9, bw_hz: 203_000 },
            Modulation::Gfsk { bit_rate_bps: 0 },
        ] {
            let odd = Emission { modulation, ..sf9(&[1]) };
            assert_eq!(refused(plain.clone(), &odd), Invalid::Modulation { datr: modulation.to_string() });
        }
        let loud = Emission { eirp: Dbm::from_whole(200), ..sf9(&[1]) };
        assert_eq!(refused(plain.clone(), &loud), Invalid::Power { powe: 200 });
    }

    #[test]
    fn the_largest_request_fits_the_forwarders_buffer() {
        let largest =
            TxPk::new(&Settings::default(), &sf9(&[0xFF; 255]), Some(Tmst(u32::MAX)), Some(u32::MAX))
                .unwrap();
        assert!(largest.datagram(0).len() <= MAX_DATAGRAM);
    }

    proptest! {
        #[test]
        fn somebody_elses_reading_gives_the_same_values(
            payload in proptest::collection::vec(any::<u8>(), 1..=255),
            tmst in proptest::option::of(any::<u32>()),
            step in 8_630_000_u32..=9_280_000,
            sf in 7_u8..=12,
            bw_khz in proptest::sample::select(vec![125_u32, 250, 500]),
            whole_dbm in 0_i32..=36,
            token in any::<u16>(),
        ) {
            let modulation = Modulation::LoRa { sf, bw_hz: bw_khz * 1000 };
            let wanted = emission(modulation, step * 100, Dbm::from_whole(whole_dbm), payload.clone());
            let txpk = TxPk::new(&Settings::default(), &wanted, tmst.map(Tmst), None).unwrap();
            let packet = by_semtech(&txpk.datagram(token));
            prop_assert_eq!(packet.random_token, token);
            let heard = packet.data.txpk;
            prop_assert_eq!(heard.is_immediate(), tmst.is_none());
            prop_assert_eq!(heard.get_tmst(), tmst);
            prop_assert_eq!((heard.freq * 1e6).round() as u32, step * 100);
            prop_assert_eq!(heard.rfch, 0);
            prop_assert_eq!(heard.powe, whole_dbm as u64);
            prop_assert!(matches!(heard.modu, semtech_udp::Modulation::LORA));
            prop_assert_eq!(heard.datr.to_string(), modulation.to_string());
            prop_assert_eq!(heard.codr, Some(semtech_udp::CodingRate::_4_5));
            prop_assert_eq!(heard.fdev, None);
            prop_assert!(heard.ipol);
            prop_assert_eq!(heard.prea, Some(8));
            prop_assert_eq!(heard.ncrc, Some(true));
            prop_assert_eq!(heard.data.data(), &payload[..]);
            prop_assert_eq!(heard.data.len(), payload.len());
        }
    }
}
