//! A whole run: a sequence of stages, each of which knows what it depends on, leaves a file and goes on from it.

mod adversarial;
mod calibration;
mod context;
mod evaluation;
mod further;
mod labels;
mod preference;
mod record;
mod rl;
mod rollouts;
mod sft;

pub use calibration::lacks_threshold;
pub use context::Inputs;

use crate::model::{END_TOKEN, TextTokenizer};
use crate::run::{RunFolder, RunLock};
use crate::task::Task;
use crate::task::stories::Split;
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::encoding::Encoding;
use crate::train::models::backbone::Backbone;
use crate::train::models::checkpoint::write_atomically;
use crate::train::models::package::write_json;
use crate::train::models::training_problems;
use crate::train::progress::Progress;
use crate::train::recipe::Recipe;
use crate::train::world::World;
use context::{Results, Run, Stage};

/// Carries out a recipe in its output folder, going on from where an earlier call stopped. The same recipe gives the same bytes on any number of
/// threads. Leaves `policy/` and, where one is trained, `reward/`, each a model directory, the latter with `reward.json`; `recipe.toml` and `run.json`
/// say what made them, `evaluation.jsonl` how the policy did on every problem.
///
/// A changed recipe is refused by the checkpoints of the stages that it changes.
pub fn run(recipe: &Recipe, inputs: &Inputs, progress: &mut Progress) -> Result<(), TrainError> {
    recipe.check_grader(&inputs.grader)?;
    let (policy, encoding) = policy(recipe)?;
    let data = data(recipe, inputs, &encoding)?;
    let reuse = recipe.reuse.as_ref().map(RunFolder::new);
    if let Some(dir) = reuse.as_ref().map(RunFolder::path).filter(|d| !d.is_dir()) {
        return Err(TrainError::Data(format!("reuse: {} is no folder; name the output of another run, or leave it out", dir.display())));
    }
    let folder = RunFolder::new(&recipe.output);
    let lock = if World::here().is_first() { Some(RunLock::take(&folder)?) } else { None };
    further::refuse_to_forget(&folder, inputs)?;
    // A checkpoint of another recipe ends the run, and what the folder says of itself stays true.
    let records = [folder.recipe(), folder.record()].map(|path| (std::fs::read(&path), path));
    let record = record::record(recipe, &data, inputs);
    let run = Run { recipe, inputs, folder, reuse, encoding: &encoding, data: &data, policy: &policy, record, progress };
    let result = carry_out(run);
    match &result {
        Ok(()) => lock.into_iter().for_each(RunLock::done),
        Err(TrainError::Checkpoint { .. }) => {
            for (bytes, path) in records {
                bytes.map_or(Ok(()), |b| write_atomically(&path, &b))?;
            }
        }
        Err(_) => {}
    }
    result
}

/// What the policy is made of, and how texts become its tokens.
fn policy(recipe: &Recipe) -> Result<(Backbone, Encoding), TrainError> {
    let p = &recipe.policy;
    match (&p.from, &p.shape) {
        (Some(from), _) => {
            let (backbone, tokenizer) = Backbone::open(from, p.lora.as_ref(), recipe.seed, p.gradient_checkpointing)?;
            let eos = backbone.config.eos_token_ids.first().copied();
            let eos = eos.ok_or_else(|| TrainError::Data(format!("{from}: config.json names no eos_token_id")))?;
            Ok((backbone, Encoding { tokenizer, eos }))
        }
        (None, Some(shape)) => {
            let corpus = Demonstrations::corpus(recipe.seed, recipe.data.demonstrations.clamp(200, 20_000));
            let tokenizer = TextTokenizer::train_bpe(corpus, recipe.data.vocab_size)?;
            let eos = tokenizer.id(END_TOKEN).ok_or_else(|| TrainError::Data("the tokenizer has no end token".into()))?;
            Ok((Backbone::scratch(shape, tokenizer.vocab_size(), eos, recipe.seed), Encoding { tokenizer, eos }))
        }
        (None, None) => Err(TrainError::Data("policy has neither shape nor from".into())),
    }
}

