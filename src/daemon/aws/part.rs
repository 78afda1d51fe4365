//! One content of an image, and the part of it that an answer brings.

use aws_smithy_types::byte_stream::ByteStream;

use super::checksum::Checksum;
use super::error::AwsError;
use crate::signing::Evidence;

/// Exactly one content of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ObjectVersion {
    pub size: usize,
    /// `None`: nobody can tell whether the next range is of the same content.
    pub etag: Option<String>,
    pub version: Option<String>,
    /// The bucket's region where it is not the configured one.
    pub region: Option<String>,
    /// What the whole content must sum up to, where somebody says.
    pub checksums: Vec<Checksum>,
    /// The signature in the object's metadata.
    pub evidence: Option<Evidence>,
}

impl ObjectVersion {
    /// Whether both are the same content.
    pub(super) fn is_same(&self, other: &ObjectVersion) -> bool {
        self.etag.is_some()
            && (&self.etag, &self.version, self.size) == (&other.etag, &other.version, other.size)
    }
}

/// Why something brought nothing, or less than asked for.
pub(super) enum FetchError {
    /// The object is not what it was at first.
    Changed,
    /// It may go better later.
    Aws(AwsError),
    /// It will not: the whole sentence.
    Final(String),
}

/// A part of a content that is on its way.
pub(super) struct Part {
    /// Offset of its first byte.
    pub begin: usize,
    /// One past its last byte, as announced.
    pub end: usize,
    pub body: ByteStream,
}

/// Whether something of `size` bytes may be an image.
pub(super) fn check_size(size: usize, max: usize) -> Result<(), String> {
    match size {
        0 => Err("the object is empty; upload the image again".to_owned()),
        size if size > max => {
            Err(format!("{size} bytes are over the limit of {max}; see aws.max-image-bytes"))
        }
        _ => Ok(()),
    }
}

/// What an answer to a request for `asked` brings: its first byte and one past its last; `None` when it brings
/// the whole, because the range was ignored on the way.
pub(super) fn part(
    action: &'static str,
    size: usize,
    asked: core::ops::Range<usize>,
    content_range: Option<&str>,
    content_length: Option<usize>,
) -> Result<Option<(usize, usize)>, FetchError> {
    match (content_range, content_range.and_then(|text| span(text, size))) {
        (Some(_), Some((from, to))) if from == asked.start && to < asked.end => Ok(Some((from, to + 1))),
        (None, _) if content_length == Some(size) => Ok(None),
        _ => {
            let why = "it is not the range that was asked for";
            Err(FetchError::Aws(AwsError::Unreadable { action, why }))
        }
    }
}

/// First and last byte of a `Content-Range: bytes 0-9/100` of an object of `size` bytes.
fn span(content_range: &str, size: usize) -> Option<(usize, usize)> {
    let (range, total) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let span = (from.parse().ok()?, to.parse().ok()?);
    (total.parse() == Ok(size) && span.0 <= span.1 && span.1 < size).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_must_fit_the_pinned_size() {
        let of = |text: &str| span(text, 100);
        assert_eq!(of("bytes 0-9/100"), Some((0, 9)));
        assert_eq!(of("bytes 10-99/100"), Some((10, 99)));
        for text in
            ["bytes 0-9/101", "bytes 0-9/*", "bytes 9-0/100", "bytes 0-100/100", "0-9/100", "bytes */100"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
