//! Draws one story: who has what, what happens then, and what is asked.

use super::phrase::{Kind, Source, Voice, part_of, pick};
use super::words::{HOLDERS, NAMES, RECEIVERS, Role, THINGS};
use super::{Op, Operand, Split, Story, StoryStep, Subject, has_unseen_operator_order};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Largest value of any split but `LargerNumbers`.
const LARGEST: i64 = 999;

/// Draws a story of a split, or `None` where the draw does not fit it.
pub(super) fn draft(split: Split, rng: &mut ChaCha8Rng) -> Option<Story> {
    let target: usize = if split == Split::LongerChains { rng.random_range(6..=8) } else { rng.random_range(2..=5) };
    let mut draft = Draft::new(split, target, rng)?;
    draft.tell(target, rng)?;
    let story = draft.finish(split)?;
    (story.steps.len() == target && fits(split, &story, rng)).then_some(story)
}

/// Whether values, products and operator order suit the split.
fn fits(split: Split, story: &Story, rng: &mut ChaCha8Rng) -> bool {
    let largest = story.steps.iter().chain(&story.extra).flat_map(|s| [s.operands[0].value, s.operands[1].value, s.result]).max();
    let largest = largest.unwrap_or(0);
    let computed = story.steps.iter().map(|s| s.result).max().unwrap_or(0);
    let sizes = match split {
        Split::LargerNumbers => computed > LARGEST && largest <= 9999,
        _ => largest <= 200 || (largest <= LARGEST && rng.random_bool(0.2)),
    };
    let products = story.steps.iter().all(|s| {
        let [a, b] = s.operands.map(|o| o.value);
        let (small, large) = (a.min(b), a.max(b));
        s.op != Op::Mul || split == Split::LargerNumbers || (small <= 12 && large <= 99)
    });
    sizes && products && has_unseen_operator_order(&story.steps) == (split == Split::UnseenOperatorOrder)
}

/// A quantity under construction.
#[derive(Clone, Copy)]
pub(super) struct Quantity {
    pub value: i64,
    from: Option<usize>,
}

impl Quantity {
    pub fn given(value: i64) -> Self {
        Self { value, from: None }
    }
}

/// Who holds the running quantity.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Holder {
    One(usize),
    All,
}

pub(super) struct Draft {
    pub voice: Voice,
    pub larger: bool,
    pub cast: Vec<&'static str>,
    female: Vec<bool>,
    sources: Vec<Source>,
    pub sentences: Vec<String>,
    steps: Vec<StoryStep>,
    quantity: Vec<Option<Quantity>>,
    last: Option<usize>,
}

impl Draft {
    fn new(split: Split, target: usize, rng: &mut ChaCha8Rng) -> Option<Self> {
        let kind = *[Kind::Things, Kind::Things, Kind::Things, Kind::Money, Kind::Pages, Kind::Minutes].choose(rng)?;
        let unit = match kind {
            Kind::Things => THINGS.choose(rng)?.0,
            Kind::Money => "dollars",
            Kind::Pages => "pages",
            Kind::Minutes => "minutes",
        };
        let unseen = split == Split::UnseenPhrasing;
        let voice = Voice { kind, unit, holders: *HOLDERS.choose(rng)?, unseen, in_total: rng.random_bool(0.4) };
        let people: Vec<(&str, bool)> = NAMES.choose_multiple(rng, 5).copied().collect();
        let count = rng.random_range(1..=if target >= 6 { 5 } else { 4 }.min(target + 1));
        let mut draft = Self {
            voice,
            larger: split == Split::LargerNumbers,
            cast: people.iter().map(|p| p.0).collect(),
            female: people.iter().map(|p| p.1).collect(),
            sources: Vec::new(),
            sentences: Vec::new(),
            steps: Vec::new(),
            quantity: vec![None; 5],
            last: None,
        };
        let mut values = Vec::new();
        for person in 0..count {
            let source = draft.source(person, &values, rng)?;
            values.push(draft.value(source, &values)?);
            draft.sources.push(source);
        }
        Some(draft)
    }

