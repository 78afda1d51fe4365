//! The fragmented data block of TS004-1.0.0 and TS004-2.0.0: an image is cut into M uncoded fragments, and
//! coded fragments, each the sum (XOR) of about half of them, make up for whichever were lost on the air.
//!
//! [`Layout`] is the cut, [`Encoder`] makes any fragment on demand, [`Decoder`] is what a device does with
//! those it heard, [`DataFragment`] is the message. To this room fragments are numbers and bytes: it knows no
//! frame, key, time or task.
//! ```
//! use fuotad::fragment::{Decoder, Encoder, Layout, Progress, Ts004Version};
//!
//! let image = b"the bytes of a firmware image, which is longer";
//! let layout = Layout::new(image.len(), 8)?;
//! let mut encoder = Encoder::new(layout, Ts004Version::V1);
//! let mut decoder = Decoder::new(layout, Ts004Version::V1, 5);
//! let mut fragment = [0; 8];
//! // The second fragment is lost on the air; coded ones make up for it.
//! for n in (1..100).filter(|n| *n != 2) {
//!     encoder.fragment(image, n, &mut fragment)?;
//!     if decoder.receive(n, &fragment)? == Progress::Complete {
//!         break;
//!     }
//! }
//! assert_eq!(decoder.image(), Some(&image[..]));
//! assert!(decoder.coded_used() > 0);
//! # Ok::<(), fuotad::fragment::FragmentError>(())
//! ```

mod decoder;
mod encoder;
mod layout;
mod matrix;
mod message;

pub use decoder::Decoder;
pub use decoder::Progress;
pub use encoder::Encoder;
pub use layout::FragmentError;
pub use layout::Layout;
pub use layout::MAX_FRAG_SIZE;
pub use layout::MAX_FRAGMENTS;
pub use matrix::ParityMatrix;
pub use matrix::Ts004Version;
pub use message::DataFragment;
