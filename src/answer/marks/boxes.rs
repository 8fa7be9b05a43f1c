//! `\boxed{…}` and its kin.

use memchr::memmem;
use std::borrow::Cow;

/// So many boxes are looked at, from the last one.
const BOXES: usize = 64;
/// A box longer than this is none.
const LONG: usize = 16 << 10;

/// A box: where it begins, where it ends, and what is in it.
#[derive(Clone, Copy)]
struct Boxed<'a> {
    start: usize,
    end: usize,
    inner: &'a str,
}

/// Contents of the last box that is not empty and is not named as a wrong answer (`not \boxed{17}`); several boxes with nothing but names and commas
/// between them are one answer. `None` where the last one never closes: a text that stops in the middle marks nothing.
pub fn boxed(text: &str) -> Option<Cow<'_, str>> {
    let mut first = last(text)?;
    let (mut all, mut or) = (vec![first.inner], false);
    let mut seen = 0;
    while seen < 8
        && let Some(before) = last(&text[..first.start]).filter(|b| b.end <= first.start)
        && is_joint(&text[before.end..first.start])
    {
        seen += 1;
        or |= text[before.end..first.start].split(|c: char| !c.is_alphabetic()).any(|word| word == "or");
        if !all.contains(&before.inner) {
            all.insert(0, before.inner);
        }
        first = before;
    }
    Some(if all.len() == 1 { Cow::Borrowed(all[0]) } else { Cow::Owned(all.join(if or { " \\text{ or } " } else { ", " })) })
}

/// What is in the box that a text is.
pub(in crate::answer) fn unboxed(text: &str) -> Option<&str> {
    let (start, open) = text.starts_with(['\\']).then(|| opening(text.get(..text.find('{')?)?))??;
    read(text, start, open).filter(|b| start == 0 && b.end == text.len()).map(|b| b.inner)
}

fn last(text: &str) -> Option<Boxed<'_>> {
    let mut end = text.len();
    for _ in 0..BOXES {
        let (start, open) = opening(&text[..end])?;
        let found = read(text, start, open)?;
        let wrong = is_denied(&text[..start]);
        let empty = found.inner.split("\\boxed").all(|part| part.chars().all(|c| c.is_whitespace() || matches!(c, '{' | '}')));
        if !empty && !found.inner.trim_start().starts_with("...") && !wrong {
            return Some(found);
        }
        end = start;
    }
    None
}

/// Where the last box begins, and where the name of its command ends.
fn opening(text: &str) -> Option<(usize, usize)> {
    let mut end = text.len();
    loop {
        let at = memmem::rfind(&text.as_bytes()[..end], b"box")?;
        let (before, behind) = (&text[..at], &text[at..]);
        let letter = |s: &str| s.starts_with(|c: char| c.is_ascii_alphabetic());
        // `\boxedeq` is another command.
        if before.ends_with('\\') && behind.starts_with("boxed") && !letter(&behind[5..]) {
            return Some((at - 1, at + 5));
        } else if let Some(name) = ["\\f", "\\frame"].iter().find(|n| before.ends_with(**n)).filter(|_| !letter(&behind[3..])) {
            return Some((at - name.len(), at + 3));
        }
        end = at;
    }
}

fn read(text: &str, start: usize, open: usize) -> Option<Boxed<'_>> {
    let body = text[open..].trim_start_matches([' ', '\n', '\t', '~']);
    let from = text.len() - body.len();
    let Some(inner) = body.strip_prefix('{') else {
        // `\boxed 8` and `\boxed\frac12`
        let len = body.find(|c: char| c.is_whitespace() || matches!(c, '$' | ',' | ';' | '*' | '}')).unwrap_or(body.len());
        let word = body[..len].trim_end_matches(['.', '\\', ')', ']']);
        let known = word.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '\\' | '-' | '('));
        return known.then(|| Boxed { start, end: from + word.len(), inner: word });
    };
    let (mut depth, mut escaped) = (1_usize, false);
    for (i, c) in inner.char_indices().take_while(|(i, _)| *i < LONG) {
        match c {
            _ if escaped => {}
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if depth == 0 {
            return Some(Boxed { start, end: from + i + 2, inner: &inner[..i] });
        }
    }
    None
}

/// Whether the words before a box say that it is not the answer.
fn is_denied(before: &str) -> bool {
    let before = before.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '$' | '\\' | '(' | '[' | '*' | '"' | '`' | ':'));
    let tail = before.len() - before.bytes().rev().take(24).count();
    let tail = (tail..before.len()).find(|i| before.is_char_boundary(*i)).map_or("", |i| &before[i..]).to_ascii_lowercase();
    ["not", "instead of", "rather than", "isn't", "wasn't", "cannot be", "n't be"]
        .iter()
        .any(|no| tail.strip_suffix(no).is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric()) || no.starts_with("n't")))
}

/// Whether what stands between two boxes puts them together: `, `, ` and `, ` or `, with names and dollar signs.
fn is_joint(between: &str) -> bool {
    if between.len() > 40 || between.trim().is_empty() {
        return false;
    }
    let mut joined = false;
    for word in
        between.split(|c: char| c.is_whitespace() || matches!(c, '$' | '{' | '}' | '(' | ')' | '[' | ']' | '\\')).filter(|w| !w.is_empty())
    {
        match word.trim_matches(['*', '~']) {
            "," | ";" | "and" | "or" | "text" | "quad" | "qquad" => joined |= !matches!(word, "text" | "quad" | "qquad"),
            "" | "=" | "&" => {}
            // `x`, `x=`
            name if name.trim_end_matches('=').len() <= 2 && name.starts_with(|c: char| c.is_ascii_alphabetic()) => {}
            _ => return false,
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_found() {
        for (text, found) in [
            ("so \\boxed{42}.", Some("42")),
            ("so \\boxed 42.", Some("42")),
            ("so \\boxed {42}", Some("42")),
            ("so $\\boxed\\frac12$", Some("\\frac12")),
            ("so \\fbox{42}", Some("42")),
            ("so \\framebox{42}", Some("42")),
            ("\\boxed{\\boxed{42}}", Some("42")),
            ("\\boxed{42} and then \\boxed{}", Some("42")),
            ("\\boxed{42}, not \\boxed{41}", Some("42")),
            ("\\boxed{42} rather than $\\boxed{41}$", Some("42")),
            ("\\boxed{41} is wrong: \\boxed{42}", Some("42")),
            ("\\boxed{\\left\\{1,2\\right\\}}", Some("\\left\\{1,2\\right\\}")),
            ("$x = \\boxed{2}$ or $x = \\boxed{3}$", Some("2 \\text{ or } 3")),
            ("\\boxed{2} and $\\boxed{3}$", Some("2, 3")),
            ("first \\boxed{2}. Then we find \\boxed{3}", Some("3")),
            ("\\boxed{41} or so. \\boxed{42", None),
            ("no box", None),
        ] {
            assert_eq!(boxed(text).as_deref(), found, "{text}");
        }
    }

    #[test]
    fn many_boxes_are_no_trouble() {
        assert_eq!(boxed(&"\\boxed{}".repeat(100_000)), None);
        assert_eq!(boxed(&format!("{}{}", "\\boxed{".repeat(50_000), "}".repeat(50_000))), None);
    }
}
