//! Policy optimisation; the reward model goes on learning in place.

use super::adversarial::discriminator;
use super::context::{Policy, Results, Run, Stage, missing};
use crate::run::stage;
use crate::train::TrainError;
use crate::train::digest::{Digest, StageInputs};
use crate::train::learn::policy::Trainer;
use crate::train::models::package::Frozen;
use crate::train::optim::AdamW;
use crate::train::recipe::RlConfig;
use crate::train::rollout::served::Served;

/// Policy optimisation by group-relative advantages.
pub struct Rl<'a> {
    /// How.
    pub rl: &'a RlConfig,
}

impl Rl<'_> {
    /// Whether the reward model takes part.
    fn is_rewarded(&self, results: &Results) -> bool {
        results.reward.is_some() && self.rl.learned != 0.0
    }
}

impl Stage for Rl<'_> {
    fn name(&self) -> &'static str {
        stage::RL
    }

    fn inputs(&self, run: &Run, results: &Results) -> Result<StageInputs, TrainError> {
        let (policy, reward) = (&results.policy()?.digest, results.reward_digest().filter(|_| self.is_rewarded(results)));
        let earlier = (policy.earlier(), run.practice(), reward.map(Digest::earlier), self.rl);
        StageInputs::new(self.name(), &earlier)?
            .stage("policy", policy)
            .value("practice", &run.practice())?
            .value("reward", &reward.map(Digest::own))?
            .section("rl", self.rl)
    }

    fn run(&self, run: &mut Run, results: &mut Results, digest: Digest) -> Result<(), TrainError> {
        let rl = self.rl;
        let before = results.policy.take().ok_or_else(|| missing("policy"))?;
        let adapted;
        let (backbone, start) = match &rl.lora {
            Some(lora) => {
                let gains = before.weights.0.iter().filter(|(name, _)| name.ends_with("norm.weight"));
                let gains = Frozen(gains.map(|(name, t)| (name.clone(), t.clone())).collect());
                adapted = run.policy.adapted(before.weights, lora);
                (&adapted, gains)
            }
            None => (run.policy, before.weights),
        };
        let (store, net) = backbone.trainable(start)?;
        let stage = run.resumable(self.name(), rl.steps, &digest);
        let reward = results.reward.as_ref().zip(run.recipe.reward.as_ref()).filter(|_| self.is_rewarded(results));
        let learns = reward.filter(|_| rl.critic_updates > 0);
        let reward_optimiser = learns.map(|(model, reward)| AdamW::new(reward.adversarial.optim.clone(), model.vars(reward)));
        let served = rl.fleet.as_ref().map(|fleet| Served::open(fleet, backbone, &store, &run.folder)).transpose()?;
        let trainer = Trainer {
            policy: &net,
            reference: Some(&before.net),
            reward: reward.map(|(model, reward)| discriminator(run.data, reward, &model.net, &net)),
            data: run.data,
            config: rl,
            served,
            samples: &run.folder.samples(),
            stop: run.progress.stop,
        };
        trainer.train(&stage, AdamW::new(rl.optim.clone(), store.vars()), reward_optimiser, run.progress)?;
        let own = Frozen::copy(store.vars())?;
        let weights = if rl.lora.is_some() { backbone.merged(own)? } else { own };
        if self.is_rewarded(results)
            && let Some(model) = &mut results.reward
        {
            model.digest = digest.clone();
        }
        results.policy = Some(Policy { net: run.policy.frozen(&weights)?, weights, digest });
        Ok(())
    }
}
