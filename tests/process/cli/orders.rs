//! Mistakes in orders, and how well each is answered: with the member, what was found and what to write.

use super::Desk;
use super::TASK;
use crate::support::small_world::lcg;
use fuotad::broadcast::Foreseen;
use fuotad::broadcast::Judgement;
use fuotad::broadcast::KnownImage;
use fuotad::broadcast::Means;
use fuotad::broadcast::TaskSource;
use fuotad::cloud::task_from_file;
use fuotad::config::Config;
use fuotad::engine::Settings;
use fuotad::lorawan::Secret;
use fuotad::report::Event;
use fuotad::sim::Script;
use fuotad::sim::TaskScript;
use fuotad::sim::World;
use fuotad::task::Task;
use fuotad::task::gps_from_rfc3339;
use fuotad::time::GpsTime;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

const MISTAKES: &str = include_str!("../../configs/order-mistakes.toml");

/// The configuration for which each order is meant.
const CONFIG: &str = "[gateway]\nregion = \"EU868\"\n[[network-server]]\naddress = \"192.0.2.1:1700\"\n[[group]]\n\
                      name = \"meters\"\nmc-addr = \"01c0ffee\"\nmc-key-file = \"meters.mckey\"\nfrequency-hz = 869_525_000\n\
                      data-rate = 5\neirp-dbm = 27\nfirst-fcnt = 2\nsession = \"windows\"\nspacing = \"burst\"\n\
                      [state]\ndir = \"state\"\n[tasks]\nfolder = \"tasks\"\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mistake {
    at: Option<String>,
    value: Option<String>,
    document: Option<String>,
    image: Option<String>,
    member: String,
    found: String,
    write: String,
    #[serde(default)]
    taken: bool,
}

#[derive(Deserialize)]
struct Mistakes {
    mistake: Vec<Mistake>,
}

/// The order in which each mistake is made; nothing is wrong with it.
fn right() -> Value {
    json!({
        "Id": "meters-1.4.2", "Status": "Pending", "Name": "meters", "FirmwareUpdateImage": "file:///nowhere/meters.bin",
        "LoRaWAN": {"RfRegion": "EU868", "StartTime": "2099-11-22T08:30:00Z"},
        "RedundancyPercent": 30, "FragmentSizeBytes": 48, "FragmentIntervalMS": 2000,
        "Fuotad": {"MulticastGroups": ["meters"]},
    })
}

impl Mistake {
    fn document(&self, digest: &str) -> String {
        if let Some(document) = &self.document {
            return document.replace("IMAGE", digest);
        }
        let mut document = right();
        if let (Some(at), Some(value)) = (&self.at, &self.value) {
            let (object, name) = at.rsplit_once('/').unwrap();
            let object = document.pointer_mut(object).unwrap().as_object_mut().unwrap();
            object.insert(name.to_owned(), serde_json::from_str(value).unwrap());
        }
        document.to_string()
    }

    fn is_answered_by(&self, err: &str) -> bool {
        let wanted = [&self.member, &self.found, &self.write];
        err.lines().any(|answer| wanted.iter().all(|wanted| answer.contains(wanted.as_str())))
    }
}

