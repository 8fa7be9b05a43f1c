//! Expert demonstrations as token sequences, in one encoding for everybody: problem, newline, completion, end of sequence.

use super::TrainError;
use super::encoding::Encoding;
use super::world::World;
use crate::eval::grader::Grader;
use crate::reward::Sequence;
use crate::task::stories::{self, Corruption, Split, Story};
use crate::task::{Demonstration, Problem, Task, TextCorruption, corrupt_text};
use crate::util::seed;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use std::ops::Range;
use std::sync::{Arc, Mutex};

enum Source {
    /// Generated on demand from the seed: those with a demonstration from the training split, the others built as this split's are.
    Stories(Split),
    Listed(Task, Vec<Demonstration>),
}

/// Whether completions are right. Of several processes, each runs its share of programs, and all hear of all: a limit on time may be passed in one and not in
/// another.
pub(super) fn grade(grader: &Grader, task: Task, items: &[(&Problem, &str)]) -> Result<Vec<Option<bool>>, TrainError> {
    let world = World::here();
    if world.size() == 1 || !task.runs_code() {
        return Ok(grader.grade_all(task, items)?);
    }
    let mine: Vec<(&Problem, &str)> = world.share(items).into_iter().copied().collect();
    let verdicts = world.agree(grader.grade_all(task, &mine).map_err(TrainError::from))?;
    Ok(world.verdicts(&verdicts))
}

/// Training problems, all tokenised; the first of them have demonstrations.
pub struct Demonstrations {
    prompts: Vec<Vec<u32>>,
    completions: Vec<Vec<u32>>,
    encoding: Encoding,
    source: Source,
    seed: u64,
    grader: Arc<Grader>,
    /// The epoch that was asked for last, and its order.
    order: Mutex<Option<(usize, Vec<u32>)>>,
}

impl Demonstrations {
    /// The story of demonstration `i` under `seed`.
    pub fn story(seed: u64, i: u64) -> Story {
        stories::story(Split::Train, seed, i)
    }

    /// Text that a tokenizer is trained on: every demonstration.
    pub fn corpus(seed: u64, n: usize) -> impl Iterator<Item = String> {
        (0..n as u64).map(move |i| {
            let s = Self::story(seed, i);
            format!("{}\n{}\n", s.problem, s.solution())
        })
    }

    /// Stories `0..problems` under `seed`, the first `n` with their solutions; the others are built as those of `practice` are, from the training pool.
    /// Where that is another split, [`Demonstrations::problem_batch`] has them alone.
    pub fn stories(encoding: Encoding, seed: u64, n: usize, problems: usize, practice: Split) -> Result<Self, TrainError> {
        let all = (0..problems.max(n)).map(|i| Demonstration::from(&Self::story_of(seed, i, n, practice)));
        Self::tokenise(encoding, Source::Stories(practice), seed, n, all)
    }

    fn story_of(seed: u64, i: usize, demonstrated: usize, practice: Split) -> Story {
        match i < demonstrated || practice == Split::Train {
            true => Self::story(seed, i as u64),
            false => stories::practice_story(practice, seed, i as u64),
        }
    }

    /// The demonstrations given.
    pub fn listed(task: Task, encoding: Encoding, seed: u64, n: usize, all: Vec<Demonstration>) -> Result<Self, TrainError> {
        let copy = all.clone().into_iter();
        Self::tokenise(encoding, Source::Listed(task, all), seed, n, copy)
    }

    fn tokenise(
        encoding: Encoding,
        source: Source,
        seed: u64,
        n: usize,
        all: impl Iterator<Item = Demonstration>,
    ) -> Result<Self, TrainError> {
        let (mut prompts, mut completions) = (Vec::new(), Vec::new());
        for d in all {
            prompts.push(encoding.prompt(&d.problem.text)?);
            if completions.len() < n {
                completions.push(encoding.completion(&d.solution)?);
            }
        }
        Ok(Self { prompts, completions, encoding, source, seed, grader: Arc::default(), order: Mutex::default() })
    }

    /// The same, with completions graded by `grader`; the default one runs no code.
    #[must_use]
    pub fn graded_by(self, grader: Arc<Grader>) -> Self {
        Self { grader, ..self }
    }

    /// Prompt and completion of each demonstration.
    pub fn encoded(&self) -> impl Iterator<Item = (&[u32], &[u32])> {
        self.prompts.iter().zip(&self.completions).map(|(p, c)| (p.as_slice(), c.as_slice()))
    }

    /// How many demonstrations there are.
    pub fn len(&self) -> usize {
        self.completions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.completions.is_empty()
    }

