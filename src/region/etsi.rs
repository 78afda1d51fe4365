//! EN 300 220-2 V3.2.1 and ERC/REC 70-03: short range devices in Europe, by sub-band.
//!
//! The law writes ERP; here stands EIRP, 2.15 dB more. A network may also replace the duty cycle by polite
//! spectrum access (listen before talk); RP002 chooses the duty cycle, and so do we.

use crate::radio::Dbm;
use crate::region::SubBand;
use crate::region::parameters::HOUR_US;
use crate::region::parameters::NO_DUTY_LIMIT;

/// 5 mW ERP.
const ERP_7_DBM: Dbm = Dbm::from_centi(700 + 215);
/// 25 mW ERP.
const ERP_14_DBM: Dbm = Dbm::from_centi(1400 + 215);
/// 500 mW ERP.
const ERP_27_DBM: Dbm = Dbm::from_centi(2700 + 215);

/// What a gateway is set to in the 500 mW sub-bands: 2.15 dB below the limit, as Basics Station does.
const DEFAULT_500_MW: Dbm = Dbm::from_whole(27);

/// 863-870 MHz. Letters as in EN 300 220-2 V3.2.1.
pub(super) const EN_300_220_863_870: &[SubBand] = &[
    // 25 mW ERP, 0.1 %.
    band("K", 863_000_000, 865_000_000, 1_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band K"),
    // 25 mW ERP, 1 %.
    band("L", 865_000_000, 868_000_000, 10_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band L"),
    // The four channels of network access points inside L: 500 mW ERP, 10 %, 200 kHz.
    network_access_point(865_600_000),
    network_access_point(866_200_000),
    network_access_point(866_800_000),
    network_access_point(867_400_000),
    // 25 mW ERP, 1 %: the three channels every EU868 device has.
    band("M", 868_000_000, 868_600_000, 10_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band M"),
    // 25 mW ERP, 0.1 %.
    band("N", 868_700_000, 869_200_000, 1_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band N"),
    // 500 mW ERP, 10 %: RX2, and the only sensible place for an image. 250 kHz fill it from edge to edge,
    // which is not inside.
    SubBand {
        default_eirp: DEFAULT_500_MW,
        ..band("P", 869_400_000, 869_650_000, 100_000, ERP_27_DBM, "EN 300 220-2 V3.2.1, band P")
    },
    // The same range with 25 mW ERP and 0.1 %: never better than P.
    SubBand {
        needs_opt_in: true,
        ..band("O", 869_400_000, 869_650_000, 1_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band O")
    },
    // 25 mW ERP, 1 %.
    band("R", 869_700_000, 870_000_000, 10_000, ERP_14_DBM, "EN 300 220-2 V3.2.1, band R"),
    // The same range with 5 mW ERP: no duty cycle, short range.
    SubBand {
        needs_opt_in: true,
        ..band("Q", 869_700_000, 870_000_000, NO_DUTY_LIMIT, ERP_7_DBM, "EN 300 220-2 V3.2.1, band Q")
    },
];

/// A sub-band that is sent in at its limit of power, by the hour.
const fn band(
    label: &'static str,
    min_hz: u32,
    max_hz: u32,
    duty_ppm: u32,
    max_eirp: Dbm,
    clause: &'static str,
) -> SubBand {
    SubBand {
        label,
        min_hz,
        max_hz,
        duty_ppm,
        window_us: HOUR_US,
        max_eirp,
        default_eirp: max_eirp,
        max_tx_us: None,
        needs_opt_in: false,
        clause,
    }
}

/// Opt-in, because only some countries have adopted it, and the equipment must control its power down to
/// 5 mW. The 200 kHz of occupied bandwidth that are allowed are the width of the channel.
const fn network_access_point(min_hz: u32) -> SubBand {
    let clause =
        "ERC/REC 70-03 annex 2, network access points: adaptive power control, where the country has it";
    let max_hz = min_hz + 200_000;
    SubBand {
        default_eirp: DEFAULT_500_MW,
        needs_opt_in: true,
        ..band("NAP", min_hz, max_hz, 100_000, ERP_27_DBM, clause)
    }
}
