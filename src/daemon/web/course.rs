//! How campaigns went: frames and devices over time, kept for as long as the process lives.

use crate::daemon::snapshot::FleetSnapshot;
use crate::daemon::snapshot::Snapshot;
use crate::odds::completes_by_formula;
use serde::Serialize;

/// Points of one campaign: with one more, every other is given up.
const POINTS_MAX: usize = 240;
/// Campaigns that are remembered; the oldest makes room.
const CAMPAIGNS_MAX: usize = 16;

/// Groups whose devices are remembered.
const GROUPS_MAX: usize = 16;
/// The part of the frames that a device loses, of those at the two edges of what is foreseen, per cent.
pub const LOSS_PERCENTS: [u8; 2] = [20, 5];
/// Points of what is foreseen.
const FORESEEN: u32 = 24;

/// The courses of the latest campaigns and of all groups, oldest first.
#[derive(Debug, Default, Serialize)]
pub struct Courses {
    courses: Vec<Course>,
    fleets: Vec<FleetCourse>,
    losses: [u8; 2],
}

/// The course of one campaign.
#[derive(Debug, Serialize)]
struct Course {
    task: String,
    frames: u32,
    fragments: u32,
    /// Seconds since the start of the process, and frames behind us by then.
    points: Vec<(u64, u32)>,
    /// Frames, and the part of the devices that hold the image by then at each of [`LOSS_PERCENTS`].
    foreseen: Vec<(u32, f64, f64)>,
}

/// The devices of one group over time.
#[derive(Debug, Serialize)]
struct FleetCourse {
    group: String,
    /// Seconds since the start of the process; devices that are proved, told and not proved, asked, and out of reach.
    points: Vec<(u64, [u32; 4])>,
}

impl Courses {
    /// Takes down how far every campaign is.
    pub fn note(&mut self, snapshot: &Snapshot) {
        self.losses = LOSS_PERCENTS;
        snapshot.fleets.iter().for_each(|fleet| self.note_fleet(snapshot.uptime_s, fleet));
        for task in &snapshot.tasks {
            let Some(campaign) = &task.campaign else { continue };
            let courses = &mut self.courses;
            let known = courses.iter().position(|course| course.task == task.task);
            let course = match known {
                Some(at) => &mut courses[at],
                None => {
                    if courses.len() == CAMPAIGNS_MAX {
                        courses.remove(0);
                    }
                    courses.push(Course::new(&task.task));
                    let last = courses.len() - 1;
                    &mut courses[last]
                }
            };
            course.plan(campaign.fragments, campaign.frames);
            course.add((snapshot.uptime_s, campaign.frames_done));
        }
        // What is over has no campaign any more: all its frames are behind us, or it says why not.
        for (task, outcome) in &snapshot.finished {
            let course = self
                .courses
                .iter_mut()
                .find(|course| course.task == *task && outcome.starts_with("complete"));
            if let Some(course) = course.filter(|course| course.is_open()) {
                let frames = course.frames;
                course.add((snapshot.uptime_s, frames));
            }
        }
    }
}

impl Courses {
    fn note_fleet(&mut self, uptime_s: u64, fleet: &FleetSnapshot) {
        let known = self.fleets.iter().position(|course| course.group == fleet.group);
        if known.is_none() && self.fleets.len() < GROUPS_MAX {
            self.fleets.push(FleetCourse { group: fleet.group.clone(), points: Vec::new() });
        }
        if let Some(course) = self.fleets.iter_mut().find(|course| course.group == fleet.group) {
            let lost = fleet.refused + fleet.not_heard_here + fleet.silent;
            let told = fleet.told.saturating_sub(fleet.proved);
            let asked = fleet.devices.saturating_sub(fleet.told + lost);
            add(&mut course.points, (uptime_s, [fleet.proved, told, asked, lost]));
        }
    }
}

/// What is foreseen of a campaign with so many uncoded fragments and frames: from the last uncoded one on.
fn foreseen(fragments: u32, frames: u32) -> Vec<(u32, f64, f64)> {
    let Ok(nb_frag) = u16::try_from(fragments) else { return Vec::new() };
    let ahead = frames.saturating_sub(fragments);
    let at = |step: u32| {
        let coded = (u64::from(ahead) * u64::from(step) / u64::from(FORESEEN)) as u32;
        let part = |loss: u8| {
            let coded = u16::try_from(coded).unwrap_or(u16::MAX);
            let part = completes_by_formula(nb_frag, coded, f64::from(loss) / 100.0);
            (part * 1e4).round() / 1e4
        };
        let [low, high] = LOSS_PERCENTS.map(part);
        (fragments + coded, low, high)
    };
    (0..=FORESEEN.min(ahead)).map(|step| at(step * FORESEEN / FORESEEN.min(ahead).max(1))).collect()
}

