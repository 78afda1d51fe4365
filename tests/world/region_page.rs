//! The page of the regions, which is made of the tables: `FUOTAD_WRITE_PAGES=1` writes it anew.

use fuotad::region::Listen;
use fuotad::region::Parameters;
use fuotad::region::RfRegion;
use fuotad::region::SubBand;
use fuotad::region::parameters_even_withdrawn;
use std::fmt::Write;

const PAGE: &str = "docs/regions.md";
const HEAD: &str = "# Regions and their law

This page is made of the tables in `src/region` (`tests/world/region_page.rs` compares them), which are what every frame is checked against: those of campaigns, and downlinks of network servers. Whoever configures narrows these limits, and never widens them.

- Duty cycles count in **every** window that slides, not in those of a clock, and all that the transmitter sends counts, the network servers' frames included. `server-reserve` is kept for them, `duty-share` is what campaigns may take.
- EIRP is what leaves the antenna: ERP of a law and 2.15 dB.
- *Opt-in* rows overlap another row, or are for some equipment or some countries only: a configuration that does not name them (`sub-band` of a `[[group]]` or `[radio]`) never uses them.
- No page makes a transmitter lawful: the equipment's own conformity, and what a country adds to its region, are the operator's to know.
";

fn mhz(hz: u32) -> String {
    let text = format!("{:.4}", f64::from(hz) / 1e6);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn seconds(us: u64) -> String {
    let text = format!("{:.3}", us as f64 / 1e6);
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

fn duty(band: &SubBand) -> String {
    if band.duty_ppm == 1_000_000 {
        return "none".to_owned();
    }
    let window = if band.window_us == 3_600_000_000 {
        String::new()
    } else {
        format!(" of {}", seconds(band.window_us))
    };
    format!("{} %{window}", f64::from(band.duty_ppm) / 1e4)
}

/// What is asked of a single transmission beside its power.
fn more(band: &SubBand) -> String {
    let listen = |listen: Listen| format!("listen {} below {}", seconds(listen.sense_us), listen.threshold);
    let parts = [
        band.max_tx_us.map(|us| format!("at most {}", seconds(us))),
        (band.min_pause_us > 0).then(|| format!("pause of {}", seconds(band.min_pause_us))),
        band.max_conducted.map(|most| format!("{most} into the antenna")),
        band.max_bandwidth_hz.map(|hz| format!("{} kHz wide at most", hz / 1000)),
        band.listen.map(listen),
        band.needs_opt_in.then(|| "*opt-in*".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn region(page: &mut String, region: &Parameters) {
    let _ = writeln!(page, "\n## {}\n", region.region);
    if let Some(why) = region.withdrawn {
        let _ = writeln!(page, "Withdrawn: {why}\n");
    }
    let rx2 = region.rx2;
    let _ = write!(
        page,
        "{} of RP002. RX2 and Class C: {} MHz, DR{}. Downlink data rates: ",
        region.rp_name,
        mhz(rx2.frequency_hz),
        rx2.dr
    );
    let rates: Vec<String> = region.data_rates.iter().map(|rate| format!("DR{}", rate.dr)).collect();
    let dwell = region.dwell_downlink_us.map_or(String::new(), |us| {
        format!(" With DownlinkDwellTime a downlink takes {} at most.", seconds(us))
    });
    let _ = writeln!(page, "{}.{dwell}\n", rates.join(", "));
    let _ =
        writeln!(page, "| sub-band | MHz | duty cycle | EIRP | more | clause |\n|---|---|---|---|---|---|");
    for band in region.sub_bands {
        let _ = writeln!(
            page,
            "| {} | {} to {} | {} | {} | {} | {} |",
            band.label,
            mhz(band.min_hz),
            mhz(band.max_hz),
            duty(band),
            band.max_eirp,
            more(band),
            band.clause
        );
    }
}

#[test]
fn the_page_of_the_regions_says_what_the_tables_say() {
    let mut page = HEAD.to_owned();
    for name in RfRegion::ALL {
        region(&mut page, parameters_even_withdrawn(name));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("FUOTAD_WRITE_PAGES").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let first = page.lines().zip(there.lines()).find(|(made, found)| made != found);
    assert!(
        page == there,
        "{PAGE} is not what the tables say ({first:?}): FUOTAD_WRITE_PAGES=1 cargo test region_page"
    );
}
