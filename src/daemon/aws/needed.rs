//! Which images tasks need: those of tasks that are not over. They stay in the cache, because a campaign asks for its
//! image again after a restart, when there may be no backhaul.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::daemon::fact::TASKS_MAX;
use crate::image::Digest;
use crate::task::TaskId;

/// One image for each task, at most; the task that asked last is the last one. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub(super) struct Needed(Arc<Mutex<VecDeque<(TaskId, Digest)>>>);

impl Needed {
    /// The task needs the image with this digest from now on, and no other; `None`: which one is not known yet.
    pub(super) fn need(&self, task: &TaskId, digest: Option<Digest>) {
        let mut needed = self.list();
        needed.retain(|(id, _)| id != task);
        needed.extend(digest.map(|digest| (task.clone(), digest)));
        // No more tasks than these are open: the end of the one that asked longest ago was not heard of.
        if needed.len() > TASKS_MAX {
            needed.pop_front();
        }
    }

    /// The task needs nothing any more.
    pub(super) fn over(&self, task: &TaskId) {
        self.need(task, None);
    }

    /// All that are needed.
    pub(super) fn digests(&self) -> BTreeSet<Digest> {
        self.list().iter().map(|(_, digest)| *digest).collect()
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<(TaskId, Digest)>> {
        // Nothing is half done when somebody panics with it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_needs_one_image_and_the_list_is_bounded() {
        let needed = Needed::default();
        let (task, digest) =
            (|n: usize| TaskId::new(&n.to_string()).unwrap(), |n: usize| Digest::of(&n.to_be_bytes()));
        needed.need(&task(0), Some(digest(0)));
        needed.need(&task(1), Some(digest(0)));
        needed.over(&task(0));
        assert_eq!(needed.digests(), [digest(0)].into(), "another task needs it, too");
        needed.need(&task(1), Some(digest(1)));
        assert_eq!(needed.digests(), [digest(1)].into());
        needed.need(&task(1), None);
        assert_eq!(needed.digests(), [].into());
        for n in 0..TASKS_MAX + 10 {
            needed.need(&task(n), Some(digest(n)));
        }
        assert_eq!(needed.digests().len(), TASKS_MAX);
        assert!(!needed.digests().contains(&digest(9)) && needed.digests().contains(&digest(10)));
    }
}
