//! EN 300 220-2 V3.2.1 and ERC/REC 70-03: short range devices in Europe, by sub-band.
//!
//! The law states ERP; these tables hold EIRP, which is 2.15 dB more. A network may replace the duty cycle by polite
//! spectrum access (listen before talk); RP002 chooses the duty cycle, and so do these tables.

use crate::radio::Dbm;
use crate::region::sub_band::NO_DUTY_LIMIT;
use crate::region::sub_band::SubBand;

/// EIRP of 7 dBm (5 mW) ERP.
const ERP_7_DBM: Dbm = Dbm::from_centi(700 + 215);
/// EIRP of 10 dBm (10 mW) ERP.
const ERP_10_DBM: Dbm = Dbm::from_centi(1000 + 215);
/// EIRP of 14 dBm (25 mW) ERP.
const ERP_14_DBM: Dbm = Dbm::from_centi(1400 + 215);
/// EIRP of 27 dBm (500 mW) ERP.
const ERP_27_DBM: Dbm = Dbm::from_centi(2700 + 215);

/// Default power of a gateway in the 500 mW sub-bands, EIRP: 2.15 dB below the limit, as Basics Station has it.
const DEFAULT_500_MW: Dbm = Dbm::from_whole(27);

/// 433.05-434.79 MHz: 10 mW ERP, 10 %. The 1 % of RP002 is a rule of LoRaWAN for devices and no limit
/// of law for gateways.
pub(super) const EN_300_220_433: &[SubBand] = &[SubBand::hourly(
    "433",
    433_050_000,
    434_790_000,
    100_000,
    ERP_10_DBM,
    "EN 300 220-2 V3.2.1, 433.05-434.79 MHz",
)];

/// 863-870 MHz, with the letters of EN 300 220-2 V3.2.1 as labels.
pub(super) const EN_300_220_863_870: &[SubBand] = &[
    // 25 mW ERP, 0.1 %.
    SubBand::hourly("K", 863_000_000, 865_000_000, 1_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band K"),
    // 25 mW ERP, 1 %.
    SubBand::hourly("L", 865_000_000, 868_000_000, 10_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band L"),
    // The four channels of network access points inside L: 500 mW ERP, 10 %, 200 kHz.
    network_access_point(865_600_000),
    network_access_point(866_200_000),
    network_access_point(866_800_000),
    network_access_point(867_400_000),
    // 25 mW ERP, 1 %: the three channels every EU868 device has.
    SubBand::hourly("M", 868_000_000, 868_600_000, 10_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band M"),
    // 25 mW ERP, 0.1 %.
    SubBand::hourly("N", 868_700_000, 869_200_000, 1_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band N"),
    // 500 mW ERP, 10 %: RX2, and the only sensible place for an image. 250 kHz fill it from edge to edge,
    // which is not inside.
    SubBand {
        default_eirp: DEFAULT_500_MW,
        ..SubBand::hourly("P", 869_400_000, 869_650_000, 100_000, ERP_27_DBM, "EN 300 220-2 V3.2.1, band P")
    },
    // The same range with 25 mW ERP and 0.1 %: never better than P.
    SubBand {
        needs_opt_in: true,
        ..SubBand::hourly("O", 869_400_000, 869_650_000, 1_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band O")
    },
    // 25 mW ERP, 1 %.
    SubBand::hourly("R", 869_700_000, 870_000_000, 10_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band R"),
    // The same range with 5 mW ERP: no duty cycle, short range.
    SubBand {
        needs_opt_in: true,
        ..SubBand::hourly(
            "Q",
            869_700_000,
            870_000_000,
            NO_DUTY_LIMIT,
            ERP_7_DBM,
            "EN 300 220-2 V3.2.1, band Q",
        )
    },
];

/// A 500 mW sub-band for network access points. It needs opt-in, because only some countries have adopted it, and
/// the equipment must control its power down to 5 mW.
const fn network_access_point(min_hz: u32) -> SubBand {
    let clause =
        "ERC/REC 70-03 annex 2, network access points: adaptive power control, where the country has it";
    let max_hz = min_hz + 200_000;
    SubBand {
        default_eirp: DEFAULT_500_MW,
        max_bandwidth_hz: Some(200_000),
        needs_opt_in: true,
        ..SubBand::hourly("NAP", min_hz, max_hz, 100_000, ERP_27_DBM, clause)
    }
}
