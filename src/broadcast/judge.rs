//! What will come of an order: the one judge of the service and of every command that says it beforehand.
//!
//! The document alone decides much, the image's length more, its bytes all but the air. Whoever asks says what it has;
//! the answers differ only by what is not known yet.

use super::arming::Late;
use super::arming::check_begin;
use super::arming::check_finish;
use super::arming::check_start;
use super::arming::check_vouched;
use super::arming::lateness;
use super::arming::session_warnings;
use super::io::TaskSource;
use super::site::Means;
use super::site::Site;
use super::turn_rule::TurnRule;
use crate::campaign::Begin;
use crate::campaign::Group;
use crate::campaign::Plan;
use crate::campaign::agreement;
use crate::campaign::check_region;
use crate::image::Digest;
use crate::image::Image;
use crate::image::ImageForm;
use crate::region::Parameters;
use crate::report::WaitReason;
use crate::schedule::Kept;
use crate::schedule::Scheduler;
use crate::signing::SigningTrust;
use crate::task::ImageRef;
use crate::task::Task;
use crate::task::TaskStatus;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use core::fmt;
use std::collections::BTreeMap;

/// Judges orders without carrying them out. No Debug: groups hold keys.
pub struct Judge {
    site: Site,
    scheduler: Scheduler,
}

/// What is known of an order's image.
#[derive(Clone, Copy, Debug)]
pub enum KnownImage<'a> {
    /// Nothing but its name.
    Named,
    /// Its length in bytes.
    Length(usize),
    /// The bytes of the whole image.
    Bytes(&'a [u8]),
}

/// What will come of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What an operator should know, whatever comes of it, a sentence each.
    pub warnings: Vec<String>,
    /// What will come of it, as far as is known.
    pub outcome: Foreseen,
}

/// What will come of an order, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// It is sent, and begins then.
    Sent(Begin),
    /// It is taken, and nothing is sent before this is there.
    Waits(String),
    /// It is not taken, and that is no fault: why.
    LeftAlone(String),
    /// It is refused: one line with the way out.
    Refused(String),
}

impl fmt::Display for Foreseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreseen::Sent(Begin::At(start)) => write!(f, "it begins at {}", rfc3339_from_gps(*start)),
            Foreseen::Sent(Begin::Sessions(sessions)) if !sessions.is_empty() => {
                write!(f, "its first session opens at {}", rfc3339_from_gps(sessions[0].start))
            }
            Foreseen::Sent(_) => f.write_str("it begins at once"),
            Foreseen::Waits(what) => write!(f, "nothing would be sent: it waits for {what}"),
            Foreseen::LeftAlone(why) => write!(f, "nothing would be sent: {why}"),
            Foreseen::Refused(reason) => f.write_str(reason),
        }
    }
}

impl Judge {
    /// A judge with a gateway's settings, as the service has them.
    pub fn new(
        region: &'static Parameters,
        groups: Vec<Group>,
        trust_by_task: BTreeMap<String, SigningTrust>,
        means: Means,
        kept: Kept,
    ) -> Judge {
        let scheduler = Scheduler::of(region, kept);
        Judge { site: Site::new(region, groups, TurnRule::default(), trust_by_task, means), scheduler }
    }

    /// What will come of `task`, which is for one group at most ([`Task::per_group`]).
    /// It is looked at when the time is `gps`; `None`: nobody knows the time.
    pub fn judge(
        &self,
        task: &Task,
        source: TaskSource,
        image: KnownImage<'_>,
        gps: Option<GpsTime>,
    ) -> Judgement {
        let mut warnings = of_document(&self.site, task, source);
        let outcome = self.outcome(task, source, image, gps, &mut warnings).unwrap_or_else(Foreseen::Refused);
        Judgement { warnings, outcome }
    }

