//! What became of a campaign's frames, as far as anybody told.

use core::fmt;

/// The frames of a campaign by their fate. Each frame of this run counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Frames that the forwarder acknowledged, before and after a restart of the service.
    pub sent: u32,
    /// Of these, acknowledged before the last start of the service.
    pub earlier: u32,
    /// Of these, given to the radio as far as the forwarder's reports tell.
    pub radiated: u32,
    /// Of these, never given to the radio, at least.
    pub not_radiated: u32,
    /// Of these, without a report that speaks of them: it was lost, or never came.
    pub unreported: u32,
    /// Frames without an answer: each counts as gone out, and is made up for.
    pub unanswered: u32,
    /// Coded fragments that were added to make up for frames without an answer and frames that were not radiated.
    pub extra_coded: u32,
}

impl Account {
    /// Frames whose fate nobody told, of this run.
    pub fn unconfirmed(&self) -> u32 {
        self.unanswered + self.unreported
    }

    /// Acknowledged frames whose report is still to come.
    pub fn pending(&self) -> u32 {
        let settled = self.earlier + self.radiated + self.not_radiated + self.unreported;
        self.sent.saturating_sub(settled)
    }

    /// Frames that never reached the radio and that nothing was added for.
    pub fn is_short_by(&self) -> u32 {
        self.not_radiated.saturating_sub(self.extra_coded)
    }
}

/// As the end of a sentence: what was sent, and every doubt about it.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { sent, earlier, not_radiated, extra_coded, .. } = *self;
        write!(f, "{sent} frames sent")?;
        if earlier > 0 {
            write!(f, ", {earlier} of them before a restart of the service")?;
        }
        if not_radiated > 0 {
            write!(
                f,
                ", {not_radiated} of them not radiated although the packet forwarder acknowledged them"
            )?;
        }
        if extra_coded > 0 {
            write!(f, ", {extra_coded} added to make up for lost ones")?;
        }
        match self.unconfirmed() {
            0 => Ok(()),
            frames => write!(f, ", {frames} unconfirmed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_says_every_doubt_and_no_more() {
        let plain = Account { sent: 104, radiated: 104, ..Account::default() };
        assert_eq!(plain.to_string(), "104 frames sent");
        let doubtful = Account {
            sent: 104,
            earlier: 50,
            radiated: 40,
            not_radiated: 6,
            unreported: 8,
            unanswered: 1,
            extra_coded: 7,
        };
        assert_eq!(
            doubtful.to_string(),
            "104 frames sent, 50 of them before a restart of the service, 6 of them not radiated although the packet forwarder acknowledged them, 7 added to make up for lost ones, 9 unconfirmed"
        );
        assert_eq!((doubtful.pending(), doubtful.is_short_by()), (0, 0));
    }
}
