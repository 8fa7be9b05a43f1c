//! The first wrong step, by every method that the data allows.

use super::Options;
use crate::eval::effect::wide_note;
use crate::eval::localise::{self, Comparison, Counts, Marker, Signal};
use crate::eval::section::Section;
use crate::eval::stats::{Interval, holm};
use crate::eval::table::{Cell, Table};
use crate::eval::{EvalError, ScoredTrace, conformal, onset};
use rayon::prelude::*;

/// A localisation method with its counts a problem.
struct Located {
    name: String,
    threshold: Option<f64>,
    marks_right: bool,
    marker: Option<Marker>,
    counts: Vec<Counts>,
}

/// The first wrong step by every method that the data allows. Empty where no trace has a labelled first error.
///
/// # Errors
/// As [`super::evaluate`].
pub fn localisation(traces: &[ScoredTrace], options: &Options) -> Result<Section, EvalError> {
    let labelled = || traces.iter().flat_map(|t| &t.candidates).filter(|c| c.labelled);
    let mut section = Section::default();
    if !labelled().any(|c| c.first_error.is_some()) {
        return Ok(section);
    }
    let located = located(traces, options);
    let drawn = Comparison::new(&located.iter().map(|l| l.counts.as_slice()).collect::<Vec<_>>(), options.bootstrap)?;
    let mut table = Table::new(
        "First wrong step (ProcessBench: acc_error, acc_correct, F1)",
        &["method", "threshold", "acc_error", "within ±1", "acc_correct", "F1"],
    );
    for (i, l) in located.iter().enumerate() {
        let r = drawn.summary(i);
        let judged = |i: Interval| if l.marks_right { Cell::Interval(i) } else { Cell::Empty };
        table.rows.push(vec![
            Cell::Text(l.name.clone()),
            l.threshold.map_or(Cell::Empty, Cell::Number),
            Cell::Interval(r.acc_error),
            Cell::Interval(r.acc_within_one),
            judged(r.acc_correct),
            judged(r.f1),
        ]);
        if i == 0 {
            let named = [("acc_error", r.acc_error), ("acc_within_one", r.acc_within_one), ("acc_correct", r.acc_correct), ("f1", r.f1)];
            named.into_iter().for_each(|(name, i)| section.figure(name, 100.0 * i.estimate));
            let judged = traces.iter().filter(|t| t.candidates.iter().any(|c| c.labelled)).count();
            section.notes.extend(wide_note(judged, &named.map(|n| n.1)).map(|note| format!("Localisation: {note}")));
        }
    }
    section.tables.push(table);
    section.notes.push("First wrong step: a trace is wrong where a step is labelled so, whatever its final answer.".into());
    if located.first().is_some_and(|l| l.name.starts_with("reward")) {
        section.tables.push(localisation_gains(&located, &drawn));
    }
    let marked: Vec<(String, Marker)> = located.iter().filter_map(|l| Some((l.name.clone(), l.marker?))).collect();
    section = section.followed_by(onset::section(&marked, traces, options.bootstrap)?);
    // One threshold a signal; the first is the calibrated one where there is one.
    let mut seen = Vec::new();
    let first = |m: &&(String, Marker)| matches!(m.1, Marker::Below(s, _) if !seen.contains(&s) && { seen.push(s); true });
    let firsts: Vec<(String, Marker)> = marked.iter().filter(first).cloned().collect();
    section.charts.push(onset::by_position(&firsts, traces, options.bootstrap)?);
    let known = |s: &Signal| labelled().any(|c| c.first_error.is_none() && s.values(c).iter().any(Option::is_some));
    let signals: Vec<Signal> = [Signal::Reward, Signal::LogProb, Signal::Entropy, Signal::Combined].into_iter().filter(known).collect();
    if !signals.is_empty() && traces.len() > 1 {
        section = section.followed_by(conformal::section(&signals, traces, options.bootstrap)?);
    }
    Ok(section)
}

