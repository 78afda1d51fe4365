//! One file, or several of which a later one wins.

use super::board::Board;
use super::board::Form;
use super::gateway::Gateway;
use super::json::Json;
use crate::config::error::ConfigError;
use crate::config::error::printable;

const FORMS: [(&str, Form); 3] =
    [("SX130x_conf", Form::Sx1302), ("SX1302_conf", Form::Sx1302), ("SX1301_conf", Form::Sx1301)];
/// Sections of documents that look like a forwarder's and are none that is read here.
const OTHERS: [(&str, &str); 2] = [
    ("SX1301_array_conf", "an array of boards, which only its own forwarder reads"),
    ("station_conf", "Basics Station's, another protocol"),
];

/// What a forwarder's configuration says, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForwarderFile {
    /// The concentrator; `None` when the files hold none.
    pub board: Option<Board>,
    /// The link to the server; `None` when the files hold none.
    pub gateway: Option<Gateway>,
}

impl ForwarderFile {
    /// Reads one file, or several of which a later one wins (`global_conf.json`, `local_conf.json`).
    ///
    /// # Errors
    /// The forwarder would refuse the file, with its line; or the form is not understood.
    pub fn from_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<ForwarderFile, ConfigError> {
        let mut file = ForwarderFile::default();
        let mut sections = Vec::new();
        for text in texts {
            let json = Json::read(text).map_err(|refused| ConfigError::Text {
                line: refused.line,
                message: format!("no JSON that the forwarder reads: {}", refused.message),
            })?;
            if let Json::Object(members) = &json {
                sections.extend(members.iter().map(|(name, _)| name.clone()));
            }
            file.overlay(&json)?;
        }
        if file.board.is_none() && file.gateway.is_none() {
            let message = format!(
                "holds neither SX130x_conf, SX1302_conf or SX1301_conf nor gateway_conf{}: it is no configuration of a Semtech packet forwarder",
                found(&sections)
            );
            return Err(ConfigError::value("the file", message));
        }
        Ok(file)
    }

    fn overlay(&mut self, json: &Json) -> Result<(), ConfigError> {
        for (key, what) in OTHERS {
            if json.get(key).is_some() {
                return Err(ConfigError::value(key, format!("is not understood: this is {what}")));
            }
        }
        for (key, form) in FORMS {
            match json.get(key) {
                None => {}
                Some(chip @ Json::Object(_)) => match &mut self.board {
                    Some(board) if board.key == key => board.overlay(chip),
                    Some(board) => {
                        let message = format!(
                            "stands beside {}: a forwarder reads one of them. Check the section of yours alone",
                            board.key
                        );
                        return Err(ConfigError::value(key, message));
                    }
                    None => self.board = Some(Board::from_json(key, form, chip)),
                },
                Some(Json::List(_)) => {
                    let message = "is a list of boards, and is not understood: check the file of one board";
                    return Err(ConfigError::value(key, message));
                }
                Some(_) => return Err(ConfigError::value(key, "is no object: the forwarder does not start")),
            }
        }
        match json.get("gateway_conf") {
            None => {}
            Some(gateway @ Json::Object(_)) => self.gateway.get_or_insert_default().overlay(gateway),
            Some(_) => {
                return Err(ConfigError::value("gateway_conf", "is no object: the forwarder does not start"));
            }
        }
        Ok(())
    }
}

fn found(sections: &[String]) -> String {
    if sections.is_empty() { String::new() } else { format!(" (found: {})", printable(&sections.join(", "))) }
}