impl Course {
    fn new(task: &str) -> Course {
        Course { task: task.to_owned(), frames: 0, fragments: 0, points: Vec::new(), foreseen: Vec::new() }
    }

    /// What is planned; what is foreseen is found anew only when that changed.
    fn plan(&mut self, fragments: u32, frames: u32) {
        if (self.fragments, self.frames) != (fragments, frames) {
            (self.fragments, self.frames) = (fragments, frames);
            self.foreseen = foreseen(fragments, frames);
        }
    }

    fn is_open(&self) -> bool {
        self.points.last().is_some_and(|(_, frames)| *frames < self.frames)
    }

    fn add(&mut self, point: (u64, u32)) {
        add(&mut self.points, point);
    }
}

/// Of a stretch without a change its two ends are kept.
fn add<T: PartialEq>(points: &mut Vec<(u64, T)>, point: (u64, T)) {
    if let [.., before, last] = points.as_mut_slice()
        && before.1 == last.1
        && last.1 == point.1
    {
        *last = point;
        return;
    }
    points.push(point);
    if points.len() > POINTS_MAX {
        let last = points.len() - 1;
        let mut at = 0;
        points.retain(|_| {
            at += 1;
            at % 2 == 1 || at > last
        });
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
        let points = &courses.courses[0].points;
        assert!(points.len() <= POINTS_MAX && points.len() > POINTS_MAX / 3, "{}", points.len());
        assert_eq!((points[0], *points.last().unwrap()), ((0, 0), (4999, 4999)));
        assert!(points.is_sorted());
    }

    #[test]
    fn a_pause_is_two_points_and_the_oldest_of_many_campaigns_makes_room() {
        let mut courses = Courses::default();
        (0..500).for_each(|s| courses.note(&at(s, "a", 7)));
        assert_eq!(courses.courses[0].points, [(0, 7), (499, 7)]);
        (0..20).for_each(|n| courses.note(&at(500, &n.to_string(), 1)));
        assert_eq!(courses.courses.len(), CAMPAIGNS_MAX);
        assert_eq!(courses.courses[0].task, "4");
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
        assert_eq!(courses.courses[0].points, [(1, 99_000), (9, 100_000)]);
    }

    #[test]
    fn what_is_foreseen_of_devices_rises_from_the_last_uncoded_frame_to_the_end() {
        let band = foreseen(100, 140);
        assert_eq!((band[0].0, band.last().unwrap().0, band.len()), (100, 140, 25));
        assert!(band.windows(2).all(|pair| pair[0].1 <= pair[1].1 && pair[0].2 <= pair[1].2), "{band:?}");
        assert!(band.iter().all(|(_, low, high)| low <= high));
        let (_, low, high) = band[24];
        assert!(high > 0.999 && low > 0.9, "40 coded fragments mend what is lost at 20 %: {band:?}");
        assert!(band[0].2 < 0.01, "without a coded one hardly anybody lost nothing: {band:?}");
        assert_eq!(foreseen(100, 100).len(), 1);
        assert_eq!(foreseen(100, 103).last().unwrap().0, 103);
        assert!(foreseen(70_000, 80_000).is_empty());
    }

    #[test]
    fn devices_of_a_group_stand_in_one_state_each_over_time() {
        let mut courses = Courses::default();
        let fleet = |told, proved| FleetSnapshot {
            group: "meters".to_owned(),
            devices: 10,
            told,
            proved,
            silent: 1,
            ..FleetSnapshot::default()
        };
        for (uptime_s, told, proved) in [(1, 0, 0), (2, 4, 0), (3, 4, 0), (4, 4, 0), (5, 9, 2)] {
            courses.note(&Snapshot { uptime_s, fleets: vec![fleet(told, proved)], ..Snapshot::default() });
        }
        let points = &courses.fleets[0].points;
        let expected = [(1, [0, 0, 9, 1]), (2, [0, 4, 5, 1]), (4, [0, 4, 5, 1]), (5, [2, 7, 0, 1])];
        assert_eq!(*points, expected);
    }
}
