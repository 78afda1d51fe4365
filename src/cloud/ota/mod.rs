//! An OTA update of AWS IoT (GetOTAUpdate, API version 2015-05-28) as an order: which of its files, where it
//! lies, what signs it.

mod accept;
mod answer;
mod choice;
mod signature;
mod status;

pub(super) use accept::accept;
pub use answer::CodeSigning;
pub use answer::ErrorInfo;
pub use answer::FileLocation;
pub use answer::OtaFile;
pub use answer::OtaUpdate;
pub use status::OtaStatus;

#[cfg(test)]
mod tests;
