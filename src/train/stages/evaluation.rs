//! How the policy does on problems that nothing was trained on.

use super::context::{Results, Run, Stage};
use crate::run::stage;
use crate::task::stories::story;
use crate::task::{Demonstration, Problem, Task};
use crate::train::TrainError;
use crate::train::digest::{Digest, StageInputs};
use crate::train::learn::evaluate::{evaluate, summary};
use crate::train::models::checkpoint::write_atomically;
use crate::train::progress::SamplingProgress;
use crate::train::recipe::EvaluationConfig;
use std::collections::HashSet;

/// A line a problem in `evaluation.jsonl`, means in the metrics.
pub struct Evaluate<'a> {
    /// How.
    pub config: &'a EvaluationConfig,
}

impl Stage for Evaluate<'_> {
    fn name(&self) -> &'static str {
        stage::EVALUATION
    }

    fn inputs(&self, run: &Run, results: &Results) -> Result<StageInputs, TrainError> {
        let texts: Vec<_> = run.inputs.problems.iter().map(|p| (&p.text, &p.gold)).collect();
        StageInputs::new(self.name(), &())?
            .stage("policy", &results.policy()?.digest)
            .value("seed", &run.recipe.seed)?
            .value("problems", &texts)?
            .section("evaluation", self.config)
    }

    fn run(&self, run: &mut Run, results: &mut Results, _: Digest) -> Result<(), TrainError> {
        let seed = run.recipe.seed;
        let problems: Vec<Problem> = if run.data.task() == Task::Stories {
            (0..self.config.problems as u64).map(|i| Demonstration::from(&story(self.config.split, seed, i)).problem).collect()
        } else {
            let trained: HashSet<String> = (0..run.data.problems() as u64).map(|i| run.data.demonstration(i).problem.text).collect();
            if let Some(p) = run.inputs.problems.iter().find(|p| trained.contains(&p.text)) {
                return Err(TrainError::Data(format!("evaluation.files hold a problem that was trained on: {}", p.id)));
            }
            run.inputs.problems.iter().take(self.config.problems).cloned().collect()
        };
        let mut watch = SamplingProgress { progress: run.progress, stage: self.name(), of: problems.len(), failed: None };
        let graded = (run.inputs.grader.as_ref(), run.data.task(), problems.as_slice());
        let outcomes = evaluate(&results.policy()?.net, run.encoding, graded, self.config, seed, &mut |done| watch.heard(done))?;
        watch.end(outcomes.len())?;
        let mut text = String::new();
        for o in &outcomes {
            text.push_str(&serde_json::to_string(o).map_err(|e| TrainError::Data(e.to_string()))?);
            text.push('\n');
        }
        write_atomically(&run.folder.evaluation(), text.as_bytes())?;
        let means = summary(&outcomes)?;
        let values: Vec<(&str, f64)> = means.iter().map(|(n, x)| (n.as_str(), *x)).collect();
        run.progress.say(self.name(), problems.len(), problems.len(), &values)
    }
}
