//! The devices of groups with a network server, as the engine sets them up.

use super::devices::DeviceConfig;
use super::devices::Devices;
use super::error::ConfigError;
use super::error::Mistakes;
use super::group::GiveUpConfig;
use super::group::GroupConfig;
use super::group::SessionKind;
use super::group::StartWhenConfig;
use super::lns::LnsConfig;
use crate::answers::AnswerWindow;
use crate::answers::GiveUp;
use crate::answers::Habit;
use crate::campaign::CANARY_FCNTS;
use crate::campaign::Group;
use crate::engine::FleetSettings;
use crate::fleet::AirtimeRule;
use crate::fleet::Batch;
use crate::fleet::CANARIES_MAX;
use crate::fleet::FleetRules;
use crate::fleet::Member;
use crate::fleet::SessionMics;
use crate::fleet::StartWhen;
use crate::region::Parameters;
use std::collections::BTreeMap;

/// More downlinks for one device in a day are no set-up any more.
const DOWNLINKS_PER_DAY_MAX: u16 = 1000;
/// More questions than this drain batteries for nothing.
const QUESTIONS_MAX: u16 = 100;
/// More sessions for devices that miss something than anybody waits for.
const FURTHER_SESSIONS_MAX: u16 = 10;
/// Between two questions to one device, seconds: answers may take as long as the lower one, nobody waits for the upper.
const QUESTION_INTERVAL_S: core::ops::RangeInclusive<u32> = 60..=604_800;
/// A day of airtime, seconds.
const AIRTIME_MAX_S: u32 = 86_400;
/// Nobody waits longer than half a year for devices, hours.
const AT_LATEST_H_MAX: u64 = 4392;

/// The fleets of those groups that name one of `servers`; `devices` are the devices files, by the names of their groups.
///
/// # Errors
/// Every value that cannot be used.
pub(super) fn fleets(
    servers: &[LnsConfig],
    groups: &[GroupConfig],
    devices: &BTreeMap<String, Devices>,
    region: &'static Parameters,
) -> Result<Vec<FleetSettings>, ConfigError> {
    let members = |group: &GroupConfig| {
        let devices = devices.get(&group.name)?;
        let batch = Batch::named(&devices.batch_name());
        Some(devices.device.iter().filter_map(|device| member(device, devices, batch)).collect())
    };
    fleets_of(servers, groups, &members, region)
}

/// The same with the members of each group that has a list of them.
///
/// # Errors
/// Every value that cannot be used.
pub(super) fn fleets_of(
    servers: &[LnsConfig],
    groups: &[GroupConfig],
    members: &dyn Fn(&GroupConfig) -> Option<Vec<Member>>,
    region: &'static Parameters,
) -> Result<Vec<FleetSettings>, ConfigError> {
    let mut mistakes = Mistakes::default();
    let mut rules = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        rules.push(mistakes.take(rules_of(server, index, region)));
    }
    let mut fleets = Vec::new();
    for group in groups {
        let link = servers.iter().position(|server| Some(&server.name) == group.lns.as_ref());
        let Some((link, members)) = link.zip(members(group)) else { continue };
        let Some(Some(rules)) = rules.get(link).cloned() else { continue };
        let start_when = mistakes.take(start_when(group));
        let give_up = mistakes.take(give_up(group)).unwrap_or_default();
        let question_interval_s = mistakes.take(question_interval_s(group)).flatten();
        let (start_when, canaries) = (start_when.flatten(), canaries(group));
        // Only LoRa Basics Modem leaves its session with its group.
        let deletes_group = group.device_profile.profile().habit == Habit::Lbm;
        let rules = FleetRules { start_when, give_up, question_interval_s, canaries, deletes_group, ..rules };
        fleets.push(FleetSettings { group: group.name.clone(), link, rules, members });
    }
    mistakes.or(Some(fleets))
}

