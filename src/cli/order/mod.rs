//! `fuotad order`: from an image to a task of the service, without a line of JSON by hand.

mod command;
mod placing;

pub use command::NO_CLOCK;
pub use command::is_wanted;
pub use command::run;
pub use placing::Placing;
