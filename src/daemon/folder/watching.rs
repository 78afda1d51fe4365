//! Looks into the folder whenever something happens there, and every few seconds anyway.

use super::listing;
use super::notices::News;
use super::notices::Notices;
use super::notices::Watch;
use super::task_folder::FILES_MAX;
use super::task_folder::Scan;
use super::task_folder::TaskFolder;
use super::task_folder::stem_told;
use crate::daemon::fact::Fact;
use crate::task::TaskId;
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// While something is missing or still being written the next look comes this soon.
const SOON: Duration = Duration::from_millis(500);
/// Two looks are never closer than this, whatever happens in the folder.
const APART: Duration = Duration::from_millis(50);
/// Files that may be taken away during one look and are remembered until its end.
const VANISHED_MAX: usize = 2 * FILES_MAX;

/// Tells what happens in the folder, for ever. A file that is taken away is told as [`Fact::Missing`] at once, and as
/// [`Fact::Gone`] when it is still missing half a second later. `scan_us`: how often everything is looked at when the
/// system tells of nothing, microseconds.
pub async fn watch(folder: TaskFolder, scan_us: u64, tell: mpsc::Sender<Fact>) {
    let watching = Watching {
        folder,
        notices: Notices::default(),
        tell,
        began: Instant::now(),
        every: Duration::from_micros(scan_us),
    };
    // Ends when nobody listens any more: the daemon stops.
    let _ = watching.run().await;
}

/// Nobody listens any more.
struct Closed;

struct Watching {
    folder: TaskFolder,
    notices: Notices,
    tell: mpsc::Sender<Fact>,
    began: Instant,
    every: Duration,
}

/// What a look on another thread comes back with: the watch, if one was to be set.
type Looked = (Option<io::Result<Watch>>, Scan, TaskFolder);

