//! An image from S3 over a backhaul that breaks: one version of the object is pinned, fetched range by range,
//! resumed where it broke off, and given out whole or not at all.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectOutput;

use super::Settings;
use super::patience::Backoff;
use super::patience::random;
use super::trouble::Trouble;
use crate::image::Digest;
use crate::task::ImageRef;
use crate::task::TaskId;

/// How much one request asks for, bytes: so much is lost at most where a proxy keeps a body back until it is
/// whole.
const RANGE_BYTES: usize = 128 * 1024;
/// An object that changed so often while it was fetched is being worked on.
const MAX_STARTS: u32 = 4;

const HEAD: &str = "s3:GetObject (HEAD)";
const GET: &str = "s3:GetObject";

/// Exactly one content of an object.
struct Pin {
    size: usize,
    etag: String,
    version: Option<String>,
    /// The bucket's region where it is not the configured one.
    region: Option<String>,
}

/// Why a range brought nothing, or less than asked for.
enum Setback {
    /// The object is not what was pinned.
    Changed,
    /// It may go better later.
    Trouble(Trouble),
    /// It will not: the whole sentence.
    Final(String),
}

/// Fetches `image` for `task`, as long as it takes.
///
/// # Errors
/// What time does not cure: no right, no object, not an image; one line with the way out.
pub(super) async fn fetch(
    client: &Client,
    settings: &Settings,
    task: &TaskId,
    image: &ImageRef,
) -> Result<Vec<u8>, String> {
    let ImageRef::S3 { bucket, key, version, .. } = image else {
        return Err(format!("{image}: a task from AWS names its image as s3://bucket/key"));
    };
    let mut download = Download {
        client,
        settings,
        task,
        bucket,
        key,
        version: version.as_deref(),
        backoff: Backoff::new(settings.patience.fetch_first, settings.patience.longest),
        trouble: None,
    };
    let bytes = download.whole().await.map_err(|reason| format!("{image}: {reason}"))?;
    tracing::info!("image of task {task}: {} bytes, SHA-256 {}", bytes.len(), Digest::of(&bytes));
    Ok(bytes)
}

struct Download<'a> {
    client: &'a Client,
    settings: &'a Settings,
    task: &'a TaskId,
    bucket: &'a str,
    key: &'a str,
    /// The version that was ordered, if one was.
    version: Option<&'a str>,
    backoff: Backoff,
    /// The last trouble since something went well, for the log.
    trouble: Option<Trouble>,
}

