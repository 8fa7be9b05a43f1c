//! From what the reward model says to the scores of a request, whole or step by step.

use super::asked::{Asked, How};
use super::queue::Told;
use super::wire::{self, CandidateScore, ItemScore, ScoreResponse, StepEvent, StepScore, TokenScore};
use crate::runtime::ModelsStatus;
use crate::trace::{
    AtWork, Calibration, Candidate, Detector, Granularity, REWARD, Rule, Segmentation, Signal, TraceStore, Values, outside, step_of_each,
};

/// The candidates of a request as far as they are read.
pub(super) struct Judged {
    reward: String,
    how: How,
    problems: Vec<Problem>,
}

struct Problem {
    id: Option<String>,
    store: TraceStore,
    /// Of each candidate, the steps that were told, with their values.
    told: Vec<Vec<Option<f32>>>,
    /// Candidates that something new was said of.
    news: Vec<bool>,
    warnings: Vec<String>,
    ended: Option<Result<(), String>>,
}

impl Judged {
    /// Nothing is read yet. `reward` is the name of the model.
    pub fn new(asked: Asked, reward: &str) -> Self {
        let Asked { traces, ids, how, .. } = asked;
        let at_work = AtWork::all([reward]);
        let problems = traces.into_iter().zip(ids).map(|(mut trace, id)| {
            trace.candidates.iter_mut().for_each(|c| c.begin_rewards(&at_work));
            let n = trace.candidates.len();
            let store = TraceStore::new(trace, Segmentation::Auto);
            Problem { id, store, told: vec![Vec::new(); n], news: vec![false; n], warnings: Vec::new(), ended: None }
        });
        Self { reward: reward.to_owned(), how, problems: problems.collect() }
    }

    /// The candidates, problem by problem.
    pub fn traces(&self) -> impl Iterator<Item = &crate::trace::Trace> {
        self.problems.iter().map(|p| p.store.trace())
    }

    /// Takes what the model says.
    pub fn take(&mut self, told: Told) {
        match told {
            Told::Event { problem, event } => {
                let Some(problem) = self.problems.get_mut(problem) else { return };
                let applied = problem.store.apply(&event);
                if let Some(news) = problem.news.get_mut(applied.candidate) {
                    *news = true;
                }
            }
            Told::Warning { problem, message } => {
                if let Some(problem) = self.problems.get_mut(problem) {
                    problem.warnings.push(message);
                }
            }
            Told::Ended { problem, result } => {
                if let Some(problem) = self.problems.get_mut(problem) {
                    problem.ended = Some(result);
                    problem.news.fill(true);
                }
            }
        }
    }

    /// Why nothing of the whole request could be read.
    pub fn failure(&self) -> Option<&str> {
        let mut errors = self.problems.iter().map(|p| p.ended.as_ref()?.as_ref().err());
        let first = errors.next()??;
        errors.all(|e| e.is_some()).then_some(first)
    }

    /// The steps that are judged since the last time, with values that will not change any more.
    pub fn steps(&mut self, status: &ModelsStatus) -> Vec<StepEvent> {
        let (detector, _) = self.detector(status);
        let mut events = Vec::new();
        for (item, problem) in self.problems.iter_mut().enumerate() {
            let ended = problem.ended.is_some();
            for (i, candidate) in problem.store.trace().candidates.iter().enumerate() {
                if !std::mem::take(&mut problem.news[i]) {
                    continue;
                }
                let Some(signal) = candidate.signal(REWARD).filter(|s| s.has_steps()) else { continue };
                let values = candidate.step_values(signal, &detector.reading, self.how.granularity);
                let closed = if ended { values.len() } else { settled(signal, candidate, self.how.granularity) };
                let told = &mut problem.told[i];
                for (step, value) in values.into_iter().enumerate().take(closed) {
                    if told.get(step).is_some_and(|old| old.map(f32::to_bits) == value.map(f32::to_bits)) {
                        continue;
                    }
                    match told.get_mut(step) {
                        Some(old) => *old = value,
                        None => told.push(value),
                    }
                    events.push(StepEvent { item, candidate: i, step, span: candidate.steps[step].span, value });
                }
            }
        }
        events
    }

