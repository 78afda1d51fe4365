//! The fragmented data block of TS004-1.0.0 and TS004-2.0.0: an image is cut into M uncoded fragments, and
//! coded fragments, each the sum (XOR) of about half of them, make up for whichever were lost on the air.
//!
//! [`Layout`] is the cut, [`Encoder`] makes any fragment on demand, [`Decoder`] is what a device does with
//! those it heard, [`DataFragment`] is the message. To this room fragments are numbers and bytes: it knows no
//! frame, key, time or task.

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
