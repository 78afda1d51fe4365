//! The preflight: before a campaign is armed its frames are made, opened as a device opens them, and decoded
//! with losses by the project's own decoder; what comes out must be the image. It works a few frames at a time,
//! because the same thread relays the gateway's traffic.

use super::frames::Frames;
use super::group::Group;
use super::plan::Plan;
use super::sequence::Position;
use crate::fragment::DataFragment;
use crate::fragment::Decoder;
use crate::fragment::Layout;
use crate::fragment::Progress;
use crate::image::Image;
use crate::lorawan::open_multicast;
use crate::report::Decoded;

/// Of larger images the preflight decodes only some bytes of every fragment, so many in all. The code works on each
/// byte position alike, so a wrong line or number shows in any of them.
const BYTES_MAX: usize = 256 * 1024;
/// The most fragments it loses: the decoder's memory grows with their square.
const LOST_MAX: u32 = 256;
/// Frames made in one step: about a millisecond's work.
const FRAMES_A_STEP: usize = 8;

/// The decoding of one plan, on its way.
pub struct Preflight {
    frames: Frames,
    decoder: Decoder,
    /// The bytes of each fragment that are decoded.
    from: usize,
    width: usize,
    /// How many uncoded fragments it loses, evenly spread.
    lost: u32,
    next_frame: u32,
    made: u32,
    coded_heard: u32,
}

impl Preflight {
    /// A device that hears `plan` and loses three quarters of what the coded fragments could mend.
    pub fn new(plan: &Plan) -> Preflight {
        let (nb_frag, frag_size) = (plan.layout.nb_frag(), plan.layout.frag_size());
        let width = (BYTES_MAX / usize::from(nb_frag)).clamp(1, frag_size);
        // Which bytes they are follows from the plan, so that not every campaign looks at the same ones.
        let from = usize::from(plan.hash[0]) % (frag_size - width + 1);
        let lost = (u32::from(plan.coded) * 3 / 4).min(LOST_MAX).min(u32::from(nb_frag) - 1);
        let rows = Layout::new(usize::from(nb_frag) * width, width);
        let rows = rows.expect("as many fragments as the plan's layout, none of them larger");
        Preflight {
            frames: Frames::new(plan),
            decoder: Decoder::new(rows, plan.ts004_version, nb_frag),
            from,
            width,
            lost,
            next_frame: 0,
            made: 0,
            coded_heard: 0,
        }
    }

    /// Some more frames; the verdict after the last.
    ///
    /// # Errors
    /// One line: a frame that cannot be made, does not open, or is not what the plan says; an image that comes out
    /// wrong. Nothing of such a plan may be sent.
    pub fn step(&mut self, plan: &Plan, group: &Group, image: &Image) -> Result<Option<Decoded>, String> {
        for _ in 0..FRAMES_A_STEP {
            let position = plan.sequence().position(self.next_frame);
            let enough = match self.decoder.progress() {
                Progress::Complete => plan.coded,
                // Luck may want a few more than the task orders.
                _ => plan.coded + plan.top_up,
            };
            match position {
                Position::Coded(r) if r > enough => return self.verdict(plan, image).map(Some),
                Position::Repeat(repeat) if repeat > plan.repeats => {}
                Position::Control => {}
                position => self.hear(plan, group, image, position)?,
            }
            self.next_frame += 1;
        }
        Ok(None)
    }

    fn hear(&mut self, plan: &Plan, group: &Group, image: &Image, position: Position) -> Result<(), String> {
        let frame_no = self.next_frame;
        let wrong = |error: &dyn core::fmt::Display| {
            format!(
                "frame {frame_no} does not open as devices open it ({error}): this must not happen, please report it"
            )
        };
        let frame = self.frames.frame(plan, group, image.bytes(), frame_no, position)?;
        self.made += 1;
        let opened = open_multicast(&group.keys, plan.mc_addr, plan.base + frame_no, &frame);
        let opened = opened.map_err(|error| wrong(&error))?;
        let fragment = DataFragment::parse(&opened.payload).map_err(|error| wrong(&error))?;
        let nb_frag = plan.layout.nb_frag();
        let n = position.fragment(nb_frag);
        if (fragment.n, opened.fport, fragment.data.len()) != (n, plan.fport, plan.layout.frag_size()) {
            return Err(wrong(&format_args!("it carries fragment {} on port {}", fragment.n, opened.fport)));
        }
        let is_uncoded = n <= nb_frag;
        if is_uncoded && !self.is_of_image(plan, image, n, 0, fragment.data) {
            return Err(wrong(&format_args!("fragment {n} is not the image's")));
        }
        if !(is_uncoded && self.is_lost(n, nb_frag)) {
            self.coded_heard += u32::from(!is_uncoded && self.decoder.image().is_none());
            let heard = self.decoder.receive(n, &fragment.data[self.from..][..self.width]);
            heard.map_err(|error| wrong(&error))?;
        }
        Ok(())
    }

