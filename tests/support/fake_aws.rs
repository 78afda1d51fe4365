//! A stand-in for AWS IoT Wireless, IoT, Signer, STS and S3 on loopback: the calls that the daemon makes, with
//! scripted faults.
//!
//! HTTP/1.1 on std threads, one per connection. `tests/oracles/run.sh` lets boto3 and botocore judge it; it does
//! not compute signatures itself, only looks whether each request carries a well-formed one.

#[path = "fake_s3.rs"]
mod fake_s3;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;

use fake_s3::Object;
use fake_s3::s3;
use serde_json::Value;
use serde_json::json;

/// Longer than any test should take.
const LIMIT: Duration = Duration::from_secs(30);

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    GetTask,
    ListTasks,
    ListGroups,
    GetGroup,
    GetSession,
    GetGateway,
    GetOta,
    GetStream,
    GetJobDocument,
    GetSigningJob,
    Sts,
    Head,
    Get,
    Unknown,
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error in the service's own form.
    Error(u16, &'static str),
    /// An error that repeats the request's secrets, as `SignatureDoesNotMatch` does.
    Echo(u16, &'static str),
    /// An error whose code is in the body only.
    Untyped(u16, &'static str),
    /// An error page of something in between.
    Html(u16),
    /// An error without a body.
    Empty(u16),
    /// The connection ends without an answer.
    Reset,
    /// The body ends after so many bytes, the connection with it.
    Cut(usize),
    /// The body comes in pieces with pauses.
    Drip(usize, Duration),
    /// Half of the body comes, then nothing, until the double is dropped or 10 s are over.
    Stall,
    /// JSON that ends in its middle.
    Truncated,
    /// The object is replaced by this just before it is asked for.
    Swap(Vec<u8>),
    /// The same, and something in between takes `If-Match` and the version out of the request.
    SwapUnseen(Vec<u8>),
    /// The whole object instead of a range.
    IgnoreRange,
    /// Another range than was asked for.
    OtherRange,
    /// One byte more than the range.
    Longer,
    /// The body goes on after the length that the head announces.
    Overrun,
    /// The head ends after so many bytes, the connection with it.
    CutHead(usize),
    /// Another address is to be asked.
    Redirect(String),
    /// A page whose next page is itself.
    EndlessPages,
    /// A page with a new token, whatever was asked.
    ManyPages,
    /// This instead of the answer's body, with 200.
    Body(&'static str),
    /// The service's clock is so many seconds ahead of the caller's: 403, and its `Date` says so.
    Skewed(i64),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub op: Op,
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What the double holds.
#[derive(Debug, Default)]
pub struct World {
    /// GetFuotaTask's answers by id.
    pub tasks: BTreeMap<String, Value>,
    /// The multicast groups of each task.
    pub task_groups: BTreeMap<String, Vec<String>>,
    /// GetMulticastGroup's answers by id.
    pub groups: BTreeMap<String, Value>,
    /// GetMulticastGroupSession's answers by the group's id; none: no session.
    pub sessions: BTreeMap<String, Value>,
    /// GetWirelessGateway's answers by EUI.
    pub gateways: BTreeMap<String, Value>,
    /// `otaUpdateInfo` of GetOTAUpdate's answers by id.
    pub updates: BTreeMap<String, Value>,
    /// `streamInfo` of DescribeStream's answers by id.
    pub streams: BTreeMap<String, Value>,
    /// The texts that GetJobDocument answers with, by the job's id.
    pub job_documents: BTreeMap<String, String>,
    /// DescribeSigningJob's answers by id.
    pub signing_jobs: BTreeMap<String, Value>,
    /// Roles that STS gives credentials for.
    pub roles: Vec<String>,
    /// Bodies that came with POST.
    pub forms: Vec<String>,
    /// The access key that S3 wants for objects under these paths.
    pub keys_for: BTreeMap<String, String>,
    /// Objects by `bucket/key`.
    pub objects: BTreeMap<String, Object>,
    /// Everything that came.
    pub requests: Vec<Request>,
    /// Requests that S3 or IoT Wireless would not take.
    pub complaints: Vec<String>,
    faults: BTreeMap<Op, VecDeque<Fault>>,
    /// The services' clock is so many seconds ahead of this host's.
    pub ahead_s: i64,
    /// So many groups a page.
    pub page: usize,
    /// Bytes of objects that were sent, whatever became of them.
    pub sent_bytes: usize,
    stopped: bool,
}

/// The double. Dropping it ends it.
pub struct FakeAws {
    address: SocketAddr,
    shared: Arc<(Mutex<World>, Condvar)>,
}

impl FakeAws {
    pub fn start() -> FakeAws {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let world = World { page: 10, ..World::default() };
        let shared = Arc::new((Mutex::new(world), Condvar::new()));
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&theirs);
                if shared.0.lock().unwrap().stopped {
                    return;
                }
                std::thread::spawn(move || {
                    // The other side hanging up is no fault of the double.
                    let _ = stream.and_then(|stream| serve(stream, &shared));
                });
            }
        });
        FakeAws { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.shared.0.lock().unwrap()
    }

    /// A task as AWS would answer with it; `status` and `start` vary.
    pub fn put_task(&self, id: &str, status: &str, start: Option<&str>, image: &str) {
        let mut lorawan = json!({"RfRegion": "EU868"});
        if let Some(start) = start {
            lorawan["StartTime"] = json!(start);
        }
        let task = json!({
            "Arn": format!("arn:aws:iotwireless:eu-west-1:123456789012:FuotaTask/{id}"), "Id": id,
            "Status": status, "Name": "meter-fw-1-4-2", "Description": "", "LoRaWAN": lorawan,
            "FirmwareUpdateImage": image, "FirmwareUpdateRole": "arn:aws:iam::123456789012:role/fuota-read",
            "CreatedAt": 1_732_233_600.123, "RedundancyPercent": 50, "FragmentSizeBytes": 10,
            "FragmentIntervalMS": 1500, "Descriptor": "AQQCAA==",
        });
        self.world().tasks.insert(id.to_owned(), task);
    }

    /// A multicast group with so many participating gateways.
    pub fn put_group(&self, id: &str, gateways: usize) {
        let list: Vec<String> = (0..gateways).map(|number| format!("gateway-{number}")).collect();
        let group = json!({
            "Arn": format!("arn:aws:iotwireless:eu-west-1:123456789012:MulticastGroup/{id}"), "Id": id,
            "Name": "meters", "Description": "", "Status": "Pending", "CreatedAt": 1_732_233_600.5,
            "LoRaWAN": {
                "RfRegion": "EU868", "DlClass": "ClassC", "NumberOfDevicesRequested": 0,
                "NumberOfDevicesInGroup": 0,
                "ParticipatingGateways": {"GatewayList": list, "TransmissionInterval": 0},
            },
        });
        self.world().groups.insert(id.to_owned(), group);
    }

    /// The session of a multicast group.
    pub fn put_session(&self, group: &str, lorawan: Value) {
        self.world().sessions.insert(group.to_owned(), json!({ "LoRaWAN": lorawan }));
    }

    /// A gateway as AWS knows it.
    pub fn put_gateway(&self, eui: &str, id: &str) {
        let gateway = json!({
            "Arn": format!("arn:aws:iotwireless:eu-west-1:123456789012:WirelessGateway/{id}"), "Id": id,
            "Name": "roof", "Description": "", "LoRaWAN": {"GatewayEui": eui, "RfRegion": "EU868"},
        });
        self.world().gateways.insert(eui.to_owned(), gateway);
    }

    /// An OTA update as AWS would answer with it, with empty objects for what is not used.
    pub fn put_update(&self, id: &str, status: &str, files: Value) {
        let info = json!({
            "otaUpdateId": id, "otaUpdateArn": format!("arn:aws:iot:eu-west-1:123456789012:otaupdate/{id}"),
            "creationDate": 1_732_233_600.123, "lastModifiedDate": 1_732_233_605.5, "description": "meters",
            "targets": ["arn:aws:iot:eu-west-1:123456789012:thing/gw1"], "protocols": ["HTTP"],
            "awsJobExecutionsRolloutConfig": {"maximumPerMinute": 10},
            "awsJobPresignedUrlConfig": {"expiresInSec": 1800}, "targetSelection": "SNAPSHOT",
            "otaUpdateFiles": files, "otaUpdateStatus": status, "awsIotJobId": format!("AFR_OTA-{id}"),
            "awsIotJobArn": format!("arn:aws:iot:eu-west-1:123456789012:job/AFR_OTA-{id}"),
            "additionalParameters": {"operator": "roof"},
        });
        self.world().updates.insert(id.to_owned(), info);
    }

    /// A stream with one file in S3.
    pub fn put_stream(&self, id: &str, file_id: i64, bucket: &str, key: &str) {
        let info = json!({
            "streamId": id, "streamArn": format!("arn:aws:iot:eu-west-1:123456789012:stream/{id}"),
            "streamVersion": 1, "description": "", "createdAt": 1_732_233_600.5, "lastUpdatedAt": 1_732_233_600.5,
            "files": [{"fileId": file_id, "s3Location": {"bucket": bucket, "key": key}}],
            "roleArn": "arn:aws:iam::123456789012:role/stream-read",
        });
        self.world().streams.insert(id.to_owned(), info);
    }

    /// An object; its ETag and version follow from its bytes.
    pub fn put_object(&self, path: &str, bytes: &[u8], is_versioned: bool) {
        self.world().objects.insert(path.to_owned(), Object::new(bytes, is_versioned));
    }

    /// The next requests of `op` go wrong like this, one each.
    pub fn fail(&self, op: Op, faults: impl IntoIterator<Item = Fault>) {
        self.world().faults.entry(op).or_default().extend(faults);
    }

    /// Whether all faults of `op` have struck.
    pub fn is_spent(&self, op: Op) -> bool {
        self.world().faults.get(&op).is_none_or(VecDeque::is_empty)
    }

    pub fn count(&self, op: Op) -> usize {
        self.world().requests.iter().filter(|request| request.op == op).count()
    }

    /// Waits until `op` was asked for `count` times.
    pub fn wait_for(&self, op: Op, count: usize) {
        let is_short =
            |world: &mut World| world.requests.iter().filter(|request| request.op == op).count() < count;
        let (_world, timeout) = self.shared.1.wait_timeout_while(self.world(), LIMIT, is_short).unwrap();
        assert!(!timeout.timed_out(), "{op:?} was not asked for {count} times");
    }

    /// From now on nothing goes wrong.
    pub fn no_faults(&self) {
        self.world().faults.clear();
    }

    /// Waits until `op` was asked for `more` times more and all its faults have struck.
    pub fn wait(&self, op: Op, more: usize) {
        let count = |world: &World| world.requests.iter().filter(|request| request.op == op).count();
        let world = self.world();
        let goal = count(&world) + more;
        let is_short = |world: &mut World| {
            count(world) < goal || world.faults.get(&op).is_some_and(|faults| !faults.is_empty())
        };
        let (world, timeout) = self.shared.1.wait_timeout_while(world, LIMIT, is_short).unwrap();
        assert!(!timeout.timed_out(), "{op:?} was asked for {} times, not {goal}", count(&world));
    }

    /// The requests of `op`.
    pub fn requests(&self, op: Op) -> Vec<Request> {
        self.world().requests.iter().filter(|request| request.op == op).cloned().collect()
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        if let Ok(mut world) = self.shared.0.lock() {
            world.stopped = true;
        }
        self.shared.1.notify_all();
        // The listener looks up once more.
        let _ = TcpStream::connect(self.address);
    }
}

/// An answer before faults.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn json(status: u16, value: &Value) -> Answer {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Answer { status, headers, body: value.to_string().into_bytes() }
    }

    fn error(op: Op, status: u16, code: &str, message: &str) -> Answer {
        if matches!(op, Op::Head | Op::Get) {
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message>\
                 <RequestId>r</RequestId></Error>"
            );
            let headers = vec![("content-type".to_owned(), "application/xml".to_owned())];
            return Answer { status, headers, body: body.into_bytes() };
        }
        if op == Op::Sts {
            let body = format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                 <Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
            );
            return Answer {
                status,
                headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
                body: body.into_bytes(),
            };
        }
        // The member is capital in IoT Wireless only.
        let member = if service(op) == "iotwireless" { "Message" } else { "message" };
        let mut answer = Answer::json(status, &json!({ member: message }));
        // With the suffix that the real service is known to add.
        answer
            .headers
            .push(("x-amzn-errortype".to_owned(), format!("{code}:http://internal.amazon.com/coral/")));
        answer
    }
}

