//! Every number of `vectors/regions.toml`, which was gathered from other people's tables, standards and laws,
//! against the tables of this house. A number that no line here takes must be in [`LEFT_OUT`], with a reason.

use fuotad::lorawan::FRAME_OVERHEAD;
use fuotad::radio::Dbm;
use fuotad::radio::LoRaPacket;
use fuotad::radio::Modulation;
use fuotad::radio::downlink_airtime_us;
use fuotad::radio::gfsk_airtime_us;
use fuotad::radio::lora_airtime_us;
use fuotad::region::DataRate;
use fuotad::region::Listen;
use fuotad::region::Parameters;
use fuotad::region::RegionError;
use fuotad::region::RfRegion;
use fuotad::region::SubBand;
use fuotad::region::Terms;
use fuotad::region::parameters_even_withdrawn;
use std::collections::BTreeMap;
use toml::Value;

const FACTS: &str = include_str!("../vectors/regions.toml");

/// The last part of a path, and why its numbers have no counterpart.
const LEFT_OUT: &[(&str, &str)] = &[
    ("schema", "the file's own version"),
    ("comparisons", "how the file was made"),
    ("explained_differences", "how the file was made"),
    ("sync_word", "the packet forwarder sets it (lorawan_public)"),
    ("sync_word_private", "never used"),
    ("bt", "the concentrator's own"),
    ("period_s", "no beacons are sent"),
    ("reserved_us", "no beacons are sent"),
    ("guard_us", "no beacons are sent"),
    ("fcnt_bits", "a frame's business, tested with the frames"),
    ("class_c_timeout_exp_max", "a session's business, tested with the sessions"),
    ("class_c_timeout_s_max", "a session's business, tested with the sessions"),
    ("dwell_uplink_ms", "an uplink's"),
    ("dwell_uplink_default_ms", "an uplink's"),
    ("uplink_means_other_dr", "an uplink's"),
    ("psd_dbm_per_3khz", "depends on the equipment's grant; the default power of US915 is chosen for it"),
];

/// What is left of a region's facts: path to value.
struct Facts {
    name: String,
    left: BTreeMap<String, Value>,
}

impl Facts {
    fn of(name: &str) -> Facts {
        let all: toml::Table = toml::from_str(FACTS).unwrap();
        let mut left = BTreeMap::new();
        flatten(String::new(), &all[name], &mut left);
        Facts { name: name.to_owned(), left }
    }

    fn take(&mut self, path: &str) -> Option<Value> {
        self.left.remove(path)
    }

    fn int(&mut self, path: &str) -> i64 {
        let value = self.take(path);
        value.and_then(|value| value.as_integer()).unwrap_or_else(|| panic!("{}: no {path}", self.name))
    }

    fn int_if(&mut self, path: &str) -> Option<i64> {
        self.take(path).map(|value| value.as_integer().unwrap())
    }

    fn flag(&mut self, path: &str) -> bool {
        self.take(path).is_some_and(|value| value.as_bool().unwrap())
    }

    fn text(&mut self, path: &str) -> Option<String> {
        self.take(path).map(|value| value.as_str().unwrap().to_owned())
    }

    fn dbm_if(&mut self, path: &str) -> Option<Dbm> {
        let dbm = match self.take(path)? {
            Value::Integer(whole) => whole as f64,
            value => value.as_float().unwrap(),
        };
        Some(Dbm::from_f64(dbm).unwrap())
    }

    fn list(&mut self, path: &str) -> Vec<u32> {
        let numbers = |value: Value| {
            let value = if value.is_array() { value } else { Value::Array(vec![value]) };
            let number = |value: &Value| u32::try_from(value.as_integer().unwrap()).unwrap();
            value.as_array().unwrap().iter().map(number).collect()
        };
        self.take(path).map(numbers).unwrap_or_default()
    }

    /// Fails when a number was neither taken nor left out with a reason. Texts are not numbers, and neither
    /// are flags, of which those that matter were taken.
    fn nothing_is_left(self) {
        let is_number = |value: &Value| match value {
            Value::Array(items) => items.iter().any(|item| item.is_integer() || item.is_float()),
            other => other.is_integer() || other.is_float(),
        };
        let is_left_out = |path: &str| {
            let last = path.rsplit('.').next().unwrap();
            LEFT_OUT.iter().any(|(name, _)| *name == last)
        };
        let forgotten: Vec<_> = self
            .left
            .iter()
            .filter(|(path, value)| is_number(value) && !is_left_out(path))
            .map(|(path, value)| format!("{}.{path} = {value}", self.name))
            .collect();
        assert!(forgotten.is_empty(), "{forgotten:#?}");
    }
}

