//! `fuotad plan`: what a task will do, before it does it.

mod command;
mod json;
mod text;

pub use command::run;
