//! `fuotad check --online`: would AWS do what this configuration wants of it?

#[cfg(feature = "aws")]
use super::check;
use super::exit::Failure;
use super::files;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Asks AWS and prints what came of it. Fails when something will not do.
#[cfg(feature = "aws")]
pub fn run(path: &Path, json: bool, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    use crate::config::GroupConfig;
    use crate::config::Unsigned;
    use crate::daemon::aws;
    use crate::daemon::aws::Anchors;
    use crate::daemon::aws::Verdict;
    use serde_json::json;

    /// Something will not do.
    const UNAVAILABLE: u8 = 69;

    let config = files::config(path)?;
    let wrong = |error: &dyn std::fmt::Display| Failure::config(format!("{}: {error}", path.display()));
    let Some(cloud) = &config.aws else {
        return Err(wrong(&"no [aws]: there is nothing to ask online"));
    };
    let settings = cloud
        .settings(&config.group, &config.ota, config.gateway.id.as_deref())
        .map_err(|error| files::refused(path, error))?;
    let judge = check::keyless(&config).map_err(|error| files::refused(path, error))?.engine.judge();
    let named = |is_meant: fn(&GroupConfig) -> bool| {
        config.group.iter().filter(|group| is_meant(group)).map(|group| group.name.clone()).collect()
    };
    let tasks = cloud.task.iter().filter(|task| task.signing.is_some()).map(|task| task.id.clone());
    let updates = config.ota.iter().filter(|(_, update)| update.signing.is_some()).map(|(id, _)| id.clone());
    let anchors = Anchors {
        accepting: named(|group| group.unsigned == Some(Unsigned::Accept)),
        trusting: named(|group| group.signing.is_some()),
        trusting_orders: tasks.chain(updates).collect(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io(format!("no runtime: {error}")))?;
    let findings = runtime.block_on(aws::probe(&settings, &anchors, &judge));
    let word = |verdict| match verdict {
        Verdict::Good => "good",
        Verdict::Unsure => "unsure",
        Verdict::Bad => "bad",
    };
    for finding in &findings {
        let word = word(finding.verdict);
        if json {
            let line = json!({"what": finding.what, "verdict": word, "text": finding.text});
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{word:<6}  {}: {}", finding.what, finding.text)?;
        }
    }
    let is_bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    Ok(if is_bad { ExitCode::from(UNAVAILABLE) } else { ExitCode::SUCCESS })
}

/// There is nothing to ask with.
#[cfg(not(feature = "aws"))]
pub fn run(path: &Path, _: bool, _: &mut dyn Write) -> Result<ExitCode, Failure> {
    files::config(path)?;
    Err(Failure::config("this fuotad was built without the cloud: there is nothing to ask online"))
}
