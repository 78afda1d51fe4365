//! Where an image lies: an object of S3, or an address of the web. Both are asked for one content, range by range.

use aws_smithy_types::byte_stream::ByteStream;

use super::caller::Answer;
use super::caller::Caller;
use super::checksum::Checksum;
use super::error::AwsError;
use super::operation::Call;
use super::operation::GET_OBJECT;
use super::operation::HEAD_OBJECT;
use super::part::FetchError;
use super::part::ObjectVersion;
use super::part::Part;
use super::part::check_size;
use super::part::part;
use super::refusal::CallError;
use super::settings::Settings;
use super::web::Web;
use crate::signing::Evidence;
use crate::signing::MAX_EVIDENCE_BYTES;

/// The signature lies beside its object, under this ending.
pub(super) const SIGNATURE_ENDING: &str = ".sig";

/// Where an image lies.
pub(super) enum Source<'a> {
    S3(Object<'a>),
    Web(Web<'a>),
}

impl Source<'_> {
    /// What is there now.
    pub(super) async fn version(&self) -> Result<ObjectVersion, FetchError> {
        match self {
            Source::S3(object) => object.version().await,
            Source::Web(web) => web.version().await,
        }
    }

    /// Opens bytes `begin..end` of `version`, or all of it where ranges are ignored.
    pub(super) async fn open(
        &self,
        version: &ObjectVersion,
        begin: usize,
        end: usize,
    ) -> Result<Part, FetchError> {
        match self {
            Source::S3(object) => object.open(version, begin, end).await,
            Source::Web(web) => web.open(version, begin, end).await,
        }
    }

    /// The signature that lies beside it; `None` when there is none.
    pub(super) async fn signature(&self, version: &ObjectVersion) -> Result<Option<Evidence>, AwsError> {
        match self {
            Source::S3(object) => object.signature(version).await,
            // A signed address is one of one object.
            Source::Web(_) => Ok(None),
        }
    }
}

/// An object of S3.
pub(super) struct Object<'a> {
    pub caller: &'a Caller,
    pub settings: &'a Settings,
    pub bucket: &'a str,
    pub key: &'a str,
    /// The version that was ordered, if one was.
    pub version: Option<&'a str>,
}

