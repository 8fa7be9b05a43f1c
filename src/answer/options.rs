//! Answers that are the letter of an option.

/// Letter and text of a line `A. …`.
pub fn option(line: &str) -> Option<(&str, &str)> {
    let (letter, text) = line.trim().split_once(['.', ')'])?;
    (letter.len() == 1 && letter.starts_with(|c: char| c.is_ascii_uppercase())).then(|| (letter, text.trim()))
}

/// Words that come right before a letter that is the answer, by strength.
const MARKS: [&[&str]; 2] = [
    &[
        "answer is",
        "answer:",
        "answer**:",
        "answer**",
        "answer would be",
        "answer should be",
        "answer must be",
        "answer choice is",
        "answers is",
        "####",
        "\\boxed{",
        "\\boxed",
        "<answer>",
        "option is",
        "choice is",
        "option:",
        "choice:",
        "答案是",
        "答案为",
        "答案：",
        "答案:",
        "故选",
        "应选",
        "respuesta:",
        "réponse :",
        "réponse:",
        "antwort:",
        "ответ:",
        "respuesta es",
        "réponse est",
        "antwort ist",
    ],
    &[
        "i choose",
        "we choose",
        "i select",
        "we select",
        "i pick",
        "go with",
        "going with",
        "choose option",
        "choose",
        "选择",
        "选",
        "answer",
    ],
];

/// Words that may stand between a mark and the letter.
const BETWEEN: [&str; 24] = [
    "",
    "option",
    "choice",
    "letter",
    "is",
    "are",
    "likely",
    "most likely",
    "probably",
    "therefore",
    "thus",
    "clearly",
    "definitely",
    "indeed",
    "the",
    "answer",
    "final",
    "would be",
    "\\boxed{",
    "\\textbf{",
    "\\text{",
    "\\mathrm{",
    "\\mathbf{",
    "\\(",
];

/// The last letter that is marked as the answer: `answer is (C)`, `Answer: C`, `#### C`, `\boxed{C}`, `<answer>C`, `The correct option is (C)`, `(C) is correct`.
pub(super) fn letter(text: &str) -> Option<char> {
    let lower = text.to_ascii_lowercase();
    let said = lower.rfind("</think>").map_or(0, |at| at + "</think>".len());
    let found = |from: usize| {
        let (text, lower) = (&text[from..], &lower[from..]);
        let named = marked(text, lower, MARKS[0]).or_else(|| marked(text, lower, MARKS[1]));
        named.unwrap_or_else(|| reversed(text, lower).or_else(|| bold(text)))
    };
    found(said).or_else(|| if said > 0 { found(0) } else { None })
}

/// The letter behind the last of some marks that has one; none inside where that names several.
fn marked(text: &str, lower: &str, marks: &[&str]) -> Option<Option<char>> {
    let mut ends: Vec<usize> =
        marks.iter().flat_map(|m| memchr::memmem::find_iter(lower.as_bytes(), m.as_bytes()).map(|i| i + m.len())).collect();
    ends.sort_unstable();
    ends.into_iter().rev().filter(|end| !is_other(&lower[..*end])).find_map(|end| behind(&text[end..]))
}

/// Whether a mark speaks of another option than the answer: `the closest option is`, `the other choice is`.
fn is_other(before: &str) -> bool {
    let Some(before) = ["option is", "choice is", "option:", "choice:"].iter().find_map(|m| before.strip_suffix(m)) else { return false };
    let word = before.trim_end().rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    matches!(
        word,
        "closest"
            | "nearest"
            | "other"
            | "next"
            | "another"
            | "first"
            | "second"
            | "wrong"
            | "incorrect"
            | "similar"
            | "remaining"
            | "last"
    )
}

