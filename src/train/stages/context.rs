//! What the stages of a run share: the run, what they have come to so far, and what a stage is.

use crate::eval::grader::Grader;
use crate::generate::{Completion, Prompt};
use crate::model::{Decoder, VarStore};
use crate::reward::{Head, RewardNet};
use crate::run::{RunFolder, RunRecord};
use crate::task::stories::Split;
use crate::task::{Demonstration, Problem, TrainingProblems};
use crate::trace::{Sampling, Trace};
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::digest::{Digest, StageInputs};
use crate::train::encoding::Encoding;
use crate::train::models::backbone::Backbone;
use crate::train::models::package::Frozen;
use crate::train::models::training_problems;
use crate::train::progress::{Progress, SamplingProgress};
use crate::train::recipe::{Recipe, RewardConfig};
use crate::train::resume::Resumable;
use crate::train::rollout::Rollout;
use crate::train::world::sample_all;
use candle_core::Var;
use std::rc::Rc;
use std::sync::Arc;

/// What a run reads beside its recipe.
#[derive(Default)]
pub struct Inputs {
    /// Demonstrations of the files of `data.files`.
    pub demonstrations: Vec<Demonstration>,
    /// Problems of the files of `evaluation.files`.
    pub problems: Vec<Problem>,
    /// Traces with labels, from the files of `reward.labels`.
    pub labels: Vec<Trace>,
    /// New demonstrations, on which a finished reward model goes on learning; half of the experts of a batch stay old ones.
    pub more: Vec<Demonstration>,
    /// Traces with step labels, on which a finished reward model goes on learning; old experts and corrupted ones stay in every batch.
    pub more_labels: Vec<Trace>,
    /// Tells right completions from wrong ones; the default one runs no code.
    pub grader: Arc<Grader>,
}

/// A stage of a run.
pub trait Stage {
    /// Its name in metrics, checkpoints and `run.json`.
    fn name(&self) -> &'static str;

    /// Everything that its result depends on, the results of the stages before it among it.
    fn inputs(&self, run: &Run, results: &Results) -> Result<StageInputs, TrainError>;

    /// The digest of its inputs.
    fn digest(&self, run: &Run, results: &Results) -> Result<Digest, TrainError> {
        Ok(self.inputs(run, results)?.digest())
    }

    /// Carries it out, going on from what an earlier call of the same digest left.
    fn run(&self, run: &mut Run, results: &mut Results, digest: Digest) -> Result<(), TrainError>;
}

/// What all stages of a run share.
pub struct Run<'a, 'b> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// What it reads beside the recipe.
    pub inputs: &'a Inputs,
    /// Its folder.
    pub folder: RunFolder,
    /// The folder of a finished run whose stages are taken over.
    pub reuse: Option<RunFolder>,
    /// How texts become tokens.
    pub encoding: &'a Encoding,
    /// The training problems.
    pub data: &'a Demonstrations,
    /// What the policy is made of.
    pub policy: &'a Backbone,
    /// What made it, and the stages that are through.
    pub record: RunRecord,
    /// Where it reports to.
    pub progress: &'a mut Progress<'b>,
}

impl Run<'_, '_> {
    /// Identity of the problems that the policy practises on.
    pub fn practice(&self) -> (usize, Option<Split>) {
        (self.data.problems(), self.recipe.data.practice)
    }

