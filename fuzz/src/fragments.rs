//! The fragment decoder: any cut, any fragments; what the encoder made is decoded to the image.

use super::feed::Feed;
use super::feed::image;
use fuotad::fragment::Decoder;
use fuotad::fragment::Encoder;
use fuotad::fragment::Layout;
use fuotad::fragment::MAX_FRAGMENTS;
use fuotad::fragment::Progress;
use fuotad::fragment::Ts004Version;

/// Longer images only take longer, bytes.
const IMAGE_BYTES_MAX: usize = 4096;
/// So many fragments are given to a decoder at most.
const FRAGMENTS_GIVEN_MAX: usize = 2048;

/// Cuts an image as `data` says and gives the decoder the fragments that it names.
pub fn run(data: &[u8]) {
    let mut feed = Feed::new(data);
    let version = *feed.pick(&[Ts004Version::V1, Ts004Version::V2]);
    let len = 1 + usize::from(feed.u16()) % IMAGE_BYTES_MAX;
    let frag_size = usize::from(feed.u8());
    let max_lost = feed.u16();
    let image = image(feed.u8(), len);
    let Ok(layout) = Layout::new(len, frag_size) else {
        assert_eq!(frag_size, 0, "every other size cuts so short an image");
        return;
    };
    let padded = usize::from(layout.nb_frag()) * frag_size;
    assert_eq!(padded, len + usize::from(layout.padding()), "fragments are the image and its padding");
    let mut session = Session {
        layout,
        encoder: Encoder::new(layout, version),
        decoder: Decoder::new(layout, version, max_lost),
        image,
        is_honest: true,
    };
    for _ in 0..FRAGMENTS_GIVEN_MAX {
        if feed.is_empty() {
            break;
        }
        session.give(&mut feed);
    }
}

struct Session {
    layout: Layout,
    encoder: Encoder,
    decoder: Decoder,
    image: Vec<u8>,
    /// Every fragment so far is the encoder's.
    is_honest: bool,
}

impl Session {
    fn give(&mut self, feed: &mut Feed<'_>) {
        let nb_frag = self.layout.nb_frag();
        match feed.u8() {
            // The encoder's fragments: a run of uncoded ones, a coded one, any one.
            0..=79 => {
                let first = feed.u16() % nb_frag;
                let count = u16::from(feed.u8());
                for n in first..first.saturating_add(count).min(nb_frag) {
                    self.honest(n + 1);
                }
            }
            80..=159 => self.honest(nb_frag.saturating_add(1 + u16::from(feed.u8())).min(MAX_FRAGMENTS)),
            160..=219 => self.honest(1 + feed.u16() % MAX_FRAGMENTS),
            // Somebody else's, of the right size.
            220..=239 => {
                let n = feed.u16();
                let mut data = feed.take(self.layout.frag_size()).to_vec();
                data.resize(self.layout.frag_size(), 0);
                self.is_honest = false;
                self.receive(n, &data);
            }
            _ => {
                let n = feed.u16();
                let len = usize::from(feed.u8());
                let data = feed.take(len);
                self.is_honest &= data.len() != self.layout.frag_size();
                self.receive(n, data);
            }
        }
    }

    fn honest(&mut self, n: u16) {
        let mut data = vec![0; self.layout.frag_size()];
        let made = self.encoder.fragment(&self.image, n, &mut data);
        assert_eq!(made, Ok(()), "every fragment that has a number can be made");
        self.receive(n, &data);
    }

    fn receive(&mut self, n: u16, data: &[u8]) {
        let before = (self.decoder.progress(), self.decoder.received());
        let is_good = (1..=MAX_FRAGMENTS).contains(&n) && data.len() == self.layout.frag_size();
        let received = self.decoder.receive(n, data);
        assert_eq!(received.is_ok(), is_good, "number and size decide whether a fragment is taken");
        let after = self.decoder.progress();
        match (before.0, after) {
            (Progress::Incomplete { missing }, Progress::Incomplete { missing: still }) => {
                assert!(still <= missing, "nothing that was received is missed again");
                assert!(still > 0, "a decoder that misses nothing is complete");
            }
            (Progress::Incomplete { .. }, _) => assert!(is_good, "what is refused changes nothing"),
            (before, after) => assert_eq!(before, after, "what is over stays over"),
        }
        if !is_good {
            assert_eq!(before, (after, self.decoder.received()), "what is refused is not counted");
        }
        let is_complete = after == Progress::Complete;
        assert_eq!(self.decoder.image().is_some(), is_complete, "there is an image when it is complete");
        if let Some(image) = self.decoder.image().filter(|_| self.is_honest) {
            assert!(image == self.image, "what the encoder made is decoded to the image");
        }
    }
}
