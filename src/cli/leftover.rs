//! Which devices a task left without its image, and what each of them needs.

use super::exit::Failure;
use crate::answers::Holding;
use crate::engine::KeptResults;
use crate::fleet::FragSession;
use crate::lorawan::Eui64;
use crate::lorawan::KeyFingerprint;
use crate::store::FleetRecord;
use crate::task::TaskId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The devices of a group after a task.
pub struct Leftover {
    /// The devices that are not known to hold the image, and the word for each.
    open: BTreeMap<Eui64, String>,
    /// The devices of the group.
    all: usize,
    /// Fragments that the worst of those misses who said so.
    worst: u16,
    /// The open devices that do not hold the fragmentation session any more.
    lost: BTreeSet<Eui64>,
}

impl Leftover {
    /// What `records` of the state folder, or else the task's `report`, say of the group's devices `all` after `task`.
    ///
    /// # Errors
    /// Neither says it, or nobody is left.
    pub fn find(
        task: &TaskId,
        (key, all): (KeyFingerprint, &[Eui64]),
        session: Option<&FragSession>,
        records: &[FleetRecord],
        report: &Value,
    ) -> Result<Leftover, Failure> {
        let kept = KeptResults::read(key, records).filter(|kept| kept.task == *task);
        let open = match &kept {
            Some(kept) => of_records(kept, all),
            None => of_report(task, report)?,
        };
        let open: BTreeMap<Eui64, String> =
            open.into_iter().filter(|(dev_eui, _)| all.contains(dev_eui)).collect();
        if open.is_empty() {
            let all = all.len();
            return Err(Failure::data(format!("nobody misses anything: {all} of {all} hold the image")));
        }
        let holders = session.map(|session| session.holders(key, records)).unwrap_or_default();
        let keeps =
            |(dev_eui, word): &(&Eui64, &String)| missing(word).is_some() && holders.contains(*dev_eui);
        let lost = open.iter().filter(|device| !keeps(device)).map(|(dev_eui, _)| *dev_eui).collect();
        let worst = open.values().filter_map(|word| missing(word)).max().unwrap_or(0);
        Ok(Leftover { open, all: all.len(), worst, lost })
    }

    /// The devices that are to be sent to, by their DevEUIs.
    pub fn devices(&self) -> Vec<String> {
        self.open.keys().map(Eui64::to_string).collect()
    }

    /// The most fragments that one of them said it misses.
    pub fn worst(&self) -> u16 {
        self.worst
    }

    /// Why coded fragments alone are not enough; `None` where they are.
    pub fn needs_whole(&self) -> Option<String> {
        let (lost, open) = (self.lost.len(), self.open.len());
        (lost > 0).then(|| {
            format!(
                "{lost} of {open} devices need a fresh fragmentation session ({}), so all {open} are set up anew",
                self.counted(|dev_eui| self.lost.contains(dev_eui))
            )
        })
    }

    /// Whom it is for, one line.
    pub fn sentence(&self) -> String {
        let (open, all) = (self.open.len(), self.all);
        let held = all - open;
        format!(
            "for {open} of {all} devices: {}; {held} hold the image and are left alone",
            self.counted(|_| true)
        )
    }

