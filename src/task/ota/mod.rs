//! An OTA update of AWS IoT (GetOTAUpdate, API version 2015-05-28) as an order: which of its files, where it
//! lies, what signs it.

mod accept;
mod answer;
mod choice;
mod job;
mod signature;
mod status;

pub(super) use accept::accept;
pub use answer::CodeSigning;
pub use answer::ErrorInfo;
pub use answer::FileLocation;
pub use answer::OtaFile;
pub use answer::OtaUpdate;
pub use choice::OtaFileChoice;
pub use job::JobEntry;
pub use signature::SignatureMaterial;
pub use status::OtaStatus;

pub(super) use answer::OTA_UPDATE;
#[cfg(test)]
mod tests;
