//! The final answer of a text: finding it, its canonical form, and comparing two.

/// The final answer that a text marks, in canonical form, or `None` where it marks none (see [`marked`]).
pub fn answer(text: &str) -> Option<String> {
    let canonical = canonical(marked(text)?);
    (!canonical.is_empty()).then_some(canonical)
}

/// The final answer that a text marks, as it stands there.
///
/// The last mark counts, by strength: a `####` line; `\boxed{…}`; an `<answer>` element; `A:`, `Answer:` or `Final answer:` at
/// the start of a line; `the answer is …`. A text cut off in the middle marks nothing: see [`last_number`] for a guess.
pub fn marked(text: &str) -> Option<&str> {
    hashes(text).or_else(|| boxed(text)).or_else(|| element(text)).or_else(|| labelled(text)).or_else(|| stated(text))
}

/// The last number of a text in canonical form: a guess for texts that mark no answer.
pub fn last_number(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let inside = |b: u8| b.is_ascii_digit() || b == b'.' || b == b',';
    let mut start = bytes[..end].iter().rposition(|b| !inside(*b)).map_or(0, |i| i + 1);
    while !bytes[start].is_ascii_digit() && bytes[start] != b'.' {
        start += 1;
    }
    let lone_minus = start > 0 && bytes[start - 1] == b'-' && (start < 2 || !bytes[start - 2].is_ascii_alphanumeric());
    Some(number(&text[start - usize::from(lone_minus)..end]).unwrap_or_else(|| text[start..end].to_string()))
}

/// Whether two answers say the same: equal in canonical form, or equal as numbers and simple fractions.
pub fn same_answer(a: &str, b: &str) -> bool {
    let (a, b) = (canonical(a), canonical(b));
    if a.is_empty() || b.is_empty() {
        return false;
    }
    a == b
        || rational(&a)
            .zip(rational(&b))
            .is_some_and(|((an, ad), (bn, bd))| an.checked_mul(bd).is_some_and(|l| Some(l) == bn.checked_mul(ad)))
}

/// One spelling for one answer, so that votes for it add up.
///
/// A number loses thousands commas, currency and percent signs, a plus, leading and trailing zeros, and a unit behind it; a
/// fraction is written `a/b`; anything else is lower-cased, without outer `$`, spaces or a final full stop.
pub fn canonical(answer: &str) -> String {
    let mut text = simpler(answer);
    for _ in 0..16 {
        let next = simpler(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// One round of [`canonical`]; what it uncovers is left to the next.
fn simpler(answer: &str) -> String {
    let mut text = answer.trim().replace("\\$", "$").replace("\\%", "%").replace("\\,", "").replace("\\!", "");
    text = strip_command(&text, "\\text").unwrap_or(text);
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '$' | '*' | '`' | '(' | ')' | '"'));
    let text = text.trim_end_matches(['.', ':', ';', ',', '!']).trim();
    if let Some(fraction) = latex_fraction(text) {
        return fraction;
    }
    number(text).or_else(|| leading_number(text)).unwrap_or_else(|| text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// `1,234.50` with signs and zeros removed, or `None` where the text is not one number.
fn number(text: &str) -> Option<String> {
    let (negative, rest) = match text.strip_prefix('-').or_else(|| text.strip_prefix('−')) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let rest = rest.trim_start_matches(['$', '€', '£', ' ']);
    let (negative, rest) = rest.strip_prefix('-').map_or((negative, rest), |r| (true, r));
    let rest = rest.trim_end_matches(['%', '$', '€', '£', ' ']);
    let (whole, decimals) = rest.split_once('.').unwrap_or((rest, ""));
    let grouped = !whole.contains(',') || {
        let mut groups = whole.split(',');
        groups.next().is_some_and(|g| (1..=3).contains(&g.len())) && groups.all(|g| g.len() == 3)
    };
    let digits: String = whole.chars().filter(|c| *c != ',').collect();
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !grouped || !all_digits(&digits) || !all_digits(decimals) || digits.len() + decimals.len() == 0 {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let decimals = decimals.trim_end_matches('0');
    let sign = if negative && digits.len() + decimals.len() > 0 { "-" } else { "" };
    let digits = if digits.is_empty() { "0" } else { digits };
    Some(if decimals.is_empty() { format!("{sign}{digits}") } else { format!("{sign}{digits}.{decimals}") })
}

/// The number before a unit (`18 dollars`, `18m`), unless the rest holds more digits or an operator.
fn leading_number(text: &str) -> Option<String> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '−' | '+' | '$' | '€' | '£' | ',' | '.' | '%')))?;
    let (head, unit) = text.split_at(end);
    let is_unit = unit.chars().all(|c| c.is_alphabetic() || c.is_whitespace() || matches!(c, '.' | '\'' | '%' | '°'));
    is_unit.then(|| number(head.trim_end_matches(['.', ',']))).flatten()
}

