//! A task that is over is sent once more: coded fragments alone, under fresh counters, to devices that keep what they heard.

use crate::support::small_world::assert_content;
use crate::support::small_world::document;
use crate::support::small_world::run;
use crate::support::small_world::script_of;
use fuotad::campaign::SessionRule;
use fuotad::report::Event;
use fuotad::report::Planned;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::TaskScript;

const SECOND_US: u64 = 1_000_000;
const IMAGE_BYTES: usize = 4_000;
/// Fragments of 48 B.
const NB_FRAG: u32 = 84;

/// A first campaign with too little redundancy, and what `again` says of a second one, which starts at 08:20.
fn twice(redundancy: u8, again: &str, percent: u8) -> Script {
    let mut script = script_of(IMAGE_BYTES);
    script.tasks[0].document = document(redundancy, "");
    let second = document(percent, "").replace("08:00:30Z\"", &format!("08:20:00Z\"{again}"));
    let image = script.tasks[0].image.clone();
    script.tasks.push(TaskScript {
        at_us: 600 * SECOND_US,
        stem: "task-1~2".to_owned(),
        document: second,
        image,
    });
    script.limit_us = 4 * 3_600 * SECOND_US;
    script
}

pub fn plans(summary: &Summary) -> Vec<&Planned> {
    let mut plans = Vec::new();
    for report in &summary.reports {
        if let Event::Planned(planned) = &report.event
            && !plans.contains(&&**planned)
        {
            plans.push(planned);
        }
    }
    plans
}

/// The first coded fragment that the first plan has no counter for.
fn coded_from() -> u32 {
    let summary = run(twice(2, "", 30));
    let planned = plans(&summary)[0];
    planned.end_fcnt - planned.first_fcnt - NB_FRAG
}

#[test]
fn devices_that_kept_what_they_heard_complete_with_fresh_coded_fragments_alone() {
    let again = format!(",\"CodedFrom\":{}", coded_from());
    let summary = run(twice(2, &again, 50));
    assert_content(&summary, "coded fragments alone");
    let [first, second] = plans(&summary)[..] else { panic!("{:#?}", plans(&summary)) };
    assert!(second.is_coded_only && second.first_fcnt >= first.end_fcnt, "{second:?}");
    assert_eq!((second.nb_frag, second.coded), (84, 42));
    let sent_first = summary.frames.iter().filter(|frame| frame.fcnt < first.end_fcnt).count();
    let again: Vec<_> = summary.frames.iter().filter(|frame| frame.fcnt >= second.first_fcnt).collect();
    assert!(sent_first >= 84 && (42..60).contains(&again.len()), "{sent_first}, {}", again.len());
    assert!(again.iter().all(|frame| frame.frame_no > NB_FRAG), "no uncoded fragment");
    assert_eq!(summary.complete(), 3, "{:#?}", summary.devices);
    // Without it two of three stay incomplete.
    let mut alone = twice(2, "", 30);
    alone.tasks.pop();
    assert_eq!(run(alone).complete(), 1);
}

#[test]
fn in_sessions_devices_are_told_the_new_session_and_nothing_that_drops_what_they_heard() {
    let mut script = twice(2, &format!(",\"CodedFrom\":{}", coded_from()), 50);
    script.groups[0].session = SessionRule::Windows { exponent: None, start: None };
    script.tasks[0].document = script.tasks[0].document.replace("08:00:30Z", "08:05:00Z");
    script.tasks[1].document = script.tasks[1].document.replace("08:20:00Z", "09:20:00Z");
    script.devices.iter_mut().for_each(|device| device.settings.permanent_class_c = None);
    let summary = run(script);
    assert_content(&summary, "a further session");
    let second = plans(&summary)[1];
    assert!(second.is_coded_only && second.sessions.len() == 1, "{second:?}");
    assert_eq!(summary.complete(), 3, "{:#?}", summary.devices);
}

#[test]
fn a_gateway_that_dies_at_any_frame_or_save_of_it_goes_on_and_uses_no_counter_twice() {
    let again = format!(",\"CodedFrom\":{}", coded_from());
    let mut died = 0;
    let of_saves = (1..40).flat_map(|n| [Fault::KillAtDiskOperation(n), Fault::AtDiskOperation(n)]);
    let of_frames =
        (1..60).step_by(4).flat_map(|n| [Fault::Kill(n), Fault::AfterSend(n), Fault::BeforeSend(n)]);
    for fault in of_saves.chain(of_frames) {
        // The first campaign is over when this life begins.
        let faults = vec![Fault::KillAfter(700 * SECOND_US), fault];
        let summary = run(Script { faults, ..twice(2, &again, 60) });
        let story = format!("{fault:?}");
        assert_content(&summary, &story);
        assert_eq!(summary.complete(), 3, "{story}: {:#?}", summary.reports);
        died += u32::from(summary.restarts > 1);
    }
    assert!(died > 80, "only {died} died");
}

#[test]
fn coded_fragments_alone_are_refused_where_nothing_would_come_of_them() {
    let refused = |script: Script| run(script).refusal().unwrap_or("nothing").to_owned();
    let none = refused(twice(2, ",\"CodedFrom\":100", 0));
    assert!(none.contains("sends nothing"), "{none}");
    let zero = refused(twice(2, ",\"CodedFrom\":0", 30));
    assert!(zero.contains("Fuotad.CodedFrom is 0; allowed: a whole number from 1 to 16382"), "{zero}");
    let far = refused(twice(2, ",\"CodedFrom\":16380", 30));
    assert!(far.contains("TS004 numbers 16383 fragments"), "{far}");
    // Whoever answers must say what it holds; nobody here can be told anything.
    let nobody = refused(twice(2, ",\"Devices\":[]", 30));
    assert!(nobody.contains("Fuotad.Devices is") && nobody.contains("at least one"), "{nobody}");
    let no_eui = refused(twice(2, ",\"Devices\":[\"70b3d57ed0000001\",\"meter-1\"]", 30));
    assert!(no_eui.contains("Fuotad.Devices[1] is \"meter-1\"; allowed: a DevEUI"), "{no_eui}");
}
