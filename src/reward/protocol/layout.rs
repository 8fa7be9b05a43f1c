//! From problem and steps to the ids that a reward model is fed, and the positions at which it is read.
//!
//! The opening, each step and each tag are tokenised by themselves and their *ids* are put together: in a text that was joined first, the tokens of a tag can
//! grow together with the end of a step (`.\n\n` is one piece of Qwen's tokenizer), and no step is found where it is looked for. Positions are counted, never
//! searched by id, so that a tag that stands in a step's own text moves nothing.

use super::{At, Input, Label, Lines, Protocol, Read, Shape};
use crate::model::{ChatTemplate, Message, ModelError, ModelFiles, TextTokenizer};

/// Stands for a user's text while a template is rendered.
const USER: &str = "\u{e0f0}u\u{e0f1}";
/// Stands for the assistant's.
const ASSISTANT: &str = "\u{e0f0}a\u{e0f1}";

/// Where a step is read: an index into the ids of its [`Piece`]; `None` is the id before them.
pub type Mark = Option<usize>;

/// The ids of a step, or of one of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// The ids, those of the tag among them.
    pub ids: Vec<u32>,
    /// Where it is read.
    pub mark: Mark,
}

/// A protocol's layout in the ids of a model's tokenizer.
pub struct Layout {
    input: Input,
    at: At,
    tokenizer: TextTokenizer,
    chat: Option<ChatTemplate>,
    /// Text before every step but the first, and after every step.
    between: String,
    after: String,
    tag: Vec<u32>,
    /// Of markers: how many ids of the tag are the bad marker's too, and the ids at which they part, the good one's first.
    parting: Option<(usize, [u32; 2])>,
}

impl Layout {
    /// Fails where the model has no chat template and the layout needs one, where the template cannot be split around steps, or where the tag has no ids.
    pub fn new(protocol: &Protocol, files: &ModelFiles, tokenizer: TextTokenizer, chat: Option<ChatTemplate>) -> Result<Self, ModelError> {
        let error = |what: String, remedy: &str| ModelError::File { path: files.path(), what, remedy: remedy.into() };
        let mut input = protocol.input.clone();
        if input.layout == Shape::Auto {
            input.layout = if chat.is_some() { Shape::Chat } else { Shape::Plain };
        }
        if input.layout != Shape::Plain && chat.is_none() {
            let what = format!("has no chat template, and {} is fed by one", protocol.name);
            return Err(error(what, "put the model's chat_template.jinja there, or describe another layout in reward.toml"));
        }
        let mut this = Self {
            at: protocol.read.at,
            between: input.between.clone(),
            after: input.after.clone(),
            tag: input.tag_ids.clone(),
            tokenizer,
            chat,
            input,
            parting: None,
        };
        let mut tag = this.input.tag.clone();
        if this.input.layout == Shape::Turns {
            let (between, after) = this.turns()?.ok_or_else(|| {
                let what = "its chat template does not lay out every turn alike, so steps cannot be read one by one".to_owned();
                error(what, "describe another layout in reward.toml")
            })?;
            // A space before the assistant's word is a part of it: a tokenizer of words would tear it off.
            let bare = if this.tag.is_empty() { after.trim_end_matches(' ') } else { &after };
            tag.insert_str(0, &after[bare.len()..]);
            (this.between, this.after) = (between, bare.to_owned());
        }
        if this.tag.is_empty() && !tag.is_empty() {
            this.tag = this.tokenizer.encode_line(&tag)?.ids;
            if this.tag.is_empty() {
                return Err(error(format!("the tokenizer has no ids for the tag {tag:?}"), "give input.tag_ids in reward.toml"));
            }
        }
        if let (At::Marker, Some(Label::Text(bad))) = (this.at, protocol.read.negative.first()) {
            let other = this.tokenizer.encode_line(bad)?.ids;
            let alike = this.tag.iter().zip(&other).take_while(|(a, b)| a == b).count();
            let (Some(&good), Some(&bad)) = (this.tag.get(alike), other.get(alike)) else {
                let what = format!(
                    "its tokenizer makes {:?} of the marker {tag:?} and {other:?} of {bad:?}, which do not part at any id",
                    this.tag
                );
                return Err(error(what, "name other markers in a protocol file"));
            };
            this.parting = Some((alike, [good, bad]));
        }
        match this.tag.iter().find(|&&id| id as usize >= this.tokenizer.vocab_size()) {
            None => Ok(this),
            Some(id) => {
                let what = format!("the tag of {} is token {id}, but the tokenizer has {} ids", protocol.name, this.tokenizer.vocab_size());
                Err(error(what, "the protocol belongs to another model: describe this one in reward.toml"))
            }
        }
    }

