//! Evaluation as a whole: known rewards on stories with known errors give known tables.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reasonscope::answer::{canonical, marked};
use reasonscope::eval::metrics::rerank::{Method, per_problem_at};
use reasonscope::eval::report::figures::check_name;
use reasonscope::eval::report::{Options, evaluate};
use reasonscope::eval::scored::{Column, Says};
use reasonscope::eval::stats::Bootstrap;
use reasonscope::eval::{ScoredCandidate, ScoredTrace};
use reasonscope::task::stories::{Corruption, Split, Story, check, corrupt, story};
use reasonscope::trace::{Aggregation, Calibration, Level, Orientation, Reading, Unit};

/// How the test rewards a line, given its index, the first wrong line and a source of chance.
type Reward = fn(usize, Option<usize>, &mut ChaCha8Rng) -> f32;

fn candidate(story: &Story, text: &str, reward: Reward, rng: &mut ChaCha8Rng) -> ScoredCandidate {
    let verdict = check(story, text);
    let mut c = ScoredCandidate {
        correct: verdict.correct,
        labelled: true,
        first_error: verdict.first_error,
        n_steps: verdict.lines,
        n_tokens: text.len(),
        answer: marked(text).as_deref().map(canonical),
        ..ScoredCandidate::default()
    };
    let lines = verdict.lines;
    let policy = |reading: &str| Column { level: Level::Token, unit: Unit::Nats, ..Column::steps(reading.parse().unwrap(), Says::Policy) };
    let rewards: Vec<f32> = (0..lines).map(|i| reward(i, verdict.first_error, rng)).collect();
    c.put(
        Column { level: Level::Token, unit: Unit::Logit, ..Column::steps("reward.min".parse().unwrap(), Says::Model) },
        &rewards,
        f32::NAN,
    );
    let mut noise = |n: usize| (0..n).map(|_| -rng.random::<f32>()).collect::<Vec<f32>>();
    let (steps, whole) = (noise(lines), noise(1)[0]);
    c.put(policy("logprob.sum"), &steps, whole);
    c.put(Column { main: false, ..policy("logprob.mean") }, &steps, whole / text.len() as f32);
    c.put(Column { orientation: Orientation::Low, ..policy("entropy.max") }, &noise(lines), f32::NAN);
    c
}

/// 60 problems; eight candidates, some three of them right, in random order.
fn traces(reward: Reward) -> Vec<ScoredTrace> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..60)
        .map(|i| {
            let s = story(Split::InDistribution, 31, i);
            let candidates = (0..8)
                .map(|_| {
                    let kind = [Corruption::Number, Corruption::Operator, Corruption::Operand][rng.random_range(0..3)];
                    let spoiled = rng.random_bool(0.6).then(|| corrupt(&s, kind, true, &mut rng)).flatten();
                    candidate(&s, &spoiled.map_or_else(|| s.solution(), |c| c.text), reward, &mut rng)
                })
                .collect();
            ScoredTrace::new(s.id, candidates)
        })
        .collect()
}

fn options() -> Options {
    Options {
        sizes: vec![8, 1],
        aggregation: Aggregation::Min,
        calibration: Calibration::at(Calibration::default().reading, 0.0),
        bootstrap: Bootstrap { resamples: 1000, ..Bootstrap::default() },
        ..Options::default()
    }
}

const BEST_OF: &str = "Best of N";
const GAIN: &str = "Gain of reward.min min at";
const PASS: &str = "pass@k";
const WHERE: &str = "First wrong step (Process";

/// The estimate in a row and column of the table of the report whose title begins so.
fn estimate(report: &serde_json::Value, table: &str, row: &str, column: &str) -> f64 {
    let found = report["tables"].as_array().unwrap().iter().find(|t| t["title"].as_str().unwrap().starts_with(table));
    let rows = found.unwrap_or_else(|| panic!("no table {table}"))["rows"].as_array().unwrap();
    let found = rows.iter().find(|r| r.as_object().unwrap().values().next().unwrap() == row);
    found.unwrap_or_else(|| panic!("no row {row}"))[column]["estimate"].as_f64().unwrap()
}

