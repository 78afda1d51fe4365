//! Where an image lies: an object of S3, or an address of the web. Both are asked for one content, range by range.

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::ChecksumMode;

use super::checksum::Checksum;
use super::part::Part;
use super::part::Pin;
use super::part::Setback;
use super::part::check_size;
use super::part::part;
use super::settings::Settings;
use super::trouble::Trouble;
use super::web::Web;
use crate::signing::Evidence;
use crate::signing::MAX_EVIDENCE_BYTES;

pub(super) const HEAD: &str = "s3:GetObject (HEAD)";
pub(super) const GET: &str = "s3:GetObject";
/// The signature lies beside its object, under this ending.
pub(super) const SIGNATURE_ENDING: &str = ".sig";

/// Where an image lies.
pub(super) enum Source<'a> {
    S3(Object<'a>),
    Web(Web<'a>),
}

impl Source<'_> {
    /// What is there now.
    pub(super) async fn pin(&self) -> Result<Pin, Setback> {
        match self {
            Source::S3(object) => object.pin().await,
            Source::Web(web) => web.pin().await,
        }
    }

    /// Opens bytes `begin..end` of `pin`, or all of it where ranges are ignored.
    pub(super) async fn open(&self, pin: &Pin, begin: usize, end: usize) -> Result<Part, Setback> {
        match self {
            Source::S3(object) => object.open(pin, begin, end).await,
            Source::Web(web) => web.open(pin, begin, end).await,
        }
    }

    /// The signature that lies beside it; `None` when there is none.
    pub(super) async fn signature(&self, pin: &Pin) -> Result<Option<Evidence>, Trouble> {
        match self {
            Source::S3(object) => object.signature(pin).await,
            // A signed address is one of one object.
            Source::Web(_) => Ok(None),
        }
    }
}

/// An object of S3.
pub(super) struct Object<'a> {
    pub client: &'a aws_sdk_s3::Client,
    pub settings: &'a Settings,
    pub bucket: &'a str,
    pub key: &'a str,
    /// The version that was ordered, if one was.
    pub version: Option<&'a str>,
}

