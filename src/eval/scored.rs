//! What the metrics read: candidates with their outcome, their labelled first error and their scores.

use crate::answer::{Ballot, Kind, Question};
use crate::trace::{
    Aggregation, Candidate, ENTROPY, GoldDeviation, Granularity, LOGPROB, Reading, Signal, Statistic, Token, Trace, aggregate,
    default_signal, policy_signals,
};
use serde::{Deserialize, Serialize};

/// One problem with its scored candidates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoredTrace {
    /// Identity of the problem.
    pub id: String,
    /// The candidates, in the order in which they were sampled.
    pub candidates: Vec<ScoredCandidate>,
    /// Whether the policy's greedy completion, which is none of the candidates, is right; `None` where it was not asked for one.
    #[serde(default)]
    pub greedy: Option<bool>,
}

/// One scored candidate. Per-step values have one entry a step, `None` where the value is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoredCandidate {
    /// Whether the final answer is right.
    pub correct: bool,
    /// Whether the first error is known; localisation passes over the others.
    pub labelled: bool,
    /// 0-based first wrong step; `None`: every step is right. `n_steps` stands for a missing step at the end, which no method can mark.
    pub first_error: Option<usize>,
    /// Number of steps.
    pub n_steps: usize,
    /// Number of policy tokens.
    pub n_tokens: usize,
    /// Log-probability of the whole candidate under the policy, in nats; `None` where any token's is unknown.
    pub logprob_sum: Option<f32>,
    /// Least token log-probability of each step, in nats.
    pub step_logprob_min: Vec<Option<f32>>,
    /// Highest token entropy of each step, in nats.
    pub step_entropy_max: Vec<Option<f32>>,
    /// Mean entropy of the policy before the candidate's tokens, in nats; `None` where any token's is unknown.
    #[serde(default)]
    pub entropy_mean: Option<f32>,
    /// Log-probability of the whole candidate under the reward model's own decoder, in nats, where it was asked.
    pub critic_logprob_sum: Option<f32>,
    /// Least token log-probability of each step under the reward model's own decoder, in nats.
    pub step_critic_logprob_min: Vec<Option<f32>>,
    /// Reward of each step, in logits.
    pub step_rewards: Vec<Option<f32>>,
    /// Reward of the whole candidate, in logits, where its file says that alone.
    #[serde(default)]
    pub outcome_reward: Option<f32>,
    /// Final answer. Those of one problem that say the same are written alike, as [`ScoredTrace::from_trace`] does: votes go by the text.
    pub answer: Option<String>,
    /// What [`super::combine::Combined`] makes of each step: minus the log-odds that it deviates.
    #[serde(default)]
    pub step_combined: Vec<Option<f32>>,
    /// What people or a checker say of each step on its own: 1 right, 0 neither (a PRM800K rating), −1 wrong.
    #[serde(default)]
    pub step_labels: Vec<Option<i8>>,
    /// Kind of the candidate where results are split by it, for example the corruption or PRMBench's class.
    #[serde(default)]
    pub class: Option<String>,
}

impl ScoredCandidate {
    /// Reads a candidate; its rewards under `granularity`. One whose outcome is unknown counts as wrong.
    pub fn from_candidate(candidate: &Candidate, granularity: Granularity) -> Self {
        let n = candidate.tokens.len();
        let sum =
            |of: fn(&Token) -> Option<f32>| candidate.tokens.iter().map(|t| of(t).map(f64::from)).sum::<Option<f64>>().filter(|_| n > 0);
        let reward = default_signal(std::slice::from_ref(candidate)).and_then(|name| candidate.signal(name));
        let reading = reward.map(|s| Reading::new(&s.name, Statistic::Min));
        let step_rewards = match reward.zip(reading.as_ref()) {
            Some((signal, reading)) => candidate.step_values(signal, reading, granularity),
            None => vec![None; candidate.steps.len()],
        };
        let outcome_reward = reward.and_then(Signal::whole);
        Self {
            correct: candidate.correct == Some(true),
            labelled: candidate.gold.is_some(),
            first_error: match candidate.gold {
                Some(GoldDeviation::Step(step)) => Some(step),
                Some(GoldDeviation::None) | None => None,
            },
            n_steps: candidate.steps.len(),
            n_tokens: n,
            logprob_sum: sum(|t| t.logprob).map(|x| x as f32),
            entropy_mean: sum(|t| t.entropy).map(|x| (x / n as f64) as f32),
            step_logprob_min: policy_steps(candidate, LOGPROB, Statistic::Min),
            step_entropy_max: policy_steps(candidate, ENTROPY, Statistic::Max),
            step_rewards,
            outcome_reward,
            answer: candidate.answer.clone(),
            step_labels: step_labels(candidate),
            ..Self::default()
        }
    }

