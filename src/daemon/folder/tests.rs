use super::task_folder::FILES_MAX;
use super::task_folder::TaskFolder;
use crate::daemon::fact::Fact;
use crate::task::MAX_TASK_BYTES;
use crate::task::TaskId;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// A folder of its own for a test; every test has its own name.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fuotad-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) const TASK: &str = r#"{"Status":"Pending","FirmwareUpdateImage":"file:///images/image.bin"}"#;

/// A document that names its task.
pub(super) fn named(id: &str) -> String {
    TASK.replace('{', &format!(r#"{{"Id":"{id}","#))
}

/// A folder that is looked into once a second.
struct Bench {
    dir: TempDir,
    folder: TaskFolder,
    seconds: u64,
    complaints: Vec<String>,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let dir = TempDir::new(name);
        let folder = TaskFolder::new(dir.path().to_owned(), []);
        Bench { dir, folder, seconds: 0, complaints: Vec::new() }
    }

    /// The daemon starts again; a former run took these tasks, each from a file of this name.
    fn restart(&mut self, known: &[(&str, &str)]) {
        let known = known.iter().map(|(task, stem)| (TaskId::new(task).unwrap(), (*stem).to_owned()));
        self.folder = TaskFolder::new(self.dir.path().to_owned(), known);
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.dir.file(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.dir.file(name)).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.dir.file(from), self.dir.file(to)).unwrap();
    }

    fn mode(&self, mode: u32) {
        std::fs::set_permissions(self.dir.path(), PermissionsExt::from_mode(mode)).unwrap();
    }

    /// What is told a second after the last scan: a task, `?` and one that is missing, `-` and one that is gone.
    fn scan(&mut self) -> Vec<String> {
        self.seconds += 1;
        let scan = self.folder.scan(Duration::from_secs(self.seconds));
        self.complaints.extend(scan.complaints);
        scan.facts.iter().map(short).collect()
    }

    /// Scans until nothing moves any more; nothing is told meanwhile.
    fn settle(&mut self) {
        for _ in 0..3 {
            assert_eq!(self.scan(), [""; 0]);
        }
    }
}

