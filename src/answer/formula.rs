//! Answers that are formulas, compared by what they mean.

use super::latex::evaluate;
use super::number;

/// Whether two final answers in LaTeX mean the same.
///
/// Layout, units, degree and percent signs, `\text{}` and a leading `x =` do not count. Numbers are compared exactly, formulas at a few values of
/// their variables; tuples, intervals and matrices part by part in order; sets and bare lists in any order.
pub fn same_math(a: &str, b: &str) -> bool {
    let (a, b) = (Formula::of(a), Formula::of(b));
    !a.plain.is_empty() && a.same(&b)
}

/// A formula made ready to be compared with many others.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    /// In one layout.
    plain: String,
    /// Its values where its variables have values of their own, for one that is understood and has no parts.
    values: Option<[f64; POINTS]>,
    parts: Parts,
}

/// What a formula is made of.
#[derive(Clone, Debug)]
enum Parts {
    /// Nothing that is compared by itself.
    None,
    /// The cells of its rows.
    Matrix(Vec<Vec<Formula>>),
    /// What stands between commas, and the brackets around it.
    List(Option<(char, char)>, Vec<Formula>),
    /// Both sides of an equation.
    Sides(Box<[Formula; 2]>),
}

/// Parts inside parts are read as deep as this.
const DEPTH: usize = 4;

impl Formula {
    /// Reads an answer.
    pub fn of(answer: &str) -> Self {
        Self::read(&plain(answer), 0)
    }

    fn read(plain: &str, depth: usize) -> Self {
        let part = |text: &str| Self::read(text, depth + 1);
        let list = list(plain);
        let parts = if depth >= DEPTH {
            Parts::None
        } else if let Some(rows) = matrix(plain) {
            Parts::Matrix(rows.iter().map(|row| row.iter().map(|c| part(c)).collect()).collect())
        } else if list.parts.len() > 1 {
            Parts::List(list.brackets, list.parts.iter().map(|p| part(p)).collect())
        } else if let Some((left, right)) = plain.split_once('=') {
            Parts::Sides(Box::new([part(left), part(right)]))
        } else {
            Parts::None
        };
        let mut values = [0.0; POINTS];
        let mut value = |(point, value): (u64, &mut f64)| evaluate(plain, point).map(|v| *value = v).is_some();
        let known = matches!(parts, Parts::None) && (0..).zip(&mut values).all(&mut value);
        Self { plain: plain.to_owned(), values: known.then_some(values), parts }
    }

    /// Equal for two that are written alike up to their layout, or are the same number; formulas of other keys may yet be the same.
    pub fn key(&self) -> String {
        if whole(&self.plain) { number::key(&self.plain) } else { self.plain.clone() }
    }

    /// Whether two mean the same.
    pub fn same(&self, other: &Self) -> bool {
        if self.plain == other.plain {
            return true;
        }
        if whole(&self.plain) && whole(&other.plain) {
            return self.key() == other.key();
        }
        let all = |a: &[Self], b: &[Self]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
        match (&self.parts, &other.parts) {
            (Parts::Matrix(a), Parts::Matrix(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| all(a, b)),
            (Parts::List(x, a), Parts::List(y, b)) if x != y || a.len() != b.len() => false,
            (Parts::List(Some(('(' | '[', _)), a), Parts::List(_, b)) => all(a, b),
            (Parts::List(_, a), Parts::List(_, b)) => {
                a.iter().all(|a| b.iter().any(|b| a.same(b))) && b.iter().all(|b| a.iter().any(|a| a.same(b)))
            }
            (Parts::Sides(a), Parts::Sides(b)) => {
                let [left, right] = &**b;
                all(&a[..], &b[..]) || (a[0].same(right) && a[1].same(left))
            }
            (Parts::None, Parts::None) => {
                self.values.zip(other.values).is_some_and(|(a, b)| a.iter().zip(b).all(|(a, b)| close(*a, b)))
                    || same_word(&self.plain, &other.plain)
            }
            _ => false,
        }
    }
}

/// At so many values of their variables formulas are compared.
const POINTS: usize = 3;

fn close(x: f64, y: f64) -> bool {
    (x - y).abs() <= 1e-11 * x.abs().max(y.abs())
}

/// Whether a text is one number without an exponent.
fn whole(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.'))
}

/// Whether both are the same word but for its case; single letters are variables.
fn same_word(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) && a.chars().all(|c| c.is_ascii_alphabetic()) && a.len() > 1
}

