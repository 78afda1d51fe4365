//! The image of an armed campaign: on the disk until its time comes, in memory while it is sent. What counts is its
//! digest, pinned when it was planned.

use crate::image::Digest;
use crate::image::Image;
use crate::time::Instant;

/// An image that came and was another one is asked for again after this, microseconds.
const AGAIN_US: u64 = 30_000_000;

/// An image that may be in memory.
#[derive(Debug)]
pub struct HeldImage {
    digest: Digest,
    image: Option<Image>,
    is_asked: bool,
    again_at: Option<Instant>,
    /// Why the image that came last is not the pinned one.
    error: Option<String>,
}

impl HeldImage {
    /// An image that is in memory.
    pub fn new(image: Image) -> Self {
        HeldImage { digest: image.digest(), image: Some(image), is_asked: false, again_at: None, error: None }
    }

    /// The SHA-256 of the image.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether it is in memory.
    pub fn is_here(&self) -> bool {
        self.image.is_some()
    }

    /// Its bytes, while it is in memory.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.image.as_ref().map(Image::bytes)
    }

    /// It came. Another one than the pinned is not held.
    pub fn hold(&mut self, image: Image) {
        self.is_asked = false;
        self.again_at = None;
        self.error = None;
        self.image = Some(image).filter(|image| image.digest() == self.digest);
    }

    /// It came, and is another one: why, in one line.
    pub fn refuse(&mut self, now: Instant, error: String) {
        self.is_asked = false;
        self.error = Some(error);
        self.again_at = Some(now.plus_us(AGAIN_US));
    }

    /// Why the image that came last is not the pinned one, and when it is asked for again.
    pub fn refused(&self) -> Option<(&str, Instant)> {
        self.error.as_deref().zip(self.again_at)
    }

    /// Its bytes need not be in memory.
    pub fn let_go(&mut self) {
        self.image = None;
    }

    /// Notes that it is being asked for.
    ///
    /// # Errors
    /// It was asked for already, or may be asked for again at this instant.
    pub fn ask(&mut self, now: Instant) -> Result<(), Option<Instant>> {
        if self.is_asked {
            return Err(None);
        }
        if let Some(at) = self.again_at.filter(|at| *at > now) {
            return Err(Some(at));
        }
        self.is_asked = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(byte: u8) -> Image {
        let bytes = vec![byte; 40];
        let digest = Digest::of(&bytes);
        Image::verify(bytes, digest).unwrap()
    }

    #[test]
    fn an_image_is_asked_for_once_and_again_only_after_it_came_wrong() {
        let mut held = HeldImage::new(image(1));
        held.let_go();
        assert_eq!(held.ask(Instant::ZERO), Ok(()));
        assert_eq!(held.ask(Instant::ZERO), Err(None));
        held.refuse(Instant::ZERO, "another digest".to_owned());
        let again_at = Instant::ZERO.plus_us(AGAIN_US);
        assert_eq!(held.ask(Instant::ZERO), Err(Some(again_at)));
        assert_eq!(held.ask(again_at), Ok(()));
        held.hold(image(2));
        assert!(!held.is_here(), "another image");
        held.hold(image(1));
        assert_eq!(held.bytes(), Some(&[1; 40][..]));
    }
}
