//! What the devices of a campaign hold, in one sentence.

use super::table::duration;
use super::table::to_second;
use crate::daemon::AnswersSnapshot;

/// The counts, the questions, and how long devices are still asked: `212 done, 3 missing fragments after 3 questions; asked
/// alone until 2026-12-01T10:00:00Z`.
pub fn held(answers: &AnswersSnapshot) -> String {
    let questions = match answers.questions {
        0 => String::new(),
        1 => " after 1 question".to_owned(),
        questions => format!(" after {questions} questions"),
    };
    let until = match (&answers.ends_at, answers.ends_in_s) {
        (Some(at), _) => Some(format!("until {}", to_second(at))),
        (None, Some(s)) => Some(format!("for {}", duration(s.saturating_mul(1_000_000)))),
        (None, None) => None,
    };
    let more = match (answers.stage.as_str(), until) {
        ("alone" | "between", Some(until)) => format!("; asked alone {until}"),
        ("between", None) => "; one more session follows".to_owned(),
        ("alone", None) => "; asked alone".to_owned(),
        ("together", Some(until)) => format!("; answers are awaited {until}"),
        _ => String::new(),
    };
    format!("{}{questions}{more}", answers.counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Holdings;

    #[test]
    fn devices_are_counted_with_the_questions_and_the_end_of_those_to_single_ones() {
        let counts = Holdings { done: 212, missing: 3, unheard: 85, ..Holdings::default() };
        let over = AnswersSnapshot {
            counts,
            questions: 3,
            stage: "over".to_owned(),
            end: Some("done".to_owned()),
            ..AnswersSnapshot::default()
        };
        let counted = "212 done, 3 missing fragments, 85 unheard after 3 questions";
        assert_eq!(held(&over), counted);
        let alone = AnswersSnapshot {
            stage: "alone".to_owned(),
            ends_in_s: Some(7_200),
            ends_at: Some("2026-12-01T10:00:00.25Z".to_owned()),
            ..over.clone()
        };
        assert_eq!(held(&alone), format!("{counted}; asked alone until 2026-12-01T10:00:00Z"));
        let between = AnswersSnapshot { stage: "between".to_owned(), end: None, ..alone.clone() };
        assert_eq!(held(&between), held(&alone));
        let told = AnswersSnapshot { ends_in_s: None, ends_at: None, ..between };
        assert_eq!(held(&told), format!("{counted}; one more session follows"));
        let clockless = AnswersSnapshot { ends_at: None, questions: 0, ..alone };
        assert_eq!(held(&clockless), "212 done, 3 missing fragments, 85 unheard; asked alone for 2 h");
        let together = AnswersSnapshot {
            stage: "together".to_owned(),
            ends_in_s: Some(21),
            end: None,
            questions: 1,
            ..over
        };
        assert_eq!(
            held(&together),
            "212 done, 3 missing fragments, 85 unheard after 1 question; answers are awaited for 21 s"
        );
    }
}
