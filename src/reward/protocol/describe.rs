//! What a protocol says, as it stands in a TOML file.

use crate::model::ModelError;
use crate::trace::{Aggregation, Calibration, REWARD, Reading, Unit};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A description longer than this is none.
const MOST_BYTES: usize = 64 << 10;

/// How a published reward model is fed and read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Name of the family, for people.
    pub name: String,
    /// Where its authors say so.
    #[serde(default)]
    pub source: String,
    /// What tells the family by its files; a protocol that a user names needs none.
    #[serde(default)]
    pub recognise: Recognise,
    /// How problem and steps are laid out.
    pub input: Input,
    /// What the model writes of a step before it is read; absent for one that writes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<Write>,
    /// Where and what is read.
    pub read: Read,
    /// What the scores are.
    #[serde(default)]
    pub output: Output,
    /// What is to be known where a server has the model.
    #[serde(default)]
    pub server: Server,
}

/// What tells a family by its files. Every list that is not empty must hold: one of the architectures and one of the names, all of the tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recognise {
    /// Values of `architectures` in `config.json`; `*` at the front stands for anything.
    pub architectures: Vec<String>,
    /// Tensors that the weights must have.
    pub tensors: Vec<String>,
    /// Parts of the model's name, compared by letters and digits alone.
    pub names: Vec<String>,
}

/// How problem and steps are laid out for the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The layout.
    pub layout: Shape,
    /// Text of the system message of a chat; without it there is none but what the model's template puts there.
    #[serde(default)]
    pub system: Option<String>,
    /// The problem: `{problem}` stands for it, `{bos}` for the token that begins a text, where the tokenizer names one.
    #[serde(default = "problem")]
    pub problem: String,
    /// Text between the problem and the first step.
    #[serde(default)]
    pub first: String,
    /// Text before every further step.
    #[serde(default)]
    pub between: String,
    /// Text after every step, tokenised with it.
    #[serde(default)]
    pub after: String,
    /// The tag after every step, tokenised by itself and appended as ids; of a conversation, what the assistant says to every step.
    #[serde(default)]
    pub tag: String,
    /// The tag's ids, where they are to be these and no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_ids: Vec<u32>,
    /// Each step is tokenised as a text of its own, before which some tokenizers put a space, and not as what goes on.
    #[serde(default)]
    pub alone: bool,
    /// What becomes of the lines of a step.
    #[serde(default)]
    pub lines: Lines,
}

fn problem() -> String {
    "{problem}".into()
}

/// The layout of problem and steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// The problem and the steps as one text.
    Plain,
    /// A chat by the model's template: the problem is the user's message, the steps are the assistant's.
    Chat,
    /// A chat where the model has a template, else one text.
    Auto,
    /// A conversation by the model's template: the user gives problem and first step, then step after step; the assistant answers each with the tag.
    Turns,
}

/// What becomes of the lines of a step that has several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lines {
    /// They stay as they are.
    #[default]
    Keep,
    /// Each gets a tag of its own, empty ones none, and the least of their scores is the step's.
    Each,
}

/// What a model writes of a step before its verdict is read. It is asked by its chat template: of layout `turns` in one conversation, in which each step is a
/// message of the user's, or of layout `chat` for each step in a conversation of its own, whose `input.problem` has `{problem}`, `{previous}` (the steps before,
/// a line each), `{step}` and `{number}` (from 1) in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// How what it writes begins; `{number}` stands for the step's.
    #[serde(default)]
    pub begin: String,
    /// It stops where it has written this, and is made to where it does not come to it; also where it ends its message.
    #[serde(default)]
    pub until: String,
    /// What is put behind that; the verdict is predicted after it.
    #[serde(default)]
    pub verdict: String,
    /// What ends the message after the verdict's word, where later steps are judged in the same conversation.
    #[serde(default)]
    pub after: String,
    /// Tokens that it may write of a step.
    pub tokens: usize,
}

/// Where and what is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The position.
    pub at: At,
    /// What is read off the state there.
    pub head: HeadKind,
    /// The head's name in the weights: `score` for `score.weight` and `score.bias`, or for `score.0.weight` to `score.2.bias` of two layers.
    #[serde(default)]
    pub tensor: String,
    /// How the head's numbers become a score.
    pub score: Squash,
    /// The good classes: rows of the head, or of `lm_head` token ids or tokens as they are written.
    #[serde(default)]
    pub positive: Vec<Label>,
    /// The bad tokens of `lm_head`; of another head all rows that are not good are bad.
    #[serde(default)]
    pub negative: Vec<Label>,
}

/// A position at which a step is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// The last id of the tag.
    Tag,
    /// The first id of the tag.
    TagStart,
    /// The last id before the tag, which predicts it.
    StepEnd,
    /// The id that predicts the first id in which the good marker, which is the tag, and the bad one differ; those two ids are the good and the bad token.
    Marker,
    /// The last id of all that is not padding: one score for the whole.
    End,
    /// Every id of the text: one score a token.
    Token,
    /// After what the model has written of a step.
    Verdict,
}

/// What is read off a state h of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// W·h + b, W `[rows, hidden]`; b may be absent.
    Linear,
    /// W₂·relu(W₀·h + b₀) + b₂, W₀ `[width, hidden]`, W₂ `[rows, width]`.
    Mlp,
    /// The next-token logits of the language model.
    Lm,
    /// w·ln π(token | before) + W·h + b, W `[1, hidden]`, w `[1]` under the name `likelihood`: the head of models that are trained here.
    Likelihood,
}

