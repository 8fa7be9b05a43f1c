//! Evaluation as a whole: known rewards on stories with known errors give known tables.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reasonscope::answer::{canonical, marked};
use reasonscope::eval::figures::check_name;
use reasonscope::eval::report::{Options, evaluate};
use reasonscope::eval::rerank::{Method, accuracy};
use reasonscope::eval::stats::Bootstrap;
use reasonscope::eval::{ScoredCandidate, ScoredTrace};
use reasonscope::task::stories::{Corruption, Split, Story, check, corrupt, story};
use reasonscope::trace::{Aggregation, Calibration};

/// How the test rewards a line, given its index, the first wrong line and a source of chance.
type Reward = fn(usize, Option<usize>, &mut ChaCha8Rng) -> f32;

fn candidate(story: &Story, text: &str, reward: Reward, rng: &mut ChaCha8Rng) -> ScoredCandidate {
    let verdict = check(story, text);
    let noise = |rng: &mut ChaCha8Rng| Some(-rng.random::<f32>());
    ScoredCandidate {
        correct: verdict.correct,
        labelled: true,
        first_error: verdict.first_error,
        n_steps: verdict.lines,
        n_tokens: text.len(),
        logprob_sum: noise(rng),
        step_logprob_min: (0..verdict.lines).map(|_| noise(rng)).collect(),
        step_entropy_max: (0..verdict.lines).map(|_| noise(rng).map(|x| -x)).collect(),
        step_rewards: (0..verdict.lines).map(|i| Some(reward(i, verdict.first_error, rng))).collect(),
        answer: marked(text).map(canonical),
        ..ScoredCandidate::default()
    }
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
        main: Method::Reward(Aggregation::Min),
        calibration: Calibration::at(Calibration::default().reading, 0.0),
        bootstrap: Bootstrap { resamples: 1000, ..Bootstrap::default() },
        ..Options::default()
    }
}

/// The estimate in a row and column of a table of the report.
fn estimate(report: &serde_json::Value, table: usize, row: &str, column: &str) -> f64 {
    let rows = report["tables"][table]["rows"].as_array().unwrap();
    let found = rows.iter().find(|r| r.as_object().unwrap().values().next().unwrap() == row);
    found.unwrap_or_else(|| panic!("no row {row}"))[column]["estimate"].as_f64().unwrap()
}

#[test]
fn a_perfect_reward_is_reported_as_perfect() {
    let report = evaluate(&traces(|i, e, _| if e.is_some_and(|e| i >= e) { -2.0 } else { 2.0 }), &options()).unwrap();
    let json = report.json();
    assert_eq!(estimate(&json, 0, "reward min", "N=8"), estimate(&json, 0, "oracle", "N=8"));
    let random = estimate(&json, 0, "random", "N=8");
    assert!(random > 0.3 && random < 0.5, "{random}");
    assert_eq!(random, estimate(&json, 0, "random", "N=1"));
    assert!((estimate(&json, 1, "random", "gain") - (estimate(&json, 0, "oracle", "N=8") - random)).abs() < 1e-12);
    assert_eq!(estimate(&json, 4, "reward, calibrated", "F1"), 1.0);
    assert_eq!(estimate(&json, 4, "reward, best", "F1"), 1.0);
    assert!(estimate(&json, 4, "log-prob, best", "F1") < 0.7);
    assert!((estimate(&json, 2, "policy", "k=1") - random).abs() < 1e-12, "pass@1 is the random pick");
    assert_eq!(estimate(&json, 2, "policy", "k=8"), estimate(&json, 0, "oracle", "N=8"));
}

#[test]
fn rewards_without_content_stay_at_chance() {
    let constant: Reward = |_, _, _| 0.5;
    let falling: Reward = |i, _, _| 1.0 - i as f32;
    let noise: Reward = |_, _, rng| rng.random::<f32>();
    for (name, reward) in [("constant", constant), ("falling", falling), ("noise", noise)] {
        let json = evaluate(&traces(reward), &options()).unwrap().json();
        let gain = estimate(&json, 1, "random", "gain");
        assert!(gain.abs() < 0.2, "{name}: {gain}");
        let f1 = estimate(&json, 4, "reward, best", "F1");
        assert!(f1 < 0.65, "{name}: {f1}");
    }
}

#[test]
fn all_forms_hold_all_rows() {
    let report = evaluate(&traces(|_, _, rng| rng.random()), &options()).unwrap();
    let (text, markdown) = (report.text(usize::MAX), report.markdown());
    for row in
        ["random", "shortest", "longest", "log-prob sum", "log-prob mean", "majority", "weighted majority min", "oracle", "chance, a step"]
    {
        assert!(text.contains(row) && markdown.contains(row), "{row}");
    }
    let titles: Vec<&str> = report.tables.iter().map(|t| t.title.as_str()).collect();
    assert_eq!(titles.len(), 11, "{titles:?}");
    let charts: Vec<&str> = report.charts.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(charts, ["best-of-n", "localisation-by-position", "conformal-coverage", "rewards", "reliability"]);
    assert!(report.figures.keys().all(|name| check_name(name).is_ok()) && report.figures.len() > 20, "{:?}", report.figures);
    assert!(report.tables.iter().all(|t| t.rows.iter().all(|r| r.len() == t.columns.len())));
    assert_eq!(report.json(), evaluate(&traces(|_, _, rng| rng.random()), &options()).unwrap().json(), "seeded");
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
    let report = evaluate(&all, &Options { main: Method::Majority, ..options() }).unwrap();
    assert_eq!(report.tables.len(), 4);
    let text = report.text(usize::MAX);
    assert!(text.contains("majority") && !text.contains("reward mean") && !text.contains("log-prob"));
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
    let mean = |method| groups.iter().map(|g| accuracy(method, g)).sum::<f64>() / groups.len() as f64;
    for (method, known, within) in [(Method::Random, 0.302, 0.002), (Method::Majority, 0.585, 0.008), (Method::Oracle, 0.936, 0.002)] {
        let found = mean(method);
        assert!((found - known).abs() < within, "{}: {found} against {known}", method.name());
    }
}
