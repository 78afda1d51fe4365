//! What may be asked.

use super::order_request::OrderMembers;
use super::order_request::OrderRequest;
use super::refusal::Refusal;
use crate::broadcast::Verb;
use crate::json::Node;
use crate::json::shown_name;
use crate::json::shown_text;
use crate::json::tree;
use crate::lorawan::Eui64;
use crate::task::TaskId;
use serde::Deserialize;
use serde_json::Value;

/// The version of the requests and answers.
pub const VERSION: u64 = 1;
/// The devices of one answer, at most; the next page is another request.
pub const PAGE_MAX: usize = 200;
/// The devices of one answer unless the request says how many.
const PAGE: usize = 100;

/// Every request by its name.
pub(super) const NAMES: [&str; 14] = [
    "version",
    "status",
    "devices.list",
    "devices.show",
    "devices.retry",
    "devices.forget",
    "devices.survey",
    "order.begin",
    "order.piece",
    "order.commit",
    "order.cancel",
    "task.pause",
    "task.resume",
    "task.cancel",
];

/// One request with the id that its answer repeats.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// A text or a number of whoever asks.
    pub(super) id: Option<Value>,
    /// What is asked of the service.
    pub(super) what: What,
}

/// What is asked of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The versions of program and protocol, and the requests that are understood.
    Version,
    /// The status page, as its own socket has it.
    Status,
    /// A request about the devices of a group.
    Devices(DevicesRequest),
    /// A request that brings an order or takes it back.
    Order(OrderRequest),
    /// What an operator does to a task, or to all tasks of a document.
    Verb(Verb, TaskId),
}

/// A request about the devices of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicesRequest {
    /// The name of the group.
    pub group: String,
    /// What is asked about its devices.
    pub what: AboutDevices,
}

/// What is asked about the devices of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AboutDevices {
    /// All of them, a page at a time: those with a greater DevEUI than `after`.
    List {
        /// The last DevEUI of the page before.
        after: Option<Eui64>,
        /// Devices of the page, 1 to [`PAGE_MAX`].
        limit: usize,
    },
    /// One of them by its DevEUI.
    Show(Eui64),
    /// Its dialogue goes on although it had ended.
    Retry(Eui64),
    /// All that is known of it is forgotten: its dialogue begins anew.
    Forget(Eui64),
    /// All of them are asked for their versions although nothing is to be set up.
    Survey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestJson {
    v: Option<u64>,
    id: Option<Value>,
    r#do: String,
    group: Option<String>,
    device: Option<String>,
    after: Option<String>,
    limit: Option<u64>,
    name: Option<String>,
    bytes: Option<u64>,
    sha256: Option<String>,
    offset: Option<u64>,
    piece: Option<String>,
    task: Option<Value>,
}

impl Request {
    /// Reads the line of one request.
    ///
    /// # Errors
    /// Why it cannot be answered, with the id, where it could be read.
    pub(super) fn read(line: &[u8]) -> Result<Request, (Option<Value>, Refusal)> {
        let value = tree(line).map_err(|error| (None, Refusal::new("no-json", error.to_string())))?;
        let id = value.get("id").filter(|id| id.is_string() || id.is_number()).cloned();
        let what = what(&value).map_err(|refusal| (id.clone(), refusal))?;
        Ok(Request { id, what })
    }
}

fn what(value: &Value) -> Result<What, Refusal> {
    let json = RequestJson::deserialize(Node(value)).map_err(|error| {
        let text = error.to_string();
        let why = match text.split('`').nth(1) {
            Some(name) if text.starts_with("unknown field") => {
                format!(
                    "{} is no member of a request: there are v, id, do, group, device, after, limit, name, bytes, sha256, offset, piece, task",
                    shown_name(name)
                )
            }
            Some("do") if text.starts_with("missing field") => {
                format!("do is missing: write one of {}", NAMES.join(", "))
            }
            _ => text,
        };
        Refusal::new("wrong-member", why)
    })?;
    if json.id.as_ref().is_some_and(|id| !id.is_string() && !id.is_number()) {
        return Err(Refusal::new("wrong-member", "id: write a text or a number"));
    }
    match json.v {
        Some(VERSION) => {}
        Some(other) => {
            return Err(Refusal::new("unsupported-version", format!("v is {other}: write \"v\": {VERSION}")));
        }
        None => {
            return Err(Refusal::new("unsupported-version", format!("v is missing: write \"v\": {VERSION}")));
        }
    }
    let about = match json.r#do.as_str() {
        "version" => return Ok(What::Version),
        "status" => return Ok(What::Status),
        "devices.list" => AboutDevices::List {
            after: json.after.as_deref().map(|after| eui("after", after)).transpose()?,
            limit: limit(json.limit)?,
        },
        "devices.show" => AboutDevices::Show(device(&json)?),
        "devices.retry" => AboutDevices::Retry(device(&json)?),
        "devices.forget" => AboutDevices::Forget(device(&json)?),
        "devices.survey" => AboutDevices::Survey,
        "task.pause" => return Ok(What::Verb(Verb::Pause, task_id(json.name.as_deref())?)),
        "task.resume" => return Ok(What::Verb(Verb::Resume, task_id(json.name.as_deref())?)),
        "task.cancel" => return Ok(What::Verb(Verb::Cancel, task_id(json.name.as_deref())?)),
        other => {
            let members = OrderMembers {
                name: json.name,
                bytes: json.bytes,
                sha256: json.sha256,
                offset: json.offset,
                piece: json.piece,
                task: json.task,
            };
            if let Some(read) =
                other.strip_prefix("order.").and_then(|verb| OrderRequest::read(verb, members))
            {
                return Ok(What::Order(read?));
            }
            let why = format!("{} is no request: write one of {}", shown_text(other), NAMES.join(", "));
            return Err(Refusal::new("unknown-request", why));
        }
    };
    let group = json
        .group
        .ok_or_else(|| Refusal::new("wrong-member", "group is missing: write the name of a [[group]]"))?;
    Ok(What::Devices(DevicesRequest { group, what: about }))
}

