//! Where an image lies, as documents of AWS write it, and what to say of what people paste instead.

use crate::json::shown_text;
use crate::task::ImageRef;
use crate::task::TaskError;
use crate::task::without_query;

/// The longest reference to an image in characters.
pub const MAX_IMAGE_REF_CHARS: usize = 4096;

/// The member of a document that says it.
pub const IMAGE_PATH: &str = "FirmwareUpdateImage";

/// What it may be.
pub const IMAGE_ALLOWED: &str = "s3://bucket/key, file:///path or https://host/path";

/// The place that `text` names. The scheme may be in capitals; what follows is taken to the letter, a
/// percent sign is a percent sign.
///
/// # Errors
///
/// [`TaskError::Value`] with the forms that are understood.
pub fn image_ref(text: &str) -> Result<ImageRef, TaskError> {
    let refuse = |allowed: &str| TaskError::Value {
        path: IMAGE_PATH.to_owned(),
        value: shown_text(without_query(text)),
        allowed: allowed.to_owned(),
    };
    if text.chars().count() > MAX_IMAGE_REF_CHARS {
        return Err(refuse("at most 4096 characters"));
    }
    let Some((scheme, rest)) = text.split_once("://") else { return Err(refuse(without_scheme(text))) };
    match scheme.to_ascii_lowercase().as_str() {
        "s3" => s3(rest),
        "file" => file(rest),
        "https" => https(text, rest),
        "http" => Err("https://host/path (an image in the clear is not fetched)"),
        _ => Err(IMAGE_ALLOWED),
    }
    .map_err(refuse)
}

/// The object `key` in `bucket`, and which version of it; an empty version is none.
///
/// # Errors
///
/// [`TaskError::Value`]: bucket or key cannot be.
pub fn s3_object(bucket: &str, key: &str, version: Option<&str>) -> Result<ImageRef, TaskError> {
    let place = s3(&format!("{bucket}/{key}")).ok().filter(|_| key.chars().count() <= MAX_IMAGE_REF_CHARS);
    match place {
        Some(ImageRef::S3 { bucket: taken, key, .. }) if taken == bucket => {
            let version = version.filter(|version| !version.is_empty()).map(str::to_owned);
            Ok(ImageRef::S3 { bucket: taken, key, version, role: None })
        }
        _ => Err(TaskError::Value {
            path: "s3Location".to_owned(),
            value: shown_text(&format!("{bucket}/{key}")),
            allowed: "a bucket (letters, digits, dots and hyphens) and a key".to_owned(),
        }),
    }
}

/// What to say of a text without `://`: the AWS guide itself prints `S3:/bucket/…`, and people paste ARNs.
fn without_scheme(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("s3:") {
        "s3://bucket/key (two slashes after the colon)"
    } else if lower.starts_with("arn:") {
        "s3://bucket/key (not an ARN)"
    } else if text.starts_with('/') || lower.starts_with("file:") {
        "file:///path (two slashes, then the absolute path)"
    } else {
        IMAGE_ALLOWED
    }
}

fn s3(rest: &str) -> Result<ImageRef, &'static str> {
    let is_bucket_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match rest.split_once('/') {
        Some(("", _)) => Err("s3://bucket/key (the bucket is empty)"),
        None | Some((_, "")) => Err("s3://bucket/key (the key is empty)"),
        Some((bucket, _)) if !bucket.chars().all(is_bucket_char) => {
            Err("s3://bucket/key (a bucket is letters, digits, dots and hyphens)")
        }
        Some((bucket, key)) => {
            let (bucket, key) = (bucket.to_owned(), key.to_owned());
            Ok(ImageRef::S3 { bucket, key, version: None, role: None })
        }
    }
}

fn file(path: &str) -> Result<ImageRef, &'static str> {
    if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
        return Err("file:///path (two slashes, then the absolute path of a file)");
    }
    Ok(ImageRef::File(path.to_owned()))
}

