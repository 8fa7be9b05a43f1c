//! Thresholds without step labels, from the policy's own samples on problems kept aside.
//!
//! Corrupted experts are far less likely than a policy's own errors, so thresholds fitted on them do not carry over. Here samples that are right
//! stand for right ones: those that repeat the demonstration, or, where there is none, those that agree with most samples of the problem.

use crate::answer::{Ballot, Kind, Question};
use crate::trace::{Calibration, Candidate, Granularity, Orientation, Reading};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The split-conformal threshold (arXiv 2107.07511 §1): of the `n` worst steps of right traces, ascending, the ⌊α(n+1)⌋-th; a fresh right trace has a step
/// below it with probability at most `rate`. `None` where there are too few, and nothing may be marked.
pub fn conformal_threshold(ascending: &[f32], rate: f64) -> Option<f32> {
    // A hair above, so that 0.1 · 10 is not 0.999…, also where the rate was a number of single precision.
    let k = (rate * (ascending.len() + 1) as f64 * (1.0 + 1e-7)).floor() as usize;
    ascending.get(k.checked_sub(1)?).copied()
}

/// The worst of the known values of a candidate's steps, which are turned so that high is good.
pub fn worst(steps: impl IntoIterator<Item = f32>) -> Option<f32> {
    steps.into_iter().reduce(f32::min)
}

/// For each reading the worst step of a candidate, turned so that high is good, and how it was turned; `None` where the candidate lacks one of them.
fn worst_steps(c: &Candidate, readings: &[Reading]) -> Option<Vec<(f32, Orientation)>> {
    let all = c.all_signals();
    let one = |r: &Reading| {
        let signal = all.iter().find(|s| s.name == r.signal)?;
        let steps = c.step_values(signal, r, Granularity::Dense);
        Some((worst(steps.into_iter().flatten().map(|v| signal.orientation.turn(v)))?, signal.orientation))
    };
    readings.iter().map(one).collect()
}

/// Which samples stand for right ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StandIns {
    /// Those that are the demonstration word for word, and so have no wrong step.
    Demonstration,
    /// Those whose answer is the most frequent of the problem, given by at least this share of its samples. Misled where the policy
    /// is often wrong in one way, or right with wrong steps.
    Majority(#[schemars(example = 0.5)] f32),
}

/// Samples of one problem, scored, and its demonstration.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The problem that they answer.
    pub problem: String,
    /// What kind of answer it asks for.
    pub kind: Kind,
    /// The samples.
    pub candidates: Vec<Candidate>,
    /// Text of the expert's completion.
    pub demonstration: String,
}

/// The candidates of a group that stand for right ones.
pub fn stand_ins(group: &Group, which: StandIns) -> Vec<&Candidate> {
    match which {
        StandIns::Demonstration => group.candidates.iter().filter(|c| c.text == group.demonstration).collect(),
        StandIns::Majority(share) => {
            let question = Question::new(group.kind, &group.problem, None);
            let ballot = Ballot::new(&question, &group.problem, group.candidates.iter().map(|c| c.answer.as_deref()));
            match ballot.votes(|_| Some(1.0)).into_iter().next() {
                Some(vote) if vote.candidates.len() as f32 >= share * group.candidates.len() as f32 => {
                    vote.candidates.into_iter().map(|i| &group.candidates[i]).collect()
                }
                _ => Vec::new(),
            }
        }
    }
}