fn task_id(name: Option<&str>) -> Result<TaskId, Refusal> {
    let missing =
        || Refusal::new("wrong-member", "name is missing: write the task, as `fuotad tasks` has it");
    let name = name.ok_or_else(missing)?;
    TaskId::new(name).map_err(|_| {
        let why = format!("name is {}: write 1 to 256 printable characters", shown_text(name));
        Refusal::new("wrong-member", why)
    })
}

fn device(json: &RequestJson) -> Result<Eui64, Refusal> {
    match &json.device {
        Some(text) => eui("device", text),
        None => Err(Refusal::new("wrong-member", "device is missing: write a DevEUI")),
    }
}

fn eui(member: &str, text: &str) -> Result<Eui64, Refusal> {
    text.parse()
        .map_err(|error| Refusal::new("wrong-member", format!("{member} is {}: {error}", shown_text(text))))
}

fn limit(limit: Option<u64>) -> Result<usize, Refusal> {
    let asked = limit.map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if (1..=PAGE_MAX).contains(&asked) {
        Ok(asked)
    } else {
        Err(Refusal::new("wrong-member", format!("limit is {asked}: write 1 to {PAGE_MAX}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::control::order_request::AboutOrder;

    fn read(line: &str) -> Result<What, String> {
        Request::read(line.as_bytes()).map(|request| request.what).map_err(|(_, refusal)| refusal.to_string())
    }

    #[test]
    fn each_request_is_read_with_its_members() {
        let eui: Eui64 = "70b3d57ed0000001".parse().unwrap();
        let devices = |what| Ok(What::Devices(DevicesRequest { group: "meters".to_owned(), what }));
        assert_eq!(read(r#"{"v":1,"do":"version"}"#), Ok(What::Version));
        assert_eq!(read(r#"{"v":1,"do":"status","id":7}"#), Ok(What::Status));
        let list = r#"{"v":1,"do":"devices.list","group":"meters"}"#;
        assert_eq!(read(list), devices(AboutDevices::List { after: None, limit: 100 }));
        let list = r#"{"v":1,"do":"devices.list","group":"meters","after":"70B3D57ED0000001","limit":200}"#;
        assert_eq!(read(list), devices(AboutDevices::List { after: Some(eui), limit: 200 }));
        let survey = r#"{"v":1,"do":"devices.survey","group":"meters"}"#;
        assert_eq!(read(survey), devices(AboutDevices::Survey));
        for (name, what) in [
            ("show", AboutDevices::Show(eui)),
            ("retry", AboutDevices::Retry(eui)),
            ("forget", AboutDevices::Forget(eui)),
        ] {
            let line = format!(r#"{{"v":1,"do":"devices.{name}","group":"meters","device":"{eui}"}}"#);
            assert_eq!(read(&line), devices(what));
        }
    }

    #[test]
    fn a_request_about_an_order_is_read_with_its_members() {
        let order = |what| {
            let name = crate::task::TaskId::new("app-1").unwrap();
            Ok(What::Order(OrderRequest { name, what }))
        };
        let digest = crate::image::Digest::of(b"abc");
        let begin = format!(r#"{{"v":1,"do":"order.begin","name":"app-1","bytes":3,"sha256":"{digest}"}}"#);
        assert_eq!(read(&begin), order(AboutOrder::Begin { bytes: 3, digest }));
        let piece = r#"{"v":1,"do":"order.piece","name":"app-1","offset":7,"piece":"YWJj"}"#;
        assert_eq!(read(piece), order(AboutOrder::Piece { offset: 7, piece: b"abc".to_vec() }));
        let commit = r#"{"v":1,"do":"order.commit","name":"app-1","task":{"a":1}}"#;
        assert_eq!(read(commit), order(AboutOrder::Commit(b"{\n  \"a\": 1\n}\n".to_vec())));
        assert_eq!(read(r#"{"v":1,"do":"order.cancel","name":"app-1"}"#), order(AboutOrder::Cancel));
        for (members, said) in [
            (r#""do":"order.cancel""#, "name is missing"),
            (r#""do":"order.cancel","name":"../x""#, "name is \"../x\": write letters"),
            (r#""do":"order.cancel","name":".x""#, "name is \".x\""),
            (r#""do":"order.cancel","name":"x/y""#, "name is \"x/y\""),
            (r#""do":"order.begin","name":"a","bytes":3"#, "sha256 is missing"),
            (r#""do":"order.begin","name":"a","bytes":3,"sha256":"00""#, "sha256 is \"00\""),
            (r#""do":"order.piece","name":"a","offset":0,"piece":"?""#, "piece is no base64"),
            (r#""do":"order.piece","name":"a","piece":"YWJj""#, "offset is missing"),
            (r#""do":"order.commit","name":"a","task":"{}""#, "task is no object"),
            (r#""do":"order.commit","name":"a""#, "task is missing"),
        ] {
            let refusal = read(&format!("{{\"v\":1,{members}}}")).unwrap_err();
            assert!(refusal.starts_with(&format!("wrong-member: {said}")), "{members}: {refusal}");
        }
        assert!(read(r#"{"v":1,"do":"order.do","name":"a"}"#).unwrap_err().starts_with("unknown-request"));
    }

    #[test]
    fn a_word_on_a_task_is_read_with_its_name_whatever_that_is() {
        for (name, verb) in [("pause", Verb::Pause), ("resume", Verb::Resume), ("cancel", Verb::Cancel)] {
            let line = format!(r#"{{"v":1,"do":"task.{name}","name":"a b/c@meters"}}"#);
            assert_eq!(read(&line), Ok(What::Verb(verb, TaskId::new("a b/c@meters").unwrap())));
            let nameless = read(&format!(r#"{{"v":1,"do":"task.{name}"}}"#)).unwrap_err();
            assert!(nameless.starts_with("wrong-member: name is missing"), "{nameless}");
            let unprintable = read(&format!(r#"{{"v":1,"do":"task.{name}","name":"a\nb"}}"#)).unwrap_err();
            assert!(unprintable.starts_with("wrong-member: name is \"a\\nb\""), "{unprintable}");
        }
        assert!(read(r#"{"v":1,"do":"task.stop","name":"a"}"#).unwrap_err().starts_with("unknown-request"));
    }

    #[test]
    fn a_request_that_cannot_be_answered_is_refused_by_a_code_with_what_to_write() {
        let list = r#""v":1,"do":"devices.list","group":"m""#;
        for (line, said) in [
            ("", "no-json: "),
            ("[]", "wrong-member: invalid type: a list, expected an object"),
            (r#"{"do":"version"}"#, "unsupported-version: v is missing: write \"v\": 1"),
            (r#"{"v":2,"do":"version"}"#, "unsupported-version: v is 2: write \"v\": 1"),
            (r#"{"v":1}"#, "wrong-member: do is missing: write one of version, status, devices.list"),
            (r#"{"v":1,"do":"stop"}"#, "unknown-request: \"stop\" is no request: write one of version"),
            (r#"{"v":1,"do":"version","x":1}"#, "wrong-member: x is no member of a request"),
            (r#"{"v":1,"do":"version","id":[]}"#, "wrong-member: id: write a text or a number"),
            (r#"{"v":1,"v":1,"do":"version"}"#, "no-json: v stands here twice"),
            (r#"{"v":1,"do":"devices.list"}"#, "wrong-member: group is missing"),
            (r#"{"v":1,"do":"devices.show","group":"m"}"#, "wrong-member: device is missing: write a DevEUI"),
            (&format!(r#"{{{list},"after":"x"}}"#), "wrong-member: after is \"x\": an EUI is 16 hex digits"),
            (&format!(r#"{{{list},"limit":0}}"#), "wrong-member: limit is 0: write 1 to 200"),
            (&format!(r#"{{{list},"limit":201}}"#), "wrong-member: limit is 201: write 1 to 200"),
        ] {
            let refusal = read(line).unwrap_err();
            assert!(refusal.starts_with(said), "{line}: {refusal}");
        }
        let (id, _) = Request::read(br#"{"v":1,"id":"a","do":"stop"}"#).unwrap_err();
        assert_eq!(id, Some(Value::from("a")), "whoever asked knows which request was refused");
    }
}
