//! The signature that an order brings, as evidence.

use crate::signing::Evidence;
use crate::task::EnclosedSignature;
use crate::task::Task;

/// The evidence that `task` itself brings; nothing of it is checked yet.
pub fn enclosed_evidence(task: &Task) -> Option<Evidence> {
    let EnclosedSignature { origin, signature, certificates, hash, algorithm, size } =
        task.signature.enclosed.clone()?;
    Some(Evidence { origin, signature, certificates, hash, algorithm, size, created_unix_us: None })
}
