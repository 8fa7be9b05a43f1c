//! From text to the tokens of arithmetic: numbers, signs, brackets, words, and where a clause ends. One pass, linear.

use super::number::Written;
use crate::util::work::count;

/// What a token is. Fractions and powers of LaTeX come out as brackets and signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number, by its place in [`Lexed::numbers`].
    Number(u32),
    /// A percent sign.
    Percent,
    /// One of the five signs of arithmetic.
    Sign(Sign),
    /// An opening bracket of the given shape.
    Open(Shape),
    /// A closing bracket of the given shape.
    Close(Shape),
    /// A root in front of a bracket or number: 2 for the square root.
    Root(u8),
    /// A sign of money.
    Money,
    /// An exclamation mark right after a number.
    Factorial,
    /// Letters.
    Word,
    /// `=`; `≈` where `true`.
    Equals(bool),
    /// Something that makes what surrounds it no closed arithmetic.
    Opaque,
    /// A bracket that holds clauses of its own.
    Remark,
    /// The end of a clause: a full stop, comma, comparison.
    Stop,
    /// The end of a line or of a displayed formula; an equation may go on behind it.
    Line,
}

/// A sign of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `×`
    Times,
    /// `÷`
    Divide,
    /// `^`
    Power,
}

/// The shape of a bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `(…)`
    Round,
    /// `[…]`
    Square,
    /// `{…}`
    Brace,
    /// Around a fraction of LaTeX.
    Fraction,
    /// `<<…>>` around a calculator's note.
    Note,
}

/// A piece of the text with its meaning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Whether it follows the token before it without a space.
    pub(super) glued: bool,
}

impl Token {
    /// First byte.
    pub(super) fn start(&self) -> usize {
        self.start as usize
    }

    /// One past the last byte.
    pub(super) fn end(&self) -> usize {
        self.end as usize
    }
}

/// The tokens of a text.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    /// In the order of the text.
    pub(super) tokens: Vec<Token>,
    /// The numbers that [`Kind::Number`] points to.
    pub(super) numbers: Vec<Written>,
    /// Where the text speaks of rounding, in rising order.
    pub(super) rounding: Vec<usize>,
}

/// What a brace of LaTeX is for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Brace {
    /// `\text{…}` and the like: it means nothing to arithmetic.
    Group,
    /// A bracket.
    Plain,
    /// Over the line of a fraction.
    Numerator,
    /// Under it.
    Denominator,
}

/// Reads a text into tokens; the first 4 GiB of it.
pub(super) fn lex(text: &str) -> Lexed {
    let end = (0..=text.len().min(u32::MAX as usize)).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let text = &text[..end];
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, glued: false, out: Lexed::default(), braces: Vec::new() };
    while lexer.at < text.len() {
        count(1);
        lexer.next();
    }
    lexer.out
}

/// Reads a text from left to right.
pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    /// The next byte.
    pub(super) at: usize,
    /// No space came since the last token.
    glued: bool,
    pub(super) out: Lexed,
    /// The open braces of LaTeX, the innermost last.
    pub(super) braces: Vec<Brace>,
}

