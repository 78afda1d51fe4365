//! The packet forwarder that is there: where its files lie, what they propose, and how they are changed.
#![expect(clippy::disallowed_methods, reason = "the command line reads and writes the files it is for")]

use crate::cli::exit::Failure;
use crate::cli::files;
use crate::config::Finding;
use crate::config::ForwarderFile;
use crate::config::RadioPart;
use crate::config::Server;
use crate::config::Severity;
use crate::config::with_value;
use crate::daemon::io_words;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

/// What a file of the forwarder was called before it was changed, behind its name.
const BEFORE: &str = ".before-fuotad";
/// Files that a forwarder reads in the folder it was started in.
const NAMES: [&str; 2] = ["global_conf.json", "local_conf.json"];
/// Members that only say where to send and how to behave there, and how their values are written.
const CHANGED: [&str; 5] =
    ["server_address", "serv_port_up", "serv_port_down", "autoquit_threshold", "forward_crc_valid"];
/// Which region a range of the transmitter belongs to, Hz: only where there is one.
const RANGES: [(i64, i64, &str); 6] = [
    (470_000_000, 510_000_000, "CN470"),
    (865_000_000, 867_000_000, "IN865"),
    (863_000_000, 870_000_000, "EU868"),
    (920_000_000, 924_000_000, "KR920"),
    (902_000_000, 914_900_000, "US915"),
    (923_000_000, 928_000_000, "US915"),
];

/// The files of a forwarder that runs on this machine.
pub fn of_a_running_one() -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let files = |process: fs::DirEntry| {
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        let words = fs::read(process.path().join("cmdline")).ok()?;
        let folder = fs::read_link(process.path().join("cwd")).ok()?;
        let words: Vec<&str> =
            words.split(|byte| *byte == 0).filter_map(|word| str::from_utf8(word).ok()).collect();
        let is_one = name.contains("pkt_fwd") || words.iter().any(|word| word.contains("pkt_fwd"));
        let given = words.iter().skip_while(|word| **word != "-c").nth(1).map(|file| folder.join(file));
        let found = match given {
            Some(given) => vec![given],
            None => NAMES.map(|name| folder.join(name)).to_vec(),
        };
        let found: Vec<PathBuf> = found.into_iter().filter(|file| file.is_file()).collect();
        (is_one && !found.is_empty()).then_some(found)
    };
    processes.filter_map(files).next().unwrap_or_default()
}

/// What the files were before an earlier `init` changed them.
pub fn originals(paths: &[PathBuf]) -> Vec<PathBuf> {
    let original = |path: &PathBuf| Some(kept(path)).filter(|kept| kept.exists()).unwrap_or(path.clone());
    paths.iter().map(original).collect()
}

fn kept(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(BEFORE);
    PathBuf::from(name)
}

/// The servers that the forwarder sends to, HOST:PORT.
pub fn servers(file: &ForwarderFile) -> Vec<String> {
    let Some(gateway) = &file.gateway else { return Vec::new() };
    let listed = gateway.used_servers();
    let of = |server: &Server| Some(format!("{}:{}", server.address.is()?, server.port_up.is()?));
    match listed.as_slice() {
        [] => of(&gateway.server).into_iter().collect(),
        listed => listed.iter().filter_map(|server| of(server)).collect(),
    }
}

/// The region whose frequencies the transmitter has, where there is only one.
pub fn region(file: &ForwarderFile) -> Option<&'static str> {
    let radios = file.board.as_ref()?.radios.iter().filter(|radio| radio.transmits);
    let range = |radio: &RadioPart| Some((*radio.least_hz.is()?, *radio.most_hz.is()?));
    let (least, most) = radios.filter_map(range).next()?;
    let fits = |(from, to, _): &&(i64, i64, &str)| *from <= least && most <= *to && least < most;
    RANGES.iter().find(fits).map(|(_, _, region)| *region)
}

/// What became of a finding in the forwarder's files.
pub struct Change<'a> {
    /// What `check --forwarder` found.
    pub finding: &'a Finding,
    /// The file in which it was changed, or would be; `None`: it is for a person to judge.
    pub path: Option<PathBuf>,
}

