//! From the tokens of one side of an equation to arithmetic in postfix order, by a stack of signs and not by recursion: linear, and no nesting is too deep.
//!
//! A side is often part of a sentence: "so he has 3 + 4 apples left". Its *head* is the arithmetic that it begins with, its *tail* the arithmetic
//! that it ends with; what holds a variable, or words that change the meaning ("half of", "than"), is neither.

use super::lex::{Kind, Shape, Sign, Token};
use super::part::{Op, Part, Side};
use super::reader::{Done, Entry, Reader};
use super::units::Units;
use super::words::{changes, factor, joins, slash};
use crate::util::work::count;

impl Reader<'_> {
    /// Reads the tokens between two signs of equality.
    pub(super) fn side(&mut self, tokens: &[Token]) -> Side {
        self.pair_up(tokens);
        let mut side = Side::default();
        (self.open, self.since, self.lead) = (false, 0, [(0, 0); 2]);
        self.begin(false);
        let mut first = true;
        let mut i = 0;
        while i < tokens.len() {
            count(1);
            let (next, done) = if self.operand { self.operand(tokens, i) } else { self.operator(tokens, i) };
            i = next;
            match done {
                Done::Goes => {}
                Done::Ends => {
                    let part = self.finish();
                    if first {
                        side.head = part;
                    }
                    first = false;
                    self.begin(true);
                }
                Done::Fails => {
                    if let Some(skip) = self.remark() {
                        i = skip;
                        continue;
                    }
                    first = false;
                    self.ops.truncate(self.base);
                    self.begin(true);
                    (self.open, self.since) = (true, 0);
                }
            }
        }
        let whole = first && !self.part.labelled;
        let part = self.finish();
        if whole {
            side.head = part.clone();
        }
        side.tail =
            part.filter(|p| !p.labelled || !changes(self.front.map(|(a, b)| self.text.get(a..b).unwrap_or("")), &self.ops[p.ops.clone()]));
        side
    }

    /// Forgets all instructions but those of the given parts.
    pub(super) fn forget(&mut self, kept: [&mut Option<Part>; 3]) {
        let first = kept.iter().filter_map(|p| p.as_ref()).map(|p| p.ops.start).min().unwrap_or(self.ops.len());
        self.ops.drain(..first);
        for part in kept.into_iter().flatten() {
            part.ops = part.ops.start - first..part.ops.end - first;
        }
    }

    /// Which bracket closes which; brackets without a partner stay alone.
    fn pair_up(&mut self, tokens: &[Token]) {
        self.mates.clear();
        self.mates.resize(tokens.len(), usize::MAX);
        let open = &mut self.opened;
        open.clear();
        for (i, token) in tokens.iter().enumerate() {
            match token.kind {
                Kind::Open(shape) => open.push((i, shape)),
                Kind::Close(shape) if open.last().is_some_and(|(_, s)| *s == shape) => {
                    if let Some((from, _)) = open.pop() {
                        self.mates[from] = i;
                        self.mates[i] = from;
                    }
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self, labelled: bool) {
        self.base = self.ops.len();
        self.stack.clear();
        self.part = Part { labelled, ..Part::default() };
        (self.fresh, self.operand, self.words) = (true, true, 0);
    }

    /// The part read so far, where it is whole and closed.
    fn finish(&mut self) -> Option<Part> {
        let closed = !self.fresh && !self.operand && !self.open && !self.stack.iter().any(|e| matches!(e, Entry::Group { .. }));
        if !closed {
            self.ops.truncate(self.base);
            return None;
        }
        self.unwind(0);
        self.part.ops = self.base..self.ops.len();
        Some(std::mem::take(&mut self.part))
    }

    /// Drops the innermost open remark; the token behind it.
    fn remark(&mut self) -> Option<usize> {
        let at = self.stack.iter().rposition(|e| matches!(e, Entry::Group { remark: Some(_) }))?;
        let Entry::Group { remark: Some((close, ops)) } = self.stack[at] else { return None };
        self.stack.truncate(at.saturating_sub(1)); // with the sign in front of it
        self.ops.truncate(ops);
        (self.operand, self.words) = (false, 1);
        Some(close + 1)
    }

    fn start(&mut self, token: &Token) {
        if self.fresh {
            self.fresh = false;
            self.front = self.lead;
            self.part.start = token.start();
            // two words in a row behind something open begin something new
            if self.since >= 2 {
                self.open = false;
            }
        }
        self.part.end = token.end();
    }

    fn operand(&mut self, tokens: &[Token], i: usize) -> (usize, Done) {
        let token = &tokens[i];
        let before = i.checked_sub(1).map(|b| &tokens[b]);
        let named = self.fresh && token.glued && before.is_some_and(|b| b.kind == Kind::Word);
        let letters = self.fresh && before.is_some_and(|b| b.kind == Kind::Word && factor(self.text_of(b)));
        match token.kind {
            Kind::Number(n) => {
                if named {
                    return (i + 1, Done::Fails);
                }
                // LaTeX reads 3^25^2 as 3^2 5^2
                let twice = tokens.get(i + 1).is_some_and(|t| t.kind == Kind::Sign(Sign::Power));
                self.part.unsure |= twice && matches!(self.stack.last(), Some(Entry::Op(Op::Power, _)));
                self.start(token);
                self.ops.push(Op::Number(n));
                (self.operand, self.words) = (false, 0);
            }
            Kind::Money => {
                self.part.units.add(Units::money());
                if tokens.get(i + 1).is_some_and(|t| matches!(t.kind, Kind::Number(_))) {
                    self.start(token);
                }
            }
            Kind::Open(_) if self.mates[i] != usize::MAX => {
                self.start(token);
                self.open |= named || letters; // a function's argument, a factor
                self.stack.push(Entry::Group { remark: None });
            }
            Kind::Root(degree) => {
                self.start(token);
                self.open |= named || letters;
                self.stack.push(Entry::Op(Op::Root(degree), 6));
            }
            Kind::Word if self.fresh => self.word(token),
            Kind::Sign(Sign::Minus) => return (i + 1, self.minus(tokens, i)),
            Kind::Sign(Sign::Plus) if self.fresh && (!self.part.labelled && tokens.get(i + 1).is_some_and(|t| t.glued)) => {}
            Kind::Sign(Sign::Divide) if named && tokens.get(i + 1).is_some_and(|t| t.glued && t.kind == Kind::Word) => {}
            Kind::Remark if self.fresh => self.part.labelled = true,
            Kind::Stop | Kind::Line | Kind::Open(_) | Kind::Close(_) if self.fresh => self.part.labelled = true,
            _ => return (i + 1, Done::Fails),
        }
        (i + 1, Done::Goes)
    }

    /// A word in front of arithmetic.
    fn word(&mut self, token: &Token) {
        let vague = ["approximately", "about", "roughly", "around", "nearly", "almost", "exactly", "only", "just", "rounded"];
        if !self.part.labelled && vague.contains(&self.text_of(token)) {
            return;
        }
        self.part.labelled = true;
        self.since += if joins(self.text_of(token)) { 2 } else { 1 };
        self.lead = [self.lead[1], (token.start(), token.end())];
    }

    fn minus(&mut self, tokens: &[Token], i: usize) -> Done {
        let tight = tokens.get(i + 1).is_some_and(|t| t.glued);
        if self.fresh {
            let spaced = !tokens[i].glued;
            if self.part.labelled && !(tight && spaced) {
                return Done::Fails;
            }
            self.part.unsure |= self.part.labelled || !tight;
            self.start(&tokens[i]);
        }
        self.stack.push(Entry::Op(Op::Negate, 3));
        Done::Goes
    }

    fn operator(&mut self, tokens: &[Token], i: usize) -> (usize, Done) {
        let token = &tokens[i];
        let next = tokens.get(i + 1);
        match token.kind {
            Kind::Number(_) => {
                if let Some(ops) = self.mixed(tokens, i) {
                    self.ops.extend(ops);
                    self.part.end = tokens[i + 2].end();
                    return (i + 3, Done::Goes);
                }
                // a number behind words begins something new; two numbers side by side are no arithmetic
                return if self.words > 0 && self.outside() { (i, Done::Ends) } else { (i + 1, Done::Fails) };
            }
            Kind::Sign(Sign::Divide) if next.is_some_and(|t| t.kind == Kind::Word) => return self.per(tokens, i),
            Kind::Sign(Sign::Power) if self.words > 0 => {
                // the power of a unit: cm^2
                return match next.map(|t| t.kind) {
                    Some(Kind::Number(_)) => (i + 2, Done::Goes),
                    Some(Kind::Open(_)) if self.mates[i + 1] != usize::MAX => (self.mates[i + 1] + 1, Done::Goes),
                    _ => (i + 1, Done::Fails),
                };
            }
            Kind::Sign(sign) => match sign {
                Sign::Plus => self.binary(Op::Add, 1),
                Sign::Minus => self.binary(Op::Subtract, 1),
                Sign::Times => self.binary(Op::Multiply, 2),
                Sign::Divide => self.binary(Op::Divide, 2),
                Sign::Power => self.binary(Op::Power, 5),
            },
            Kind::Percent => {
                self.unwind(4);
                self.ops.push(Op::Percent);
                self.part.end = token.end();
            }
            Kind::Factorial => {
                self.ops.push(Op::Factorial);
                self.part.unsure |= next.is_none();
                self.part.end = token.end();
            }
            Kind::Money if self.words > 0 && self.outside() => return (i, Done::Ends),
            Kind::Money => {
                if next.is_some_and(|t| matches!(t.kind, Kind::Number(_))) {
                    self.part.units.add(Units::money());
                }
            }
            Kind::Open(shape) => return self.bracket(tokens, i, shape),
            Kind::Root(_) if self.words > 0 => return self.ends(i),
            Kind::Root(_) => {
                self.binary(Op::Multiply, 4);
                return (i, Done::Goes);
            }
            Kind::Close(_) => {
                if self.mates[i] == usize::MAX {
                    return (i + 1, if self.outside() { Done::Ends } else { Done::Fails });
                }
                self.unwind(0);
                if self.stack.pop().is_none() {
                    return (i + 1, Done::Ends);
                }
                (self.part.end, self.words) = (token.end(), 0);
            }
            Kind::Remark if token.glued && self.words == 0 => return (i + 1, Done::Fails),
            Kind::Remark => self.words += 1,
            Kind::Word => return self.behind(tokens, i),
            Kind::Stop | Kind::Line | Kind::Equals(_) if self.outside() => return (i + 1, Done::Ends),
            _ => return (i + 1, Done::Fails),
        }
        (i + 1, Done::Goes)
    }

    /// The instructions of `1/2` where `1 1/2` stands here: a whole number, a space, and a fraction of two numbers.
    fn mixed(&self, tokens: &[Token], i: usize) -> Option<[Op; 4]> {
        let number = |k: usize| match tokens.get(k)?.kind {
            Kind::Number(n) => Some(n),
            _ => None,
        };
        number(i.checked_sub(1)?)?;
        let alone = i < 2 || !matches!(tokens[i - 2].kind, Kind::Sign(Sign::Divide | Sign::Power));
        let (top, bottom) = (number(i)?, number(i + 2)?);
        (alone && slash(tokens, i)).then_some([Op::Number(top), Op::Number(bottom), Op::Divide, Op::Mixed])
    }

    /// `/apple`, `/ hour`: a unit in the denominator.
    fn per(&mut self, tokens: &[Token], i: usize) -> (usize, Done) {
        let word = self.text_of(&tokens[i + 1]);
        let tight = tokens[i].glued && tokens[i + 1].glued;
        let letter = word.chars().count() == 1;
        if (tight && !letter) || Units::named(word).is_some() {
            self.words += 1;
            return (i + 2, Done::Goes);
        }
        (i + 1, Done::Fails)
    }

    fn bracket(&mut self, tokens: &[Token], i: usize, shape: Shape) -> (usize, Done) {
        let mate = self.mates[i];
        if mate == usize::MAX {
            return (i + 1, if self.outside() { Done::Ends } else { Done::Fails });
        }
        let short = &tokens[i..=mate.min(i + 64)];
        count(short.len());
        let prose = short.iter().any(|t| t.kind == Kind::Word && self.text_of(t).chars().nth(2).is_some());
        let variable = short.windows(3).any(|w| self.variable(w) || (w[1].kind == Kind::Opaque && !prose));
        let tight = tokens[i].glued && self.words == 0;
        if mate - i < 64 && !short.iter().any(|t| matches!(t.kind, Kind::Number(_))) {
            let remark = !tight && !variable && !short.iter().any(|t| matches!(t.kind, Kind::Sign(_)));
            self.words += 1;
            return if remark { (mate + 1, Done::Goes) } else { (i + 1, Done::Fails) };
        }
        if shape == Shape::Fraction && self.words > 0 {
            // behind one word it may be a factor: "6 feet \frac{12 in}{1 foot}"
            return if self.words == 1 { (i + 1, Done::Fails) } else { self.ends(i) };
        }
        let before = i.checked_sub(1).map(|b| tokens[b].kind);
        let (op, binding) = match (shape, before) {
            (Shape::Fraction, Some(Kind::Number(_))) => (Op::Mixed, 4),
            (Shape::Round | Shape::Square, Some(Kind::Close(Shape::Round | Shape::Square))) => (Op::Multiply, 2),
            (Shape::Round | Shape::Square, _) if !tight => (Op::Remark, 4),
            _ => (Op::Multiply, 2),
        };
        // 1/2(3 + 4) is read both ways
        self.part.unsure |= matches!(self.stack.last(), Some(Entry::Op(Op::Divide, _)));
        self.binary(op, binding);
        if op == Op::Remark {
            self.stack.push(Entry::Group { remark: (!variable).then_some((mate, self.ops.len())) });
            return (i + 1, Done::Goes);
        }
        (i, Done::Goes)
    }

    /// Whether the middle one of three tokens stands for a number: a letter, a segment `AB`.
    fn variable(&self, around: &[Token]) -> bool {
        let [before, token, after] = around else { return false };
        let word = self.text_of(token);
        let joined = |t: &Token| matches!(t.kind, Kind::Sign(_) | Kind::Open(_) | Kind::Close(_) | Kind::Opaque);
        let letter = token.kind == Kind::Word && word.chars().count() == 1 && !matches!(word, "a" | "A" | "I");
        let name = token.kind == Kind::Word && (2..=3).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_uppercase());
        name || (letter && (joined(before) || joined(after)))
    }
}
