//! How a query may go on.

use super::parse::names;
use super::{KEYWORDS, TEXTS};
use std::ops::Range;

/// One way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What stands in place of the word at hand.
    pub text: String,
    /// What it means.
    pub meaning: String,
}

/// The bytes of the word that ends at byte `at` of a query, and what it may become: those that begin with it before those that hold it. `signals` are the
/// names of the signals that there are.
pub fn complete<'a>(query: &str, at: usize, signals: impl IntoIterator<Item = &'a str>) -> (Range<usize>, Vec<Completion>) {
    let before = query.get(..at).unwrap_or(query);
    let start = before
        .rfind(|c: char| c.is_whitespace() || "()\"<>=~!".contains(c))
        .map_or(0, |i| i + before[i..].chars().next().map_or(1, char::len_utf8));
    let word = &before[start..];
    // After an operator stands a value, and in quotes a text.
    let value = before[..start].ends_with(['<', '>', '=', '~']) || before.matches('"').count() % 2 == 1;
    if value {
        return (start..before.len(), Vec::new());
    }
    let (prefix, rest) = match word.strip_prefix("step.") {
        Some(rest) => ("step.", rest),
        None => ("", word),
    };
    let one = |text: String, meaning: &str| Completion { text, meaning: meaning.to_owned() };
    let mut all: Vec<Completion> = Vec::new();
    if prefix.is_empty() {
        all.extend(KEYWORDS.iter().map(|(k, m)| one((*k).to_owned(), m)));
        all.extend(names().map(|(n, m)| one(format!("{n}{}", if TEXTS.iter().any(|t| t.0 == n) { "~" } else { "" }), m)));
        all.push(one("not".into(), "what follows does not hold"));
    }
    let meaning = if prefix.is_empty() { "a signal: its value for the candidate" } else { "a signal: its value for some step" };
    all.extend(signals.into_iter().map(|s| one(format!("{prefix}{s}"), meaning)));
    let begins = |c: &Completion| c.text[prefix.len()..].starts_with(rest);
    all.retain(|c| c.text[prefix.len()..].contains(rest) && c.text != word);
    all.sort_by_key(|c| !begins(c));
    (start..before.len(), all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(query: &str) -> Vec<String> {
        complete(query, query.len(), ["reward", "prm"]).1.into_iter().map(|c| c.text).collect()
    }

    #[test]
    fn words_are_completed_where_a_word_may_stand() {
        assert_eq!(texts("right (wro"), ["wrong", "gold:wrong"]);
        assert_eq!(texts("gold:"), ["gold:none", "gold:right", "gold:wrong"]);
        assert_eq!(texts("rew"), ["reward"]);
        assert_eq!(texts("step.p"), ["step.prm"]);
        assert_eq!(complete("é wro", 6, []).0, 3..6);
        for none in ["dev<", "dev<1", "\"righ", "step~rig"] {
            assert!(texts(none).is_empty(), "{none}");
        }
        assert!(texts("").len() > 30);
    }
}
