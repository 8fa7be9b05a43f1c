//! Where a text marks its final answer.

/// The final answer that a text marks, as it stands there.
///
/// The last mark counts, by strength: a `####` line; `\boxed{…}`; an `<answer>` element; `A:`, `Answer:` or `Final answer:` at
/// the start of a line; `the answer is …`. A text that stops in the middle marks nothing.
pub fn marked(text: &str) -> Option<&str> {
    hashes(text).or_else(|| boxed(text)).or_else(|| element(text)).or_else(|| labelled(text)).or_else(|| stated(text))
}

fn hashes(text: &str) -> Option<&str> {
    let at = text.rfind("####")? + 4;
    first_line(&text[at..])
}

/// Contents of the last `\boxed{…}` whose braces close.
pub fn boxed(text: &str) -> Option<&str> {
    let open = text.rfind("\\boxed{")? + "\\boxed{".len();
    let mut depth = 1_usize;
    for (i, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&text[open..open + i]);
        }
    }
    None
}

fn element(text: &str) -> Option<&str> {
    let open = text.rfind("<answer>")? + "<answer>".len();
    let inner = &text[open..];
    Some(&inner[..inner.find("</answer>")?])
}

fn labelled(text: &str) -> Option<&str> {
    text.lines().rev().find_map(|line| {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '*');
        let (label, rest) = line.split_once(':')?;
        let known = ["a", "answer", "final answer", "the answer", "the final answer"];
        let rest = rest.trim_matches(|c: char| c.is_whitespace() || c == '*');
        (known.contains(&label.trim().to_ascii_lowercase().as_str()) && !rest.is_empty()).then_some(rest)
    })
}

fn stated(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let (at, mark) = ["answer is", "answer:"].iter().filter_map(|m| Some((lower.rfind(m)?, *m))).max()?;
    let rest = first_line(&text[at + mark.len()..])?.trim_start_matches(|c: char| c == ':' || c.is_whitespace());
    let end = rest.find(". ").unwrap_or(rest.len());
    Some(&rest[..end])
}

fn first_line(text: &str) -> Option<&str> {
    text.lines().next().map(str::trim)
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
        ] {
            assert_eq!(marked(text).map(canonical).as_deref(), Some(found), "{text}");
        }
        for text in ["", "Mia has 3 * 6 = 18 apples.", "####", "\\boxed{3", "the answer is", "A:"] {
            assert_eq!(marked(text).map(canonical).filter(|a| !a.is_empty()), None, "{text}");
        }
    }
}
