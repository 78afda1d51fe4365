//! Lists that come in pages: the services' own paginators do not exist for these calls.

use std::collections::BTreeSet;

use aws_sdk_iotwireless::Client;

use super::trouble::Trouble;

/// An endless list is a fault of the other side.
const MAX_PAGES: usize = 16;
/// So many entries a page (the service allows 250).
const PAGE: i32 = 100;

/// The action that [`fuota_tasks`] needs.
pub(super) const LIST_TASKS: &str = "iotwireless:ListFuotaTasks";
/// The action that [`groups_of`] needs.
pub(super) const LIST_GROUPS: &str = "iotwireless:ListMulticastGroupsByFuotaTask";

/// The tokens of a list so far.
#[derive(Default)]
struct Tokens {
    seen: BTreeSet<String>,
}

impl Tokens {
    /// The token of the next page; `None` at the end, which an empty token is, too.
    fn next(&mut self, action: &'static str, token: Option<&str>) -> Result<Option<String>, Trouble> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        let is_new = self.seen.insert(token.to_owned());
        if is_new && self.seen.len() < MAX_PAGES {
            return Ok(Some(token.to_owned()));
        }
        let why = if is_new { "it has too many pages" } else { "its pages do not end: a token repeats" };
        Err(Trouble::Unreadable { action, why })
    }
}

/// The ids of all FUOTA tasks of the account and region, in the service's order.
pub(super) async fn fuota_tasks(client: &Client) -> Result<Vec<String>, Trouble> {
    let mut ids = Vec::new();
    let (mut tokens, mut token) = (Tokens::default(), None);
    loop {
        let call = client.list_fuota_tasks().max_results(PAGE).set_next_token(token);
        let page = call.send().await.map_err(|error| Trouble::of(LIST_TASKS, &error))?;
        ids.extend(page.fuota_task_list().iter().filter_map(|task| task.id().map(str::to_owned)));
        token = tokens.next(LIST_TASKS, page.next_token())?;
        if token.is_none() {
            return Ok(ids);
        }
    }
}

/// The ids of the multicast groups of FUOTA task `id`.
pub(super) async fn groups_of(client: &Client, id: &str) -> Result<BTreeSet<String>, Trouble> {
    let mut ids = BTreeSet::new();
    let (mut tokens, mut token) = (Tokens::default(), None);
    loop {
        let call = client.list_multicast_groups_by_fuota_task().id(id).set_next_token(token);
        let page = call.send().await.map_err(|error| Trouble::of(LIST_GROUPS, &error).not_the_task())?;
        ids.extend(page.multicast_group_list().iter().filter_map(|group| group.id().map(str::to_owned)));
        token = tokens.next(LIST_GROUPS, page.next_token())?;
        if token.is_none() {
            return Ok(ids);
        }
    }
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
