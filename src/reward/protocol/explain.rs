//! What a model is taken for, and what exactly is fed to it, without its weights being read.

use super::writer::FirstQuestion;
use super::{At, HeadKind, Layout, Protocol, Says, Shape, Squash, Taken, Write, as_judge, recognise};
use crate::model::{ModelError, ModelFiles};
use std::path::Path;

/// The example that is laid out: a problem and its steps.
pub(in crate::reward) const EXAMPLE: (&str, [&str; 2]) = ("What is 1 + 2 + 3?", ["1 + 2 = 3.", "3 + 3 = 6. The answer is 6."]);

/// What is to be said of a model as a reward model.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// What it is taken for and why, a sentence.
    pub taken: String,
    /// How it is fed, a sentence.
    pub fed: String,
    /// Where and what is read, a sentence.
    pub read: String,
    /// The ids of a two-step example with the text of each, and whether it is read there.
    pub ids: Vec<(u32, String, bool)>,
    /// What is to be known beside it, a sentence each: weights that are not read, a tag that the tokenizer does not know.
    pub notes: Vec<String>,
}

/// Lays out a two-step example by the protocol that [`recognise`] finds. Fails as that does, and where the layout does not fit the model.
pub fn explain(files: &ModelFiles, file: Option<&Path>) -> Result<Explained, ModelError> {
    lay_out(files, recognise(files, file)?)
}

/// The same for a model that is named as a judge: see [`as_judge`].
pub fn explain_judge(files: &ModelFiles, file: Option<&Path>) -> Result<Explained, ModelError> {
    lay_out(files, as_judge(file)?)
}

fn lay_out(files: &ModelFiles, taken: Taken) -> Result<Explained, ModelError> {
    let Taken { protocol, because } = taken;
    if let Some(write) = &protocol.write {
        return writes(files, &protocol, write, &because);
    }
    let look = files.look()?;
    let tokenizer = files.tokenizer()?;
    let chat = files.chat(&tokenizer)?;
    let layout = Layout::new(&protocol, files, tokenizer, chat)?;
    let (ids, reads) = layout.lay_out(EXAMPLE.0, &EXAMPLE.1, look.pad_token_id)?;
    let text = |id: u32| layout.tokenizer().token(id).unwrap_or_default();
    let mut notes = Vec::new();
    if protocol.read.head != HeadKind::Lm && look.tensors.contains_key("lm_head.weight") {
        notes.push("lm_head.weight is there too and is not read: the scores come from the head".to_owned());
    }
    if layout.tag().len() > 1 && !protocol.input.tag.trim().is_empty() {
        notes.push(format!(
            "the tag {:?} is {} tokens of this tokenizer where one is usual: is it the model's own?",
            protocol.input.tag,
            layout.tag().len()
        ));
    }
    let own = |name: &str| protocol.read.head != HeadKind::Lm && name.starts_with(&format!("{}.", protocol.read.tensor));
    let others = look.tensors.keys().filter(|n| !n.starts_with("model.") && !n.starts_with("lm_head") && n.contains('.') && !own(n));
    notes.extend(others.filter(|n| n.ends_with("weight") && !is_body(n)).map(|n| format!("{n} is there and is not read")));
    Ok(Explained {
        taken: format!("{}, because {because}", protocol.name),
        fed: fed(&protocol, &layout),
        read: read(&protocol, &layout)?,
        ids: ids.iter().enumerate().map(|(i, &id)| (id, text(id), reads.contains(&i))).collect(),
        notes,
    })
}

/// The same of a model that writes before it is read.
fn writes(files: &ModelFiles, protocol: &Protocol, write: &Write, because: &str) -> Result<Explained, ModelError> {
    let FirstQuestion { ids, verdicts: [(yes, good), (no, bad)] } = FirstQuestion::new(files, protocol, (EXAMPLE.0, EXAMPLE.1[0]))?;
    let history =
        if protocol.input.layout == Shape::Chat { "in a conversation of its own" } else { "after all that was said of those before" };
    Ok(Explained {
        taken: format!("{}, because {because}", protocol.name),
        fed: format!(
            "by the model's chat template, a question for every step, {history}; it writes up to {} tokens, to {:?}",
            write.tokens, write.until
        ),
        read: format!(
            "after {:?}: the next-token logits of {yes:?} {good:?} and {no:?} {bad:?}; the softmax's part, a probability",
            write.verdict
        ),
        ids: ids.into_iter().map(|(id, text)| (id, text, false)).collect(),
        notes: vec!["the ids are the question of the first step alone; what it writes follows, and then the verdict is read".into()],
    })
}

/// Whether a tensor is one of a decoder that was saved without `model.` before its names.
fn is_body(name: &str) -> bool {
    name.starts_with("embed_tokens.") || name.starts_with("norm.")
}

fn fed(protocol: &Protocol, layout: &Layout) -> String {
    let tag = match layout.tag() {
        [] => "nothing after a step".to_owned(),
        ids => format!("after every step the tag {:?} as ids {ids:?}", protocol.input.tag),
    };
    let system = if protocol.input.system.is_some() { "with" } else { "without" };
    match layout.shape() {
        Shape::Plain | Shape::Auto => format!("as plain text, {tag}"),
        Shape::Chat => {
            format!("by the model's chat template {system} a system message of its own, the steps in the assistant's message; {tag}")
        }
        Shape::Turns => {
            format!("by the model's chat template, a turn of the user's for every step, to which the assistant says the tag; {tag}")
        }
    }
}

fn read(protocol: &Protocol, layout: &Layout) -> Result<String, ModelError> {
    let read = &protocol.read;
    let at = match read.at {
        At::Tag => "at the tag's last id",
        At::TagStart => "at the tag's first id",
        At::StepEnd => "at the last id before the tag",
        At::Marker => "at the id before the one in which the two markers differ",
        At::End => "at the last id that is not padding, once for the whole",
        At::Token => "at every id of the text",
        At::Verdict => "after what it has written of a step",
    };
    let (good, bad) = layout.labels(read)?;
    let what = match read.head {
        HeadKind::Lm if read.score == Squash::SigmoidOfMean => "the mean of all next-token logits".to_owned(),
        HeadKind::Lm => format!("the next-token logits of the good ids {good:?} and the bad ids {bad:?}"),
        HeadKind::Linear => format!("{}.weight", read.tensor),
        HeadKind::Likelihood => format!("{0}.likelihood times the log-probability of the token, and {0}.weight after it", read.tensor),
        HeadKind::Mlp => format!("{0}.0, ReLU and {0}.2", read.tensor),
    };
    let rows = if read.head == HeadKind::Lm { String::new() } else { format!(" of rows {good:?}") };
    let score = match read.score {
        Squash::Softmax => format!("the softmax's part{rows}, a probability"),
        Squash::Difference => format!("the softmax's part{rows} less the rest, -1 to 1"),
        Squash::Sigmoid | Squash::SigmoidOfMean => "its sigmoid, a probability".to_owned(),
        Squash::Logit => "the number as it is, a logit".to_owned(),
    };
    let steps = match protocol.output.steps {
        Says::Score => "",
        Says::FirstError => "; of all steps' chances where the first error is likeliest, below ½ from there on",
    };
    Ok(format!("{at}: {what}; {score}{steps}"))
}
