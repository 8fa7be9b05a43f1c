//! Reward learning from labels: steps marked right or wrong, candidates marked right or wrong, and step values by Monte Carlo.

use crate::generate::Prompt;
use crate::model::Decoder;
use crate::reward::Sequence;
use crate::trace::{Candidate, GoldDeviation, Sampling, Trace, step_of_each};
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::learn::discriminator::Discriminator;
use crate::train::losses::objective::{Group, Labelled};
use crate::train::recipe::LabelKind;
use crate::train::rollout::Rollout;
use crate::train::world::sample_all;
use crate::util::seed::mix;
use std::ops::{ControlFlow, Range};

/// What is known of each step of a candidate: its own rating (a neutral one is right), or else the labelled first error: the steps before it are right, it is wrong, those after it are unknown.
pub fn step_labels(candidate: &Candidate) -> Vec<Option<bool>> {
    let known = |i: usize| match candidate.gold {
        Some(GoldDeviation::None) => Some(true),
        Some(GoldDeviation::Step(at)) => (i <= at).then_some(i < at),
        None => None,
    };
    candidate.ratings().into_iter().enumerate().map(|(i, rating)| rating.map(|r| r >= 0).or_else(|| known(i))).collect()
}

/// The sequence of a completion with some of its segments as right ones and others as wrong ones; a sequence with both is read twice.
fn split(sequence: &Sequence, right: Vec<Range<usize>>, wrong: Vec<Range<usize>>) -> Group {
    let one = |expert: bool, segments: Vec<Range<usize>>| Labelled { sequence: sequence.clone(), expert, segments, ..Labelled::default() };
    [(true, right), (false, wrong)].into_iter().filter(|s| !s.1.is_empty()).map(|(expert, s)| one(expert, s)).collect()
}

/// Groups to train on from labelled traces: a group a candidate for step labels, a group a problem for candidate labels.
pub fn groups(kind: LabelKind, traces: &[Trace], discriminator: &Discriminator) -> Result<Vec<Group>, TrainError> {
    let encoding = discriminator.data.encoding();
    let mut out = Vec::new();
    for trace in traces {
        let prompt = encoding.prompt(&trace.problem)?;
        let mut whole = Group::new();
        for candidate in &trace.candidates {
            let ids = encoding.completion(&candidate.text)?;
            let sequence = Sequence::new(&prompt, &ids);
            if kind == LabelKind::Pairs {
                let n = ids.len();
                whole.extend(candidate.correct.map(|right| discriminator.labelled(sequence, right, 0..n)));
                continue;
            }
            let labels = step_labels(candidate);
            if candidate.steps.is_empty() {
                continue;
            }
            let owner = step_of_each(encoding.text(&ids).1, &candidate.steps);
            let (mut right, mut wrong, mut start) = (Vec::new(), Vec::new(), 0);
            for end in (1..=owner.len()).filter(|&e| owner.get(e) != Some(&owner[e - 1])) {
                match labels.get(owner[end - 1]) {
                    Some(Some(true)) => right.push(start..end),
                    Some(Some(false)) => wrong.push(start..end),
                    _ => {}
                }
                start = end;
            }
            out.push(split(&sequence, right, wrong));
        }
        out.push(whole);
    }
    out.retain(|g| match kind {
        LabelKind::Pairs => g.iter().any(|l| l.expert) && g.iter().any(|l| !l.expert),
        _ => !g.is_empty(),
    });
    Ok(out)
}

/// Step labels by Monte Carlo (Math-Shepherd, arXiv 2312.08935, hard estimation): a step is right if one of `n` completions that `policy` samples from
/// the text up to its end reaches the reference answer. A group a rollout; `done` hears how many are through.
pub fn monte_carlo(
    policy: &Decoder,
    data: &Demonstrations,
    rollouts: &[Rollout],
    (n, sampling): (usize, &Sampling),
    done: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Vec<Group>, TrainError> {
    let seed = data.seed() ^ 0x6d63_7374;
    let ends: Vec<Vec<usize>> = rollouts.iter().map(|r| data.encoding().step_ends(&r.ids).0).collect();
    // The whole text needs no sample: it has its answer.
    let prefix = |(i, e): (usize, &usize)| Prompt {
        ids: [data.prompt(rollouts[i].problem), rollouts[i].ids[..=*e].to_vec()].concat(),
        seed: mix(mix(seed, i as u64), *e as u64),
    };
    let open = |i: usize| ends[i].iter().filter(move |&&e| e + 1 < rollouts[i].ids.len()).map(move |e| (i, e));
    let prompts: Vec<Prompt> = (0..rollouts.len()).flat_map(open).map(prefix).collect();
    let mut sampled = sample_all(policy, &prompts, n, sampling, &mut |so_far| done(so_far, prompts.len()))?.into_iter();
    let mut out = Vec::new();
    for (r, ends) in rollouts.iter().zip(&ends) {
        let (mut right, mut wrong, mut start) = (Vec::new(), Vec::new(), 0);
        for &e in ends {
            let reaches = if e + 1 < r.ids.len() {
                let Some(group) = sampled.next() else { return Ok(out) };
                let text = |ids: &[u32]| data.encoding().text(&[&r.ids[..=e], ids].concat()).0;
                let texts: Vec<(u64, String)> = group.iter().map(|c| (r.problem, text(&c.ids))).collect();
                data.grade(&texts)?.contains(&Some(true))
            } else {
                r.correct == Some(true)
            };
            if reaches { &mut right } else { &mut wrong }.push(start..e + 1);
            start = e + 1;
        }
        out.push(split(&r.sequence(data), right, wrong));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Segmentation, segment};

    fn candidate(labels: &[Option<f32>], gold: Option<GoldDeviation>) -> Candidate {
        let text = "a\nb\nc".to_owned();
        let mut steps = segment(&text, &Segmentation::Line);
        steps.iter_mut().zip(labels).for_each(|(s, l)| s.label = *l);
        Candidate { text, steps, gold, ..Candidate::default() }
    }

    #[test]
    fn labels_of_steps_and_of_first_errors() {
        let of = |labels: &[Option<f32>], gold| step_labels(&candidate(labels, gold));
        assert_eq!(of(&[Some(1.0), Some(0.0), None], None), [Some(true), Some(false), None]);
        assert_eq!(of(&[Some(1.0), Some(0.0), Some(-1.0)], None), [Some(true), Some(true), Some(false)]);
        assert_eq!(of(&[None; 3], Some(GoldDeviation::Step(1))), [Some(true), Some(false), None]);
        assert_eq!(of(&[None; 3], Some(GoldDeviation::None)), [Some(true); 3]);
        assert_eq!(of(&[None; 3], None), [None; 3]);
    }
}
