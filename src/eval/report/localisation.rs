//! The first wrong step, by every method that the data allows, and by the best reading of every signal.

use super::Options;
use crate::eval::columns::{columns, has_steps, is_content_free, main_of, names, standing};
use crate::eval::metrics::localise::choose::{Chosen, Validated, best_threshold, step_auroc, thresholds, validated};
use crate::eval::metrics::localise::combine::COMBINED;
use crate::eval::metrics::localise::{self, Comparison, Counts, Marker, conformal, onset};
use crate::eval::parts::section::Section;
use crate::eval::parts::table::{Cell, Table};
use crate::eval::scored::{Column, Says};
use crate::eval::stats::effect::wide_note;
use crate::eval::stats::resample::affordable;
use crate::eval::stats::{Interval, Paired, holm};
use crate::eval::{EvalError, ScoredTrace};
use crate::trace::Reading;
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
    let mut columns = columns(traces);
    columns.retain(has_steps);
    let detector = options.detector(&columns);
    let standing = with_calibrated(&columns, detector.as_ref(), options);
    let located = located(traces, &columns, &standing, detector.as_ref(), options);
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
    if let Some(detector) = &detector {
        section.tables.push(gains(&located, detector, &drawn));
    }
    section = section.followed_by(chosen(traces, &columns, detector.as_ref(), options)?);
    let marked: Vec<(String, Marker)> = located.iter().filter_map(|l| Some((l.name.clone(), l.marker.clone()?))).collect();
    section = section.followed_by(onset::section(&marked, traces, options.bootstrap)?);
    // One threshold a reading; the first is the calibrated one where there is one.
    let mut seen: Vec<&Reading> = Vec::new();
    let mut firsts: Vec<(String, Marker)> = Vec::new();
    for (name, marker) in &marked {
        if let Marker::Below(reading, _) = marker
            && !seen.contains(&reading)
        {
            seen.push(reading);
            firsts.push((name.clone(), marker.clone()));
        }
    }
    section.charts.push(onset::by_position(&firsts, traces, options.bootstrap)?);
    let known = |c: &&Column| labelled().any(|x| x.first_error.is_none() && x.has_steps(&c.reading));
    let promised: Vec<Reading> = standing.iter().filter(known).map(|c| c.reading.clone()).collect();
    if !promised.is_empty() && traces.len() > 1 {
        section = section.followed_by(conformal::section(&promised, traces, options.bootstrap)?);
    }
    Ok(section)
}

/// The column that stands for each signal, the detector's first, and beside it those that are calibrated; what is content-free has a table of its own.
fn with_calibrated(columns: &[Column], detector: Option<&Column>, options: &Options) -> Vec<Column> {
    let calibrated = |c: &&Column| options.calibration.threshold(&c.reading).is_some() && !is_content_free(c);
    let mut out: Vec<Column> = Vec::new();
    for main in standing(columns, detector, &options.calibration) {
        let beside = columns.iter().filter(|c| c.reading.signal == main.reading.signal && c.reading != main.reading).filter(calibrated);
        let beside: Vec<Column> = beside.cloned().collect();
        out.push(main);
        out.extend(beside);
    }
    // What is fitted from others stands behind them.
    out.sort_by_key(|c| (c.says == Says::Fitted) && c.reading.signal == COMBINED);
    out
}