    /// How many of the devices are what, in words.
    fn counted(&self, is_meant: impl Fn(&Eui64) -> bool) -> String {
        let mut counts = BTreeMap::<&str, usize>::new();
        for (_, word) in self.open.iter().filter(|(dev_eui, _)| is_meant(dev_eui)) {
            *counts.entry(if missing(word).is_some() { "missing fragments" } else { word }).or_default() += 1;
        }
        let words = counts.into_iter().map(|(word, count)| format!("{count} {word}"));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// The devices of a campaign that its own records do not call done. What came into the list since was not told.
fn of_records(kept: &KeptResults, all: &[Eui64]) -> BTreeMap<Eui64, String> {
    let word = |holding: &Holding| match holding {
        Holding::Failed(_) => holding.word().to_owned(),
        other => other.to_string(),
    };
    let open =
        kept.holdings.iter().filter(|(_, holding)| !matches!(holding, Holding::Done | Holding::Probably));
    let open = open.map(|(dev_eui, holding)| (*dev_eui, word(holding)));
    let is_new = |dev_eui: &&Eui64| !kept.is_for_some && !kept.holdings.contains_key(dev_eui);
    let new = all.iter().filter(is_new).map(|dev_eui| (*dev_eui, Holding::NotTold.word().to_owned()));
    open.chain(new).collect()
}

/// The devices that a report names, where it names all that do not hold the image.
fn of_report(task: &TaskId, report: &Value) -> Result<BTreeMap<Eui64, String>, Failure> {
    let results = &report["results"];
    let (Some(counts), Some(without)) = (results["counts"].as_object(), results["without"].as_object())
    else {
        return Err(Failure::data(format!(
            "nobody kept what the devices of {task} hold: the newest campaign of its group is another one, or it was not asked to its end; --all sends the whole image to all of them"
        )));
    };
    let is_open = |(word, _): &(&String, &Value)| !matches!(word.as_str(), "done" | "probably");
    let open: u64 = counts.iter().filter(is_open).filter_map(|(_, count)| count.as_u64()).sum();
    if open != without.len() as u64 {
        return Err(Failure::data(format!(
            "the report of {task} names {} of {open} devices that do not hold the image, and the newest campaign of its group is another one: --all sends the whole image to all of them",
            without.len()
        )));
    }
    let device = |(dev_eui, word): (&String, &Value)| {
        Some((dev_eui.parse().ok()?, word.as_str().unwrap_or_default().to_owned()))
    };
    Ok(without.iter().filter_map(device).collect())
}

/// The fragments that a device misses, by its word.
fn missing(word: &str) -> Option<u16> {
    word.strip_prefix("missing ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY: KeyFingerprint = KeyFingerprint::from_bytes([1; 16]);

    fn device(number: u8) -> Eui64 {
        Eui64::from_bytes([number; 8])
    }

    fn found(report: &Value) -> Result<Leftover, String> {
        let all: Vec<Eui64> = (1..=5).map(device).collect();
        let task = TaskId::new("meters-1").unwrap();
        let found = Leftover::find(&task, (KEY, &all), None, &[], report);
        found.map_err(|failure| failure.to_string())
    }

    fn report(open: u32, without: &[(u8, &str)]) -> Value {
        let without: serde_json::Map<String, Value> =
            without.iter().map(|(number, word)| (device(*number).to_string(), (*word).into())).collect();
        json!({"results": {"counts": {"done": 2, "probably": 1, "missing": open, "unheard": 0}, "without": without}})
    }

    #[test]
    fn whoever_a_report_does_not_call_done_is_sent_to_and_who_left_the_group_is_not() {
        let left = found(&report(3, &[(1, "missing 7"), (2, "unheard"), (9, "missing 90")])).unwrap();
        assert_eq!(left.devices(), [device(1).to_string(), device(2).to_string()]);
        assert_eq!(left.worst(), 7);
        assert_eq!(
            left.sentence(),
            "for 2 of 5 devices: 1 missing fragments, 1 unheard; 3 hold the image and are left alone"
        );
        // No record says that the first one still has its session.
        let whole = left.needs_whole().unwrap();
        assert!(whole.starts_with("2 of 2 devices need a fresh fragmentation session (1 missing"), "{whole}");
    }

    #[test]
    fn a_report_that_names_too_few_or_nobody_is_refused_with_the_way_out() {
        let said = |report: &Value| found(report).err().unwrap();
        let few = said(&report(121, &[(1, "missing 7")]));
        assert!(few.contains("names 1 of 121 devices") && few.contains("--all"), "{few}");
        let none = said(&Value::Null);
        assert!(none.contains("nobody kept what the devices of meters-1 hold"), "{none}");
        assert_eq!(said(&report(0, &[])), "nobody misses anything: 5 of 5 hold the image");
    }
}