fn serve(stream: TcpStream, shared: &(Mutex<World>, Condvar)) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader)? {
        let (answer, fault) = {
            let mut world = shared.0.lock().unwrap();
            let fault = world.faults.get_mut(&request.op).and_then(VecDeque::pop_front);
            let complaint = complaint(&request);
            world.complaints.extend(complaint);
            let ahead_s = world.ahead_s;
            let skew = Fault::Skewed(ahead_s);
            let fault = fault.or(is_skewed(&request, ahead_s).then_some(skew));
            let mut answer = answer(&mut world, &request, fault.as_ref());
            if !answer.headers.iter().any(|(name, _)| name == "date") {
                answer.headers.push(("date".to_owned(), http_date(ahead_s)));
            }
            world.requests.push(request.clone());
            shared.1.notify_all();
            (answer, fault)
        };
        let is_head = request.method == "HEAD";
        if !write(&mut writer, shared, &answer, fault.as_ref(), is_head)? {
            return Ok(());
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body)?;
    Ok(Some(Request { op: op(&method, &target), method, target, headers, body }))
}

fn op(method: &str, target: &str) -> Op {
    let path = target.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["fuota-tasks"]) => Op::ListTasks,
        ("GET", ["fuota-tasks", _]) => Op::GetTask,
        ("GET", ["fuota-tasks", _, "multicast-groups"]) => Op::ListGroups,
        ("GET", ["multicast-groups", _]) => Op::GetGroup,
        ("GET", ["multicast-groups", _, "session"]) => Op::GetSession,
        ("GET", ["wireless-gateways", _]) => Op::GetGateway,
        ("GET", ["otaUpdates", _]) => Op::GetOta,
        ("GET", ["streams", _]) => Op::GetStream,
        ("GET", ["jobs", _, "job-document"]) => Op::GetJobDocument,
        ("GET", ["signing-jobs", _]) => Op::GetSigningJob,
        ("POST", [""]) => Op::Sts,
        ("HEAD", [_, _, ..]) => Op::Head,
        ("GET", [_, _, ..]) => Op::Get,
        _ => Op::Unknown,
    }
}