/// Tables and lists of tables by path; lists of plain values stay whole.
fn flatten(path: String, value: &Value, into: &mut BTreeMap<String, Value>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Table(table) => table.iter().for_each(|(key, value)| flatten(below(key), value, into)),
        Value::Array(items) if items.iter().any(Value::is_table) => {
            for (index, item) in items.iter().enumerate() {
                flatten(below(&index.to_string()), item, into);
            }
        }
        plain => {
            into.insert(path, plain.clone());
        }
    }
}

fn every_region() -> impl Iterator<Item = (Facts, &'static Parameters)> {
    RfRegion::ALL.into_iter().map(|region| (Facts::of(region.name()), parameters_even_withdrawn(region)))
}

#[test]
fn every_number_of_the_vectors_is_in_the_tables_or_left_out_with_a_reason() {
    for (mut facts, region) in every_region() {
        compare_band(&mut facts, region);
        compare_data_rates(&mut facts, region);
        compare_windows(&mut facts, region);
        compare_sub_bands(&mut facts, region);
        facts.nothing_is_left();
    }
}

#[test]
fn the_vectors_know_no_region_that_we_do_not() {
    let all: toml::Table = toml::from_str(FACTS).unwrap();
    let mut names: Vec<&str> = all
        .iter()
        .filter(|(name, value)| value.is_table() && *name != "common")
        .map(|(name, _)| &name[..])
        .collect();
    let mut ours: Vec<&str> = RfRegion::ALL.into_iter().map(RfRegion::name).collect();
    names.sort_unstable();
    ours.sort_unstable();
    assert_eq!(names, ours);
    for (name, reason) in LEFT_OUT {
        assert!(
            FACTS.contains(&format!("\n{name} = ")) || FACTS.contains(&format!(" {name} = ")),
            "{name} is stale"
        );
        assert!(!reason.is_empty());
    }
}

#[test]
fn the_common_numbers_are_in_the_airtimes_and_frames() {
    let mut facts = Facts::of("common");
    for sf in 5..=12_u8 {
        let is_short = sf < 7;
        let key = if is_short { "preamble_symbols_sf5_sf6" } else { "preamble_symbols" };
        let packet = LoRaPacket {
            sf,
            bw_hz: 125_000,
            cr: 1,
            preamble_symbols: facts.left[&format!("lora_downlink.{key}")].as_integer().unwrap() as u16,
            explicit_header: facts.left["lora_downlink.explicit_header"].as_bool().unwrap(),
            crc: facts.left["lora_downlink.crc"].as_bool().unwrap(),
            low_data_rate: None,
            phy_len: 64,
        };
        let modulation = Modulation::LoRa { sf, bw_hz: 125_000 };
        assert_eq!(lora_airtime_us(&packet).unwrap(), downlink_airtime_us(modulation, 64));
    }
    let bit_rate_bps = facts.int("fsk_downlink.bitrate") as u32;
    let gfsk = Modulation::Gfsk { bit_rate_bps };
    let preamble_bytes = facts.int("fsk_downlink.preamble_bytes") as u16;
    let crc = facts.flag("fsk_downlink.crc");
    assert_eq!(
        gfsk_airtime_us(bit_rate_bps, preamble_bytes, 64, crc).unwrap(),
        downlink_airtime_us(gfsk, 64)
    );
    let deviation_hz = facts.int("fsk_downlink.deviation_hz") as u32;
    assert_eq!(gfsk.occupied_bandwidth_hz(), bit_rate_bps + 2 * deviation_hz);
    assert_eq!(facts.int("multicast.mac_overhead_bytes"), FRAME_OVERHEAD as i64);
    let rate = parameters_even_withdrawn(RfRegion::Eu868).data_rate(3).unwrap();
    let header = rate.max_payload(false) - rate.max_fragment_size(false);
    assert_eq!(facts.int("multicast.frag_header_bytes"), header as i64);
    let around = FRAME_OVERHEAD - (rate.max_mac_payload - rate.max_payload(false));
    assert_eq!(facts.int("multicast.phy_minus_macpayload"), around as i64);
    assert_eq!(facts.dbm_if("erp_to_eirp_db.value"), Some(Dbm::from_centi(215)));
    // The preambles of downlinks were compared above, the one of beacons is not sent.
    for path in ["lora_downlink.preamble_symbols", "lora_downlink.preamble_symbols_sf5_sf6"] {
        facts.int(path);
    }
    facts.int("class_b_beacon.preamble_symbols");
    facts.nothing_is_left();
}

