//! Answers that are a decision: yes, no or maybe.

/// What can be decided.
pub const DECISIONS: [&str; 3] = ["yes", "no", "maybe"];

/// The last decision that is marked (`answer is yes`, `Answer: no`, `decision: maybe`, `#### yes`, `\boxed{no}`, `<answer>yes`), or a last line that
/// is nothing else.
pub(super) fn decision(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let marks = ["answer is", "answer:", "answer**:", "decision is", "decision:", "####", "\\boxed{", "<answer>"];
    let mut ends: Vec<usize> = marks.iter().flat_map(|m| lower.match_indices(m).map(|(i, m)| i + m.len())).collect();
    ends.sort_unstable();
    let marked = ends.into_iter().rev().find_map(|end| {
        let rest = lower[end..].trim_start_matches(|c: char| c.is_whitespace() || ":*(\"'`{\\$".contains(c));
        let rest = rest.strip_prefix("text{").unwrap_or(rest);
        word(rest)
    });
    let alone = || {
        let line = lower.lines().rev().find(|l| !l.trim().is_empty())?.trim_matches(|c: char| !c.is_ascii_alphabetic());
        DECISIONS.into_iter().find(|d| *d == line)
    };
    marked.or_else(alone)
}

/// The last word of a text that is a decision.
pub(super) fn last_word(text: &str) -> Option<&'static str> {
    text.rsplit(|c: char| !c.is_alphabetic()).find_map(|word| DECISIONS.into_iter().find(|d| d.eq_ignore_ascii_case(word)))
}

/// The decision that a text begins with, as a word of its own.
pub(super) fn word(text: &str) -> Option<&'static str> {
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    DECISIONS.into_iter().find(|d| *d == &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_read() {
        for (text, found) in [
            ("It helps.\nThe answer is yes.", Some("yes")),
            ("**Answer:** No, because", Some("no")),
            ("Answer: maybe", Some("maybe")),
            ("The final decision is: Yes", Some("yes")),
            ("so \\boxed{\\text{no}}", Some("no")),
            ("<answer> maybe </answer>", Some("maybe")),
            ("The answer is no. Wait: the answer is yes.", Some("yes")),
            ("It may be so.\n\nYes.", Some("yes")),
            ("No", Some("no")),
            ("The answer is not known", None),
            ("The answer is nothing", None),
            ("yes it is", None),
            ("", None),
        ] {
            assert_eq!(decision(text), found, "{text}");
        }
    }
}