fn rules_of(
    server: &LnsConfig,
    index: usize,
    region: &'static Parameters,
) -> Result<FleetRules, ConfigError> {
    let wrong = |key: &str, message: String| ConfigError::value(format!("lns[{index}].{key}"), message);
    let mut mistakes = Mistakes::default();
    let share = server.setup_share;
    // A comparison with what is no number is false.
    if !(share > 0.0 && share <= 1.0) {
        let message =
            format!("{share} is outside 0 to 1: write a part, like 0.25; without devices to set up, no lns");
        mistakes.add(wrong("setup-share", message));
    }
    let per_day = server.max_downlinks_per_day;
    if !(1..=DOWNLINKS_PER_DAY_MAX).contains(&per_day) {
        let message = format!("{per_day} is outside 1 to {DOWNLINKS_PER_DAY_MAX}");
        mistakes.add(wrong("max-downlinks-per-day", message));
    }
    mistakes.or(Some(FleetRules {
        answers_time: server.answers_time,
        max_downlinks_per_day: per_day,
        airtime: Some(AirtimeRule { region, share_ppm: (share * 1e6) as u32 }),
        ..FleetRules::new(server.kind)
    }))
}

/// How many canaries of an unproved batch are asked at once. Devices of Zephyr answer all within 16 ms.
fn canaries(group: &GroupConfig) -> u8 {
    match group.device_profile.profile().habit {
        _ if group.canary == Some(false) || group.session() == SessionKind::Always => 0,
        Habit::Zephyr => 1,
        _ => CANARIES_MAX as u8,
    }
}

/// How much is spent on devices that still miss fragments.
fn give_up(group: &GroupConfig) -> Result<GiveUp, ConfigError> {
    let wrong =
        |key: &str, message: String| Err(ConfigError::value(format!("group {}.{key}", group.name), message));
    let GiveUp { questions, answers_us, further_sessions, .. } = GiveUp::default();
    let usual = GiveUpConfig { questions, airtime_s: None, answers_h: None, sessions: None };
    let GiveUpConfig { questions, airtime_s, answers_h, sessions } = group.give_up.unwrap_or(usual);
    if !(1..=QUESTIONS_MAX).contains(&questions) {
        let message =
            format!("{questions} is outside 1 to {QUESTIONS_MAX}: who is to answer nothing needs no lns");
        return wrong("give-up.questions", message);
    }
    if airtime_s.is_some_and(|airtime_s| !(1..=AIRTIME_MAX_S).contains(&airtime_s)) {
        let found = airtime_s.unwrap_or_default();
        return wrong("give-up.airtime-s", format!("{found} is outside 1 to {AIRTIME_MAX_S}, in seconds"));
    }
    if let Some(found) = answers_h.filter(|answers_h| !(1..=AT_LATEST_H_MAX).contains(answers_h)) {
        return wrong("give-up.answers-h", format!("{found} is outside 1 to {AT_LATEST_H_MAX}, in hours"));
    }
    if let Some(found) = sessions.filter(|sessions| *sessions > FURTHER_SESSIONS_MAX) {
        return wrong("give-up.sessions", format!("{found} is more than {FURTHER_SESSIONS_MAX}"));
    }
    if group.max_behind == Some(0) {
        return wrong("max-behind", "0 leaves nobody to send for: write 1 or more, or nothing".to_owned());
    }
    let airtime_us = airtime_s.map(|airtime_s| u64::from(airtime_s) * 1_000_000);
    let answers_us = answers_h.map_or(answers_us, |answers_h| answers_h * 3_600_000_000);
    let further_sessions = sessions.unwrap_or(further_sessions);
    Ok(GiveUp { questions, airtime_us, max_behind: group.max_behind, answers_us, further_sessions })
}

/// How often one device is asked what it holds.
fn question_interval_s(group: &GroupConfig) -> Result<Option<u32>, ConfigError> {
    let (least, most) = QUESTION_INTERVAL_S.into_inner();
    match group.min_question_interval_s {
        Some(found) if !QUESTION_INTERVAL_S.contains(&found) => Err(ConfigError::value(
            format!("group {}.min-question-interval-s", group.name),
            format!("{found} is outside {least} to {most}, in seconds"),
        )),
        interval_s => Ok(interval_s),
    }
}