    /// All scores.
    pub fn response(&self, status: &ModelsStatus) -> ScoreResponse {
        let (detector, calibration) = self.detector(status);
        let item = |problem: &Problem| ItemScore {
            id: problem.id.clone(),
            candidates: problem
                .store
                .trace()
                .candidates
                .iter()
                .enumerate()
                .map(|(i, c)| {
                    let mut score = self.score(c, problem.outside(), &detector, &calibration);
                    score.error = score.value.is_none().then(|| problem.error(i)).flatten();
                    score
                })
                .collect(),
        };
        let items: Vec<ItemScore> = self.problems.iter().map(item).collect();
        let signal =
            self.problems.iter().flat_map(|p| &p.store.trace().candidates).filter_map(|c| c.signal(REWARD)).find(|s| s.has_values());
        let full = signal.map_or_else(|| detector.reading.clone(), |s| s.full_reading(&detector.reading));
        let stated = signal.and_then(|s| s.threshold_of(&detector.reading, &calibration)).filter(|_| self.how.rule == Rule::Threshold);
        ScoreResponse {
            reward: self.reward.clone(),
            unit: signal.map(|s| s.unit).or(status.says.map(|s| s.0)).unwrap_or_default(),
            detector: wire::Detector {
                reading: full.to_string(),
                rule: match self.how.rule {
                    Rule::Threshold => "threshold",
                    Rule::LargestDrop => "largest_drop",
                }
                .into(),
                threshold: stated.as_ref().map(|t| t.value),
                false_alarm_rate: stated.as_ref().and_then(|t| t.false_alarm_rate),
                task: stated.and_then(|t| t.task),
            },
            items,
        }
    }

    /// What marks, and by which thresholds.
    fn detector(&self, status: &ModelsStatus) -> (Detector, Calibration) {
        let reading = self.how.reading.clone().unwrap_or_else(|| status.calibration.reading.clone());
        let calibration = match self.how.threshold {
            Some(threshold) => Calibration::at(reading.clone(), threshold),
            None => status.calibration.clone(),
        };
        (Detector { reading, rule: self.how.rule }, calibration)
    }

    fn score(&self, candidate: &Candidate, outside: Option<bool>, detector: &Detector, calibration: &Calibration) -> CandidateScore {
        let spans = candidate.steps.iter().map(|s| s.span);
        let Some(signal) = candidate.signal(REWARD) else {
            return CandidateScore { steps: spans.map(|span| StepScore { span, value: None }).collect(), ..CandidateScore::default() };
        };
        let values = candidate.step_values(signal, &detector.reading, self.how.granularity);
        let believed = self.how.trust || outside != Some(true);
        let judged = believed && signal.has_values() && detector.can_judge(signal, self.how.granularity, calibration);
        let first = judged.then(|| detector.first(signal, candidate, candidate.steps.len(), self.how.granularity, calibration)).flatten();
        let finite = |value: f32| Some(value).filter(|v| v.is_finite());
        CandidateScore {
            value: signal.candidate_value(self.how.aggregation, &values).and_then(finite),
            tokens: self.tokens(signal),
            judged,
            deviation: first.map(|d| wire::Deviation { step: d.step, value: d.value, threshold: finite(d.threshold) }),
            cut: is_cut(signal, candidate),
            outside,
            domain: signal.domain.clone(),
            error: None,
            steps: spans.zip(values).map(|(span, value)| StepScore { span, value }).collect(),
        }
    }

    fn tokens(&self, signal: &Signal) -> Option<Vec<TokenScore>> {
        let Values::Tokens(tokens) = &signal.values else { return None };
        let score = |t: &crate::trace::TokenValue| TokenScore { span: t.span, value: Some(t.value).filter(|v| v.is_finite()) };
        self.how.tokens.then(|| tokens.iter().map(score).collect())
    }
}

impl Problem {
    /// Whether the model says that it has learned on other text; `None` where it does not know.
    fn outside(&self) -> Option<bool> {
        let candidates = &self.store.trace().candidates;
        let knows = candidates.iter().any(|c| c.signal(REWARD).is_some_and(|s| s.domain.is_some()));
        knows.then(|| outside(candidates, REWARD).is_some())
    }