    fn outcome(
        &self,
        task: &Task,
        source: TaskSource,
        image: KnownImage<'_>,
        gps: Option<GpsTime>,
        warnings: &mut Vec<String>,
    ) -> Result<Foreseen, String> {
        if let Some(why) = left_alone(task, source) {
            return Ok(Foreseen::LeftAlone(why));
        }
        let is_at_hand = matches!(image, KnownImage::Bytes(_));
        let group = check_document(&self.site, task, source, is_at_hand)?;
        let image = match image {
            KnownImage::Named => {
                let begin = check_start(task, source, group)?;
                return Ok(begin.map_or_else(no_start, Foreseen::Sent));
            }
            // What is planned depends on the length alone.
            KnownImage::Length(len) => of_its_own(vec![0; len])?,
            KnownImage::Bytes(bytes) => {
                let expected = task.sha256.or(task.hinted_sha256).unwrap_or_else(|| Digest::of(bytes));
                let image = Image::verify(bytes.to_vec(), expected).map_err(|error| error.to_string())?;
                warnings.extend(check_form(bytes, group)?);
                image
            }
        };
        let base = group.first_fcnt.unwrap_or_default();
        let plan = Plan::new(task, group, &image, self.site.region(), &self.scheduler, base);
        let plan = plan.map_err(|error| error.to_string())?;
        warnings.extend(plan.warnings.iter().cloned());
        warnings.extend(agreement::warnings(task, group));
        let begin = check_begin(task, source, group, &plan)?;
        check_finish(task, &plan, &begin, gps)?;
        warnings.extend(session_warnings(group, &begin, gps));
        Ok(match lateness(group, &begin, gps) {
            Late::Missed(text, ended) => {
                warnings.push(text);
                let (left, planned) = (plan.frames(), plan.frames());
                Foreseen::Waits(WaitReason::Missed { ended: Some(ended), left, planned }.to_string())
            }
            Late::Begun(text) => {
                warnings.push(text);
                Foreseen::Sent(begin)
            }
            Late::No if begin == Begin::Unknown => no_start(),
            Late::No => Foreseen::Sent(begin),
        })
    }
}

fn of_its_own(bytes: Vec<u8>) -> Result<Image, String> {
    let digest = Digest::of(&bytes);
    Image::verify(bytes, digest).map_err(|error| error.to_string())
}

fn no_start() -> Foreseen {
    Foreseen::Waits(WaitReason::NoStart.to_string())
}

/// Why an order is not taken although nothing is wrong with it.
pub fn left_alone(task: &Task, source: TaskSource) -> Option<String> {
    match (&task.status, source) {
        (TaskStatus::Deleting, _) => Some(
            "its source is deleting it (Delete_Waiting or DELETE_...): it is withdrawn, and what runs of it stops".to_owned(),
        ),
        (TaskStatus::Done, TaskSource::Cloud) => {
            Some("its source is done with it (FuotaDone): what runs here goes on, nothing begins".to_owned())
        }
        (TaskStatus::Unknown(status), TaskSource::Cloud) => {
            Some(format!("Status {status:?} is unknown to this version: the task is left alone"))
        }
        _ => None,
    }
}

/// What is to be said of an order by its document alone.
pub fn of_document(site: &Site, task: &Task, source: TaskSource) -> Vec<String> {
    let mut warnings = task.warnings.clone();
    if source == TaskSource::File && task.status == TaskStatus::Done {
        warnings.push(
            "Status is FuotaDone: its source is done with it, and as a file it is sent all the same"
                .to_owned(),
        );
    }
    let begins = |group| check_start(task, source, group);
    let is_uncalled = task.status == TaskStatus::InSession && source == TaskSource::File;
    if is_uncalled && site.group_of(task).and_then(begins) == Ok(None) {
        let text = "a file does not begin by its status, as an order does that is polled: give it a StartTime or a \"Start\"";
        warnings.push(text.to_owned());
    }
    warnings.extend(site.means().stranger(&task.targets));
    if let ImageRef::S3 { role, .. } = &task.image {
        warnings.extend(site.means().other_rights(role.as_deref(), task.role.as_deref()));
    }
    warnings
}

/// Whatever the document alone decides, and the group that it is for. An image that is not `is_at_hand` has to be fetched.
///
/// # Errors
/// One line: why the order cannot be carried out.
pub fn check_document<'a>(
    site: &'a Site,
    task: &Task,
    source: TaskSource,
    is_at_hand: bool,
) -> Result<&'a Group, String> {
    let group = site.group_of(task)?;
    check_region(task, site.region()).map_err(|error| error.to_string())?;
    agreement::check(task, group)?;
    if !is_at_hand && !site.means().fetches && !matches!(task.image, ImageRef::File(_)) {
        return Err(format!(
            "no image: {} is not on this disk and no cloud is configured: download it and name it as file:///path",
            task.image
        ));
    }
    check_vouched(task, group, site.trust(task, group))?;
    check_start(task, source, group)?;
    Ok(group)
}

/// What is to be said of an image that a device could make use of only if it unpacks it.
///
/// # Errors
/// One line: it is no firmware image, but looks like something that is made into one.
pub fn check_form(bytes: &[u8], group: &Group) -> Result<Option<String>, String> {
    let Some(form) = ImageForm::of(bytes).filter(|_| !group.takes_any_image) else { return Ok(None) };
    let text = format!("the image looks like {form}: {}", form.way_out());
    let silence = format!("write image-kind = \"any\" for group {} if its devices want it so", group.name);
    match form.may_be_meant() {
        true => Ok(Some(format!("{text}; {silence}"))),
        false => Err(format!("{text}, or {silence}")),
    }
}