impl Lexer<'_> {
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn before(&self) -> u8 {
        if self.at == 0 { 0 } else { self.byte(self.at - 1) }
    }

    fn last(&self) -> Option<Kind> {
        self.out.tokens.last().map(|t| t.kind)
    }

    pub(super) fn push(&mut self, kind: Kind, length: usize) {
        let end = self.at + length;
        self.out.tokens.push(Token { kind, start: self.at as u32, end: end as u32, glued: self.glued });
        self.at = end;
        self.glued = true;
    }

    pub(super) fn skip(&mut self, length: usize) {
        self.at += length;
    }

    pub(super) fn space(&mut self, length: usize) {
        self.at += length;
        self.glued = false;
    }

    fn next(&mut self) {
        let b = self.byte(self.at);
        match b {
            b'0'..=b'9' => self.number(),
            b'.' if self.byte(self.at + 1).is_ascii_digit() && !self.before().is_ascii_digit() => self.number(),
            b'a'..=b'z' | b'A'..=b'Z' => self.word(),
            b'\\' => self.command(),
            b' ' | b'\t' | b'\r' | b'~' => self.space(1),
            b'\n' => {
                if self.continues() {
                    self.skip(1);
                } else {
                    self.push(Kind::Line, 1);
                }
                self.glued = false;
            }
            _ if b < 0x80 => self.ascii(b),
            _ => self.symbol(),
        }
    }

    /// Whether a number or bracket ends right here.
    fn after_value(&self) -> bool {
        self.glued && matches!(self.last(), Some(Kind::Number(_) | Kind::Close(_)))
    }

    /// Whether the line ends in the middle of an equation.
    fn continues(&self) -> bool {
        matches!(self.last(), Some(Kind::Equals(_) | Kind::Sign(Sign::Plus | Sign::Times | Sign::Divide)))
    }

    fn ascii(&mut self, b: u8) {
        let next = self.byte(self.at + 1);
        let digits = self.before().is_ascii_digit();
        match b {
            b'+' if next == b'=' || next == b'+' => self.push(Kind::Stop, 2),
            b'+' => self.push(Kind::Sign(Sign::Plus), 1),
            b'-' if next == b'>' || next == b'-' => self.rule(b'-'),
            b'-' if next.is_ascii_alphabetic() && digits => self.skip(1),
            b'-' => self.bullet(Sign::Minus, next),
            b'*' if next == b'*' => {
                let power = matches!(self.byte(self.at + 2), b'0'..=b'9' | b'(');
                if power && (digits || self.before() == b')') {
                    self.push(Kind::Sign(Sign::Power), 2);
                } else {
                    self.skip(2); // bold type
                }
            }
            b'*' => self.bullet(Sign::Times, next),
            b'/' => self.push(Kind::Sign(Sign::Divide), 1),
            b'^' => self.caret(1),
            b'%' => self.push(Kind::Percent, 1),
            b'$' => {
                let double = next == b'$';
                let kind = if double { Kind::Line } else { Kind::Money };
                self.push(kind, 1 + usize::from(double));
            }
            b'(' => self.push(Kind::Open(Shape::Round), 1),
            b')' => self.push(Kind::Close(Shape::Round), 1),
            b'[' => self.push(Kind::Open(Shape::Square), 1),
            b']' => self.push(Kind::Close(Shape::Square), 1),
            b'{' => {
                self.push(Kind::Open(Shape::Brace), 1);
                self.braces.push(Brace::Plain);
            }
            b'}' => self.close_brace(),
            b'&' | b'"' | b'`' => self.skip(1),
            b'=' if next == b'>' => self.push(Kind::Stop, 2),
            b'=' => {
                let mut length = 1;
                while self.byte(self.at + length) == b'=' {
                    length += 1;
                }
                self.push(if length > 2 { Kind::Line } else { Kind::Equals(false) }, length);
            }
            b'<' if next == b'<' => self.push(Kind::Open(Shape::Note), 2),
            b'>' if next == b'>' => self.push(Kind::Close(Shape::Note), 2),
            b'!' if self.after_value() => self.push(Kind::Factorial, 1),
            b'<' | b'>' | b'!' | b':' if next == b'=' => self.push(Kind::Stop, 2),
            b'<' | b'>' => self.push(Kind::Stop, 1),
            b':' if digits && next.is_ascii_digit() => self.push(Kind::Opaque, 1),
            b'.' if next == b'.' => {
                let mut length = 2;
                while self.byte(self.at + length) == b'.' {
                    length += 1;
                }
                self.push(Kind::Opaque, length);
            }
            b'_' | b'@' => self.push(Kind::Opaque, 1),
            b'|' if !(next == b' ' && self.before() == b' ') => self.push(Kind::Opaque, 1),
            b'\'' if digits => self.push(Kind::Opaque, 1),
            b'\'' => self.skip(1),
            b',' | b'.' | b';' | b':' | b'?' | b'!' | b'|' | b'#' => self.push(Kind::Stop, 1),
            _ => self.space(1),
        }
    }

    /// A dash or star: a sign, or the mark of a list at the start of a line.
    fn bullet(&mut self, sign: Sign, next: u8) {
        let first = matches!(self.last(), None | Some(Kind::Line));
        if first && next == b' ' {
            self.push(Kind::Line, 1);
        } else {
            self.push(Kind::Sign(sign), 1);
        }
    }

    /// Several dashes, or an arrow.
    fn rule(&mut self, mark: u8) {
        let mut length = 1;
        while self.byte(self.at + length) == mark {
            length += 1;
        }
        length += usize::from(self.byte(self.at + length) == b'>');
        self.push(Kind::Stop, length);
    }

    fn number(&mut self) {
        let start = self.at;
        let (mut digits, mut count, mut decimals, mut end, mut sound) = (0i128, 0u32, 0u32, start, true);
        let mut point = false;
        loop {
            let b = self.byte(end);
            if b.is_ascii_digit() {
                digits = if count < 36 { digits * 10 + i128::from(b - b'0') } else { digits };
                count += u32::from(digits > 0 || point);
                decimals += u32::from(point);
                end += 1;
            } else if let Some(length) = self.comma(end) {
                let group = self.bytes[end + length..].iter().take(4).take_while(|b| b.is_ascii_digit()).count();
                let lead = self.bytes[start..end].iter().rev().take_while(|b| b.is_ascii_digit()).count();
                let glued = length == 1 && self.byte(end) == b',';
                if group == 3 && lead <= 3 && !point {
                    end += length;
                } else if glued && group > 0 {
                    sound = false;
                    end += length;
                } else {
                    break;
                }
            } else if b == b'.' && self.byte(end + 1).is_ascii_digit() {
                sound &= !point;
                point = true;
                end += 1;
            } else {
                break;
            }
        }
        let length = end - start;
        // ordinals are words, and letters in front make a name
        let tail = [self.byte(end), self.byte(end + 1)].map(|b| b.to_ascii_lowercase());
        let ordinal = matches!(&tail, b"st" | b"nd" | b"rd" | b"th") && !self.byte(end + 2).is_ascii_alphanumeric();
        if ordinal {
            self.push(Kind::Word, length + 2);
        } else if sound && count <= 36 && decimals <= 30 && !self.repeats(end) {
            let index = self.out.numbers.len() as u32;
            let more =
                [&b"..."[..], "…".as_bytes(), b"\\ldots", b"\\dots"].into_iter().find(|m| decimals > 0 && self.bytes[end..].starts_with(m));
            self.out.numbers.push(Written { digits, decimals, more: more.is_some() });
            self.push(Kind::Number(index), length);
            self.skip(more.map_or(0, <[u8]>::len));
        } else {
            self.push(Kind::Opaque, length);
        }
    }

    /// Whether repeating decimals follow, as in `0.\overline{3}`.
    fn repeats(&self, at: usize) -> bool {
        let rest = &self.bytes[at..];
        let rest = rest.strip_prefix(b".").unwrap_or(rest);
        rest.starts_with(b"\\overline") || rest.starts_with(b"\\bar") || rest.starts_with(b"\\dot{")
    }

    /// The length of a comma of thousands at a place: `,`, `{,}` or `\,`.
    fn comma(&self, at: usize) -> Option<usize> {
        let rest = &self.bytes[at..];
        [&b","[..], b"{,}", b",\\!", b"\\,"]
            .into_iter()
            .filter(|c| rest.starts_with(c))
            .map(<[u8]>::len)
            .filter(|n| self.byte(at + n).is_ascii_digit())
            .max()
    }

    fn word(&mut self) {
        let start = self.at;
        let mut end = start;
        for (i, c) in self.text[start..].char_indices() {
            let inside = c.is_alphabetic()
                || (matches!(c, '\'' | '’' | '-' | '&')
                    && i > 0
                    && self.text[start + i + c.len_utf8()..].starts_with(|n: char| n.is_alphabetic())
                    && !self.text[start..start + i].ends_with(['-', '\'']));
            if !inside {
                break;
            }
            end = start + i + c.len_utf8();
        }
        let word = &self.text[start..end];
        if speaks_of_rounding(word) {
            self.out.rounding.push(start);
        }
        self.push(Kind::Word, end - start);
    }

    fn symbol(&mut self) {
        let Some(c) = self.text[self.at..].chars().next() else {
            self.at = self.text.len();
            return;
        };
        let length = c.len_utf8();
        match c {
            '×' | '·' | '⋅' | '∙' | '✕' | '✖' | '∗' | '⨯' => self.push(Kind::Sign(Sign::Times), length),
            '÷' | '∕' | '⁄' => self.push(Kind::Sign(Sign::Divide), length),
            '−' | '–' | '‑' => self.push(Kind::Sign(Sign::Minus), length),
            '＋' => self.push(Kind::Sign(Sign::Plus), length),
            '＝' => self.push(Kind::Equals(false), length),
            '≈' | '≃' | '≅' | '∼' => self.push(Kind::Equals(true), length),
            '€' | '£' | '¥' | '₹' => self.push(Kind::Money, length),
            '√' => self.push(Kind::Root(2), length),
            '²' | '³' => {
                let digits = if c == '²' { 2 } else { 3 };
                self.push(Kind::Sign(Sign::Power), 0);
                let index = self.out.numbers.len() as u32;
                self.out.numbers.push(Written { digits, decimals: 0, more: false });
                self.push(Kind::Number(index), length);
            }
            '½' | '¼' | '¾' | '⅓' | '⅔' | '…' | '⋯' | 'π' => self.push(Kind::Opaque, length),
            '°' | '“' | '”' | '‘' | '’' | '\u{200b}' => self.skip(length),
            '≤' | '≥' | '≠' | '→' | '⇒' | '—' | '∴' | '•' | '，' | '。' | '；' | '：' | '、' => {
                self.push(Kind::Stop, length)
            }
            _ if c.is_whitespace() => self.space(length),
            _ if c.is_alphabetic() => self.word(),
            _ => self.push(Kind::Stop, length),
        }
    }
}

fn speaks_of_rounding(word: &str) -> bool {
    let mut start = [0u8; 6];
    for (to, from) in start.iter_mut().zip(word.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    ["round", "approx", "neares", "roughl", "estima", "leftov", "ceilin", "remain", "whole"]
        .into_iter()
        .any(|w| start.starts_with(w.as_bytes()))
}
