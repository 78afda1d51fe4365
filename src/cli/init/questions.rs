//! What a person is asked, one line each; a script answers by flags or on standard input.

use crate::cli::exit::Failure;
use std::io::BufRead;
use std::io::Write;

/// Attempts at one question.
const ATTEMPTS: usize = 3;

/// Asks on `out` and reads answers, or takes what is proposed.
pub struct Questions<'a> {
    /// Where answers come from; `None`: nobody is asked.
    pub answers: Option<&'a mut dyn BufRead>,
    /// Where questions are written.
    pub out: &'a mut dyn Write,
}

impl Questions<'_> {
    /// The answer to `question`: what `flag` was given, else what a person says, else what is `proposed`. `is_good` says
    /// what it makes of an answer, or what is wrong with it.
    ///
    /// # Errors
    /// There is no answer, or the flag's is no good.
    pub fn ask<T>(
        &mut self,
        flag: (&str, Option<&str>),
        question: &str,
        proposed: Option<&str>,
        is_good: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let (name, given) = flag;
        let wrong = |message: String| Failure::usage(format!("{name}: {message}"));
        if let Some(given) = given {
            return is_good(given).map_err(wrong);
        }
        let Some(answers) = self.answers.as_mut() else {
            let proposed =
                proposed.ok_or_else(|| wrong("nothing can be proposed here: give it".to_owned()))?;
            return is_good(proposed).map_err(wrong);
        };
        for _ in 0..ATTEMPTS {
            let shown = proposed.map_or(String::new(), |proposed| format!(" [{proposed}]"));
            write!(self.out, "{question}{shown}: ")?;
            self.out.flush()?;
            let mut line = String::new();
            if answers.read_line(&mut line)? == 0 {
                return Err(wrong(format!("the input ended at \"{question}\"; give the flag, or --yes")));
            }
            let answer = Some(line.trim()).filter(|answer| !answer.is_empty()).or(proposed).unwrap_or("");
            match is_good(answer) {
                Ok(value) => return Ok(value),
                Err(message) => writeln!(self.out, "  {message}")?,
            }
        }
        Err(wrong(format!("no answer to \"{question}\" that would do")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn even(text: &str) -> Result<u32, String> {
        let number: u32 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
        if number.is_multiple_of(2) { Ok(number) } else { Err(format!("{number} is odd")) }
    }

    fn asked(
        given: Option<&str>,
        proposed: Option<&str>,
        typed: Option<&str>,
    ) -> (Result<u32, String>, String) {
        let mut out = Vec::new();
        let mut typed = typed.map(str::as_bytes);
        let answers = typed.as_mut().map(|typed| typed as &mut dyn BufRead);
        let answer = Questions { answers, out: &mut out }.ask(("--even", given), "How many", proposed, even);
        (answer.map_err(|failure| failure.to_string()), String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_flag_is_an_answer_and_nobody_is_asked() {
        assert_eq!(asked(Some("4"), None, Some("6\n")), (Ok(4), String::new()));
        assert_eq!(asked(Some("5"), None, None).0.unwrap_err(), "--even: 5 is odd");
    }

    #[test]
    fn an_empty_line_takes_what_is_proposed_and_a_wrong_one_is_asked_again() {
        assert_eq!(asked(None, Some("2"), Some("\n")), (Ok(2), "How many [2]: ".to_owned()));
        let (answer, out) = asked(None, None, Some("x\n3\n8\n"));
        assert_eq!(answer, Ok(8));
        assert_eq!(out, "How many:   \"x\" is no number\nHow many:   3 is odd\nHow many: ");
    }

    #[test]
    fn where_nobody_can_be_asked_the_flag_is_named() {
        assert_eq!(asked(None, Some("2"), None).0, Ok(2));
        assert_eq!(asked(None, None, None).0.unwrap_err(), "--even: nothing can be proposed here: give it");
        let ended = asked(None, None, Some("")).0.unwrap_err();
        assert!(ended.starts_with("--even: the input ended"), "{ended}");
        assert!(asked(None, None, Some("1\n1\n1\n1\n")).0.unwrap_err().starts_with("--even: no answer"));
    }
}
