//! `stories`: a procedural benchmark of multi-step arithmetic stories whose every solution line can be checked by program.
//!
//! A story is a pure function of `(split, seed, index)`. Facts come in shuffled order and may be irrelevant; the expert
//! solution computes one quantity a line and ends with `#### answer`.

mod build;
mod check;
mod corrupt;
mod phrase;
mod tail;
mod words;

pub use check::{Verdict, check, final_answer};
pub use corrupt::{Corrupted, Corruption, corrupt};
pub use words::Role;

use crate::util::hash::fnv1a;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Which distribution a story comes from.
///
/// The canonical key of a problem ([`problem_key`]) decides whether it may be trained on, so no seed or index can bring a
/// problem of one of the three pools (train, validation, test) into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// 2–5 steps; the only split to train on.
    Train,
    /// As `Train`, from the pool for choosing and calibrating.
    Validation,
    /// As `Train`, from the test pool.
    InDistribution,
    /// 6–8 steps; test pool.
    LongerChains,
    /// Values of up to four digits, at least one of them above 999; test pool.
    LargerNumbers,
    /// Sentences and lines phrased in ways that no other split uses; test pool.
    UnseenPhrasing,
    /// Solutions in which multiplication directly follows division, or division subtraction, as in no other split; test pool.
    UnseenOperatorOrder,
}

impl Split {
    /// Every split.
    pub const ALL: [Split; 7] = [
        Split::Train,
        Split::Validation,
        Split::InDistribution,
        Split::LongerChains,
        Split::LargerNumbers,
        Split::UnseenPhrasing,
        Split::UnseenOperatorOrder,
    ];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::InDistribution => "in_distribution",
            Split::LongerChains => "longer_chains",
            Split::LargerNumbers => "larger_numbers",
            Split::UnseenPhrasing => "unseen_phrasing",
            Split::UnseenOperatorOrder => "unseen_operator_order",
        }
    }

    fn admits(self, key: u64) -> bool {
        match (self, key % 8) {
            (Split::Train, class) => class >= 2,
            (Split::Validation, class) => class == 1,
            (_, class) => class == 0,
        }
    }
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Addition.
    Add,
    /// Subtraction.
    Sub,
    /// Multiplication.
    Mul,
    /// Exact division.
    Div,
}

impl Op {
    /// Every operator.
    pub const ALL: [Op; 4] = [Op::Add, Op::Sub, Op::Mul, Op::Div];

    /// As lines write it.
    pub fn symbol(self) -> char {
        match self {
            Op::Add => '+',
            Op::Sub => '-',
            Op::Mul => '*',
            Op::Div => '/',
        }
    }

    /// The value, or `None` on overflow and where a division leaves a remainder.
    pub fn apply(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Op::Add => a.checked_add(b),
            Op::Sub => a.checked_sub(b),
            Op::Mul => a.checked_mul(b),
            Op::Div => (a.checked_rem(b)? == 0).then(|| a.checked_div(b)).flatten(),
        }
    }
}

/// One operand of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Its right value.
    pub value: i64,
    /// The quantity it is, an index into [`Story::quantity`]'s range; `None`: the problem states it (or it is a unit, such as 12 a dozen).
    pub source: Option<usize>,
}

/// What the words of a line must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The people, in order.
    pub names: Vec<String>,
    /// Whether a line may leave the people out.
    pub names_optional: bool,
    /// Whether the order of the people matters (who has more than whom).
    pub ordered: bool,
    /// The things and measures, in any order.
    pub nouns: Vec<String>,
    /// What kind of quantity of them it is.
    pub role: Option<Role>,
}

/// One quantity that the story lets a reader compute, with the line that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryStep {
    /// Words before the equation, with the space.
    pub before: String,
    /// Words after it, with the full stop.
    pub after: String,
    /// The operator.
    pub op: Op,
    /// Left and right operand.
    pub operands: [Operand; 2],
    /// The right value.
    pub result: i64,
    /// What the line's words must name.
    pub subject: Subject,
}

impl StoryStep {
    /// The expert's line, for example `Mia has 3 * 12 = 36 apples.`
    pub fn line(&self) -> String {
        let [a, b] = self.operands;
        self.line_with(a.value, self.op, b.value, self.result)
    }

