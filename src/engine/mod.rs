//! The front door of everything pure: facts go in, wishes come out.
//!
//! After every [`Engine::handle`], call [`Engine::poll`] until it answers [`Output::WakeAt`]; only then handle
//! the next fact. The engine knows no clock, socket, file or randomness, so the simulated world and the
//! daemon drive the very same one.
//! Each `handle` does a bounded amount of work: at most one new emission per campaign.

mod io;
mod ledger;
mod machine;
mod session_clock;
mod verdict;

pub use io::Input;
pub use io::Output;
pub use io::Settings;
pub use machine::Engine;
