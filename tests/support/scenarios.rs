//! The scenarios that are shipped.

use fuotad::config::Scenario;
use fuotad::sim::Script;
use std::path::Path;

/// The script of a scenario in `config/scenarios`.
pub fn shipped(name: &str) -> Script {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/scenarios").join(name);
    let text = std::fs::read_to_string(path).expect("it is shipped");
    let scenario = Scenario::from_text(&text).expect("a good scenario");
    scenario.script(None, None).expect("a good scenario")
}
