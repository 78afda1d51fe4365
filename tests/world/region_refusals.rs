//! What an operator and a task are refused in the thirteen regions, each with the number, the clause and the
//! key that leads out; and one small campaign in each.

use fuotad::config::Config;
use fuotad::config::Scenario;
use fuotad::engine::Settings;
use fuotad::lorawan::Secret;
use fuotad::plan::Timetable;
use fuotad::radio::Dbm;
use fuotad::region::RfRegion;
use fuotad::sim::World;
use std::collections::BTreeMap;
use std::path::Path;

/// A configuration with one group: what stands in `[gateway]`, `[radio]` and `[[group]]` beside the needful.
fn settings(gateway: &str, radio: &str, group: &str) -> Result<Settings, String> {
    let text = format!(
        "[gateway]\n{gateway}\n[radio]\n{radio}\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\n\
         mc-key-file = \"meters.mckey\"\nfirst-fcnt = 2\nsession = \"always\"\nrx-is-elsewhere = true\n{group}\n"
    );
    let config = Config::from_text(&text, &BTreeMap::new()).map_err(|error| error.to_string())?;
    config.engine(&mut |_| Ok(Secret::from_bytes([1; 16]))).map_err(|error| error.to_string())
}

fn refusal(gateway: &str, radio: &str, group: &str) -> String {
    settings(gateway, radio, group).err().unwrap()
}

fn region(name: &str) -> String {
    format!("region = \"{name}\"")
}

/// The plan of a 2000-byte image with what stands in the task beside the needful.
fn plan(settings: &Settings, task: &str) -> Result<Timetable, String> {
    let region = settings.region.region;
    let document = format!(
        r#"{{"FirmwareUpdateImage":"file:///image.bin","RedundancyPercent":10,"Fuotad":{{"Start":"at-once"}},{task}"LoRaWAN":{{"RfRegion":"{region}"}}}}"#
    );
    Timetable::new(settings, &document, "task", vec![7; 2000])
}

#[test]
fn a_withdrawn_region_needs_an_operator_who_insists() {
    let message = refusal(&region("CN779"), "", "");
    assert_eq!(
        message,
        "gateway.region: region CN779 is withdrawn: no production, import or installation after 2021-01-01 \
         (RP002-1.0.3, CN779-787), and 698-787 MHz ended for such devices on 2022-01-01 (MIIT notice 52 of 2019); \
         gateway.withdrawn-region = true insists"
    );
    let insists = "region = \"CN779\"\nwithdrawn-region = true";
    assert_eq!(settings(insists, "", "").unwrap().region.region, RfRegion::Cn779);
}

#[test]
fn every_region_in_force_has_defaults_that_its_law_allows() {
    for name in RfRegion::ALL.into_iter().filter(|region| *region != RfRegion::Cn779) {
        let listens = if name == RfRegion::Kr920 { "listen-before-talk = true" } else { "" };
        let settings = settings(&region(name.name()), listens, "").unwrap();
        let (group, rx2) = (&settings.groups[0], settings.region.rx2);
        assert_eq!((group.frequency_hz, group.data_rate), (rx2.frequency_hz, rx2.dr), "{name}");
    }
}

#[test]
fn a_forwarder_that_cannot_listen_is_refused_where_the_law_wants_it() {
    let message = refusal(&region("KR920"), "", "");
    assert!(
        message.starts_with(
            "group meters.sub-band: sub-band KR-LBT of KR920 may be used only by a transmitter that finds the \
             channel below -65 dBm for 5000 us"
        ),
        "{message}"
    );
    assert!(message.ends_with("set radio.listen-before-talk = true"), "{message}");
    settings(&region("KR920"), "listen-before-talk = true", "").unwrap();
    settings(&region("KR920"), "", "sub-band = \"KR-duty\"").unwrap();
    let message = refusal(&region("AS923-1"), "data-rate = 5", "sub-band = \"JP-128us\"");
    assert!(message.contains("below -80 dBm for 128 us before it sends (ARIB STD-T108"), "{message}");
    settings(&region("AS923-1"), "listen-before-talk = true", "sub-band = \"JP-5ms\"").unwrap();
}