/// The main detector against all others that may leave a trace unmarked, but for its own at another threshold.
fn gains(located: &[Located], detector: &Column, drawn: &Comparison) -> Table {
    let own = |l: &Located| matches!(&l.marker, Some(Marker::Below(r, _) | Marker::LargestDrop(r)) if *r == detector.reading);
    let rivals: Vec<usize> = (0..located.len()).filter(|&i| located[i].marks_right && !own(&located[i])).collect();
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

/// Every method that the data allows; the main detector, at its calibrated threshold if there is one, comes first.
fn located(traces: &[ScoredTrace], columns: &[Column], standing: &[Column], detector: Option<&Column>, options: &Options) -> Vec<Located> {
    let per = |marker: &Marker| traces.par_iter().map(|t| localise::counts(marker, t)).collect::<Vec<_>>();
    let mut out = Vec::new();
    for column in standing {
        let reading = &column.reading;
        let is_main = detector.is_some_and(|d| d.reading == *reading);
        let fixed = options.calibration.threshold(reading).map(|t| column.turn(t));
        // A reading that is there because it is calibrated needs no other threshold.
        let stands = is_main || main_of(columns, &reading.signal, &options.calibration).is_some_and(|c| c.reading == *reading);
        let best = best_threshold(reading, traces).map(|b| b.0).filter(|_| stands);
        for (kind, value) in [(options.source.name(is_main), fixed), ("best".into(), best)] {
            let Some(value) = value else { continue };
            let marker = Marker::Below(reading.clone(), value);
            out.push(Located {
                name: format!("{reading}, {kind}"),
                threshold: Some(f64::from(column.turn(value))),
                marks_right: true,
                counts: per(&marker),
                marker: Some(marker),
            });
        }
        if stands {
            let (name, marker) = (format!("{reading}, largest drop"), Marker::LargestDrop(reading.clone()));
            out.push(Located { name, threshold: None, marks_right: false, counts: per(&marker), marker: Some(marker) });
        }
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
        out.push(Located { name, threshold: None, marks_right: true, counts: per(&marker), marker: Some(marker) });
    }
    out
}

/// What the best content-free detector is called.
const CONTENT_FREE: &str = "content-free, best of them";

/// Every signal with the reading and threshold that do best, chosen on other problems than they are judged on, and its lead over what knows nothing of a
/// step's content; and, where everything is asked for, every reading.
fn chosen(traces: &[ScoredTrace], columns: &[Column], detector: Option<&Column>, options: &Options) -> Result<Section, EvalError> {
    let mut section = Section::default();
    let seed = options.bootstrap.seed;
    let chosen = thresholds(&columns.iter().map(|c| &c.reading).collect::<Vec<_>>(), traces, seed);
    let family = |inside: &dyn Fn(&Column) -> bool| -> Vec<&Chosen> {
        columns.iter().zip(&chosen).filter(|(column, _)| inside(column)).map(|(_, chosen)| chosen).collect()
    };
    let mut families: Vec<(String, Validated)> = Vec::new();
    for name in names(columns) {
        families.extend(validated(&family(&|c| c.reading.signal == name), traces, seed).map(|v| (name.to_owned(), v)));
    }
    families.extend(validated(&family(&is_content_free), traces, seed).map(|v| (CONTENT_FREE.to_owned(), v)));
    if families.is_empty() {
        return Ok(section);
    }
    let column = |reading: &Reading| columns.iter().find(|c| c.reading == *reading);
    let best = |v: &Validated| -> Vec<Counts> {
        let marker = Marker::Below(v.reading.clone(), v.best.0);
        traces.par_iter().map(|t| localise::counts(&marker, t)).collect()
    };
    let on_labels: Vec<Vec<Counts>> = families.iter().map(|(_, v)| best(v)).collect();
    let all: Vec<&[Counts]> = families.iter().map(|(_, v)| v.counts.as_slice()).chain(on_labels.iter().map(Vec::as_slice)).collect();
    let drawn = Comparison::new(&all, affordable(options.bootstrap, all.len() * traces.len() / 2))?;
    let free = families.iter().position(|f| f.0 == CONTENT_FREE);
    let leads: Vec<Option<Paired>> = families
        .iter()
        .enumerate()
        .map(|(k, (_, v))| {
            let judges = column(&v.reading).is_some_and(|c| !is_content_free(c));
            free.filter(|_| judges).map(|free| drawn.paired(k, free, Counts::f1))
        })
        .collect();
    let mut adjusted = holm(&leads.iter().flatten().map(|l| l.p).collect::<Vec<_>>()).into_iter();
    let title = "First wrong step by every signal: statistic and threshold chosen by cross-validation";
    let heads = [
        "signal",
        "chosen",
        "threshold",
        "F1, cross-validated",
        "F1, best on these labels",
        "AUROC of steps",
        "lead over content-free",
        "p (Holm)",
    ];
    let mut table = Table::new(title, &heads);
    for (k, ((name, v), lead)) in families.iter().zip(&leads).enumerate() {
        let f1 = drawn.interval(k, Counts::f1);
        let turned = column(&v.reading).map_or(v.best.0, |c| c.turn(v.best.0));
        let p = lead.and_then(|_| adjusted.next());
        table.rows.push(vec![
            Cell::Text(name.clone()),
            Cell::Text(v.reading.to_string()),
            Cell::Number(f64::from(turned)),
            Cell::Interval(f1),
            Cell::Interval(drawn.interval(families.len() + k, Counts::f1)),
            step_auroc(&v.reading, traces).map_or(Cell::Empty, Cell::Share),
            lead.map_or(Cell::Empty, |l| Cell::Interval(l.difference)),
            p.map_or(Cell::Empty, Cell::P),
        ]);
        if detector.is_some_and(|d| d.reading.signal == *name) {
            section.figure("f1_held_out", 100.0 * f1.estimate);
            section.figure("lead_over_content_free", lead.map_or(f64::NAN, |l| 100.0 * l.difference.estimate));
        }
        if name == CONTENT_FREE {
            section.figure("f1_content_free", 100.0 * f1.estimate);
        }
    }
    section.tables.push(table);
    if options.full {
        section.tables.push(every_reading(traces, columns, &chosen, seed));
    }
    section.notes.push(format!(
        "Cross-validated: for each fifth of the problems (drawn by seed {seed}) the statistic and threshold with the best F1 on the other four; named are those with the best F1 on all. \
         AUROC of steps: first wrong steps against right ones. Content-free detectors count a step's tokens, characters, digits or its place."
    ));
    Ok(section)
}

/// Each reading by itself.
fn every_reading(traces: &[ScoredTrace], columns: &[Column], chosen: &[Chosen], seed: u64) -> Table {
    let heads = ["reading", "threshold", "F1, cross-validated", "F1, best on these labels", "AUROC of steps"];
    let mut table = Table::new("First wrong step by every reading: threshold chosen by cross-validation", &heads);
    for (column, own) in columns.iter().zip(chosen) {
        let Some(v) = validated(&[own], traces, seed) else { continue };
        table.rows.push(vec![
            Cell::Text(column.reading.to_string()),
            Cell::Number(f64::from(column.turn(v.best.0))),
            Cell::Share(localise::total_f1(&v.counts)),
            Cell::Share(v.best.1),
            step_auroc(&v.reading, traces).map_or(Cell::Empty, Cell::Share),
        ]);
    }
    table
}