/// The image, and files that are none.
fn images() -> Vec<(&'static str, Vec<u8>)> {
    let text = "IDBGIAjRAQDFAQgAyQEIAM0BCADRAQgA1QEIAAAAAAAAAAAAAAAAAAAAAADZAQgA3QEI\n".repeat(20);
    let files: [(&str, &[u8]); 11] = [
        ("app.elf", b"\x7FELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0"),
        ("app.hex", b":10010000214601360121470136007EFE09D2190140\n:00000001FF\n"),
        ("app.srec", b"S00F000068656C6C6F202020202000003C\nS9030000FC\n"),
        ("app.b64", text.as_bytes()),
        ("app.pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
        ("app.json", b"{\"version\": \"1.4.2\"}\n"),
        ("error.html", b"<!doctype html>\n<html><body>404</body></html>\n"),
        ("error.xml", b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code></Error>"),
        ("app.zip", b"PK\x03\x04\x14\0\0\0\x08\0 a file in an archive"),
        ("app.gz", b"\x1F\x8B\x08\0\0\0\0\0\0\x03 a compressed file"),
        ("empty.bin", b""),
    ];
    let image = [("image.bin", lcg(7, 5000))];
    files.map(|(name, bytes)| (name, bytes.to_vec())).into_iter().chain(image).collect()
}

/// A desk with images that are none.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("fuotad.toml", CONFIG);
    std::fs::create_dir(desk.0.path("tasks")).unwrap();
    images().iter().for_each(|(name, bytes)| desk.write(name, bytes));
    desk
}

/// What is said of a start that is past, without the time at which it was said.
fn without_now(line: &str) -> String {
    match line.split_once("(it is ") {
        Some((before, after)) => format!("{before}{}", after.split_once(')').map_or("", |(_, rest)| rest)),
        None => line.to_owned(),
    }
}

fn digest() -> String {
    let image = lcg(7, 5000);
    Sha256::digest(image).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn nine_of_ten_mistakes_in_orders_are_answered_precisely_and_none_is_taken_silently() {
    let (desk, digest) = (desk(), digest());
    let plan = |document: &str, image: Option<&str>| {
        desk.write("order.json", document);
        let image = image.map(|image| format!(" --image {image}")).unwrap_or_default();
        desk.run(&format!("plan order.json -c fuotad.toml{image}"))
    };
    let done = plan(&right().to_string(), Some("image.bin"));
    assert!(done.code == 0 && done.err.lines().count() == 0, "{}", done.err);
    let mistakes = toml::from_str::<Mistakes>(MISTAKES).unwrap().mistake;
    let (mut precise, mut silent, mut wrong_end) = (0, Vec::new(), Vec::new());
    for mistake in &mistakes {
        let document = mistake.document(&digest);
        let done = plan(&document, mistake.image.as_deref().or(Some("image.bin")));
        let shown = format!("{document} {:?}\n  {}: {}", mistake.image, done.code, done.err);
        // An image that lies where the order says is seen by check, too.
        let image = desk.0.path(mistake.image.as_deref().unwrap_or("image.bin"));
        let named = document.replace("/nowhere/meters.bin", image.to_str().unwrap());
        desk.write("tasks/order.json", &named);
        let (planned, checked) = (plan(&named, None), desk.run("check fuotad.toml"));
        let is_elsewhere = |document: &str| document.contains("s3://") || document.contains("fileLocation");
        if document != named || mistake.document.as_deref().is_some_and(|document| !is_elsewhere(document)) {
            let of = |err: &str, path: &str| -> Vec<String> {
                let said =
                    err.lines().filter_map(|line| line.split_once(path).map(|(_, said)| said.to_owned()));
                let mut said: Vec<String> = said.collect();
                said.sort();
                said
            };
            // What plan says of an order without its name is a warning.
            let mut of_plan: Vec<String> = of(&planned.err, "order.json: ");
            of_plan.extend(
                planned.err.lines().filter_map(|line| line.strip_prefix("warning: ")).map(str::to_owned),
            );
            of_plan.sort();
            // The two looked at the clock one after the other.
            let untimed =
                |said: Vec<String>| -> Vec<String> { said.iter().map(|line| without_now(line)).collect() };
            assert_eq!(untimed(of_plan), untimed(of(&checked.err, "tasks/order.json: ")), "{named}");
        }
        match mistake.is_answered_by(&done.err) {
            true => precise += 1,
            false => println!("not precise: {shown}"),
        }
        if done.code == 0 && done.err.is_empty() {
            silent.push(shown.clone());
        }
        if (done.code == 0) != mistake.taken {
            wrong_end.push(shown);
        }
    }
    println!("{} mistakes: {precise} answered precisely, {} taken silently", mistakes.len(), silent.len());
    assert!(mistakes.len() >= 80, "only {} mistakes", mistakes.len());
    assert!(silent.is_empty(), "taken silently: {silent:#?}");
    assert!(wrong_end.is_empty(), "taken or refused against what is written: {wrong_end:#?}");
    assert!(precise * 10 >= mistakes.len() * 9, "only {precise} of {}", mistakes.len());
}

/// What the service says of an order for the campaign `id`, in a world that begins at `gps`: the verdict, and all that it
/// warns of.
fn in_the_world(
    settings: &Settings,
    document: &str,
    image: &[u8],
    gps: GpsTime,
    (stem, id): (&str, &str),
) -> (String, Vec<String>) {
    let (document, image) = (document.to_owned(), image.to_vec());
    let tasks = vec![TaskScript { at_us: 1_000_000, stem: stem.to_owned(), document, image }];
    let script = Script { start: gps, tasks, limit_us: 60_000_000, ..Script::of_gateway(settings.clone()) };
    let mut world = World::new(script);
    while world.step() {}
    let mut verdict = "nothing".to_owned();
    let mut warnings = Vec::new();
    for report in world.summary().reports {
        if report.task.as_ref().is_some_and(|task| task.as_str() != id) {
            continue;
        }
        match report.event {
            Event::Refused { reason } => verdict = reason,
            Event::Planned(planned) => {
                verdict = "sent".to_owned();
                warnings.extend(planned.warnings);
            }
            Event::Waiting { reason }
                if reason.starts_with("a start") || reason.starts_with("a session that") =>
            {
                verdict = format!("nothing would be sent: it waits for {reason}");
            }
            Event::Warning { text } => warnings.push(text),
            _ => {}
        }
    }
    warnings.sort();
    (verdict, warnings)
}

#[test]
fn the_judge_says_of_every_order_for_every_configuration_what_the_service_does() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let examples = |dir: &str, ending: &str| -> Vec<String> {
        let files = std::fs::read_dir(root.join(dir)).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|its| its == ending));
        files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    };
    let mut configs = vec![CONFIG.to_owned(), read("config/fuotad.toml")];
    configs.extend(["meters", "minimal"].map(|name| read(&format!("tests/configs/{name}.toml"))));
    configs.extend(examples("config/examples", "toml"));
    let (digest, images) = (digest(), images());
    let mistakes = toml::from_str::<Mistakes>(MISTAKES).unwrap().mistake;
    let of_mistakes = mistakes.iter().map(|mistake| {
        (mistake.document(&digest), mistake.image.clone().unwrap_or_else(|| "image.bin".to_owned()))
    });
    let mut orders: Vec<(String, String)> = of_mistakes.collect();
    let good =
        examples("config/examples/tasks", "json").into_iter().chain([TASK.to_owned(), right().to_string()]);
    orders.extend(good.map(|document| (document, "image.bin".to_owned())));
    let gps = gps_from_rfc3339("2026-11-25T12:00:00Z").unwrap();
    let (mut pairs, mut sent) = (0, 0);
    for config in &configs {
        let config = Config::from_text(config, &Default::default()).unwrap();
        let mut settings = config.engine(&mut |_| Ok(Secret::from_bytes([7; 16]))).unwrap();
        // A world has every image, and gives no name to its gateway.
        settings.means = Means { fetches: true, ..Means::default() };
        // A world enrols the keys whose first counter is written.
        settings.groups.iter_mut().for_each(|group| group.first_fcnt = Some(2));
        let judge = settings.judge();
        for (document, image) in &orders {
            let image = &images.iter().find(|(name, _)| name == image).unwrap().1;
            let tasks = task_from_file(document.as_bytes(), "order").and_then(Task::per_group);
            let judged = match tasks {
                Err(error) => vec![("order".to_owned(), "order".to_owned(), error.to_string(), Vec::new())],
                Ok(tasks) => tasks
                    .iter()
                    .map(|task| {
                        let image = KnownImage::Bytes(image);
                        let Judgement { mut warnings, outcome } =
                            judge.judge(task, TaskSource::File, image, Some(gps));
                        warnings.sort();
                        let verdict = match outcome {
                            Foreseen::Sent(_) => "sent".to_owned(),
                            Foreseen::LeftAlone(_) => "nothing".to_owned(),
                            other => other.to_string(),
                        };
                        (task.document_id.to_string(), task.id.to_string(), verdict, warnings)
                    })
                    .collect(),
            };
            for (stem, id, verdict, warnings) in judged {
                let world = in_the_world(&settings, document, image, gps, (&stem, &id));
                // A refused order is told what is wrong with it; what it would warn of then is not asked.
                let same = world.0 == verdict && (verdict != "sent" || world.1 == warnings);
                assert!(same, "{document}\n  judged {verdict} {warnings:#?}\n  in the world {world:#?}");
                pairs += 1;
                sent += usize::from(verdict == "sent");
            }
        }
    }
    println!("{pairs} orders judged as the service does, {sent} of them sent");
    assert!(pairs > 500 && sent > 20, "{pairs} {sent}");
}

