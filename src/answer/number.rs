//! Answers that are numbers or words: one spelling for one answer.

use super::math::{self, Formula};

/// What is longer is no number.
const LONG: usize = 8192;

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

/// An answer as votes and graders compare it: equal for two that say the same. Numbers and simple fractions are in lowest terms; anything else is the
/// canonical form.
pub(super) fn key(answer: &str) -> String {
    let canonical = canonical(answer);
    match rational(&canonical) {
        Some((a, 1)) => a.to_string(),
        Some((a, b)) => format!("{a}/{b}"),
        None => canonical,
    }
}

/// The canonical form of an answer that should be a number: with the words that belong to it (`5 thousand`), of an equation what is behind its last `=`, of
/// a sentence the one number in it. What is a list, a time of day or a formula stays what it is.
pub(super) fn in_sentence(answer: &str) -> String {
    let answer = without_remark(answer);
    let found = canonical(answer);
    if rational(&found).is_some() || number(&found).is_some() || found.is_empty() {
        return found;
    }
    let whole = Formula::of(answer);
    if let Some(number) = whole.number() {
        return display(number);
    }
    // `5 * 4 = 20, 20 + 3 = 23` comes to its last number, `x = 2, x = 3` does not.
    let computed =
        found.match_indices('=').all(|(at, _)| found[..at].trim_end().ends_with(|c: char| c.is_ascii_digit() || matches!(c, ')' | '%')));
    if whole.has_parts() && !computed {
        return found;
    }
    let last = found.rsplit('=').next().unwrap_or(&found);
    if last.len() < found.len() {
        let number = canonical(last);
        if rational(&number).is_some() || self::number(&number).is_some() {
            return number;
        }
    }
    // A formula with one number in it is not that number.
    let number = if last.contains(['\\', '^']) { None } else { math::only_number(last) };
    number.map_or(found, display)
}

/// Without a remark in brackets at the end (`2.5 hours (150 minutes)`).
fn without_remark(answer: &str) -> &str {
    let trimmed = answer.trim().trim_end_matches('.');
    let Some((before, inner)) = trimmed.strip_suffix(')').and_then(|t| t.rsplit_once('(')) else { return answer };
    let worded = inner.split(|c: char| !c.is_alphabetic()).any(|word| word.len() > 1);
    let number = before.contains(|c: char| c.is_ascii_digit()) && !before.contains(['\\', '=']);
    if worded && number { before.trim_end() } else { answer }
}

/// A fraction as a decimal number where that is exact and short.
fn display((a, b): (i128, i128)) -> String {
    let digits = (0..=12_u32).find(|d| 10_i128.pow(*d) % b == 0);
    let scaled = digits.and_then(|d| Some((d as usize, a.checked_mul(10_i128.pow(d) / b)?)));
    match scaled {
        Some((0, whole)) => whole.to_string(),
        Some((d, n)) => {
            let text = format!("{:0>width$}", n.unsigned_abs(), width = d + 1);
            let (whole, decimals) = text.split_at(text.len() - d);
            format!("{}{whole}.{decimals}", if n < 0 { "-" } else { "" })
        }
        None => format!("{a}/{b}"),
    }
}

/// One spelling for one answer, so that votes for it add up.
///
/// A number loses thousands commas, currency and percent signs, a plus, leading and trailing zeros, and a unit behind it; a
/// fraction is written `a/b`; anything else is lower-cased, without outer `$`, spaces or a final full stop. A formula keeps its case.
pub fn canonical(answer: &str) -> String {
    if answer.len() > LONG {
        return spaced(answer);
    }
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

/// Words with one room between them, in lower case where they are no formula.
fn spaced(text: &str) -> String {
    let spaced = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.contains('\\') { spaced } else { spaced.to_lowercase() }
}

/// One round of [`canonical`]; what it uncovers is left to the next.
fn simpler(answer: &str) -> String {
    let mut text = answer.trim().replace("\\$", "$").replace("\\%", "%").replace("\\,", "").replace("\\!", "");
    text = ["\\text", "\\boxed"].iter().find_map(|command| strip_command(&text, command)).unwrap_or(text);
    let formula = text.contains('\\');
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '$' | '*' | '`' | '"') || (!formula && matches!(c, '(' | ')')));
    let text = text.trim_end_matches(['.', ':', ';', ',', '!']).trim();
    if let Some(fraction) = latex_fraction(text) {
        return fraction;
    }
    let thousands =
        || text.strip_suffix(['k', 'K']).and_then(number).and_then(|n| rational(&n)).map(|(a, b)| display((a.saturating_mul(1000), b)));
    number(text).or_else(|| leading_number(text)).or_else(thousands).unwrap_or_else(|| spaced(text))
}

/// Whether an answer is one number or simple fraction, with or without a unit.
pub(super) fn is_number(answer: &str) -> bool {
    rational(&canonical(answer)).is_some()
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
    let thousands = matches!(unit, "k" | "K");
    // `10 and a half` and `5 thousand` are other numbers.
    let mut words = unit.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty());
    let counted = words.next().is_some_and(|word| word == "and" || math::is_number_word(&word.to_lowercase()));
    if thousands || counted || words.any(|word| word == "and") {
        return None;
    }
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

/// A canonical number or fraction as numerator and denominator in lowest terms, the denominator above 0.
fn rational(text: &str) -> Option<(i128, i128)> {
    let (a, b) = quotient(text)?;
    let (mut x, mut y) = (a.checked_abs()?, b.checked_abs()?);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    Some((a / x * b.signum(), b.checked_abs()? / x))
}

fn quotient(text: &str) -> Option<(i128, i128)> {
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

#[cfg(test)]
mod tests {
    use super::super::marks::marked;
    use super::*;

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
        let same_answer = |a: &str, b: &str| key(a) == key(b) && !key(a).is_empty();
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
            let found = canonical(&marked(&text).unwrap_or(std::borrow::Cow::Borrowed(&text)));
            assert_eq!(canonical(&found), found, "canonical once is canonical for good: {text:?}");
            assert_eq!(key(&found), key(&key(&found)), "a key is its own: {text:?}");
            let _ = last_number(&text);
        }
    }

    #[test]
    fn numbers_are_found_in_sentences_and_equations() {
        for (text, number) in [
            ("There are 56 dromedaries in the herd.", "56"),
            ("Each pack costs $2", "2"),
            ("72*3 = 216 cubic inches", "216"),
            ("x = -1,200.50", "-1200.5"),
            ("18", "18"),
            ("25/36", "25/36"),
            ("180 socks and 90 dishes", "180 socks and 90 dishes"),
            ("none", "none"),
            ("\\frac{\\pi}{2}", "\\frac{\\pi}{2}"),
        ] {
            assert_eq!(in_sentence(text), number, "{text}");
        }
    }

    #[test]
    fn words_lose_their_case_and_formulas_do_not() {
        assert_eq!(canonical("50 %"), canonical("50"));
        assert_eq!(canonical("\\boxed{-0}"), "0");
        assert_eq!(canonical("1.2.3"), "1.2.3");
        assert_eq!(canonical("."), "");
        assert_eq!(canonical(" \\frac{A}{b}  "), "\\frac{A}{b}");
    }
}
