//! Files that the real producers write, made by them where Python has them, open with everything in them.

use reasonscope::collection::{Collection, Options};
use reasonscope::trace::Trace;
use std::path::Path;
use std::process::Command;

/// Makes a package's files and opens each: its name and its traces. `None` where the package is not installed, which is said.
fn made(package: &str) -> Option<Vec<(String, Vec<Trace>)>> {
    let dir = tempfile::tempdir().unwrap();
    let python = std::env::var("REASONSCOPE_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = Command::new(&python).args(["tests/make_producer_files.py", package]).arg(dir.path()).output();
    let Ok(output) = output else {
        println!("skipped: {python} does not run, so that {package} writes nothing");
        return None;
    };
    let (said, error) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    if output.status.code() == Some(77) {
        println!("{}", said.lines().find(|l| l.starts_with("skipped: ")).unwrap_or("skipped: a package is not installed"));
        return None;
    }
    assert!(output.status.success(), "{said}{error}");
    let files: Vec<(String, usize, usize)> = said
        .lines()
        .filter_map(|line| {
            let mut parts = line.split('\t');
            Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        })
        .collect();
    assert!(!files.is_empty(), "{said}{error}");
    let open = |(name, problems, candidates): (String, usize, usize)| {
        let path: &Path = &dir.path().join(&name);
        let collection = Collection::open(&[path.to_str().unwrap()], &Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        collection.wait_all();
        let errors: Vec<String> = collection.errors().iter().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        let traces: Vec<Trace> = (0..collection.len()).map(|i| collection.read(i).unwrap()).collect();
        assert_eq!((traces.len(), traces.iter().map(|t| t.candidates.len()).sum::<usize>()), (problems, candidates), "{name}");
        for trace in &traces {
            assert!(trace.problem.contains("What is "), "{name}: {:?}", trace.problem);
            assert!(trace.candidates.iter().all(|c| !c.text.trim().is_empty() && !c.steps.is_empty()), "{name}: {trace:?}");
        }
        (name, traces)
    };
    Some(files.into_iter().map(open).collect())
}

fn correct(traces: &[Trace]) -> Vec<Option<bool>> {
    traces.iter().flat_map(|t| &t.candidates).map(|c| c.correct).collect()
}

#[test]
fn inspect_ai_writes_logs_that_open() {
    for (name, traces) in made("inspect_ai").into_iter().flatten() {
        assert!(traces.iter().all(|t| t.candidates.len() == 2), "{name}: epochs are candidates");
        assert_eq!(traces.iter().map(|t| t.gold_answer.as_deref().unwrap_or("")).collect::<Vec<_>>(), ["3", "8", "-2"], "{name}");
        assert!(correct(&traces).iter().all(Option::is_some), "{name}: {:?}", correct(&traces));
    }
}

#[test]
fn lm_eval_writes_samples_that_open() {
    for (name, traces) in made("lm_eval").into_iter().flatten() {
        assert_eq!(traces.iter().map(|t| t.gold_answer.as_deref().unwrap_or("")).collect::<Vec<_>>(), ["3", "8", "-2"], "{name}");
        assert_eq!(correct(&traces), [Some(false); 3], "{name}");
        assert!(traces[0].candidates[0].text.contains("The answer is 0."), "{name}");
    }
}

#[test]
fn trl_writes_completions_and_stepwise_sets_that_open() {
    for (name, traces) in made("trl").into_iter().flatten() {
        if name.starts_with("completions") {
            let whole = |i: usize, signal: &str| traces[0].candidates[i].signal(signal).and_then(|s| s.whole());
            assert_eq!((whole(0, "exact_reward"), whole(0, "advantage")), (Some(0.0), Some(-0.5)), "{name}: {:?}", traces[0]);
        } else {
            assert_eq!(traces[1].candidates[0].steps.iter().map(|s| s.label).collect::<Vec<_>>(), [Some(1.0), Some(0.0)], "{name}");
        }
    }
}

#[test]
fn datasets_writes_sets_that_open() {
    for (name, traces) in made("datasets").into_iter().flatten() {
        if !name.starts_with("chats") {
            assert_eq!(correct(&traces), [Some(true), Some(false), Some(true)], "{name}");
        }
    }
}