/// The parts between the commas outside all brackets, and the brackets around them all.
struct List<'a> {
    brackets: Option<(char, char)>,
    parts: Vec<&'a str>,
}

fn list(text: &str) -> List<'_> {
    let inner = text.strip_prefix("\\{").and_then(|t| t.strip_suffix("\\}")).map(|t| ('{', t, '}')).or_else(|| {
        let (open, close) = (text.chars().next()?, text.chars().next_back()?);
        let fits = matches!(open, '(' | '[') && matches!(close, ')' | ']') && text.len() > 1;
        fits.then(|| (open, &text[1..text.len() - 1], close))
    });
    // `(1,2)\cup(3,4)` opens and closes too, but not around it all.
    match inner.and_then(|(open, inner, close)| Some(((open, close), split(inner)?))) {
        Some((brackets, parts)) if parts.len() > 1 => List { brackets: Some(brackets), parts },
        _ => List { brackets: None, parts: split(text).unwrap_or_else(|| vec![text]) },
    }
}

/// Splits at commas outside brackets; `None` where brackets close that were not open.
fn split(text: &str) -> Option<Vec<&str>> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    Some(parts)
}

/// Rows of `\begin{pmatrix}…\end{pmatrix}` and its kin.
fn matrix(text: &str) -> Option<Vec<Vec<&str>>> {
    let (_, rest) = text.strip_prefix("\\begin{")?.split_once("matrix}")?;
    let (inner, _) = rest.split_once("\\end{")?;
    Some(inner.trim_end_matches("\\\\").split("\\\\").map(|row| row.split('&').collect()).collect())
}

/// One layout: no spaces, no dollar signs, units or `\text`, one kind of fraction, no thousands commas.
fn plain(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let text = text.strip_prefix("\\boxed{").and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let mut text = text.replace("\\\\", "\u{0}");
    for gone in
        ["\\left", "\\right", "\\!", "\\,", "\\;", "\\:", "\\ ", "\\$", "$", "\\%", "%", "^\\circ", "^{\\circ}", "\\displaystyle", "~"]
    {
        text = text.replace(gone, "");
    }
    for (from, to) in
        [("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"), ("\\cfrac", "\\frac"), ("\\lbrace", "\\{"), ("\\rbrace", "\\}"), ("−", "-")]
    {
        text = text.replace(from, to);
    }
    text = without_texts(&text);
    let (equation, member) = (text.split_once('='), text.split_once("\\in").filter(|(_, v)| v.trim_start().starts_with(['(', '['])));
    if let Some((name, value)) = equation.or(member)
        && name.trim().len() == 1
        && name.trim().starts_with(|c: char| c.is_ascii_alphabetic())
        && !value.contains('=')
    {
        text = value.to_owned();
    }
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    without_thousands(&text).replace('\u{0}', "\\\\")
}

/// Unwraps `\text{…}` and its kin; after a number it is a unit and goes.
fn without_texts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let next = |rest: &str| {
        ["\\text{", "\\textbf{", "\\mbox{", "\\mathrm{", "\\textit{"].iter().filter_map(|m| Some((rest.find(m)?, m.len()))).min()
    };
    while let Some((at, len)) = next(rest) {
        let Some((inner, after)) = rest[at + len..].split_once('}') else { break };
        out.push_str(&rest[..at]);
        let unit = out.trim_end().ends_with(|c: char| c.is_ascii_digit() || c == '}');
        rest = after;
        if matches!(inner.trim(), "and" | "or") {
            out.push(',');
        } else if unit {
            // The power of a unit goes with it.
            let power = rest.strip_prefix("^{").and_then(|r| r.split_once('}').map(|(_, r)| r));
            rest = power.or_else(|| rest.strip_prefix("^").and_then(|r| r.get(1..))).unwrap_or(rest);
        } else {
            out.push_str(inner);
        }
    }
    out + rest
}

