//! The domain gate of a reward model that is trained here: made when it is calibrated, or later from demonstrations of its task.

use crate::model::{DeviceChoice, ModelFiles};
use crate::reward::{FEWEST, Gate, LocalReward, RewardCard, RewardModel, RewardNet, Sequence};
use crate::task::stories::{Split, story};
use crate::task::{Demonstration, Task};
use crate::trace::{Candidate, Segmentation, Token, TokenValue, segment};
use crate::train::TrainError;
use crate::train::encoding::Encoding;
use crate::train::models::package::write_json;
use crate::train::models::training_problems::training_problems;
use std::path::Path;

/// Demonstrations whose tokens are the vocabulary of the task, at most.
const MOST_SEEN: usize = 20_000;
/// Held-out texts that a gate is made of afterwards, where there are so many.
const HELD_OUT: usize = 2_000;
/// The same in training: no fewer bound a chance of 1 % for three numbers.
pub const HELD_OUT_IN_TRAINING: usize = 300;

/// The gate of a network. `seen`: prompts and completions that it was trained on; `held_out`: demonstrations that it was not. `None` where those are too few.
pub fn fit<'a>(
    net: &RewardNet,
    encoding: &Encoding,
    card: &RewardCard,
    seen: impl IntoIterator<Item = (&'a [u32], &'a [u32])>,
    held_out: &[Demonstration],
    slack: f32,
) -> Result<Option<Gate>, TrainError> {
    let sequences = held_out.iter().map(|d| sequence(encoding, d)).collect::<Result<Vec<_>, TrainError>>()?;
    let seen = seen.into_iter().take(MOST_SEEN).flat_map(|(prompt, completion)| prompt.iter().chain(completion).copied());
    let marks = |i: usize, rewards: &[f32]| marks_first(encoding, card, sequences.get(i)?.completion(), rewards);
    Ok(Gate::fit(net, &card.task, seen, &sequences, slack, marks)?)
}

fn sequence(encoding: &Encoding, d: &Demonstration) -> Result<Sequence, TrainError> {
    Ok(Sequence::new(&encoding.prompt(&d.problem.text)?, &encoding.completion(&d.solution)?))
}

/// Whether the first step of a completion is marked at the card's threshold; `None` where it has none.
fn marks_first(encoding: &Encoding, card: &RewardCard, ids: &[u32], rewards: &[f32]) -> Option<bool> {
    card.calibration.reward()?;
    let (text, spans) = encoding.text(ids);
    let tokens = spans.iter().zip(rewards).map(|(span, value)| TokenValue { span: *span, value: *value }).collect();
    let tokens_of_text = spans.iter().map(|span| Token { span: *span, ..Token::default() }).collect();
    let candidate =
        Candidate { steps: segment(&text, &Segmentation::Line), text, tokens: tokens_of_text, ..Candidate::default() }.with_rewards(tokens);
    let signal = candidate.signal(crate::trace::REWARD)?;
    let detector = card.calibration.detector();
    let first = detector.first(signal, &candidate, candidate.steps.len(), card.granularity, &card.calibration);
    Some(first.is_some_and(|d| d.step == 0))
}

/// Makes the gate of a reward model that was trained before, and writes it into its card. The demonstrations are of the model's task; those that it was trained
/// on give the vocabulary, the others the quantiles. A model of `stories` needs none: they are made. `slack`: nats a token by which a text must be less likely than
/// nearly all of those to lie outside; `reward.gate_slack` of the recipe in training.
///
/// # Errors
/// The model does not load, its card cannot be written, or there are too few demonstrations that it was not trained on.
pub fn amend(dir: &Path, demonstrations: &[Demonstration], slack: f32, device: DeviceChoice) -> Result<Gate, TrainError> {
    let files = ModelFiles::open(dir)?;
    let model = LocalReward::open(&files, &device.open()?, None)?;
    let mut card = model.card().clone();
    let eos = model.net().decoder.config().eos_token_ids.first().copied();
    let eos = eos.ok_or_else(|| TrainError::Data(format!("{}: has no end-of-sequence token in config.json", dir.display())))?;
    let encoding = Encoding { tokenizer: model.tokenizer().clone(), eos };
    let stories = demonstrations.is_empty() && card.task == Task::Stories.name();
    if demonstrations.is_empty() && !stories {
        return Err(TrainError::Data(format!("{}: has learned {}; name files with demonstrations of it", model.name(), card.task)));
    }
    let (seen, held_out): (Vec<Demonstration>, Vec<Demonstration>) = if stories {
        let of = |split, n: usize| (0..n as u64).map(|i| Demonstration::from(&story(split, card.seed, i))).collect();
        (of(Split::Train, MOST_SEEN.min(card.demonstrations)), of(Split::Validation, HELD_OUT))
    } else {
        let trained_on = training_problems(&files)?.unwrap_or_default();
        let (mut seen, mut rest): (Vec<Demonstration>, Vec<Demonstration>) =
            demonstrations.iter().cloned().partition(|d| trained_on.contains(&d.problem.text));
        if seen.is_empty() {
            seen = rest.split_off(rest.len() / 2);
        }
        (seen, rest.into_iter().take(HELD_OUT).collect())
    };
    let seen = seen.iter().map(|d| sequence(&encoding, d)).collect::<Result<Vec<_>, TrainError>>()?;
    let seen = seen.iter().map(|s| s.ids.split_at(s.start));
    let gate = fit(model.net(), &encoding, &card, seen, &held_out, slack)?.ok_or_else(|| {
        let n = held_out.len();
        TrainError::Data(format!(
            "{}: {n} demonstrations that it was not trained on are too few for a gate; give {FEWEST} or more",
            model.name()
        ))
    })?;
    card.gate = Some(gate.clone());
    write_json(&dir.join(RewardCard::FILE), &card)?;
    Ok(gate)
}
