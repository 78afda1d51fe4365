//! Which of an OTA update's files is broadcast.

use serde::Serialize;

use super::answer::OtaFile;
use super::answer::OtaUpdate;
use crate::task::error::TaskError;
use crate::task::members::Limit;
use crate::task::members::Members;
use crate::task::members::shown_text;

const FILE: &str = "Fuotad.File";
const TYPE: Limit = Limit { path: "Fuotad.File.Type", min: 0, max: 255 };
const INDEX: Limit = Limit { path: "Fuotad.File.Index", min: 0, max: 255 };
/// The members of `Fuotad.File`.
pub(in crate::task) const PATHS: [&str; 3] = ["Fuotad.File.Name", TYPE.path, INDEX.path];

/// So many files are named in an error.
const MAX_SHOWN: usize = 8;

/// `Fuotad.File`: all that is said must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OtaFileChoice {
    /// `fileName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `fileType`.
    #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
    pub file_type: Option<i64>,
    /// Its place in `otaUpdateFiles`, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<i64>,
}

impl OtaFileChoice {
    pub(in crate::task) fn from_members(mut of: Members) -> Result<OtaFileChoice, TaskError> {
        let choice = OtaFileChoice {
            name: of.text(PATHS[0], "a file's name")?,
            file_type: of.whole(&TYPE)?,
            index: of.whole(&INDEX)?,
        };
        of.nothing_else("Fuotad.File.", &PATHS)?;
        TYPE.check::<u8>(choice.file_type)?;
        INDEX.check::<u8>(choice.index)?;
        Ok(choice)
    }

    fn fits(&self, index: usize, file: &OtaFile) -> bool {
        self.name.as_ref().is_none_or(|name| file.file_name.as_ref() == Some(name))
            && self.file_type.is_none_or(|file_type| file.file_type == Some(file_type))
            && self.index.is_none_or(|wanted| usize::try_from(wanted) == Ok(index))
    }
}

impl OtaUpdate {
    /// The one file that `choice` means, and its index.
    ///
    /// # Errors
    /// There is none, or more than one: which there are.
    pub fn chosen(&self, choice: &OtaFileChoice) -> Result<(usize, &OtaFile), TaskError> {
        let files = self.ota_update_files.as_deref().unwrap_or_default();
        let mut fitting = files.iter().enumerate().filter(|(index, file)| choice.fits(*index, file));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only),
            (first, _) => {
                let few = if first.is_some() { "more than one fits" } else { "none fits" };
                let shown = files.iter().enumerate().take(MAX_SHOWN).map(|(index, file)| shown(index, file));
                Err(TaskError::Value {
                    path: "otaUpdateInfo.otaUpdateFiles".to_owned(),
                    value: format!("a list of {} ({})", files.len(), shown.collect::<Vec<_>>().join(", ")),
                    allowed: format!(
                        "one file that {FILE} ([ota.\"ID\"]: file-name, file-type, file-index) means; {few}"
                    ),
                })
            }
        }
    }
}

fn shown(index: usize, file: &OtaFile) -> String {
    let name = shown_text(file.file_name.as_deref().unwrap_or_default());
    match file.file_type {
        Some(file_type) => format!("{index}: {name} of type {file_type}"),
        None => format!("{index}: {name}"),
    }
}
