//! From the tokens of a text to pairs of neighbouring sides: clauses, chains `a = b = c`, and chains that go on in the next line.

use super::Equation;
use super::judge::{Judge, Pair, Rounded, Verdict};
use super::lex::{Kind, Lexed, Shape, Token};
use super::number::Value;
use super::part::{Part, Side};
use super::reader::Reader;
use crate::trace::Span;

/// All equations of a text that can be checked, in the order in which they end.
pub(super) fn equations(text: &str, lexed: &Lexed) -> Vec<Equation> {
    let mut finder = Finder { text, lexed, reader: Reader::new(text), stack: Vec::new(), found: Vec::new(), last: None };
    finder.run();
    finder.found
}

/// How an earlier chain ended, so that the next line may go on from it.
struct Last {
    /// What its first side says.
    label: u64,
    /// The arithmetic that its last side begins with.
    part: Option<Part>,
    /// It was one label and one side.
    alone: bool,
    /// Nothing but the end of a line came since.
    next: bool,
}

struct Finder<'a> {
    text: &'a str,
    lexed: &'a Lexed,
    reader: Reader<'a>,
    /// The calculator's.
    stack: Vec<Value>,
    found: Vec<Equation>,
    last: Option<Last>,
}

impl Finder<'_> {
    fn run(&mut self) {
        let tokens = &self.lexed.tokens;
        let groups = groups(tokens);
        // clauses of open brackets, the innermost last, with what the bracket stands right behind
        let mut outer: Vec<(Vec<Token>, bool)> = Vec::new();
        let mut clause: Vec<Token> = Vec::new();
        for (token, group) in tokens.iter().zip(groups) {
            match (token.kind, group) {
                (Kind::Open(_), Group::Apart) => outer.push((std::mem::take(&mut clause), token.glued)),
                (Kind::Close(shape), Group::Apart) => {
                    self.clause(&clause, false);
                    let (around, glued) = outer.pop().unwrap_or_default();
                    clause = around;
                    if shape != Shape::Note {
                        clause.push(Token { kind: Kind::Remark, glued, ..*token });
                    }
                }
                (Kind::Open(_), Group::Alone) if clause.last().is_some_and(|t| matches!(t.kind, Kind::Sign(_))) => {
                    clause.push(Token { kind: Kind::Opaque, ..*token });
                }
                (Kind::Stop | Kind::Line, _) | (Kind::Open(_) | Kind::Close(_), Group::Alone) => {
                    self.clause(&clause, outer.is_empty());
                    clause.clear();
                    if outer.is_empty()
                        && token.kind != Kind::Line
                        && let Some(last) = &mut self.last
                    {
                        last.next = false;
                    }
                }
                _ => clause.push(*token),
            }
        }
        self.clause(&clause, outer.is_empty());
        for (clause, _) in outer {
            self.clause(&clause, false);
        }
    }

    /// One clause: sides with signs of equality between them.
    fn clause(&mut self, tokens: &[Token], top: bool) {
        if tokens.is_empty() {
            return;
        }
        let mut signs = tokens.iter().filter(|t| matches!(t.kind, Kind::Equals(_))).map(|t| t.kind == Kind::Equals(true));
        let mut sides = tokens.split(|t| matches!(t.kind, Kind::Equals(_)));
        let first = sides.next().unwrap_or_default();
        if first.len() == tokens.len() {
            if let Some(last) = self.last.as_mut().filter(|_| top) {
                last.next = false;
            }
            return;
        }
        let label = self.label(first);
        let count = tokens.iter().filter(|t| matches!(t.kind, Kind::Equals(_))).count();
        let mut left: Side = self.reader.side(first);
        let (mut inner, mut linked) = (false, false);
        if top && let Some(last) = self.last.take() {
            let same = label != 0 && label == last.label && last.alone;
            if ((first.is_empty() && last.next) || same) && left.tail.as_ref().is_none_or(|t| t.labelled) {
                left.tail = last.part;
                (inner, linked) = (true, same);
            }
        }
        for side in sides {
            let about = signs.next().unwrap_or(false);
            let right = self.reader.side(side);
            // "E = 2 * 3 * 4. E = 2 * 3 = 6" goes on with a piece only
            let piece = linked && count > 1 && right.head.as_ref().is_some_and(|p| p.ops.len() > 2);
            if let (Some(a), Some(b)) = (left.tail.take(), right.head.clone())
                && !piece
            {
                let rounded = if about { Rounded::About } else { self.rounding(&a, &b) };
                self.judge(&Pair { left: a, right: b, rounded, inner, linked });
            }
            inner = right.head.is_some() && right.tail.as_ref().is_some_and(|t| !t.labelled);
            linked = false;
            left = right;
            // what stands to the left is done with
            self.reader.forget([&mut left.head, &mut left.tail, self.last.as_mut().map_or(&mut None, |l| &mut l.part)]);
        }
        if top {
            self.last = Some(Last { label, part: left.head, alone: count == 1, next: true });
        }
    }

    fn judge(&mut self, pair: &Pair) {
        let mut judge = Judge { ops: &self.reader.ops, numbers: &self.lexed.numbers, text: self.text, stack: &mut self.stack };
        if let Some(Verdict { left, right, holds }) = judge.judge(pair) {
            self.found.push(Equation { span: Span::new(pair.left.start, pair.right.end), left, right, holds });
        }
    }

    /// Whether the text speaks of rounding near a pair.
    fn rounding(&self, a: &Part, b: &Part) -> Rounded {
        let at = self.lexed.rounding.partition_point(|&r| r + 60 < a.start);
        if self.lexed.rounding.get(at).is_some_and(|&r| r < b.end + 100) { Rounded::Words } else { Rounded::No }
    }

    /// A number for the words in front of the first sign of equality; 0 for none.
    fn label(&self, tokens: &[Token]) -> u64 {
        let mut hash = 0u64;
        for byte in tokens.iter().flat_map(|t| self.text.get(t.start()..t.end()).unwrap_or("").bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3).wrapping_add(1);
        }
        hash
    }
}

/// What a bracket is to the clauses around it.
#[derive(Clone, Copy, PartialEq)]
enum Group {
    /// Part of the arithmetic around it, or no bracket.
    Inside,
    /// It holds clauses of its own.
    Apart,
    /// It has no partner.
    Alone,
}

/// What each token is to the clauses around it.
fn groups(tokens: &[Token]) -> Vec<Group> {
    let mut out = vec![Group::Inside; tokens.len()];
    let mut open: Vec<(usize, Shape, bool)> = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open(shape) => open.push((i, shape, false)),
            Kind::Close(shape) => match open.last() {
                Some(&(from, s, apart)) if s == shape => {
                    open.pop();
                    if apart {
                        (out[from], out[i]) = (Group::Apart, Group::Apart);
                    }
                }
                _ => out[i] = Group::Alone,
            },
            Kind::Equals(_) | Kind::Stop | Kind::Line => {
                if let Some(top) = open.last_mut() {
                    top.2 = true;
                }
            }
            _ => {}
        }
    }
    for (i, _, _) in open {
        out[i] = Group::Alone;
    }
    out
}