fn compare_band(facts: &mut Facts, region: &Parameters) {
    assert_eq!(facts.text("rp_name").unwrap(), region.rp_name);
    let ends_hz = (facts.int("freq_min_hz") as u32, facts.int("freq_max_hz") as u32);
    let channels_hz = [facts.list("channels_hz"), facts.list("downlink_channels_hz")].concat();
    if region.region == RfRegion::Kr920 {
        // Here the vectors say centres; the band reaches half a channel further.
        assert_eq!(ends_hz, region.centres_hz);
        assert_eq!((ends_hz.0 - 100_000, ends_hz.1 + 100_000), (region.freq_min_hz, region.freq_max_hz));
    } else {
        assert_eq!(ends_hz, (region.freq_min_hz, region.freq_max_hz));
        let centres_hz = (facts.int_if("centre_min_hz"), facts.int_if("centre_max_hz"));
        let (least, greatest) = (i64::from(region.centres_hz.0), i64::from(region.centres_hz.1));
        assert_eq!(centres_hz.0.unwrap_or(i64::from(ends_hz.0)), least);
        assert_eq!(centres_hz.1.unwrap_or(i64::from(ends_hz.1)), greatest);
    }
    let raster_hz: Vec<u32> = region
        .downlink_raster
        .map(|raster| (0..raster.count).map(|n| raster.first_hz + n * raster.step_hz).collect())
        .unwrap_or_default();
    assert_eq!(channels_hz, raster_hz, "{}", region.region);
    if let Some(bandwidth_hz) = facts.int_if("channel_bw_hz") {
        let widths = region.data_rates.iter().map(|rate| rate.modulation.occupied_bandwidth_hz());
        assert!(widths.into_iter().all(|hz| i64::from(hz) == bandwidth_hz));
    }
    // The channels that every device has are no table of ours, but the law must have a place for them.
    let terms = Terms { listens_before_talk: true, ..Terms::default() };
    for frequency_hz in facts.list("default_channels_hz") {
        let answer = region.check_under(&terms, frequency_hz, 5, Dbm::from_whole(5));
        if frequency_hz == 865_062_500 {
            // The lower edge of India's first channel touches the border: not strictly inside.
            assert!(matches!(answer, Err(RegionError::OutsideSubBands { nearest_hz: 865_062_600, .. })));
        } else {
            answer.unwrap();
        }
    }
    let dwell_us = u64::try_from(facts.int("dwell_downlink_ms")).unwrap() * 1000;
    assert_eq!(region.dwell_downlink_us.unwrap_or(0), dwell_us);
    assert!(!facts.flag("dwell_downlink_default"), "a group without downlink-dwell has it off");
    if let Some(offset_hz) = facts.int_if("freq_offset_hz") {
        let first = parameters_even_withdrawn(RfRegion::As923_1).rx2.frequency_hz;
        assert_eq!(i64::from(region.rx2.frequency_hz) - i64::from(first), offset_hz);
        assert_eq!(region.region.name(), format!("AS923-{}", facts.int("group")));
    }
    if let Some(max_tx_ms) = facts.int_if("max_tx_ms") {
        assert!(region.sub_bands.iter().all(|band| band.max_tx_us == Some(max_tx_ms as u64 * 1000)));
    }
    let must_listen = region.sub_bands.iter().any(|band| !band.needs_opt_in && band.listen.is_some());
    assert_eq!(facts.flag("lbt_required"), must_listen);
    assert_eq!(facts.flag("deprecated"), region.withdrawn.is_some());
}