    /// The reward of the whole: its steps' rewards, aggregated; without any, what its file says. `None` where it has neither or one that is not a number.
    pub fn reward(&self, aggregation: Aggregation) -> Option<f32> {
        aggregate(aggregation, &self.step_rewards).or(self.outcome_reward).filter(|r| !r.is_nan())
    }

    /// How long it is: its policy tokens; its steps where there are no tokens.
    pub fn length(&self) -> usize {
        if self.n_tokens > 0 { self.n_tokens } else { self.n_steps }
    }

    /// Whether it has any reward.
    pub fn has_reward(&self) -> bool {
        self.outcome_reward.is_some() || self.step_rewards.iter().any(Option::is_some)
    }

    /// Adds what the reward model's own decoder says of the candidate's tokens, `logprobs` in nats.
    pub fn with_critic(mut self, candidate: &Candidate, logprobs: &[f32]) -> Self {
        let tokens = candidate.tokens.iter().zip(logprobs);
        let tokens: Vec<Token> = tokens.map(|(t, &lp)| Token { logprob: Some(lp), ..*t }).collect();
        self.critic_logprob_sum = (!tokens.is_empty()).then(|| logprobs.iter().sum());
        let read = Candidate { text: candidate.text.clone(), steps: candidate.steps.clone(), tokens, ..Candidate::default() };
        self.step_critic_logprob_min = policy_steps(&read, LOGPROB, Statistic::Min);
        self
    }
}

/// A signal of the policy's tokens, a value a step.
fn policy_steps(candidate: &Candidate, name: &str, statistic: Statistic) -> Vec<Option<f32>> {
    let signals = policy_signals(candidate);
    let signal = signals.iter().find(|s| s.name == name);
    signal
        .map_or_else(|| vec![None; candidate.steps.len()], |s| candidate.step_values(s, &Reading::new(name, statistic), Granularity::Dense))
}

/// The labels that came with the steps, −1 to 1. On a scale without negative labels 0 is wrong; beside them it is PRM800K's neutral one.
fn step_labels(candidate: &Candidate) -> Vec<Option<i8>> {
    let signed = candidate.steps.iter().any(|s| s.label.is_some_and(|l| l < 0.0));
    let rating = |l: f32| match signed {
        true => i8::from(l > 0.0) - i8::from(l < 0.0),
        false => {
            if l > 0.5 {
                1
            } else {
                -1
            }
        }
    };
    candidate.steps.iter().map(|s| s.label.map(rating)).collect()
}

impl ScoredTrace {
    /// A problem with its candidates, and no greedy completion.
    pub fn new(id: impl Into<String>, candidates: Vec<ScoredCandidate>) -> Self {
        Self { id: id.into(), candidates, greedy: None }
    }

    /// Reads a trace; its rewards under `granularity`. Answers are compared as those of a `kind`; `None`: the kind that the reference answer shows.
    pub fn from_trace(trace: &Trace, granularity: Granularity, kind: Option<Kind>) -> Self {
        let reference = trace.gold_answer.as_deref();
        let question = kind.map_or_else(|| Question::guess(&trace.problem, reference), |k| Question::new(k, &trace.problem, reference));
        let ballot = Ballot::new(&question, &trace.id, trace.candidates.iter().map(|c| c.answer.as_deref()));
        let read = |(i, c): (usize, &Candidate)| ScoredCandidate {
            answer: ballot.answer_of(i).map(str::to_owned),
            ..ScoredCandidate::from_candidate(c, granularity)
        };
        Self::new(&trace.id, trace.candidates.iter().enumerate().map(read).collect())
    }