/// The [`conformal_threshold`] of every reading by the worst steps of the stand-ins, so that a fresh trace like them is marked with probability at most
/// `false_alarm_rate`. `chosen` is the reading of the reward that marks deviations.
pub fn calibrate(groups: &[Group], false_alarm_rate: f32, which: StandIns, chosen: &Reading, readings: &[Reading]) -> Calibration {
    let found: Vec<Vec<(f32, Orientation)>> =
        groups.iter().flat_map(|g| stand_ins(g, which)).filter_map(|c| worst_steps(c, readings)).collect();
    let mut thresholds = BTreeMap::new();
    for (column, reading) in readings.iter().enumerate() {
        let mut values: Vec<f32> = found.iter().map(|f| f[column].0).collect();
        values.sort_by(f32::total_cmp);
        if let (Some(value), Some(first)) = (conformal_threshold(&values, f64::from(false_alarm_rate)), found.first()) {
            thresholds.insert(reading.clone(), first[column].1.turn(value));
        }
    }
    let how = match which {
        StandIns::Demonstration => "that repeat the demonstration; no labels".to_owned(),
        StandIns::Majority(s) => format!("whose answer at least {:.0} % of their group share; no labels", s * 100.0),
    };
    Calibration {
        reading: chosen.clone(),
        thresholds,
        false_alarm_rate: Some(false_alarm_rate),
        samples: found.len(),
        method: format!("split conformal on {} samples of the policy, of {} problems kept aside, {how}", found.len(), groups.len()),
        ..Calibration::default()
    }
}

/// What is calibrated: the reward, log-probability and entropy of the policy, under the statistics that suit them.
pub fn calibrated_readings() -> Vec<Reading> {
    use crate::trace::Statistic::{Max, Mean, Min, Sum};
    let of = |signal: &'static str, statistics: [crate::trace::Statistic; 3]| statistics.map(|s| Reading::new(signal, s));
    let all = [
        of(crate::trace::REWARD, [Min, Mean, Sum]),
        of(crate::trace::LOGPROB, [Min, Mean, Sum]),
        of(crate::trace::ENTROPY, [Max, Mean, Sum]),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Span, Step, Token, TokenValue};

    fn candidate(answer: &str, reward: f32) -> Candidate {
        let span = Span::new(0, 4);
        Candidate {
            text: "abcd".into(),
            answer: Some(answer.into()),
            steps: vec![Step { span, ..Default::default() }],
            tokens: vec![Token { span, logprob: Some(reward / 10.0), entropy: Some(-reward), ..Default::default() }],
            ..Default::default()
        }
        .with_rewards(vec![TokenValue { span, value: reward }])
    }

    #[test]
    fn thresholds_are_order_statistics() {
        let ascending: Vec<f32> = (1..=9).map(|i| i as f32).collect();
        let of = |rate| conformal_threshold(&ascending, rate);
        assert_eq!([0.05, 0.1, 0.2, 0.25, 0.9].map(of), [None, Some(1.0), Some(2.0), Some(2.0), Some(9.0)]);
        assert_eq!(of(f64::from(0.7_f32)), Some(7.0), "single precision has it below 0.7");
        assert_eq!(conformal_threshold(&[], 0.5), None);
    }

    #[test]
    fn only_stand_ins_count_and_the_quantile_is_conformal() {
        // 9 agreeing samples with least rewards −1 … −9; of n + 1 = 10, a rate of 0.2 takes the 2nd smallest
        let mut candidates: Vec<Candidate> = (1..=9).map(|i| candidate("7", -(i as f32))).collect();
        candidates.push(candidate("8", -50.0));
        let groups = [Group { candidates, demonstration: "abcd".into(), ..Group::default() }];
        let readings = calibrated_readings();
        let calibrate = |groups: &[Group], rate, which| calibrate(groups, rate, which, &readings[0], &readings);
        let c = calibrate(&groups, 0.2, StandIns::Majority(0.9));
        let of = |reading: &str| c.threshold(&reading.parse().unwrap());
        assert_eq!((c.reward(), of("reward.sum"), c.samples), (Some(-8.0), Some(-8.0), 9));
        assert_eq!((of("entropy.max"), of("logprob.min")), (Some(8.0), Some(-0.8)));
        assert_eq!(calibrate(&groups, 0.2, StandIns::Majority(0.95)).samples, 0);
        let mut groups = groups;
        groups[0].candidates[3].text = "abce".into();
        assert_eq!(calibrate(&groups, 0.5, StandIns::Demonstration).samples, 9);
    }
}