/// Puts what must change and can be changed without a thought into the files, when `is_applied`; says what it did.
///
/// # Errors
/// A file cannot be kept or written; the files are then as they were.
pub fn change<'a>(
    paths: &[PathBuf],
    findings: &'a [Finding],
    is_applied: bool,
) -> Result<Vec<Change<'a>>, Failure> {
    let mut texts = paths.iter().map(|path| files::text(path)).collect::<Result<Vec<_>, _>>()?;
    let before = texts.clone();
    let mut changes = Vec::new();
    for finding in findings.iter().filter(|finding| finding.severity == Severity::MustChange) {
        let path = token(finding).and_then(|token| {
            // A later file wins, so what it says is what is changed there.
            let place =
                (0..texts.len()).rev().find_map(|n| Some((n, with_value(&texts[n], &finding.key, &token)?)));
            let (n, text) = place?;
            texts[n] = text;
            Some(paths[n].clone())
        });
        changes.push(Change { finding, path });
    }
    let changed = paths.iter().zip(&texts).zip(&before).filter(|((_, text), before)| text != before);
    for ((path, text), before) in changed.filter(|_| is_applied) {
        if !kept(path).exists() {
            replace(&kept(path), before, path)?;
        }
        replace(path, text, path)?;
    }
    Ok(changes)
}

/// The value as JSON, for members that are changed without a thought.
fn token(finding: &Finding) -> Option<String> {
    let member = finding.key.rsplit('.').next()?;
    let is_plain = finding.wanted.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    match CHANGED.contains(&member) && is_plain {
        false => None,
        true if member == "server_address" => Some(format!("\"{}\"", finding.wanted)),
        true => Some(finding.wanted.clone()),
    }
}

/// Writes a file beside its place and puts it there, with the mode of `like`.
pub fn replace(path: &Path, text: &str, like: &Path) -> Result<(), Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let written = (|| {
        let mut file = fs::File::create(&new)?;
        if let Ok(metadata) = fs::metadata(like) {
            file.set_permissions(metadata.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&new);
        Failure::cannot_create(format!("{}: {}", path.display(), io_words(&error)))
    })
}

/// The lines by which the files become what they were.
pub fn way_back(paths: &[PathBuf]) -> Vec<String> {
    let changed = paths.iter().filter(|path| kept(path).exists());
    changed.map(|path| format!("mv {} {}", kept(path).display(), path.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(board: &str, gateway: &str) -> ForwarderFile {
        let text = format!("{{\"SX130x_conf\": {board}, \"gateway_conf\": {gateway}}}");
        ForwarderFile::from_texts([text.as_str()]).unwrap()
    }

    fn transmitter(least: u32, most: u32) -> ForwarderFile {
        let radio = format!(
            "{{\"radio_0\": {{\"enable\": true, \"tx_enable\": true, \"tx_freq_min\": {least}, \"tx_freq_max\": {most}}}}}"
        );
        file(&radio, "{}")
    }

    #[test]
    fn a_region_is_proposed_only_where_the_frequencies_leave_no_doubt() {
        for (least, most, region) in [
            (863_000_000, 870_000_000, Some("EU868")),
            (865_000_000, 867_000_000, Some("IN865")),
            (923_000_000, 928_000_000, Some("US915")),
            (920_900_000, 923_300_000, Some("KR920")),
            (915_000_000, 928_000_000, None),
            (0, 0, None),
        ] {
            assert_eq!(super::region(&transmitter(least, most)), region, "{least} to {most}");
        }
    }

    #[test]
    fn the_servers_of_a_list_come_before_the_single_one() {
        let single = "\"server_address\": \"a\", \"serv_port_up\": 1700, \"serv_port_down\": 1700";
        assert_eq!(servers(&file("{}", &format!("{{{single}}}"))), ["a:1700"]);
        let list = "\"servers\": [{\"server_address\": \"b\", \"serv_port_up\": 1, \"serv_port_down\": 1}, \
            {\"server_address\": \"c\", \"serv_port_up\": 2, \"serv_port_down\": 2, \"serv_enabled\": false}]";
        assert_eq!(servers(&file("{}", &format!("{{{single}, {list}}}"))), ["b:1"]);
        assert_eq!(servers(&file("{}", "{}")), [] as [String; 0]);
    }
}