/// The answers of these devices are heard: their groups' campaigns go on until they hold the image. Devices of Zephyr
/// answer a multicast question all within 16 ms, so nobody would be heard: they are not asked.
pub(super) fn hear_answers(groups: &mut [Group], fleets: &[FleetSettings], region: &Parameters) {
    let usual = (&region.usual_uplinks(), region.usual_channels());
    for fleet in fleets {
        for group in groups.iter_mut().filter(|group| group.name == fleet.group) {
            group.is_set_up_here = true;
            group.sessions.further = fleet.rules.give_up.further_sessions > 0;
            if group.profile.habit == Habit::Zephyr {
                continue;
            }
            let Ok(rate) = region.data_rate(group.data_rate) else { continue };
            let (devices, habit) = (fleet.members.len(), group.profile.habit);
            group.answer_window = Some(AnswerWindow::new(devices, habit, rate.modulation, usual));
        }
    }
}

/// Campaigns of groups whose batches are proved keep counters for that.
pub(super) fn keep_canary_fcnts(groups: &mut [Group], fleets: &[FleetSettings]) {
    for group in groups {
        let is_its = |fleet: &&FleetSettings| fleet.group == group.name && fleet.rules.canaries > 0;
        if fleets.iter().any(|fleet| is_its(&fleet)) {
            group.canary_fcnts = CANARY_FCNTS;
        }
    }
}

/// When a task without a start begins.
fn start_when(group: &GroupConfig) -> Result<Option<StartWhen>, ConfigError> {
    let Some(StartWhenConfig { ready_percent, min_ready_percent, at_latest_h }) = group.start_when else {
        return Ok(None);
    };
    let wrong = |key: &str, message: String| {
        Err(ConfigError::value(format!("group {}.start-when.{key}", group.name), message))
    };
    if !(1..=100).contains(&ready_percent) {
        return wrong("ready-percent", format!("{ready_percent} is outside 1 to 100"));
    }
    if !(1..=ready_percent).contains(&min_ready_percent) {
        let message = format!("{min_ready_percent} is outside 1 to ready-percent, {ready_percent}");
        return wrong("min-ready-percent", message);
    }
    if !(1..=AT_LATEST_H_MAX).contains(&at_latest_h) {
        return wrong("at-latest-h", format!("{at_latest_h} is outside 1 to {AT_LATEST_H_MAX}, in hours"));
    }
    Ok(Some(StartWhen { ready_percent, min_ready_percent, at_latest_us: at_latest_h * 3_600_000_000 }))
}