/// The letter that a text begins with, but for words that do not count; of `not A but B` the second. None inside where several are named.
fn behind(text: &str) -> Option<Option<char>> {
    let mut rest = bare(text);
    let mut closed = rest.len() < text.len() && text[..text.len() - rest.len()].contains(['(', '[']);
    for _ in 0..4 {
        let before = rest.len();
        for word in BETWEEN {
            let head = rest.get(..word.len()).filter(|h| h.eq_ignore_ascii_case(word));
            if head.is_some()
                && !(word.ends_with(|c: char| c.is_alphabetic()) && rest[word.len()..].starts_with(|c: char| c.is_alphanumeric()))
            {
                let next = bare(&rest[word.len()..]);
                closed |= rest[..rest.len() - next.len()].contains(['(', '[', '{']);
                rest = next;
            }
        }
        if rest.len() == before {
            break;
        }
    }
    let lower = rest.get(..8).unwrap_or(rest).to_ascii_lowercase();
    if ["not ", "n't ", "neither "].iter().any(|no| lower.starts_with(no)) {
        let line = super::marks::sentence(rest);
        let turns = [" but ", "; it is ", ", it is ", "; it's ", ", it's "];
        let but = turns.iter().filter_map(|t| line.rfind(t).map(|at| at + t.len())).max();
        return behind(line[but?..].trim_start_matches("rather "));
    }
    let (found, after) = single(rest, closed)?;
    // `A and C`, `A or B`, `A, B` are no answer.
    let more = after.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ')' | ']' | '*' | '}' | '$' | '.'));
    let joint = ["and ", "or ", "& ", "/", "und "]
        .iter()
        .find_map(|j| more.strip_prefix(j))
        .map(|m| (m, false))
        .or_else(|| more.strip_prefix(',').map(|m| (m, true)));
    if let Some((more, comma)) = joint
        && let Some((second, after)) = single(bare(more), true)
        && second != found
    {
        let after = after.trim_start_matches([')', ']', '*', '}']);
        if !comma || after.is_empty() || after.starts_with(['\n', ',', '.']) || after.trim_start().starts_with("and") {
            return Some(None);
        }
    }
    Some(Some(found))
}

/// Without brackets, stars and room before it.
fn bare(text: &str) -> &str {
    text.trim_start_matches(|c: char| {
        c.is_whitespace() || matches!(c, ':' | '：' | '*' | '(' | '（' | '$' | '[' | '{' | '`' | '"' | '_' | '“' | '-' | '–' | '—')
    })
}

/// The letter that stands for itself at the start of a text, in lower case only where it is `closed` in or alone on its line, and what follows it.
fn single(text: &str, closed: bool) -> Option<(char, &str)> {
    let found = text.chars().next().filter(char::is_ascii_alphabetic)?;
    let rest = &text[1..];
    let mut chars = rest.chars();
    let next = chars.next();
    if found.is_ascii_lowercase() {
        let ends = rest.trim_start_matches([')', ']', '}', '*', '.', '$', '`', '"']).trim_start_matches([' ', '\t']);
        let alone = ends.is_empty() || ends.starts_with('\n');
        return ((closed && matches!(next, Some(')' | ']' | '}'))) || alone)
            .then(|| (found.to_ascii_uppercase(), rest))
            .filter(|(c, _)| *c <= 'J');
    }
    let alone = match next {
        None | Some('\n') => true,
        // "A" and "I" are words too.
        Some(' ') => {
            let word: String = rest[1..].chars().take_while(|c| c.is_alphabetic()).collect();
            !matches!(found, 'A' | 'I')
                || word.is_empty()
                || matches!(word.as_str(), "and" | "or" | "because" | "since" | "as" | "is" | "not" | "but")
        }
        // N/A is no letter.
        Some('/') => !chars.next().is_some_and(char::is_alphanumeric),
        Some(c) => !((c.is_alphanumeric() && c.is_ascii()) || matches!(c, '\'' | '’' | '-')),
    };
    alone.then_some((found, rest))
}

/// The letter before the last `is correct` and its kin.
fn reversed(text: &str, lower: &str) -> Option<char> {
    let marks = ["is correct", "is the correct", "is right", "is the right", "is the answer", "is the best", "is the most"];
    let mut starts: Vec<usize> = marks.iter().flat_map(|m| memchr::memmem::find_iter(lower.as_bytes(), m.as_bytes())).collect();
    starts.sort_unstable();
    starts.into_iter().rev().find_map(|at| {
        let before = text[..at].trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ')' | ']' | '*' | '.' | '$' | '}' | '`' | '"'));
        let letter = before.chars().next_back().filter(char::is_ascii_uppercase)?;
        let head = &before[..before.len() - 1];
        let open = head.trim_end_matches(['(', '[', '*', '$', '{', '`', '"']);
        let alone = !head.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '\''));
        let word = open.trim_end().rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_ascii_lowercase();
        let other = matches!(
            word.as_str(),
            "statement" | "reason" | "assertion" | "figure" | "vitamin" | "type" | "not" | "and" | "or" | "neither" | "nor" | "both"
        );
        (alone && !other).then_some(letter)
    })
}

