//! Answers that are arithmetic over given numbers, as Countdown asks for: what they use and what they come to.

use super::ratio::Ratio;

/// Parentheses deeper than this are no arithmetic that anybody writes.
const DEPTH: usize = 64;

/// Whether a text is an expression of whole numbers with `+ - * /` and parentheses; what is written behind an `=` does not count.
pub fn is_expression(text: &str) -> bool {
    evaluate(text).is_some()
}

/// What an expression uses and what it comes to, or what a goal such as `[41, 82, 24] = 99` asks for: equal for two that say the same. `None` where
/// the text is neither.
pub(super) fn key(text: &str) -> Option<String> {
    let (mut numbers, Ratio(a, b)) = goal(text.trim())?;
    numbers.sort_unstable();
    Some(format!("{numbers:?} = {a}/{b}"))
}

fn goal(gold: &str) -> Option<(Vec<i64>, Ratio)> {
    let Some((list, target)) = gold.strip_prefix('[').and_then(|rest| rest.split_once("] =")) else { return evaluate(gold) };
    let numbers: Result<Vec<i64>, _> = list.split(',').map(|n| n.trim().parse()).collect();
    Some((numbers.ok()?, Ratio::new(target.trim().parse().ok()?, 1)?))
}

/// The numbers that an expression uses and its value; what is written behind an `=` does not count.
fn evaluate(text: &str) -> Option<(Vec<i64>, Ratio)> {
    let text = text.split('=').next()?.trim_matches(|c: char| c.is_whitespace() || matches!(c, '$' | '*' | '`'));
    let mut reader = Reader { rest: text, numbers: Vec::new(), depth: 0 };
    let value = reader.sum()?;
    reader.rest.trim().is_empty().then_some((reader.numbers, value))
}

/// Reads an expression from the left.
struct Reader<'a> {
    rest: &'a str,
    numbers: Vec<i64>,
    depth: usize,
}

impl Reader<'_> {
    /// The next operator, if it is one of these.
    fn operator(&mut self, wanted: &str) -> Option<char> {
        self.rest = self.rest.trim_start();
        let next = self.rest.chars().next()?;
        let op = match next {
            '−' | '–' => '-',
            '×' | '·' => '*',
            '÷' => '/',
            other => other,
        };
        wanted.contains(op).then(|| self.rest = &self.rest[next.len_utf8()..])?;
        Some(op)
    }

    fn sum(&mut self) -> Option<Ratio> {
        let mut value = self.product()?;
        while let Some(op) = self.operator("+-") {
            value = value.apply(op, self.product()?)?;
        }
        Some(value)
    }

    fn product(&mut self) -> Option<Ratio> {
        let mut value = self.factor()?;
        while let Some(op) = self.operator("*/") {
            value = value.apply(op, self.factor()?)?;
        }
        Some(value)
    }

    fn factor(&mut self) -> Option<Ratio> {
        self.depth += 1;
        let value = if self.depth > DEPTH {
            None
        } else if self.operator("-").is_some() {
            Ratio(0, 1).apply('-', self.factor()?)
        } else if self.operator("(").is_some() {
            let inner = self.sum()?;
            self.operator(")").map(|_| inner)
        } else {
            let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: i64 = self.rest[..digits].parse().ok()?;
            self.rest = &self.rest[digits..];
            self.numbers.push(number);
            Ratio::new(i128::from(number), 1)
        };
        self.depth -= 1;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_and_wrong_expressions() {
        let goal = key("[18, 18, 74, 33] = 42");
        for right in ["(74 - 33) + (18 / 18)", "74−33+18÷18", "18/18 - (33 - 74)", "74 - 33 + 18/18 = 42", "-33 + 74 + 18 / 18"] {
            assert_eq!(key(right), goal, "{right}");
        }
        for wrong in ["42", "74 - 33 + 1", "(74 - 33) + (18 / 18", "74 - 33 + 18 / 18 * 1", "", "74 - 33 + 18 / (18 - 18)", "74 33"] {
            assert_ne!(key(wrong), goal, "{wrong}");
        }
        assert_eq!(key("2 + 1"), key("1 + 2"), "an expression as reference");
        assert_eq!(key("(7 / 2) * 4"), key("[7, 2, 4] = 14"), "fractions on the way");
        assert_eq!(key("three"), None);
    }

    #[test]
    fn nothing_overflows() {
        let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(evaluate(&deep), None);
        assert_eq!(evaluate(&"9223372036854775807*".repeat(4)), None);
        assert_eq!(evaluate(&format!("{}1", "9223372036854775807*".repeat(4))), None);
    }
}