impl Object<'_> {
    async fn version(&self) -> Result<ObjectVersion, FetchError> {
        let mut region = None;
        loop {
            match self.head(region.as_deref()).await {
                Ok(version) => return Ok(version),
                Err(Head::Region(theirs)) if region.is_none() => region = Some(theirs),
                Err(Head::Region(theirs)) => {
                    let why = format!("its bucket says it is in {theirs}, and there it is not, either");
                    return Err(FetchError::Final(why));
                }
                Err(Head::Fetch(error)) => return Err(error),
            }
        }
    }

    async fn head(&self, region: Option<&str>) -> Result<ObjectVersion, Head> {
        let call = head_object(self.bucket, self.key, self.version).in_region(region);
        let head = self.caller.try_send(call).await.map_err(|error| {
            match other_region(&error, region.unwrap_or(&self.settings.region)) {
                Some(theirs) => Head::Region(theirs),
                None => Head::Fetch(FetchError::Aws(AwsError::of(HEAD_OBJECT.action, &error))),
            }
        })?;
        check_size(size(&head), self.settings.max_image_bytes)
            .map_err(|why| Head::Fetch(FetchError::Final(why)))?;
        let Some(etag) = head.header("etag").filter(|etag| !etag.is_empty()) else {
            let error = AwsError::Unreadable { action: HEAD_OBJECT.action, why: "it has no ETag" };
            return Err(Head::Fetch(FetchError::Aws(error)));
        };
        Ok(ObjectVersion {
            size: size(&head),
            etag: Some(etag.to_owned()),
            version: self.version.or(head.header("x-amz-version-id")).map(str::to_owned),
            region: region.map(str::to_owned),
            checksums: checksums(&head),
            evidence: in_metadata(&format!("the metadata of s3://{}/{}", self.bucket, self.key), &head),
        })
    }

    async fn open(&self, version: &ObjectVersion, begin: usize, end: usize) -> Result<Part, FetchError> {
        let call = Call::of_object(&GET_OBJECT, self.bucket, self.key)
            .with_query("versionId", version.version.as_deref())
            .with_header("if-match", version.etag.as_deref())
            .with_header("range", Some(&format!("bytes={begin}-{}", end - 1)))
            .in_region(version.region.as_deref());
        let answer = self.caller.send(call).await.map_err(|error| match error {
            // 416: shorter than it was. 404: this version of it was deleted.
            AwsError::Refused { status: 412 | 416, .. } | AwsError::NotFound { .. } => FetchError::Changed,
            error => FetchError::Aws(error),
        })?;
        let is_other_version =
            version.version.is_some() && answer.header("x-amz-version-id") != version.version.as_deref();
        if answer.header("etag") != version.etag.as_deref() || is_other_version {
            return Err(FetchError::Changed);
        }
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        let range = answer.header("content-range");
        let announced = part(GET_OBJECT.action, version.size, begin..end, range, length)?;
        let (begin, end) = announced.unwrap_or((0, version.size));
        Ok(Part { begin, end, body: ByteStream::new(answer.body) })
    }

    /// `KEY.sig`. S3 says 403 of a missing object, too, where listing is not allowed.
    async fn signature(&self, version: &ObjectVersion) -> Result<Option<Evidence>, AwsError> {
        let key = format!("{}{SIGNATURE_ENDING}", self.key);
        let call = Call::of_object(&GET_OBJECT, self.bucket, &key).in_region(version.region.as_deref());
        let answer = match self.caller.send(call).await {
            Ok(answer) => answer,
            Err(AwsError::NotFound { .. } | AwsError::Denied { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        let mut body = ByteStream::new(answer.body);
        let mut signature = Vec::new();
        // One byte too many is enough to be refused.
        while let Some(piece) = body.next().await {
            signature.extend_from_slice(&piece.map_err(|error| AwsError::cut(GET_OBJECT.action, &error))?);
            if signature.len() > MAX_EVIDENCE_BYTES {
                break;
            }
        }
        if length.is_some_and(|length: usize| signature.len() < length.min(MAX_EVIDENCE_BYTES)) {
            return Err(AwsError::Unreadable {
                action: GET_OBJECT.action,
                why: "it is shorter than it says",
            });
        }
        Ok(Some(Evidence::detached(&format!("s3://{}/{key}", self.bucket), signature)))
    }
}

/// `HeadObject` with the sums that S3 has of the whole object: ranges carry none.
pub(super) fn head_object(bucket: &str, key: &str, version: Option<&str>) -> Call {
    Call::of_object(&HEAD_OBJECT, bucket, key)
        .with_query("versionId", version)
        .with_header("x-amz-checksum-mode", Some("ENABLED"))
}

/// The size of the object, bytes; 0 where nobody says.
pub(super) fn size(head: &Answer) -> usize {
    head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// The signature in the metadata of an object, which `origin` names.
pub(super) fn in_metadata(origin: &str, head: &Answer) -> Option<Evidence> {
    let members = head.headers.iter();
    let members = members.filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?, value)));
    Evidence::of_members(origin, members)
}

/// Why a HEAD brought no version of the object.
enum Head {
    /// The bucket is in this region.
    Region(String),
    Fetch(FetchError),
}

/// The bucket's region, if S3 says in a refusal that it is another one. It becomes part of a host name.
fn other_region(error: &CallError, asked: &str) -> Option<String> {
    let theirs = error.raw_response()?.headers().get("x-amz-bucket-region")?;
    let is_region = theirs.len() <= 32
        && theirs.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    (theirs != asked && is_region).then(|| theirs.to_owned())
}

/// The sums of the whole object. Those of a multipart upload may be sums of sums: `COMPOSITE`, or with `-N`.
fn checksums(head: &Answer) -> Vec<Checksum> {
    if head.header("x-amz-checksum-type").is_some_and(|kind| kind != "FULL_OBJECT") {
        return Vec::new();
    }
    let given = [
        head.header("x-amz-checksum-crc32").and_then(Checksum::crc32),
        head.header("x-amz-checksum-crc32c").and_then(Checksum::crc32c),
        head.header("x-amz-checksum-crc64nvme").and_then(Checksum::crc64nvme),
        head.header("x-amz-checksum-sha256").and_then(Checksum::sha256),
    ];
    given.into_iter().flatten().collect()
}
