//! The first step that deviates: the rules, and the thresholds they were calibrated to.

use serde::{Deserialize, Serialize};

/// How a first deviation is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// First step whose reward is below the calibrated threshold.
    #[default]
    Threshold,
    /// The step with the largest fall from the step before it (the first step falls from the mean of all); always marks one.
    LargestDrop,
    /// Baseline: first step whose least likely token has a policy log-probability below its threshold.
    LogProb,
    /// Baseline: first step whose highest policy entropy is above its threshold.
    Entropy,
}

/// A predicted first deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// 0-based step.
    pub step: usize,
    /// The rule that marked it.
    pub rule: Rule,
    /// The value that crossed (a step reward, a log-probability, an entropy, or the size of the drop).
    pub value: f32,
    /// What it was held against; NaN for the largest drop.
    pub threshold: f32,
}

/// Thresholds of the rules for one reward model, and how they were found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Reward threshold, in logits.
    pub threshold: Option<f32>,
    /// Log-probability threshold, in nats, ≤ 0.
    pub logprob: Option<f32>,
    /// Entropy threshold, in nats.
    pub entropy: Option<f32>,
    /// Stated false-alarm rate: the chance that a right trace is marked.
    pub false_alarm_rate: Option<f32>,
    /// Task whose traces it was calibrated on; the false-alarm rate is stated for that task alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Number of traces it was calibrated on.
    pub samples: usize,
    /// How, in a sentence.
    pub method: String,
}

/// The first deviating step under `rule`, `None` where none is marked. `values`: one a step in the rule's own unit, `None` not known yet.
///
/// Steps are judged in order, so the answer for a growing candidate does not change once given, except by `LargestDrop`.
pub fn detect(rule: Rule, values: &[Option<f32>], calibration: &Calibration) -> Option<Deviation> {
    let below = |threshold: Option<f32>| {
        let threshold = threshold?;
        let step = values.iter().position(|v| v.is_some_and(|v| v < threshold))?;
        Some(Deviation { step, rule, value: values[step]?, threshold })
    };
    match rule {
        Rule::Threshold => below(calibration.threshold),
        Rule::LogProb => below(calibration.logprob),
        Rule::Entropy => {
            let threshold = calibration.entropy?;
            let step = values.iter().position(|v| v.is_some_and(|v| v > threshold))?;
            Some(Deviation { step, rule, value: values[step]?, threshold })
        }
        Rule::LargestDrop => {
            let known: Vec<(usize, f32)> = values.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?))).collect();
            let mean = known.iter().map(|k| k.1).sum::<f32>() / known.len().max(1) as f32;
            let mut before = mean;
            let mut best: Option<(usize, f32)> = None;
            for (i, v) in known {
                let drop = before - v;
                if best.is_none_or(|(_, d)| drop > d) {
                    best = Some((i, drop));
                }
                before = v;
            }
            best.map(|(step, value)| Deviation { step, rule, value, threshold: f32::NAN })
        }
    }
}
