//! `fuotad check --forwarder`: what must change in the packet forwarder's configuration.

use super::check;
use super::exit::Failure;
use super::files;
use super::table::table;
use crate::config::Against;
use crate::config::Dialect;
use crate::config::Finding;
use crate::config::ForwarderFile;
use crate::config::Severity;
use crate::daemon;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

/// Holds the forwarder's files against the configuration `path`.
///
/// # Errors
/// Neither can be read; or something must change, after it was printed.
pub fn run(
    path: &Path,
    forwarder: &[PathBuf],
    dialect: Option<Dialect>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (_, settings) = check::checked(path, false)?;
    let (names, file) = read(forwarder)?;
    let findings = findings(&file, &settings, dialect);
    let must_change = findings.iter().filter(|finding| finding.severity == Severity::MustChange).count();
    if json {
        let document = serde_json::json!({ "must-change": must_change, "findings": findings });
        writeln!(out, "{document}")?;
    } else {
        print(&names, &findings, out)?;
    }
    if must_change > 0 {
        return Err(Failure::data(format!(
            "{names}: {must_change} value(s) must change before this forwarder serves fuotad"
        )));
    }
    Ok(())
}

/// The forwarder's files as it reads them, and what they are called together.
///
/// # Errors
/// One of them cannot be read, or the forwarder would refuse it.
pub fn read(forwarder: &[PathBuf]) -> Result<(String, ForwarderFile), Failure> {
    let names: Vec<String> = forwarder.iter().map(|path| path.display().to_string()).collect();
    let names = names.join(", ");
    let texts = forwarder.iter().map(|path| files::text(path)).collect::<Result<Vec<_>, _>>()?;
    let file = ForwarderFile::from_texts(texts.iter().map(String::as_str))
        .map_err(|error| Failure::data(format!("{names}: {error}")))?;
    Ok((names, file))
}

/// The file held against the settings of the service.
pub fn findings(file: &ForwarderFile, settings: &daemon::Settings, dialect: Option<Dialect>) -> Vec<Finding> {
    file.findings(&Against {
        listen: settings.listen,
        link: &settings.engine.forwarder,
        groups: &settings.engine.groups,
        region: settings.engine.region,
        dialect,
        gps_tty: settings.gps.as_ref().map(|gps| gps.tty.as_path()),
    })
}

fn print(names: &str, findings: &[Finding], out: &mut dyn Write) -> Result<(), Failure> {
    if findings.is_empty() {
        writeln!(out, "{names}: good: this forwarder serves fuotad as it is")?;
        return Ok(());
    }
    let row = |finding: &Finding| {
        let severity = match finding.severity {
            Severity::MustChange => "must change",
            Severity::Note => "note",
        };
        vec![finding.key.clone(), severity.to_owned(), finding.found.clone(), finding.wanted.clone()]
    };
    let rows: Vec<Vec<String>> = findings.iter().map(row).collect();
    write!(out, "{}", table(&["key", "", "found", "wanted"], &rows))?;
    writeln!(out)?;
    for Finding { key, why, .. } in findings {
        writeln!(out, "{key}: {why}")?;
    }
    Ok(())
}
