//! Pictures of a campaign as SVG: lines over time, sessions behind them. Any browser shows them, nothing is loaded.
#![expect(clippy::disallowed_methods, reason = "the command line writes the files it was asked for")]

use super::exit::Failure;
use super::table::duration;
use super::table::moment;
use crate::daemon::io_words;
use crate::time::GpsTime;
use std::fmt::Write as _;
use std::path::Path;

const WIDTH: u64 = 800;
const HEIGHT: u64 = 300;
const MARGIN: u64 = 40;
/// Points of one line; of more, every so many.
const POINTS_MAX: usize = 600;

/// A picture before it is drawn.
pub struct Picture {
    /// What it is about.
    pub title: String,
    /// Whether times are by the clock; else only their distance counts.
    pub is_absolute: bool,
    /// Sessions, from when to when.
    pub spans: Vec<(GpsTime, GpsTime)>,
    /// Lines, each to a scale of its own.
    pub lines: Vec<Line>,
}

/// Something that grows over time.
pub struct Line {
    /// What the line counts.
    pub what: String,
    /// Colour as CSS has it.
    pub colour: &'static str,
    /// The top of its scale.
    pub most: u64,
    /// How many by when, ascending.
    pub points: Vec<(GpsTime, u64)>,
}

/// Writes the picture into a file.
pub fn write(path: &Path, picture: &Picture) -> Result<(), Failure> {
    std::fs::write(path, picture.svg())
        .map_err(|error| Failure::cannot_create(format!("{}: {}", path.display(), io_words(&error))))
}

impl Picture {
    /// From the first to the last time that is drawn.
    fn range(&self) -> (GpsTime, GpsTime) {
        let points = self.lines.iter().flat_map(|line| line.points.iter().map(|(at, _)| *at));
        let all = points.chain(self.spans.iter().flat_map(|(start, end)| [*start, *end]));
        let times: Vec<GpsTime> = all.collect();
        let first = times.iter().min().copied().unwrap_or(GpsTime::from_us(0));
        (first, times.iter().max().copied().unwrap_or(first))
    }

    fn svg(&self) -> String {
        let (first, last) = self.range();
        let length_us = last.us_since(first).max(1);
        let x = |at: GpsTime| {
            MARGIN as f64 + at.us_since(first) as f64 / length_us as f64 * (WIDTH - 2 * MARGIN) as f64
        };
        let (top, bottom) = (MARGIN as f64, (HEIGHT - MARGIN) as f64);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <title>{title}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{MARGIN}\" y=\"16\">{title}</text>\n",
            title = escaped(&self.title)
        );
        for (start, end) in &self.spans {
            let width = x(*end) - x(*start);
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"#e6eef6\"/>",
                x(*start),
                bottom - top
            );
        }
        let _ = writeln!(svg, "<path d=\"M{MARGIN} {bottom}H{}\" stroke=\"#888\"/>", WIDTH - MARGIN);
        for (n, line) in self.lines.iter().enumerate() {
            let y = |count: u64| bottom - count as f64 / line.most.max(1) as f64 * (bottom - top);
            let step = line.points.len().div_ceil(POINTS_MAX).max(1);
            let last = line.points.len().saturating_sub(1);
            let kept = line.points.iter().enumerate().filter(|(n, _)| n % step == 0 || *n == last);
            let path: String = kept
                .map(|(n, (at, count))| {
                    format!("{}{:.1} {:.1}", if n == 0 { "M" } else { "L" }, x(*at), y(*count))
                })
                .collect();
            let reached = line.points.last().map_or(0, |(_, count)| *count);
            let _ = writeln!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
                line.colour
            );
            let _ = writeln!(
                svg,
                "<text x=\"{MARGIN}\" y=\"{}\" fill=\"{}\">{reached} of {} {}</text>",
                34 + 14 * n,
                line.colour,
                line.most,
                line.what
            );
        }
        let (from, to) = match self.is_absolute {
            true => (moment(first), moment(last)),
            false => ("begin".to_owned(), format!("+{}", duration(length_us))),
        };
        let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{}\">{from}</text>", HEIGHT - 22);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{to}</text>\n</svg>",
            WIDTH - MARGIN,
            HEIGHT - 22
        );
        svg
    }
}

/// Text as XML shows it and does not obey it.
fn escaped(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(title: &str, points: usize) -> String {
        let at = |n: usize| GpsTime::from_us(1_451_260_818_000_000 + n as u64 * 1_000_000);
        let points = (0..points).map(|n| (at(n), n as u64)).collect();
        let line = Line { what: "frames".to_owned(), colour: "#000", most: 10_000, points };
        let spans = vec![(at(0), at(4096))];
        Picture { title: title.to_owned(), is_absolute: true, spans, lines: vec![line] }.svg()
    }

    #[test]
    fn a_title_with_markup_is_text() {
        let svg = picture("<script>&\"", 3);
        assert!(
            svg.contains("<title>&lt;script&gt;&amp;&quot;</title>") && !svg.contains("<script"),
            "{svg}"
        );
    }

    #[test]
    fn a_long_line_is_thinned_and_ends_where_it_ends() {
        let svg = picture("a", 9_000);
        assert!(svg.len() < 20_000, "{}", svg.len());
        assert!(svg.contains("8999 of 10000 frames") && svg.contains("2026-01-01T02:29:59Z"), "{svg}");
    }
}