    /// A number to start from.
    fn number(&self, rng: &mut ChaCha8Rng) -> i64 {
        match (self.larger, self.voice.kind) {
            (true, _) => rng.random_range(80..=2400),
            (false, Kind::Minutes) => 5 * rng.random_range(2..=12),
            (false, _) => rng.random_range(3..=60),
        }
    }

    fn small(&self, rng: &mut ChaCha8Rng) -> i64 {
        if self.larger { rng.random_range(20..=900) } else { rng.random_range(2..=30) }
    }

    fn each(&self, rng: &mut ChaCha8Rng) -> i64 {
        match (self.larger, self.voice.kind) {
            (true, _) => rng.random_range(25..=400),
            (false, Kind::Minutes) => 5 * rng.random_range(1..=6),
            (false, _) => rng.random_range(3..=20),
        }
    }

    fn source(&self, person: usize, values: &[i64], rng: &mut ChaCha8Rng) -> Option<Source> {
        if person > 0 && rng.random_bool(0.62) {
            let other = rng.random_range(0..person);
            return Some(match rng.random_range(0..10) {
                0..3 => Source::More(other, self.small(rng)),
                3..5 => Source::Fewer(other, self.small(rng).min(values[other] - 2)),
                5..7 => Source::Times(other, rng.random_range(2..=6)),
                7..9 => {
                    let parts: Vec<i64> = (2..=5).filter(|k| values[other] % k == 0).collect();
                    Source::Part(other, *parts.choose(rng)?)
                }
                _ if person > 1 => {
                    let first = rng.random_range(0..person - 1);
                    Source::Sum(first, rng.random_range(first + 1..person))
                }
                _ => Source::More(other, self.small(rng)),
            });
        }
        let a = rng.random_range(2..=9);
        Some(match rng.random_range(0..10) {
            0..4 => Source::Given(self.number(rng)),
            4..7 => Source::Groups(a, self.each(rng)),
            7 => Source::GroupsPlus(a, self.each(rng), self.small(rng)),
            8 if self.voice.unit_size().is_some() => Source::Units(rng.random_range(2..=6)),
            9 if self.voice.unit_size().is_some() => Source::UnitsPlus(rng.random_range(2..=5), self.small(rng).min(59)),
            _ => Source::Given(self.number(rng)),
        })
    }

    fn value(&self, source: Source, values: &[i64]) -> Option<i64> {
        let size = self.voice.unit_size().unwrap_or(1);
        let value = match source {
            Source::Given(n) => n,
            Source::Groups(a, b) => a * b,
            Source::GroupsPlus(a, b, c) => a * b + c,
            Source::Units(a) => a * size,
            Source::UnitsPlus(a, c) => a * size + c,
            Source::More(m, n) => values[m] + n,
            Source::Fewer(m, n) => values[m] - n,
            Source::Times(m, k) => values[m] * k,
            Source::Part(m, k) => values[m] / k,
            Source::Sum(a, b) => values[a] + values[b],
        };
        let constants = match source {
            Source::More(_, n) | Source::Fewer(_, n) => n >= 2,
            _ => true,
        };
        (value >= 2 && constants).then_some(value)
    }

    pub fn subject(&self, names: &[&str], nouns: &[&str], role: Option<Role>) -> Subject {
        Subject {
            names: names.iter().map(|n| (*n).to_string()).collect(),
            names_optional: false,
            ordered: false,
            nouns: nouns.iter().map(|n| (*n).to_string()).collect(),
            role,
        }
    }

    pub fn step(&mut self, words: (String, String), a: Quantity, op: Op, b: Quantity, subject: Subject) -> Option<Quantity> {
        let result = op.apply(a.value, b.value).filter(|r| *r >= 2)?;
        let operands = [a, b].map(|q| Operand { value: q.value, source: q.from });
        self.steps.push(StoryStep { before: words.0, after: words.1, op, operands, result, subject });
        Some(Quantity { value: result, from: Some(self.steps.len() - 1) })
    }