#[test]
fn a_sub_band_that_needs_an_exemption_is_used_only_by_name() {
    let eirp =
        |radio: &str, group: &str| settings(&region("AS923-1"), radio, group).map(|s| s.groups[0].eirp);
    assert_eq!(eirp("", ""), Ok(Dbm::from_whole(13)));
    let message = eirp("eirp-dbm = 20", "").unwrap_err();
    assert!(message.contains("sub-band conservative allows 16 dBm EIRP (RP002-1.0.5 3.10"), "{message}");
    assert_eq!(eirp("eirp-dbm = 20", "sub-band = \"AU-NZ\""), Ok(Dbm::from_whole(20)));
    // The group's word is nearer than the radio's.
    assert_eq!(eirp("sub-band = \"SG\"\neirp-dbm = 30", "sub-band = \"AU-NZ\""), Ok(Dbm::from_whole(30)));
    let message = eirp("sub-band = \"SG\"\neirp-dbm = 30", "").unwrap_err();
    assert!(message.starts_with("radio.eirp-dbm: ") && message.contains("SG allows 16 dBm"), "{message}");
    assert_eq!(
        eirp("", "sub-band = \"JP\"").unwrap_err(),
        "group meters.sub-band: AS923-1 has no sub-band `JP`; there are AU-NZ, JP-128us, JP-250mW, JP-5ms, SG, UZ, \
         conservative"
    );
    let message = refusal(&region("EU868"), "", "sub-band = \"NAP\"");
    assert!(message.starts_with("group meters.frequency-hz: 869525000 Hz"), "{message}");
    assert!(message.contains("the nearest legal centre is 867537400 Hz in NAP"), "{message}");
}

#[test]
fn an_operator_may_only_tighten_the_power() {
    let eirp = |radio: &str| settings(&region("EU868"), radio, "").map(|s| s.groups[0].eirp);
    assert_eq!(eirp(""), Ok(Dbm::from_whole(27)));
    assert_eq!(eirp("max-eirp-dbm = 20"), Ok(Dbm::from_whole(20)));
    assert_eq!(eirp("max-eirp-dbm = 33"), Ok(Dbm::from_whole(27)));
    assert_eq!(eirp("max-eirp-dbm = 20\neirp-dbm = 20"), Ok(Dbm::from_whole(20)));
    assert_eq!(
        eirp("max-eirp-dbm = 20\neirp-dbm = 20.01"),
        Err("radio.eirp-dbm: 20.01 dBm EIRP is over your own limit of radio.max-eirp-dbm = 20".to_owned())
    );
    let message = eirp("max-eirp-dbm = 33\neirp-dbm = 30").unwrap_err();
    assert!(message.contains("sub-band P allows 29.15 dBm EIRP (EN 300 220-2 V3.2.1, band P)"), "{message}");
    let message = refusal(&region("IN865"), "eirp-dbm = 29\nantenna-gain-dbi = -2", "");
    assert!(
        message.contains("31 dBm conducted: sub-band IN allows 30 dBm conducted (G.S.R. 168(E)"),
        "{message}"
    );
}

#[test]
fn data_rates_that_are_no_downlinks_are_refused_under_their_key() {
    for (name, dr, reason) in [
        ("AU915", 7, "LR-FHSS, which devices only send"),
        ("AU915", 2, "a 125 kHz rate of the uplink channels"),
        ("EU868", 9, "LR-FHSS, which devices only send"),
        ("CN470", 0, "SF12 cannot keep below the 1 s"),
        ("CN470", 6, "sub-band CN allows 200000 Hz (MIIT notice 52"),
        ("IN865", 6, "IN865 has no DR6"),
        ("RU864", 8, "RU864 has no DR8"),
    ] {
        let message = refusal(&region(name), &format!("data-rate = {dr}"), "");
        assert!(message.starts_with("radio.data-rate: ") && message.contains(reason), "{message}");
    }
}