/// The service's name in a signature.
fn service(op: Op) -> &'static str {
    match op {
        Op::Head | Op::Get => "s3",
        Op::GetOta | Op::GetStream | Op::GetJobDocument => "iot",
        Op::GetSigningJob => "signer",
        Op::Sts => "sts",
        _ => "iotwireless",
    }
}

/// What is wrong with the request's signature, as far as one sees without the secret.
fn complaint(request: &Request) -> Option<String> {
    // A signed address vouches for itself.
    if request.target.contains("X-Amz-Signature=") {
        return None;
    }
    let wrong = |what: &str| Some(format!("{} {}: {what}", request.method, request.target));
    let service = service(request.op);
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    // A web identity token vouches for itself.
    if request.body.contains("Action=AssumeRoleWithWebIdentity&") {
        return header("authorization").and_then(|_| wrong("signed beside a token"));
    }
    let Some(date) = header("x-amz-date") else { return wrong("no x-amz-date") };
    let Some(authorization) = header("authorization") else { return wrong("not signed") };
    let Some(rest) = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=") else {
        return wrong("not signed with SigV4");
    };
    let parts: Vec<&str> = rest.split(", ").collect();
    let [credential, signed, signature] = parts.as_slice() else { return wrong("not three parts") };
    let scope: Vec<&str> = credential.split('/').collect();
    match scope.as_slice() {
        [key, day, _region, theirs, "aws4_request"]
            if !key.is_empty() && date.starts_with(day) && *theirs == service => {}
        _ => return wrong("the scope is not key/day/region/service/aws4_request"),
    }
    let Some(signed) = signed.strip_prefix("SignedHeaders=") else { return wrong("no SignedHeaders") };
    let signed: Vec<&str> = signed.split(';').collect();
    if let Some(missing) = signed.iter().find(|name| header(name).is_none()) {
        return wrong(&format!("{missing} is signed and not there"));
    }
    let mut needed = vec!["host", "x-amz-date"];
    needed.extend(["x-amz-security-token", "range", "if-match"].iter().filter(|name| header(name).is_some()));
    needed.extend((service == "s3").then_some("x-amz-content-sha256"));
    if let Some(missing) = needed.iter().find(|name| !signed.contains(name)) {
        return wrong(&format!("{missing} is not signed"));
    }
    let digits = signature.strip_prefix("Signature=").unwrap_or_default();
    let is_digest = digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digest { None } else { wrong("the signature is no SHA-256") }
}