impl Object<'_> {
    async fn pin(&self) -> Result<Pin, Setback> {
        let mut region = None;
        loop {
            match self.head(region.as_deref()).await {
                Ok(pin) => return Ok(pin),
                Err(Head::Region(theirs)) if region.is_none() => region = Some(theirs),
                Err(Head::Region(theirs)) => {
                    let why = format!("its bucket says it is in {theirs}, and there it is not, either");
                    return Err(Setback::Final(why));
                }
                Err(Head::Setback(setback)) => return Err(setback),
            }
        }
    }

    async fn head(&self, region: Option<&str>) -> Result<Pin, Head> {
        let call = self.client.head_object().bucket(self.bucket).key(self.key);
        // Ranges carry no checksum of the whole.
        let call = call.set_version_id(self.version.map(str::to_owned));
        let call = call.checksum_mode(ChecksumMode::Enabled).customize();
        let head =
            call.config_override(in_region(region)).send().await.map_err(|error| {
                match other_region(&error, region.unwrap_or(&self.settings.region)) {
                    Some(theirs) => Head::Region(theirs),
                    None => Head::Setback(Setback::Trouble(Trouble::of(HEAD, &error))),
                }
            })?;
        let size = head.content_length().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        check_size(size, self.settings.max_image_bytes).map_err(|why| Head::Setback(Setback::Final(why)))?;
        let Some(etag) = head.e_tag().filter(|etag| !etag.is_empty()) else {
            let why = "it has no ETag";
            return Err(Head::Setback(Setback::Trouble(Trouble::Unreadable { action: HEAD, why })));
        };
        Ok(Pin {
            size,
            etag: Some(etag.to_owned()),
            version: self.version.or(head.version_id()).map(str::to_owned),
            region: region.map(str::to_owned),
            checksums: checksums(&head),
            evidence: self.metadata(&head),
        })
    }

    fn metadata(&self, head: &HeadObjectOutput) -> Option<Evidence> {
        let members = head.metadata()?.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Evidence::of_members(&format!("the metadata of s3://{}/{}", self.bucket, self.key), members)
    }

    async fn open(&self, pin: &Pin, begin: usize, end: usize) -> Result<Part, Setback> {
        let call = self.client.get_object().bucket(self.bucket).key(self.key);
        let call = call.set_version_id(pin.version.clone()).set_if_match(pin.etag.clone());
        let call = call.range(format!("bytes={begin}-{}", end - 1)).customize();
        let answer = match call.config_override(in_region(pin.region.as_deref())).send().await {
            Ok(answer) => answer,
            Err(error) => {
                return Err(match Trouble::of(GET, &error) {
                    // 416: shorter than it was. 404: this version of it was deleted.
                    Trouble::Refused { status: 412 | 416, .. } | Trouble::NotFound { .. } => Setback::Changed,
                    trouble => Setback::Trouble(trouble),
                });
            }
        };
        let is_other_version = pin.version.is_some() && answer.version_id() != pin.version.as_deref();
        if answer.e_tag() != pin.etag.as_deref() || is_other_version {
            return Err(Setback::Changed);
        }
        let length = answer.content_length().and_then(|length| usize::try_from(length).ok());
        let Some((begin, end)) = part(GET, pin.size, begin..end, answer.content_range(), length)? else {
            return Ok(Part { begin: 0, end: pin.size, body: answer.body });
        };
        Ok(Part { begin, end, body: answer.body })
    }

    /// `KEY.sig`. S3 says 403 of a missing object, too, where listing is not allowed.
    async fn signature(&self, pin: &Pin) -> Result<Option<Evidence>, Trouble> {
        let key = format!("{}{SIGNATURE_ENDING}", self.key);
        let call = self.client.get_object().bucket(self.bucket).key(&key).customize();
        let sent = call.config_override(in_region(pin.region.as_deref())).send().await;
        let mut answer = match sent.map_err(|error| Trouble::of(GET, &error)) {
            Ok(answer) => answer,
            Err(Trouble::NotFound { .. } | Trouble::Denied { .. }) => return Ok(None),
            Err(trouble) => return Err(trouble),
        };
        let mut signature = Vec::new();
        // One byte too many is enough to be refused.
        while let Some(piece) = answer.body.next().await {
            signature.extend_from_slice(&piece.map_err(|error| Trouble::cut(GET, &error))?);
            if signature.len() > MAX_EVIDENCE_BYTES {
                break;
            }
        }
        Ok(Some(Evidence::detached(&format!("s3://{}/{key}", self.bucket), signature)))
    }
}

/// Why a HEAD brought no pin.
enum Head {
    /// The bucket is in this region.
    Region(String),
    Setback(Setback),
}

fn in_region(region: Option<&str>) -> Builder {
    let builder = Builder::new();
    match region {
        Some(region) => builder.region(Region::new(region.to_owned())),
        None => builder,
    }
}

/// The bucket's region, if S3 says in a refusal that it is another one. It becomes part of a host name.
fn other_region<E>(
    error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
    asked: &str,
) -> Option<String> {
    let theirs = error.raw_response()?.headers().get("x-amz-bucket-region")?;
    let is_region = theirs.len() <= 32
        && theirs.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    (theirs != asked && is_region).then(|| theirs.to_owned())
}

/// The sums of the whole object. Those of a multipart upload may be sums of sums: `COMPOSITE`, or with `-N`.
fn checksums(head: &HeadObjectOutput) -> Vec<Checksum> {
    if head.checksum_type().is_some_and(|kind| kind.as_str() != "FULL_OBJECT") {
        return Vec::new();
    }
    let given = [
        head.checksum_crc32().and_then(Checksum::crc32),
        head.checksum_crc32_c().and_then(Checksum::crc32c),
        head.checksum_crc64_nvme().and_then(Checksum::crc64nvme),
        head.checksum_sha256().and_then(Checksum::sha256),
    ];
    given.into_iter().flatten().collect()
}
