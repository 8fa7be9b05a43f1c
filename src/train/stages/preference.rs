//! The policy on pairs of its own ranked samples.

use super::context::{Policy, Results, Run, Stage};
use crate::generate::Prompt;
use crate::run::stage;
use crate::trace::Sampling;
use crate::train::TrainError;
use crate::train::digest::{Digest, StageInputs};
use crate::train::learn::pairs;
use crate::train::models::package::Frozen;
use crate::train::optim::AdamW;
use crate::train::recipe::PreferenceConfig;
use crate::train::resume::restore;
use crate::train::rollout::Rollout;
use crate::util::seed::mix;

/// Preference training.
pub struct Preference<'a> {
    /// How.
    pub preference: &'a PreferenceConfig,
}

impl Stage for Preference<'_> {
    fn name(&self) -> &'static str {
        stage::PREFERENCE
    }

    fn inputs(&self, run: &Run, results: &Results) -> Result<StageInputs, TrainError> {
        let (policy, reward) = (&results.policy()?.digest, results.reward_digest());
        let earlier = (policy.earlier(), run.practice(), reward.map(Digest::earlier), self.preference);
        StageInputs::new(self.name(), &earlier)?
            .stage("policy", policy)
            .value("practice", &run.practice())?
            .value("reward", &reward.map(Digest::own))?
            .section("preference", self.preference)
    }

    fn run(&self, run: &mut Run, results: &mut Results, digest: Digest) -> Result<(), TrainError> {
        let p = self.preference;
        let before = results.policy()?;
        let (store, net) = run.policy.trainable(before.weights.clone())?;
        let stage = run.resumable(self.name(), p.steps, &digest);
        let (optimiser, done) = restore(&stage, AdamW::new(p.optim.clone(), store.vars()))?;
        if !done {
            let sampling = Sampling { temperature: p.temperature, max_tokens: p.max_tokens, ..Sampling::default() };
            let problems = run.data.problem_batch(0, p.problems.min(run.data.practised().len()));
            let seed = run.recipe.seed ^ 0x7061_6972;
            let prompts: Vec<Prompt> = problems.iter().map(|&i| Prompt { ids: run.data.prompt(i), seed: mix(seed, i) }).collect();
            let samples = run.sample(stage::PAIRS, &before.net, &prompts, p.samples, &sampling)?;
            let rollouts = Rollout::graded_whole(&problems, samples, run.data)?;
            let pairs = pairs::pairs(&rollouts, run.data, results.reward.as_ref().map(|r| &r.net), p)?;
            pairs::train(&stage, &net, &before.net, optimiser, (run.data, &pairs), p, run.progress)?;
        }
        let weights = Frozen::copy(store.vars())?;
        results.policy = Some(Policy { net: run.policy.frozen(&weights)?, weights, digest });
        Ok(())
    }
}
