//! `eval` as a user runs it: recorded candidates, gates, folders, recipes, shards.

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(args).env_remove("NO_COLOR").output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The report that a command prints as JSON.
fn report(args: &[&str]) -> Value {
    let output = run(&[args, &["--json", "-q"]].concat());
    assert_eq!(code(&output), 0, "{args:?}: {}", err(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn figure(report: &Value, name: &str) -> f64 {
    report["figures"][name].as_f64().unwrap_or_else(|| panic!("{name} in {}", report["figures"]))
}

/// 60 problems of 4 candidates of 3 steps: the first is right; of the others, step `i % 3` is the first wrong one. Rewards: 2 for a right step, −2 from the
/// first wrong one on; in every sixth problem the right candidate has the lowest reward of all instead.
fn candidates(dir: &Path, name: &str, lie_every: usize) -> String {
    let mut lines = String::new();
    for p in 0..60 {
        for c in 0..4 {
            let wrong = (c > 0).then_some((p + c) % 3);
            let lies = p % lie_every == lie_every - 1 && c == 0;
            let reward = |s: usize| {
                if lies {
                    -5.0
                } else if wrong.is_some_and(|w| s >= w) {
                    -2.0
                } else {
                    2.0
                }
            };
            let logprob = |s: usize| if wrong == Some(s) { -3.0 } else { -0.5 };
            let record = json!({
                "schema_version": 1, "trace_id": format!("p{p}"), "candidate": c, "problem": format!("Problem {p}?"), "gold_answer": "1",
                "text": "aa\nbb\ncc", "steps": [[0, 2], [3, 5], [6, 8]], "token_spans": [[0, 2], [3, 5], [6, 8]],
                "logprobs": (0..3).map(logprob).collect::<Vec<_>>(), "token_rewards": (0..3).map(reward).collect::<Vec<_>>(),
                "gold_deviation": wrong.map_or(-1, |w| w as i64), "answer": if c == 0 { "1" } else { "2" }, "correct": c == 0,
            });
            lines += &format!("{record}\n");
        }
    }
    let path = dir.join(name);
    std::fs::write(&path, lines).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_file_that_breaks_off_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = candidates(dir.path(), "whole.jsonl", 6);
    let text = std::fs::read(&file).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &text).unwrap();
    let packed = packed.finish().unwrap();
    let cut = dir.path().join("cut.jsonl.gz");
    std::fs::write(&cut, &packed[..packed.len() * 2 / 3]).unwrap();
    let output = run(&["eval", "rerank", cut.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("breaks off after") && err(&output).contains("fetch it anew"), "{}", err(&output));
}

#[test]
fn a_threshold_stands_wherever_the_report_speaks_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = candidates(dir.path(), "some.jsonl", 7);
    let of = |threshold: &str| report(&["eval", "localise", &file, "--threshold", threshold]);
    let first = |made: &Value| made["tables"][0]["rows"][0].clone();
    let made = of("some");
    assert_eq!(first(&made)["method"], "reward.min, best on some");
    assert_eq!(figure(&made, "f1"), figure(&made, "processbench_some"));
    assert_eq!(first(&of("-100"))["method"], "reward.min, given");
    assert_eq!(figure(&of("-100"), "acc_error"), 0.0);
    for (threshold, says) in [("nan", "not a number"), ("other", "nor one of the files some")] {
        let output = run(&["eval", "localise", &file, "--threshold", threshold]);
        assert_eq!(code(&output), 2);
        assert!(err(&output).contains(says), "{}", err(&output));
    }
    let output = run(&["eval", "localise", &file, "--threshold", "0", "--baselines-only"]);
    assert!(code(&output) == 2 && err(&output).contains("there are no rewards"), "{}", err(&output));
}

#[test]
fn a_file_with_rewards_of_whole_samples_is_reranked_by_them() {
    let sample = |name: &str| format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"));
    let made = report(&["eval", "rerank", &sample("best_of_n.jsonl")]);
    let methods = |made: &Value| -> Vec<String> {
        let rows = made["tables"][0]["rows"].as_array().unwrap();
        rows.iter().map(|r| r["method"].as_str().unwrap().to_owned()).collect()
    };
    let rewards = |made: &Value| methods(made).into_iter().filter(|m| m.starts_with("pred_score")).collect::<Vec<_>>();
    assert_eq!(rewards(&made), ["pred_score"], "one, for nothing is aggregated");
    assert!(figure(&made, "best_of_n").is_finite());
    let calibration = report(&["eval", "calibrate", &sample("best_of_n.jsonl")]);
    let table = calibration["tables"].as_array().unwrap().iter().find(|t| t["title"].as_str().unwrap().contains("Spearman")).unwrap();
    let given: Vec<&str> = table["rows"].as_array().unwrap().iter().map(|r| r["given"].as_str().unwrap()).collect();
    assert_eq!(given, ["nothing", "length"], "there are no log-probabilities to be given");
    let bare = report(&["eval", "rerank", &sample("best_of_n.jsonl"), "--baselines-only"]);
    assert_eq!(rewards(&bare), Vec::<String>::new());

    // Programs have no answers: where nothing else is known either, no method is the main one and none is said to gain.
    let dir = tempfile::tempdir().unwrap();
    let joined = dir.path().join("programs.jsonl").to_str().unwrap().to_owned();
    let output = run(&["data", "join", &sample("humaneval_samples.jsonl"), &sample("humaneval_verdicts.jsonl"), "-o", &joined]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let made = report(&["eval", "rerank", &joined]);
    assert_eq!(methods(&made), ["random", "shortest", "longest", "oracle"]);
    assert!(made["tables"].as_array().unwrap().iter().all(|t| !t["title"].as_str().unwrap().contains("Gain")), "{}", made["tables"]);
}

/// 40 problems of 3 candidates with a file's own rewards of steps alone: the first candidate is right and has the best ones; of the others the second step is
/// wrong and has the lowest.
fn own_rewards(dir: &Path) -> String {
    let mut lines = String::new();
    for p in 0..40 {
        for c in 0..3 {
            let rewards = if c == 0 { json!([0.9, 0.9, 0.9]) } else { json!([0.7, 0.1, 0.5]) };
            let record = json!({
                "schema_version": 1, "trace_id": format!("p{p}"), "candidate": c, "problem": format!("Problem {p}?"), "gold_answer": "1",
                "text": "aa\nbb\ncc", "steps": [[0, 2], [3, 5], [6, 8]], "step_rewards": rewards,
                "gold_deviation": if c == 0 { -1 } else { 1 }, "answer": if c == 0 { "1" } else { "2" }, "correct": c == 0,
            });
            lines += &format!("{record}\n");
        }
    }
    let path = dir.join("own.jsonl");
    std::fs::write(&path, lines).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn rewards_of_steps_that_a_file_has_rank_locate_and_are_calibrated() {
    let dir = tempfile::tempdir().unwrap();
    let file = own_rewards(dir.path());
    let rerank = report(&["eval", "rerank", &file]);
    assert_eq!((figure(&rerank, "best_of_n"), figure(&rerank, "majority"), figure(&rerank, "weighted_majority")), (100.0, 0.0, 100.0));
    assert!(rerank["tables"].to_string().contains("\"given mean\""), "{}", rerank["tables"]);
    let localise = report(&["eval", "localise", &file, "--threshold", "0.3"]);
    assert_eq!(localise["tables"][0]["rows"][0]["method"], "given, given");
    assert_eq!((figure(&localise, "f1"), figure(&localise, "f1_held_out")), (100.0, 100.0));
    let by_place = report(&["eval", "localise", &file, "--detect-by", "check:position"]);
    assert_eq!(by_place["tables"][0]["rows"][0]["method"], "check:position, best");
    assert_eq!(figure(&by_place, "f1"), 0.0, "the same place in right and wrong traces");
    let calibrate = report(&["eval", "calibrate", &file]);
    assert_eq!(figure(&calibrate, "auroc"), 100.0);
    // Chances of 0.9 and 0.4333 as they are: (0.1² + 2 · 0.4333²) / 3.
    assert!((figure(&calibrate, "brier") - 100.0 * (0.01 + 2.0 * 0.433_333_f64.powi(2)) / 3.0).abs() < 0.01, "{calibrate}");
    let only = report(&["eval", "rerank", &file, "--signal", "check:characters"]);
    assert!(!only["tables"].to_string().contains("given"), "{}", only["tables"]);
    for (args, says) in [
        (&["eval", "rerank", &file, "--rank-by", "reward.sum"][..], "there are given"),
        (&["eval", "localise", &file, "--detect-by", "pred_score"], "no candidate has such a signal of steps"),
        (&["eval", "all", &file, "--signal", "logprob"], "no candidate has such a signal"),
    ] {
        let output = run(args);
        assert!(code(&output) == 2 && err(&output).contains(says), "{args:?}: {}", err(&output));
    }
}

#[test]
fn recorded_candidates_give_the_figures_that_they_were_made_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = candidates(dir.path(), "made.jsonl", 6);
    let rerank = report(&["eval", "rerank", &file]);
    assert!((figure(&rerank, "best_of_n") - 100.0 * 50.0 / 60.0).abs() < 1e-9);
    assert_eq!((figure(&rerank, "random"), figure(&rerank, "majority"), figure(&rerank, "oracle")), (25.0, 0.0, 100.0));
    assert!((figure(&rerank, "rerank_gain") - (100.0 * 50.0 / 60.0 - 25.0)).abs() < 1e-9);
    let pass = report(&["eval", "pass", &file, "-n", "2"]);
    assert_eq!((figure(&pass, "pass_1"), figure(&pass, "pass_n")), (25.0, 50.0));
    let localise = report(&["eval", "localise", &file, "--threshold", "0"]);
    assert_eq!(figure(&localise, "acc_error"), 100.0);
    assert!((figure(&localise, "acc_correct") - 100.0 * 50.0 / 60.0).abs() < 1e-9);
    let calibrate = report(&["eval", "calibrate", &file]);
    // A right candidate is above all wrong ones in 50 problems and below all in 10.
    assert!((figure(&calibrate, "auroc") - 50.0 / 60.0).abs() < 0.01 || (figure(&calibrate, "auroc") - 100.0 * 50.0 / 60.0).abs() < 1.0);
    let all = report(&["eval", "all", &file]);
    assert_eq!(figure(&all, "best_of_n"), figure(&rerank, "best_of_n"));
    assert_eq!(figure(&all, "auroc"), figure(&calibrate, "auroc"));
    let baselines = report(&["eval", "rerank", &file, "--baselines-only"]);
    assert!(!baselines.to_string().contains("reward.min") && baselines.to_string().contains("logprob.mean"), "{baselines}");
    assert!(baselines["figures"].get("majority").is_some());
}

#[test]
fn pooled_files_break_ties_as_each_does_alone() {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = (0..60)
        .flat_map(|p| (0..2).map(move |c| (p, c)))
        .map(|(p, c)| {
            let record = json!({
                "schema_version": 1, "trace_id": format!("p{p}"), "candidate": c, "problem": format!("Problem {p}?"), "gold_answer": "1",
                "text": "aa", "answer": if c == 0 { "1" } else { "2" }, "correct": c == 0,
            });
            format!("{record}\n")
        })
        .collect();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (one, two, folder) = (path("one.jsonl"), path("two.jsonl"), path("report"));
    for file in [&one, &two] {
        std::fs::write(file, &lines).unwrap();
    }
    let majority = |made: &Value| figure(made, "majority");
    let (alone, both) = (report(&["eval", "rerank", &one]), report(&["eval", "rerank", &one, &two, "--report", &folder]));
    assert_eq!((figure(&both, "problems"), majority(&both)), (120.0, majority(&alone)));
    assert!((20.0..80.0).contains(&majority(&alone)), "chance decides");
    let rows = std::fs::read_to_string(dir.path().join("report/rows.csv")).unwrap();
    assert!(rows.contains("\none/p0,") && rows.contains("\ntwo/p0,"), "rows tell the files apart: {}", &rows[..200]);
    // Problems with fewer candidates are left out of the file that they are in.
    std::fs::write(&two, lines.lines().filter(|l| l.contains("\"p1\"") || l.contains("\"candidate\":0")).collect::<Vec<_>>().join("\n"))
        .unwrap();
    let less = report(&["eval", "rerank", &two, &one, "-n", "2", "--report", &path("less")]);
    let rows = std::fs::read_to_string(dir.path().join("less/rows.csv")).unwrap();
    assert_eq!((figure(&less, "problems"), rows.matches("\ntwo/").count(), rows.matches("\none/").count()), (61.0, 2, 120));
}

#[test]
fn problems_are_drawn_among_those_with_candidates() {
    let dir = tempfile::tempdir().unwrap();
    let file = own_rewards(dir.path());
    let some = |n: &str| report(&["eval", "rerank", &file, "--problems", n]);
    assert_eq!(figure(&some("7"), "problems"), 7.0);
    assert_eq!(some("7"), some("7"), "the same ones every time");
    assert_eq!(figure(&some("1000"), "problems"), 40.0);
    let mut lines = std::fs::read_to_string(&file).unwrap();
    for p in 0..400 {
        lines += &format!(
            "{}\n",
            json!({ "schema_version": 1, "trace_id": format!("bare{p}"), "problem": format!("Bare {p}?"), "gold_answer": "1" })
        );
    }
    std::fs::write(&file, lines).unwrap();
    assert_eq!(figure(&some("7"), "problems"), 7.0, "what has no candidates is not counted");
}

#[test]
fn gates_end_with_3_and_unknown_figures_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = candidates(dir.path(), "made.jsonl", 6);
    assert_eq!(code(&run(&["eval", "rerank", &file, "--min", "best_of_n=80", "--max", "majority=0"])), 0);
    let missed = run(&["eval", "rerank", &file, "--min", "rerank_gain=60"]);
    assert_eq!(code(&missed), 3);
    assert!(err(&missed).contains("rerank_gain is 58.3333, at least 60"), "{}", err(&missed));
    let unknown = run(&["eval", "rerank", &file, "--min", "gain=1"]);
    assert_eq!(code(&unknown), 2);
    assert!(err(&unknown).contains("rerank_gain"), "{}", err(&unknown));
    for (args, says) in [
        (&["eval", "rerank", &file, "-n", "9"][..], "more than 4 candidates"),
        (&["eval", "localise", &file, "--threshold", "math"], "made"),
        (&["eval", "rerank", &file, "--min", "x"], "FIGURE=VALUE"),
        (&["eval", "rerank", &file, "--baselines-only", "--reward", "embedded"], "--reward"),
    ] {
        let output = run(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", err(&output));
        assert!(err(&output).contains(says), "{args:?}: {}", err(&output));
    }
    let problems = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/problems.txt");
    let none = run(&["eval", "rerank", problems]);
    assert!(code(&none) == 1 && err(&none).contains("problems.txt"), "{}", err(&none));
}

#[test]
fn a_folder_has_the_page_and_the_rows_and_compares_with_another() {
    let dir = tempfile::tempdir().unwrap();
    let (good, poor) = (candidates(dir.path(), "good.jsonl", 60), candidates(dir.path(), "poor.jsonl", 2));
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (file, folder) in [(&good, path("good")), (&poor, path("poor"))] {
        assert_eq!(code(&run(&["eval", "rerank", file, "--report", &folder, "-q"])), 0);
        for name in ["report.html", "report.md", "report.json", "rows.csv"] {
            assert!(Path::new(&folder).join(name).exists(), "{name}");
        }
        assert!(std::fs::read_dir(Path::new(&folder).join("charts")).unwrap().count() >= 2);
    }
    let compared = run(&["eval", "compare", &path("good"), &path("poor")]);
    assert_eq!(code(&compared), 0, "{}", err(&compared));
    let text = String::from_utf8(compared.stdout).unwrap();
    assert!(text.contains("reward.min mean") && text.contains("48.3"), "59 of 60 against 30 of 60: {text}");
    // 59/60 and 1/2 in percent, as two training seeds: mean 74.17, sd 48.33/√2 = 34.18
    let seeds = report(&["eval", "seeds", &path("good"), &path("poor")]);
    assert!((figure(&seeds, "best_of_n") - 74.1667).abs() < 1e-3, "{seeds}");
    let rows = seeds["tables"][0]["rows"].as_array().unwrap();
    let best = rows.iter().find(|r| r["figure"] == "best_of_n").unwrap();
    assert!((best["sd"].as_f64().unwrap() - 34.1769).abs() < 1e-3 && seeds["notes"].to_string().contains("Fewer than 5 seeds"), "{best}");
    let missing = run(&["eval", "seeds", &path("good"), &path("nothing")]);
    assert!(code(&missing) == 1 && err(&missing).contains("nothing") && err(&missing).contains("--report"), "{}", err(&missing));
    let foreign = path(".");
    let refused = run(&["eval", "rerank", &good, "--report", &foreign]);
    assert!(code(&refused) == 1 && err(&refused).contains("good.jsonl"), "{}", err(&refused));
}

#[test]
fn a_recipe_makes_every_report_and_looks_at_its_gates() {
    let dir = tempfile::tempdir().unwrap();
    let file = candidates(dir.path(), "made.jsonl", 6);
    let (out, recipe) = (dir.path().join("out"), dir.path().join("recipe.toml"));
    let text = |gate: u32| {
        format!(
            "output = {:?}\ndefaults = {{ resamples = 1000, width = 2 }}\n[[section]]\nname = \"rerank\"\nrun = \"rerank\"\nfiles = [{file:?}]\nmin = [\"best_of_n={gate}\"]\n[[section]]\nname = \"where\"\nrun = \"localise\"\nfiles = [{file:?}]\nthreshold = 0\n",
            out.to_str().unwrap()
        )
    };
    std::fs::write(&recipe, text(80)).unwrap();
    let report = report(&["eval", recipe.to_str().unwrap()]);
    assert_eq!(figure(&report, "where.acc_error"), 100.0);
    assert!(figure(&report, "rerank.best_of_n") > 83.0);
    assert!(["rerank", "where", "all"].iter().all(|s| out.join(s).join("report.html").exists()));
    std::fs::write(&recipe, text(90)).unwrap();
    assert_eq!(code(&run(&["--eval", recipe.to_str().unwrap()])), 3);
    std::fs::write(&recipe, text(80).replace("threshold", "treshold")).unwrap();
    let wrong = run(&["eval", recipe.to_str().unwrap()]);
    assert!(code(&wrong) == 2 && err(&wrong).contains("treshold") && err(&wrong).contains("recipe.toml"), "{}", err(&wrong));
}

#[test]
fn shards_put_together_are_the_whole_and_a_policy_reads_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = (0..7)
        .map(|i| format!("{{\"id\":\"q{i}\",\"problem\":\"Ben has {} pears. How many?\",\"steps\":[\"Ben has {i} pears.\",\"#### {i}\"],\"label\":-1,\"final_answer_correct\":true}}\n", i + 2))
        .collect();
    let file = dir.path().join("q.jsonl");
    std::fs::write(&file, lines).unwrap();
    let file = file.to_str().unwrap();
    let whole = run(&["score", file, "--reward", "embedded", "--policy", "embedded", "-q"]);
    assert_eq!(code(&whole), 0, "{}", err(&whole));
    let first: Value = serde_json::from_slice(whole.stdout.split(|b| *b == b'\n').next().unwrap()).unwrap();
    for list in ["token_rewards", "logprobs", "entropies", "token_ids"] {
        assert!(first[list].as_array().is_some_and(|l| l.len() > 5 && l[0].is_number()), "{list}: {first}");
    }
    let parts: Vec<u8> = (1..=3)
        .flat_map(|i| run(&["score", file, "--reward", "embedded", "--policy", "embedded", "-q", "--shard", &format!("{i}/3")]).stdout)
        .collect();
    assert_eq!(parts, whole.stdout);
    let alone = run(&["score", file, "--reward", "none", "--policy", "embedded", "-q"]);
    assert_eq!(code(&alone), 0, "{}", err(&alone));
    assert!(String::from_utf8(alone.stdout).unwrap().contains("logprobs"));
    assert_eq!(code(&run(&["score", file, "--reward", "none"])), 2);
}

#[test]
fn rewards_are_judged_on_spoiled_experts_sets_and_in_search() {
    let dir = tempfile::tempdir().unwrap();
    let experts: String = (2..12)
        .map(|i| {
            let (a, b) = (i + 3, (i + 3) * 2);
            json!({ "question": format!("Mia has {i} pears. She buys 3 pears. Then she has twice as many. How many pears does Mia have?"),
                "answer": format!("Mia has {i} + 3 = {a} pears.\nMia has {a} * 2 = {b} pears.\n#### {b}") })
            .to_string()
                + "\n"
        })
        .collect();
    let file = dir.path().join("experts.jsonl");
    std::fs::write(&file, experts).unwrap();
    let surface = report(&["eval", "surface", file.to_str().unwrap(), "--task", "gsm8k", "--policy", "embedded"]);
    assert!(figure(&surface, "pair_win_rate") > 60.0, "{surface}");
    assert!(surface["figures"].get("logprob_pair_win_rate").is_some());
    let made = candidates(dir.path(), "made.jsonl", 6);
    let transfer = report(&["eval", "transfer", &made]);
    assert!((figure(&transfer, "transfer_min_gain") - (100.0 * 50.0 / 60.0 - 25.0)).abs() < 1e-9);
    let search = report(&["eval", "search", "--problems", "12", "-n", "4", "--width", "2", "--max-tokens", "120"]);
    for name in ["search_best_of_n", "search_beam_2", "search_dvts_2"] {
        assert!((0.0..=100.0).contains(&figure(&search, name)));
    }
    assert_eq!(code(&run(&["eval", "search", "-n", "4", "--width", "3"])), 2);
}

#[test]
fn live_candidates_stand_beside_the_greedy_completion() {
    let made = |args: &[&str]| report(&[&["eval", "--problems", "24", "--seed", "5", "--resamples", "1000"], args].concat());
    // Greedy samples are the greedy completion: every figure of a single one is the same.
    let greedy = made(&["-n", "1", "--temperature", "0"]);
    assert_eq!(figure(&greedy, "greedy"), figure(&greedy, "pass_1"));
    assert_eq!((figure(&greedy, "best_of_n"), figure(&greedy, "gain_over_greedy")), (figure(&greedy, "greedy"), 0.0));
    let sampled = made(&["-n", "2", "--temperature", "3"]);
    assert_eq!(figure(&sampled, "greedy"), figure(&greedy, "greedy"));
    assert!(figure(&sampled, "greedy") > figure(&sampled, "pass_1") && figure(&sampled, "gain_over_greedy") < 0.0);
    let dir = tempfile::tempdir().unwrap();
    let recorded = report(&["eval", "rerank", &candidates(dir.path(), "made.jsonl", 6)]);
    assert!(recorded["figures"].get("greedy").is_none());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_at_once_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let file = candidates(dir.path(), "c.jsonl", 6);
    let out = dir.path().join("out.txt");
    std::fs::write(&out, "as it was\n").unwrap();
    let files = || {
        let mut all: Vec<String> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    };
    // A file that never ends: `eval` waits for more of it.
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Whoever runs the tests may have told them to outlive their terminal, and programs inherit that.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|l| u64::from_str_radix(l.strip_prefix("SigIgn:")?.trim(), 16).ok()).unwrap_or(0);
    for (signal, expected) in [("-INT", 130), ("-TERM", 143), ("-QUIT", 131), ("-HUP", 129)] {
        if signal == "-HUP" && ignored & 1 != 0 {
            continue;
        }
        let child = Command::new(env!("CARGO_BIN_EXE_reasonscope"))
            .args(["eval", "all", pipe.to_str().unwrap(), "-o", out.to_str().unwrap()])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut feed = std::fs::File::options().write(true).open(&pipe).unwrap();
        std::io::Write::write_all(&mut feed, &std::fs::read(&file).unwrap()).unwrap();
        while files().len() == 3 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        drop(feed);
        assert_eq!(code(&output), expected, "{signal}: {}", err(&output));
        assert!(err(&output).contains("interrupted"), "{}", err(&output));
        assert_eq!(
            (files(), std::fs::read_to_string(&out).unwrap().as_str()),
            (vec!["c.jsonl".into(), "out.txt".into(), "pipe".into()], "as it was\n")
        );
    }
}

#[cfg(unix)]
#[test]
fn what_a_killed_one_left_is_swept_by_the_next_with_the_same_output() {
    let dir = tempfile::tempdir().unwrap();
    let file = candidates(dir.path(), "c.jsonl", 6);
    let out = dir.path().join("out.txt");
    std::fs::write(&out, "as it was\n").unwrap();
    let files = || {
        let mut all: Vec<String> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    };
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let args = |input: &Path| ["eval".into(), "all".into(), input.to_owned(), "-o".into(), out.clone()];
    let start = || {
        let child = Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(args(&pipe)).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut feed = std::fs::File::options().write(true).open(&pipe).unwrap();
        std::io::Write::write_all(&mut feed, &std::fs::read(&file).unwrap()).unwrap();
        (child, feed)
    };
    let (mut killed, feed) = start();
    while files().len() == 3 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    drop(feed);
    let left = files();
    assert!(left.len() == 4 && left[0].starts_with(".out.txt.") && left[0].ends_with(".tmp"), "{left:?}");
    // Beside one that is at work, what was left goes and what is written now stays.
    let (mut at_work, feed) = start();
    while !files().iter().any(|f| f.starts_with(".out.txt.") && *f != left[0]) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let now = files();
    assert!(now.len() == 4 && now[0].starts_with(".out.txt."), "{now:?}");
    let whole = Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(args(Path::new(&file))).output().unwrap();
    assert_eq!((code(&whole), files()), (0, now), "{}", err(&whole));
    let report = std::fs::read_to_string(&out).unwrap();
    assert!(report.lines().count() > 5, "{report}");
    // That one is through when nothing more comes, and its report is the same but for the name of its file.
    drop(feed);
    assert!(at_work.wait().unwrap().success());
    let second = std::fs::read_to_string(&out).unwrap();
    assert!(second.starts_with("Everything on pipe") && second.lines().skip(1).eq(report.lines().skip(1)), "{second}");
    assert_eq!(files(), ["c.jsonl", "out.txt", "pipe"]);
}
