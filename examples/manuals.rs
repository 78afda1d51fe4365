//! Manual pages and completions, made from the words of the command line and from the commented configuration.
//!
//! `cargo run --example manuals -- FOLDER` writes `fuotad.8` with a page for each command, `fuotad.toml.5`, and what
//! bash, zsh and fish complete.

#![expect(clippy::disallowed_methods, reason = "it writes files")]

use clap::Command;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use std::error::Error;
use std::fs;
use std::path::Path;

/// Every key with its comment: what `fuotad.toml.5` is made from.
const CONFIGURATION: &str = include_str!("../config/fuotad.toml");
/// What a page says of itself in its first line.
const VERSION: &str = concat!("fuotad ", env!("CARGO_PKG_VERSION"));

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("say into which folder")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let mut command = fuotad::cli::Cli::command().disable_help_subcommand(true);
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "fuotad", folder)?;
    }
    command.build();
    pages(&command, folder)?;
    fs::write(folder.join("fuotad.toml.5"), configuration_page(CONFIGURATION))?;
    Ok(())
}

/// A page for the command and one for each below it: `fuotad-group-new.8`.
fn pages(command: &Command, folder: &Path) -> Result<(), Box<dyn Error>> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut text = Vec::new();
    Man::new(command.clone())
        .title(name.to_uppercase())
        .section("8")
        .source(VERSION)
        .manual("fuotad")
        .render(&mut text)?;
    fs::write(folder.join(format!("{name}.8")), text)?;
    command.get_subcommands().try_for_each(|command| pages(command, folder))
}

/// A line of the commented configuration.
enum Line<'a> {
    /// `[radio]` or `#[[group]]`.
    Table(&'a str, &'a str),
    /// `#duty-share = 0.4`, with what stands behind it.
    Key(&'a str, &'a str),
    /// The rest of a remark that stands behind a key.
    More(&'a str),
    /// A remark of its own.
    Remark(&'a str),
    Blank,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Line<'a> {
        let code = line.strip_prefix('#').filter(|code| !code.starts_with(' ')).unwrap_or(line);
        let (word, remark) = code.split_once(" # ").unwrap_or((code, ""));
        match line.trim_start() {
            "" => Line::Blank,
            remark if line.starts_with(' ') => Line::More(remark.trim_start_matches(['#', ' '])),
            _ if code.starts_with('[') => Line::Table(word.trim(), remark.trim()),
            _ if line.starts_with("# ") => Line::Remark(line.trim_start_matches(['#', ' '])),
            _ => Line::Key(word.trim(), remark.trim()),
        }
    }
}

/// `fuotad.toml(5)`: each table a part, each key an entry with its default or an example.
fn configuration_page(text: &str) -> String {
    let mut page = format!(
        ".TH FUOTAD.TOML 5 \"\" \"{VERSION}\" fuotad\n.SH NAME\nfuotad.toml \\- configuration of fuotad\n.SH SYNOPSIS\n\
         /etc/fuotad/fuotad.toml\n.SH DESCRIPTION\n"
    );
    let mut remarks = Vec::new();
    let mut is_in_tables = false;
    for line in text.lines() {
        match Line::of(line) {
            Line::Table(name, remark) => {
                if !std::mem::replace(&mut is_in_tables, true) {
                    page.push_str(".SH TABLES\n");
                }
                page.push_str(&format!(".SS {}\n", escaped(name)));
                remarks.extend((!remark.is_empty()).then_some(remark));
                flush(&mut remarks, &mut page);
            }
            Line::Key(key, remark) => {
                flush(&mut remarks, &mut page);
                page.push_str(&format!(".TP\n.B {}\n{}\n", escaped(key), or_nothing(&escaped(remark))));
            }
            Line::More(remark) => page.push_str(&format!("{}\n", escaped(remark))),
            Line::Remark(remark) => remarks.push(remark),
            Line::Blank if !is_in_tables => flush(&mut remarks, &mut page),
            Line::Blank => {}
        }
    }
    flush(&mut remarks, &mut page);
    page.push_str(
        ".SH FILES\n.TP\n.I /usr/share/doc/fuotad/examples/fuotad.toml\nThe same as a file.\n.SH SEE ALSO\n.BR fuotad (8)\n",
    );
    page
}

/// What was remarked becomes a paragraph.
fn flush(remarks: &mut Vec<&str>, page: &mut String) {
    if !remarks.is_empty() {
        let lines: Vec<String> = remarks.drain(..).map(escaped).collect();
        page.push_str(&format!(".PP\n{}\n", lines.join("\n")));
    }
}

/// An entry of a list needs a body, be it nothing.
fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "\\&" } else { text }
}

/// Text as roff shows it and does not obey it.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...").replace('"', "\\(dq");
    let is_command = text.starts_with(['.', '\'']);
    if is_command { format!("\\&{text}") } else { text }
}
