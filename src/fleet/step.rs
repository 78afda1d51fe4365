//! The commands of a dialogue, in their order.

use core::fmt;

/// One command to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// PackageVersionReq of TS004 alone: it decides the bytes of FragSessionSetupReq.
    FragVersion,
    /// McGroupSetupReq, behind PackageVersionReq of TS005: its bytes are the same in both versions.
    McGroup,
    /// FragSessionSetupReq, in the bytes of the device's version; behind PackageVersionReq while that is not known.
    FragSession,
    /// ForceDeviceResyncReq of TS003, answered by AppTimeReq, which tells the device's clock.
    ClockCheck,
    /// AppTimeAns: sets the device's clock; no answer follows.
    SetClock,
    /// McClassCSessionReq for the next session.
    McSession,
    /// FragSessionStatusReq to the device alone, after a campaign.
    Status,
    /// FragDataBlockReceivedAns of TS004-2.0.0; no answer follows.
    BlockAns,
    /// McGroupDeleteReq: a device that holds the image need not listen to the end of its session.
    McDelete,
}

impl Step {
    /// Every step, in the order of the dialogue.
    pub const ALL: [Step; 9] = [
        Step::FragVersion,
        Step::McGroup,
        Step::FragSession,
        Step::ClockCheck,
        Step::SetClock,
        Step::McSession,
        Step::Status,
        Step::BlockAns,
        Step::McDelete,
    ];

    /// Its bit in a set of steps; the last one has none, and no set remembers it.
    pub(super) const fn bit(self) -> u8 {
        (1u16 << self as u8) as u8
    }

    /// Its number on disk, from 1.
    pub(super) const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The step with this number.
    pub(super) fn from_number(number: u8) -> Option<Step> {
        Step::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// The name of the command in its document.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::FragVersion => "PackageVersionReq",
            Step::McGroup => "McGroupSetupReq",
            Step::FragSession => "FragSessionSetupReq",
            Step::ClockCheck => "ForceDeviceResyncReq",
            Step::SetClock => "AppTimeAns",
            Step::McSession => "McClassCSessionReq",
            Step::Status => "FragSessionStatusReq",
            Step::BlockAns => "FragDataBlockReceivedAns",
            Step::McDelete => "McGroupDeleteReq",
        })
    }
}
