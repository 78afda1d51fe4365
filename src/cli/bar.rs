//! A bar on the terminal for whatever takes longer than a second.

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use std::time::Duration;
use std::time::Instant;

/// Whoever waits for less is shown nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar on standard error, which is seen from its second second on. Where nobody watches nothing is drawn.
pub struct Bar {
    bar: ProgressBar,
    began: Instant,
}

impl Bar {
    /// A bar of things called `unit`, as `frames`.
    #[expect(clippy::disallowed_methods, reason = "a bar is for people who wait")]
    pub fn new(unit: &str) -> Bar {
        let bar = ProgressBar::hidden();
        if let Ok(style) =
            ProgressStyle::with_template(&format!("  {{wide_bar}} {{pos}}/{{len}} {unit}  {{msg}}"))
        {
            bar.set_style(style);
        }
        Bar { bar, began: Instant::now() }
    }

    fn is_due(&self) -> bool {
        self.began.elapsed() > PATIENCE
    }

    /// So many of `length` are done; `text` says what is next to that.
    pub fn at(&self, position: u64, length: u64, text: impl FnOnce() -> String) {
        if self.bar.is_hidden() && self.is_due() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        if !self.bar.is_hidden() {
            self.bar.set_length(length);
            self.bar.set_position(position);
            self.bar.set_message(text());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_quick_shows_no_bar() {
        let bar = Bar::new("frames");
        assert!(!bar.is_due());
        bar.at(1, 2, || panic!("nobody reads it"));
        let long = Bar { bar: ProgressBar::hidden(), began: bar.began - 2 * PATIENCE };
        assert!(long.is_due());
    }
}