/// A letter in bold in the last line, alone or before an option's words.
fn bold(text: &str) -> Option<char> {
    let line = text.trim_end().lines().next_back()?;
    let (before, _) = line.rsplit_once("**")?;
    let (_, inner) = before.rsplit_once("**")?;
    opening(inner).filter(|_| inner.trim_start_matches(['(', ' ']).starts_with(|c: char| c.is_ascii_uppercase()))
}

/// Without the commands of LaTeX that only set letters.
fn unset(answer: &str) -> &str {
    let mut text = answer;
    loop {
        let next = text.trim_matches(|c: char| {
            c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '*' | '$' | '.' | ':' | '`' | '"' | '{' | '}')
        });
        let next = ["\\text", "\\textbf", "\\textrm", "\\mathrm", "\\mathbf", "\\mbox", "\\boxed", "\\left", "\\right", "\\rm", "\\bf"]
            .iter()
            .filter_map(|c| next.strip_prefix(c))
            .find(|r| r.starts_with(['{', ' ', '(']))
            .unwrap_or(next);
        let next = next.strip_suffix("\\right").unwrap_or(next);
        if next.len() == text.len() {
            return text;
        }
        text = next;
    }
}

/// The letter that an answer is, with or without brackets and a full stop.
pub(super) fn alone(answer: &str) -> Option<char> {
    let mut chars = unset(answer).chars();
    chars.next().filter(|c| c.is_ascii_uppercase() && chars.next().is_none())
}

/// The letter that an answer is or opens with (`c`, `C. 18`, `(C) 18`, `\text{C}`).
pub(super) fn opening(answer: &str) -> Option<char> {
    let text = unset(answer);
    let first = text.chars().next().filter(char::is_ascii_alphabetic)?;
    let rest = text[1..].trim_start_matches(['}', '*']);
    let before = &answer[..answer.len() - answer.trim_start_matches(|c: char| !c.is_ascii_alphabetic() || c == '\\').len()];
    let closed = before.contains(['(', '[']) && rest.starts_with([')', ']']);
    let labelled = rest.strip_prefix(['.', ')', ':']).is_some_and(|r| r.starts_with([' ', '}', '\\', '~', '$']) || r.is_empty());
    (rest.is_empty() || closed || (labelled && first.is_ascii_uppercase())).then(|| first.to_ascii_uppercase())
}

/// The words of an option of a problem.
pub(super) fn text_of(problem: &str, letter: char) -> Option<&str> {
    problem.lines().rev().filter_map(option).find(|(l, _)| l.starts_with(letter)).map(|(_, text)| text)
}

/// The last letter of an option that stands for itself in a text; one of A to J for a problem without options.
pub(super) fn last_letter(text: &str, problem: &str) -> Option<char> {
    let lettered = problem.lines().any(|line| option(line).is_some());
    let known = |c: char| if lettered { text_of(problem, c).is_some() } else { ('A'..='J').contains(&c) };
    text.char_indices().rev().filter(|(_, c)| c.is_ascii_uppercase()).find_map(|(at, found)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + 1..].chars();
        let next = after.next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '\'' | '’' | '-' | '_'));
        // "A" and "I" are words too.
        let article = matches!(found, 'A' | 'I') && next == Some(' ') && after.next().is_some_and(char::is_alphabetic);
        (!word(before) && !word(next) && !article && known(found)).then_some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBLEM: &str = "Which?\nA. Small vessel\nB. Large vessel\nC. Colle's fascia";

    #[test]
    fn a_letter_stands_for_itself() {
        assert_eq!(["C", "(C)", " C. ", "**B**"].map(alone), [Some('C'), Some('C'), Some('C'), Some('B')]);
        assert_eq!(["", "c", "CD", "C/D", "Cat", "3"].map(alone), [None; 6]);
    }

    #[test]
    fn the_last_letter_of_an_option_is_found() {
        for (text, found) in [
            ("It is (B), so I think (C)", Some('C')),
            ("A fascia is no vessel: B", Some('B')),
            ("I think so", None),
            ("option A, not B-cells", Some('A')),
            ("E", None),
            ("é B\n", Some('B')),
        ] {
            assert_eq!(last_letter(text, PROBLEM), found, "{text}");
        }
        assert_eq!((last_letter("E", "Which?"), last_letter("X", "Which?")), (Some('E'), None));
        assert_eq!(text_of(PROBLEM, 'B'), Some("Large vessel"));
    }
}
