//! Mistakes in configurations, and how well each is answered: with the line, the key, what was found and what to write.

use super::Desk;
use super::MC_KEY;
use serde::Deserialize;

const MISTAKES: &str = include_str!("../../configs/mistakes.toml");

/// The configuration in which each mistake is made; nothing is wrong with it.
const RIGHT: &str = "[gateway]\nregion = \"EU868\"\n[[network-server]]\naddress = \"192.0.2.1:1700\"\n[[group]]\n\
                     name = \"meters\"\nmc-addr = \"01c0ffee\"\nmc-key-file = \"meters.mckey\"\nsession = \"windows\"\n";

/// Words of the compiler, of its libraries and of the system that say nothing to an operator.
const JARGON: [&str; 22] = [
    "invalid type",
    "invalid value",
    "unknown field",
    "unknown variant",
    "missing field",
    ", expected",
    "struct ",
    "enum ",
    "map, ",
    "sequence",
    "f64",
    "u8",
    "u16",
    "u32",
    "i64",
    "usize",
    "Some(",
    "None",
    "..=",
    "os error",
    "panicked",
    "DeError",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mistake {
    add: Option<String>,
    instead: Option<[String; 2]>,
    line: usize,
    key: String,
    found: String,
    write: String,
}

#[derive(Deserialize)]
struct Mistakes {
    mistake: Vec<Mistake>,
}

impl Mistake {
    fn text(&self) -> String {
        let right = match &self.instead {
            Some([right, wrong]) => {
                assert!(RIGHT.contains(&format!("{right}\n")), "{right}");
                RIGHT.replacen(right, wrong, 1)
            }
            None => RIGHT.to_owned(),
        };
        right + self.add.as_deref().unwrap_or_default() + "\n"
    }

    fn is_answered_by(&self, err: &str) -> bool {
        let line = format!("line {}: ", self.line);
        err.lines().any(|answer| {
            let rest = answer.split_once(&line).map_or("", |(_, rest)| rest);
            [&self.key, &self.found, &self.write].iter().all(|wanted| rest.contains(*wanted))
        })
    }
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.secret("short.mckey", &MC_KEY[1..]);
    desk.secret("odd.mckey", &format!("{}g", &MC_KEY[1..]));
    desk.write("open.mckey", MC_KEY);
    desk.mode("open.mckey", 0o644);
    desk
}

#[test]
fn nine_of_ten_mistakes_are_answered_precisely_and_none_is_taken_or_answered_in_jargon() {
    let desk = desk();
    desk.write("fuotad.toml", RIGHT);
    assert_eq!(desk.run("check fuotad.toml").code, 0, "{}", desk.run("check fuotad.toml").err);
    let mistakes = toml::from_str::<Mistakes>(MISTAKES).unwrap().mistake;
    let (mut precise, mut taken, mut jargon) = (0, Vec::new(), Vec::new());
    for mistake in &mistakes {
        desk.write("fuotad.toml", mistake.text());
        let done = desk.run("check fuotad.toml");
        let shown = mistake.add.clone().unwrap_or_else(|| mistake.instead.clone().unwrap().join(" -> "));
        match mistake.is_answered_by(&done.err) {
            true => precise += 1,
            false => println!("not precise: {shown}\n  {}", done.err),
        }
        if done.code == 0 {
            taken.push(shown.clone());
        }
        if let Some(word) = JARGON.iter().find(|word| done.err.contains(**word)) {
            jargon.push(format!("{shown}: {word:?} in {}", done.err));
        }
    }
    println!("{} mistakes: {precise} answered precisely, {} taken", mistakes.len(), taken.len());
    assert!(mistakes.len() >= 80, "only {} mistakes", mistakes.len());
    assert!(taken.is_empty(), "taken: {taken:#?}");
    assert!(jargon.is_empty(), "{}", jargon.join("\n"));
    assert!(
        precise * 10 >= mistakes.len() * 9,
        "only {precise} of {} are answered precisely",
        mistakes.len()
    );
}

#[test]
fn nothing_of_the_language_or_the_system_is_shown_to_an_operator() {
    let desk = desk();
    desk.write("right.toml", RIGHT);
    desk.write("bytes.toml", [0xff, 0xfe]);
    desk.write("json.toml", "{\n\"gateway\": {}\n}\n");
    desk.write("later.toml", RIGHT.replace("meters.mckey", "nowhere/meters.mckey"));
    desk.write("devices.toml", "[[device]]\nname = 7\napp-key = \"x\"\ndev-eui = 12\n");
    desk.write(
        "scenario.toml",
        "[world]\nstart = 5\n[image]\ngenerator = \"lcg\"\nseed = -1\nbytes = \"x\"\n",
    );
    let mut told = String::new();
    for line in [
        "check nothing.toml",
        "check .",
        "check meters.mckey/x.toml",
        "check bytes.toml",
        "check json.toml",
        "check later.toml --strict",
        "check right.toml -c right.toml",
        "check --nothing",
        "plan nothing.json -c right.toml",
        "plan . -c right.toml",
        "plan meters-1.4.2.json -c later.toml",
        "plan meters-1.4.2.json -c right.toml --image nothing.bin",
        "plan meters-1.4.2.json -c right.toml --image image.bin --setup --devices devices.toml",
        "status --socket nothing.sock",
        "status --socket right.toml",
        "verify nothing.bin",
        "simulate scenario.toml",
        "simulate nothing.toml",
        "group new lamps --key-file nothing/lamps.mckey -c nothing.toml",
        "group enrol lamps -c right.toml",
        "inspect frames --mc-addr 01c0ffee --mc-key x --fcnt 2 --fport 1 --payload 0g",
        "inspect fragments --ts004 1 --frag-size 9 --coded 1 nothing.bin",
    ] {
        let done = desk.run(line);
        assert_ne!(done.code, 0, "{line} was taken");
        told += &format!("{line}: {}", done.err);
    }
    for (name, value) in [
        ("RADIO__DUTY_SHARE", "abc"),
        ("RADIO__DUTY_SHARE", "40"),
        ("RADIO__DUTY", "1"),
        ("RADIO", "1"),
        ("RADIO__SPACING", "evne"),
        ("CLOCK__TRUST", "ntp"),
        ("TASKS__SCAN_S", "3s"),
        ("FORWARDER__ALLOW", "gateway.local"),
        ("GATEWAY__REGION", "EU"),
        ("NOPE__X", "1"),
    ] {
        let name = format!("FUOTAD__{name}");
        let done = desk.run_with(&["check", "right.toml"], &[(&name, value)]);
        assert_eq!(done.code, 78, "{name}={value} was taken");
        assert!(done.err.contains(&name), "{name}: {}", done.err);
        told += &format!("{name}={value}: {}", done.err);
    }
    let jargon = JARGON.iter().flat_map(|word| told.lines().filter(|line| line.contains(*word)));
    let jargon: Vec<&str> = jargon.collect();
    assert!(jargon.is_empty(), "{jargon:#?}");
}

#[test]
fn all_that_is_wrong_is_told_in_one_run_whether_it_can_be_read_or_not() {
    let desk = desk();
    let text = RIGHT.replace("session = \"windows\"", "fport = 0\nfirst-fcnt = 1\nsession-start = \"noon\"")
        + "[radio]\nduty = 1\nmax-deaf = 30\nrf-chain = 7\n[tasks]\nscan-s = 0\n[log]\nfilter = \"x\"\n\
           [aws]\nregion = \"x!\"\npoll-s = 1\n";
    desk.write("many.toml", text);
    let done = desk.run("check many.toml");
    let lines: Vec<&str> = done.err.lines().skip_while(|line| !line.starts_with("fuotad: ")).collect();
    assert_eq!(lines[0], "fuotad: many.toml: 10 mistakes", "{}", done.err);
    for (line, number) in lines[1..].iter().zip([9, 10, 11, 13, 14, 15, 17, 19, 21, 22]) {
        assert!(line.trim_start().starts_with(&format!("line {number}: ")), "{number}: {}", done.err);
    }
    // What is right is warned about nevertheless: here that the session is not written.
    assert!(done.err.contains("warning: group meters.session"), "{}", done.err);
}

#[test]
fn where_only_the_unit_has_the_key_check_and_plan_go_on_and_say_where_it_comes_from() {
    let desk = desk();
    let text = RIGHT.replace("mc-key-file = \"meters.mckey\"", "mc-key-credential = \"meters.mckey\"");
    desk.write("unit.toml", text);
    let done = desk.run("check unit.toml");
    assert!(done.code == 0 && done.err.contains("LoadCredential=meters.mckey:/path"), "{}", done.err);
    assert!(done.err.contains("/run/credentials/fuotad.service/meters.mckey"), "{}", done.err);
    let plan = "plan meters-1.4.2.json -c unit.toml --image image.bin";
    let done = desk.run(plan);
    assert!(done.code == 0 && done.out.contains("frames"), "{}", done.err);
    assert!(
        done.err.contains("LoadCredential=") && done.err.contains("as for a key that was never used"),
        "{}",
        done.err
    );
    assert!(!done.err.contains("enrol"), "nobody knows whether it is enrolled: {}", done.err);
    // The commands for devices need it.
    let done = desk.run(&format!("{plan} --setup"));
    assert!(done.code == 78 && done.err.contains("line 8: group meters.mc-key-credential: "), "{}", done.err);
    let folder = desk.0.dir().display().to_string();
    let words: Vec<&str> = plan.split(' ').chain(["--setup", "--devices", "devices.toml"]).collect();
    let done = desk.run_with(&words, &[("CREDENTIALS_DIRECTORY", &folder)]);
    assert_eq!(done.code, 0, "{}", done.err);
}