/// The first method, a reward's, against all others that may leave a trace unmarked.
fn localisation_gains(located: &[Located], drawn: &Comparison) -> Table {
    let rivals: Vec<usize> = (0..located.len()).filter(|&i| located[i].marks_right && !located[i].name.starts_with("reward,")).collect();
    let test = |statistic: fn(&Counts) -> f64| rivals.iter().map(|&r| drawn.paired(0, r, statistic)).collect::<Vec<_>>();
    let (hits, f1s) = (test(Counts::acc_error), test(Counts::f1));
    let adjusted = holm(&f1s.iter().map(|t| t.p).collect::<Vec<_>>());
    let title = format!("Gain of {} in localisation, percentage points", located[0].name);
    let mut table = Table::new(&title, &["against", "acc_error", "p", "F1", "p (bootstrap)", "p (Holm)"]);
    for (((&rival, hit), f1), p) in rivals.iter().zip(&hits).zip(&f1s).zip(adjusted) {
        table.rows.push(vec![
            Cell::Text(located[rival].name.clone()),
            Cell::Interval(hit.difference),
            Cell::P(hit.p),
            Cell::Interval(f1.difference),
            Cell::P(f1.p),
            Cell::P(p),
        ]);
    }
    table
}

/// Every method that the data allows; the reward, at its calibrated threshold if there is one, comes first.
fn located(traces: &[ScoredTrace], options: &Options) -> Vec<Located> {
    let per = |marker: Marker| traces.par_iter().map(|t| localise::counts(marker, t)).collect::<Vec<_>>();
    let fixed = &options.calibration;
    let mut out = Vec::new();
    for signal in [Signal::Reward, Signal::LogProb, Signal::CriticLogProb, Signal::Entropy, Signal::Combined] {
        let sign = if signal == Signal::Entropy { -1.0_f32 } else { 1.0 };
        let threshold = if signal == Signal::Combined { options.combined_threshold } else { signal.threshold(fixed) };
        let known = traces.iter().flat_map(|t| &t.candidates).any(|c| signal.values(c).iter().any(Option::is_some));
        if !known {
            continue;
        }
        let best = localise::best_threshold(signal, traces).map(|b| b.0);
        for (kind, value) in [(options.source.name(signal), threshold), ("best".into(), best)] {
            let Some(value) = value else { continue };
            out.push(Located {
                name: format!("{}, {kind}", signal.name()),
                threshold: Some(f64::from(sign * value)),
                marks_right: true,
                marker: Some(Marker::Below(signal, value)),
                counts: per(Marker::Below(signal, value)),
            });
        }
        let name = format!("{}, largest drop", signal.name());
        let marker = Marker::LargestDrop(signal);
        out.push(Located { name, threshold: None, marks_right: false, marker: Some(marker), counts: per(marker) });
    }
    let chance = |may_pass| traces.iter().map(|t| localise::chance_counts(t, may_pass)).collect::<Vec<_>>();
    for (name, marks_right) in [("chance, a step", false), ("chance, a step or none", true)] {
        out.push(Located { name: name.into(), threshold: None, marks_right, marker: None, counts: chance(marks_right) });
    }
    let flags = (1..100).map(|r| traces.iter().map(|t| localise::flag_counts(t, f64::from(r) / 100.0)).collect::<Vec<_>>());
    let best = flags.max_by(|a, b| localise::total_f1(a).total_cmp(&localise::total_f1(b)));
    if let Some(counts) = best {
        out.push(Located { name: "random flags, best rate".into(), threshold: None, marks_right: true, marker: None, counts });
    }
    // Where no answer is known to be right, nothing is known of the others either.
    if traces.iter().flat_map(|t| &t.candidates).any(|c| c.labelled && c.correct) {
        let (name, marker) = ("answer oracle, step 0".into(), Marker::AnswerOracle);
        out.push(Located { name, threshold: None, marks_right: true, marker: Some(marker), counts: per(marker) });
    }
    out
}
