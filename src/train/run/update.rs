//! A finished reward model goes on learning, from new demonstrations and from step labels, without forgetting the old ones.

use super::{Critic, Inputs, Run, digest, discriminator};
use crate::generate::Prompt;
use crate::model::Decoder;
use crate::trace::Sampling;
use crate::train::data::Demonstrations;
use crate::train::discriminator::{Discriminator, LabelBatches};
use crate::train::labels::groups as label_groups;
use crate::train::optim::AdamW;
use crate::train::recipe::{LabelKind, Recipe, RewardConfig};
use crate::train::rollout::Rollout;
use crate::train::{Stage, TrainError, restore};
use crate::util::seed::mix;

/// Stages in which a finished reward model goes on learning.
const MORE: &str = "more";
const MORE_LABELS: &str = "more-labels";

/// Fails where the folder's reward model has gone on learning from what this call does not give, and would be written without it.
pub(super) fn refuse_to_forget(recipe: &Recipe, inputs: &Inputs) -> Result<(), TrainError> {
    let folder = recipe.output.join("checkpoints");
    let names: Vec<String> =
        std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    for (stage, option, given) in
        [(MORE_LABELS, "--labels", !inputs.more_labels.is_empty()), (MORE, "--demonstrations", !inputs.more.is_empty())]
    {
        // `more-labels-…` begins like `more-…`, whose digest has 16 digits and no more.
        let length = stage.len() + "-0123456789abcdef.safetensors".len();
        if let (false, Some(name)) = (given, names.iter().find(|n| n.starts_with(stage) && n.len() == length)) {
            return Err(TrainError::Data(format!(
                "{}: the reward model of this run has gone on learning since; give that file again with --resume {option} FILE to keep what it learned, or remove this checkpoint to go back to the recipe's own",
                folder.join(name).display()
            )));
        }
    }
    Ok(())
}

impl Run<'_, '_> {
    /// A stage that a finished reward model goes on in; other data is another stage, so that a file that has grown is learned from anew.
    fn update_stage<'s>(&self, name: &'s str, digest: &str) -> Stage<'s> {
        let file = format!("checkpoints/{name}-{digest}.safetensors");
        Stage { checkpoint: self.path(&file), ..self.stage(name, self.recipe.update_steps, digest) }
    }

    /// A reward model that is done goes on learning from new demonstrations against the policy's samples on their problems; every second expert is an
    /// old one, so that nothing is forgotten.
    pub(super) fn go_on(&mut self, critic: &mut Critic, reward: &RewardConfig, policy: &Decoder) -> Result<(), TrainError> {
        let more = &self.inputs.more;
        let new = Demonstrations::listed(self.data.task(), self.framing.clone(), self.recipe.seed, more.len(), more.clone())?;
        let new = new.graded_by(self.inputs.grader.clone());
        let g = &reward.adversarial;
        let digest = digest(&(&critic.digest, more, "more", self.recipe.update_steps))?;
        let stage = self.update_stage(MORE, &digest);
        let (optimiser, done) = restore(&stage, AdamW::new(g.optim.clone(), critic.vars(reward)))?;
        critic.digest = digest;
        if done {
            return Ok(());
        }
        let sampling = Sampling { temperature: g.temperature, max_tokens: g.max_tokens, ..Sampling::default() };
        let prompt = |i: u64| Prompt { ids: new.prompt(i), seed: mix(self.recipe.seed ^ 0x6d6f_7265, i) };
        let prompts: Vec<Prompt> = (0..new.len() as u64).map(prompt).collect();
        let samples = self.sample("new-rollouts", policy, &prompts, g.rollouts_per_problem.max(1), &sampling)?;
        let each = samples.into_iter().zip(0..).flat_map(|(s, i)| s.into_iter().map(move |c| (i, c))).collect();
        let rollouts = Rollout::graded(each, &new)?;
        let discriminator = Discriminator { rehearsal: Some(self.data), ..discriminator(&new, reward, &critic.net, policy) };
        discriminator.train(&stage, optimiser, &rollouts, self.progress)?;
        Ok(())
    }

    /// A reward model that is done goes on learning from step labels, beside old experts and corrupted ones.
    pub(super) fn go_on_with_labels(&mut self, critic: &mut Critic, reward: &RewardConfig, policy: &Decoder) -> Result<(), TrainError> {
        let discriminator = discriminator(self.data, reward, &critic.net, policy);
        let groups = label_groups(LabelKind::Steps, &self.inputs.more_labels, &discriminator)?;
        let digest = digest(&(&critic.digest, &self.inputs.more_labels, "labels", self.recipe.update_steps))?;
        let stage = self.update_stage(MORE_LABELS, &digest);
        let optimiser = AdamW::new(reward.adversarial.optim.clone(), critic.vars(reward));
        let batches = LabelBatches { groups: &groups, pairs: false, size: reward.adversarial.prompts, rehearse: true };
        discriminator.train_on_labels(&stage, optimiser, &batches, self.progress)?;
        critic.digest = digest;
        Ok(())
    }
}
