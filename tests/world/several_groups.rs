//! One order for several groups: a campaign for each of them.

use crate::support::small_world::assert_content;
use crate::support::small_world::document;
use crate::support::small_world::group;
use crate::support::small_world::image;
use crate::support::small_world::listener;
use crate::support::small_world::run;
use crate::support::small_world::script;
use fuotad::campaign::Group;
use fuotad::lorawan::McAddr;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::Secret;
use fuotad::report::Event;
use fuotad::report::Outcome;
use fuotad::sim::DeviceScript;
use fuotad::sim::Fault;
use fuotad::sim::Script;
use fuotad::sim::Summary;
use fuotad::sim::TaskScript;

fn lamps() -> Group {
    let (mc_addr, mc_key) = (McAddr::new(0x01c0_fffe), Secret::from_bytes([9; 16]));
    let keys = McSessionKeys::derive(&mc_key, mc_addr);
    Group { name: "lamps".to_owned(), mc_addr, keys, mc_key: Some(mc_key), ..group() }
}

fn device(name: &str, group: &str) -> DeviceScript {
    DeviceScript { group: Some(group.to_owned()), ..listener(name, 0) }
}

/// The document `stem` for these groups (JSON), put into the folder after so many seconds.
fn ordered(at_s: u64, stem: &str, groups: &str, more: &str) -> TaskScript {
    let named = format!(r#""MulticastGroups":{groups},"Start""#);
    let document = document(50, more).replace(r#""Start""#, &named);
    TaskScript { at_us: at_s * 1_000_000, stem: stem.to_owned(), document, image: image(1000) }
}

fn two_groups() -> Script {
    Script {
        groups: vec![group(), lamps()],
        tasks: vec![ordered(1, "fw", r#"["meters","lamps"]"#, "")],
        devices: vec![device("m1", "meters"), device("l1", "lamps")],
        ..script()
    }
}

/// How each task ended, by its id.
fn outcomes(summary: &Summary) -> Vec<(&str, &Outcome)> {
    let over = summary.reports.iter().filter_map(|report| match &report.event {
        Event::Over(outcome) => Some((report.task.as_ref()?.as_str(), outcome)),
        _ => None,
    });
    let mut outcomes: Vec<_> = over.collect();
    outcomes.sort_by_key(|(task, _)| *task);
    outcomes
}

fn refusals(summary: &Summary) -> Vec<(&str, &str)> {
    let refused = summary.reports.iter().filter_map(|report| match &report.event {
        Event::Refused { reason } => Some((report.task.as_ref()?.as_str(), reason.as_str())),
        _ => None,
    });
    refused.collect()
}

#[test]
fn an_order_for_two_groups_reaches_the_devices_of_both() {
    let summary = run(two_groups());
    assert_content(&summary, "two groups");
    assert_eq!(summary.complete(), 2, "{:#?}", summary.reports);
    let over = outcomes(&summary);
    assert!(
        matches!(over[..], [("fw@lamps", Outcome::Complete(_)), ("fw@meters", Outcome::Complete(_))]),
        "{over:?}"
    );
}

#[test]
fn each_of_the_two_goes_on_where_it_was_after_a_power_cut() {
    for frame in [1, 5, 20, 33, 34, 40, 60] {
        let summary = run(Script { faults: vec![Fault::AfterSend(frame)], ..two_groups() });
        assert_content(&summary, &format!("cut after frame {frame}"));
        assert_eq!((summary.complete(), summary.restarts), (2, 1), "{frame}: {:#?}", summary.reports);
        assert_eq!(summary.refusal(), None, "{frame}");
    }
}

#[test]
fn the_document_of_two_campaigns_withdraws_both() {
    let mut script = two_groups();
    script.tasks[0].image = image(20_000);
    let mut withdrawn = ordered(60, "fw", r#"["meters","lamps"]"#, r#","Status":"Delete_Waiting""#);
    withdrawn.image = image(20_000);
    script.tasks.push(withdrawn);
    let summary = run(script);
    assert_content(&summary, "withdrawn");
    let over = outcomes(&summary);
    assert!(
        matches!(
            over[..],
            [("fw@lamps", Outcome::Cancelled { .. }), ("fw@meters", Outcome::Cancelled { .. })]
        ),
        "{over:?}"
    );
}

#[test]
fn what_was_sent_to_a_group_is_not_sent_again_when_the_document_names_fewer_or_more() {
    // Another order keeps the world going until the document is seen again.
    let again = |first: &str, later: &str| {
        let mut script = two_groups();
        script.tasks = vec![
            ordered(1, "fw", first, ""),
            ordered(2000, "fw", later, ""),
            ordered(2001, "end", r#"["lamps"]"#, ""),
        ];
        let summary = run(script);
        assert_content(&summary, later);
        let seen = summary.reports.iter().filter(|report| matches!(report.event, Event::AlreadyOver { .. }));
        (outcomes(&summary).len(), seen.count())
    };
    let both = r#"["meters","lamps"]"#;
    assert_eq!(again(both, r#"["meters"]"#), (3, 1));
    assert_eq!(again(both, both), (3, 2));
    // One was sent under the name of the document.
    assert_eq!(again(r#"["meters"]"#, both), (2, 2));
}

#[test]
fn a_group_that_the_document_names_no_more_gets_nothing() {
    let mut script = two_groups();
    script.tasks.push(ordered(5, "fw", r#"["meters"]"#, ""));
    let summary = run(script);
    assert_content(&summary, "fewer groups");
    let refused = refusals(&summary);
    let of =
        |id: &str| refused.iter().any(|(task, why)| *task == id && why.contains("does not name its group"));
    assert!(of("fw@lamps") && of("fw@meters"), "{refused:?}");
    assert!(matches!(outcomes(&summary)[..], [("fw", Outcome::Complete(_))]), "{:#?}", summary.reports);
}

#[test]
fn groups_that_are_changed_after_the_first_frame_change_nothing() {
    let mut script = two_groups();
    script.tasks.push(ordered(40, "fw", r#"["lamps"]"#, ""));
    let summary = run(script);
    assert_content(&summary, "changed too late");
    assert!(refusals(&summary)[0].1.contains("names other groups after its first frame was sent"));
    assert_eq!(outcomes(&summary).len(), 2, "{:#?}", summary.reports);
}

#[test]
fn a_group_of_the_two_that_is_not_there_costs_the_other_nothing() {
    let mut script = two_groups();
    script.tasks[0] = ordered(1, "fw", r#"["meters","valves"]"#, "");
    let summary = run(script);
    assert!(matches!(refusals(&summary)[..], [("fw@valves", why)] if why.contains("one of meters, lamps")));
    assert!(matches!(outcomes(&summary)[..], [("fw@meters", Outcome::Complete(_))]));
}
