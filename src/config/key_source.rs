//! Where a key lies, and who reads it.

use crate::lorawan::Secret;
use std::path::Path;

/// Where a key lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource<'a> {
    /// The key lies in a file.
    File(&'a Path),
    /// In a credential of the service manager (`LoadCredential=`), by its name.
    Credential(&'a str),
}

/// Reads a key from where the configuration says it lies: the key, or one line why not.
pub type ReadKey<'a> = &'a mut dyn FnMut(KeySource<'_>) -> Result<Secret, String>;