#[test]
fn a_perfect_reward_is_reported_as_perfect() {
    let report = evaluate(&traces(|i, e, _| if e.is_some_and(|e| i >= e) { -2.0 } else { 2.0 }), &options()).unwrap();
    let json = report.json();
    assert_eq!(estimate(&json, BEST_OF, "reward.min min", "N=8"), estimate(&json, BEST_OF, "oracle", "N=8"));
    let random = estimate(&json, BEST_OF, "random", "N=8");
    assert!(random > 0.3 && random < 0.5, "{random}");
    assert_eq!(random, estimate(&json, BEST_OF, "random", "N=1"));
    assert!((estimate(&json, GAIN, "random", "gain") - (estimate(&json, BEST_OF, "oracle", "N=8") - random)).abs() < 1e-12);
    assert_eq!(estimate(&json, WHERE, "reward.min, calibrated", "F1"), 1.0);
    assert_eq!(estimate(&json, WHERE, "reward.min, best", "F1"), 1.0);
    assert!(estimate(&json, WHERE, "logprob.sum, best", "F1") < 0.7);
    assert!((estimate(&json, PASS, "policy", "k=1") - random).abs() < 1e-12, "pass@1 is the random pick");
    assert_eq!(estimate(&json, PASS, "policy", "k=8"), estimate(&json, BEST_OF, "oracle", "N=8"));
}

#[test]
fn rewards_without_content_stay_at_chance() {
    let constant: Reward = |_, _, _| 0.5;
    let falling: Reward = |i, _, _| 1.0 - i as f32;
    let noise: Reward = |_, _, rng| rng.random::<f32>();
    for (name, reward) in [("constant", constant), ("falling", falling), ("noise", noise)] {
        let json = evaluate(&traces(reward), &options()).unwrap().json();
        let gain = estimate(&json, GAIN, "random", "gain");
        assert!(gain.abs() < 0.2, "{name}: {gain}");
        let f1 = estimate(&json, WHERE, "reward.min, best", "F1");
        assert!(f1 < 0.65, "{name}: {f1}");
    }
}

#[test]
fn all_forms_hold_all_rows() {
    let report = evaluate(&traces(|_, _, rng| rng.random()), &options()).unwrap();
    let (text, markdown) = (report.text(usize::MAX), report.markdown());
    for row in [
        "random",
        "shortest",
        "longest",
        "logprob.sum",
        "logprob.mean",
        "majority",
        "weighted majority reward.min min",
        "oracle",
        "chance, a step",
    ] {
        assert!(text.contains(row) && markdown.contains(row), "{row}");
    }
    let titles: Vec<&str> = report.tables.iter().map(|t| t.title.as_str()).collect();
    assert_eq!(titles.len(), 13, "{titles:?}");
    let charts: Vec<&str> = report.charts.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(charts, ["best-of-n", "localisation-by-position", "conformal-coverage", "rewards", "reliability"]);
    assert!(report.figures.keys().all(|name| check_name(name).is_ok()) && report.figures.len() > 20, "{:?}", report.figures);
    assert!(report.tables.iter().all(|t| t.rows.iter().all(|r| r.len() == t.columns.len())));
    assert_eq!(report.json(), evaluate(&traces(|_, _, rng| rng.random()), &options()).unwrap().json(), "seeded");
}

