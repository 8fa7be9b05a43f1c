//! The reward model against the fixed pool of policy samples.

use super::context::{Results, RewardModel, Run, Stage, missing};
use crate::model::Decoder;
use crate::reward::{Head, RewardNet};
use crate::run::stage;
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::digest::{Digest, StageInputs};
use crate::train::learn::discriminator::Discriminator;
use crate::train::optim::AdamW;
use crate::train::recipe::RewardConfig;
use candle_core::{DType, Device, Tensor};

/// The reward model's network in training.
pub fn discriminator<'d>(data: &'d Demonstrations, reward: &'d RewardConfig, net: &'d RewardNet, policy: &'d Decoder) -> Discriminator<'d> {
    Discriminator {
        net,
        objective: reward.objective,
        granularity: reward.granularity,
        config: &reward.adversarial,
        data,
        rehearsal: None,
        policy,
    }
}

/// Experts against policy samples and corrupted experts.
pub struct Adversarial<'a> {
    /// The reward model.
    pub reward: &'a RewardConfig,
}

impl Stage for Adversarial<'_> {
    fn name(&self) -> &'static str {
        stage::REWARD
    }

    fn inputs(&self, _: &Run, results: &Results) -> Result<StageInputs, TrainError> {
        let (reward, warm, pool) = (self.reward, &results.warm()?.digest, &results.pool()?.digest);
        let head = reward.network_head();
        let earlier = (warm.earlier(), pool.earlier(), &reward.adversarial, head, reward.objective, reward.granularity);
        StageInputs::new(self.name(), &earlier)?
            .stage("warm start", warm)
            .stage("rollouts", pool)
            .section("adversarial", &reward.adversarial)?
            .value("head", &head)?
            .value("objective", &reward.objective)?
            .value("granularity", &reward.granularity)
    }

    fn run(&self, run: &mut Run, results: &mut Results, digest: Digest) -> Result<(), TrainError> {
        let reward = self.reward;
        let warm = results.warm.take().ok_or_else(|| missing("warm start"))?;
        let (backbone, mut weights) = (warm.backbone, warm.weights);
        let learned = if reward.from.is_some() { backbone.learned_head(reward)? } else { None };
        let head = reward.network_head();
        let implicit = matches!(head, Head::Implicit { .. });
        let reference = match &learned {
            Some((_, reference)) if implicit => reference.clone(),
            _ => implicit.then(|| weights.clone()),
        };
        let reference_net = reference.as_ref().map(|w| backbone.frozen(w)).transpose()?;
        match learned {
            Some((own, _)) => weights.0.extend(own.0),
            // The head starts as the likelihood alone: random weights on the state would be noise that a short stage does not unlearn.
            None => {
                for (name, rows) in [("reward.weight", if head == Head::Scales { 3 } else { 1 }), ("reward.potential.weight", 1)] {
                    weights.0.insert(name.into(), Tensor::zeros((rows, backbone.config.hidden_size), DType::F32, &Device::Cpu)?);
                }
            }
        }
        let (store, decoder) = backbone.trainable(weights)?;
        let net = RewardNet::new(decoder, reference_net, head, &store)?;
        let model = RewardModel { backbone, store, net, reference, digest };
        let stage = run.resumable(self.name(), reward.adversarial.steps, &model.digest);
        let optimiser = AdamW::new(reward.adversarial.optim.clone(), model.vars(reward));
        let discriminator = discriminator(run.data, reward, &model.net, &results.policy()?.net);
        discriminator.train(&stage, optimiser, &results.pool()?.rollouts, run.progress)?;
        results.reward = Some(model);
        Ok(())
    }
}
