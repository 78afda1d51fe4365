//! The same campaign as others send it: their beats and their session lengths, as documented or measured, on the same
//! channel with the same number of frames, judged by the referee.

use super::hearing::Heard;
use super::timetable::Timetable;
use crate::campaign::Group;
use crate::engine::Settings;
use crate::radio::downlink_airtime_us;
use crate::sim::SentFrame;
use crate::sim::concentrator::Transmission;
use crate::sim::referee::Referee;
use crate::time::Instant;

const SECOND_US: u64 = 1_000_000;
/// ChirpStack 4.20 enqueues a multicast frame each `multicast_class_c_margin`, 5 s by default; its scheduler adds 20 ms.
const CHIRPSTACK_US: u64 = 5_020_000;
/// MultiTech's guide for Dots: 1.5 s between fragments, 3 s between coded ones.
const MULTITECH_US: (u64, u64) = (1_500_000, 3_000_000);
/// Basics Station, which gateways of AWS run, closes a sub-band of the tenth for ten times a frame's airtime.
const STATION_DUTY: u64 = 10;
/// SessionTimeOut is four bits (TS005-1.0.0 3.5).
const LONGEST_S: u64 = 1 << 15;

/// A campaign by somebody's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Whose policy it is.
    pub name: &'static str,
    /// Frames on the air.
    pub frames: u32,
    /// The sum of all session lengths, seconds; `None` where no sessions are told.
    pub sessions_s: Option<u64>,
    /// From the first frame's start to the last one's end, microseconds.
    pub duration_us: u64,
    /// What the image costs a device's battery, microampere hours.
    pub image_uah: u64,
    /// What the gateway hears meanwhile.
    pub heard: Heard,
    /// Frames over the law, by the referee.
    pub breaches: u64,
}

/// How others send: a name, the distances after uncoded and coded frames, and the length of their one session.
struct Policy {
    name: &'static str,
    spacing_us: (u64, u64),
    session_s: u64,
}

/// Our timetable first, then the policies of others.
pub fn compare(settings: &Settings, group: &Group, timetable: &Timetable, image_len: usize) -> Vec<Compared> {
    let planned = &timetable.planned;
    let ours = Compared {
        name: "fuotad",
        frames: timetable.frames,
        sessions_s: (!planned.sessions.is_empty())
            .then(|| planned.sessions.iter().map(|(_, exponent)| 1 << exponent).sum()),
        duration_us: timetable.end.us_since(timetable.begin),
        image_uah: planned.image_uah,
        heard: timetable.heard.clone(),
        breaches: 0,
    };
    let (uncoded, coded) = (u64::from(planned.nb_frag), u64::from(planned.ordered()));
    let policies = policies(uncoded, coded, planned.airtime_us);
    let others = policies.into_iter().map(|policy| {
        let start_us = |frame: u64| {
            let first = frame.min(uncoded);
            first * policy.spacing_us.0 + (frame - first) * policy.spacing_us.1
        };
        let frames: Vec<SentFrame> = (0..uncoded + coded)
            .map(|frame| SentFrame {
                frame_no: frame as u32,
                fcnt: 2 + frame as u32,
                start: Instant::ZERO.plus_us(start_us(frame)),
            })
            .collect();
        let last_us = start_us((uncoded + coded).saturating_sub(1));
        Compared {
            name: policy.name,
            frames: frames.len() as u32,
            sessions_s: Some(policy.session_s),
            duration_us: last_us + planned.airtime_us,
            image_uah: group.power.image_uah(policy.session_s * SECOND_US, image_len),
            heard: Heard::beside(&frames, planned.airtime_us, &settings.region.usual_uplinks()),
            breaches: breaches(settings, group, &frames, usize::from(planned.frag_size)),
        }
    });
    std::iter::once(ours).chain(others).collect()
}

fn policies(uncoded: u64, coded: u64, airtime_us: u64) -> [Policy; 3] {
    let session = |us: u64| us.div_ceil(SECOND_US).next_power_of_two().min(LONGEST_S);
    let frames = uncoded + coded;
    let aws_us = (airtime_us * STATION_DUTY).div_ceil(SECOND_US) * SECOND_US;
    let multitech_us = uncoded * MULTITECH_US.0 + coded * MULTITECH_US.1;
    [
        // Its time-out is the next power of two of 5 s for each frame and one more.
        Policy {
            name: "ChirpStack",
            spacing_us: (CHIRPSTACK_US, CHIRPSTACK_US),
            session_s: session(5 * SECOND_US * (frames + 1)),
        },
        Policy { name: "AWS", spacing_us: (aws_us, aws_us), session_s: session(frames * aws_us) },
        Policy { name: "MultiTech", spacing_us: MULTITECH_US, session_s: session(multitech_us) },
    ]
}

/// How many of these frames the referee would not let pass.
fn breaches(settings: &Settings, group: &Group, frames: &[SentFrame], frag_size: usize) -> u64 {
    let Ok(rate) = settings.region.data_rate(group.data_rate) else { return 0 };
    let mut referee = Referee::new(settings.region);
    let mc_addr = group.mc_addr.as_u32();
    referee.always(mc_addr);
    referee.terms(mc_addr, group.terms.sub_band.as_deref(), group.terms.downlink_dwell);
    for frame in frames {
        // A header that counts up, and as many bytes as a fragment has.
        let mut phy_payload = vec![0x60];
        phy_payload.extend(mc_addr.to_le_bytes());
        phy_payload.extend([0, frame.fcnt as u8, (frame.fcnt >> 8) as u8, group.fport]);
        phy_payload.resize(frag_size + 16, 0);
        referee.on_air(&Transmission {
            start: frame.start,
            airtime_us: downlink_airtime_us(rate.modulation, phy_payload.len()),
            frequency_hz: group.frequency_hz,
            modulation: rate.modulation,
            eirp: group.eirp,
            phy_payload,
            inverted_iq: true,
            crc: false,
            preamble_symbols: 8,
        });
    }
    referee.verdict(&[]).breach_count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A running ChirpStack 4.20 with 10240 B at US915 DR13: 59 frames, 5.02 s apart, and 717 s from the order to the last
    /// frame, of which 426 s were the set-up of four devices.
    #[test]
    fn the_beat_of_chirpstack_is_that_of_its_trace() {
        let [chirpstack, ..] = policies(47, 12, 96_000);
        let sending_us = 58 * chirpstack.spacing_us.0;
        assert!((717_000_000 - 426_000_000u64).abs_diff(sending_us) < 1_000_000, "{sending_us}");
        assert_eq!(chirpstack.session_s, 512);
    }

    #[test]
    fn a_frame_of_aws_waits_until_the_station_opens_the_sub_band_and_to_the_next_second() {
        let [_, aws, multitech] = policies(100, 30, 384_000);
        assert_eq!((aws.spacing_us, aws.session_s), ((4_000_000, 4_000_000), 1024));
        assert_eq!(multitech.session_s, 256);
    }
}