    /// Writes facts, events and question, and the steps along with them.
    fn tell(&mut self, target: usize, rng: &mut ChaCha8Rng) -> Option<()> {
        self.facts(rng)?;
        let count = self.sources.len();
        let most = if count >= 3 { 3 } else { count };
        let asked = if count == 1 { 1 } else { *[1, 2, 2, 2, most, most].choose(rng)? };
        let first = if rng.random_bool(0.75) { count - asked } else { rng.random_range(0..=count - asked) };
        let mut who: Vec<usize> = (first..first + asked).collect();
        who.shuffle(rng);
        let mut events = if self.voice.kind == Kind::Things { *[0, 0, 1, 1, 2].choose(rng)? } else { 0 };
        if target <= 3 {
            events = events.min(1);
        }
        for _ in 0..events {
            let person = *who.choose(rng)?;
            self.event(person, rng)?;
        }
        if who.len() == 2 && rng.random_bool(0.25) {
            return self.difference(who[0], who[1]);
        }
        let most_tails = if target >= 6 { 4 } else { 3 };
        let tails = rng.random_range(0..=most_tails).min(target);
        let names: Vec<&'static str> = who.iter().map(|p| self.cast[*p]).collect();
        let holder = if who.len() == 1 { Holder::One(who[0]) } else { Holder::All };
        let running = if let [one] = who[..] {
            self.quantity[one]?
        } else {
            if tails > 0 {
                let joined = self.voice.join(&names);
                self.sentences.push(joined);
            }
            let mut total = self.quantity[who[0]]?;
            for i in 1..who.len() {
                let all = i + 1 == who.len();
                let mut subject = self.subject(&names[..=i], &[self.voice.unit], None);
                subject.names_optional = all;
                let words = self.voice.total_line(&names[..=i], all);
                total = self.step(words, total, Op::Add, self.quantity[who[i]]?, subject)?;
            }
            total
        };
        let question = match holder {
            Holder::One(p) => self.voice.single_question(self.cast[p]),
            Holder::All => self.voice.total_question(&names),
        };
        let mut tail = Tail { holder, running, unit: self.voice.unit, stage: Stage::of(self.voice.kind), question };
        for left in (0..tails).rev() {
            self.tail(&mut tail, left == 0, rng)?;
        }
        self.sentences.push(tail.question);
        self.last = tail.running.from;
        Some(())
    }

    /// Shuffles the facts and computes people's quantities in the order in which the text lets one.
    fn facts(&mut self, rng: &mut ChaCha8Rng) -> Option<()> {
        let mut order: Vec<usize> = (0..self.sources.len()).collect();
        if rng.random_bool(0.5) {
            order.shuffle(rng);
        }
        for person in &order {
            let sentence = self.voice.fact(rng, &self.cast, *person, self.sources[*person]);
            self.sentences.push(sentence);
        }
        let mut kinds = [0, 1, 2];
        kinds.shuffle(rng);
        for kind in kinds.into_iter().take(*[0, 0, 1, 1, 2].choose(rng)?) {
            let sentence = self.distractor(kind, rng)?;
            let at = rng.random_range(0..=self.sentences.len());
            self.sentences.insert(at, sentence);
        }
        while let Some(person) = order.iter().copied().find(|p| self.quantity[*p].is_none() && self.ready(*p)) {
            self.quantity[person] = Some(self.compute(person)?);
        }
        Some(())
    }

    fn ready(&self, person: usize) -> bool {
        match self.sources[person] {
            Source::More(m, _) | Source::Fewer(m, _) | Source::Times(m, _) | Source::Part(m, _) => self.quantity[m].is_some(),
            Source::Sum(a, b) => self.quantity[a].is_some() && self.quantity[b].is_some(),
            _ => true,
        }
    }

