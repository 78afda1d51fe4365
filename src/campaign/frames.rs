//! The bytes of a campaign's frames: a pure function of the plan, the group's keys,
//! the image and the frame's number.

use super::group::Group;
use super::plan::Plan;
use super::sequence::Position;
use crate::answers::Whom;
use crate::fragment::DataFragment;
use crate::fragment::Encoder;
use crate::lorawan::PackageVersion;
use crate::lorawan::multicast_frame;
use crate::lorawan::ts004::Request;
use core::ops::Range;

/// All known decoders hold one fragmentation session; its index is 0.
const FRAG_INDEX: u8 = 0;

/// PHYPayload of FragSessionStatusReq to all canaries of a group, with a counter of those below the plan's first.
///
/// # Errors
/// One line: the counter is none of these, or something does not fit.
pub fn question_frame(plan: &Plan, group: &Group, fcnt: u32) -> Result<Vec<u8>, String> {
    if !plan.canary_fcnts().contains(&fcnt) {
        let Range { start, end } = plan.canary_fcnts();
        return Err(format!("frame counter {fcnt} is none of {start}..{end}, which canaries are asked with"));
    }
    let mut payload = Vec::new();
    write_question(true, &mut payload)?;
    multicast_frame(&group.keys, plan.mc_addr, fcnt, plan.fport, &payload).map_err(|error| error.to_string())
}

/// Its bytes are the same in both versions.
fn write_question(participants: bool, payload: &mut Vec<u8>) -> Result<(), String> {
    let question = Request::FragSessionStatus { frag_index: FRAG_INDEX, participants };
    question.write(PackageVersion::V1, payload).map_err(|error| error.to_string())
}

/// Makes frames, one after the other, in the same memory.
pub struct Frames {
    encoder: Encoder,
    fragment: Vec<u8>,
    payload: Vec<u8>,
}

impl Frames {
    /// For the frames of `plan`.
    pub fn new(plan: &Plan) -> Self {
        Frames {
            encoder: Encoder::new(plan.layout, plan.ts004_version),
            fragment: vec![0; plan.layout.frag_size()],
            payload: Vec::with_capacity(plan.layout.frag_size() + DataFragment::HEADER_LEN),
        }
    }

    /// PHYPayload of frame number `frame_no` at `position`.
    ///
    /// # Errors
    /// One line: the counter is beyond the reserved range, or something does not fit.
    pub fn frame(
        &mut self,
        plan: &Plan,
        group: &Group,
        image: &[u8],
        frame_no: u32,
        position: Position,
    ) -> Result<Vec<u8>, String> {
        let fcnt = plan.base + frame_no;
        if fcnt >= plan.end {
            return Err(format!(
                "frame counter {fcnt} is beyond the reserved range that ends at {}",
                plan.end
            ));
        }
        self.payload.clear();
        if position == Position::Control {
            let participants = plan.sequence().whom(frame_no) == Whom::All;
            write_question(participants, &mut self.payload)?;
        } else {
            let n = position.fragment(plan.layout.nb_frag());
            self.encoder.fragment(image, n, &mut self.fragment).map_err(|error| error.to_string())?;
            DataFragment { frag_index: FRAG_INDEX, n, data: &self.fragment }.write(&mut self.payload);
        }
        multicast_frame(&group.keys, plan.mc_addr, fcnt, plan.fport, &self.payload)
            .map_err(|error| error.to_string())
    }
}
