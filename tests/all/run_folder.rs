//! The folder of a run: what it holds opens as traces, and what an earlier version left in one is gone on with.

use crate::train::go;
use reasonscope::format::{Options, TraceList};
use reasonscope::run::{RunFolder, RunReader, RunRecord, RunSample, trace_files};
use reasonscope::train::{Demonstrations, Metrics, Recipe};
use std::path::{Path, PathBuf};

/// The folder of a run as an earlier version left it when it was stopped after 11 of 30 updates on labels.
pub fn old_run() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old_run")
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path() {
            folder if folder.is_dir() => copy(&folder, &target),
            file => assert!(std::fs::copy(file, target).is_ok()),
        }
    }
}

/// What that version called the inputs of its stages. Where they are others, a key was added that is written where it is as by default, or a default has
/// changed: skip the one, and raise the revision of the digests for the other.
const DIGESTS: [(&str, &str); 6] = [
    ("policy", "40361d12a018eb0e"),
    ("reward-sft", "e4c7068b5f4d8959"),
    ("reward", "68239fe2a30a5bd1"),
    ("labels", "31313f96b18d3aee"),
    ("preference", "633025dfa5a1d995"),
    ("rl", "fb66c409ffa48816"),
];

/// Puts another digest into a checkpoint; the one that it had.
fn relabel(checkpoint: &Path, digest: &str) -> String {
    let mut bytes = std::fs::read(checkpoint).unwrap();
    let key = b"\"recipe\":\"";
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    let old = String::from_utf8(bytes[at..at + 16].to_vec()).unwrap();
    bytes[at..at + 16].copy_from_slice(digest.as_bytes());
    std::fs::write(checkpoint, bytes).unwrap();
    old
}

fn stages(metrics: &[Metrics]) -> Vec<&str> {
    let mut all: Vec<&str> = metrics.iter().map(|m| m.stage.as_str()).collect();
    all.dedup();
    all
}

#[test]
fn a_run_of_an_earlier_version_goes_on_where_it_was_stopped() {
    let dir = tempfile::tempdir().unwrap();
    copy(&old_run(), dir.path());
    let folder = RunFolder::new(dir.path());
    let recipe = Recipe::read(&folder.recipe(), &[format!("output={}", dir.path().display())]).unwrap();
    let (result, metrics) = go(&recipe, usize::MAX);
    result.unwrap();
    assert_eq!(stages(&metrics), ["monte-carlo", "labels", "pairs", "preference", "rl", "calibration", "evaluation"]);
    assert_eq!(metrics.iter().find(|m| m.stage == "labels").map(|m| m.step), Some(12));

    // Every stage knows its own digest and that of the earlier version, and no other.
    let record: RunRecord = serde_json::from_slice(&std::fs::read(folder.record()).unwrap()).unwrap();
    for (stage, earlier) in DIGESTS {
        let old = relabel(&folder.checkpoint(stage), earlier);
        let as_it_was = stage == "policy" || stage == "reward-sft" || stage == "reward";
        assert_eq!(old, if as_it_was { earlier.to_owned() } else { record.stages[stage].clone() }, "{stage}");
    }
    let (result, metrics) = go(&recipe, usize::MAX);
    result.unwrap();
    assert_eq!(stages(&metrics), ["calibration", "evaluation"]);
    relabel(&folder.checkpoint("rl"), "0123456789abcdef");
    let message = go(&recipe, usize::MAX).0.unwrap_err().to_string();
    assert!(message.contains("rl.safetensors") && message.contains("another recipe"), "{message}");

    // The pool of the earlier version has no texts; the samples are this version's.
    let (files, notes) = trace_files(&folder);
    assert_eq!((files, notes.len()), (vec![folder.samples()], 1));
    let samples = RunReader::open(dir.path()).unwrap().poll().unwrap().samples.unwrap();
    assert_eq!((samples.len(), samples[0].stage.as_str(), samples[0].step, samples[0].trace.candidates.len()), (2, "rl", 3, 2));
}

#[test]
fn rollouts_and_samples_of_a_run_are_traces() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = crate::train::recipe(dir.path());
    go(&recipe, usize::MAX).0.unwrap();
    let folder = RunFolder::new(dir.path());
    let (files, notes) = trace_files(&folder);
    assert_eq!((files.as_slice(), notes.len()), ([folder.samples(), folder.rollouts()].as_slice(), 0));
    let traces = |path: &Path| -> Vec<reasonscope::trace::Trace> {
        let list = TraceList::open(&[path.display().to_string()], Options::default()).unwrap();
        let all = list.iter().map(Result::unwrap).collect();
        assert!(list.errors().is_empty());
        all
    };
    let problems: Vec<String> = (0..40).map(|i| Demonstrations::story(3, i).problem).collect();
    for path in &files {
        let all = traces(path);
        assert!(!all.is_empty());
        for c in all.iter().flat_map(|t| &t.candidates) {
            assert!(!c.tokens.is_empty() && c.tokens.iter().all(|t| t.id.is_some() && t.logprob.is_some()));
        }
        assert!(all.iter().all(|t| problems.contains(&t.problem) && t.gold_answer.is_some()), "{}", path.display());
    }
    let samples = traces(&folder.samples());
    assert_eq!((samples.len(), samples[0].candidates.len()), (2, 3));
    let rollouts = || samples.iter().flat_map(|t| &t.candidates);
    assert!(
        rollouts().all(|c| RunSample::reward(c).is_some()) && rollouts().any(|c| RunSample::step_rewards(c).iter().any(Option::is_some))
    );
    let record: RunRecord = serde_json::from_slice(&std::fs::read(folder.record()).unwrap()).unwrap();
    let stages: Vec<&str> = record.stages.keys().map(String::as_str).collect();
    assert_eq!(stages, ["calibration", "evaluation", "policy", "reward", "reward-sft", "rl", "rollouts"]);
}