    fn compute(&mut self, person: usize) -> Option<Quantity> {
        let name = self.cast[person];
        let unit = self.voice.unit;
        let whole = self.voice.person_line(name);
        let subject = self.subject(&[name], &[unit], None);
        let size = Quantity::given(self.voice.unit_size().unwrap_or(1));
        let given = Quantity::given;
        let of = |draft: &Self, m: usize| draft.quantity[m];
        match self.sources[person] {
            Source::Given(n) => Some(given(n)),
            Source::Groups(a, b) => self.step(whole, given(a), Op::Mul, given(b), subject),
            Source::GroupsPlus(a, b, c) => {
                let grouped = self.subject(&[name], &[self.voice.group_noun(), unit], None);
                let words = self.voice.group_line(name);
                let groups = self.step(words, given(a), Op::Mul, given(b), grouped)?;
                self.step(whole, groups, Op::Add, given(c), subject)
            }
            Source::Units(a) => self.step(whole, given(a), Op::Mul, size, subject),
            Source::UnitsPlus(a, c) => {
                let larger = self.subject(&[name], &[self.voice.larger_noun(), unit], None);
                let words = self.voice.larger_line(name);
                let units = self.step(words, given(a), Op::Mul, size, larger)?;
                self.step(whole, units, Op::Add, given(c), subject)
            }
            Source::More(m, n) => self.step(whole, of(self, m)?, Op::Add, given(n), subject),
            Source::Fewer(m, n) => self.step(whole, of(self, m)?, Op::Sub, given(n), subject),
            Source::Times(m, k) => self.step(whole, given(k), Op::Mul, of(self, m)?, subject),
            Source::Part(m, k) => self.step(whole, of(self, m)?, Op::Div, given(k), subject),
            Source::Sum(a, b) => self.step(whole, of(self, a)?, Op::Add, of(self, b)?, subject),
        }
    }

    /// A sentence that does not matter: another thing, an age or a distance.
    fn distractor(&self, kind: usize, rng: &mut ChaCha8Rng) -> Option<String> {
        let name = *self.cast.choose(rng)?;
        let n = rng.random_range(5..=40);
        let other = THINGS.iter().map(|t| t.0).filter(|t| *t != self.voice.unit).collect::<Vec<_>>();
        let thing = *other.choose(rng)?;
        let place = *RECEIVERS.choose(rng)?;
        Some(match (kind, self.voice.unseen) {
            (0, false) => format!("{name} has {n} {thing}."),
            (0, true) => format!("{name} keeps {n} {thing} at home."),
            (1, false) => format!("{name} is {n} years old."),
            (1, true) => format!("The age of {name} is {n}."),
            (_, false) => format!("The way to {place} takes {n} minutes."),
            (_, true) => format!("It is {n} minutes to {place}."),
        })
    }

    /// Something happens to one person's things.
    fn event(&mut self, person: usize, rng: &mut ChaCha8Rng) -> Option<()> {
        let (name, u, unseen) = (self.cast[person], self.voice.unit, self.voice.unseen);
        let have = self.quantity[person]?;
        let left = self.subject(&[name], &[u], Some(Role::Left));
        let left_words =
            if unseen { (format!("That leaves {name} with "), format!(" {u}.")) } else { (format!("{name} has "), format!(" {u} left.")) };
        let parts: Vec<i64> = (2..=5).filter(|k| have.value % k == 0).collect();
        let after = match rng.random_range(0..3) {
            0 if have.value > 6 => {
                let n = rng.random_range(2..=(have.value - 2).min(if self.larger { 900 } else { 30 }));
                let seen = [format!("Then {name} gives away {n} {u}."), format!("Then {name} loses {n} {u}.")];
                let sentence = pick(rng, unseen, &seen, &[format!("Later {n} {u} of {name} break.")]);
                self.sentences.push(sentence);
                self.step(left_words, have, Op::Sub, Quantity::given(n), left)?
            }
            1 if !parts.is_empty() => {
                let k = *parts.choose(rng)?;
                let whose = if self.female[person] { "her" } else { "his" };
                let part = part_of(k);
                let seen = [format!("Then {name} sells {part} {whose} {u}.")];
                let sentence = pick(rng, unseen, &seen, &[format!("Later {part} the {u} of {name} go to a buyer.")]);
                self.sentences.push(sentence);
                let words = if unseen {
                    (format!("Of all the {u}, {name} gives away "), ".".into())
                } else {
                    (format!("{name} sells "), format!(" {u}."))
                };
                let gone = self.subject(&[name], &[u], Some(Role::Gone));
                let sold = self.step(words, have, Op::Div, Quantity::given(k), gone)?;
                self.step(left_words, have, Op::Sub, sold, left)?
            }
            _ => {
                let n = self.small(rng);
                let seen = [format!("Then {name} buys {n} more {u}."), format!("Then {name} finds {n} more {u}.")];
                let sentence = pick(rng, unseen, &seen, &[format!("Later {n} other {u} reach {name}.")]);
                self.sentences.push(sentence);
                let words = if unseen {
                    (format!("After that, {name} has "), format!(" {u}."))
                } else {
                    (format!("Now {name} has "), format!(" {u}."))
                };
                let subject = self.subject(&[name], &[u], None);
                self.step(words, have, Op::Add, Quantity::given(n), subject)?
            }
        };
        self.quantity[person] = Some(after);
        Some(())
    }