impl Download<'_> {
    async fn whole(&mut self) -> Result<Vec<u8>, String> {
        for _ in 0..MAX_STARTS {
            let pin = self.pinned().await?;
            if let Some(bytes) = self.pinned_bytes(&pin).await? {
                return Ok(bytes);
            }
            tracing::warn!(
                "image of task {}: the object changed while it was fetched: from the start",
                self.task
            );
        }
        Err(format!("it changed {MAX_STARTS} times while it was fetched; upload it once and order anew"))
    }

    async fn pinned(&mut self) -> Result<Pin, String> {
        let mut region = None;
        loop {
            match self.head(region.as_deref()).await {
                Ok(pin) => return Ok(pin),
                Err(Head::Region(theirs)) if region.is_none() => region = Some(theirs),
                Err(Head::Region(theirs)) => {
                    return Err(format!("its bucket says it is in {theirs}, and there it is not, either"));
                }
                Err(Head::Setback(setback)) => self.endure(setback).await?,
            }
        }
    }

    /// All bytes of `pin`; `None` when the object is not that any more.
    async fn pinned_bytes(&mut self, pin: &Pin) -> Result<Option<Vec<u8>>, String> {
        let mut bytes = Vec::with_capacity(pin.size);
        while bytes.len() < pin.size {
            let before = bytes.len();
            match self.range(pin, &mut bytes).await {
                Ok(()) => {}
                Err(Setback::Changed) => return Ok(None),
                Err(setback) => {
                    if bytes.len() > before {
                        self.went_well();
                    }
                    self.endure(setback).await?;
                    continue;
                }
            }
            self.went_well();
        }
        Ok(Some(bytes))
    }

    fn went_well(&mut self) {
        self.backoff.reset();
        self.trouble = None;
    }

    /// Waits, or gives up.
    async fn endure(&mut self, setback: Setback) -> Result<(), String> {
        let trouble = match setback {
            Setback::Trouble(trouble @ (Trouble::NotFound { .. } | Trouble::Denied { .. })) => {
                return Err(format!("{trouble}{}", self.hint(&trouble)));
            }
            Setback::Final(reason) => return Err(reason),
            Setback::Changed => return Ok(()),
            Setback::Trouble(trouble) => trouble,
        };
        if !self.trouble.as_ref().is_some_and(|before| before.is_like(&trouble)) {
            tracing::warn!("image of task {}: {trouble}; the download is resumed", self.task);
        }
        self.trouble = Some(trouble);
        tokio::time::sleep(self.backoff.next(random())).await;
        Ok(())
    }

    fn hint(&self, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Denied { .. } => format!(
                " on arn:aws:s3:::{}/{} (S3 says so of a missing object, too, unless s3:ListBucket is allowed)",
                self.bucket, self.key
            ),
            _ => "; upload it, or correct FirmwareUpdateImage".to_owned(),
        }
    }

    async fn head(&self, region: Option<&str>) -> Result<Pin, Head> {
        let call = self.client.head_object().bucket(self.bucket).key(self.key);
        let call = call.set_version_id(self.version.map(str::to_owned)).customize();
        let head =
            call.config_override(in_region(region)).send().await.map_err(|error| {
                match other_region(&error, region.unwrap_or(&self.settings.region)) {
                    Some(theirs) => Head::Region(theirs),
                    None => Head::Setback(Setback::Trouble(Trouble::of(HEAD, &error))),
                }
            })?;
        let end = |reason: String| Head::Setback(Setback::Final(reason));
        let max = self.settings.max_image_bytes;
        let size = head.content_length().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        if size == 0 {
            return Err(end("the object is empty; upload the image again".to_owned()));
        }
        if size > max {
            return Err(end(format!("{size} bytes are over the limit of {max}; see aws.max-image-bytes")));
        }
        let Some(etag) = head.e_tag().filter(|etag| !etag.is_empty()) else {
            let why = "it has no ETag";
            return Err(Head::Setback(Setback::Trouble(Trouble::Unreadable { action: HEAD, why })));
        };
        Ok(Pin {
            size,
            etag: etag.to_owned(),
            version: self.version.or(head.version_id()).map(str::to_owned),
            region: region.map(str::to_owned),
        })
    }

    /// Appends the next range of `pin` to `bytes`; what came before it broke off is kept.
    async fn range(&self, pin: &Pin, bytes: &mut Vec<u8>) -> Result<(), Setback> {
        let begin = bytes.len();
        let end = pin.size.min(begin + RANGE_BYTES);
        let deadline = self.settings.patience.of_range(end - begin);
        match tokio::time::timeout(deadline, self.transfer(pin, bytes, begin, end)).await {
            Ok(result) => result,
            Err(_) => Err(Setback::Trouble(Trouble::stalled(GET, deadline))),
        }
    }

    async fn transfer(
        &self,
        pin: &Pin,
        bytes: &mut Vec<u8>,
        begin: usize,
        end: usize,
    ) -> Result<(), Setback> {
        let call = self.client.get_object().bucket(self.bucket).key(self.key);
        let call = call.set_version_id(pin.version.clone()).if_match(&pin.etag);
        let call = call.range(format!("bytes={begin}-{}", end - 1)).customize();
        let mut answer = match call.config_override(in_region(pin.region.as_deref())).send().await {
            Ok(answer) => answer,
            Err(error) => {
                return Err(match Trouble::of(GET, &error) {
                    // 416: shorter than it was.
                    Trouble::Refused { status: 412 | 416, .. } => Setback::Changed,
                    trouble => Setback::Trouble(trouble),
                });
            }
        };
        if answer.e_tag() != Some(&pin.etag) {
            return Err(Setback::Changed);
        }
        let end = match span(&answer, pin.size) {
            Some((from, to)) if from == begin && to < end => to + 1,
            // The whole object: what asked for a range was ignored on the way.
            None if answer.content_range().is_none()
                && answer.content_length() == i64::try_from(pin.size).ok() =>
            {
                bytes.clear();
                pin.size
            }
            _ => {
                let why = "it is not the range that was asked for";
                return Err(Setback::Trouble(Trouble::Unreadable { action: GET, why }));
            }
        };
        while let Some(part) = answer.body.next().await {
            let part = part.map_err(|error| Setback::Trouble(Trouble::cut(GET, &error)))?;
            if bytes.len() + part.len() > end {
                let why = "it is longer than it says";
                return Err(Setback::Trouble(Trouble::Unreadable { action: GET, why }));
            }
            bytes.extend_from_slice(&part);
        }
        if bytes.len() < end {
            let why = "it is shorter than it says";
            return Err(Setback::Trouble(Trouble::Unreadable { action: GET, why }));
        }
        Ok(())
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

/// First and last byte of a `Content-Range: bytes 0-9/100` of an object of `size` bytes.
fn span(answer: &GetObjectOutput, size: usize) -> Option<(usize, usize)> {
    let (range, total) = answer.content_range()?.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let span = (from.parse().ok()?, to.parse().ok()?);
    (total.parse() == Ok(size) && span.0 <= span.1 && span.1 < size).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_must_fit_the_pinned_size() {
        let of = |text: &str| span(&GetObjectOutput::builder().content_range(text).build(), 100);
        assert_eq!(of("bytes 0-9/100"), Some((0, 9)));
        assert_eq!(of("bytes 10-99/100"), Some((10, 99)));
        for text in
            ["bytes 0-9/101", "bytes 0-9/*", "bytes 9-0/100", "bytes 0-100/100", "0-9/100", "bytes */100"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