    /// Who gives the same answer.
    pub fn ballot(&self) -> Ballot {
        Ballot::alike(&self.id, self.candidates.iter().map(|c| c.answer.as_deref()))
    }

    /// Indices of all candidates.
    pub(super) fn all(&self) -> Vec<usize> {
        (0..self.candidates.len()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Span, Step, Token, TokenValue};

    #[test]
    fn a_candidate_is_read_whole() {
        let spans = [Span::new(0, 1), Span::new(1, 2), Span::new(2, 3)];
        let token = |i: usize| Token { id: None, span: spans[i], logprob: Some(-(i as f32)), entropy: Some(i as f32) };
        let candidate = Candidate {
            text: "a\nb".into(),
            steps: vec![Step { span: spans[0], label: Some(1.0), ..Step::default() }, Step { span: spans[2], ..Step::default() }],
            tokens: (0..3).map(token).collect(),
            gold: Some(GoldDeviation::Step(1)),
            correct: Some(false),
            answer: Some("7".into()),
            ..Candidate::default()
        }
        .with_rewards((0..3).map(|i| TokenValue { span: spans[i], value: 1.0 - i as f32 }).collect());
        let scored = ScoredCandidate::from_candidate(&candidate, Granularity::Dense);
        assert_eq!((scored.n_steps, scored.n_tokens, scored.logprob_sum, scored.entropy_mean), (2, 3, Some(-3.0), Some(1.0)));
        assert_eq!((scored.labelled, scored.first_error, scored.correct), (true, Some(1), false));
        assert_eq!(scored.step_rewards, [Some(1.0), Some(-1.0)]);
        assert_eq!(scored.step_logprob_min, [Some(0.0), Some(-2.0)]);
        assert_eq!(scored.step_entropy_max, [Some(0.0), Some(2.0)]);
        assert_eq!((scored.critic_logprob_sum, scored.step_critic_logprob_min.len()), (None, 0));
        let scored = scored.with_critic(&candidate, &[-0.5, -4.0, -1.0]);
        assert_eq!((scored.critic_logprob_sum, scored.logprob_sum), (Some(-5.5), Some(-3.0)));
        assert_eq!(scored.step_critic_logprob_min, [Some(-0.5), Some(-4.0)]);
        assert_eq!(scored.step_labels, [Some(1), None]);
        let mut unknown = candidate;
        unknown.steps[0].label = Some(0.0);
        assert_eq!(ScoredCandidate::from_candidate(&unknown, Granularity::Dense).step_labels, [Some(-1), None]);
        unknown.steps[1].label = Some(-1.0);
        assert_eq!(ScoredCandidate::from_candidate(&unknown, Granularity::Dense).step_labels, [Some(0), Some(-1)]);
        unknown.tokens[1].logprob = None;
        unknown.gold = None;
        let scored = ScoredCandidate::from_candidate(&unknown, Granularity::Dense);
        assert_eq!((scored.logprob_sum, scored.labelled), (None, false));
    }

    #[test]
    fn a_reward_of_the_whole_stands_where_steps_have_none() {
        let steps = ScoredCandidate { step_rewards: vec![Some(1.0), Some(3.0)], outcome_reward: Some(9.0), ..ScoredCandidate::default() };
        let whole = ScoredCandidate { step_rewards: vec![None, None], outcome_reward: Some(9.0), ..ScoredCandidate::default() };
        assert_eq!((steps.reward(Aggregation::Mean), whole.reward(Aggregation::Mean)), (Some(2.0), Some(9.0)));
        let nothing = ScoredCandidate { outcome_reward: Some(f32::NAN), ..ScoredCandidate::default() };
        assert_eq!((nothing.reward(Aggregation::Min), ScoredCandidate::default().has_reward()), (None, false));
        // What `score` writes has both; the tokens' rewards are what it says.
        let token = TokenValue { span: Span::new(0, 1), value: 0.5 };
        let scored = Candidate { text: "a".into(), ..Candidate::default() }.with_rewards(vec![token]);
        assert_eq!(ScoredCandidate::from_candidate(&scored, Granularity::Dense).outcome_reward, None);
    }
}
