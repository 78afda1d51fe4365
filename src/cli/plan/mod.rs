//! `fuotad plan`: what a task will do, before it does it.

mod answer;
mod command;
mod json;
mod setup;
mod text;

pub use command::Order;
pub use command::plan;
pub use command::run;
pub use command::settings;