impl Watching {
    async fn run(mut self) -> Result<(), Closed> {
        loop {
            let wait = self.look().await?;
            let looked = Instant::now();
            let mut due = looked + wait;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => break,
                    News { vanished } = self.notices.next() => {
                        self.vanish(vanished, &BTreeSet::new()).await?;
                        due = due.min(looked + APART);
                    }
                }
            }
        }
    }

    /// One look; how long until the next one.
    async fn look(&mut self) -> Result<Duration, Closed> {
        let tasks = self.folder.tasks();
        let (is_watching, now) = (self.notices.is_watching(), self.began.elapsed());
        let mut folder = std::mem::take(&mut self.folder);
        let mut look = tokio::task::spawn_blocking(move || -> Looked {
            // The watch first, so that nothing falls between it and the look.
            let watch = (!is_watching).then(|| Watch::set(folder.path()));
            let scan = folder.scan(now);
            (watch, scan, folder)
        });
        let (mut vanished, mut held, mut is_outrun) = (Vec::new(), BTreeSet::new(), false);
        // The disk may take its time; a file that is taken away meanwhile is told at once.
        let (watch, scan, folder) = loop {
            tokio::select! {
                looked = &mut look => break looked.map_err(|_| Closed)?,
                news = self.notices.next() => {
                    is_outrun = true;
                    for name in news.vanished {
                        if let Some(task) = tasks.get(&name).filter(|task| held.insert((*task).clone())) {
                            self.tell(Fact::Missing(task.clone())).await?;
                        }
                        // The next look finds what does not fit.
                        if vanished.len() < VANISHED_MAX {
                            vanished.push(name);
                        }
                    }
                }
            }
        };
        self.folder = folder;
        let deaf = watch.and_then(|watch| self.notices.listen(watch));
        for complaint in scan.complaints.into_iter().chain(deaf) {
            tracing::warn!("{complaint}");
        }
        for fact in scan.facts {
            if !is_outdated(&fact, &vanished) {
                self.tell(fact).await?;
            }
        }
        is_outrun |= self.notices.compare(scan.identity);
        self.vanish(vanished, &held).await?;
        let wait = match (is_outrun, scan.is_restless) {
            (true, _) => APART,
            (false, true) => SOON,
            (false, false) => self.every,
        };
        Ok(wait.min(self.every))
    }

    /// Tells which tasks wait now that these files were taken away, but for those that are `held` already.
    async fn vanish(&mut self, names: Vec<String>, held: &BTreeSet<TaskId>) -> Result<(), Closed> {
        let now = self.began.elapsed();
        for name in names {
            if let Some(task) = self.folder.vanish(&name, now)
                && !held.contains(&task)
            {
                self.tell(Fact::Missing(task)).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, fact: Fact) -> Result<(), Closed> {
        self.tell.send(fact).await.map_err(|_| Closed)
    }
}

/// Whether it tells of a file that was taken away while it was looked at: its document is told again when it is back.
fn is_outdated(fact: &Fact, vanished: &[String]) -> bool {
    let Fact::Task { stem, .. } = fact else { return false };
    vanished.iter().any(|name| stem_told(listing::stem_of(name)) == *stem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::folder::task_folder::STILL;
    use crate::daemon::folder::tests::TASK;
    use crate::daemon::folder::tests::TempDir;
    use crate::daemon::folder::tests::named;
    use crate::daemon::folder::tests::short;
    use std::path::Path;

    /// Longer than anything takes.
    const LIMIT: Duration = Duration::from_secs(20);
    /// Nothing is found by looking again and again.
    const NEVER_US: u64 = 3_600_000_000;
    /// Notices that the system keeps, at most (`fs.inotify.max_queued_events`, as it usually is), and some more.
    const FLOOD: usize = 8_000;

    /// The folder, watched, and what is told of it.
    async fn bench(dir: &Path, scan_us: u64, work: impl AsyncFnOnce(&mut mpsc::Receiver<Fact>)) {
        let (tell, mut facts) = mpsc::channel(16);
        let folder = TaskFolder::new(dir.to_owned(), []);
        tokio::select! {
            () = watch(folder, scan_us, tell) => panic!("it ended"),
            () = work(&mut facts) => {}
        }
    }

    async fn next(facts: &mut mpsc::Receiver<Fact>) -> String {
        short(&tokio::time::timeout(LIMIT, facts.recv()).await.unwrap().unwrap())
    }

    #[tokio::test]
    async fn what_comes_changes_and_goes_is_told_without_looking_again_and_again() {
        let dir = TempDir::new("watched");
        let file = dir.file("a.json");
        std::fs::write(&file, TASK).unwrap();
        bench(dir.path(), NEVER_US, async |facts| {
            assert_eq!(next(facts).await, "a");
            std::fs::write(&file, TASK.replace("Pending", "FuotaSession_Waiting")).unwrap();
            assert_eq!(next(facts).await, "a");
            std::fs::write(dir.file("new"), named("x")).unwrap();
            std::fs::rename(dir.file("new"), dir.file("b.json")).unwrap();
            assert_eq!(next(facts).await, "b");
            for (name, id) in [("a.json", "a"), ("b.json", "x")] {
                std::fs::rename(dir.file(name), dir.file("away")).unwrap();
                let moved = Instant::now();
                assert_eq!(next(facts).await, format!("?{id}"));
                assert_eq!(next(facts).await, format!("-{id}"));
                assert!(moved.elapsed() >= STILL, "an editor needs a moment");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_file_that_is_replaced_in_two_steps_is_missing_for_a_moment_and_told_again() {
        let dir = TempDir::new("two-steps");
        let file = dir.file("a.json");
        std::fs::write(&file, TASK).unwrap();
        bench(dir.path(), NEVER_US, async |facts| {
            assert_eq!(next(facts).await, "a");
            for _ in 0..3 {
                std::fs::remove_file(&file).unwrap();
                assert_eq!(next(facts).await, "?a");
                std::fs::write(&file, TASK).unwrap();
                assert_eq!(next(facts).await, "a", "the same bytes are told again");
            }
            // Both steps before anybody looks.
            std::fs::remove_file(&file).unwrap();
            std::fs::write(&file, TASK).unwrap();
            assert_eq!(next(facts).await, "?a");
            assert_eq!(next(facts).await, "a");
            // In one step it is not missing at all, and the same bytes are no news.
            std::fs::write(dir.file("new"), TASK).unwrap();
            std::fs::rename(dir.file("new"), &file).unwrap();
            std::fs::remove_file(&file).unwrap();
            assert_eq!(next(facts).await, "?a");
            assert_eq!(next(facts).await, "-a");
        })
        .await;
    }

    #[tokio::test]
    async fn notices_that_were_lost_are_made_up_for_by_a_look() {
        let dir = TempDir::new("overflow");
        let file = dir.file("a.json");
        std::fs::write(&file, TASK).unwrap();
        bench(dir.path(), NEVER_US, async |facts| {
            assert_eq!(next(facts).await, "a");
            // Until nothing is looked for any more but what is noticed.
            assert!(tokio::time::timeout(3 * SOON, facts.recv()).await.is_err(), "nothing happens");
            // Nobody reads meanwhile: this thread is the only one.
            for number in 0..FLOOD {
                let other = dir.file(&number.to_string());
                std::fs::write(&other, "").unwrap();
                std::fs::remove_file(other).unwrap();
            }
            std::fs::remove_file(&file).unwrap();
            assert_eq!(next(facts).await, "?a");
            assert_eq!(next(facts).await, "-a");
        })
        .await;
    }

    #[tokio::test]
    async fn a_folder_that_is_made_again_is_looked_into_again() {
        let dir = TempDir::new("again");
        let (tasks, file) = (dir.file("tasks"), dir.file("tasks").join("a.json"));
        std::fs::create_dir(&tasks).unwrap();
        std::fs::write(&file, TASK).unwrap();
        // A folder that is not there can only be looked for.
        bench(&tasks, 50_000, async |facts| {
            assert_eq!(next(facts).await, "a");
            std::fs::remove_file(&file).unwrap();
            std::fs::remove_dir(&tasks).unwrap();
            assert_eq!(next(facts).await, "?a");
            std::fs::create_dir(&tasks).unwrap();
            std::fs::write(&file, TASK).unwrap();
            assert_eq!(next(facts).await, "a");
            // Another folder under the same name: nothing in the first one was touched.
            std::fs::rename(&tasks, dir.file("old")).unwrap();
            std::fs::create_dir(&tasks).unwrap();
            assert_eq!(next(facts).await, "?a");
            assert_eq!(next(facts).await, "-a");
            std::fs::write(&file, TASK).unwrap();
            assert_eq!(next(facts).await, "a");
        })
        .await;
    }
}
