//! Devices that hold the image leave their session before it is over, where their stack can.

use crate::closed_loop::assert_nobody_is_called_done_who_is_not;
use crate::closed_loop::carry_out;
use crate::closed_loop::in_sessions;
use crate::support::small_world::assert_content;
use fuotad::answers::Habit;
use fuotad::campaign::SessionRule;
use fuotad::lorawan::Eui64;
use fuotad::sim::Script;
use fuotad::sim::device::Stack;

/// LoRa Basics Modem in a session that is far longer than the campaign.
fn long(deletes_group: bool) -> Script {
    let mut script = in_sessions(8);
    script.groups[0].session = SessionRule::Windows { exponent: Some(11), start: None };
    script.groups[0].profile.habit = Habit::Lbm;
    script.devices.iter_mut().for_each(|device| device.settings.stack = Stack::Lbm);
    script.fleets[0].rules.deletes_group = deletes_group;
    script
}

/// Devices whose group was deleted, in that order.
fn let_go(script: Script) -> Vec<Eui64> {
    let (summary, roll) = carry_out(script);
    assert_content(&summary, "letting go");
    assert_nobody_is_called_done_who_is_not(&summary, &roll);
    assert_eq!(summary.complete(), 8, "{}: {:#?}", roll.holdings(), summary.reports);
    let deletes = |f_port: u8, payload: &[u8]| f_port == 200 && payload == [0x03, 0x00];
    let commands = summary.fields[0].commands.iter();
    commands
        .filter(|command| deletes(command.f_port, &command.payload))
        .map(|command| command.dev_eui)
        .collect()
}

#[test]
fn a_device_that_said_it_is_done_leaves_the_session_at_its_next_uplink_and_stays_done() {
    let mut devices = let_go(long(true));
    println!("{} of 8 left their session", devices.len());
    assert!(devices.len() >= 6, "{devices:?}");
    let asked = devices.len();
    devices.sort();
    devices.dedup();
    assert_eq!(devices.len(), asked, "each is asked once");
    assert_eq!(let_go(long(false)), []);
}