fn compare_data_rates(facts: &mut Facts, region: &Parameters) {
    let (mut compared, mut refused) = (0, Vec::new());
    for row in 0.. {
        let at = |key: &str| format!("phy.data_rates.{row}.{key}");
        let Some(dr) = facts.int_if(&at("dr")) else { break };
        let dr = u8::try_from(dr).unwrap();
        let modulation = match facts.text(&at("mod")).unwrap().as_str() {
            "lora" => Modulation::LoRa {
                sf: facts.int(&at("sf")) as u8,
                bw_hz: facts.int(&at("bw_khz")) as u32 * 1000,
            },
            _ => Modulation::Gfsk { bit_rate_bps: facts.int(&at("kbps")) as u32 * 1000 },
        };
        if facts.take(&at("downlink")) == Some(Value::Boolean(false)) {
            assert!(matches!(region.data_rate(dr), Err(RegionError::UplinkOnly { .. })));
            refused.push(dr);
            continue;
        }
        let rate = region.data_rate(dr).unwrap();
        assert_eq!(rate.modulation, modulation);
        assert_eq!(rate.since.map(str::to_owned), facts.text(&at("since")));
        compare_size(facts, &at, region, rate);
        compared += 1;
    }
    assert_eq!(compared, region.data_rates.len());
    for list in ["phy.uplink_only_dr", "phy.lr_fhss_uplink_only_dr"] {
        for dr in facts.list(list) {
            refused.push(u8::try_from(dr).unwrap());
            let error = region.data_rate(u8::try_from(dr).unwrap()).unwrap_err();
            let RegionError::UplinkOnly { reason, .. } = error else { panic!("{error}") };
            assert_eq!(reason.contains("LR-FHSS"), list.contains("lr_fhss"), "{} DR{dr}", region.region);
        }
    }
    refused.sort_unstable();
    let ours: Vec<u8> = region.uplink_only.iter().map(|uplink| uplink.dr).collect();
    assert_eq!(refused, ours, "{}", region.region);
}

fn compare_size(facts: &mut Facts, at: &dyn Fn(&str) -> String, region: &Parameters, rate: &DataRate) {
    let place = format!("{} DR{}", region.region, rate.dr);
    for (dwell, infix) in [(false, ""), (true, "_dwell")] {
        let Some(m) = facts.int_if(&at(&format!("m{infix}"))) else {
            // No size with dwell time: there is none in this region, or nothing fits.
            assert!(dwell);
            let fits = facts.take(&at("dwell_ok")) != Some(Value::Boolean(false));
            assert_eq!(fits, region.dwell_downlink_us.is_none(), "{place}");
            assert_eq!(rate.max_payload(true), if fits { rate.max_payload(false) } else { 0 }, "{place}");
            continue;
        };
        let n = facts.int(&at(&format!("n{infix}")));
        assert_eq!(rate.max_payload(dwell) as i64, n, "{place}");
        assert_eq!(rate.max_payload(dwell) as i64 + 8, m, "{place}");
        let ours = if dwell { rate.max_mac_payload_dwell.unwrap() } else { rate.max_mac_payload };
        assert_eq!(ours as i64, m, "{place}");
        // Behind a repeater 20 bytes of 250 are the repeater's; no size below is any smaller. Nothing here
        // sends through repeaters.
        assert_eq!(facts.int(&at(&format!("m{infix}_rep"))), m.min(230), "{place}");
        assert_eq!(facts.int(&at(&format!("n{infix}_rep"))), n.min(222), "{place}");
        let phy_len = rate.max_payload(dwell) + FRAME_OVERHEAD;
        let airtime_us = downlink_airtime_us(rate.modulation, phy_len) as i64;
        assert_eq!(facts.int(&at(&format!("toa{infix}_max_us"))), airtime_us, "{place}");
    }
}

fn compare_windows(facts: &mut Facts, region: &Parameters) {
    assert_eq!(facts.int("rx2.freq_hz"), i64::from(region.rx2.frequency_hz));
    assert_eq!(facts.int("rx2.dr"), i64::from(region.rx2.dr));
    // Of CN470's other plans only the operator knows: the remark about the region's name lists them.
    let note = RfRegion::parse_with_note(region.region.name()).unwrap().1.map(|note| note.to_string());
    for key in ["20a_otaa", "20b", "26a", "26b", "rp001"] {
        for frequency_hz in facts.list(&format!("rx2.freq_{key}_hz")) {
            let mhz = format!("{:.1}", f64::from(frequency_hz) / 1e6);
            assert!(note.as_ref().unwrap().contains(&mhz), "{key}: {mhz}");
        }
    }
    if let Some(dr) = facts.int_if("rx2.dr_rp001") {
        assert!(note.unwrap().contains(&format!("505.3 at DR{dr}")));
    }
    let class_b = &region.class_b;
    assert_eq!(facts.list("class_b.beacon_hz"), class_b.beacon_frequencies_hz);
    assert_eq!(facts.int("class_b.beacon_dr"), i64::from(class_b.beacon_dr));
    assert_eq!(facts.int("class_b.beacon_bytes"), class_b.beacon_bytes as i64);
    assert_eq!(facts.list("class_b.ping_slot_hz"), class_b.ping_slot_frequencies_hz);
    assert_eq!(facts.int("class_b.ping_slot_dr"), i64::from(class_b.ping_slot_dr));
    assert_eq!(facts.flag("class_b.hopping"), class_b.beacon_frequencies_hz.len() > 1);
}

