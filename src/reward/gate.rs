//! The domain gate: what a reward model's own decoder finds ordinary, so that it can say of other text that it has not learned on such.
//!
//! Held-out text of its task is read as any other text is. Three numbers of a text are looked at: the mean log-probability of the problem's tokens, that of
//! the solution's, and the share of tokens that the task's texts have at all. A trace lies outside where one of them is lower, by [`SLACK`], than in nearly all
//! held-out text: the quantiles are split-conformal (arXiv 2107.07511 §1), so the chance that a fresh text of the task lies outside is at most the stated one.

use super::conformal_threshold;
use super::net::{RewardNet, Sequence, numbers};
use crate::model::{Decoder, ModelError, ops};
use crate::trace::{Domain, Measure};
use candle_core::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The chance that a text of the model's own task lies outside, where there is text enough to know.
pub const FALSE_ALARMS: f32 = 0.01;
/// How far below the quantile a text must lie where nobody says: this many nats a token, a factor e for each. Text of another make (longer, other phrases) is
/// told from foreign text by it.
pub const SLACK: f32 = 1.0;
/// The same for the share of known tokens.
const SLACK_KNOWN: f32 = 0.1;
/// Held-out texts that a gate needs at least.
pub const FEWEST: usize = 20;
/// Tokens of a text that grows before its mean says something.
const FEWEST_TOKENS: usize = 16;
/// The same of a text that has ended: there will be no more of it, and one of a few tokens is unlike a task's own where those are longer.
const FEWEST_OF_ALL: usize = 1;
/// Positions whose logits over the vocabulary stand in memory at a time.
const ROWS: usize = 256;
/// Sequences read in one pass.
const BATCH: usize = 4;

/// A number of held-out texts, and where the ordinary ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ordinary {
    /// One in a hundred texts is below.
    pub q01: f32,
    /// Every second text is below.
    pub q50: f32,
    /// All but one in a hundred texts are below.
    pub q99: f32,
    /// A text below it is outside.
    pub limit: f32,
}

/// What a reward model keeps in its card of the text that it has learned on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// The task whose texts these are.
    pub task: String,
    /// Mean log-probability of a problem's tokens, in nats.
    pub problem: Ordinary,
    /// Mean log-probability of a solution's tokens, in nats.
    pub text: Ordinary,
    /// Share of the tokens of both that are among [`known`](Self::known).
    pub vocabulary: Ordinary,
    /// Share of the held-out solutions, which are right, whose first step is marked at the card's threshold; `None` where nothing is calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_step_marked: Option<f32>,
    /// The chance that a text of the task lies outside, as the quantiles bound it; with the slack below them it is less.
    pub false_alarm_rate: f32,
    /// Held-out texts that the quantiles are of.
    pub samples: usize,
    /// How, in a sentence.
    pub method: String,
    /// The tokens that the task's texts have.
    pub known: IdSet,
}

/// A set of token ids, written as hexadecimal bytes, eight ids each, the lowest bit first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct IdSet(Vec<u8>);

impl IdSet {
    /// Whether an id is among them.
    pub fn has(&self, id: u32) -> bool {
        self.0.get(id as usize / 8).is_some_and(|byte| byte >> (id % 8) & 1 == 1)
    }

    fn add(&mut self, id: u32) {
        let at = id as usize / 8;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (id % 8);
    }
}

impl FromIterator<u32> for IdSet {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        let mut set = Self::default();
        ids.into_iter().for_each(|id| set.add(id));
        set
    }
}