/// `None` for a device that lacks what a gateway needs, which was told.
fn member(device: &DeviceConfig, of: &Devices, batch: Batch) -> Option<Member> {
    let mics = of.image.as_ref().filter(|_| !device.mics.is_empty()).map(|image| SessionMics {
        sha256: image.sha256.0,
        descriptor: image.descriptor.0,
        first_session_cnt: image.first_session_cnt,
        mics: device.mics.iter().map(|mic| mic.0).collect(),
    });
    Some(Member {
        dev_eui: device.dev_eui.as_ref()?.parse().ok()?,
        name: device.name.clone(),
        mc_key_encrypted: device.mc_key_encrypted?.0,
        batch,
        session_mics: mics,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Redundancy;
    use crate::config::file::Config;
    use crate::lorawan::Secret;
    use crate::region::RfRegion;
    use crate::region::parameters;

    fn made(lns: &str) -> Result<Vec<FleetSettings>, String> {
        made_with(lns, "")
    }

    fn made_with(lns: &str, group: &str) -> Result<Vec<FleetSettings>, String> {
        let text = format!(
            "[gateway]\nregion = \"EU868\"\n[[lns]]\nname = \"other\"\nkind = \"chirpstack\"\nbroker = \"mqtt://h\"\n\
             applications = []\n[[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtt://h\"\napplications = []\n{lns}\n\
             [[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nlns = \"cs\"\n{group}\n[[group]]\nname = \"lamps\"\nmc-addr = \"01c0ffef\"\n"
        );
        let config = Config::from_text(&text, &BTreeMap::new()).map_err(|error| error.to_string())?;
        let devices = format!(
            "[image]\nsha256 = \"{}\"\nbytes = 1000\nfirst-session-cnt = 3\n[[device]]\nname = \"m1\"\ndev-eui = \"70B3D57ED0000001\"\n\
             mc-key-encrypted = \"000102030405060708090a0b0c0d0e0f\"\nmics = [\"01020304\", \"05060708\"]\n[[device]]\nname = \"m2\"\n",
            "ab".repeat(32)
        );
        let devices = BTreeMap::from([("meters".to_owned(), Devices::from_text(&devices).unwrap())]);
        let region = parameters(RfRegion::Eu868).unwrap();
        fleets(&config.lns, &config.group, &devices, region).map_err(|error| error.to_string())
    }

    #[test]
    fn the_devices_of_a_group_are_set_up_through_its_own_network_server_under_its_rules() {
        let fleets = made("answers-time = true\nsetup-share = 0.5\nmax-downlinks-per-day = 10").unwrap();
        let [fleet] = &fleets[..] else { panic!("{} fleets", fleets.len()) };
        assert_eq!((fleet.group.as_str(), fleet.link), ("meters", 1));
        let rules = &fleet.rules;
        assert_eq!((rules.answers_time, rules.max_downlinks_per_day), (true, 10));
        assert_eq!(rules.airtime.unwrap().share_ppm, 500_000);
        let [member] = &fleet.members[..] else { panic!("{} members", fleet.members.len()) };
        assert_eq!(
            (member.dev_eui.to_string().as_str(), member.mc_key_encrypted[15]),
            ("70b3d57ed0000001", 15)
        );
        let mics = member.session_mics.as_ref().unwrap();
        assert_eq!((mics.first_session_cnt, mics.mics[1], mics.sha256), (3, [5, 6, 7, 8], [0xab; 32]));
        let usual = &made("").unwrap()[0].rules;
        assert_eq!((usual.answers_time, usual.max_downlinks_per_day), (false, 20));
        assert_eq!(usual.airtime.unwrap().share_ppm, 250_000);
    }

    #[test]
    fn a_start_that_waits_for_devices_has_its_bounds() {
        let made = |written: &str| made_with("", &format!("start-when = {written}"));
        let right = made("{ ready-percent = 95, min-ready-percent = 60, at-latest-h = 168 }").unwrap();
        let wanted = StartWhen { ready_percent: 95, min_ready_percent: 60, at_latest_us: 604_800_000_000 };
        assert_eq!(right[0].rules.start_when, Some(wanted));
        for (written, part) in [
            (
                "{ ready-percent = 0, min-ready-percent = 0, at-latest-h = 1 }",
                "start-when.ready-percent: 0 is outside 1 to 100",
            ),
            ("{ ready-percent = 101, min-ready-percent = 1, at-latest-h = 1 }", "101 is outside 1 to 100"),
            (
                "{ ready-percent = 50, min-ready-percent = 51, at-latest-h = 1 }",
                "51 is outside 1 to ready-percent, 50",
            ),
            (
                "{ ready-percent = 50, min-ready-percent = 5, at-latest-h = 4393 }",
                "4393 is outside 1 to 4392, in hours",
            ),
            ("{ ready-percent = 50, at-latest-h = 1 }", "min-ready-percent"),
        ] {
            let error = made(written).map(|_| ()).unwrap_err();
            assert!(error.contains(part), "{written}: {error}");
        }
    }

    #[test]
    fn canaries_prove_a_new_list_unless_the_group_says_no_and_those_of_zephyr_one_after_the_other() {
        let canaries = |more: &str| made_with("", more).unwrap()[0].rules.canaries;
        assert_eq!(canaries(""), 3);
        assert_eq!(canaries("canary = true"), 3);
        assert_eq!(canaries("canary = false"), 0);
        assert_eq!(canaries("device-profile = \"zephyr\""), 1);
        assert_eq!(canaries("session = \"always\""), 0);
    }

    #[test]
    fn groups_with_devices_behind_a_network_server_are_asked_but_those_of_zephyr() {
        let heard = |profile: &str| {
            let fleets = made("").unwrap();
            let text = format!(
                "[gateway]\nregion = \"EU868\"\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nmc-key-file = \"k\"\n{profile}"
            );
            let config = Config::from_text(&text, &BTreeMap::new()).unwrap();
            let mut groups = config.engine(&mut |_| Ok(Secret::from_bytes([7; 16]))).unwrap().groups;
            assert!(!groups[0].is_set_up_here);
            hear_answers(&mut groups, &fleets, parameters(RfRegion::Eu868).unwrap());
            assert!(groups[0].is_set_up_here, "{profile}");
            groups[0].answer_window.map(|window| window.block_ack_delay)
        };
        assert_eq!(heard(""), Some(0));
        assert_eq!(heard("device-profile = \"zephyr\""), None);
    }

    #[test]
    fn a_group_is_lean_where_it_says_so() {
        let rule = |written: &str| {
            let text = format!(
                "[gateway]\nregion = \"EU868\"\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nmc-key-file = \"k\"\n{written}"
            );
            let config = Config::from_text(&text, &BTreeMap::new()).unwrap();
            config.engine(&mut |_| Ok(Secret::from_bytes([7; 16]))).unwrap().groups[0].redundancy
        };
        assert_eq!((rule(""), rule("redundancy = \"ordered\"")), (Redundancy::Ordered, Redundancy::Ordered));
        assert_eq!(rule("redundancy = \"lean\""), Redundancy::Lean(None));
    }

    #[test]
    fn what_is_spent_on_devices_that_miss_fragments_has_its_bounds() {
        let made = |written: &str| made_with("", written);
        let usual = made("").unwrap()[0].rules.give_up;
        let two_days_us = 48 * 3_600_000_000;
        let wanted = GiveUp {
            questions: 12,
            airtime_us: None,
            max_behind: None,
            answers_us: two_days_us,
            further_sessions: 3,
        };
        assert_eq!(usual, wanted);
        let written = "give-up = { questions = 5, airtime-s = 600, answers-h = 24, sessions = 0 }\nmax-behind = 40\nmin-question-interval-s = 900";
        let right = made(written).unwrap();
        let wanted = GiveUp {
            questions: 5,
            airtime_us: Some(600_000_000),
            max_behind: Some(40),
            answers_us: two_days_us / 2,
            further_sessions: 0,
        };
        assert_eq!((right[0].rules.give_up, right[0].rules.question_interval_s), (wanted, Some(900)));
        for (written, part) in [
            ("give-up = { questions = 0 }", "group meters.give-up.questions: 0 is outside 1 to 100"),
            ("give-up = { questions = 101 }", "101 is outside 1 to 100"),
            ("give-up = { questions = 3, airtime-s = 0 }", "give-up.airtime-s: 0 is outside 1 to 86400"),
            ("give-up = { questions = 3, airtime-s = 90000 }", "90000 is outside 1 to 86400, in seconds"),
            ("give-up = { airtime-s = 3 }", "questions"),
            ("give-up = { questions = 3, rounds = 3 }", "rounds"),
            (
                "give-up = { questions = 3, answers-h = 0 }",
                "give-up.answers-h: 0 is outside 1 to 4392, in hours",
            ),
            ("give-up = { questions = 3, sessions = 11 }", "give-up.sessions: 11 is more than 10"),
            (
                "min-question-interval-s = 59",
                "group meters.min-question-interval-s: 59 is outside 60 to 604800",
            ),
            ("max-behind = 0", "group meters.max-behind: 0 leaves nobody to send for"),
            ("max-behind = 70000", "max-behind"),
        ] {
            let error = made(written).map(|_| ()).unwrap_err();
            assert!(error.contains(part), "{written}: {error}");
        }
    }

    #[test]
    fn a_share_and_a_number_outside_their_bounds_are_refused_with_what_to_write() {
        for (written, part) in [
            ("setup-share = 0.0", "lns[1].setup-share"),
            ("setup-share = 1.5", "1.5 is outside 0 to 1: write a part, like 0.25"),
            ("setup-share = nan", "is outside 0 to 1"),
            ("max-downlinks-per-day = 0", "lns[1].max-downlinks-per-day"),
            ("max-downlinks-per-day = 1001", "1001 is outside 1 to 1000"),
        ] {
            let error = made(written).map(|_| ()).unwrap_err();
            assert!(error.contains(part), "{written}: {error}");
        }
    }
}