    /// The line with another equation in it.
    pub fn line_with(&self, a: i64, op: Op, b: i64, result: i64) -> String {
        format!("{}{a} {} {b} = {result}{}", self.before, op.symbol(), self.after)
    }

    /// The quantities this one is computed from.
    pub fn dependencies(&self) -> impl Iterator<Item = usize> + '_ {
        self.operands.iter().filter_map(|o| o.source)
    }
}

/// A story with its expert solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// `stories-<split>-<seed>-<index>`.
    pub id: String,
    /// The text, one paragraph that ends with the question.
    pub problem: String,
    /// The expert's steps, in order: known quantities first come, first computed in the order of the text.
    pub steps: Vec<StoryStep>,
    /// Quantities that can be computed but do not help.
    pub extra: Vec<StoryStep>,
    /// The answer.
    pub answer: i64,
    /// Where it comes from.
    pub split: Split,
}

impl Story {
    /// The expert solution: a step a line, the last line `#### answer`, no newline at the end.
    pub fn solution(&self) -> String {
        let mut text: String = self.steps.iter().map(|s| s.line() + "\n").collect();
        text.push_str(&format!("#### {}", self.answer));
        text
    }

    /// Quantity `i`: the steps first, then the ones that do not help.
    pub fn quantity(&self, i: usize) -> Option<&StoryStep> {
        self.steps.get(i).or_else(|| self.extra.get(i.checked_sub(self.steps.len())?))
    }
}

/// The story at `index` of the stream `seed` of a split. Any index is as cheap as the first.
pub fn story(split: Split, seed: u64, index: u64) -> Story {
    drawn(split, split, seed, index)
}

/// As [`story`], built as those of `split` are, but from the training pool: a policy may practise on it, and no other split has it.
pub fn practice_story(split: Split, seed: u64, index: u64) -> Story {
    drawn(split, Split::Train, seed, index)
}

fn drawn(split: Split, pool: Split, seed: u64, index: u64) -> Story {
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&index.to_le_bytes());
    bytes[16] = split as u8;
    bytes[17] = u8::from(pool != split);
    bytes[24..].copy_from_slice(b"stories1");
    let mut rng = ChaCha8Rng::from_seed(bytes);
    loop {
        if let Some(mut story) = build::draft(split, &mut rng).filter(|s| pool.admits(problem_key(&s.problem))) {
            let practice = if pool == split { "" } else { "-practice" };
            story.id = format!("stories-{}{practice}-{seed}-{index}", split.name());
            return story;
        }
    }
}

/// Canonical identity of a problem: a 64-bit hash (FNV-1a, mixed) of its lower-cased words and numbers in sorted order, so that
/// neither the order of the facts, nor punctuation, nor spacing makes a problem new.
pub fn problem_key(problem: &str) -> u64 {
    let lower = problem.to_lowercase();
    let mut words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    words.sort_unstable();
    let mut hash = fnv1a(words.iter().flat_map(|w| w.bytes().chain([b' '])));
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 29)
}

/// Whether a solution's operators have an order that only [`Split::UnseenOperatorOrder`] uses.
pub fn has_unseen_operator_order(steps: &[StoryStep]) -> bool {
    steps.windows(2).any(|w| matches!((w[0].op, w[1].op), (Op::Div, Op::Mul) | (Op::Sub, Op::Div)))
}

impl From<&Story> for super::Demonstration {
    fn from(story: &Story) -> Self {
        let gold = Some(story.answer.to_string());
        Self {
            problem: super::Problem { id: story.id.clone(), text: story.problem.clone(), gold, tests: None },
            solution: story.solution(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ignore_order_and_punctuation_only() {
        let key = problem_key("Mia has 3 apples. Tom has 5 eggs.");
        assert_eq!(key, problem_key("tom has 5  eggs; Mia has 3 apples"));
        assert_ne!(key, problem_key("Mia has 3 apples. Tom has 6 eggs."));
        assert_ne!(key, problem_key("Mia has 3 apples. Tom has 5 eggs eggs."));
        assert_ne!(problem_key("12 3"), problem_key("1 23"));
    }

    #[test]
    fn division_is_exact() {
        assert_eq!(Op::Div.apply(12, 4), Some(3));
        assert_eq!((Op::Div.apply(12, 5), Op::Div.apply(1, 0), Op::Div.apply(i64::MIN, -1)), (None, None, None));
        assert_eq!(Op::Mul.apply(i64::MAX, 2), None);
    }
}