    fn verdict(&self, plan: &Plan, image: &Image) -> Result<Decoded, String> {
        if let Some(rows) = self.decoder.image() {
            let mut rows = (1..).zip(rows.chunks(self.width));
            if let Some((n, _)) = rows.find(|(n, row)| !self.is_of_image(plan, image, *n, self.from, row)) {
                return Err(format!(
                    "decoding the frames gives another fragment {n} than the image has: this must not happen, please report it"
                ));
            }
        }
        let frag_size = plan.layout.frag_size();
        Ok(Decoded {
            frames: self.made,
            lost: self.lost,
            coded_heard: self.coded_heard,
            is_complete: self.decoder.image().is_some(),
            sampled: (self.width < frag_size).then_some((self.width, frag_size)),
        })
    }

    /// Whether `bytes` are those of uncoded fragment `n` from its byte `from` on, zeros after the image's end.
    fn is_of_image(&self, plan: &Plan, image: &Image, n: u16, from: usize, bytes: &[u8]) -> bool {
        let at = usize::from(n - 1) * plan.layout.frag_size() + from;
        let rest = image.bytes().get(at..).unwrap_or_default();
        let (of_image, after) = bytes.split_at(bytes.len().min(rest.len()));
        of_image == &rest[..of_image.len()] && after.iter().all(|byte| *byte == 0)
    }

    /// Every (M / lost)-th one.
    fn is_lost(&self, n: u16, nb_frag: u16) -> bool {
        let before = |n: u32| n * self.lost / u32::from(nb_frag);
        before(u32::from(n)) > before(u32::from(n) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::task_from_file;
    use crate::fragment::Ts004Version;
    use crate::image::Digest;
    use crate::region::RfRegion;
    use crate::region::parameters;
    use crate::schedule::Scheduler;

    fn group() -> Group {
        Group { ts004_version: Ts004Version::V2, ..Group::example() }
    }

    fn image(first: u8) -> Image {
        let bytes: Vec<u8> = (0..1003_u32).map(|i| (i * 31 % 251) as u8 ^ first).collect();
        Image::verify(bytes.clone(), Digest::of(&bytes)).unwrap()
    }

    fn plan(image: &Image) -> Plan {
        let task = br#"{"FirmwareUpdateImage":"file:///i","RedundancyPercent":50,"FragmentSizeBytes":10}"#;
        let task = task_from_file(task, "task").unwrap();
        let region = parameters(RfRegion::Eu868).unwrap();
        Plan::new(&task, &group(), image, region, &Scheduler::new(region.sub_bands, 0), 2).unwrap()
    }

    /// The verdict when the image is another one from frame `from` on.
    fn verdict(from: u32) -> Result<Decoded, String> {
        let (image, other) = (image(0), image(1));
        let plan = plan(&image);
        let mut preflight = Preflight::new(&plan);
        loop {
            let now = if preflight.next_frame < from { &image } else { &other };
            if let Some(decoded) = preflight.step(&plan, &group(), now)? {
                return Ok(decoded);
            }
        }
    }

    #[test]
    fn what_comes_out_must_be_the_image_with_its_padding() {
        let decoded = verdict(u32::MAX).unwrap();
        // 101 uncoded, 51 coded and a repeat.
        assert_eq!((decoded.frames, decoded.lost, decoded.is_complete), (153, 38, true));
    }

    #[test]
    fn frames_of_which_another_image_comes_out_are_refused() {
        let reason = verdict(40).unwrap_err();
        assert!(reason.contains("another fragment 1 than the image has"), "{reason}");
        // Coded fragments of another image mend the losses wrongly.
        assert!(verdict(101).is_err());
    }

    #[test]
    fn a_code_too_small_to_lose_anything_is_opened_all_the_same() {
        let bytes = vec![5; 7];
        let image = Image::verify(bytes.clone(), Digest::of(&bytes)).unwrap();
        let plan = plan(&image);
        let mut preflight = Preflight::new(&plan);
        let decoded = (0..100).find_map(|_| preflight.step(&plan, &group(), &image).unwrap()).unwrap();
        assert_eq!((decoded.lost, decoded.is_complete), (0, true));
    }
}