#[test]
fn dwell_time_is_refused_where_devices_have_none() {
    assert_eq!(
        refusal(&region("EU868"), "", "downlink-dwell = true"),
        "group meters.downlink-dwell: it is true, but downlinks of EU868 have no dwell time: leave it out"
    );
    settings(&region("EU868"), "", "downlink-dwell = false").unwrap();
    settings(&region("AS923-4"), "", "downlink-dwell = true").unwrap();
}

#[test]
fn fragments_that_last_too_long_are_refused_when_planned_with_the_largest_that_does_not() {
    let dr3 = |group: &str| settings(&region("AS923-2"), "data-rate = 3\nduty-share = 1.0", group).unwrap();
    let size = |settings: &Settings| plan(settings, "").unwrap().planned.frag_size;
    assert_eq!(
        plan(&dr3(""), r#""FragmentSizeBytes":53,"#).unwrap_err(),
        "FragmentSizeBytes 53 is too large for DR3: at most 52 fit a downlink of 55 bytes, because one transmission \
         may last 400000 us in sub-band conservative (RP002-1.0.5 3.10: 1 %, 400 ms, 16 dBm EIRP)"
    );
    assert_eq!(size(&dr3("")), 48);
    plan(&dr3(""), r#""FragmentSizeBytes":52,"#).unwrap();
    let dwell = dr3("downlink-dwell = true");
    assert_eq!(
        plan(&dwell, r#""FragmentSizeBytes":52,"#).unwrap_err(),
        "FragmentSizeBytes 52 is too large for DR3: at most 50 fit a downlink of 53 bytes, because DownlinkDwellTime \
         is on: 400000 us (AS923)"
    );
    plan(&dwell, r#""FragmentSizeBytes":50,"#).unwrap();
    let dr0 = settings(&region("AS923-2"), "data-rate = 0", "").unwrap();
    let message = plan(&dr0, "").unwrap_err();
    assert!(message.starts_with("AS923-2 DR0 carries no fragment in the 400000 us"), "{message}");
    assert!(message.ends_with("these do: DR 2, 3, 4, 5, 6, 7, 12, 13"), "{message}");
}

#[test]
fn the_duty_cycle_of_twenty_seconds_leaves_one_frame_in_each() {
    let radio = "data-rate = 5\nsub-band = \"KR-duty\"\nmax-deaf = 1.0\nduty-share = 1.0";
    let whole_share = settings(&region("KR920"), radio, "device-profile = \"fast\"").unwrap();
    let default_share = settings(&region("KR920"), "data-rate = 5\nsub-band = \"KR-duty\"", "").unwrap();
    let timetable = plan(&whole_share, r#""FragmentSizeBytes":232,"#).unwrap();
    // 50 ms for the errors of two starts.
    assert_eq!(timetable.planned.spacing_us, 20_050_000);
    // Two fifths of the 400 ms are less than one frame.
    let message = plan(&default_share, r#""FragmentSizeBytes":232,"#).unwrap_err();
    assert!(message.contains("is over our share of 160000 us"), "{message}");
}

#[test]
fn a_campaign_in_every_region_completes_and_the_referee_is_content() {
    for region in RfRegion::ALL {
        let name = format!("config/scenarios/region-{}.toml", region.name().to_lowercase());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
        let scenario = Scenario::from_text(&std::fs::read_to_string(path).unwrap()).unwrap();
        let script = scenario.script(None, None).unwrap();
        assert_eq!(script.region.region, region, "{name}");
        let mut world = World::new(script);
        while world.step() {}
        let summary = world.summary();
        assert_eq!(summary.refusal(), None, "{name}");
        assert!(summary.verdict.is_content(), "{name}: {:?}", summary.verdict.breaches);
        assert_eq!(summary.complete(), 5, "{name}");
    }
}
