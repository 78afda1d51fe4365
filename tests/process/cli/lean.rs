//! A lean group: `plan` and `check` say what the service learned of its losses.

use super::CONFIG;
use super::Desk;
use super::MC_KEY;
use super::number;
use fuotad::answers::CampaignLoss;
use fuotad::answers::Learned;
use fuotad::engine::learned_id;
use fuotad::lorawan::McSessionKeys;
use fuotad::lorawan::Secret;
use fuotad::sim::disk::Disk;
use fuotad::store::Change;
use fuotad::store::Enrolment;
use fuotad::store::Files;
use fuotad::store::FleetRecord;
use fuotad::store::Store;
use fuotad::store::enrol;
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn a_lean_group_is_planned_by_what_the_service_learned_and_check_says_it_too() {
    let desk = Desk::new();
    desk.write(
        "meters.devices.toml",
        "[[device]]\nname = \"m1\"\ndev-eui = \"70B3D57ED0000001\"\nmc-key-encrypted = \"000102030405060708090a0b0c0d0e10\"\n",
    );
    let lean = "lns = \"cs\"\ndevices-file = \"meters.devices.toml\"\nredundancy = \"lean\"\n";
    let lns = "[[lns]]\nname = \"cs\"\nkind = \"chirpstack\"\nbroker = \"mqtt://localhost\"\n\
               applications = [\"5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11\"]\n[state]\ndir = \"state\"\n";
    desk.write("meters.toml", format!("{CONFIG}{lean}{lns}"));
    let plan = "plan meters-1.4.2.json -c meters.toml --image image.bin";
    let unknown = desk.json(&format!("{plan} --json"));
    let ordered = number(&unknown, "coded");
    assert_eq!((number(&unknown["lean"], "ordered"), number(&unknown["lean"], "campaigns")), (ordered, 0));
    assert!(desk.prints(plan).contains("  lean        nothing is known yet of what the group loses"));
    assert!(desk.prints("check meters.toml").contains("group meters: lean: nothing is known yet"));

    let keys = McSessionKeys::derive(&Secret::from_hex(MC_KEY).unwrap(), "01c0ffee".parse().unwrap());
    let (disk, key) = (Rc::new(RefCell::new(Disk::new())), keys.fingerprint());
    enrol(&mut Rc::clone(&disk), key, &Enrolment::new("meters", None, 2, false), [0; 16]).unwrap();
    let (mut store, _) = Store::open(Rc::clone(&disk), [0; 16]).unwrap();
    let mut learned = Learned::default();
    learned.learn(2, CampaignLoss::Measured(21_000));
    let record = FleetRecord { id: learned_id(key), bytes: learned.to_bytes(key) };
    store.apply(&Change::Fleet(record)).unwrap();
    std::fs::create_dir(desk.0.path("state")).unwrap();
    let names = disk.borrow_mut().list().unwrap();
    for name in names {
        let bytes = disk.borrow_mut().read(&name).unwrap().unwrap();
        desk.write(&format!("state/{name}"), bytes);
    }
    let why = "nine in ten devices lost at most 2.1 % of the frames in the last campaign";
    let known = desk.json(&format!("{plan} --json"));
    let coded = number(&known, "coded");
    assert!(coded < ordered && number(&known["lean"], "ordered") == ordered, "{coded} of {ordered}");
    let line = format!(
        "  lean        {why}, so {coded} coded fragments before the first question instead of {ordered}"
    );
    assert!(desk.prints(plan).contains(&line), "{line}");
    assert!(desk.prints("check meters.toml").contains(&format!("group meters: lean: {why}\n")));
}
