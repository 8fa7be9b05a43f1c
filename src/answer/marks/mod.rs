//! Where a text marks its final answer.

mod boxes;
mod phrases;

pub use boxes::boxed;
pub(super) use boxes::unboxed;
pub(super) use phrases::{sentence, tidy};

use std::borrow::Cow;

/// Headings begin with one of these, perhaps numbered.
const HEADINGS: [&str; 30] = [
    "step",
    "steps",
    "part",
    "case",
    "question",
    "problem",
    "solution",
    "example",
    "note",
    "conclusion",
    "summary",
    "verification",
    "check",
    "explanation",
    "given",
    "approach",
    "analysis",
    "method",
    "reasoning",
    "calculation",
    "section",
    "phase",
    "stage",
    "task",
    "option",
    "equation",
    "understanding",
    "setup",
    "first",
    "finally",
];

/// The final answer that a text marks, as it stands there.
///
/// The last mark counts, by strength: a `####` line that is no heading; `\boxed{…}`; an `<answer>` element; `A:`, `Answer:` or `Final answer:`, also in other
/// languages and with the answer on the next line; `the answer is …`; what is bold at the end. What stands behind `</think>` counts before what stands
/// within. A text that stops in the middle marks nothing.
pub fn marked(text: &str) -> Option<Cow<'_, str>> {
    marks(text, false).into_iter().next()
}

/// Everything that a text marks as an answer, the strongest first; `boxes_first` for questions whose answers stand in boxes.
pub(super) fn marks(text: &str, boxes_first: bool) -> Vec<Cow<'_, str>> {
    if let Some((_, said)) = text.rsplit_once("</think>") {
        let found = of(said, boxes_first);
        if !found.is_empty() {
            return found;
        }
    }
    of(text, boxes_first)
}

fn of(text: &str, boxes_first: bool) -> Vec<Cow<'_, str>> {
    let mut found: Vec<Cow<'_, str>> = hashes(text).into_iter().map(Cow::Borrowed).collect();
    let at = if boxes_first { 0 } else { found.len() };
    if let Some(answer) = boxed(text) {
        found.insert(at, answer);
    }
    let weaker = element(text).into_iter().chain(phrases::labelled(text).into_iter().filter(|l| phrases::stated(l).is_empty()));
    found.extend(weaker.chain(phrases::stated(text)).chain(bold(text)).map(Cow::Borrowed));
    let affirmed = found.into_iter().map(|f| match f {
        Cow::Borrowed(f) => Cow::Borrowed(affirmed(f)),
        owned => owned,
    });
    affirmed.filter(|f| !is_denied(f) && !f.contains("\\boxed{}")).collect()
}

/// What `####` lines say that are no headings, the last one first.
fn hashes(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut end = text.len();
    while found.len() < 4
        && let Some(at) = memchr::memmem::rfind(&text.as_bytes()[..end], b"####")
    {
        let rest = &text[at + 4..];
        let line = rest.lines().next().unwrap_or_default();
        let line = if line.len() > phrases::LONG { "" } else { line };
        let last = rest[line.len()..].trim().is_empty();
        if let Some(answer) = heading_or_answer(phrases::tidy(line), last) {
            found.push(answer);
        }
        end = at;
    }
    found
}

/// The answer that a `####` line says; `None` where it is the heading of what follows.
fn heading_or_answer(line: &str, last: bool) -> Option<&str> {
    let lower = line.to_lowercase();
    let label = ["final answer", "the final answer", "answer", "the answer", "a"]
        .iter()
        .find_map(|l| lower.strip_prefix(l)?.strip_prefix([':', '*']));
    if let Some(rest) = label {
        let answer = phrases::tidy(line.get(line.len() - rest.len()..)?.trim_start_matches([':', '*']));
        return (!answer.is_empty()).then_some(answer);
    }
    let word = lower.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let numbered = line.split_once(['.', ')']).is_some_and(|(n, rest)| {
        n.len() < 3
            && n.bytes().all(|b| b.is_ascii_digit())
            && rest.starts_with(' ')
            && rest.trim_start().starts_with(|c: char| c.is_alphabetic() || c == '*')
    });
    if line.is_empty()
        || numbered
        || line.ends_with(':')
        || matches!(lower.as_str(), "answer" | "final answer" | "the answer" | "the final answer")
    {
        return None;
    }
    // A heading's word, unless the line is an answer of this one word.
    if HEADINGS.contains(&word) && (!last || line.contains(' ')) {
        return None;
    }
    let begins = line.trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with(|c: char| c.is_ascii_digit());
    let equation = line.contains('=') || line.contains('\\');
    (last || begins || equation || !line.contains(' ')).then_some(line)
}

