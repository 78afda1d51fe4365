//! How stacks count what they received and what they miss.

/// The way in which a device fills FragSessionStatusAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Habit {
    /// Nobody knows: only what no stack can mean otherwise is believed.
    #[default]
    Unknown,
    /// As TS004-1.0.0 3.2 and TS004-2.0.0 say.
    AsMeant,
    /// LoRaMac-node: NbFragReceived is the last index processed, high byte first, without FragIndex; MissingFrag is the
    /// number of uncoded fragments lost and does not fall when they are mended.
    LoRaMacNode,
    /// LoRa Basics Modem: NbFragReceived is the last index less the uncoded fragments lost; MissingFrag is counted modulo
    /// 256 and stays 1 where nothing was lost.
    Lbm,
    /// Zephyr: MissingFrag is NbFrag less all fragments received, whether they were of use or not.
    Zephyr,
}

impl Habit {
    /// Whether equal answers with this MissingFrag, long after each other, mean that the decoder is done: it no longer
    /// counts. By the documents a device that hears nothing gives equal answers, too.
    pub(super) fn stands_still_when_complete(self, missing_frag: u8) -> bool {
        match self {
            Habit::AsMeant => false,
            Habit::Zephyr => missing_frag == 0,
            Habit::Unknown | Habit::LoRaMacNode | Habit::Lbm => true,
        }
    }
}
