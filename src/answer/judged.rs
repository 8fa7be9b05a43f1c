//! What grading a text gives, and counts of it.

/// What a text answers and whether that is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The final answer that the text marks, in canonical form; `None` where it marks none.
    pub answer: Option<String>,
    /// Whether the marked answer is the reference answer. `None`, unknown: there is no reference, or the text was cut off and marks no answer.
    pub correct: Option<bool>,
    /// The same where a text that marks no answer is read for its last number or option letter. Never wrong where `correct` is right.
    pub flexible: Option<bool>,
}

/// How many texts are right, read strictly and flexibly side by side (lm-evaluation-harness: `strict-match` and `flexible-extract`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Texts that were compared with a reference.
    pub graded: u64,
    /// Of those, the ones whose marked answer is the reference.
    pub strict: u64,
    /// Of those, the ones whose marked answer, or last number or option letter where they mark none, is the reference.
    pub flexible: u64,
    /// Texts that were cut off before they marked an answer.
    pub unknown: u64,
}

impl Tally {
    /// Counts a text of a question that has a reference.
    pub fn add(&mut self, judged: &Judged) {
        self.graded += u64::from(judged.correct.is_some());
        self.strict += u64::from(judged.correct == Some(true));
        self.flexible += u64::from(judged.flexible == Some(true));
        self.unknown += u64::from(judged.correct.is_none());
    }

    /// For people: how many are right under either reading, and how many are unknown.
    pub fn describe(&self) -> String {
        let Self { graded, strict, flexible, unknown } = self;
        let open = if *unknown > 0 { format!("; {unknown} unknown, cut off before an answer") } else { String::new() };
        format!(
            "{strict} of {graded} candidates have the reference answer (strict-match), {flexible} by their last number or option (flexible-extract){open}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Question;
    use super::*;

    #[test]
    fn strict_and_flexible_counts_stand_side_by_side() {
        let question = Question::guess("How many?", Some("18"));
        let mut tally = Tally::default();
        for (text, cut) in [("#### 18", false), ("it is 18", false), ("it is 17", false), ("#### 18\nand", true), ("it is 18", true)] {
            tally.add(&question.judge(text, cut));
        }
        assert_eq!(tally, Tally { graded: 4, strict: 2, flexible: 3, unknown: 1 });
        assert!(tally.describe().starts_with("2 of 4 candidates") && tally.describe().contains("1 unknown"), "{}", tally.describe());
        assert!(!Tally { unknown: 0, ..tally }.describe().contains("unknown"));
    }
}