fn compare_sub_bands(facts: &mut Facts, region: &Parameters) {
    let default = facts.dbm_if("power.default_eirp_dbm").unwrap();
    let default_p = facts.dbm_if("power.default_eirp_dbm_869_400_869_650").unwrap_or(default);
    let mut theirs = Vec::new();
    for row in 0.. {
        let at = |key: &str| format!("sub_bands.{row}.{key}");
        let Some(label) = facts.text(&at("label")) else { break };
        let ours = region
            .sub_bands
            .iter()
            .find(|band| {
                band.label == label
                    && i64::from(band.min_hz) == facts.left[&at("min_hz")].as_integer().unwrap()
            })
            .unwrap_or_else(|| panic!("{} has no {label}", region.region));
        compare_sub_band(facts, &at, ours);
        // The region's usual power, within the limit; 27 dBm in the 500 mW sub-bands of Europe.
        let usual = if ours.max_eirp == Dbm::from_centi(2915) { default_p } else { default };
        assert_eq!(ours.default_eirp, usual.min(ours.max_eirp), "{label}");
        theirs.push((label, ours.min_hz));
    }
    assert_eq!(theirs.len(), region.sub_bands.len(), "{}", region.region);
}

fn compare_sub_band(facts: &mut Facts, at: &dyn Fn(&str) -> String, ours: &SubBand) {
    let label = ours.label;
    let us = |ms: Option<i64>| ms.map(|ms| u64::try_from(ms).unwrap() * 1000);
    let hz = |value: Option<i64>| value.map(|hz| u32::try_from(hz).unwrap());
    assert_eq!(hz(facts.int_if(&at("min_hz"))), Some(ours.min_hz));
    assert_eq!(hz(facts.int_if(&at("max_hz"))), Some(ours.max_hz));
    let duty = facts.take(&at("duty")).unwrap().as_float().unwrap();
    assert_eq!((duty * 1e6).round() as u32, ours.duty_ppm, "{label}");
    assert_eq!(facts.int(&at("window_s")) as u64 * 1_000_000, ours.window_us, "{label}");
    assert_eq!(facts.dbm_if(&at("max_eirp_dbm")), Some(ours.max_eirp), "{label}");
    if let Some(max_erp) = facts.dbm_if(&at("max_erp_dbm")) {
        assert_eq!(max_erp + Dbm::from_centi(215), ours.max_eirp, "{label}");
    }
    if let Some(national) = facts.dbm_if(&at("max_erp_dbm_national")) {
        assert!(ours.max_eirp < national + Dbm::from_centi(215), "the law alone allows more than RP002");
    }
    let conducted = facts.dbm_if(&at("max_conducted_dbm"));
    assert_eq!(conducted, ours.max_conducted, "{label}");
    if let Some(gain) = facts.dbm_if(&at("max_antenna_dbi")) {
        assert_eq!(conducted.unwrap() + gain, ours.max_eirp, "{label}");
    }
    if let Some(limit_mw) = facts.int_if(&at("psd_mw_per_mhz")) {
        // The limit of power, all in the narrowest channel we have, is below it: it needs no table.
        let max_mw = 10_f64.powf(f64::from((ours.max_eirp - Dbm::from_centi(215)).centi()) / 1000.0);
        assert!(max_mw / 0.1 < limit_mw as f64, "{label}");
    }
    assert_eq!(us(facts.int_if(&at("max_tx_ms"))), ours.max_tx_us, "{label}");
    assert_eq!(us(facts.int_if(&at("min_pause_ms"))).unwrap_or(0), ours.min_pause_us, "{label}");
    assert_eq!(hz(facts.int_if(&at("max_obw_hz"))), ours.max_bandwidth_hz, "{label}");
    let listen = facts.flag(&at("lbt")).then(|| Listen {
        threshold: facts.dbm_if(&at("lbt_threshold_dbm")).unwrap(),
        sense_us: facts.int(&at("lbt_sense_us")) as u64,
        bandwidth_hz: hz(facts.int_if(&at("lbt_bw_hz"))),
    });
    assert_eq!(listen, ours.listen, "{label}");
    assert_eq!(facts.flag(&at("default")), !ours.needs_opt_in, "{label}");
}