impl From<IdSet> for String {
    fn from(set: IdSet) -> Self {
        set.0.iter().fold(String::with_capacity(2 * set.0.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl TryFrom<String> for IdSet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let byte = |pair: &[u8]| {
            let digits = std::str::from_utf8(pair).ok().filter(|d| d.len() == 2 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u8::from_str_radix(digits, 16).ok()
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.map(Self).ok_or_else(|| "gate.known is no string of hexadecimal bytes".into())
    }
}

/// One text as the gate looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Looked {
    /// Mean log-probability of the problem's tokens.
    pub problem: Option<f32>,
    /// Mean log-probability of the solution's tokens.
    pub text: Option<f32>,
    /// Share of the tokens of both that are known.
    pub vocabulary: Option<f32>,
}

impl Looked {
    /// Puts together what was read: the problem's mean; of the solution the sum of its tokens' log-probabilities and their number; of both, the known tokens of
    /// all. A solution says nothing before it has 16 tokens, or one where it has `ended`.
    pub fn of(problem: Option<f32>, (sum, tokens): (f64, usize), (known, all): (usize, usize), ended: bool) -> Self {
        let least = if ended { FEWEST_OF_ALL } else { FEWEST_TOKENS };
        Self {
            problem,
            text: (tokens >= least).then(|| (sum / tokens as f64) as f32),
            vocabulary: (all >= least).then(|| known as f32 / all as f32),
        }
    }
}

impl Gate {
    /// What a text is beside the model's own.
    pub fn domain(&self, looked: &Looked) -> Domain {
        let measure = |value, ordinary: &Ordinary| Measure { value, limit: ordinary.limit };
        Domain {
            task: self.task.clone(),
            problem: measure(looked.problem, &self.problem),
            text: measure(looked.text, &self.text),
            vocabulary: measure(looked.vocabulary, &self.vocabulary),
            false_alarm_rate: self.false_alarm_rate,
        }
    }

    /// Makes a gate. `seen`: ids of texts of the task; `held_out`: prompts and completions of other texts of it, which are right; `marks`: whether a completion's
    /// first step is marked, given its rewards; `slack`: how far below the quantiles the limits are, in nats a token. `None` where there are fewer than [`FEWEST`].
    pub fn fit(
        net: &RewardNet,
        task: &str,
        seen: impl IntoIterator<Item = u32>,
        held_out: &[Sequence],
        slack: f32,
        marks: impl Fn(usize, &[f32]) -> Option<bool>,
    ) -> Result<Option<Self>, ModelError> {
        if held_out.len() < FEWEST {
            return Ok(None);
        }
        let known: IdSet = seen.into_iter().collect();
        let (mut problems, mut texts, mut shares, mut marked) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, (sequence, read)) in held_out.iter().zip(look(net, held_out)?).enumerate() {
            let looked = read.looked(&known, sequence);
            problems.extend(looked.problem);
            texts.extend(looked.text);
            shares.extend(looked.vocabulary);
            marked.extend(marks(i, &read.rewards));
        }
        let each = FALSE_ALARMS / 3.0;
        let n = held_out.len();
        let ordinary = |mut values: Vec<f32>, slack: f32| {
            values.sort_by(f32::total_cmp);
            let at = |share: f32| values.get(((values.len() as f32 * share) as usize).min(values.len().saturating_sub(1))).copied();
            let least = || values.first().copied();
            let quantile = conformal_threshold(&values, f64::from(each)).or_else(least)?;
            Some(Ordinary { q01: at(0.01)?, q50: at(0.5)?, q99: at(0.99)?, limit: quantile - slack })
        };
        let (Some(problem), Some(text), Some(vocabulary)) =
            (ordinary(problems, slack), ordinary(texts, slack), ordinary(shares, SLACK_KNOWN))
        else {
            return Ok(None);
        };
        // Of fewer texts the least is taken, and the chance to be below it is one in their number and one more.
        let rate = FALSE_ALARMS.max(3.0 / (n + 1) as f32);
        let share = |m: &[bool]| m.iter().filter(|m| **m).count() as f32 / m.len() as f32;
        Ok(Some(Self {
            task: task.into(),
            problem,
            text,
            vocabulary,
            first_step_marked: (!marked.is_empty()).then(|| share(&marked)),
            false_alarm_rate: rate,
            samples: n,
            method: format!(
                "split conformal on {n} held-out texts of {task}, a third of the rate for each number; limits {slack} nats a token and {SLACK_KNOWN} of the tokens lower"
            ),
            known,
        }))
    }
}

/// What a network says of one sequence.
pub struct Read {
    /// Mean log-probability of the prompt's tokens but the first, which nothing predicts.
    problem: Option<f32>,
    /// Log-probability of each completion token.
    logprobs: Vec<f32>,
    /// Reward of each completion token.
    rewards: Vec<f32>,
}

impl Read {
    fn looked(&self, known: &IdSet, sequence: &Sequence) -> Looked {
        let sum = self.logprobs.iter().map(|l| f64::from(*l)).sum();
        let count = sequence.ids.iter().filter(|id| known.has(**id)).count();
        Looked::of(self.problem, (sum, self.logprobs.len()), (count, sequence.ids.len()), true)
    }
}

/// What a gate says of completions of one prompt, whose log-probabilities are known: their ids and those, one each.
pub fn domains<'a>(
    net: &RewardNet,
    gate: &Gate,
    prompt: &[u32],
    completions: impl IntoIterator<Item = (&'a [u32], &'a [f32])>,
) -> Result<Vec<Domain>, ModelError> {
    let problem = look(net, &[Sequence::new(prompt, &[])])?.first().and_then(|r| r.problem);
    let one = |(ids, logprobs): (&[u32], &[f32])| {
        let sum = logprobs.iter().map(|l| f64::from(*l)).sum();
        let known = prompt.iter().chain(ids).filter(|id| gate.known.has(**id)).count();
        gate.domain(&Looked::of(problem, (sum, logprobs.len()), (known, prompt.len() + ids.len()), true))
    };
    Ok(completions.into_iter().map(one).collect())
}

fn look(net: &RewardNet, sequences: &[Sequence]) -> Result<Vec<Read>, ModelError> {
    let parts: Vec<Result<Vec<Read>, ModelError>> = sequences
        .par_chunks(BATCH)
        .map(|chunk| {
            // All tokens but the first are read as a completion: those of the prompt are the problem's.
            let whole: Vec<Sequence> = chunk.iter().map(|s| Sequence { ids: s.ids.clone(), start: 1 }).collect();
            let out = net.forward(&whole.iter().collect::<Vec<_>>())?;
            let (rewards, logprobs) = (numbers(&out.reward)?, numbers(&out.log_prob)?);
            let mut at = 0;
            Ok(chunk
                .iter()
                .map(|s| {
                    let (start, end) = (at + s.start - 1, at + s.ids.len() - 1);
                    let problem = mean(&logprobs[at..start]);
                    at = end;
                    Read { problem, logprobs: logprobs[start..end].to_vec(), rewards: rewards[start..end].to_vec() }
                })
                .collect())
        })
        .collect();
    let mut out = Vec::with_capacity(sequences.len());
    for part in parts {
        out.extend(part?);
    }
    Ok(out)
}

fn mean(values: &[f32]) -> Option<f32> {
    (!values.is_empty()).then(|| values.iter().sum::<f32>() / values.len() as f32)
}

/// Mean log-probability of a prompt's tokens but the first, from the states after each of them, `[n, hidden]`; `None` of one token.
pub(super) fn of_prompt(decoder: &Decoder, prompt: &[u32], hidden: &Tensor) -> Result<Option<f32>, ModelError> {
    let targets = prompt.get(1..).unwrap_or_default();
    let mut all = Vec::with_capacity(targets.len());
    for (i, targets) in targets.chunks(ROWS).enumerate() {
        let logits = decoder.logits(&hidden.narrow(0, i * ROWS, targets.len())?)?;
        all.extend(numbers(&ops::token_log_prob(&logits, targets)?)?);
    }
    Ok(mean(&all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::embedded_reward;
    use crate::reward::{LocalReward, Piece, RewardModel};
    use crate::task::stories::{Split, story};
    use candle_core::Device;

    /// Foreign mathematics, as the embedded model has never seen it.
    const FOREIGN: (&str, &str) = (
        "Let f be a quadratic function with f(1) = 2 and f'(0) = -1; determine the discriminant of f.",
        "We write f(x) = ax^2 + bx + c, so that f'(0) = b = -1.\nThen a + c = 3, which leaves one degree of freedom.",
    );

    fn model() -> LocalReward {
        LocalReward::open(&embedded_reward(), &Device::Cpu, None).unwrap()
    }

    fn sequences(model: &LocalReward, split: Split, n: u64) -> Vec<Sequence> {
        let eos = model.net().decoder.config().eos_token_ids[0];
        let one = |i| {
            let s = story(split, 3, i);
            let tokenizer = model.tokenizer();
            Sequence::new(&tokenizer.frame_problem(&s.problem).unwrap().ids, &tokenizer.frame_completion(eos, &s.solution()).unwrap())
        };
        (0..n).map(one).collect()
    }

    fn gate(model: &LocalReward) -> Gate {
        let seen = sequences(model, Split::Train, 200);
        let marks = |i: usize, _: &[f32]| Some(i == 0);
        let held_out = sequences(model, Split::Validation, 40);
        Gate::fit(model.net(), "stories", seen.iter().flat_map(|s| s.ids.clone()), &held_out, SLACK, marks).unwrap().unwrap()
    }

    #[test]
    fn a_set_of_ids_is_written_and_read() {
        let set: IdSet = [0, 3, 9, 17].into_iter().collect();
        let text = String::from(set.clone());
        assert_eq!(text, "090202");
        assert_eq!(IdSet::try_from(text).unwrap(), set);
        assert_eq!([0, 1, 3, 9, 17, 18, 99_999].map(|id| set.has(id)), [true, false, true, true, true, false, false]);
        assert!(
            IdSet::try_from("0".to_owned()).is_err()
                && IdSet::try_from("zz".to_owned()).is_err()
                && IdSet::try_from("é".to_owned()).is_err()
        );
    }

    #[test]
    fn a_short_text_says_nothing() {
        assert_eq!(Looked::of(Some(-1.0), (-30.0, 15), (3, 15), false), Looked { problem: Some(-1.0), text: None, vocabulary: None });
        assert_eq!(Looked::of(None, (-32.0, 16), (8, 16), false), Looked { problem: None, text: Some(-2.0), vocabulary: Some(0.5) });
        assert_eq!(Looked::of(None, (-16.0, 8), (7, 7), true), Looked { problem: None, text: Some(-2.0), vocabulary: Some(1.0) });
        assert_eq!(Looked::of(None, (0.0, 0), (0, 0), true), Looked::default());
    }

    #[test]
    fn own_text_lies_inside_and_foreign_text_outside() {
        let model = model();
        let gate = gate(&model);
        // 40 texts: the least of each number, and the chance of three numbers in 41.
        assert_eq!((gate.samples, gate.first_step_marked), (40, Some(1.0 / 40.0)));
        assert!((gate.false_alarm_rate - 3.0 / 41.0).abs() < 1e-6);
        assert!(gate.problem.q01 <= gate.problem.q50 && gate.problem.q50 <= gate.problem.q99);
        assert!(gate.problem.limit <= gate.problem.q01 - SLACK + 1e-6, "{gate:?}");
        let read: Gate = serde_json::from_str(&serde_json::to_string(&gate).unwrap()).unwrap();
        assert_eq!(read, gate);
        for split in [Split::InDistribution, Split::LongerChains] {
            for sequence in sequences(&model, split, 10) {
                let out = score_one(&model, &gate, &sequence);
                assert!(!out.is_outside(), "{split:?} {out:?}");
            }
        }
        let eos = model.net().decoder.config().eos_token_ids[0];
        let tokenizer = model.tokenizer();
        let foreign = Sequence::new(&tokenizer.frame_problem(FOREIGN.0).unwrap().ids, &tokenizer.frame_completion(eos, FOREIGN.1).unwrap());
        let out = score_one(&model, &gate, &foreign);
        assert!(out.is_outside() && out.why().unwrap().contains("nats a token"), "{out:?}");
        assert_eq!(
            Gate::fit(model.net(), "stories", [], &sequences(&model, Split::Validation, 19), SLACK, |_, _| None).unwrap(),
            None,
            "too few"
        );
    }

    fn score_one(model: &LocalReward, gate: &Gate, sequence: &Sequence) -> Domain {
        let scores = crate::reward::score(model.net(), std::slice::from_ref(sequence)).unwrap();
        let read = [(sequence.completion(), scores[0].logprobs.as_slice())];
        domains(model.net(), gate, &sequence.ids[..sequence.start], read).unwrap().remove(0)
    }

    #[test]
    fn a_growing_text_ends_up_as_the_whole_and_an_older_card_says_nothing() {
        let (dir, files) = (tempfile::tempdir().unwrap(), embedded_reward());
        let gate = gate(&model());
        let mut card: crate::reward::RewardCard = serde_json::from_slice(&files.read("reward.json").unwrap()).unwrap();
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            std::fs::write(dir.path().join(name), files.read(name).unwrap()).unwrap();
        }
        let mut open = |gate: Option<Gate>| {
            card.gate = gate;
            std::fs::write(dir.path().join("reward.json"), serde_json::to_vec(&card).unwrap()).unwrap();
            LocalReward::open(&crate::model::ModelFiles::open(dir.path()).unwrap(), &Device::Cpu, None).unwrap()
        };
        let piece = |candidate, text, new: usize, finished| Piece {
            candidate,
            text,
            tokens: &[],
            new: new..str::len(text),
            finished,
            cut_short: false,
            steps: &[],
        };
        let (problem, text) = FOREIGN;
        let half = text.find('\n').unwrap() + 1;
        let mut model = open(Some(gate.clone()));
        model.begin(problem, 2).unwrap();
        assert_eq!(model.domain(0).and_then(|d| d.text.value), None, "nothing was read");
        model.append(&[piece(0, &text[..half], 0, false), piece(1, text, 0, true)]).unwrap();
        model.append(&[piece(0, text, half, true)]).unwrap();
        let (grown, whole) = (model.domain(0).unwrap(), model.domain(1).unwrap());
        let near = |a: Option<f32>, b: Option<f32>| (a.unwrap() - b.unwrap()).abs() < 1e-4;
        for (a, b) in [(grown.problem, whole.problem), (grown.text, whole.text), (grown.vocabulary, whole.vocabulary)] {
            assert!(near(a.value, b.value), "{grown:?} {whole:?}");
        }
        let ids = |t: &str| model.tokenizer().frame_completion(model.net().decoder.config().eos_token_ids[0], t).unwrap();
        let sequence = Sequence::new(&model.tokenizer().frame_problem(problem).unwrap().ids, &ids(text));
        let at_once = score_one(&model, &gate, &sequence);
        assert!(near(at_once.problem.value, whole.problem.value) && near(at_once.text.value, whole.text.value), "{at_once:?} {whole:?}");
        let mut old = open(None);
        old.begin(problem, 1).unwrap();
        old.append(&[piece(0, text, 0, true)]).unwrap();
        assert_eq!(old.domain(0), None);
    }
}
