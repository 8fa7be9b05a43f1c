//! How a policy does on problems that nothing was trained on.

use crate::eval::grader::Grader;
use crate::eval::metrics::passk::pass_at_k;
use crate::generate::{Completion, Prompt};
use crate::model::Decoder;
use crate::run::Outcome;
use crate::task::{Problem, Task};
use crate::trace::Sampling;
use crate::train::TrainError;
use crate::train::data::grade;
use crate::train::encoding::Encoding;
use crate::train::recipe::EvaluationConfig;
use crate::train::world::sample_all;
use crate::util::seed::mix;
use std::ops::ControlFlow;

/// Samples every problem, and then once greedily; `done` hears each time how many problems are through. Where it stops the work, problems are missing.
pub fn evaluate(
    policy: &Decoder,
    encoding: &Encoding,
    (grader, task, problems): (&Grader, Task, &[Problem]),
    config: &EvaluationConfig,
    seed: u64,
    done: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<Outcome>, TrainError> {
    let prompts = problems
        .iter()
        .zip(0..)
        .map(|(p, i)| Ok(Prompt { ids: encoding.prompt(&p.text)?, seed: mix(seed ^ 0x7061_7373, i) }))
        .collect::<Result<Vec<_>, TrainError>>()?;
    let sampling = Sampling { temperature: config.temperature, max_tokens: config.max_tokens, ..Sampling::default() };
    let samples = sample_all(policy, &prompts, config.samples, &sampling, done)?;
    let greedy = sample_all(policy, &prompts, 1, &Sampling { temperature: 0.0, ..sampling }, done)?;
    let right = |samples: &[Vec<Completion>]| -> Result<Vec<usize>, TrainError> {
        let text = |c: &Completion| encoding.text(&c.ids).0;
        let texts: Vec<(&Problem, String)> = problems.iter().zip(samples).flat_map(|(p, g)| g.iter().map(move |c| (p, text(c)))).collect();
        let items: Vec<(&Problem, &str)> = texts.iter().map(|(p, text)| (*p, text.as_str())).collect();
        let mut verdicts = grade(grader, task, &items)?.into_iter();
        Ok(samples.iter().map(|g| verdicts.by_ref().take(g.len()).filter(|v| *v == Some(true)).count()).collect())
    };
    let (correct, best) = (right(&samples)?, right(&greedy)?);
    let outcome = |((p, group), (correct, best)): ((&Problem, Vec<Completion>), (usize, usize))| Outcome {
        id: p.id.clone(),
        n: group.len(),
        correct,
        greedy: best > 0,
        length: group.iter().map(|c| c.ids.len()).sum::<usize>() as f64 / group.len().max(1) as f64,
    };
    Ok(problems.iter().zip(samples).zip(correct.into_iter().zip(best)).map(outcome).collect())
}

/// Means over problems: `pass@1`, `pass@k` for k of 10 and of all samples where there are as many, `greedy` and `completions/mean_length`.
pub fn summary(outcomes: &[Outcome]) -> Result<Vec<(String, f64)>, TrainError> {
    let mean = |f: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(f).sum::<f64>() / outcomes.len().max(1) as f64;
    let n = outcomes.iter().map(|o| o.n).min().unwrap_or(0);
    let mut out = Vec::new();
    let mut ks = vec![1, 10, n];
    ks.retain(|&k| k > 0 && k <= n);
    ks.dedup();
    for k in ks {
        let each = outcomes.iter().map(|o| pass_at_k(o.n, o.correct, k)).collect::<Result<Vec<f64>, _>>();
        let each = each.map_err(|e| TrainError::Data(e.to_string()))?;
        out.push((format!("pass@{k}"), each.iter().sum::<f64>() / each.len().max(1) as f64));
    }
    out.push(("greedy".into(), mean(&|o| f64::from(u8::from(o.greedy)))));
    out.push(("completions/mean_length".into(), mean(&|o| o.length)));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_by_hand() {
        let outcome = |correct, greedy| Outcome { id: String::new(), n: 4, correct, greedy, length: 8.0 };
        let out = summary(&[outcome(4, true), outcome(0, false), outcome(1, true)]).unwrap();
        let get = |name: &str| out.iter().find(|v| v.0 == name).unwrap().1;
        assert!((get("pass@1") - (1.0 + 0.0 + 0.25) / 3.0).abs() < 1e-12);
        assert!((get("pass@4") - 2.0 / 3.0).abs() < 1e-12 && (get("greedy") - 2.0 / 3.0).abs() < 1e-12);
        assert!(out.iter().all(|v| v.0 != "pass@10"));
    }
}
