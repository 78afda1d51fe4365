//! The firmware image and its SHA-256 digest. Nothing but a verified image is an [`Image`]: there is one way
//! to make one, and it compares digests.
//!
//! An image whose digest nobody gave (a local file) is pinned on first sight: the caller takes
//! [`Digest::of`] the bytes, keeps it, and passes it here now and after every restart.
//!
//! What an image looks like ([`ImageForm`]) says whether it is one at all: a file that firmware is made of, or what a
//! server answered instead, has a digest, too.

mod form;
mod verified;

pub use form::ImageForm;
pub use verified::Digest;
pub use verified::Image;
pub use verified::ImageError;
pub use verified::MAX_IMAGE_BYTES;
