//! A finished reward model goes on learning, from new demonstrations and from step labels, without forgetting the old ones.

use super::adversarial::discriminator;
use super::context::{Inputs, Results, Run, Stage, missing};
use super::labels::learned;
use super::rollouts::sampling;
use crate::generate::Prompt;
use crate::run::{RunFolder, stage};
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::digest::{Digest, StageInputs};
use crate::train::learn::discriminator::{Discriminator, LabelBatches};
use crate::train::learn::labels::groups;
use crate::train::optim::AdamW;
use crate::train::recipe::{LabelKind, RewardConfig};
use crate::train::resume::{Resumable, restore};
use crate::train::rollout::Rollout;
use crate::util::seed::mix;

/// Fails where the folder's reward model has gone on learning from what this call does not give, and would be written without it.
pub fn refuse_to_forget(folder: &RunFolder, inputs: &Inputs) -> Result<(), TrainError> {
    let folder = folder.checkpoints();
    let names: Vec<String> =
        std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    for (stage, option, given) in
        [(stage::MORE_LABELS, "--labels", !inputs.more_labels.is_empty()), (stage::MORE, "--demonstrations", !inputs.more.is_empty())]
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

/// A stage that a finished reward model goes on in; other data is another stage, so that a file that has grown is learned from anew.
fn resumable<'s>(run: &Run, name: &'s str, digest: &Digest) -> Resumable<'s> {
    let path = |digest: &str| run.folder.checkpoint(&format!("{name}-{digest}"));
    let earlier = Some(path(digest.earlier())).filter(|path| path.exists());
    Resumable { checkpoint: earlier.unwrap_or_else(|| path(digest.own())), ..run.resumable(name, run.recipe.update_steps, digest) }
}

/// The reward model on new demonstrations against the policy's samples on their problems; every second expert is an old one, so that nothing is forgotten.
pub struct MoreDemonstrations<'a> {
    /// The reward model.
    pub reward: &'a RewardConfig,
}

impl Stage for MoreDemonstrations<'_> {
    fn name(&self) -> &'static str {
        stage::MORE
    }

    fn inputs(&self, run: &Run, results: &Results) -> Result<StageInputs, TrainError> {
        let (reward, more, steps) = (&results.reward()?.digest, &run.inputs.more, run.recipe.update_steps);
        let texts: Vec<_> = more.iter().map(|d| (&d.problem.text, &d.problem.gold, &d.solution)).collect();
        StageInputs::new(self.name(), &(reward.earlier(), more, "more", steps))?
            .stage("reward", reward)
            .value("demonstrations", &texts)?
            .value("steps", &steps)
    }

    fn run(&self, run: &mut Run, results: &mut Results, digest: Digest) -> Result<(), TrainError> {
        let (reward, more) = (self.reward, &run.inputs.more);
        let mut model = results.reward.take().ok_or_else(|| missing("reward model"))?;
        let policy = &results.policy()?.net;
        let new = Demonstrations::listed(run.data.task(), run.encoding.clone(), run.recipe.seed, more.len(), more.clone())?;
        let new = new.graded_by(run.inputs.grader.clone());
        let g = &reward.adversarial;
        let stage = resumable(run, self.name(), &digest);
        let (optimiser, done) = restore(&stage, AdamW::new(g.optim.clone(), model.vars(reward)))?;
        if !done {
            let prompt = |i: u64| Prompt { ids: new.prompt(i), seed: mix(run.recipe.seed ^ 0x6d6f_7265, i) };
            let prompts: Vec<Prompt> = (0..new.len() as u64).map(prompt).collect();
            let samples = run.sample(stage::NEW_ROLLOUTS, policy, &prompts, g.rollouts_per_problem.max(1), &sampling(reward))?;
            let each = samples.into_iter().zip(0..).flat_map(|(s, i)| s.into_iter().map(move |c| (i, c))).collect();
            let rollouts = Rollout::graded(each, &new)?;
            let discriminator = Discriminator { rehearsal: Some(run.data), ..discriminator(&new, reward, &model.net, policy) };
            discriminator.train(&stage, optimiser, &rollouts, run.progress)?;
        }
        model.digest = digest;
        results.reward = Some(model);
        Ok(())
    }
}

/// The reward model on new step labels, beside old experts and corrupted ones.
pub struct MoreLabels<'a> {
    /// The reward model.
    pub reward: &'a RewardConfig,
}

impl Stage for MoreLabels<'_> {
    fn name(&self) -> &'static str {
        stage::MORE_LABELS
    }

    fn inputs(&self, run: &Run, results: &Results) -> Result<StageInputs, TrainError> {
        let (reward, labels, steps) = (&results.reward()?.digest, &run.inputs.more_labels, run.recipe.update_steps);
        StageInputs::new(self.name(), &(reward.earlier(), labels, "labels", steps))?
            .stage("reward", reward)
            .value("labels", &learned(labels))?
            .value("steps", &steps)
    }

    fn run(&self, run: &mut Run, results: &mut Results, digest: Digest) -> Result<(), TrainError> {
        let reward = self.reward;
        let mut model = results.reward.take().ok_or_else(|| missing("reward model"))?;
        let discriminator = discriminator(run.data, reward, &model.net, &results.policy()?.net);
        let groups = groups(LabelKind::Steps, &run.inputs.more_labels, &discriminator)?;
        let stage = resumable(run, self.name(), &digest);
        let optimiser = AdamW::new(reward.adversarial.optim.clone(), model.vars(reward));
        let batches = LabelBatches { groups: &groups, pairs: false, size: reward.adversarial.prompts, rehearse: true };
        discriminator.train_on_labels(&stage, optimiser, &batches, run.progress)?;
        model.digest = digest;
        results.reward = Some(model);
        Ok(())
    }
}
