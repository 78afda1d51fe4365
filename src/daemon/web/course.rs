//! How campaigns went: frames over time, kept for as long as the process lives.

use crate::daemon::snapshot::Snapshot;
use serde::Serialize;

/// Points of one campaign: with one more, every other is given up.
const POINTS_MAX: usize = 240;
/// Campaigns that are remembered; the oldest makes room.
const CAMPAIGNS_MAX: usize = 16;

/// The courses of the latest campaigns, oldest first.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Courses(Vec<Course>);

/// The course of one campaign.
#[derive(Debug, Serialize)]
struct Course {
    task: String,
    frames: u32,
    /// Seconds since the start of the process, and frames behind us by then.
    points: Vec<(u64, u32)>,
}

impl Courses {
    /// Takes down how far every campaign is.
    pub fn note(&mut self, snapshot: &Snapshot) {
        for task in &snapshot.tasks {
            let Some(campaign) = &task.campaign else { continue };
            let known = self.0.iter().position(|course| course.task == task.task);
            let course = match known {
                Some(at) => &mut self.0[at],
                None => {
                    if self.0.len() == CAMPAIGNS_MAX {
                        self.0.remove(0);
                    }
                    self.0.push(Course { task: task.task.clone(), frames: 0, points: Vec::new() });
                    let last = self.0.len() - 1;
                    &mut self.0[last]
                }
            };
            course.frames = campaign.frames;
            course.add((snapshot.uptime_s, campaign.frames_done));
        }
        // What is over has no campaign any more: all its frames are behind us, or it says why not.
        for (task, outcome) in &snapshot.finished {
            let course =
                self.0.iter_mut().find(|course| course.task == *task && outcome.starts_with("complete"));
            if let Some(course) = course.filter(|course| course.is_open()) {
                let frames = course.frames;
                course.add((snapshot.uptime_s, frames));
            }
        }
    }
}

impl Course {
    fn is_open(&self) -> bool {
        self.points.last().is_some_and(|(_, frames)| *frames < self.frames)
    }

    /// Of a stretch without a frame its two ends are kept.
    fn add(&mut self, point: (u64, u32)) {
        if let [.., before, last] = self.points.as_mut_slice()
            && before.1 == last.1
            && last.1 == point.1
        {
            *last = point;
            return;
        }
        self.points.push(point);
        if self.points.len() > POINTS_MAX {
            let last = self.points.len() - 1;
            let mut at = 0;
            self.points.retain(|_| {
                at += 1;
                at % 2 == 1 || at > last
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::snapshot::CampaignSnapshot;
    use crate::daemon::snapshot::TaskSnapshot;

    fn at(uptime_s: u64, task: &str, frames_done: u32) -> Snapshot {
        let campaign = CampaignSnapshot { frames_done, frames: 100_000, ..CampaignSnapshot::default() };
        let task =
            TaskSnapshot { task: task.to_owned(), campaign: Some(campaign), ..TaskSnapshot::default() };
        Snapshot { uptime_s, tasks: vec![task], ..Snapshot::default() }
    }

    #[test]
    fn a_long_course_keeps_its_ends_and_stays_small() {
        let mut courses = Courses::default();
        (0..5000).for_each(|s| courses.note(&at(s, "a", s as u32)));
        let points = &courses.0[0].points;
        assert!(points.len() <= POINTS_MAX && points.len() > POINTS_MAX / 3, "{}", points.len());
        assert_eq!((points[0], *points.last().unwrap()), ((0, 0), (4999, 4999)));
        assert!(points.is_sorted());
    }

    #[test]
    fn a_pause_is_two_points_and_the_oldest_of_many_campaigns_makes_room() {
        let mut courses = Courses::default();
        (0..500).for_each(|s| courses.note(&at(s, "a", 7)));
        assert_eq!(courses.0[0].points, [(0, 7), (499, 7)]);
        (0..20).for_each(|n| courses.note(&at(500, &n.to_string(), 1)));
        assert_eq!(courses.0.len(), CAMPAIGNS_MAX);
        assert_eq!(courses.0[0].task, "4");
    }

    #[test]
    fn a_campaign_that_is_complete_has_its_last_point() {
        let mut courses = Courses::default();
        courses.note(&at(1, "a", 99_000));
        let over = Snapshot {
            uptime_s: 9,
            finished: vec![("a".to_owned(), "complete: all".to_owned())],
            ..Snapshot::default()
        };
        courses.note(&over);
        courses.note(&Snapshot { uptime_s: 10, ..over });
        assert_eq!(courses.0[0].points, [(1, 99_000), (9, 100_000)]);
    }
}
