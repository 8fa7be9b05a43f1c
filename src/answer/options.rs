//! Answers that are the letter of an option.

/// Letter and text of a line `A. …`.
pub fn option(line: &str) -> Option<(&str, &str)> {
    let (letter, text) = line.trim().split_once(['.', ')'])?;
    (letter.len() == 1 && letter.starts_with(|c: char| c.is_ascii_uppercase())).then(|| (letter, text.trim()))
}

/// The last letter that is marked as the answer: `answer is (C)`, `Answer: C`, `#### C`, `\boxed{C}`, `<answer>C`.
pub(super) fn letter(text: &str) -> Option<char> {
    let lower = text.to_ascii_lowercase();
    let marks = ["answer is", "answer:", "####", "\\boxed{", "<answer>"];
    let mut ends: Vec<usize> = marks.iter().flat_map(|m| lower.match_indices(m).map(|(i, m)| i + m.len())).collect();
    ends.sort_unstable();
    ends.into_iter().rev().find_map(|end| {
        let mut rest = &text[end..];
        for word in ["", "option", "\\boxed{", "\\textbf{", "\\text{"] {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '*' | '(' | '$' | '[' | '`' | '"'));
            rest = rest.strip_prefix(word).unwrap_or(rest);
        }
        let rest = rest.trim_start_matches(['(', ' ']);
        let mut chars = rest.chars();
        let found = chars.next().filter(char::is_ascii_uppercase)?;
        let alone = match chars.next() {
            None | Some('\n') => true,
            // "A" and "I" are words too.
            Some(' ') => !matches!(found, 'A' | 'I') || chars.next().is_none_or(|c| !c.is_alphabetic()),
            // N/A is no letter.
            Some('/') => !chars.next().is_some_and(char::is_alphanumeric),
            Some(c) => !(c.is_alphanumeric() || matches!(c, '\'' | '’' | '-')),
        };
        alone.then_some(found)
    })
}

/// The letter that an answer is, with or without brackets and a full stop.
pub(super) fn alone(answer: &str) -> Option<char> {
    let answer =
        answer.trim().trim_matches(|c: char| matches!(c, '(' | ')' | '[' | ']' | '*' | '$' | '.' | ':' | '`' | '"') || c.is_whitespace());
    let mut chars = answer.chars();
    chars.next().filter(|c| c.is_ascii_uppercase() && chars.next().is_none())
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