#[test]
fn image_kind_any_takes_what_looks_like_something_else_and_says_nothing_of_it() {
    let desk = desk();
    desk.write("order.json", right().to_string());
    let image = [b"\x7FELF".to_vec(), lcg(7, 996)].concat();
    desk.write("app.elf", image);
    let plan = "plan order.json -c fuotad.toml --image app.elf";
    desk.refuses(
        plan,
        65,
        &["an ELF file", "objcopy -O binary", "write image-kind = \"any\" for group meters"],
    );
    desk.write("fuotad.toml", CONFIG.replace("[state]", "image-kind = \"any\"\n[state]"));
    let done = desk.run(plan);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    desk.write("fuotad.toml", CONFIG.replace("[state]", "image-kind = \"all\"\n[state]"));
    desk.refuses("check fuotad.toml", 78, &["image-kind", "\"all\"", "binary"]);
}

#[test]
fn an_order_for_two_groups_is_planned_for_each_of_them() {
    let desk = desk();
    let second = "[[group]]\nname = \"lamps\"\nmc-addr = \"01c0fffe\"\nmc-key-file = \"meters.mckey\"\n\
                  frequency-hz = 869_525_000\ndata-rate = 5\neirp-dbm = 27\nfirst-fcnt = 2\nsession = \"windows\"\n";
    desk.write("fuotad.toml", format!("{CONFIG}{second}"));
    let order = right().to_string().replace("[\"meters\"]", "[\"meters\",\"lamps\"]");
    desk.write("order.json", &order);
    let plan = "plan order.json -c fuotad.toml --image image.bin";
    let done = desk.run(plan);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("meters-1.4.2@meters to group meters"), "{}", done.out);
    assert!(done.out.contains("meters-1.4.2@lamps to group lamps"), "{}", done.out);
    assert!(
        done.out.contains("DeviceTimeReq") && done.err.contains("2 groups share the air"),
        "{}",
        done.err
    );
    let json = desk.prints(&format!("{plan} --json"));
    let groups: Vec<Value> =
        json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["group"].clone()).collect();
    assert_eq!(groups, ["meters", "lamps"]);
}
