//! The part of the lexer that knows LaTeX.

use super::lex::{Brace, Kind, Lexer, Shape, Sign};
use super::number::Written;

impl Lexer<'_> {
    /// A power, or a sign of degrees.
    pub(super) fn caret(&mut self, length: usize) {
        let rest = &self.text[self.at + length..];
        let degrees = ["\\circ", "{\\circ}", "°"];
        if let Some(sign) = degrees.into_iter().find(|d| rest.starts_with(d)) {
            self.skip(length + sign.len());
        } else {
            self.push(Kind::Sign(Sign::Power), length);
        }
    }

    /// A closing brace, by what the open one is for.
    pub(super) fn close_brace(&mut self) {
        match self.braces.pop() {
            Some(Brace::Group) => self.skip(1),
            Some(Brace::Plain) | None => self.push(Kind::Close(Shape::Brace), 1),
            Some(Brace::Numerator) => {
                self.push(Kind::Close(Shape::Brace), 1);
                self.denominator();
            }
            Some(Brace::Denominator) => {
                self.push(Kind::Close(Shape::Brace), 1);
                self.push(Kind::Close(Shape::Fraction), 0);
            }
        }
    }

    /// What stands under the line, behind the numerator: a group or one digit.
    fn denominator(&mut self) {
        self.skip(self.gap());
        match self.byte(self.at) {
            b'{' => {
                self.push(Kind::Sign(Sign::Divide), 0);
                self.push(Kind::Open(Shape::Brace), 1);
                self.braces.push(Brace::Denominator);
            }
            b'0'..=b'9' => {
                self.push(Kind::Sign(Sign::Divide), 0);
                self.digit();
                self.push(Kind::Close(Shape::Fraction), 0);
            }
            _ => {
                self.push(Kind::Opaque, 0);
                self.push(Kind::Close(Shape::Fraction), 0);
            }
        }
    }

    /// How many spaces follow, up to a few.
    fn gap(&self) -> usize {
        self.bytes[self.at..].iter().take(8).take_while(|b| b.is_ascii_whitespace()).count()
    }

    /// One digit as a number, as LaTeX reads `\frac12`.
    fn digit(&mut self) {
        let digits = i128::from(self.byte(self.at).saturating_sub(b'0'));
        let index = self.out.numbers.len() as u32;
        self.out.numbers.push(Written { digits, decimals: 0, more: false });
        self.push(Kind::Number(index), 1);
    }

    /// `\frac` in either spelling comes out as brackets around a division.
    fn fraction(&mut self, length: usize) {
        self.push(Kind::Open(Shape::Fraction), length);
        let gap = self.gap();
        match self.byte(self.at + gap) {
            b'{' => {
                self.skip(gap);
                self.push(Kind::Open(Shape::Brace), 1);
                self.braces.push(Brace::Numerator);
            }
            b'0'..=b'9' => {
                self.skip(gap);
                self.digit();
                self.denominator();
            }
            _ => {
                self.push(Kind::Opaque, 0);
                self.push(Kind::Close(Shape::Fraction), 0);
            }
        }
    }

    /// A command of LaTeX, or an escaped character.
    pub(super) fn command(&mut self) {
        let next = self.byte(self.at + 1);
        if !next.is_ascii_alphabetic() {
            match next {
                b'[' | b']' => self.push(Kind::Line, 2),
                b'\\' => {
                    self.push(Kind::Line, 2);
                    self.skip_gap();
                }
                b'%' => self.push(Kind::Percent, 2),
                b'*' => self.push(Kind::Sign(Sign::Times), 2),
                b'$' => self.push(Kind::Money, 2),
                b'(' | b')' | b'!' => self.skip(2),
                b'{' | b'}' | b'|' | b'_' => self.push(Kind::Opaque, 2),
                b',' | b';' | b':' | b' ' => self.space(2),
                _ => self.space(1),
            }
            return;
        }
        let length = 1 + self.bytes[self.at + 1..].iter().take(24).take_while(|b| b.is_ascii_alphabetic()).count();
        let name = &self.text[self.at + 1..self.at + length];
        match name {
            "frac" | "dfrac" | "tfrac" | "cfrac" => self.fraction(length),
            "times" | "cdot" => self.push(Kind::Sign(Sign::Times), length),
            "div" => self.push(Kind::Sign(Sign::Divide), length),
            "sqrt" => self.root(length),
            "approx" | "simeq" | "sim" | "thickapprox" | "doteq" => self.push(Kind::Equals(true), length),
            "text" | "textbf" | "textit" | "textrm" | "mathrm" | "mathbf" | "mathit" | "mathsf" | "mbox" | "boxed" | "fbox"
            | "underline" | "tag" => {
                self.group(name == "tag", length);
            }
            "left" | "right" | "big" | "Big" | "bigl" | "bigr" | "Bigl" | "Bigr" | "bigg" | "Bigg" | "displaystyle" | "textstyle"
            | "limits" | "degree" => {
                self.skip(length);
                if self.byte(self.at) == b'.' && matches!(name, "left" | "right") {
                    self.skip(1);
                }
            }
            "quad" | "qquad" | "newline" | "item" | "hline" => self.push(Kind::Line, length),
            "begin" | "end" => {
                let close = self.bytes[self.at + length..].iter().take(24).position(|b| *b == b'}').map_or(0, |n| n + 1);
                self.push(Kind::Line, length + close);
            }
            "le" | "leq" | "ge" | "geq" | "lt" | "gt" | "ne" | "neq" | "equiv" | "to" | "Rightarrow" | "rightarrow" | "implies" | "iff"
            | "therefore" | "Longrightarrow" | "Leftrightarrow" | "because" | "longrightarrow" | "leqslant" | "geqslant" | "in" => {
                self.push(Kind::Stop, length)
            }
            _ => self.push(Kind::Opaque, length),
        }
    }

    /// `\sqrt`, with its degree in square brackets.
    fn root(&mut self, length: usize) {
        let rest = &self.bytes[self.at + length..];
        if rest.first() != Some(&b'[') {
            return self.push(Kind::Root(2), length);
        }
        let close = rest.iter().take(5).position(|b| *b == b']');
        let degree = close.and_then(|n| std::str::from_utf8(&rest[1..n]).ok()?.parse::<u8>().ok()).filter(|d| (2..=64).contains(d));
        match degree {
            Some(degree) => self.push(Kind::Root(degree), length + close.map_or(0, |n| n + 1)),
            None => self.push(Kind::Opaque, length),
        }
    }

    /// The braces of `\text{…}` and the like mean nothing to arithmetic.
    fn group(&mut self, hide: bool, length: usize) {
        self.skip(length);
        let gap = self.gap();
        if self.byte(self.at + gap) == b'{' {
            self.skip(gap + 1);
            if hide {
                self.push(Kind::Line, 0);
            }
            self.braces.push(Brace::Group);
        }
    }

    /// `[4pt]` behind a line break.
    fn skip_gap(&mut self) {
        if self.byte(self.at) == b'[' {
            let rest = &self.bytes[self.at..];
            if let Some(n) = rest.iter().take(12).position(|b| *b == b']')
                && rest[1..n].iter().any(|b| b.is_ascii_lowercase())
            {
                self.skip(n + 1);
            }
        }
    }
}
