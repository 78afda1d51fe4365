//! What must survive a power cut: which counters of a key are spent, how far each campaign has come, how much
//! airtime is spent, which tasks are known.
//!
//! The room does no I/O. It speaks to a [`Files`], whose operations make durability explicit, so that the same
//! code runs on a real directory and on a simulated disk that is cut at every operation.
//!
//! | file | holds | written |
//! |---|---|---|
//! | `<fingerprint>.a`, `<fingerprint>.b` | the range journal of one key, 16 slots of 4 KiB | A, sync, B, sync, once a campaign |
//! | `key-<fingerprint>` | the key's enrolment | once, by command |
//! | `marks` | progress and the pre-charged ledger, 16 slots of 4 KiB | in place, one sync |
//! | `ended` | the tasks that are over, 8 slots of 8 KiB | in place, once a campaign |
//! | `lives` | short lives in a row, 2 slots of 4 KiB | in place, twice a life |
//! | `task-<id>` | one record and a trailer | temporary file, sync, rename, directory sync |
//! | `fleet-<id>` | the dialogues with up to 64 devices, their answers, which tasks are paused, or what was learned, and a trailer | the same way, with each answer of one |
//! | `report-<name>` | one JSON object with its number and its sum | the same way |
//! | `*.new` | a file on its way | removed at the next start |
//!
//! Orders that came over the control path have a folder of their own: [`OrderFolder`].
//!
//! Every slot and every trailer has a magic number, a format version and a CRC-32C at fixed places that no
//! later version may move. A record that is whole and of a newer version refuses the start before anything
//! was changed; a record that is not whole is damage.
//!
//! # Why no counter is handed out twice
//!
//! 0. *Enrol*: a key begins by command, with a journal and a record beside it. A key without both sends nothing; one
//!    whose journal is gone is lost, not new.
//! 1. *Reserve*: the record n + 1 is durable in file A, then in file B, and only then may its range be used. A record
//!    holds every range whose plan is not over: a restart finds all of them again, not the newest only.
//! 2. *Recover*: the maximum of all readable records of both files counts, never the first readable file.
//! 3. *Level*: before anything else that maximum is written to its slot in both files. Otherwise one file lags
//!    behind through several cuts, and one lost page uncovers an old number. It also makes durable what
//!    recovery read from a cache. The file that lacks the record goes first: no write ever endangers
//!    the last copy of it.
//! 4. *Damage*: a slot number that is unreadable in both files may have held a newer record. Only the plans of
//!    the newest readable record may go on then (their ranges are their own whatever was lost); no new plan
//!    and no extension may.
//! 5. *Repair last*: damaged slots are rewritten only after a new reservation is durable, and slots that are
//!    unreadable in both files never, because they are the evidence that step 4 counts.
//! 6. No readable record, or one of a foreign key: the counter is lost, until the key is enrolled again beyond
//!    every counter it ever used.
//!
//! # What is over stays over
//!
//! Its record says so and the list `ended` does: one of the two can be lost, and the list needs no room
//! on a full disk.
//! # An example
//!
//! ```
//! use fuotad::lorawan::KeyFingerprint;
//! use fuotad::sim::disk::{Disk, PageFate};
//! use fuotad::store::{Change, Enrolment, RecordId, Reservation, Store, enrol};
//!
//! let (boot_id, key) = ([1; 16], KeyFingerprint::from_bytes([7; 16]));
//! let mut disk = Disk::new();
//! enrol(&mut disk, key, &Enrolment::new("meters", None, 2, false), boot_id)?;
//! let (mut store, _) = Store::open(disk, boot_id)?;
//! let task = RecordId([1; 16]);
//! let wanted = Reservation { key, mc_addr: 0x01c0_ffee, base: 2, next_free: 102, plan_hash: [9; 32], task };
//! store.apply(&Change::Reserve { wanted, over: Vec::new() })?;
//! // The power goes, and with it all that was not synced.
//! let mut disk = store.into_files();
//! disk.power_cut(&mut |_| PageFate::Old);
//! let (_, recovered) = Store::open(disk, boot_id)?;
//! let counters = recovered.ranges[&key].counters();
//! assert_eq!(counters.map(|counters| counters.next_free), Some(102));
//! # Ok::<(), fuotad::store::StoreError>(())
//! ```

mod bytes;
mod ended;
mod enrol;
mod enrolment;
mod error;
mod files;
mod journal;
mod lives;
mod mark;
mod new_file;
mod orders;
mod range;
mod record;
mod recovery;
mod report;
mod ring;
mod state_store;

pub use ended::ENDED_MAX;
pub use ended::EndedTask;
pub use enrol::enrol;
pub use enrolment::Enrolment;
pub use error::StoreError;
pub use files::FILE_BYTES_MAX;
pub use files::Files;
pub use files::FilesError;
pub use files::FilesErrorKind;
pub use mark::CAMPAIGNS_MAX;
pub use mark::CampaignMark;
pub use mark::Mark;
pub use orders::ORDERS_MAX;
pub use orders::OrderError;
pub use orders::OrderFolder;
pub use orders::PIECE_BYTES_MAX;
pub use orders::UPLOADS_MAX;
pub use range::FCNT_FIRST;
pub use range::KeyCounters;
pub use range::NEXT_FREE_MAX;
pub use range::RESERVATIONS_MAX;
pub use range::RangeState;
pub use range::Reservation;
pub use range::SLOT_BYTES;
pub use range::SLOTS;
pub use record::FLEET_BYTES_MAX;
pub use record::FleetRecord;
pub use record::RecordId;
pub use record::TASK_BYTES_MAX;
pub use record::TaskRecord;
pub use recovery::KEYS_MAX;
pub use recovery::Recovered;
pub use recovery::read;
pub use recovery::read_reports;
pub use report::REPORT_BYTES_MAX;
pub use state_store::Change;
pub use state_store::FLEETS_MAX;
pub use state_store::REPORTS_MAX;
pub use state_store::Store;
pub use state_store::TASKS_MAX;