    /// A stage's checkpoint, and that of the run that is reused.
    pub fn resumable<'s>(&self, name: &'s str, steps: usize, digest: &Digest) -> Resumable<'s> {
        let reuse = self.reuse.as_ref().map(|folder| folder.checkpoint(name));
        Resumable { name, steps, checkpoint: self.folder.checkpoint(name), reuse, digest: digest.clone() }
    }

    /// The problems that the policy was trained on, those of the model that it started from among them.
    pub fn seen(&self) -> Result<TrainingProblems, TrainError> {
        let mut seen = TrainingProblems::new((0..self.data.problems() as u64).map(|i| self.data.demonstration(i).problem.text));
        seen.extend(&training_problems::of_base(self.recipe.policy.from.as_ref())?);
        Ok(seen)
    }

    /// Samples for all prompts, reporting as `stage`; an interruption is an error.
    pub fn sample(
        &mut self,
        stage: &str,
        policy: &Decoder,
        prompts: &[Prompt],
        n: usize,
        sampling: &Sampling,
    ) -> Result<Vec<Vec<Completion>>, TrainError> {
        let began = std::time::Instant::now();
        let mut watch = SamplingProgress { progress: self.progress, stage, of: prompts.len(), failed: None };
        let samples = sample_all(policy, prompts, n, sampling, &mut |done| watch.heard(done))?;
        watch.end(samples.len())?;
        let all = || samples.iter().flatten();
        let tokens = all().map(|c| c.ids.len()).sum::<usize>() as f64;
        let clipped = all().filter(|c| !c.stopped).count() as f64 / all().count().max(1) as f64;
        let values = [("tokens_per_second", tokens / began.elapsed().as_secs_f64()), ("completions/clipped_ratio", clipped)];
        self.progress.say(stage, prompts.len(), prompts.len(), &values)?;
        Ok(samples)
    }
}

/// The policy as the last stage that moved it left it.
pub struct Policy {
    /// Its weights.
    pub weights: Frozen,
    /// The network over them.
    pub net: Decoder,
    /// What they depend on.
    pub digest: Digest,
}

/// The fixed pool of policy samples that the reward model is trained against.
pub struct SamplePool {
    /// The samples, those of one problem together.
    pub rollouts: Vec<Rollout>,
    /// What they depend on.
    pub digest: Digest,
}

/// The decoder of the reward model before it learns rewards.
pub struct WarmStart {
    /// What it is made of.
    pub backbone: Backbone,
    /// Its weights.
    pub weights: Frozen,
    /// What they depend on.
    pub digest: Digest,
}

/// A reward model in training.
pub struct RewardModel {
    /// What its decoder is made of.
    pub backbone: Backbone,
    /// Its variables.
    pub store: Rc<VarStore>,
    /// The network over them.
    pub net: RewardNet,
    /// Weights of the reference decoder of an implicit head.
    pub reference: Option<Frozen>,
    /// What its weights depend on.
    pub digest: Digest,
}

impl RewardModel {
    /// What training moves: a scalar head without a language-model term never asks the output layer.
    pub fn vars(&self, reward: &RewardConfig) -> Vec<(String, Var)> {
        let asked = reward.adversarial.lm_weight > 0.0 || !matches!(self.net.kind(), Head::Scalar | Head::Scales);
        self.store.vars().into_iter().filter(|(name, _)| asked || name != "lm_head.weight").collect()
    }
}

/// The results of the stages that are through; a stage reads those of the stages before it.
#[derive(Default)]
pub struct Results {
    /// From fine-tuning on.
    pub policy: Option<Policy>,
    /// From its sampling on.
    pub pool: Option<SamplePool>,
    /// From its warm start until the reward model learns rewards.
    pub warm: Option<WarmStart>,
    /// From its adversarial training on.
    pub reward: Option<RewardModel>,
}

impl Results {
    /// The policy.
    pub fn policy(&self) -> Result<&Policy, TrainError> {
        self.policy.as_ref().ok_or_else(|| missing("policy"))
    }

    /// The fixed pool.
    pub fn pool(&self) -> Result<&SamplePool, TrainError> {
        self.pool.as_ref().ok_or_else(|| missing("pool of samples"))
    }

    /// The decoder that the reward model starts from.
    pub fn warm(&self) -> Result<&WarmStart, TrainError> {
        self.warm.as_ref().ok_or_else(|| missing("warm start"))
    }

    /// The reward model.
    pub fn reward(&self) -> Result<&RewardModel, TrainError> {
        self.reward.as_ref().ok_or_else(|| missing("reward model"))
    }

    /// The digest of the reward model that a stage uses, where it uses one.
    pub fn reward_digest(&self) -> Option<&Digest> {
        self.reward.as_ref().map(|r| &r.digest)
    }
}

/// The sequence of stages is wrong, which no recipe can make it.
pub fn missing(what: &str) -> TrainError {
    TrainError::Data(format!("a stage needs a {what} that no stage before it made"))
}
