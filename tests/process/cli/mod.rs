//! The binary as an operator meets it: its fixed forms against other people's answers, its one line for every
//! mistake, and its silence about keys.

mod device_setup;
mod devices;
mod inspect;
mod judged;
mod lean;
mod mistakes;
mod orders;
mod plans;
mod prepare;
mod simulations;

use crate::support::scratch::Scratch;
use crate::support::small_world::lcg;
use fuotad::task::gps_from_rfc3339;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// No output may ever show these, nor what is derived from them.
const MC_KEY: &str = "00112233445566778899aabbccddeeff";
const GEN_APP_KEY: &str = "000102030405060708090a0b0c0d0e0f";
/// McAppSKey and McNwkSKey of `MC_KEY` for 01c0ffee.
const MC_APP_S_KEY: &str = "ca2780389d72f2b319d1b1997617329e";
const MC_NWK_S_KEY: &str = "8ed4be148cfd3cca6db47e0181f3ffcc";

const CONFIG: &str = include_str!("../../configs/meters.toml");
const MINIMAL: &str = include_str!("../../configs/minimal.toml");
const TASK: &str = include_str!("../../configs/meters-1.4.2.json");
const NO_REDUNDANCY: &str = include_str!("../../scenarios/no-redundancy.toml");
const STOCK_CAPS: &str = include_str!("../../scenarios/stock-caps.toml");

/// An operator's folder for one test.
struct Desk(Scratch);

struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Desk {
    /// With a key file, an image of 5000 bytes, a configuration and a task.
    fn new() -> Desk {
        let desk = Desk(Scratch::new("cli"));
        desk.secret("meters.mckey", MC_KEY);
        desk.write("image.bin", lcg(7, 5000));
        desk.write("meters.toml", CONFIG);
        desk.write("meters-1.4.2.json", TASK);
        desk.write("devices.toml", format!("[[device]]\nname = \"d1\"\ngen-app-key = \"{GEN_APP_KEY}\"\n"));
        desk
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.0.write(name, bytes);
    }

    fn secret(&self, name: &str, text: &str) {
        self.write(name, text);
        self.mode(name, 0o600);
    }

    fn mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(self.0.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs the words of `line` and sees to what holds for every command: no panic, no key.
    fn run(&self, line: &str) -> Done {
        let done = self.run_words(&line.split_whitespace().collect::<Vec<_>>());
        for canary in [MC_KEY, GEN_APP_KEY, MC_APP_S_KEY, MC_NWK_S_KEY, &MC_KEY[4..28], &GEN_APP_KEY[4..28]] {
            let shown = format!("{}{}", done.out, done.err).to_lowercase();
            assert!(!shown.contains(canary), "{line} shows a key: {}{}", done.out, done.err);
        }
        done
    }

    fn run_words(&self, words: &[&str]) -> Done {
        self.run_with(words, &[])
    }

    fn run_with(&self, words: &[&str], environment: &[(&str, &str)]) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
        command.args(words).current_dir(self.0.dir()).env_clear().envs(environment.iter().copied());
        let output = command.output().unwrap();
        let done = Done {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(done.code < 100 && !done.err.contains("panicked"), "{words:?}: {}", done.err);
        done
    }

    /// What a command that must succeed prints.
    fn prints(&self, line: &str) -> String {
        let done = self.run(line);
        assert_eq!(done.code, 0, "{line}: {}", done.err);
        done.out
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.prints(line)).unwrap()
    }

    /// One line beginning `fuotad: ` with everything in `needles`, nothing else, and the exit code.
    fn refuses(&self, line: &str, code: i32, needles: &[&str]) {
        self.run(line).refused(line, code, needles);
    }

    /// `check` of `config`, where it is refused: warnings, then the mistake, or a line for each of several.
    fn check_refuses(&self, config: &str, needles: &[&str]) {
        self.write("bad.toml", config);
        let done = self.run("check bad.toml");
        let lines = done.err.lines().skip_while(|line| line.starts_with("warning: "));
        let told = lines.collect::<Vec<_>>().join("\n");
        assert!(told.starts_with("fuotad: bad.toml: ") && done.out.is_empty(), "{}", done.err);
        for needle in needles {
            assert!(told.contains(needle), "no {needle:?} in {told}\n{config}");
        }
        assert_eq!(done.code, 78, "{}", done.err);
    }

    /// `plan` of `task` and this image, where it is refused.
    fn plan_refuses(&self, task: &str, image: &str, needles: &[&str]) {
        self.write("bad.json", task);
        self.refuses(&format!("plan bad.json -c meters.toml --image {image}"), 65, needles);
    }

    fn simulate_refuses(&self, scenario: &str, needles: &[&str]) {
        self.write("bad.toml", scenario);
        self.refuses("simulate bad.toml", 65, needles);
    }
}

impl Done {
    fn refused(&self, line: &str, code: i32, needles: &[&str]) {
        assert_eq!(self.out, "", "{line}: something was printed before it was refused");
        assert_eq!(self.err.matches('\n').count(), 1, "{line}: not one line:\n{}", self.err);
        assert!(self.err.starts_with("fuotad: ") && self.err.ends_with('\n'), "{line}: {}", self.err);
        for needle in needles {
            assert!(self.err.contains(needle), "{line}: no {needle:?} in {}", self.err);
        }
        assert_eq!(self.code, code, "{line}: {}", self.err);
    }
}

/// `text` with `from`, which must be there, replaced once.
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap()
}

fn data(value: &Value) -> Vec<u8> {
    let length = number(value, "length") as usize;
    match text(value, "generator") {
        "counter" => (0..length).map(|i| i as u8).collect(),
        _ => lcg(number(value, "seed") as u32, length),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Seconds from one RFC 3339 member to another.
fn apart_us(a: &Value, b: &Value) -> u64 {
    let us = |value: &Value| gps_from_rfc3339(value.as_str().unwrap()).unwrap().as_us();
    us(a).abs_diff(us(b))
}
