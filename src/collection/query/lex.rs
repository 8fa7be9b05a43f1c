//! A query cut into words.

use super::QueryError;
use std::ops::Range;

/// How a name is compared with what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Unequal,
    Has,
    HasNot,
}

/// A piece of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    /// A bare word.
    Word(String),
    /// A text in quotes, without them.
    Quoted(String),
    /// A regular expression between slashes, without them.
    Regex(String),
    Operator(Operator),
}

/// The pieces of a query with their bytes.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, Range<usize>)>, QueryError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (token, len) = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' | '/' if c == '"' || begins(&out, at) => delimited(rest, c).ok_or_else(|| {
                let what = if c == '"' { "the quote is not closed" } else { "the regular expression is not closed" };
                QueryError { at: at..text.len(), problem: format!("{what}; end it with {c}") }
            })?,
            _ => match operator(rest) {
                Some((operator, len)) => (Token::Operator(operator), len),
                None => {
                    let len = rest.find(|c: char| c.is_whitespace() || "()\"<>=~".contains(c)).unwrap_or(rest.len());
                    // `!=` and `!~` end a word, a `!` alone does not.
                    let len = rest[..len]
                        .strip_suffix('!')
                        .filter(|w| !w.is_empty() && operator(&rest[w.len()..]).is_some())
                        .map_or(len, str::len);
                    (Token::Word(rest[..len.max(c.len_utf8())].to_owned()), len.max(c.len_utf8()))
                }
            },
        };
        out.push((token, at..at + len));
        at += len;
    }
    Ok(out)
}

/// Whether a slash here begins a regular expression: a word does not go on with it.
fn begins(before: &[(Token, Range<usize>)], at: usize) -> bool {
    before.last().is_none_or(|(token, range)| range.end < at || !matches!(token, Token::Word(_)))
}

fn operator(text: &str) -> Option<(Operator, usize)> {
    const ALL: [(&str, Operator); 9] = [
        ("<=", Operator::AtMost),
        (">=", Operator::AtLeast),
        ("!=", Operator::Unequal),
        ("!~", Operator::HasNot),
        ("==", Operator::Equal),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("=", Operator::Equal),
        ("~", Operator::Has),
    ];
    ALL.iter().find(|(sign, _)| text.starts_with(sign)).map(|(sign, operator)| (*operator, sign.len()))
}

/// What stands between a mark and the next one, and the bytes of all of it; a backslash before the mark makes it part of the text.
fn delimited(text: &str, mark: char) -> Option<(Token, usize)> {
    let (mut inside, mut escaped) = (String::new(), false);
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => {
                if c != mark {
                    inside.push('\\');
                }
                inside.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            c if c == mark => {
                let token = if mark == '"' { Token::Quoted(inside) } else { Token::Regex(inside) };
                return Some((token, i + 1));
            }
            c => inside.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let show = |t: Token| match t {
            Token::Open => "(".into(),
            Token::Close => ")".into(),
            Token::Word(w) => w,
            Token::Quoted(q) => format!("'{q}'"),
            Token::Regex(r) => format!("/{r}/"),
            Token::Operator(o) => format!("{o:?}"),
        };
        lex(text).unwrap().into_iter().map(|(t, _)| show(t)).collect()
    }

    #[test]
    fn words_operators_and_quotes_are_told_apart() {
        assert_eq!(words("wrong and dev<=2"), ["wrong", "and", "dev", "AtMost", "2"]);
        assert_eq!(words("reward:b.min < -1.5"), ["reward:b.min", "Less", "-1.5"]);
        assert_eq!(words("(a or \"b (c)\")not"), ["(", "a", "or", "'b (c)'", ")", "not"]);
        assert_eq!(words("step~/x\\/y\\d/ km/h a!=b wow! é"), ["step", "Has", "/x/y\\d/", "km/h", "a", "Unequal", "b", "wow!", "é"]);
        assert_eq!(words("\"a \\\" b\""), ["'a \" b'"]);
        assert!(lex("  ").unwrap().is_empty());
    }

    #[test]
    fn what_is_not_closed_is_told_with_its_place() {
        let e = lex("right \"b").unwrap_err();
        assert_eq!((e.at, e.problem.contains("quote")), (6..8, true));
        assert_eq!(lex("/ab").unwrap_err().at, 0..3);
    }

    #[test]
    fn every_byte_of_any_text_is_part_of_one_piece_or_blank() {
        for text in ["a(b)c<=!~\"d\" é/ü/", "!!==~", "<<<", "x!y", "/", "a/b/"] {
            let Ok(all) = lex(text) else { continue };
            let mut end = 0;
            for (_, range) in &all {
                assert!(range.start >= end && text[end..range.start].trim().is_empty() && range.start < range.end, "{text}: {range:?}");
                end = range.end;
            }
            assert!(text[end..].trim().is_empty());
        }
    }
}