/// `\frac{a}{b}` and `a/b` as `a/b`.
fn latex_fraction(text: &str) -> Option<String> {
    let (sign, body) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let rest = ["\\dfrac{", "\\tfrac{", "\\frac{"].iter().find_map(|p| body.strip_prefix(p));
    let (a, b) = match rest {
        Some(rest) => rest.strip_suffix('}')?.split_once("}{")?,
        None => body.split_once('/')?,
    };
    Some(format!("{sign}{}/{}", number(a.trim())?, number(b.trim())?))
}

/// A canonical number or fraction as numerator and denominator.
fn rational(text: &str) -> Option<(i128, i128)> {
    let decimal = |s: &str| -> Option<(i128, i128)> {
        let (whole, decimals) = s.split_once('.').unwrap_or((s, ""));
        let scale = 10_i128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
        Some((format!("{whole}{decimals}").parse().ok()?, scale))
    };
    let Some((a, b)) = text.split_once('/') else { return decimal(text) };
    let ((an, ad), (bn, bd)) = (decimal(a)?, decimal(b)?);
    let denominator = ad.checked_mul(bn)?;
    (denominator != 0).then_some((an.checked_mul(bd)?, denominator))
}

fn strip_command(text: &str, command: &str) -> Option<String> {
    Some(text.strip_prefix(command)?.strip_prefix('{')?.strip_suffix('}')?.to_string())
}

fn hashes(text: &str) -> Option<&str> {
    let at = text.rfind("####")? + 4;
    first_line(&text[at..])
}

/// Contents of the last `\boxed{…}` whose braces close.
pub(super) fn boxed(text: &str) -> Option<&str> {
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
            assert_eq!(answer(text).as_deref(), Some(found), "{text}");
        }
        for text in ["", "Mia has 3 * 6 = 18 apples.", "####", "\\boxed{3", "the answer is", "A:"] {
            assert_eq!(answer(text), None, "{text}");
        }
    }

    #[test]
    fn one_spelling_for_one_number() {
        for spelling in
            ["18", "18.00", "$18", " 18. ", "+18", "018", "18 dollars", "$18.0", "18%", "\\$18", "18.00$", "**18**", "\\text{18}"]
        {
            assert_eq!(canonical(spelling), "18", "{spelling}");
        }
        assert_eq!(canonical("-0.0"), "0");
        assert_eq!(canonical("-$5"), "-5");
        assert_eq!(canonical("1,000,000"), "1000000");
        assert_eq!(canonical("1,00"), "1,00", "not a thousands comma");
        assert_eq!(canonical(".50"), "0.5");
        assert_eq!(canonical("Blue  Car"), "blue car");
        assert_eq!(canonical("3 to 4"), "3 to 4");
        assert_eq!(canonical("12345678901234567890123"), "12345678901234567890123");
    }

    #[test]
    fn equal_numbers_are_equal_answers() {
        assert!(same_answer("1/2", "0.5"));
        assert!(same_answer("\\frac{2}{4}", "0.50"));
        assert!(same_answer("$1,000", "1000.0"));
        assert!(!same_answer("18", "19"));
        assert!(!same_answer("1/0", "0.5"));
        assert!(!same_answer("", ""));
        assert!(!same_answer("18", "-18"));
    }

    #[test]
    fn last_numbers() {
        assert_eq!(last_number("has 3 and 1,234.50.").as_deref(), Some("1234.5"));
        assert_eq!(last_number("so -4 left").as_deref(), Some("-4"));
        assert_eq!(last_number("7-4").as_deref(), Some("4"));
        assert_eq!(last_number("none"), None);
        assert_eq!(last_number("a,5").as_deref(), Some("5"));
        assert_eq!(last_number("é9é").as_deref(), Some("9"));
    }

    #[test]
    fn any_text_is_survived() {
        let pieces = [
            "####",
            "\\boxed{",
            "}",
            "{",
            "answer is",
            "A:",
            "é",
            "1",
            ".",
            ",",
            "-",
            "−",
            "$",
            "\n",
            " ",
            "/",
            "<answer>",
            "</answer>",
            "½",
        ];
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            if let Some(found) = answer(&text) {
                assert_eq!(canonical(&found), found, "canonical once is canonical for good: {text:?}");
            }
            let _ = (last_number(&text), same_answer(&text, "1"));
        }
    }
}