    fn difference(&mut self, a: usize, b: usize) -> Option<()> {
        let (qa, qb) = (self.quantity[a]?, self.quantity[b]?);
        let (more, less, high, low) = if qa.value > qb.value { (a, b, qa, qb) } else { (b, a, qb, qa) };
        let told = |p: usize, q: usize| matches!(self.sources[p], Source::More(m, n) | Source::Fewer(m, n) if m == q && n == high.value - low.value);
        if told(more, less) || told(less, more) {
            return None;
        }
        let (more, less) = (self.cast[more], self.cast[less]);
        let mut subject = self.subject(&[more, less], &[self.voice.unit], Some(Role::More));
        subject.ordered = true;
        self.sentences.push(self.voice.difference_question(more, less));
        let words = self.voice.difference_line(more, less);
        self.last = self.step(words, high, Op::Sub, low, subject)?.from;
        Some(())
    }

    /// Keeps the steps that the asked one needs, in order; the others become extras.
    fn finish(mut self, split: Split) -> Option<Story> {
        let last = self.last?;
        let mut needed = vec![false; self.steps.len()];
        needed[last] = true;
        for i in (0..self.steps.len()).rev() {
            if needed[i] {
                for d in self.steps[i].operands.iter().filter_map(|o| o.source) {
                    needed[d] = true;
                }
            }
        }
        let helping = needed.iter().filter(|n| **n).count();
        let (mut next, mut next_extra) = (0, helping);
        let place: Vec<usize> = needed
            .iter()
            .map(|n| {
                let counter = if *n { &mut next } else { &mut next_extra };
                *counter += 1;
                *counter - 1
            })
            .collect();
        for operand in self.steps.iter_mut().flat_map(|s| &mut s.operands) {
            operand.source = operand.source.map(|s| place[s]);
        }
        let answer = self.steps[last].result;
        let (mut steps, mut extra) = (Vec::new(), Vec::new());
        for (step, helps) in self.steps.into_iter().zip(needed) {
            if helps { steps.push(step) } else { extra.push(step) }
        }
        Some(Story { id: String::new(), problem: self.sentences.join(" "), steps, extra, answer, split })
    }
}

/// What the running quantity counts, which decides what can happen to it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stage {
    Things,
    Packs,
    Dollars,
    Cents,
    Pages,
    Minutes,
    /// Nothing more can happen.
    Done,
}

impl Stage {
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Things => Stage::Things,
            Kind::Money => Stage::Dollars,
            Kind::Pages => Stage::Pages,
            Kind::Minutes => Stage::Minutes,
        }
    }
}

/// The running quantity, and the question that would end the story now.
pub(super) struct Tail {
    pub holder: Holder,
    pub running: Quantity,
    pub unit: &'static str,
    pub stage: Stage,
    pub question: String,
}
