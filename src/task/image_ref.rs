//! Where the image of a task lies.

use core::fmt;

/// The place of an image. Text and debug form leave out the query of an `https` address: it may hold a
/// signature that is worth as much as a password.
#[derive(Clone, PartialEq, Eq)]
pub enum ImageRef {
    /// An object in S3, `s3://bucket/key`.
    S3 {
        /// The bucket, not empty.
        bucket: String,
        /// The key, not empty, to the letter: nothing in it is an escape, a query or a fragment.
        key: String,
        /// The VersionId, where one is ordered.
        version: Option<String>,
        /// The role that the task names for reading it.
        role: Option<String>,
    },
    /// `file:///path`: the absolute path, to the letter. Only a task from a file may say so.
    File(String),
    /// The whole `https://…` address.
    Https(String),
}

impl ImageRef {
    /// Whether `other` is the same object: who may read it is another matter.
    pub fn is_same_place(&self, other: &ImageRef) -> bool {
        match (self, other) {
            (
                ImageRef::S3 { bucket, key, version, .. },
                ImageRef::S3 { bucket: bucket2, key: key2, version: version2, .. },
            ) => (bucket, key, version) == (bucket2, key2, version2),
            _ => self == other,
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageRef::S3 { bucket, key, version: None, .. } => write!(f, "s3://{bucket}/{key}"),
            ImageRef::S3 { bucket, key, version: Some(version), .. } => {
                write!(f, "s3://{bucket}/{key} (version {version})")
            }
            ImageRef::File(path) => write!(f, "file://{path}"),
            ImageRef::Https(address) => f.write_str(without_query(address)),
        }
    }
}

impl fmt::Debug for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageRef({:?})", self.to_string())
    }
}

/// An `http(s)` address up to its `?`; every other text as it is, for there a `?` is a letter.
pub fn without_query(text: &str) -> &str {
    let is_web = text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"));
    if is_web { text.split('?').next().unwrap_or(text) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_an_address_is_fetched_with_and_never_printed() {
        let image = ImageRef::Https("https://h/fw.bin?X-Signature=5ec3e7".to_owned());
        assert_eq!(image.to_string(), "https://h/fw.bin");
        assert!(!format!("{image:?}").contains("5ec3e7"));
        assert_eq!(ImageRef::File("/a?b".to_owned()).to_string(), "file:///a?b", "a letter like others");
    }
}
