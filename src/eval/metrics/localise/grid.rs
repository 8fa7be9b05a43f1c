//! Localisation on a grid of intervals: buckets of k tokens in the place of steps, a hit within one bucket.
//!
//! The chance of a hit depends on the grid: of 5 buckets a random one is within one of the right one about half of the time.

use super::{Comparison, Counts, Marker, chance_counts, counts};
use crate::check;
use crate::eval::columns::{columns, default_reading, standing};
use crate::eval::parts::section::Section;
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::Bootstrap;
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};
use crate::trace::{
    Calibration, Candidate, GoldDeviation, Granularity, Orientation, Signal, Span, Statistic, Step, TokenClass, TokenValue, Trace, Values,
};

/// The candidate with buckets of `k` tokens for steps (the last may be shorter), in the reward model's tokens where it has rewards, else in the
/// policy's. A labelled first wrong step becomes the bucket in which it begins; one that is not there stays out of reach. What a signal says of a step
/// stands in the bucket in which the step ends; checks are made anew of the buckets. `None` without tokens.
pub fn bucketed(candidate: &Candidate, k: usize) -> Option<Candidate> {
    let spans: Vec<Span> = match candidate.rewards().is_empty() {
        true => candidate.tokens.iter().map(|t| t.span).collect(),
        false => candidate.rewards().iter().map(|r| r.span).collect(),
    };
    let steps: Vec<Step> = spans
        .chunks(k.max(1))
        .filter_map(|bucket| Some(Step { span: Span::new(bucket.first()?.start, bucket.last()?.end), ..Step::default() }))
        .collect();
    let gold = candidate.gold.map(|gold| match gold {
        GoldDeviation::Step(s) => {
            let at = candidate.steps.get(s).and_then(|s| steps.iter().position(|b| b.span.end > s.span.start));
            GoldDeviation::Step(at.unwrap_or(steps.len()))
        }
        GoldDeviation::None => GoldDeviation::None,
    });
    if steps.is_empty() {
        return None;
    }
    let mut out = Candidate { steps, gold, ..candidate.clone() };
    let checks = check::signals(&out);
    out.signals.retain(|s| !(matches!(s.values, Values::Steps(_)) && checks.iter().any(|c| c.name == s.name)));
    for signal in &mut out.signals {
        if let Values::Steps(values) = &signal.values {
            signal.values = Values::Steps(at_ends(signal, values, candidate, &out.steps));
        }
    }
    Some(out)
}

/// A signal's step values in the buckets in which the candidate's steps end; of several in one bucket the worst, and of those that are not known nothing.
fn at_ends(signal: &Signal, values: &[Option<f32>], candidate: &Candidate, buckets: &[Step]) -> Vec<Option<f32>> {
    let value = |(step, value): (&Step, &Option<f32>)| Some(TokenValue { span: step.span, value: (*value)? });
    let known = Values::Tokens(candidate.steps.iter().zip(values).filter_map(value).collect());
    let worst = if signal.orientation == Orientation::Low { Statistic::Max } else { Statistic::Min };
    // Whoever gave them: each value is a step's own, and none stands for others as a supervised token does.
    Signal { values: known, ..signal.clone() }.step_values(TokenClass::All, worst, Granularity::Dense, &candidate.text, buckets)
}

/// A trace scored bucket by bucket, with the reward at each bucket's end; candidates without tokens are left out.
pub fn scored(trace: &Trace, k: usize) -> ScoredTrace {
    let of = |c: &Candidate| Some(ScoredCandidate::from_candidate(&bucketed(c, k)?, Granularity::Interval(k)));
    ScoredTrace::new(&trace.id, trace.candidates.iter().filter_map(of).collect())
}

