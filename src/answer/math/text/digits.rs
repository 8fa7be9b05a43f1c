//! Numbers in digits, in every dialect: thousands in groups, decimals, what repeats for ever, powers of ten.

use super::super::super::ratio::Ratio;
use super::super::formula::tree::Number;
use super::lex::Lexer;
use super::token::Token;

impl<'a> Lexer<'a> {
    /// The run of digits at a place.
    fn digits(&self, at: usize) -> &'a str {
        let rest = &self.rest[at..];
        &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())]
    }

    /// What may stand between the groups of a long number, and how long it is.
    fn separator(&self, at: usize) -> Option<(usize, &'static str)> {
        let rest = &self.rest[at..];
        let known = ["{,}\\!", "{,}", ",\\!", ",", "\\,", "\\ ", "\\!", "{\\,}", "{ }", "\\;", "'", ".", "~", " "];
        known.into_iter().find(|s| rest.starts_with(s)).map(|s| (s.len(), s))
    }

    /// Reads the number that comes next, however its digits are grouped.
    pub(super) fn number(&mut self) {
        let first = self.digits(0);
        let (mut whole, mut at) = (first.to_owned(), first.len());
        let mut decimals = String::new();
        let (mut end, mut groups, mut mark, mut broken) = (at, Vec::new(), None, false);
        while (1..=3).contains(&first.len())
            && let Some((len, sep)) = self.separator(end)
            && mark.is_none_or(|m| m == sep)
        {
            let group = self.digits(end + len);
            if group.len() != 3 {
                broken = !group.is_empty();
                break;
            }
            groups.push(group);
            mark = Some(sep);
            end += len + 3;
        }
        // `12,34,567`: groups of two before the last.
        let indian = first.len() < 3 && self.depth == 0 && !self.dialect.commas_part;
        if let Some((len, list)) = indian.then(|| lakhs(&self.rest[first.len()..])).flatten() {
            (groups, mark, broken, end) = (list, Some(","), false, first.len() + len);
        }
        let after = &self.rest[end..];
        let grouped = !groups.is_empty()
            && match mark {
                Some(",") => {
                    let sure = self.depth == 0 || groups.len() > 1 || groups[0].starts_with('0');
                    !self.dialect.commas_part && !broken && sure
                }
                // `1.234,56` and `1.234.567`
                Some(".") => {
                    let comma = after.strip_prefix(',').map(|r| r.bytes().take_while(u8::is_ascii_digit).count());
                    !broken && (groups.len() > 1 || matches!(comma, Some(1 | 2)))
                }
                Some(" " | "~") => !after.trim_start().starts_with('/'),
                _ => true,
            };
        if grouped {
            groups.iter().for_each(|g| whole.push_str(g));
            at = end;
            let comma = if mark == Some(".") { "," } else { "." };
            if let Some(rest) = self.rest[at..].strip_prefix(comma)
                && rest.starts_with(|c: char| c.is_ascii_digit())
            {
                decimals = self.digits(at + 1).to_owned();
                at += 1 + decimals.len();
            }
        } else if let Some((len, tail)) = self.decimals(at) {
            decimals = tail.to_owned();
            at += len;
        }
        let (mut number, mut raw) = (None, if decimals.is_empty() { whole.clone() } else { format!("{whole}.{decimals}") });
        if whole.is_empty() {
            whole.push('0');
        }
        let point = !decimals.is_empty() || self.rest[at..].starts_with('.');
        if point && let Some((len, prefix, block)) = self.repeating(at, &decimals) {
            number = Number::repeating(&whole, &prefix, &block);
            raw = format!("{whole}.{prefix}({block})");
            at += len;
        } else if let Some((len, power)) = self.exponent(at) {
            let scale = Ratio(10, 1).power(power);
            number = Number::decimal(&whole, &decimals).and_then(|n| n.exact?.apply('*', scale?)).and_then(Number::of);
            raw = format!("{raw}e{power}");
            at += len;
        }
        self.rest = &self.rest[at..];
        match number.or_else(|| Number::decimal(&whole, &decimals)) {
            Some(number) => self.push(Token::Number(number, raw)),
            None => self.push(Token::Other('#')),
        }
    }

    /// The length of a point and the digits behind it, and these.
    fn decimals(&self, at: usize) -> Option<(usize, &'a str)> {
        let len = if self.rest[at..].starts_with('.') {
            1
        } else if self.rest[at..].starts_with("{,}") && at > 0 {
            3
        } else {
            return None;
        };
        let digits = self.digits(at + len);
        (!digits.is_empty()).then_some((len + digits.len(), digits))
    }

    /// What repeats for ever behind the digits that are read: its length as written, the digits before it and itself.
    fn repeating(&self, at: usize, decimals: &str) -> Option<(usize, String, String)> {
        let mut rest = &self.rest[at..];
        if decimals.is_empty() {
            rest = rest.strip_prefix('.')?;
        }
        let from = self.rest.len() - at;
        if let Some(inner) = ["\\overline", "\\bar", "\\dot"].iter().find_map(|m| rest.strip_prefix(m)) {
            let inner = inner.trim_start();
            let (block, rest) = match inner.strip_prefix('{') {
                Some(inner) => inner.split_once('}')?,
                None => inner.split_at_checked(1)?,
            };
            let fine = !block.is_empty() && block.bytes().all(|b| b.is_ascii_digit());
            // A second dot ends what repeats.
            let dotted = self.rest[at..].contains("\\dot").then(|| rest.split_once("\\dot{")).flatten();
            if let Some((middle, last)) = dotted
                && middle.bytes().all(|b| b.is_ascii_digit())
                && let Some((last, rest)) = last.split_once('}')
            {
                return Some((from - rest.len(), decimals.to_owned(), format!("{block}{middle}{last}")));
            }
            return fine.then(|| (from - rest.len(), decimals.to_owned(), block.to_owned()));
        }
        if let Some(inner) = rest.strip_prefix('(') {
            let (block, rest) = inner.split_once(')')?;
            let fine = (1..=12).contains(&block.len()) && block.bytes().all(|b| b.is_ascii_digit());
            return fine.then(|| (from - rest.len(), decimals.to_owned(), block.to_owned()));
        }
        let rest = ["...", "\\ldots", "\\dots", "\\cdots"].iter().find_map(|m| rest.strip_prefix(m))?;
        let period = (1..=decimals.len() / 2).find(|p| {
            let tail = &decimals[decimals.len() - p..];
            decimals[..decimals.len() - p].ends_with(tail) && (*p > 1 || decimals.len() < 2 || decimals.ends_with(&tail.repeat(2)))
        })?;
        let (head, block) = decimals.split_at(decimals.len() - period);
        Some((from - rest.len(), head.to_owned(), block.to_owned()))
    }

    /// `e5` behind a number.
    fn exponent(&self, at: usize) -> Option<(usize, i128)> {
        let rest = self.rest[at..].strip_prefix(['e', 'E'])?;
        let digits = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        let n = digits.bytes().take_while(u8::is_ascii_digit).count();
        let next = digits[n..].chars().next();
        if !(1..=2).contains(&n) || next.is_some_and(|c| c.is_alphabetic() || matches!(c, '^' | '_')) {
            return None;
        }
        let len = 1 + (rest.len() - digits.len()) + n;
        Some((len, self.rest[at + 1..at + len].trim_start_matches('+').parse().ok()?))
    }
}

/// The length of groups of two digits and a last one of three behind commas, and these.
fn lakhs(text: &str) -> Option<(usize, Vec<&str>)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == ',')).unwrap_or(text.len());
    let groups: Vec<&str> = text[..end].strip_prefix(',')?.trim_end_matches(',').split(',').collect();
    let (last, before) = groups.split_last()?;
    let fits = last.len() == 3 && !before.is_empty() && before.iter().all(|g| g.len() == 2);
    fits.then(|| (groups.iter().map(|g| g.len() + 1).sum(), groups))
}