pub(super) fn short(fact: &Fact) -> String {
    match fact {
        Fact::Task { stem, .. } => stem.clone(),
        Fact::Missing(task) => format!("?{task}"),
        Fact::Gone(task) => format!("-{task}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_task_is_told_when_it_comes_when_it_changes_and_when_it_is_gone_for_two_scans() {
    let mut bench = Bench::new("folder");
    assert_eq!(bench.scan(), [""; 0]);
    bench.put("a.json", TASK);
    assert_eq!(bench.scan(), ["a"]);
    bench.settle();
    bench.put("a.json", TASK.replace("Pending", "FuotaSession_Waiting"));
    assert_eq!(bench.scan(), ["a"]);
    bench.remove("a.json");
    assert_eq!(bench.scan(), ["?a"]);
    assert_eq!(bench.scan(), ["-a"]);
    bench.settle();
}

#[test]
fn a_file_that_is_replaced_between_two_scans_is_told_again_and_not_gone() {
    let mut bench = Bench::new("replaced");
    bench.put("a.json", TASK);
    assert_eq!(bench.scan(), ["a"]);
    bench.remove("a.json");
    assert_eq!(bench.scan(), ["?a"]);
    bench.put("a.json", TASK);
    assert_eq!(bench.scan(), ["a"], "the same bytes, and what waits for them goes on");
    bench.settle();
    // Without an Id in the document the name is the task: b is another one.
    bench.rename("a.json", "b.json");
    assert_eq!(bench.scan(), ["?a", "b"]);
    assert_eq!(bench.scan(), ["-a"]);
    bench.settle();
}

#[test]
fn renaming_a_file_whose_document_has_an_id_is_only_a_rename() {
    let mut bench = Bench::new("renamed");
    bench.put("a.json", named("x"));
    assert_eq!(bench.scan(), ["a"]);
    bench.rename("a.json", "b.json");
    assert_eq!(bench.scan(), ["b"]);
    bench.settle();
    // The system says that a file went before anybody can look: the task waits until its new name is seen.
    bench.rename("b.json", "a.json");
    assert_eq!(bench.folder.vanish("b.json", Duration::from_secs(bench.seconds)).unwrap().as_str(), "x");
    assert_eq!(bench.scan(), ["a"]);
    bench.settle();
    // Even if the new name was there before.
    bench.put("b.json", named("x"));
    assert_eq!(bench.scan(), ["b"]);
    bench.settle();
    bench.remove("a.json");
    assert!(bench.folder.vanish("a.json", Duration::from_secs(bench.seconds)).is_some());
    assert_eq!(bench.scan(), ["b"]);
    bench.settle();
}

#[test]
fn two_files_that_change_places_cancel_nothing() {
    let mut bench = Bench::new("swapped");
    bench.put("a.json", named("x"));
    bench.put("b.json", named("y"));
    assert_eq!(bench.scan(), ["a", "b"]);
    bench.put("a.json", named("y"));
    bench.put("b.json", named("x"));
    assert_eq!(bench.scan(), ["a", "b"]);
    bench.settle();
    bench.put("b.json", named("z"));
    assert_eq!(bench.scan(), ["-x", "b"]);
}

#[test]
fn a_task_of_a_former_run_whose_file_is_gone_is_gone() {
    let mut bench = Bench::new("orphan");
    bench.put("a.json", TASK);
    bench.restart(&[("a", "a"), ("b", "b")]);
    assert_eq!(bench.scan(), ["?b", "a"]);
    assert_eq!(bench.scan(), ["-b"]);
    bench.settle();
}

#[test]
fn a_folder_that_cannot_be_read_says_nothing_about_its_tasks_and_is_told_once() {
    let mut bench = Bench::new("unreadable");
    bench.put("a.json", TASK);
    bench.restart(&[("b", "b")]);
    bench.dir.0.push("none");
    bench.restart(&[("b", "b")]);
    bench.settle();
    assert_eq!(bench.complaints.len(), 1, "{:?}", bench.complaints);
    bench.dir.0.pop();
}

#[test]
fn what_is_no_file_is_told_once_and_disturbs_nobody() {
    let mut bench = Bench::new("odd");
    bench.put("good.json", TASK);
    bench.put("long.json", vec![b' '; MAX_TASK_BYTES + 1]);
    bench.put(".hidden.json", TASK);
    bench.put("readme.txt", TASK);
    std::fs::create_dir(bench.dir.file("folder.json")).unwrap();
    std::os::unix::fs::symlink(bench.dir.file("good.json"), bench.dir.file("link.json")).unwrap();
    assert_eq!(bench.scan(), ["good"]);
    bench.settle();
    assert_eq!(bench.complaints.len(), 3, "{:?}", bench.complaints);
    assert!(bench.complaints.iter().any(|text| text.ends_with("it is a link: put the file itself here")));
}

#[test]
fn a_half_written_task_is_told_only_when_it_stays_so() {
    let mut bench = Bench::new("half");
    bench.put("a.json", &TASK[..20]);
    assert_eq!(bench.scan(), [""; 0]);
    bench.put("a.json", TASK);
    assert_eq!(bench.scan(), ["a"]);
    bench.put("b.json", "{");
    assert_eq!(bench.scan(), [""; 0]);
    // However often it is looked at: a writer may take a moment.
    let soon = Duration::from_millis(bench.seconds * 1000 + 50);
    assert!(bench.folder.scan(soon).facts.is_empty());
    // The engine says what is wrong with it, once.
    assert_eq!(bench.scan(), ["b"]);
    bench.settle();
}

#[test]
fn a_task_whose_file_became_odd_goes_on_and_is_gone_when_the_file_is_removed() {
    type MakeOdd = fn(&Bench);
    let odd: [(&str, MakeOdd); 4] = [
        ("malformed", |bench| bench.put("a.json", "{ no task")),
        ("long", |bench| bench.put("a.json", vec![b' '; MAX_TASK_BYTES + 1])),
        ("link", |bench| {
            bench.put("elsewhere", TASK);
            std::os::unix::fs::symlink(bench.dir.file("elsewhere"), bench.dir.file("new")).unwrap();
            bench.rename("new", "a.json");
        }),
        ("folder", |bench| {
            bench.remove("a.json");
            std::fs::create_dir(bench.dir.file("a.json")).unwrap();
        }),
    ];
    for (kind, make_odd) in odd {
        for id in ["a", "x"] {
            let mut bench = Bench::new(&format!("became-{kind}-{id}"));
            bench.put("a.json", named(id));
            assert_eq!(bench.scan(), ["a"]);
            bench.settle();
            make_odd(&bench);
            let told: Vec<String> = (0..5).flat_map(|_| bench.scan()).collect();
            // A malformed document is for the engine to complain of.
            assert_eq!(
                (told.len(), bench.complaints.len()),
                if kind == "malformed" { (1, 0) } else { (0, 1) }
            );
            let file = bench.dir.file("a.json");
            std::fs::remove_file(&file).or_else(|_| std::fs::remove_dir(&file)).unwrap();
            assert_eq!(bench.scan(), [format!("?{id}")], "{kind}");
            assert_eq!(bench.scan(), [format!("-{id}")], "{kind}");
            bench.settle();
        }
    }
}

#[test]
fn an_odd_file_that_becomes_another_task_cancels_the_one_it_was() {
    let mut bench = Bench::new("odd-other");
    bench.put("a.json", named("x"));
    assert_eq!(bench.scan(), ["a"]);
    bench.put("a.json", "{");
    assert_eq!((bench.scan(), bench.scan()), (vec![], vec!["a".to_owned()]));
    bench.put("a.json", named("y"));
    assert_eq!(bench.scan(), ["-x", "a"]);
}

#[test]
fn a_file_that_is_odd_when_the_daemon_starts_does_not_cancel_its_task() {
    let mut bench = Bench::new("odd-start");
    bench.put("a.json", "{");
    bench.restart(&[("x", "a")]);
    assert_eq!((bench.scan(), bench.scan()), (vec![], vec!["a".to_owned()]));
    bench.settle();
    bench.remove("a.json");
    assert_eq!((bench.scan(), bench.scan()), (vec!["?x".to_owned()], vec!["-x".to_owned()]));
}

#[test]
fn more_files_than_there_are_places_for_cancel_nothing_and_the_new_ones_wait() {
    let mut bench = Bench::new("crowded");
    bench.put("z.json", TASK);
    assert_eq!(bench.scan(), ["z"]);
    for number in 0..FILES_MAX + 6 {
        bench.put(&format!("a{number:04}.json"), TASK);
    }
    assert_eq!(bench.scan().len(), FILES_MAX - 1);
    bench.settle();
    assert_eq!(bench.complaints.len(), 1, "{:?}", bench.complaints);
    assert!(
        bench.complaints[0].contains("7 are not looked at; remove finished ones"),
        "{:?}",
        bench.complaints
    );
    // It is still known: it cancels, and leaves its place to the next one by name.
    bench.remove("z.json");
    assert_eq!(bench.scan(), ["?z", "a0255"]);
    assert_eq!(bench.scan(), ["-z"]);
    bench.settle();
    for number in 0..12 {
        bench.remove(&format!("a{number:04}.json"));
    }
    let told = bench.scan();
    assert_eq!(told.iter().filter(|told| !told.starts_with('?')).count(), 6, "{told:?}");
    assert_eq!(bench.scan().len(), 12);
    bench.settle();
    assert_eq!(bench.complaints.len(), 1, "{:?}", bench.complaints);
    for number in 0..20 {
        bench.put(&format!("b{number}.json"), TASK);
    }
    assert_eq!(bench.scan().len(), 6);
    assert_eq!(bench.complaints.len(), 2, "it is crowded anew");
}

#[test]
fn a_crowded_folder_cancels_nothing_when_the_daemon_starts() {
    let mut bench = Bench::new("crowded-start");
    for number in 0..FILES_MAX {
        bench.put(&format!("a{number:04}.json"), TASK);
    }
    bench.put("z.json", named("x"));
    bench.put("zz.json", named("y"));
    // The file of y had another name then: where it is now is not known while files are left out.
    bench.restart(&[("x", "z"), ("y", "other")]);
    let told = bench.scan();
    assert!(told.contains(&"z".to_owned()) && told.len() == FILES_MAX, "{}", told.len());
    bench.settle();
    bench.remove("z.json");
    bench.remove("a0000.json");
    assert_eq!(bench.scan(), ["?a0000", "?x", "a0255", "zz"]);
    assert_eq!(bench.scan(), ["-a0000", "-x"]);
    bench.settle();
}

#[test]
fn a_folder_that_everybody_may_write_into_orders_nothing_new_until_that_is_mended() {
    let mut bench = Bench::new("open");
    bench.put("a.json", named("x"));
    bench.put("b.json", named("y"));
    assert_eq!(bench.scan(), ["a", "b"]);
    bench.settle();
    bench.mode(0o777);
    bench.put("a.json", named("x").replace("Pending", "Delete_Waiting"));
    bench.put("b.json", named("z"));
    bench.put("c.json", TASK);
    bench.put("d.json", "{");
    bench.settle();
    assert_eq!(bench.complaints.len(), 1, "{:?}", bench.complaints);
    let path = bench.dir.path().display().to_string();
    assert!(bench.complaints[0].contains(&format!(
        "anybody can order or cancel here: no new or changed task is taken from it until `chmod o-w {path}`"
    )));
    // What a former run took is still there, whatever its file says now.
    bench.restart(&[("x", "other")]);
    bench.settle();
    bench.mode(0o755);
    assert_eq!(bench.scan(), ["a", "b", "c"]);
    assert_eq!(bench.scan(), ["d"]);
    bench.settle();
    // Taking away is not ordering.
    bench.mode(0o777);
    bench.remove("c.json");
    assert_eq!((bench.scan(), bench.scan()), (vec!["?c".to_owned()], vec!["-c".to_owned()]));
    assert_eq!(bench.complaints.len(), 3, "once for each time, and each process: {:?}", bench.complaints);
}

#[test]
fn a_name_that_would_forge_a_line_of_the_log_is_shown_escaped() {
    let mut bench = Bench::new("forged");
    let name = "a\nERROR all is lost\u{1b}[2J\u{202e}";
    std::fs::create_dir(bench.dir.file(&format!("{name}.json"))).unwrap();
    bench.put(&format!("b{name}.json"), TASK);
    bench.put(&format!("c{name}.json"), "{");
    bench.put(&format!("d{name}.json"), named("x"));
    let told: Vec<String> = (0..4).flat_map(|_| bench.scan()).collect();
    let shown = "a\\nERROR all is lost\\u{1b}[2J\\u{202e}";
    // The document with an Id is a task; the others have no name that could be one.
    assert_eq!(told, [format!("d{shown}")]);
    assert_eq!(bench.complaints.len(), 3, "{:?}", bench.complaints);
    for complaint in &bench.complaints {
        assert!(complaint.contains(shown), "{complaint}");
        assert!(!complaint.contains(['\n', '\u{1b}', '\u{202e}']), "{complaint:?}");
    }
}
