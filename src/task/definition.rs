//! The task itself: every member within its range, every default decided.

use std::collections::BTreeSet;

use super::announced::AnnouncedGroup;
use super::error::TaskError;
use super::id::TaskId;
use super::image_ref::ImageRef;
use super::pace::Interval;
use super::pace::Start;
use super::signature::TaskSignature;
use super::status::TaskStatus;
use crate::image::Digest;
use crate::lorawan::Eui64;
use crate::time::GpsTime;

/// `RedundancyPercent` where the task does not say.
pub const DEFAULT_REDUNDANCY_PERCENT: u8 = 30;

/// The most multicast groups that one task may name.
pub const MAX_GROUPS: usize = 64;

/// The most warnings that are kept; one more says how many there were.
pub const MAX_WARNINGS: usize = 16;

/// An order that can be looked at: whether group, region and air allow it is asked later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its name, under which it runs once and never again.
    pub id: TaskId,
    /// The name of its document; it is another one where a document is for several groups.
    pub document_id: TaskId,
    /// A name for people.
    pub name: Option<String>,
    /// A description for people.
    pub description: Option<String>,
    /// The status at its source.
    pub status: TaskStatus,
    /// The region, `LoRaWAN.RfRegion`, as written.
    pub rf_region: Option<String>,
    /// When it may begin; `None` is not decided yet.
    pub start: Option<Start>,
    /// Where its image lies.
    pub image: ImageRef,
    /// Coded fragments in percent of the uncoded ones, 0 to 100.
    pub redundancy_percent: u8,
    /// FragSize in bytes, 1 to 255 (TS004-1.0.0 3.2); `None`: the largest that fits.
    pub fragment_size_bytes: Option<u16>,
    /// The least distance between fragments; `None`: what law and devices allow.
    pub fragment_interval: Option<Interval>,
    /// The names of its groups, none twice.
    pub groups: Vec<String>,
    /// What the image must hash to.
    pub sha256: Option<Digest>,
    /// n of a session of 2^n seconds, 0 to 15 (TS005-1.0.0 3.5).
    pub session_timeout_exponent: Option<u8>,
    /// By then its last frame is to be out; `None`: any time will do.
    pub finish_by: Option<GpsTime>,
    /// Only coded fragments from this number on are sent, 1 or more: its devices hold the fragmentation session of an
    /// earlier task, and what they heard of it. `None`: the whole image.
    pub coded_from: Option<u16>,
    /// The devices of its groups that it is for, where these are set up here; `None`: all.
    pub devices: Option<BTreeSet<Eui64>>,
    /// Metadata of the image, at most 249 bytes.
    pub descriptor: Option<Vec<u8>>,
    /// The role that may read the image.
    pub role: Option<String>,
    /// Whom its source addresses, by their names there; empty where that is not said.
    pub targets: Vec<String>,
    /// When it was created.
    pub created_at: Option<GpsTime>,
    /// What is announced of the groups here; a campaign that differs from it reaches nobody.
    pub announced: Vec<AnnouncedGroup>,
    /// What is said to sign the image; not checked.
    pub signature: TaskSignature,
    /// A digest from a source that vouches for nothing: an image that differs is refused,
    /// one that fits is not accepted for it.
    pub hinted_sha256: Option<Digest>,
    /// What an operator should know about the document, a sentence each.
    pub warnings: Vec<String>,
}

impl Task {
    /// Whether `other` orders the same frames for the same devices: image, fragment size, redundancy, first coded fragment, devices
    /// and groups (in any order, for the service lists them in any) are unchanged. If not, an armed task is planned anew while nothing was
    /// sent, and refused afterwards. A digest that is given only now, or no longer, changes nothing by itself.
    pub fn same_order(&self, other: &Task) -> bool {
        let sorted = |task: &Task| task.groups.iter().cloned().collect::<BTreeSet<_>>();
        let is_other_digest = self.sha256.is_some() && other.sha256.is_some() && self.sha256 != other.sha256;
        self.image.is_same_place(&other.image)
            && !is_other_digest
            && self.fragment_size_bytes == other.fragment_size_bytes
            && self.redundancy_percent == other.redundancy_percent
            && self.coded_from == other.coded_from
            && self.devices == other.devices
            && sorted(self) == sorted(other)
    }

    /// A task for each of the groups that it names, since each group has devices, sessions and counters of its own.
    /// Each of several is called [`TaskId::of_group`].
    ///
    /// # Errors
    ///
    /// [`TaskError::Value`] when such a name is too long.
    pub fn per_group(self) -> Result<Vec<Task>, TaskError> {
        if self.groups.len() < 2 {
            return Ok(vec![self]);
        }
        self.groups.iter().map(|group| self.for_group(group)).collect()
    }

    /// The one of [`Task::per_group`] that is for `group`.
    ///
    /// # Errors
    ///
    /// [`TaskError::Value`] when its name is too long.
    pub fn for_group(&self, group: &str) -> Result<Task, TaskError> {
        if self.groups.len() < 2 {
            return Ok(self.clone());
        }
        let (id, groups) = (self.document_id.of_group(group)?, vec![group.to_owned()]);
        Ok(Task { id, groups, ..self.clone() })
    }

    /// Whether `other` is this task at another status, and nothing else about it changed.
    pub fn status_only_change(&self, other: &Task) -> bool {
        let status = self.status.clone();
        let moved = Task { status, warnings: self.warnings.clone(), ..other.clone() };
        self.status != other.status && *self == moved
    }

    /// The Descriptor of FragSessionSetupReq (TS004-1.0.0 3.2): the task's, filled up with zeros to 4 bytes.
    /// `None` without one, or with one that is longer.
    pub fn frag_descriptor(&self) -> Option<[u8; 4]> {
        let descriptor = self.descriptor.as_deref()?;
        let mut filled = [0; 4];
        filled.get_mut(..descriptor.len())?.copy_from_slice(descriptor);
        Some(filled)
    }
}
