//! How a device stands to the proof of its root key.

use super::setup::Window;

/// Whether a device may be told the campaign's session, as far as its root key is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may: its batch is proved, or no proof is asked for.
    #[default]
    Free,
    /// Its batch is still to be proved.
    Waits,
    /// It may: there is no time for a proof before the campaign.
    Released,
    /// It is a canary of its batch, and is told this session of its own.
    Canary(Window),
    /// No canary of its batch answered: its root keys are probably wrong.
    Doubted,
}
