//! Requests that bring an order or take it back.

use super::refusal::Refusal;
use crate::image::Digest;
use crate::json::shown_text;
use crate::task::TaskId;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// The longest name of an order, bytes: it is the name of a file.
const NAME_BYTES_MAX: usize = 128;

/// A request about an order by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRequest {
    /// The name of the order, which is the id of its task.
    pub name: TaskId,
    /// What is asked about the order.
    pub what: AboutOrder,
}

/// What is asked about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AboutOrder {
    /// An image of so many bytes with this SHA-256 is to come.
    Begin {
        /// Length of the image.
        bytes: u64,
        /// SHA-256 of the whole image.
        digest: Digest,
    },
    /// The next piece of the image.
    Piece {
        /// Where the piece begins in the image, bytes.
        offset: u64,
        /// The bytes of the piece.
        piece: Vec<u8>,
    },
    /// The image is there; this task is to be carried out with it.
    Commit(Vec<u8>),
    /// The order is stopped, and all that was kept of it is removed.
    Cancel,
}

/// The members of a request about an order, as they were written.
#[derive(Debug, Default)]
pub struct OrderMembers {
    /// The name of the order.
    pub name: Option<String>,
    /// The image's length, bytes.
    pub bytes: Option<u64>,
    /// The image's SHA-256, 64 hex digits.
    pub sha256: Option<String>,
    /// Where a piece begins, bytes.
    pub offset: Option<u64>,
    /// A piece as base64.
    pub piece: Option<String>,
    /// The task document, an object.
    pub task: Option<Value>,
}

impl OrderRequest {
    /// Reads the request `order.VERB`; `None`: there is no such request.
    ///
    /// # Errors
    /// The member that is missing or cannot be used.
    pub fn read(verb: &str, members: OrderMembers) -> Option<Result<OrderRequest, Refusal>> {
        let about = match verb {
            "begin" => begin(&members),
            "piece" => piece(&members),
            "commit" => commit(&members),
            "cancel" => Ok(AboutOrder::Cancel),
            _ => return None,
        };
        Some(name(members.name.as_deref()).and_then(|name| Ok(OrderRequest { name, what: about? })))
    }
}

fn begin(members: &OrderMembers) -> Result<AboutOrder, Refusal> {
    let bytes = members.bytes.ok_or_else(|| missing("bytes", "the length of the image"))?;
    let text = members.sha256.as_deref().ok_or_else(|| missing("sha256", "the image's, 64 hex digits"))?;
    let digest = text.parse().map_err(|error| wrong(format!("sha256 is {}: {error}", shown_text(text))))?;
    Ok(AboutOrder::Begin { bytes, digest })
}

fn piece(members: &OrderMembers) -> Result<AboutOrder, Refusal> {
    let offset = members.offset.ok_or_else(|| missing("offset", "where the piece begins"))?;
    let text = members.piece.as_deref().ok_or_else(|| missing("piece", "the bytes as base64"))?;
    let piece =
        BASE64_STANDARD.decode(text).map_err(|error| wrong(format!("piece is no base64: {error}")))?;
    Ok(AboutOrder::Piece { offset, piece })
}

fn commit(members: &OrderMembers) -> Result<AboutOrder, Refusal> {
    match &members.task {
        Some(task) if task.is_object() => Ok(AboutOrder::Commit(format!("{task:#}\n").into_bytes())),
        Some(_) => Err(wrong("task is no object: write the task document itself".to_owned())),
        None => Err(missing("task", "the task document, an object")),
    }
}

/// The name of an order is the name of files: nothing in it leads out of the folder.
fn name(name: Option<&str>) -> Result<TaskId, Refusal> {
    let name = name.ok_or_else(|| missing("name", "the name of the order"))?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let id = TaskId::new(name).ok().filter(|_| begins_well && name.chars().all(is_plain));
    id.filter(|_| name.len() <= NAME_BYTES_MAX).ok_or_else(|| {
        let allowed = "letters, digits, -, _, . and ~ with a letter or digit first";
        wrong(format!("name is {}: write {allowed}, at most {NAME_BYTES_MAX}", shown_text(name)))
    })
}

fn missing(member: &str, what: &str) -> Refusal {
    wrong(format!("{member} is missing: write {what}"))
}

fn wrong(why: String) -> Refusal {
    Refusal::new("wrong-member", why)
}