fn answer(world: &mut World, request: &Request, fault: Option<&Fault>) -> Answer {
    match fault {
        Some(Fault::Error(status, code)) => return Answer::error(request.op, *status, code, "Scripted."),
        Some(Fault::Echo(status, code)) => {
            let secrets: Vec<&str> = ["authorization", "x-amz-security-token"]
                .iter()
                .filter_map(|name| request.headers.get(*name).map(String::as_str))
                .collect();
            return Answer::error(request.op, *status, code, &secrets.join(" "));
        }
        Some(Fault::Html(status)) => {
            let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
            return Answer { status: *status, headers, body: b"<html><h1>Bad Gateway</h1></html>".to_vec() };
        }
        Some(Fault::Untyped(status, code)) => {
            return Answer::json(
                *status,
                &json!({"__type": format!("com.amazonaws#{code}"), "message": "m"}),
            );
        }
        Some(Fault::Redirect(address)) => {
            let headers = vec![("location".to_owned(), address.clone())];
            return Answer { status: 307, headers, body: Vec::new() };
        }
        Some(Fault::Body(body)) => {
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            return Answer { status: 200, headers, body: body.as_bytes().to_vec() };
        }
        Some(Fault::Skewed(seconds)) => {
            let code = if matches!(request.op, Op::Head | Op::Get) {
                "RequestTimeTooSkewed"
            } else {
                "InvalidSignatureException"
            };
            let mut answer =
                Answer::error(request.op, 403, code, "Signature expired: it is now earlier than the window");
            answer.headers.push(("date".to_owned(), http_date(*seconds)));
            return answer;
        }
        Some(Fault::Empty(status)) => {
            return Answer { status: *status, headers: Vec::new(), body: Vec::new() };
        }
        _ => {}
    }
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let parts: Vec<String> = path.trim_start_matches('/').split('/').map(decoded).collect();
    let query: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let missing = || Answer::error(request.op, 404, "ResourceNotFoundException", "No such resource.");
    // An id of the form `error-429-ThrottlingException` names what it leads to.
    let scripted = parts.get(1).and_then(|id| id.strip_prefix("error-")).and_then(|id| id.split_once('-'));
    if let Some((status, code)) = scripted.and_then(|(status, code)| Some((status.parse().ok()?, code))) {
        return Answer::error(request.op, status, code, "As the id says.");
    }
    match request.op {
        Op::GetTask => world.tasks.get(&parts[1]).map_or_else(missing, |task| Answer::json(200, task)),
        Op::ListTasks => {
            let entry = |task: &Value| json!({"Id": task["Id"], "Arn": task["Arn"], "Name": task["Name"]});
            let list: Vec<Value> = world.tasks.values().map(entry).collect();
            page(world.page, "FuotaTaskList", &list, &query, fault)
        }
        Op::ListGroups if world.tasks.contains_key(&parts[1]) => {
            let all = world.task_groups.get(&parts[1]).map(Vec::as_slice).unwrap_or_default();
            let list: Vec<Value> = all.iter().map(|id| json!({ "Id": id })).collect();
            page(world.page, "MulticastGroupList", &list, &query, fault)
        }
        Op::GetGroup => world.groups.get(&parts[1]).map_or_else(missing, |group| Answer::json(200, group)),
        Op::GetSession => world.sessions.get(&parts[1]).map_or_else(missing, |it| Answer::json(200, it)),
        Op::GetGateway => world.gateways.get(&parts[1]).map_or_else(missing, |it| Answer::json(200, it)),
        Op::GetOta => {
            let update = world.updates.get(&parts[1]);
            update.map_or_else(missing, |info| Answer::json(200, &json!({ "otaUpdateInfo": info })))
        }
        Op::GetStream => {
            let stream = world.streams.get(&parts[1]);
            stream.map_or_else(missing, |info| Answer::json(200, &json!({ "streamInfo": info })))
        }
        Op::GetJobDocument => {
            let document = world.job_documents.get(&parts[1]);
            document.map_or_else(missing, |text| Answer::json(200, &json!({ "document": text })))
        }
        Op::GetSigningJob => {
            world.signing_jobs.get(&parts[1]).map_or_else(missing, |it| Answer::json(200, it))
        }
        Op::Sts => sts(world, request),
        Op::Head | Op::Get => s3(world, request, &parts, &query, fault),
        _ => missing(),
    }
}

