//! The task files in `config/examples/tasks` are tasks.

use std::error::Error;
use std::path::Path;

use fuotad::cloud::task_from_file;
use fuotad::task::ImageRef;
use fuotad::task::Interval;
use fuotad::task::Start;
use fuotad::task::Task;
use fuotad::task::TaskStatus;
use fuotad::task::gps_from_rfc3339;

fn example(file_stem: &str) -> Result<Task, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples/tasks");
    let bytes = std::fs::read(folder.join(format!("{file_stem}.json")))?;
    Ok(task_from_file(&bytes, file_stem)?)
}

#[test]
fn the_example_for_meters_says_all_that_a_task_file_can_say() {
    let task = example("meters-1.4.2").unwrap();
    assert_eq!(task.warnings, [""; 0]);
    assert_eq!((task.id.as_str(), &task.status), ("meters-1.4.2", &TaskStatus::Pending));
    assert_eq!(task.name.as_deref(), Some("meter-fw-1-4-2"));
    assert_eq!(task.rf_region.as_deref(), Some("EU868"));
    assert_eq!(task.image, ImageRef::File("/var/lib/fuotad/firmware/meters-1.4.2.bin".to_owned()));
    assert_eq!((task.redundancy_percent, task.fragment_size_bytes), (30, Some(112)));
    assert_eq!(task.fragment_interval, Some(Interval::exact(2500)));
    assert_eq!(task.start, gps_from_rfc3339("2026-11-22T02:00:00Z").map(Start::At));
    assert_eq!(task.groups, ["meters"]);
    assert!(task.sha256.is_some());
    assert_eq!(task.session_timeout_exponent, Some(14));
    assert_eq!(task.frag_descriptor(), Some([1, 4, 2, 0]));
}

#[test]
fn every_example_is_a_task_without_warnings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples/tasks");
    let paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    let is_json = |path: &&std::path::PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let stems: Vec<_> = paths.iter().filter(is_json).map(|path| path.file_stem().unwrap()).collect();
    assert!(!stems.is_empty());
    for stem in stems {
        assert_eq!(example(stem.to_str().unwrap()).unwrap().warnings, [""; 0], "{stem:?}");
    }
}
