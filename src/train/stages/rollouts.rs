//! The fixed pool of policy samples that the reward model is trained against.

use super::context::{Results, Run, SamplePool, Stage};
use crate::generate::Prompt;
use crate::run::stage;
use crate::trace::Sampling;
use crate::train::TrainError;
use crate::train::digest::{Digest, StageInputs};
use crate::train::losses::objective::Objective;
use crate::train::recipe::RewardConfig;
use crate::train::rollout::{Rollout, pool_file};
use crate::util::seed::mix;

/// How the pool is sampled.
pub fn sampling(reward: &RewardConfig) -> Sampling {
    Sampling { temperature: reward.adversarial.temperature, max_tokens: reward.adversarial.max_tokens, ..Sampling::default() }
}

/// Samples of the fine-tuned policy on training problems.
pub struct Rollouts<'a> {
    /// Whom they are for.
    pub reward: &'a RewardConfig,
}

impl Rollouts<'_> {
    /// Objectives that compare the sequences of a problem need its demonstration.
    fn demonstrated(&self) -> bool {
        matches!(self.reward.objective, Objective::Bt | Objective::Maxent)
    }
}

impl Stage for Rollouts<'_> {
    fn name(&self) -> &'static str {
        stage::ROLLOUTS
    }

    fn inputs(&self, run: &Run, results: &Results) -> Result<StageInputs, TrainError> {
        let (g, policy, paired) = (&self.reward.adversarial, &results.policy()?.digest, self.demonstrated());
        let earlier = (policy.earlier(), paired, run.practice(), g.rollout_problems, g.rollouts_per_problem, sampling(self.reward));
        StageInputs::new(self.name(), &earlier)?
            .stage("policy", policy)
            .value("practice", &run.practice())?
            .value("demonstrated", &paired)?
            .value("samples", &(g.rollout_problems, g.rollouts_per_problem, g.temperature, g.max_tokens))
    }

    fn run(&self, run: &mut Run, results: &mut Results, digest: Digest) -> Result<(), TrainError> {
        let rollouts = if self.reward.adversarial.steps > 0 { self.pool(run, results, &digest)? } else { Vec::new() };
        results.pool = Some(SamplePool { rollouts, digest });
        Ok(())
    }
}

impl Rollouts<'_> {
    /// Read back where it is there, in this run's folder or in that of the run that it reuses; sampled and written otherwise.
    fn pool(&self, run: &mut Run, results: &Results, digest: &Digest) -> Result<Vec<Rollout>, TrainError> {
        for folder in [Some(&run.folder), run.reuse.as_ref()].into_iter().flatten() {
            if let Some(mut pool) = pool_file::read(&folder.rollouts(), digest)? {
                // Whether code may be run is not the pool's to say.
                if run.data.task().runs_code() {
                    Rollout::grade(&mut pool, run.data)?;
                }
                return Ok(pool);
            }
        }
        let g = &self.reward.adversarial;
        let problems: Vec<u64> = match self.demonstrated() {
            true => run.data.batch(0, g.rollout_problems.min(run.data.len())),
            false => run.data.problem_batch(0, g.rollout_problems.min(run.data.practised().len())),
        };
        let seed = run.recipe.seed ^ 0x726f_6c6c;
        let prompts: Vec<Prompt> = problems.iter().map(|&i| Prompt { ids: run.data.prompt(i), seed: mix(seed, i) }).collect();
        let samples = run.sample(self.name(), &results.policy()?.net, &prompts, g.rollouts_per_problem, &sampling(self.reward))?;
        let pool = Rollout::graded_whole(&problems, samples, run.data)?;
        pool_file::write(&run.folder.rollouts(), &pool, run.data, digest)?;
        Ok(pool)
    }
}