    /// How many problems there are, with and without demonstrations.
    pub fn problems(&self) -> usize {
        self.prompts.len()
    }

    /// The seed of their order, and of generated ones themselves.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How their texts become tokens.
    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// Problem `i` as text, with its solution.
    pub fn demonstration(&self, i: u64) -> Demonstration {
        match &self.source {
            Source::Stories(practice) => Demonstration::from(&Self::story_of(self.seed, i as usize, self.len(), *practice)),
            Source::Listed(_, all) => all[i as usize].clone(),
        }
    }

    /// The task.
    pub fn task(&self) -> Task {
        match &self.source {
            Source::Stories(_) => Task::Stories,
            Source::Listed(task, _) => *task,
        }
    }

    /// Whether texts, each with the index of its problem, are right; `None` where that cannot be told, as of code that may not be run.
    pub fn grade(&self, texts: &[(u64, String)]) -> Result<Vec<Option<bool>>, TrainError> {
        let problems: Vec<Problem> = texts.iter().map(|(i, _)| self.demonstration(*i).problem).collect();
        let items: Vec<(&Problem, &str)> = problems.iter().zip(texts).map(|(p, (_, text))| (p, text.as_str())).collect();
        grade(&self.grader, self.task(), &items)
    }

    /// Indices of the `n` demonstrations from the `from`-th on, in an order shuffled anew in every epoch: a function of the seed alone.
    pub fn batch(&self, from: usize, n: usize) -> Vec<u64> {
        self.draw(from, n, self.len())
    }

    /// As [`Demonstrations::batch`], of all problems that the policy practises on.
    pub fn problem_batch(&self, from: usize, n: usize) -> Vec<u64> {
        let practised = self.practised();
        self.draw(from, n, practised.len()).into_iter().map(|i| i + practised.start as u64).collect()
    }

    /// Which problems the policy practises on: all, or where they are of another split than the demonstrations, those alone.
    pub fn practised(&self) -> Range<usize> {
        match &self.source {
            Source::Stories(practice) if *practice != Split::Train => self.len()..self.problems(),
            _ => 0..self.problems(),
        }
    }

    fn draw(&self, from: usize, n: usize, of: usize) -> Vec<u64> {
        let mut out = Vec::with_capacity(n);
        let mut at = from;
        let mut kept = self.order.lock().unwrap_or_else(|e| e.into_inner());
        while out.len() < n && of > 0 {
            let epoch = at / of;
            if kept.as_ref().is_none_or(|(e, order)| *e != epoch || order.len() != of) {
                let mut order: Vec<u32> = (0..of as u32).collect();
                order.shuffle(&mut seed::stream(self.seed, (epoch as u64) << 32));
                *kept = Some((epoch, order));
            }
            let Some((_, order)) = kept.as_ref() else { break };
            let begin = at % of;
            let take = (n - out.len()).min(of - begin);
            out.extend(order[begin..begin + take].iter().map(|&i| u64::from(i)));
            at += take;
        }
        out
    }

    /// Tokens of a problem.
    pub fn prompt(&self, i: u64) -> Vec<u32> {
        self.prompts[i as usize].clone()
    }

    /// Problem and expert solution; `None` where the problem has no demonstration.
    pub fn expert(&self, i: u64) -> Option<Sequence> {
        self.completions.get(i as usize).map(|c| Sequence::new(&self.prompts[i as usize], c))
    }

    /// A corrupted solution of problem `i`, its expert twin, and the first completion token at which they differ; `None` where nothing could be
    /// corrupted. The kind of corruption, and whether later lines carry the wrong value on, are drawn from `rng`.
    pub fn corrupted(&self, i: u64, rng: &mut impl Rng) -> Option<(Sequence, Sequence, usize)> {
        let good = self.completions.get(i as usize)?;
        let text = match &self.source {
            Source::Stories(_) => {
                let story = Self::story(self.seed, i);
                let kind = *Corruption::ALL.choose(rng)?;
                stories::corrupt(&story, kind, rng.random_bool(0.5), rng)?.text
            }
            Source::Listed(_, all) => corrupt_text(&all[i as usize].solution, *TextCorruption::ALL.choose(rng)?, rng)?.0,
        };
        let bad = self.encoding.completion(&text).ok()?;
        let from = bad.iter().zip(good).position(|(a, b)| a != b)?;
        let prompt = &self.prompts[i as usize];
        Some((Sequence::new(prompt, &bad), Sequence::new(prompt, good), from))
    }
}
