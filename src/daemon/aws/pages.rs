//! Lists that come in pages: the services' own paginators do not exist for these calls.

use std::collections::BTreeSet;

use serde_json::Value;

use super::caller::Caller;
use super::error::AwsError;
use super::operation::Call;
use super::operation::LIST_FUOTA_TASKS;
use super::operation::LIST_GROUPS_OF_TASK;

/// An endless list is a fault of the other side.
const MAX_PAGES: usize = 16;
/// So many entries a page (the service allows 250).
const PAGE: &str = "100";

/// The tokens of a list so far.
#[derive(Default)]
struct Tokens {
    seen: BTreeSet<String>,
}

impl Tokens {
    /// The token of the next page; `None` at the end, which an empty token is, too.
    fn next(&mut self, action: &'static str, token: Option<&str>) -> Result<Option<String>, AwsError> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        let is_new = self.seen.insert(token.to_owned());
        if is_new && self.seen.len() < MAX_PAGES {
            return Ok(Some(token.to_owned()));
        }
        let why = if is_new { "it has too many pages" } else { "its pages do not end: a token repeats" };
        Err(AwsError::Unreadable { action, why })
    }
}

/// The ids of all FUOTA tasks of the account and region, in the service's order.
pub(super) async fn fuota_tasks(caller: &Caller) -> Result<Vec<String>, AwsError> {
    let call = Call::of(&LIST_FUOTA_TASKS, "").with_query("maxResults", Some(PAGE));
    ids(caller, &call, "FuotaTaskList").await
}

/// The ids of the multicast groups of FUOTA task `id`.
pub(super) async fn groups_of(caller: &Caller, id: &str) -> Result<BTreeSet<String>, AwsError> {
    let ids = ids(caller, &Call::of(&LIST_GROUPS_OF_TASK, id), "MulticastGroupList").await;
    Ok(ids.map_err(AwsError::not_the_task)?.into_iter().collect())
}

/// The ids on all pages of the list `member`.
async fn ids(caller: &Caller, call: &Call, member: &'static str) -> Result<Vec<String>, AwsError> {
    let action = call.operation.action;
    let mut ids = Vec::new();
    let (mut tokens, mut token) = (Tokens::default(), None);
    loop {
        let page = caller.json(call.clone().with_query("nextToken", token.as_deref())).await?;
        ids.extend(ids_in(action, &page, member)?);
        token = tokens.next(action, page["NextToken"].as_str())?;
        if token.is_none() {
            return Ok(ids);
        }
    }
}

/// The ids in a page's list `member`; an entry without one is none.
fn ids_in(action: &'static str, page: &Value, member: &str) -> Result<Vec<String>, AwsError> {
    let wrong = || AwsError::Malformed { action, why: format!("{member} is no list of objects with an Id") };
    let list = match &page[member] {
        Value::Null if page.is_object() => return Ok(Vec::new()),
        list => list.as_array().ok_or_else(wrong)?,
    };
    let mut ids = Vec::new();
    for entry in list {
        match (entry.is_object(), &entry["Id"]) {
            (true, Value::Null) => {}
            (true, Value::String(id)) => ids.push(id.clone()),
            _ => return Err(wrong()),
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_without_a_token_or_with_an_empty_one() {
        let mut tokens = Tokens::default();
        assert_eq!(tokens.next("a", Some("x")), Ok(Some("x".to_owned())));
        assert_eq!(tokens.next("a", Some("")), Ok(None));
        assert_eq!(tokens.next("a", None), Ok(None));
    }

    #[test]
    fn a_token_that_repeats_is_refused_even_when_others_stand_between() {
        let mut tokens = Tokens::default();
        tokens.next("a", Some("x")).unwrap();
        tokens.next("a", Some("y")).unwrap();
        assert!(tokens.next("a", Some("x")).unwrap_err().to_string().contains("a token repeats"));
    }

    #[test]
    fn new_tokens_for_ever_are_refused_at_the_limit() {
        let mut tokens = Tokens::default();
        let pages = (0..).take_while(|n| tokens.next("a", Some(&n.to_string())).is_ok()).count();
        assert_eq!(pages, MAX_PAGES - 1);
    }
}