    /// Why a candidate has no value, as far as that was said.
    fn error(&self, candidate: usize) -> Option<String> {
        let own = format!("candidate {} is not scored: ", candidate + 1);
        let said = self.warnings.iter().find_map(|w| w.strip_prefix(&own)).map(str::to_owned);
        said.or_else(|| self.ended.as_ref()?.as_ref().err().cloned())
    }
}

/// Whether the model's context ended before the text did.
fn is_cut(signal: &Signal, candidate: &Candidate) -> bool {
    match &signal.values {
        Values::Tokens(tokens) => tokens.last().is_some_and(|t| t.span.end < candidate.text.trim_end().len()),
        Values::Steps(steps) => steps.last().is_some_and(Option::is_none),
        Values::Candidate(_) => false,
    }
}

/// How many leading steps of a candidate that is still read have their last value: the model has read on into a later step, and the tokens up to there have
/// the logits that their granularity gives them.
fn settled(signal: &Signal, candidate: &Candidate, granularity: Granularity) -> usize {
    let tokens = match &signal.values {
        Values::Steps(steps) => return steps.len().min(candidate.steps.len()),
        Values::Candidate(_) => return 0,
        Values::Tokens(tokens) if tokens.is_empty() || candidate.steps.is_empty() => return 0,
        Values::Tokens(tokens) => tokens,
    };
    let owner = step_of_each(tokens.iter().map(|t| t.span), &candidate.steps);
    let fixed = match granularity {
        Granularity::Dense => tokens.len(),
        // The last token of a step is known by the first of the next.
        Granularity::Step => owner.iter().position(|o| Some(o) == owner.last()).unwrap_or(0),
        Granularity::Interval(k) => tokens.len() - tokens.len() % k.max(1),
        Granularity::Sparse => 0,
    };
    match owner.get(fixed).or(owner.last()) {
        Some(&owner) if fixed > 0 => owner,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Span, Statistic, TokenValue, Unit, segment};

    /// Every prefix of the tokens: what is settled then has the values that it has in the end.
    #[test]
    fn what_is_settled_stays() {
        let text = "ab cd\nef gh ij\nkl\nmn op";
        let steps = segment(text, &Segmentation::Line);
        let cuts = [0, 2, 5, 6, 8, 11, 14, 17, 18, 20, 23, 23];
        let all: Vec<TokenValue> = cuts
            .windows(2)
            .enumerate()
            .map(|(i, w)| TokenValue { span: Span::new(w[0], w[1]), value: (i as f32 * 7.3) % 5.0 - 2.0 })
            .collect();
        for granularity in [Granularity::Dense, Granularity::Step, Granularity::Interval(3), Granularity::Interval(1), Granularity::Sparse]
        {
            for statistic in Statistic::ALL {
                let of = |tokens: &[TokenValue]| {
                    let candidate =
                        Candidate { text: text.into(), steps: steps.clone(), ..Candidate::default() }.with_rewards(tokens.to_vec());
                    let signal = candidate.signal(REWARD).unwrap();
                    (candidate.step_rewards(statistic, granularity), settled(signal, &candidate, granularity))
                };
                let (whole, _) = of(&all);
                let mut before = 0;
                for n in 0..=all.len() {
                    let (values, settled) = of(&all[..n]);
                    assert!(settled >= before && settled < steps.len(), "{granularity:?} {n}: {settled} after {before}");
                    assert_eq!(values[..settled], whole[..settled], "{granularity:?} {statistic:?} after {n} tokens");
                    before = settled;
                }
                let most = if granularity == Granularity::Sparse { 0 } else { 3 };
                assert_eq!(before, most, "{granularity:?}");
            }
        }
    }

    #[test]
    fn the_end_that_the_context_cuts_is_told() {
        let candidate = Candidate { text: "ab cd \n".into(), ..Candidate::default() };
        let tokens = |end| Signal::reward("m", vec![TokenValue { span: Span::new(0, end), value: 0.0 }]);
        assert!(is_cut(&tokens(2), &candidate) && !is_cut(&tokens(5), &candidate));
        let steps = |values| Signal { unit: Unit::Probability, values: Values::Steps(values), ..Signal::reward("m", Vec::new()) };
        assert!(is_cut(&steps(vec![Some(0.5), None]), &candidate) && !is_cut(&steps(vec![None, Some(0.5)]), &candidate));
    }
}