/// A page of `all`, so many entries long.
fn page(
    entries: usize,
    name: &str,
    all: &[Value],
    query: &BTreeMap<String, String>,
    fault: Option<&Fault>,
) -> Answer {
    // A token with characters that must be escaped.
    let from = query.get("nextToken").and_then(|token| token.strip_prefix("n+/="));
    let from: usize = from.and_then(|from| from.parse().ok()).unwrap_or(0);
    let page: Vec<Value> = all.iter().skip(from).take(entries).cloned().collect();
    let next = from + page.len();
    let mut body = json!({ name: page });
    match fault {
        Some(Fault::EndlessPages) => body["NextToken"] = json!("n+/=0"),
        Some(Fault::ManyPages) => body["NextToken"] = json!(format!("n+/={}", from + 1_000_000)),
        _ if next < all.len() => body["NextToken"] = json!(format!("n+/={next}")),
        _ => {}
    }
    Answer::json(200, &body)
}

/// AssumeRole and GetCallerIdentity.
fn sts(world: &mut World, request: &Request) -> Answer {
    world.forms.push(request.body.clone());
    let form: BTreeMap<String, String> = request
        .body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(&value.replace('+', " "))))
        .collect();
    let said = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let body = match said("Action") {
        "GetCallerIdentity" => {
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/gateway/gw1</Arn>\
             <UserId>AROA:gw1</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
             </GetCallerIdentityResponse>"
                .to_owned()
        }
        action @ ("AssumeRole" | "AssumeRoleWithWebIdentity")
            if world.roles.iter().any(|role| role == said("RoleArn")) =>
        {
            format!(
                "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>AKIDASSUMED</AccessKeyId><SecretAccessKey>SECRET/CANARY+role</SecretAccessKey>\
             <SessionToken>TOKEN/CANARY+role==</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
             </Credentials><AssumedRoleUser><Arn>{}</Arn><AssumedRoleId>AROA:s</AssumedRoleId></AssumedRoleUser>\
             </{action}Result></{action}Response>",
                said("RoleArn")
            )
        }
        _ => return Answer::error(Op::Sts, 403, "AccessDenied", "Not authorized to perform sts:AssumeRole"),
    };
    Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
        body: body.into_bytes(),
    }
}

