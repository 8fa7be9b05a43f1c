//! What the policy itself says of each step, and the first deviation under every rule.

use super::{Calibration, Candidate, Deviation, Granularity, Rule, Step, Token, detect, step_of_each, step_rewards};

/// The least log-probability among each step's policy tokens, in nats, ≤ 0; `None` where no token of it has one.
///
/// Tokens belong to steps as [`step_of_each`] says.
pub fn step_logprob_min(tokens: &[Token], steps: &[Step]) -> Vec<Option<f32>> {
    fold(tokens, steps, |t| t.logprob, f32::min)
}

/// The highest next-token entropy among each step's policy tokens, in nats; `None` where no token of it has one.
///
/// Tokens belong to steps as [`step_of_each`] says.
pub fn step_entropy_max(tokens: &[Token], steps: &[Step]) -> Vec<Option<f32>> {
    fold(tokens, steps, |t| t.entropy, f32::max)
}

fn fold(tokens: &[Token], steps: &[Step], value: impl Fn(&Token) -> Option<f32>, pick: impl Fn(f32, f32) -> f32) -> Vec<Option<f32>> {
    let mut out = vec![None; steps.len()];
    if steps.is_empty() {
        return out;
    }
    for (step, token) in step_of_each(tokens.iter().map(|t| t.span), steps).into_iter().zip(tokens) {
        if let Some(v) = value(token).filter(|v| !v.is_nan()) {
            out[step] = Some(out[step].map_or(v, |o| pick(o, v)));
        }
    }
    out
}

/// How far each value lies below the known value before it, the first below the mean of all; `None` where the value is not known.
pub fn drop_from_before(values: &[Option<f32>]) -> Vec<Option<f32>> {
    let known = values.iter().flatten();
    let mut before = known.clone().sum::<f32>() / known.count().max(1) as f32;
    values
        .iter()
        .map(|v| {
            let v = (*v)?;
            let drop = before - v;
            before = v;
            Some(drop)
        })
        .collect()
}

/// One value a step in the unit of `rule`: step rewards under `granularity` (logits), log-probabilities or entropies (nats).
pub fn rule_values(rule: Rule, candidate: &Candidate, granularity: Granularity) -> Vec<Option<f32>> {
    match rule {
        Rule::Threshold | Rule::LargestDrop => step_rewards(granularity, &candidate.rewards, &candidate.steps),
        Rule::LogProb => step_logprob_min(&candidate.tokens, &candidate.steps),
        Rule::Entropy => step_entropy_max(&candidate.tokens, &candidate.steps),
    }
}

/// The first deviating step among the first `closed` steps of a candidate under `rule`; see [`detect`].
pub fn first_deviation(
    rule: Rule,
    candidate: &Candidate,
    closed: usize,
    granularity: Granularity,
    calibration: &Calibration,
) -> Option<Deviation> {
    let values = rule_values(rule, candidate, granularity);
    detect(rule, &values[..closed.min(values.len())], calibration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Span, TokenReward, segment};

    fn token(start: usize, end: usize, logprob: f32, entropy: f32) -> Token {
        Token { id: None, span: Span::new(start, end), logprob: Some(logprob), entropy: Some(entropy) }
    }

    #[test]
    fn tokens_count_for_the_step_that_rewards_count_for() {
        let text = "ab\n\ncd\n";
        let steps = segment(text, &"blank".parse().unwrap());
        let cuts = [(0, 1), (1, 2), (2, 4), (4, 6), (6, 7)];
        let tokens: Vec<Token> = cuts.iter().enumerate().map(|(i, c)| token(c.0, c.1, -(i as f32), i as f32)).collect();
        let rewards: Vec<TokenReward> = tokens.iter().map(|t| TokenReward { span: t.span, logit: t.logprob.unwrap() }).collect();
        assert_eq!(step_logprob_min(&tokens, &steps), [Some(-1.0), Some(-4.0)]);
        assert_eq!(step_logprob_min(&tokens, &steps), step_rewards(Granularity::Dense, &rewards, &steps));
        assert_eq!(step_entropy_max(&tokens, &steps), [Some(1.0), Some(4.0)]);
        assert_eq!(step_logprob_min(&tokens[..2], &steps), [Some(-1.0), None]);
        assert!(step_entropy_max(&tokens, &[]).is_empty());
    }

    #[test]
    fn a_missing_value_neither_drops_nor_breaks_the_chain() {
        assert_eq!(drop_from_before(&[Some(3.0), None, Some(1.0), Some(2.0)]), [Some(-1.0), None, Some(2.0), Some(-1.0)]);
        assert!(drop_from_before(&[]).is_empty());
    }

    #[test]
    fn an_open_step_is_not_judged() {
        let candidate = Candidate {
            text: "a\nb".into(),
            steps: segment("a\nb", &"line".parse().unwrap()),
            rewards: vec![TokenReward { span: Span::new(0, 1), logit: 1.0 }, TokenReward { span: Span::new(2, 3), logit: -1.0 }],
            ..Candidate::default()
        };
        let calibration = Calibration { threshold: Some(0.0), ..Calibration::default() };
        let find = |closed| first_deviation(Rule::Threshold, &candidate, closed, Granularity::Dense, &calibration).map(|d| d.step);
        assert_eq!((find(1), find(2), find(9)), (None, Some(1), Some(1)));
    }
}
