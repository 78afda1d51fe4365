//! The folder of orders on the simulated disk: the power is cut at every operation, with every fate of what was not
//! synced.

use fuotad::image::Digest;
use fuotad::sim::disk::Disk;
use fuotad::sim::disk::PageFate;
use fuotad::sim::random::Random;
use fuotad::store::Files;
use fuotad::store::OrderError;
use fuotad::store::OrderFolder;
use fuotad::store::PIECE_BYTES_MAX;

const NAME: &str = "app-1";
const DOCUMENT: &[u8] = b"{\"FirmwareUpdateImage\":\"file:///x\"}\n";

fn image() -> Vec<u8> {
    crate::support::small_world::lcg(5, 3 * PIECE_BYTES_MAX + 17)
}

/// Brings an order from its beginning, or from where it is.
fn bring(folder: &mut OrderFolder<&mut Disk>, name: &str) -> Result<(), OrderError> {
    let image = image();
    let mut have = folder.begin(name, image.len() as u64, Digest::of(&image), None)?;
    for piece in image[have as usize..].chunks(PIECE_BYTES_MAX) {
        have = folder.piece(name, have, piece)?;
    }
    folder.keep(name, DOCUMENT)
}

fn files(disk: &mut Disk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.sort();
    names
}

/// Cuts the power at each operation of `work`, many times with other fates, and shows what is found afterwards.
fn cut_everywhere(prepared: &Disk, work: impl Fn(&mut Disk), judge: impl Fn(&mut Disk, &str)) -> usize {
    let (mut whole, begun) = (prepared.clone(), prepared.operations());
    work(&mut whole);
    let operations = whole.operations() - begun;
    for operation in 1..=operations {
        for seed in 0..20 {
            let mut luck = Random::new(seed * 1000 + operation);
            let mut disk = prepared.clone();
            disk.crash_after(begun + operation);
            work(&mut disk);
            disk.power_cut(&mut |_| match luck.below(3) {
                0 => PageFate::New,
                1 => PageFate::Old,
                _ => PageFate::Torn(luck.below(1000)),
            });
            judge(&mut disk, &format!("cut at {operation} of {operations}, fates {seed}"));
        }
    }
    operations as usize
}

#[test]
fn whenever_the_power_goes_an_order_is_there_with_its_whole_image_or_can_be_brought_again() {
    let bring_it = |disk: &mut Disk| drop(bring(&mut OrderFolder::open(disk).unwrap(), NAME));
    let cuts = cut_everywhere(&Disk::new(), bring_it, |disk, story| {
        let mut folder = OrderFolder::open(&mut *disk).unwrap();
        match folder.document(NAME).unwrap() {
            Some(document) => assert_eq!(document, DOCUMENT, "{story}"),
            None => bring(&mut folder, NAME).unwrap(),
        }
        assert_eq!(disk.read("app-1.bin").unwrap(), Some(image()), "{story}");
        assert_eq!(files(disk), ["app-1.bin", "app-1.json"], "{story}: nothing else is left");
    });
    assert!(cuts > 8, "only {cuts} operations");
}

#[test]
fn whenever_the_power_goes_while_an_order_is_removed_it_is_there_or_gone() {
    let mut prepared = Disk::new();
    bring(&mut OrderFolder::open(&mut prepared).unwrap(), NAME).unwrap();
    let remove = |disk: &mut Disk| drop(OrderFolder::open(disk).unwrap().remove(NAME));
    cut_everywhere(&prepared, remove, |disk, story| {
        drop(OrderFolder::open(&mut *disk).unwrap());
        let left = files(disk);
        assert!(left.is_empty() || left == ["app-1.bin", "app-1.json"], "{story}: {left:?}");
    });
}