/// Whether the request was signed more than five minutes before or after what the services take for now.
fn is_skewed(request: &Request, ahead_s: i64) -> bool {
    let signed = request.headers.get("x-amz-date").and_then(|date| {
        jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()
    });
    let now_s = jiff::Timestamp::now().as_second() + ahead_s;
    signed.is_some_and(|signed| (signed.timestamp().as_second() - now_s).abs() > 300)
}

/// Now and so many seconds more, as HTTP writes it.
fn http_date(seconds: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    let then = jiff::Timestamp::from_second(now + seconds).unwrap();
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Writes the answer as far as the fault lets it; whether the connection may be used again.
fn write(
    stream: &mut TcpStream,
    shared: &(Mutex<World>, Condvar),
    answer: &Answer,
    fault: Option<&Fault>,
    is_head: bool,
) -> std::io::Result<bool> {
    if matches!(fault, Some(Fault::Reset)) {
        return Ok(false);
    }
    let mut body = answer.body.as_slice();
    if matches!(fault, Some(Fault::Truncated)) {
        body = &body[..body.len() / 2];
    }
    let announced = body.len() - usize::from(matches!(fault, Some(Fault::Overrun)) && !body.is_empty());
    let mut head = format!("HTTP/1.1 {} Scripted\r\ncontent-length: {announced}\r\n", answer.status);
    if !answer.headers.iter().any(|(name, _)| *name == "date") {
        head += &format!("date: {}\r\n", http_date(0));
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "x-amzn-requestid: 00000000-0000-4000-8000-000000000000\r\n\r\n";
    if let Some(Fault::CutHead(after)) = fault {
        stream.write_all(&head.as_bytes()[..head.len().min(*after)])?;
        return Ok(false);
    }
    stream.write_all(head.as_bytes())?;
    if is_head {
        return Ok(true);
    }
    let send = |stream: &mut TcpStream, bytes: &[u8]| {
        if answer.status == 200 || answer.status == 206 {
            shared.0.lock().unwrap().sent_bytes += bytes.len();
        }
        stream.write_all(bytes)
    };
    match fault {
        Some(Fault::Cut(after)) => {
            send(stream, &body[..body.len().min(*after)])?;
            return Ok(false);
        }
        Some(Fault::Drip(bytes, pause)) => {
            for piece in body.chunks(*bytes) {
                send(stream, piece)?;
                pause_for(shared, *pause);
            }
        }
        Some(Fault::Stall) => {
            send(stream, &body[..body.len() / 2])?;
            pause_for(shared, Duration::from_secs(10));
            return Ok(false);
        }
        _ => send(stream, body)?,
    }
    Ok(true)
}

/// Waits, but not when the double is dropped.
fn pause_for(shared: &(Mutex<World>, Condvar), pause: Duration) {
    let world = shared.0.lock().unwrap();
    let _ = shared.1.wait_timeout_while(world, pause, |world| !world.stopped).unwrap();
}

/// Percent signs undone.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| *first == b'%');
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