/// A table of the largest drop of every signal on the grid, beside chance on the same grid. `traces`: from [`scored`] with the same `k`. The figures
/// `grid_exact` and `grid_within_one` are the default reward's.
///
/// # Errors
/// As [`Comparison::new`].
pub fn section(traces: &[ScoredTrace], k: usize, calibration: &Calibration, options: Bootstrap) -> Result<Section, EvalError> {
    let columns = columns(traces);
    // What is content-free says nothing here: every bucket has the same length.
    let standing = standing(&columns, None, calibration);
    let detector = default_reading(&columns, calibration).map(|c| &c.reading);
    let drops: Vec<Marker> = standing.iter().map(|c| Marker::LargestDrop(c.reading.clone())).collect();
    let mut methods: Vec<Vec<Counts>> = drops.iter().map(|m| traces.iter().map(|t| counts(m, t)).collect()).collect();
    methods.push(traces.iter().map(|t| chance_counts(t, false)).collect());
    let compared = Comparison::new(&methods.iter().map(Vec::as_slice).collect::<Vec<_>>(), options)?;
    let title = format!("First wrong step on a grid of {k} tokens: largest drop");
    let mut table = Table::new(&title, &["signal", "wrong traces", "exact bucket", "within ±1", "±1 over chance", "p"]);
    let mut section = Section::default();
    for (m, name) in standing.iter().map(|c| c.reading.to_string()).chain(["chance on this grid".to_owned()]).enumerate() {
        let summary = compared.summary(m);
        let mut row = vec![Cell::Text(name), Cell::Count(summary.counts.wrong as usize)];
        row.extend([Cell::Interval(summary.acc_error), Cell::Interval(summary.acc_within_one)]);
        if m < standing.len() {
            let gain = compared.paired(m, standing.len(), Counts::acc_within_one);
            row.extend([Cell::Interval(gain.difference), Cell::P(gain.p)]);
        } else {
            row.extend([Cell::Empty, Cell::Empty]);
        }
        if standing.get(m).is_some_and(|c| Some(&c.reading) == detector) {
            section.figure("grid_exact", 100.0 * summary.acc_error.estimate);
            section.figure("grid_within_one", 100.0 * summary.acc_within_one.estimate);
        }
        table.rows.push(row);
    }
    section.tables.push(table);
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::scored::known;
    use crate::trace::{SignalSource, Token};

    /// Seven tokens of two bytes; steps 0..6 and 6..14; the logits as given.
    fn candidate(gold: Option<GoldDeviation>, logits: [f32; 7]) -> Candidate {
        let span = |i: usize| Span::new(2 * i, 2 * i + 2);
        Candidate {
            text: "aabbccddeeffgg".into(),
            steps: vec![Step { span: Span::new(0, 6), ..Step::default() }, Step { span: Span::new(6, 14), ..Step::default() }],
            tokens: (0..7).map(|i| Token { span: span(i), logprob: Some(-(i as f32)), ..Token::default() }).collect(),
            gold,
            ..Candidate::default()
        }
        .with_rewards(logits.iter().enumerate().map(|(i, l)| TokenValue { span: span(i), value: *l }).collect())
    }

    #[test]
    fn buckets_take_the_place_of_steps() {
        let c = candidate(Some(GoldDeviation::Step(1)), [9.0, 2.0, 8.0, -3.0, 7.0, 5.0, 1.0]);
        let trace = Trace { candidates: vec![c.clone(), Candidate::default()], ..Trace::default() };
        let scored = scored(&trace, 2);
        assert_eq!(scored.candidates.len(), 1, "no tokens, no buckets");
        let s = &scored.candidates[0];
        // Buckets of bytes 0..4, 4..8, 8..12, 12..14; the second step begins at byte 6.
        assert_eq!((s.n_steps, s.first_error), (4, Some(1)));
        assert_eq!(s.steps(&"reward.min".parse().unwrap()), [2.0, -3.0, 5.0, 1.0]);
        assert_eq!(s.steps(&"logprob.min".parse().unwrap()), [-1.0, -3.0, -5.0, -6.0]);
        assert_eq!(bucketed(&c, 100).unwrap().steps.len(), 1);
        let missing = Candidate { gold: Some(GoldDeviation::Step(2)), ..c };
        assert_eq!(bucketed(&missing, 2).unwrap().gold, Some(GoldDeviation::Step(4)), "out of reach");
    }

    #[test]
    fn values_of_steps_stand_where_the_steps_end() {
        let mut c = candidate(None, [0.0; 7]);
        c.put_signal(Signal::given_steps("given", vec![Some(0.9), Some(0.1)]));
        let doubt = Signal { orientation: Orientation::Low, ..Signal::given_steps("doubt", vec![Some(2.0), None]) };
        c.put_signal(doubt);
        // What another step count would read at the first two buckets.
        c.put_signal(Signal { source: SignalSource::Model("prm".into()), ..Signal::given_steps("prm", vec![Some(3.0), Some(4.0)]) });
        c.put_signal(Signal { source: SignalSource::Check, ..Signal::given_steps(check::CHARACTERS, vec![Some(6.0), Some(8.0)]) });
        let on = |k: usize, name: &str| {
            scored(&Trace { candidates: vec![c.clone()], ..Trace::default() }, k).candidates[0]
                .clone()
                .steps(&name.parse().unwrap())
                .to_vec()
        };
        // Buckets of bytes 0..4, 4..8, 8..12, 12..14; the steps end at bytes 6 and 14.
        assert_eq!(known(&on(2, "given")), [None, Some(0.9), None, Some(0.1)]);
        assert_eq!(known(&on(2, "doubt")), [None, Some(-2.0), None, None], "turned so that high is good");
        assert_eq!(known(&on(2, "prm")), [None, Some(3.0), None, Some(4.0)], "no granularity: each is a step's own");
        assert_eq!(on(2, check::CHARACTERS), [-4.0, -4.0, -4.0, -2.0], "made anew");
        // Both end in the one bucket: the worst counts, and what is not known does not.
        assert_eq!((on(7, "given"), on(7, "doubt"), on(7, "prm")), (vec![0.1], vec![-2.0], vec![3.0]));
    }

    #[test]
    fn chance_is_that_of_the_grid() {
        let wrong = candidate(Some(GoldDeviation::Step(1)), [9.0, 2.0, 8.0, -3.0, 7.0, 5.0, 1.0]);
        let trace = scored(&Trace { candidates: vec![wrong], ..Trace::default() }, 2);
        let options = Bootstrap { resamples: 1000, ..Bootstrap::default() };
        let section = section(&[trace], 2, &Calibration::default(), options).unwrap();
        assert_eq!((section.figures["grid_exact"], section.figures["grid_within_one"]), (100.0, 100.0));
        let Cell::Interval(chance) = section.tables[0].rows.last().unwrap()[3] else { panic!() };
        assert_eq!(chance.estimate, 0.75, "three of four buckets lie within one of the second");
        assert!(section.tables[0].rows.iter().all(|r| r.len() == 6));
    }
}