/// `1,234` as `1234`, where the whole text is one such number or a sign before it.
fn without_thousands(text: &str) -> String {
    let mut groups = text.trim_start_matches('-').split(',');
    let digits = |g: &str| g.bytes().all(|b| b.is_ascii_digit());
    let first = groups.next().is_some_and(|g| (1..=3).contains(&g.len()) && digits(g));
    let rest: Vec<&str> = groups.collect();
    let grouped = first
        && rest.iter().enumerate().all(|(i, g)| {
            let whole = if i + 1 == rest.len() { g.split('.').next().unwrap_or(g) } else { g };
            whole.len() == 3 && digits(whole) && digits(&g[whole.len()..].replacen('.', "", 1))
        });
    if grouped { text.replace(',', "") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same() {
        for (a, b) in [
            ("\\frac{1}{2}", "0.5"),
            ("\\dfrac12", "\\frac{1}{2}"),
            ("1/2", "\\tfrac{1}{2}"),
            ("\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt{3}}"),
            ("x^2+2x+1", "(x+1)^2"),
            ("\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\pi/2)"),
            ("x = 5", "5"),
            ("1,234", "1234"),
            ("1,-2", "-2, 1"),
            ("\\{1,2\\}", "\\left\\{2,1\\right\\}"),
            ("90^\\circ", "90"),
            ("50\\%", "50"),
            ("\\$18.90", "18.9"),
            ("5\\text{ cm}^2", "5"),
            ("\\text{Even}", "even"),
            ("(-\\infty, 3)", "\\left(-\\infty,3\\right)"),
            ("x \\in [1,2]", "[1,2]"),
            ("\\begin{pmatrix} 1 \\\\ 1/2 \\end{pmatrix}", "\\begin{pmatrix}1\\\\0.5\\end{pmatrix}"),
            ("y=2x+3", "2x+3"),
            ("x+y=1", "1 = y+x"),
            ("2\\frac{1}{3}", "\\frac{7}{3}"),
            ("3\\sqrt{2}", "\\sqrt{18}"),
            ("3 \\text{ and } 5", "5, 3"),
            ("2^10", "1024"),
            ("10101_2", "10101_{2}"),
        ] {
            assert!(same_math(a, b) && same_math(b, a), "{a} = {b}: {} {}", plain(a), plain(b));
        }
    }

    #[test]
    fn not_the_same() {
        for (a, b) in [
            ("", ""),
            ("1", "2"),
            ("6x", "6"),
            ("2i", "2"),
            ("(1,2)", "[1,2]"),
            ("(1,2)", "(2,1)"),
            ("(1,2)", "1,2"),
            ("1,2", "1,2,3"),
            ("1,1,2", "1,3,2"),
            ("12345678901234567", "12345678901234568"),
            ("\\frac{1}{3}", "0.333"),
            ("x+1", "x-1"),
            ("A", "a"),
            ("\\text{Even}", "odd"),
            ("1234_5", "1234"),
            ("(1,2)\\cup(3,4)", "(1,2)\\cup(3,5)"),
            ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1&2\\end{pmatrix}"),
            ("-\\frac{1}{2}", "\\frac{1}{2}"),
        ] {
            assert!(!same_math(a, b) && !same_math(b, a), "{a} = {b}: {} {}", plain(a), plain(b));
        }
    }

    #[test]
    fn any_text_is_survived() {
        let pieces = [
            "\\left",
            "\\frac",
            "{",
            "}",
            "(",
            ")",
            ",",
            "\\text{",
            "^",
            "_",
            "\\{",
            "\\begin{pmatrix}",
            "\\\\",
            "=",
            "1",
            "x",
            "é",
            " ",
            "\\in",
            "!",
            "-",
            "\\sqrt[",
            "]",
        ];
        let mut state = 1_u64;
        let mut text = || {
            (0..8)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    pieces[(state >> 33) as usize % pieces.len()]
                })
                .collect::<String>()
        };
        for long in ["=", "(", "(1,", "\\{", "\\begin{pmatrix}&", "1=("] {
            let (a, b) = (long.repeat(20_000), format!("{}1", long.repeat(20_000)));
            assert!(same_math(&a, &a) && !same_math(&a, &b), "{long}");
        }
        for _ in 0..20_000 {
            let (a, b) = (text(), text());
            assert_eq!(same_math(&a, &b), same_math(&b, &a), "{a:?} {b:?}");
            assert!(plain(&a).is_empty() || same_math(&a, &a), "{a:?}");
        }
    }
}
