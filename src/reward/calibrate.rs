//! Thresholds without labels, from the policy's own samples on problems kept aside.
//!
//! Corrupted experts are far less likely than a policy's own errors, so thresholds fitted on them do not carry over. Here a sample stands for a
//! right one when its answer is the one that most samples of its problem agree on.

use crate::trace::{Calibration, Candidate, Granularity, step_entropy_max, step_logprob_min, step_rewards};
use std::collections::HashMap;

/// Least reward, least log-probability and highest entropy over a candidate's steps.
fn extremes(c: &Candidate) -> Option<[f32; 3]> {
    let least = |v: Vec<Option<f32>>| v.into_iter().flatten().reduce(f32::min);
    let most = |v: Vec<Option<f32>>| v.into_iter().flatten().reduce(f32::max);
    Some([
        least(step_rewards(Granularity::Dense, &c.rewards, &c.steps))?,
        least(step_logprob_min(&c.tokens, &c.steps))?,
        most(step_entropy_max(&c.tokens, &c.steps))?,
    ])
}

/// Candidates that stand for right ones: their answer is the most frequent of its problem, given by at least the share `agreement` of the samples.
pub fn agreeing(group: &[Candidate], agreement: f32) -> Vec<&Candidate> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for a in group.iter().filter_map(|c| c.answer.as_deref()) {
        *counts.entry(a).or_default() += 1;
    }
    let Some((&best, &n)) = counts.iter().max_by_key(|(a, n)| (**n, std::cmp::Reverse(**a))) else { return Vec::new() };
    if (n as f32) < agreement * group.len() as f32 {
        return Vec::new();
    }
    group.iter().filter(|c| c.answer.as_deref() == Some(best)).collect()
}

/// Split-conformal thresholds (arXiv 2107.07511 §1): the ⌊α(n+1)⌋-th smallest least reward of the `n` stand-ins, so that a fresh trace like them
/// is marked with probability at most `false_alarm_rate`; the same for log-probability and entropy. `groups`: scored samples, a problem each.
pub fn calibrate(groups: &[Vec<Candidate>], false_alarm_rate: f32, agreement: f32) -> Calibration {
    let found: Vec<[f32; 3]> = groups.iter().flat_map(|g| agreeing(g, agreement)).filter_map(extremes).collect();
    let n = found.len();
    let k = (false_alarm_rate * (n + 1) as f32).floor() as usize;
    let at = |column: usize, sign: f32| {
        let mut v: Vec<f32> = found.iter().map(|f| f[column] * sign).collect();
        v.sort_by(f32::total_cmp);
        k.checked_sub(1).and_then(|k| v.get(k)).map(|x| x * sign)
    };
    Calibration {
        threshold: at(0, 1.0),
        logprob: at(1, 1.0),
        entropy: at(2, -1.0),
        false_alarm_rate: Some(false_alarm_rate),
        samples: n,
        method: format!(
            "split conformal on {n} samples of the policy, of {} problems kept aside, whose answer at least {:.0} % of their group share; no labels",
            groups.len(),
            agreement * 100.0
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Span, Step, Token, TokenReward};

    fn candidate(answer: &str, reward: f32) -> Candidate {
        let span = Span::new(0, 4);
        Candidate {
            text: "abcd".into(),
            answer: Some(answer.into()),
            steps: vec![Step { span, ..Default::default() }],
            tokens: vec![Token { span, logprob: Some(reward / 10.0), entropy: Some(-reward), ..Default::default() }],
            rewards: vec![TokenReward { span, logit: reward }],
            ..Default::default()
        }
    }

    #[test]
    fn only_agreeing_samples_count_and_the_quantile_is_conformal() {
        // 9 agreeing samples with least rewards −1 … −9; of n + 1 = 10, a rate of 0.2 takes the 2nd smallest
        let mut group: Vec<Candidate> = (1..=9).map(|i| candidate("7", -(i as f32))).collect();
        group.push(candidate("8", -50.0));
        let c = calibrate(&[group.clone()], 0.2, 0.9);
        assert_eq!((c.threshold, c.samples), (Some(-8.0), 9));
        assert_eq!(c.entropy, Some(8.0));
        assert_eq!(c.logprob, Some(-0.8));
        assert_eq!(calibrate(&[group], 0.2, 0.95).samples, 0);
    }
}