/// How numbers become a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Squash {
    /// Softmax over the rows, or over the good and bad tokens; the good ones' part of it.
    Softmax,
    /// The good ones' part less the bad ones', −1 to 1.
    Difference,
    /// σ of the only row.
    Sigmoid,
    /// The only row as it is.
    Logit,
    /// σ of the mean of all next-token logits.
    SigmoidOfMean,
}

impl Squash {
    /// What the scores are.
    pub fn unit(self) -> Unit {
        match self {
            Self::Softmax | Self::Sigmoid | Self::SigmoidOfMean => Unit::Probability,
            Self::Difference => Unit::Unknown,
            Self::Logit => Unit::Logit,
        }
    }
}

/// A class: a row of a head or the id of a token, or a token as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// By number.
    Id(u32),
    /// A token as text: the last id of what the tokenizer makes of it.
    Text(String),
}

/// What is to be made of the scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// How its authors put the steps' scores together.
    pub aggregation: Option<Aggregation>,
    /// A step whose score is below deviates, say its authors.
    pub threshold: Option<f32>,
    /// Of scores a token, the reading that the threshold holds for, such as `reward.min`, which is also how a step is read where nobody asks otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// What is said of a step.
    pub steps: Says,
}

/// What is to be known where a server has the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Where the tokenizer and the chat template are: a directory, a `tokenizer.json`, a `.gguf` file or a hub id; seen from the protocol file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// The server gives chances rather than logits; unsaid, rows of several numbers that add up to 1 are taken for chances, single numbers for logits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chances: Option<bool>,
}

/// What is said of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// Its own score.
    #[default]
    Score,
    /// Where the first error is, from the scores of all steps: see [`first_error`](super::first_error).
    FirstError,
}

impl Protocol {
    /// Reads a description. `path` is named in errors, which say the line, the field and what is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ModelError> {
        let error =
            |what: String| ModelError::File { path: path.into(), what, remedy: "docs/reward-models.md says what a protocol holds".into() };
        if text.len() > MOST_BYTES {
            return Err(error(format!("{} bytes are too many for a protocol", text.len())));
        }
        let this: Self = toml::from_str(text).map_err(|e| error(e.to_string().trim_end().replace('\n', " ")))?;
        this.check().map_err(error)?;
        Ok(this)
    }

    /// Reads the description in a file.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let text = std::fs::read_to_string(path).map_err(|source| ModelError::Io { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// The threshold that its authors state, where they do.
    pub fn calibration(&self) -> Calibration {
        let reading = self.output.reading.clone().unwrap_or_else(|| Reading::of(REWARD));
        match self.output.threshold {
            None if self.judges_tokens() => Calibration { reading, ..Calibration::default() },
            None => Calibration::default(),
            Some(threshold) => {
                let method = format!("the threshold of {}; its false-alarm rate is not known", self.name);
                Calibration { method, ..Calibration::at(reading, threshold) }
            }
        }
    }

    /// Whether it gives a score for every token.
    pub fn judges_tokens(&self) -> bool {
        self.read.at == At::Token
    }

    /// Whether it gives one score for the whole rather than one a step.
    pub fn judges_whole(&self) -> bool {
        self.read.at == At::End
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "name = 'x'\n[input]\nlayout = 'plain'\ntag = '#'\n[read]\nat = 'tag'\nhead = 'linear'\ntensor = 'score'\nscore = 'softmax'\npositive = [1]\n";

    #[test]
    fn mistakes_name_field_and_file() {
        let says = |from: &str, to: &str, words: &[&str]| {
            let error = Protocol::parse(&WHOLE.replace(from, to), Path::new("reward.toml")).unwrap_err().to_string();
            for word in ["reward.toml", "docs/reward-models.md"].iter().chain(words) {
                assert!(error.contains(word), "{error:?} lacks {word:?}");
            }
        };
        assert!(Protocol::parse(WHOLE, Path::new("reward.toml")).is_ok());
        says("tag = '#'", "", &["read.at", "input.tag"]);
        says("tag = '#'", "tug = '#'", &["tug", "line 4"]);
        says("tag = '#'", "tag = '#'\nproblem = 'Q'", &["input.problem", "{problem}"]);
        says("tag = '#'", "tag = '#'\nsystem = 'Q'", &["input.system"]);
        says("'plain'", "'chart'", &["chart", "turns"]);
        says("'linear'", "'lm'", &["read.tensor"]);
        says("[1]", "['+']", &["read.positive", "row numbers"]);
        says("[1]", "[]", &["read.positive"]);
        says("'softmax'", "'sigmoid_of_mean'", &["sigmoid_of_mean", "lm"]);
        says("'tag'", "'verdict'", &["read.at", "[write]"]);
        says("[read]", "[write]\ntokens = 9\n[read]", &["a model that writes", "input.layout"]);
        says("'tag'", "'marker'", &["read.at", "marker", "read.negative"]);
        says("'softmax'\npositive = [1]", "'logit'\n[output]\nsteps = 'first_error'", &["output.steps", "chance"]);
        says("name = 'x'", &format!("name = '{}'", "x".repeat(1 << 17)), &["too many"]);
    }
}
