//! Types that keep their fields to themselves: what crosses from file to file is a call.

use super::house;

/// Types that are joined from others, and nobody reaches into them.
const CLOSED: &[(&str, &str)] = &[
    ("broadcast/broadcaster.rs", "Broadcaster"),
    ("broadcast/key_ranges.rs", "KeyRanges"),
    ("broadcast/marks.rs", "Marks"),
    ("broadcast/open_task.rs", "OpenTask"),
    ("broadcast/outbox.rs", "Outbox"),
    ("broadcast/site.rs", "Site"),
    ("broadcast/task_book.rs", "TaskBook"),
    ("broadcast/turns.rs", "Lent<'a>"),
    ("broadcast/turns.rs", "Turns"),
    ("engine/machine.rs", "Engine"),
    ("forwarder/link.rs", "Link"),
    ("sim/gateway.rs", "Gateway"),
    ("sim/network.rs", "Network"),
    ("sim/operator.rs", "Operator"),
    ("sim/world.rs", "World"),
];

/// The fields of the struct `name` that other files see; `None` where `text` has no such struct.
fn open_fields<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let head = format!("struct {name} {{");
    let mut lines = text.lines();
    lines.find(|line| line.starts_with("pub") && line.ends_with(&head))?;
    let fields = lines.take_while(|line| *line != "}").map(str::trim);
    Some(fields.filter(|line| line.starts_with("pub")).collect())
}

#[test]
fn engine_link_broadcaster_and_world_and_their_parts_have_no_open_field() {
    let house = house();
    for (path, name) in CLOSED {
        let source = house.iter().find(|source| source.path == *path).unwrap();
        assert_eq!(open_fields(&source.text, name), Some(Vec::new()), "src/{path}: {name}");
    }
}

#[test]
fn an_open_field_is_found_in_the_struct_that_has_it() {
    let text = "pub struct A {\n    pub(super) a: u8,\n    b: u8,\n}\npub(super) struct B {\n    b: u8,\n}\nimpl B {\n    pub fn b() {}\n}";
    assert_eq!(open_fields(text, "A"), Some(vec!["pub(super) a: u8,"]));
    assert_eq!(open_fields(text, "B"), Some(Vec::new()));
    assert_eq!(open_fields(text, "C"), None);
}
