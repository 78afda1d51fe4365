//! What a terminal shows: colour for whoever wants it, a bar for whatever takes long.

use rustix::pty::OpenptFlags;
use rustix::pty::grantpt;
use rustix::pty::openpt;
use rustix::pty::ptsname;
use rustix::pty::unlockpt;
use std::fs::File;
use std::io::Read;
use std::process::Command;
use std::process::Stdio;

/// What `fuotad` with these words writes to a terminal that is its standard error.
fn on_terminal(words: &[&str], environment: &[(&str, &str)]) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
    command.args(words).env_remove("NO_COLOR").env("TERM", "xterm").envs(environment.iter().copied());
    let mut child = command.stdout(Stdio::null()).stderr(terminal).spawn().unwrap();
    drop(command);
    // Reading ends with an error when nobody holds the other side any more.
    let (mut shown, mut bytes) = (Vec::new(), [0; 4096]);
    let mut master = File::from(master);
    while let Ok(length @ 1..) = master.read(&mut bytes) {
        shown.extend_from_slice(&bytes[..length]);
    }
    child.wait().unwrap();
    String::from_utf8_lossy(&shown).into_owned()
}

#[test]
fn a_mistake_is_coloured_on_a_terminal_that_wants_it_and_nowhere_else() {
    let words = ["check", "/nowhere/fuotad.toml"];
    let shown = on_terminal(&words, &[]);
    assert!(shown.starts_with("\x1b[31mfuotad:\x1b[0m /nowhere"), "{shown:?}");
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = on_terminal(&words, &[environment]);
        assert!(shown.starts_with("fuotad: /nowhere"), "{shown:?}");
    }
    let piped = Command::new(env!("CARGO_BIN_EXE_fuotad")).args(words).output().unwrap();
    assert!(piped.stderr.starts_with(b"fuotad: /nowhere"), "{piped:?}");
}
