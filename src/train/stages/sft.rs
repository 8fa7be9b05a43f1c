//! Supervised fine-tuning of the policy, and of the decoder that the reward model starts from.

use super::context::{Policy, Results, Run, Stage, WarmStart};
use crate::run::stage;
use crate::train::TrainError;
use crate::train::digest::{Digest, StageInputs};
use crate::train::encoding::Encoding;
use crate::train::learn::sft;
use crate::train::models::backbone::Backbone;
use crate::train::models::package::Frozen;
use crate::train::optim::AdamW;
use crate::train::recipe::{DataConfig, RewardConfig, SftConfig};

/// What fine-tuning reads of the data: demonstrations alone.
fn demonstrated(data: &DataConfig) -> DataConfig {
    DataConfig { problems: None, practice: None, ..data.clone() }
}

/// A decoder's weights after `sft`, from `start` where it has them and from the seed elsewhere.
fn fine_tune(
    run: &mut Run,
    name: &'static str,
    digest: &Digest,
    backbone: &Backbone,
    start: Frozen,
    sft: Option<&SftConfig>,
) -> Result<Frozen, TrainError> {
    let (store, net) = backbone.trainable(start)?;
    if let Some(sft) = sft {
        let stage = run.resumable(name, sft.steps, digest);
        sft::train(&stage, &net, AdamW::new(sft.optim.clone(), store.vars()), run.data, sft, run.progress)?;
    }
    Frozen::copy(store.vars())
}

/// The policy on the demonstrations.
pub struct PolicySft;

impl Stage for PolicySft {
    fn name(&self) -> &'static str {
        stage::POLICY
    }

    fn inputs(&self, run: &Run, _: &Results) -> Result<StageInputs, TrainError> {
        let (recipe, data) = (run.recipe, demonstrated(&run.recipe.data));
        let inputs = StageInputs::new(self.name(), &(recipe.seed, &data, &recipe.policy))?;
        inputs.value("seed", &recipe.seed)?.section("data", &data)?.section("policy", &recipe.policy)
    }

    fn run(&self, run: &mut Run, results: &mut Results, digest: Digest) -> Result<(), TrainError> {
        let recipe = run.recipe;
        let weights = fine_tune(run, self.name(), &digest, run.policy, Frozen::default(), recipe.policy.sft.as_ref())?;
        results.policy = Some(Policy { net: run.policy.frozen(&weights)?, weights, digest });
        Ok(())
    }
}

/// The decoder that the reward model starts from, on the demonstrations.
pub struct RewardSft<'a> {
    reward: &'a RewardConfig,
    /// What it is made of; `None`: as the policy, from the policy's weights.
    backbone: Option<Backbone>,
}

impl<'a> RewardSft<'a> {
    /// Opens what `reward` starts from; fails where that has another tokenizer than the policy.
    pub fn open(run: &Run, reward: &'a RewardConfig) -> Result<Self, TrainError> {
        let Encoding { tokenizer, eos } = run.encoding;
        let seed = run.recipe.seed;
        let backbone = match (&reward.shape, &reward.from) {
            (Some(shape), _) => Some(Backbone::scratch(shape, tokenizer.vocab_size(), *eos, seed)),
            (None, Some(from)) => {
                let (backbone, own) = Backbone::open(from, reward.lora.as_ref(), seed, run.recipe.policy.gradient_checkpointing)?;
                if own.fingerprint() != tokenizer.fingerprint() {
                    return Err(TrainError::Data(format!(
                        "reward.from: {from} has another tokenizer than the policy; the reward model reads the policy's tokens"
                    )));
                }
                Some(backbone)
            }
            (None, None) => None,
        };
        Ok(Self { reward, backbone })
    }
}

impl Stage for RewardSft<'_> {
    fn name(&self) -> &'static str {
        stage::REWARD_SFT
    }

    fn inputs(&self, run: &Run, results: &Results) -> Result<StageInputs, TrainError> {
        let (recipe, reward, policy) = (run.recipe, self.reward, &results.policy()?.digest);
        let data = demonstrated(&recipe.data);
        let own = self.backbone.is_none();
        let config = &self.backbone.as_ref().unwrap_or(run.policy).config;
        let parts = (recipe.seed, &data, config, &reward.sft, own.then_some(policy.earlier()));
        let inputs = match own {
            true => StageInputs::new(self.name(), &parts)?.stage("policy", policy),
            false => {
                let parts = StageInputs::new(self.name(), &parts)?.digest();
                let inputs = StageInputs::new(self.name(), &(parts.earlier(), &reward.from, &reward.lora))?;
                let tokenizer = run.encoding.tokenizer.fingerprint();
                inputs
                    .value("tokenizer", &tokenizer)?
                    .optional("shape", &reward.shape)?
                    .value("from", &reward.from)?
                    .optional("lora", &reward.lora)?
            }
        };
        inputs.value("seed", &recipe.seed)?.section("data", &data)?.optional("sft", &reward.sft)
    }

    fn run(&self, run: &mut Run, results: &mut Results, digest: Digest) -> Result<(), TrainError> {
        let (backbone, start) = match &self.backbone {
            Some(backbone) => (backbone.clone(), Frozen::default()),
            None => (run.policy.clone(), results.policy()?.weights.clone()),
        };
        let weights = fine_tune(run, self.name(), &digest, &backbone, start, self.reward.sft.as_ref())?;
        results.warm = Some(WarmStart { backbone, weights, digest });
        Ok(())
    }
}
