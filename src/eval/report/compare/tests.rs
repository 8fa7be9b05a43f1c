use super::*;
use crate::eval::scored::{Column, Says};

const OPTIONS: Bootstrap = Bootstrap { resamples: 2000, seed: 5, level: 0.95 };

fn options() -> Options {
    Options { names: ["old".into(), "new".into()], bootstrap: OPTIONS, ..Options::default() }
}

/// A right and a wrong candidate; the reward prefers the right one where `prefers`.
fn problem(id: &str, prefers: bool) -> ScoredTrace {
    let candidate = |correct: bool, reward: f32| {
        let mut c = ScoredCandidate {
            correct,
            labelled: true,
            first_error: (!correct).then_some(1),
            n_steps: 2,
            n_tokens: if correct { 4 } else { 3 },
            answer: Some(if correct { "1" } else { "2" }.into()),
            ..ScoredCandidate::default()
        };
        c.put(Column::steps("reward.min".parse().unwrap(), Says::Model), &[1.0, reward], f32::NAN);
        c
    };
    let (right, wrong) = if prefers { (2.0, -1.0) } else { (0.5, 1.5) };
    ScoredTrace::new(id, vec![candidate(false, wrong), candidate(true, right)])
}

fn run(ids: std::ops::Range<usize>, prefers: impl Fn(usize) -> bool) -> Vec<ScoredTrace> {
    ids.map(|i| problem(&format!("p{i}"), prefers(i))).collect()
}

fn row<'a>(table: &'a Table, name: &str) -> &'a [Cell] {
    table.rows.iter().find(|r| r[0] == Cell::Text(name.into())).unwrap()
}

fn estimate(cell: &Cell) -> f64 {
    match cell {
        Cell::Interval(i) => i.estimate,
        Cell::Number(x) | Cell::P(x) => *x,
        other => panic!("{other:?}"),
    }
}

#[test]
fn twenty_problems_by_hand() {
    // A picks right on 0..10, B on 0..8 and 10..20: 18 against 10; 2 only A solves, 10 only B.
    let (a, mut b) = (run(0..20, |i| i < 10), run(0..20, |i| !(8..10).contains(&i)));
    b.reverse();
    let report = compare(&a, &b, &options()).unwrap();
    let r = row(&report.tables[0], "reward.min mean");
    assert_eq!([estimate(&r[1]), estimate(&r[2])], [0.5, 0.9]);
    assert!((estimate(&r[3]) - 0.4).abs() < 1e-12);
    assert!(estimate(&r[4]) < 0.02 && estimate(&r[5]) >= estimate(&r[4]), "{r:?}");
    // Two-sided sign test of 2 against 10: 2 (1 + 12 + 66) / 4096.
    assert!((estimate(&r[6]) - 158.0 / 4096.0).abs() < 1e-12);
    // 2 asin √0.9 − 2 asin √0.5 = 2.498092 − 1.570796
    assert!((estimate(&r[7]) - 0.927_295).abs() < 1e-5);
    let random = row(&report.tables[0], "random");
    assert_eq!((estimate(&random[3]), estimate(&random[4]), &random[6]), (0.0, 1.0, &Cell::Empty));
    assert_eq!(report.figures["shared_problems"], 20.0);
    assert!((report.figures["difference_reward_mean"] - 40.0).abs() < 1e-9);
    assert!(!report.tables[0].rows.iter().any(|r| r[0] == Cell::Text("logprob.sum".into())), "neither run has them");
    let notes = report.notes.join("\n");
    assert!(
        notes.contains("20 problems are shared") && notes.contains("few") && notes.contains("A: old") && notes.contains("same candidates")
    );
}

#[test]
fn localisation_by_hand() {
    // With τ = 0 a preferring reward marks the wrong candidate's step 1 and leaves the right one; the other marks nothing.
    let (a, b) = (run(0..20, |i| i < 10), run(0..20, |_| true));
    let calibrated = Calibration::at(crate::trace::Detector::default().reading, 0.0);
    let report = compare(&a, &b, &Options { calibrations: [calibrated.clone(), calibrated], ..options() }).unwrap();
    let r = row(&report.tables[1], "reward.min, calibrated");
    // acc_error 0.5 and acc_correct 1: F1 2/3; against 1.
    assert!((estimate(&r[1]) - 2.0 / 3.0).abs() < 1e-12 && estimate(&r[2]) == 1.0);
    assert!((estimate(&r[3]) - 1.0 / 3.0).abs() < 1e-12 && estimate(&r[4]) < 0.01);
    assert_eq!((estimate(&r[6]), estimate(&r[8])), (0.5, 0.0));
    // 2 asin 1 − 2 asin √0.5 = π − π/2
    assert!((estimate(&r[7]) - std::f64::consts::FRAC_PI_2).abs() < 1e-12);
    assert!(report.tables[1].rows.iter().any(|r| r[0] == Cell::Text("reward.min, best".into())));
    assert!((report.figures["f1_difference_reward_calibrated"] - 100.0 / 3.0).abs() < 1e-9);
    let charts: Vec<&str> = report.charts.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(charts, ["compare-accuracy", "compare-difference", "compare-n", "compare-f1"]);
    let mut unlabelled = b;
    unlabelled.iter_mut().flat_map(|t| &mut t.candidates).for_each(|c| c.labelled = false);
    assert_eq!(compare(&a, &unlabelled, &options()).unwrap().tables.len(), 1);
}

#[test]
fn a_run_against_itself_differs_nowhere() {
    let a = run(0..60, |i| i % 3 == 0);
    let report = compare(&a, &a, &options()).unwrap();
    for row in &report.tables[0].rows {
        assert_eq!((estimate(&row[3]), estimate(&row[4]), estimate(&row[5]), estimate(&row[7])), (0.0, 1.0, 1.0, 0.0));
    }
    assert!(!report.notes.join("").contains("few"));
}

#[test]
fn different_problems_are_refused_and_named() {
    let (a, b) = (run(0..10, |_| true), run(5..12, |_| true));
    let error = compare(&a, &b, &options()).unwrap_err().to_string();
    assert!(error.contains("5 only in old (p0, p1, p2, …)") && error.contains("2 only in new (p10, p11); 5 are shared"), "{error}");
    let report = compare(&a, &b, &Options { shared_only: true, ..options() }).unwrap();
    assert_eq!(report.figures["shared_problems"], 5.0);
    assert!(report.notes.iter().any(|n| n.contains("5 problems that only A holds, 2 that only B holds")));
    let apart = compare(&a[..2], &b, &Options { shared_only: true, ..options() }).unwrap_err().to_string();
    assert!(apart.contains("share no problem"), "{apart}");
    let twice = [a.clone(), a[..1].to_vec()].concat();
    assert!(compare(&twice, &a, &options()).unwrap_err().to_string().contains("old holds problem p0 twice"));
    assert!(compare(&[], &[], &options()).is_err());
}

#[test]
fn the_common_n_is_the_least() {
    let (a, mut b) = (run(0..4, |_| true), run(0..4, |_| true));
    b[2].candidates.pop();
    assert!(compare(&a, &b, &options()).unwrap().tables[0].title.contains("best of 1;"));
    let asked = |n| compare(&a, &b, &Options { n: Some(n), ..options() });
    assert!(asked(2).unwrap_err().to_string().contains("problem p2 has 1 candidates"));
    assert!(asked(0).is_err() && asked(1).is_ok());
    b[2].candidates.clear();
    assert!(compare(&a, &b, &options()).unwrap_err().to_string().contains("p2 has no candidates"));
}