#[test]
fn the_statistic_is_chosen_on_other_problems_and_held_against_what_is_content_free() {
    let mut all = traces(|i, e, _| if Some(i) == e { -2.0 } else { 2.0 });
    // A second reading of the same reward, which says nothing, and the length of a step, which does not either.
    for c in all.iter_mut().flat_map(|t| &mut t.candidates) {
        let flat = vec![1.0; c.n_steps];
        c.put(Column { level: Level::Token, main: false, ..Column::steps("reward.sum".parse().unwrap(), Says::Model) }, &flat, f32::NAN);
        let length =
            Column { orientation: Orientation::Low, unit: Unit::Count, ..Column::steps(Reading::of("check:characters"), Says::Check) };
        c.put(length, &flat, f32::NAN);
    }
    let report = evaluate(&all, &Options { full: true, ..options() }).unwrap();
    let json = report.json();
    let table = "First wrong step by every signal";
    assert_eq!(estimate(&json, table, "reward", "F1, cross-validated"), 1.0);
    assert_eq!(
        (report.figures["f1_held_out"], report.figures["f1_content_free"], report.figures["lead_over_content_free"]),
        (100.0, 0.0, 100.0)
    );
    let rows = |title: &str| report.tables.iter().find(|t| t.title.starts_with(title)).unwrap().rows.clone();
    let text = |title: &str, row: usize| rows(title)[row].iter().map(reasonscope::eval::parts::Cell::text).collect::<Vec<_>>();
    assert_eq!(text(table, 0)[..2], ["reward", "reward.min"]);
    assert_eq!(rows("First wrong step by every reading").len(), 6, "two of the reward, two of the log-probability, an entropy, a length");
    let best = text("Best of 8 by every signal", 0);
    assert_eq!(best[0], "reward");
    assert!(best[1].starts_with("reward.min"), "{best:?}");
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    assert!(evaluate(&[], &options()).unwrap_err().to_string().contains("no traces"));
    let few = evaluate(&traces(|_, _, _| 0.0), &Options { sizes: vec![16], ..options() }).unwrap_err().to_string();
    assert!(few.contains("stories-in_distribution-31-0") && few.contains('8'), "{few}");
    let mut hasty = options();
    hasty.bootstrap.resamples = 10;
    assert!(evaluate(&traces(|_, _, _| 0.0), &hasty).is_err());
}

#[test]
fn unlabelled_unscored_traces_still_give_the_reranking() {
    let mut all = traces(|_, _, _| 0.0);
    for c in all.iter_mut().flat_map(|t| &mut t.candidates) {
        *c = ScoredCandidate { correct: c.correct, n_tokens: c.n_tokens, answer: c.answer.clone(), ..ScoredCandidate::default() };
    }
    let report = evaluate(&all, &options()).unwrap();
    assert_eq!(report.tables.len(), 4);
    let text = report.text(usize::MAX);
    assert!(text.contains("majority") && !text.contains("reward") && !text.contains("logprob"));
}

/// The published GSM8K pool of 660 problems with (mostly) 56 answers each: mean .302, oracle .936. 46 problems have a tie for the most frequent answer: the
/// majority is .585 where chance breaks them, and .598 where the place in the file does, in which the better models come first.
#[test]
fn a_real_pool_gives_its_known_figures() {
    let root = std::env::var_os("REASONSCOPE_DATA").map_or_else(|| "../shared/data".into(), std::path::PathBuf::from);
    let path = root.join("gsm8k_pool/even_questions.jsonl.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("skipped: {} is absent; set REASONSCOPE_DATA", path.display());
        return;
    };
    let lines = std::io::BufRead::lines(std::io::BufReader::new(flate2::read::MultiGzDecoder::new(file)));
    let groups: Vec<ScoredTrace> = lines
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let read = |c: &serde_json::Value| ScoredCandidate {
                correct: c["correct"].as_bool().unwrap(),
                answer: c["pred"].as_f64().map(|p| canonical(&p.to_string())),
                ..ScoredCandidate::default()
            };
            ScoredTrace::new(record["question"].as_str().unwrap(), record["candidates"].as_array().unwrap().iter().map(read).collect())
        })
        .collect();
    assert_eq!(groups.len(), 660);
    let accuracy = |method: &Method, g: &ScoredTrace| {
        per_problem_at(std::slice::from_ref(method), std::slice::from_ref(g), &[g.candidates.len()]).unwrap()[0][0]
    };
    let mean = |method: &Method| groups.iter().map(|g| accuracy(method, g)).sum::<f64>() / groups.len() as f64;
    for (method, known, within) in [(Method::Random, 0.302, 0.002), (Method::Majority, 0.585, 0.008), (Method::Oracle, 0.936, 0.002)] {
        let found = mean(&method);
        assert!((found - known).abs() < within, "{}: {found} against {known}", method.name());
    }
}
