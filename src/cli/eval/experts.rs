//! Expert solutions and their spoiled twins, as traces to score.

use crate::cli::demonstrations::first_demonstrations;
use crate::cli::progress::Reporter;
use crate::task::{GradedCorruption, Task, corrupt_graded};
use crate::trace::{Candidate, GoldDeviation, Segmentation, Trace, segment};
use anyhow::{Result, bail};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;

/// Where expert solutions are.
#[derive(Clone, Copy, Debug)]
pub struct Experts<'a> {
    /// Files of demonstrations, JSON lines, plain or gzip.
    pub files: &'a [PathBuf],
    /// Their task, which says how the records read.
    pub task: Task,
    /// The first of them that are taken.
    pub limit: usize,
}

impl Experts<'_> {
    /// A trace a demonstration: the expert's solution first, then its twins, the kind of each in `policy` and the first wrong step in `gold`. What a
    /// corruption finds nothing to spoil in has no twin of that kind. Bad records are counted and passed over.
    pub fn twins(&self, kinds: &[GradedCorruption], how: &Segmentation, seed: u64, reporter: &mut Reporter) -> Result<Vec<Trace>> {
        let (demonstrations, bad) = first_demonstrations(self.task, self.files, self.limit)?;
        if bad > 0 {
            reporter.warn(&format!("{bad} records were passed over: no demonstration can be read from them"));
        }
        if demonstrations.is_empty() {
            let files: Vec<String> = self.files.iter().map(|f| f.display().to_string()).collect();
            bail!("{}: no solutions of {} can be read from there; does --task fit?", files.join(", "), self.task.name());
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let candidate = |text: String, kind: &str, first: Option<usize>| {
            let steps = segment(&text, how);
            let wrong = |byte: usize| steps.iter().position(|s| s.span.end > byte).unwrap_or(steps.len().saturating_sub(1));
            Candidate {
                gold: Some(first.map_or(GoldDeviation::None, |byte| GoldDeviation::Step(wrong(byte)))),
                correct: Some(first.is_none()),
                policy: Some(kind.into()),
                steps,
                text,
                ..Candidate::default()
            }
        };
        let trace = |d: crate::task::Demonstration| {
            let mut candidates = vec![candidate(d.solution.clone(), "expert", None)];
            for &kind in kinds {
                if let Some((spoiled, first)) = corrupt_graded(&d.solution, kind, &mut rng) {
                    candidates.push(candidate(spoiled, kind.name(), Some(first)));
                }
            }
            Trace { id: d.problem.id, problem: d.problem.text, gold_answer: d.problem.gold, candidates, source: None }
        };
        Ok(demonstrations.into_iter().map(trace).collect())
    }
}