fn element(text: &str) -> Option<&str> {
    let open = text.rfind("<answer>")? + "<answer>".len();
    let inner = &text[open..];
    Some(&inner[..inner.find("</answer>")?])
}

/// The last thing in bold, where it stands in the last lines of the text and has a number in it.
fn bold(text: &str) -> Option<&str> {
    let text = text.trim_end();
    let paragraph = text.rfind("\n\n").map_or(text, |at| &text[at..]);
    let (before, _) = paragraph.rsplit_once("**")?;
    let (head, inner) = before.rsplit_once("**")?;
    // An even number of stars before it: it begins there.
    let opens = head.matches("**").count() % 2 == 0;
    let word = inner.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_lowercase();
    let fits = opens && inner.len() <= 60 && inner.contains(|c: char| c.is_ascii_digit()) && !inner.trim_end().ends_with(':');
    (fits && !HEADINGS.contains(&word.as_str())).then(|| inner.trim())
}

/// Of `not 17 but 18` the part behind `but`.
fn affirmed(answer: &str) -> &str {
    let but = || answer.split_once(" but rather ").or_else(|| answer.split_once(" but ")).map(|(_, rest)| rest.trim());
    if is_denied(answer) { but().unwrap_or(answer) } else { answer }
}

/// Whether something that was marked says only what the answer is not.
fn is_denied(answer: &str) -> bool {
    let answer = answer.trim_start().as_bytes();
    let rest = answer.get(..4).filter(|w| w.eq_ignore_ascii_case(b"not ")).map(|_| &answer[4..]);
    // `not enough` denies nothing.
    rest.is_some_and(|rest| rest.first().is_some_and(|b| !b.is_ascii_lowercase()) || rest.get(1).is_some_and(|b| !b.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::super::number::canonical;
    use super::*;

    #[test]
    fn marks_are_found() {
        for (text, found) in [
            ("Mia has 3 * 6 = 18 apples.\n#### 18", "18"),
            ("so\n#### $1,234.50 \nmore", "1234.5"),
            ("thus \\boxed{\\frac{3}{4}} done", "3/4"),
            ("\\boxed{a{b}c}", "a{b}c"),
            ("x\nA: 18", "18"),
            ("**Answer:** 7 apples.", "7"),
            ("The answer is 42. Check: 41 + 1 = 42.", "42"),
            ("So the answer is: -3.", "-3"),
            ("<think>4</think><answer> 12% </answer>", "12"),
            ("A: 1\n#### 2", "2"),
            ("#### 5\nwait\n#### 6", "6"),
            ("#### Step 1: add 2\nso\n#### Step 2\nThe answer is 6.", "6"),
            ("#### 1. Compute the cost\n5 * 2 = 10\n\n#### Final Answer\n\n**10**", "10"),
            ("#### The cost of 5 pens\nis 10.\n\\boxed{10}", "10"),
            ("#### Answer: 9 pens", "9"),
            ("#### **9**", "9"),
            ("<think>\\boxed{4}</think>The answer is 5.", "5"),
            ("<think>\\boxed{4}</think>", "4"),
            ("A: First, we add. The answer is 7.", "7"),
            ("So Tim keeps **9 pens** for himself.", "9"),
            ("The answer is 9. The answer is not 8.", "9"),
        ] {
            assert_eq!(marked(text).as_deref().map(canonical).as_deref(), Some(found), "{text}");
        }
        for text in ["", "Mia has 3 * 6 = 18 apples.", "####", "\\boxed{3", "the answer is", "A:", "#### Step 1\nso", "**Step 2**"] {
            assert_eq!(marked(text).as_deref().map(canonical).filter(|a| !a.is_empty()), None, "{text}");
        }
    }
}