fn https(address: &str, rest: &str) -> Result<ImageRef, &'static str> {
    let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if host.to_ascii_lowercase().ends_with("console.aws.amazon.com") {
        return Err("s3://bucket/key (not the console's page about the object)");
    }
    if host.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("https://host/path without blanks");
    }
    Ok(ImageRef::Https(address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        image_ref(text).unwrap_err().to_string()
    }

    #[test]
    fn the_bucket_ends_at_the_first_slash_and_the_key_is_taken_to_the_letter() {
        for (text, bucket, key) in [
            ("s3://fw-bucket/meters/app-1.4.2.bin", "fw-bucket", "meters/app-1.4.2.bin"),
            ("S3://b/k", "b", "k"),
            ("s3://b//a//b", "b", "/a//b"),
            ("s3://b/dir a/%41?x=1#é&=+.bin", "b", "dir a/%41?x=1#é&=+.bin"),
            ("s3://my.bucket_1/s3://x/y", "my.bucket_1", "s3://x/y"),
        ] {
            let (bucket, key) = (bucket.to_owned(), key.to_owned());
            let expected = ImageRef::S3 { bucket, key, version: None, role: None };
            assert_eq!(image_ref(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_s3_address_without_bucket_or_key_says_which_one_is_missing() {
        assert!(refused("s3:///key").contains("the bucket is empty"));
        assert!(refused("s3://bucket/").contains("the key is empty"));
        assert!(refused("s3://bucket").contains("the key is empty"));
        assert!(refused("s3://").contains("the key is empty"));
        assert!(refused("s3://user:pass@b/k").contains("letters, digits, dots and hyphens"));
    }

    #[test]
    fn what_people_paste_instead_of_an_s3_address_is_refused_with_the_right_form() {
        assert!(refused("S3:/bucket/key").contains("two slashes after the colon"));
        assert!(refused("arn:aws:s3:::bucket/key").contains("not an ARN"));
        let console = "https://eu-west-1.console.aws.amazon.com/s3/object/fw?prefix=a.bin";
        assert!(refused(console).contains("not the console's page"));
        assert!(refused("/var/lib/app.bin").contains("file:///path"));
    }

    #[test]
    fn a_file_is_named_by_its_absolute_path() {
        let path = "/var/lib/fuotad/app 1.4.2%20.bin";
        assert_eq!(image_ref(&format!("file://{path}")), Ok(ImageRef::File(path.to_owned())));
        for text in ["file://app.bin", "file://host/app.bin", "file:/app.bin", "file:///", "file:///a\0b"] {
            assert!(refused(text).contains("file:///path"), "{text}");
        }
    }

    #[test]
    fn any_other_scheme_is_refused_with_the_list_of_those_that_are_not() {
        for text in ["ftp://h/f", "tftp://h/f", "://x", "app.bin", ""] {
            assert!(refused(text).contains("s3://bucket/key, file:///path or https://host/path"), "{text}");
        }
        assert!(refused("http://h/f").contains("https://host/path"));
        assert!(refused("https:///f").contains("https://host/path"));
        assert!(refused("https://h/a b").contains("without blanks"));
        assert!(refused(&format!("s3://b/{}", "k".repeat(4096))).contains("at most 4096 characters"));
    }

    #[test]
    fn the_signature_of_a_presigned_address_is_fetched_with_and_never_printed() {
        let address = "https://h/fw.bin?X-Amz-Signature=5ec3e7";
        let image = image_ref(address).unwrap();
        assert_eq!(image, ImageRef::Https(address.to_owned()));
        assert_eq!(image.to_string(), "https://h/fw.bin");
        assert!(!format!("{image:?}").contains("5ec3e7"));
        assert!(!refused("https://h/a b?X-Amz-Signature=5ec3e7").contains("5ec3e7"));
        let s3 = image_ref("s3://b/what?.bin").unwrap();
        assert_eq!(s3.to_string(), "s3://b/what?.bin");
    }
}
