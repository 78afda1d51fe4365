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
    "expected",
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