#[test]
fn a_disk_that_fails_costs_the_image_on_its_way_and_no_other_order() {
    let mut prepared = Disk::new();
    bring(&mut OrderFolder::open(&mut prepared).unwrap(), "old").unwrap();
    let begun = prepared.operations();
    let mut whole = prepared.clone();
    bring(&mut OrderFolder::open(&mut whole).unwrap(), NAME).unwrap();
    for operation in begun + 1..=whole.operations() {
        let mut disk = prepared.clone();
        disk.fail_at(operation, fuotad::store::FilesErrorKind::NoSpace);
        assert!(bring(&mut OrderFolder::open(&mut disk).unwrap(), NAME).is_err(), "operation {operation}");
        // A document without its image would be an order that nobody can carry out.
        assert!(!files(&mut disk).contains(&"app-1.json".to_owned()), "operation {operation}");
        let mut folder = OrderFolder::open(&mut disk).unwrap();
        bring(&mut folder, NAME).unwrap();
        assert_eq!(folder.names().collect::<Vec<_>>(), [NAME, "old"]);
        assert_eq!(disk.read("app-1.bin").unwrap(), Some(image()), "operation {operation}");
    }
}

#[test]
fn pieces_go_on_where_they_ended_and_what_does_not_fit_is_refused() {
    let (mut disk, image) = (Disk::new(), image());
    let (bytes, digest) = (image.len() as u64, Digest::of(&image));
    let mut folder = OrderFolder::open(&mut disk).unwrap();
    assert_eq!(folder.begin(NAME, 0, digest, None), Err(OrderError::Size(0)));
    assert_eq!(folder.begin(NAME, 17 << 20, digest, None), Err(OrderError::Size(17 << 20)));
    let no_room = folder.begin(NAME, bytes, digest, Some(1 << 20));
    assert!(matches!(no_room, Err(OrderError::NoRoom { free: 1_048_576, .. })), "{no_room:?}");
    assert_eq!(folder.piece(NAME, 0, &image[..9]), Err(OrderError::NotBegun(NAME.to_owned())));
    assert_eq!(folder.begin(NAME, bytes, digest, Some(1 << 30)), Ok(0));
    assert_eq!(folder.piece(NAME, 0, &image[..100]), Ok(100));
    assert_eq!(folder.piece(NAME, 0, &image[..100]), Err(OrderError::Offset { have: 100, offset: 0 }));
    assert!(matches!(folder.piece(NAME, 100, &[]), Err(OrderError::Piece { .. })));
    assert!(matches!(folder.piece(NAME, 100, &[0; PIECE_BYTES_MAX + 1]), Err(OrderError::Piece { .. })));
    assert_eq!(folder.check(NAME), Err(OrderError::Incomplete { have: 100, bytes }));
    assert_eq!(folder.begin(NAME, bytes, digest, None), Ok(100), "the same image goes on");
    // Others come between; the one that nobody went on with makes room.
    for other in ["b", "c", "d"] {
        assert_eq!(folder.begin(other, bytes, digest, None), Ok(0));
        assert_eq!(folder.piece(other, 0, b"x"), Ok(1));
    }
    assert_eq!(folder.begin(NAME, bytes, digest, None), Ok(100));
    assert_eq!(folder.begin("e", bytes, digest, None), Ok(0));
    assert_eq!(folder.piece("b", 1, b"x"), Err(OrderError::NotBegun("b".to_owned())));
    // Another image under the same name begins anew; one that is not what was announced is dropped.
    assert_eq!(folder.begin(NAME, 3, digest, None), Ok(0));
    assert_eq!(folder.piece(NAME, 0, b"xyz"), Ok(3));
    assert!(matches!(folder.keep(NAME, DOCUMENT), Err(OrderError::Damaged { .. })));
    assert_eq!(folder.keep(NAME, DOCUMENT), Err(OrderError::NotBegun(NAME.to_owned())));
    bring(&mut folder, NAME).unwrap();
    assert_eq!(folder.begin(NAME, bytes, digest, None), Err(OrderError::Known(NAME.to_owned())));
    assert_eq!(folder.remove(NAME), Ok(true));
    assert_eq!(folder.remove(NAME), Ok(false));
    for number in 0..fuotad::store::ORDERS_MAX {
        bring(&mut folder, &format!("many-{number}")).unwrap();
    }
    assert_eq!(folder.begin(NAME, bytes, digest, None), Err(OrderError::TooMany));
}
