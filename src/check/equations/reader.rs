//! What reads one side of an equation: its stacks, where it stands, and what both the grammar and the words between numbers do to them.

use super::lex::{Shape, Token};
use super::part::{Op, Part};

/// What waits on the stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// A sign, and how tightly it binds.
    Op(Op, u8),
    /// An open bracket; where a remark can be skipped: the token that closes it and the instructions before it.
    Group { remark: Option<(usize, usize)> },
}

/// Reads sides; keeps its stacks between them.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    /// All instructions of all sides.
    pub(super) ops: Vec<Op>,
    pub(super) stack: Vec<Entry>,
    /// Which bracket closes which.
    pub(super) mates: Vec<usize>,
    pub(super) opened: Vec<(usize, Shape)>,
    pub(super) part: Part,
    /// Nothing has been read of the current part yet.
    pub(super) fresh: bool,
    /// A number or bracket is to come next.
    pub(super) operand: bool,
    /// How many words followed the last number.
    pub(super) words: usize,
    /// What comes next is no closed arithmetic.
    pub(super) open: bool,
    /// How many words came since.
    pub(super) since: usize,
    /// The last two words, as bytes.
    pub(super) lead: [(usize, usize); 2],
    /// The two words in front of the current part.
    pub(super) front: [(usize, usize); 2],
    /// Where the instructions of the current part begin.
    pub(super) base: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            ops: Vec::new(),
            stack: Vec::new(),
            mates: Vec::new(),
            opened: Vec::new(),
            part: Part::default(),
            fresh: true,
            operand: true,
            words: 0,
            open: false,
            since: 0,
            lead: [(0, 0); 2],
            front: [(0, 0); 2],
            base: 0,
        }
    }

    pub(super) fn text_of(&self, token: &Token) -> &'a str {
        self.text.get(token.start()..token.end()).unwrap_or("")
    }

    /// Puts a sign between two numbers on the stack, and emits what binds tighter.
    pub(super) fn binary(&mut self, op: Op, binding: u8) {
        // 3 / 1/4 is read both ways
        self.part.unsure |= op == Op::Divide && matches!(self.stack.last(), Some(Entry::Op(Op::Divide, _)));
        self.unwind(binding + u8::from(op == Op::Power));
        self.stack.push(Entry::Op(op, binding));
        self.operand = true;
    }

    /// Emits waiting signs that bind at least as tightly, down to the last open bracket.
    pub(super) fn unwind(&mut self, least: u8) {
        while let Some(Entry::Op(op, binding)) = self.stack.last().copied() {
            if binding < least {
                break;
            }
            self.stack.pop();
            self.ops.push(op);
        }
    }

    /// Ends the part before a token, where it can end.
    pub(super) fn ends(&self, i: usize) -> (usize, Done) {
        if self.outside() { (i, Done::Ends) } else { (i + 1, Done::Fails) }
    }

    /// Whether no bracket is open.
    pub(super) fn outside(&self) -> bool {
        !self.stack.iter().any(|e| matches!(e, Entry::Group { .. }))
    }
}

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Done {
    /// The token was taken.
    Goes,
    /// The part ends before this token.
    Ends,
    /// The part is no closed arithmetic.
    Fails,
}
