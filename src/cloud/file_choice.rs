//! Which of an OTA update's files is broadcast, as the operator says it.

use serde::Deserialize;
use serde::Serialize;

use super::members::FILE_INDEX;
use super::members::FILE_TYPE;
use crate::task::TaskError;

/// `Fuotad.File`: all that is said must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OtaFileChoice {
    /// The `fileName` of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The `fileType` of the file.
    #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
    pub file_type: Option<i64>,
    /// Its place in `otaUpdateFiles`, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<i64>,
}

impl OtaFileChoice {
    /// Whether its numbers are such as a file may have.
    ///
    /// # Errors
    ///
    /// [`TaskError::Value`] with the number and its range.
    pub(super) fn check(&self) -> Result<(), TaskError> {
        FILE_TYPE.check::<u8>(self.file_type)?;
        FILE_INDEX.check::<u8>(self.index)?;
        Ok(())
    }
}
