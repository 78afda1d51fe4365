//! The objects of the stand-in for AWS: S3 as far as a reader of objects sees it, and its faults.

use std::collections::BTreeMap;

use super::Answer;
use super::Fault;
use super::Request;
use super::World;

/// An object of S3.
#[derive(Clone, Debug, Default)]
pub struct Object {
    pub bytes: Vec<u8>,
    pub etag: String,
    pub version: Option<String>,
    pub region: Option<&'static str>,
    /// Without its prefix `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Headers of HEAD about the whole object, where checksums are asked for.
    pub checksums: Vec<(&'static str, String)>,
}

impl Object {
    /// The tag differs for different bytes; nobody may take it for an MD5.
    pub fn new(bytes: &[u8], is_versioned: bool) -> Object {
        let sum = crc32c::crc32c(bytes);
        let version = is_versioned.then(|| format!("v{sum:08x}"));
        Object { bytes: bytes.to_vec(), etag: format!("\"{sum:08x}-1\""), version, ..Object::default() }
    }
}

/// The answer to HEAD and GET of an object.
pub(super) fn s3(
    world: &mut World,
    request: &Request,
    parts: &[String],
    query: &BTreeMap<String, String>,
    fault: Option<&Fault>,
) -> Answer {
    let error = |status, code| Answer::error(request.op, status, code, "See the code.");
    let path = parts.join("/");
    if let (Some(Fault::Swap(bytes) | Fault::SwapUnseen(bytes)), Some(old)) =
        (fault, world.objects.get_mut(&path))
    {
        *old = Object::new(bytes, old.version.is_some());
    }
    let Some(object) = world.objects.get(&path) else { return error(404, "NoSuchKey") };
    let scope = request.headers.get("authorization").map(String::as_str).unwrap_or_default();
    if world.keys_for.get(&path).is_some_and(|key| !scope.contains(&format!("Credential={key}/"))) {
        return error(403, "AccessDenied");
    }
    if let Some(region) = object.region.filter(|region| !scope.contains(&format!("/{region}/s3/"))) {
        let mut answer = error(301, "PermanentRedirect");
        answer.headers.push(("x-amz-bucket-region".to_owned(), region.to_owned()));
        return answer;
    }
    let is_unseen = matches!(fault, Some(Fault::SwapUnseen(_)));
    if !is_unseen && query.get("versionId").is_some_and(|version| Some(version) != object.version.as_ref()) {
        return error(404, "NoSuchVersion");
    }
    if !is_unseen && request.headers.get("if-match").is_some_and(|etag| *etag != object.etag) {
        return error(412, "PreconditionFailed");
    }
    let size = object.bytes.len();
    let mut headers = vec![
        ("content-type".to_owned(), "binary/octet-stream".to_owned()),
        ("accept-ranges".to_owned(), "bytes".to_owned()),
        ("etag".to_owned(), object.etag.clone()),
        ("last-modified".to_owned(), "Sun, 22 Nov 2026 00:00:00 GMT".to_owned()),
    ];
    headers.extend(object.version.clone().map(|version| ("x-amz-version-id".to_owned(), version)));
    let metadata = object.metadata.iter();
    headers.extend(metadata.map(|(name, value)| (format!("x-amz-meta-{name}"), value.clone())));
    let range = request.headers.get("range").filter(|_| !matches!(fault, Some(Fault::IgnoreRange)));
    if range.is_none() && request.headers.get("x-amz-checksum-mode").is_some_and(|mode| mode == "ENABLED") {
        headers.extend(object.checksums.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    let Some(range) = range else { return Answer { status: 200, headers, body: object.bytes.clone() } };
    let span = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    // An open end is the object's.
    let last = |to: &str| if to.is_empty() { Some(size) } else { to.parse().ok() };
    let Some((from, to)) = span.and_then(|(from, to)| Some((from.parse().ok()?, last(to)?))) else {
        return error(400, "InvalidArgument");
    };
    if from >= size {
        return error(416, "InvalidRange");
    }
    let end = size.min(to + 1).max(from);
    let mut body = object.bytes[from..end].to_vec();
    let shift = usize::from(matches!(fault, Some(Fault::OtherRange)));
    headers.push(("content-range".to_owned(), format!("bytes {}-{}/{size}", from + shift, end - 1 + shift)));
    if matches!(fault, Some(Fault::Longer)) {
        body.push(0);
    }
    Answer { status: 206, headers, body }
}