    /// Ids of the tag.
    pub fn tag(&self) -> &[u32] {
        &self.tag
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// The layout, which is a chat or one text where the protocol leaves it to the model.
    pub fn shape(&self) -> Shape {
        self.input.layout
    }

    /// The good and the bad classes: rows of a head, or ids of tokens.
    pub fn labels(&self, read: &Read) -> Result<(Vec<u32>, Vec<u32>), ModelError> {
        if let Some((_, [good, bad])) = self.parting {
            return Ok((vec![good], vec![bad]));
        }
        let ids = |labels: &[Label]| labels.iter().map(|l| self.label(l)).collect::<Result<Vec<u32>, _>>();
        Ok((ids(&read.positive)?, ids(&read.negative)?))
    }

    /// The id that a label means.
    fn label(&self, label: &Label) -> Result<u32, ModelError> {
        let id = match label {
            Label::Id(id) => Some(*id),
            Label::Text(text) => self.tokenizer.encode(text, false)?.ids.last().copied(),
        };
        id.filter(|&id| (id as usize) < self.tokenizer.vocab_size()).ok_or_else(|| {
            ModelError::Input(format!(
                "{label:?} is no token of this model's tokenizer: correct read.positive or read.negative in reward.toml"
            ))
        })
    }

    /// The ids of what stands before the first step, with the token that begins a text where the tokenizer adds one, and never twice.
    pub fn opening(&self, problem: &str) -> Result<Vec<u32>, ModelError> {
        let encoded = self.tokenizer.encode(&self.around(problem)?.0, true)?;
        let mut ids = encoded.ids;
        // Some tokenizers also end a text, which goes on here.
        while ids.len() > 1 && ids.last().is_some_and(|&id| self.tokenizer.is_special(id)) && encoded.spans[ids.len() - 1].is_empty() {
            ids.pop();
        }
        Ok(ids)
    }

    /// The ids of step `index`, a piece for each line where lines have tags of their own. What is longer than `room` tokens may be cut where it is.
    pub fn step(&self, index: usize, text: &str, room: usize) -> Result<Vec<Piece>, ModelError> {
        let lines: Vec<&str> = match self.input.lines {
            Lines::Keep => vec![text],
            Lines::Each => text.lines().filter(|l| !l.trim().is_empty()).collect(),
        };
        let piece = |(i, line): (usize, &&str)| -> Result<Piece, ModelError> {
            let before = if index + i == 0 { &self.input.first } else { &self.between };
            let text = format!("{before}{line}{}", self.after);
            let encode = |text: &str| if self.input.alone { self.tokenizer.encode(text, false) } else { self.tokenizer.encode_line(text) };
            let mut ids = self.tokenizer.within(&text, room, encode)?.ids;
            let own = ids.len();
            ids.extend(&self.tag);
            let mark = match self.at {
                At::TagStart => Some(own),
                At::StepEnd => own.checked_sub(1),
                At::Marker => (own + self.parting.map_or(0, |p| p.0)).checked_sub(1),
                At::Tag | At::End | At::Token | At::Verdict => ids.len().checked_sub(1),
            };
            Ok(Piece { ids, mark })
        };
        let (mut pieces, mut length) = (Vec::new(), 0);
        for line in lines.iter().enumerate() {
            let piece = piece(line)?;
            length += piece.ids.len();
            pieces.push(piece);
            if length > room {
                break;
            }
        }
        Ok(pieces)
    }

    /// The ids of what stands after the last step, where a chat's template puts something there.
    pub fn closing(&self, problem: &str) -> Result<Vec<u32>, ModelError> {
        let tail = self.around(problem)?.1;
        if tail.is_empty() { Ok(Vec::new()) } else { Ok(self.tokenizer.encode_line(&tail)?.ids) }
    }

    /// All that is fed for a candidate, and the positions at which it is read: one a step, one a line where lines have tags of their own, or one for the
    /// whole, at the last id that is not `pad`, or every id of the text.
    pub fn lay_out(&self, problem: &str, steps: &[&str], pad: Option<u32>) -> Result<(Vec<u32>, Vec<usize>), ModelError> {
        if self.at == At::Token {
            let mut ids = self.tokenizer.encode_lines(&self.around(problem)?.0)?.ids;
            let start = ids.len();
            ids.extend(self.tokenizer.encode_lines(&steps.join("\n"))?.ids);
            let reads = (start..ids.len()).collect();
            return Ok((ids, reads));
        }
        let (mut ids, mut reads) = (self.opening(problem)?, Vec::new());
        if self.at == At::End {
            ids.extend(self.step(0, &steps.join("\n"), usize::MAX)?.into_iter().flat_map(|p| p.ids));
            ids.extend(self.closing(problem)?);
            reads.extend(ids.iter().rposition(|id| Some(*id) != pad));
            return Ok((ids, reads));
        }
        for (i, step) in steps.iter().enumerate() {
            for piece in self.step(i, step, usize::MAX)? {
                reads.extend(piece.mark.map(|m| ids.len() + m).or(ids.len().checked_sub(1)));
                ids.extend(piece.ids);
            }
        }
        Ok((ids, reads))
    }

    /// The text before the steps and the text after them.
    fn around(&self, problem: &str) -> Result<(String, String), ModelError> {
        let bos = self.tokenizer.bos().unwrap_or("");
        let text = self.input.problem.replace("{bos}", bos).replacen("{problem}", problem, 1);
        let (rendered, at) = match self.input.layout {
            Shape::Plain | Shape::Auto => return Ok((text, String::new())),
            Shape::Chat => (self.render(&[(&text, ASSISTANT)])?, ASSISTANT),
            Shape::Turns => (self.render(&[(&format!("{text}{USER}"), ASSISTANT)])?, USER),
        };
        match rendered.split_once(at) {
            Some((head, _)) if self.input.layout == Shape::Turns => Ok((head.to_owned(), String::new())),
            Some((head, tail)) if !tail.contains(at) => Ok((head.to_owned(), tail.to_owned())),
            _ => Err(ModelError::Input(
                "the model's chat template does not show the assistant's message once as it is; describe another layout in reward.toml"
                    .into(),
            )),
        }
    }

    /// A conversation of these turns, after the system message where there is one.
    fn render(&self, turns: &[(&str, &str)]) -> Result<String, ModelError> {
        let Some(chat) = &self.chat else { return Err(ModelError::Input("a chat needs a chat template".into())) };
        let system = self.input.system.iter().map(|s| Message::new("system", s));
        let turns = turns.iter().flat_map(|(user, assistant)| [Message::new("user", user), Message::new("assistant", assistant)]);
        chat.render(&system.chain(turns).collect::<Vec<_>>(), false)
    }

    /// What a conversation has between the assistant's word and the user's next step, and between a step and the word to it; `None` where turns differ.
    fn turns(&self) -> Result<Option<(String, String)>, ModelError> {
        let text = self.render(&[(USER, ASSISTANT); 3])?;
        let parts: Vec<&str> = text.split(USER).collect();
        let [_, first, second, last] = parts[..] else { return Ok(None) };
        let split = |part: &str| part.split_once(ASSISTANT).map(|(after, gap)| (gap.to_owned(), after.to_owned()));
        let (Some(first), Some(second), Some(last)) = (split(first), split(second), split(last)) else { return Ok(None) };
        Ok((first == second && first.1 == last.1).then_some(first))
    }
}
