//! The file of an OTA update that is broadcast.

use super::answer::OtaFile;
use super::answer::OtaUpdate;
use crate::cloud::file_choice::OtaFileChoice;
use crate::cloud::members::FILE;
use crate::json::shown_text;
use crate::task::TaskError;

/// So many files are named in an error.
const MAX_SHOWN: usize = 8;

impl OtaUpdate {
    /// The one file that `choice` means, and its index.
    ///
    /// # Errors
    /// There is none, or more than one: which there are.
    pub fn chosen(&self, choice: &OtaFileChoice) -> Result<(usize, &OtaFile), TaskError> {
        let files = self.ota_update_files.as_deref().unwrap_or_default();
        let mut fitting = files.iter().enumerate().filter(|(index, file)| is_meant(choice, *index, file));
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

fn is_meant(choice: &OtaFileChoice, index: usize, file: &OtaFile) -> bool {
    choice.name.as_ref().is_none_or(|name| file.file_name.as_ref() == Some(name))
        && choice.file_type.is_none_or(|file_type| file.file_type == Some(file_type))
        && choice.index.is_none_or(|wanted| usize::try_from(wanted) == Ok(index))
}

fn shown(index: usize, file: &OtaFile) -> String {
    let name = shown_text(file.file_name.as_deref().unwrap_or_default());
    match file.file_type {
        Some(file_type) => format!("{index}: {name} of type {file_type}"),
        None => format!("{index}: {name}"),
    }
}
