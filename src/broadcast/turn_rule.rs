//! Whose turn it is on the one radio, and whether everybody's devices still listen when it is.

use crate::task::TaskId;

/// Who has the air when several campaigns want it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TurnRule {
    /// The one that began, or begins, first; another only while its devices do not listen.
    #[default]
    InOrder,
    /// Frame by frame, whoever has waited longest.
    Fairly,
}

/// What a campaign claims of the air. Times are microseconds from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Task that claims the radio.
    pub task: TaskId,
    /// When its devices listen, ascending and apart.
    pub open: Vec<(u64, u64)>,
    /// Time it needs when it has the air alone.
    pub need_us: u64,
}

/// When a claim gets the air and when it is done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// It first has the air.
    pub from_us: Option<u64>,
    /// It needs the air no longer; `None`: its devices stop listening before.
    pub until_us: Option<u64>,
}

/// Lets the claims, the first in order first, use the air as `rule` says. One that is alone needs its own time,
/// n that share it n times as much.
pub fn foresee(rule: TurnRule, claims: &[Claim]) -> Vec<Span> {
    let mut spans = vec![Span::default(); claims.len()];
    let mut left_us: Vec<u64> = claims.iter().map(|claim| claim.need_us.max(1)).collect();
    let mut now_us = 0;
    loop {
        let wants = |at: usize| left_us[at] > 0;
        let is_open = |at: usize| claims[at].open.iter().any(|(from, to)| (*from..*to).contains(&now_us));
        let edges = (0..claims.len()).filter(|at| wants(*at)).flat_map(|at| &claims[at].open);
        let next_edge = edges.flat_map(|(from, to)| [*from, *to]).filter(|edge| *edge > now_us).min();
        let mut running: Vec<usize> = (0..claims.len()).filter(|at| wants(*at) && is_open(*at)).collect();
        if rule == TurnRule::InOrder {
            running.truncate(1);
        }
        let share = running.len() as u64;
        let soonest = running.iter().map(|at| left_us[*at].saturating_mul(share)).min();
        let until_edge = next_edge.map(|edge| edge - now_us);
        let Some(step_us) = soonest.into_iter().chain(until_edge).min() else { return spans };
        for at in running {
            spans[at].from_us.get_or_insert(now_us);
            left_us[at] = left_us[at].saturating_sub(step_us.div_ceil(share));
            if left_us[at] == 0 {
                spans[at].until_us = Some(now_us + step_us);
            }
        }
        now_us += step_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, open: &[(u64, u64)], need_us: u64) -> Claim {
        Claim { task: TaskId::new(name).unwrap(), open: open.to_vec(), need_us }
    }

    fn span(from_us: u64, until_us: Option<u64>) -> Span {
        Span { from_us: Some(from_us), until_us }
    }

    #[test]
    fn in_order_the_second_waits_for_the_first() {
        let always = [(10, u64::MAX)];
        let claims = [claim("a", &always, 100), claim("b", &always, 50)];
        assert_eq!(foresee(TurnRule::InOrder, &claims), [span(10, Some(110)), span(110, Some(160))]);
    }

    #[test]
    fn fairly_both_have_half_until_one_is_done() {
        let always = [(10, u64::MAX)];
        let claims = [claim("a", &always, 100), claim("b", &always, 50)];
        assert_eq!(foresee(TurnRule::Fairly, &claims), [span(10, Some(160)), span(10, Some(110))]);
    }

    #[test]
    fn a_window_that_closes_before_its_turn_comes_is_missed() {
        let claims = [claim("a", &[(0, u64::MAX)], 100), claim("b", &[(20, 90)], 50)];
        let spans = foresee(TurnRule::InOrder, &claims);
        assert_eq!(spans[1], Span::default());
        // Sharing, b has 35 of its 50 when its window closes.
        assert_eq!(foresee(TurnRule::Fairly, &claims)[1], span(20, None));
    }

    #[test]
    fn between_two_sessions_of_the_first_another_may_send() {
        let claims = [claim("a", &[(0, 50), (100, 150)], 80), claim("b", &[(0, u64::MAX)], 60)];
        assert_eq!(foresee(TurnRule::InOrder, &claims), [span(0, Some(130)), span(50, Some(140))]);
    }
}
