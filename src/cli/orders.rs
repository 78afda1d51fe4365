//! What becomes of the orders in the task folder, said before the service sees them.

use super::files;
use crate::broadcast::Foreseen;
use crate::broadcast::KnownImage;
use crate::broadcast::TaskSource;
use crate::cloud::task_from_file;
use crate::config::Config;
use crate::daemon::StateFolder;
use crate::daemon::wall_clock;
use crate::engine::Settings;
use crate::image::MAX_IMAGE_BYTES;
use crate::store::Recovered;
use crate::task::ImageRef;
use crate::task::MAX_TASK_BYTES;
use crate::task::Task;
use crate::task::TaskId;
use std::path::Path;

/// What is to be said of each order in the task folder, a line each.
/// Nothing is said of one that goes well, is armed already or is over.
pub fn judged(config: &Config, settings: &Settings) -> Vec<String> {
    let judge = settings.judge();
    let recovered = StateFolder::read(&config.state.dir).ok().flatten().map(|folder| folder.recovered);
    let recovered = recovered.unwrap_or_default();
    let mut said = Vec::new();
    for path in files::tasks(&config.tasks.folder) {
        let tasks = match tasks(&path) {
            Ok(tasks) => tasks,
            Err(reason) => {
                said.push(format!("{}: {reason}", path.display()));
                continue;
            }
        };
        for task in tasks.iter().filter(|task| !is_known(task, &recovered)) {
            let image = image(task);
            let bytes = match &image {
                Ok(Some(bytes)) => KnownImage::Bytes(bytes),
                _ => KnownImage::Named,
            };
            let judgement = judge.judge(task, TaskSource::File, bytes, wall_clock());
            let outcome = Some(judgement.outcome).filter(|outcome| !matches!(outcome, Foreseen::Sent(_)));
            let lines = judgement.warnings.into_iter().chain(outcome.map(|outcome| outcome.to_string()));
            said.extend(lines.chain(image.err()).map(|line| format!("{}: {line}", path.display())));
        }
    }
    said
}

/// The tasks of the document at `path`, one for each of its groups.
fn tasks(path: &Path) -> Result<Vec<Task>, String> {
    let document = files::bytes(path, MAX_TASK_BYTES).map_err(|failure| failure.to_string())?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("task");
    task_from_file(&document, stem).and_then(Task::per_group).map_err(|error| error.to_string())
}

/// Whether the service took the order in an earlier life, or has carried it out.
fn is_known(task: &Task, recovered: &Recovered) -> bool {
    let is_it = |id: &TaskId| {
        let record = id.record_id();
        recovered.tasks.iter().any(|known| known.id.0 == record)
            || recovered.ended.iter().any(|ended| ended.task.0 == record)
    };
    is_it(&task.id) || is_it(&task.document_id)
}

/// The image, where it is a file of this machine.
fn image(task: &Task) -> Result<Option<Vec<u8>>, String> {
    let ImageRef::File(path) = &task.image else { return Ok(None) };
    files::bytes(Path::new(path), MAX_IMAGE_BYTES)
        .map(Some)
        .map_err(|failure| format!("its image: {failure}"))
}