/// The training problems.
fn data(recipe: &Recipe, inputs: &Inputs, encoding: &Encoding) -> Result<Demonstrations, TrainError> {
    let d = &recipe.data;
    let problems = d.problems.unwrap_or(d.demonstrations).max(d.demonstrations);
    let data = if d.task == Task::Stories {
        Demonstrations::stories(encoding.clone(), recipe.seed, d.demonstrations, problems, d.practice.unwrap_or(Split::Train))?
    } else {
        let all = &inputs.demonstrations;
        if all.len() < problems {
            return Err(TrainError::Data(format!("data.files hold {} demonstrations, and the recipe asks for {problems}", all.len())));
        }
        Demonstrations::listed(d.task, encoding.clone(), recipe.seed, d.demonstrations, all[..problems].to_vec())?
    };
    Ok(data.graded_by(inputs.grader.clone()))
}

/// The stages that move the policy, with those that they need, in order.
fn stages<'r>(run: &Run, recipe: &'r Recipe) -> Result<Vec<Box<dyn Stage + 'r>>, TrainError> {
    let mut all: Vec<Box<dyn Stage + 'r>> = vec![Box::new(sft::PolicySft)];
    if let Some(reward) = &recipe.reward {
        all.push(Box::new(rollouts::Rollouts { reward }));
        all.push(Box::new(sft::RewardSft::open(run, reward)?));
        all.push(Box::new(adversarial::Adversarial { reward }));
        if let Some(labels) = &reward.labels {
            all.push(Box::new(labels::Labels { reward, labels }));
        }
    }
    if let Some(preference) = &recipe.preference {
        all.push(Box::new(preference::Preference { preference }));
    }
    if let Some(rl) = &recipe.rl {
        all.push(Box::new(rl::Rl { rl }));
    }
    Ok(all)
}

/// The stages after them, in order.
fn finishing<'r>(recipe: &'r Recipe, inputs: &Inputs) -> Vec<Box<dyn Stage + 'r>> {
    let mut all: Vec<Box<dyn Stage + 'r>> = Vec::new();
    if let Some(reward) = &recipe.reward {
        if !inputs.more.is_empty() {
            all.push(Box::new(further::MoreDemonstrations { reward }));
        }
        if !inputs.more_labels.is_empty() {
            all.push(Box::new(further::MoreLabels { reward }));
        }
        all.push(Box::new(calibration::Calibrate { reward }));
    }
    if let Some(config) = &recipe.evaluation {
        all.push(Box::new(evaluation::Evaluate { config }));
    }
    all
}

/// Carries out the stages, and writes the policy when all that move it are through.
fn carry_out(mut run: Run) -> Result<(), TrainError> {
    let (recipe, mut results) = (run.recipe, Results::default());
    let resolved = toml::to_string(recipe).map_err(|e| TrainError::Data(e.to_string()))?;
    for stage in stages(&run, recipe)? {
        let first = run.record.stages.is_empty();
        carry_out_one(stage.as_ref(), &mut run, &mut results)?;
        if first {
            write_atomically(&run.folder.recipe(), resolved.as_bytes())?;
        }
    }
    let folder = run.folder.policy();
    run.policy.package(&folder, &run.encoding.tokenizer, &results.policy()?.weights, &[])?;
    training_problems::write(&folder, &run.seen()?)?;
    for stage in finishing(recipe, run.inputs) {
        carry_out_one(stage.as_ref(), &mut run, &mut results)?;
    }
    Ok(())
}

/// Carries out a stage, and notes in `run.json` what its result depends on.
fn carry_out_one(stage: &dyn Stage, run: &mut Run, results: &mut Results) -> Result<(), TrainError> {
    let digest = stage.digest(run, results)?;
    let noted = digest.own().to_owned();
    stage.run(run, results, digest)?;
    run.record.stages.insert(stage.name().into(), noted);
    write_json(&run.folder.record(), &run.record)
}
