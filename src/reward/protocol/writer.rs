//! Reward models that write: a critique of each step, and then a verdict whose chance is read.

use super::head::RowScores;
use super::{Label, Protocol, Says, Shape, Write, first_error};
use crate::model::{ChatTemplate, Decoder, Message, ModelError, ModelFiles, Progress, Sampler, TextTokenizer, compute_dtype, device_name};
use crate::reward::{Piece, RewardError, RewardModel, Said, Scored};
use crate::trace::{Calibration, Level, Sampling, Span, Unit, Values};
use candle_core::{DType, Device, Tensor};

/// What is said of the steps before the first one where a prompt wants them.
const NONE_BEFORE: &str = "none, for this is the first step";

/// One candidate as far as it was judged.
#[derive(Clone, Default)]
struct Row {
    /// What the user said of each step, and what the model wrote to it.
    turns: Vec<(String, String)>,
    /// Steps as they were given.
    steps: Vec<String>,
    /// One a step: its score, or its log-odds where the first error is asked for.
    values: Vec<Option<f32>>,
    /// The context has no room for the next step, so none further is judged.
    full: bool,
    ended: bool,
}

/// What is asked of one step, in text and ids.
struct Asked {
    user: String,
    ids: Vec<u32>,
}

/// The parts that lay out what is asked.
struct Questions {
    protocol: Protocol,
    write: Write,
    tokenizer: TextTokenizer,
    chat: ChatTemplate,
}

/// A language model that writes what it thinks of each step before it judges it. It writes greedily, so that the same step has the same score.
///
/// The steps of a candidate are judged one after the other, each when it is closed; reading several at once would gain nothing, for writing takes the time. A
/// critique that does not end is ended for it, and the verdict is read all the same. A step whose question no longer fits the context has no score.
pub struct WriterReward {
    name: String,
    about: String,
    calibration: Calibration,
    decoder: Decoder,
    questions: Questions,
    rule: RowScores,
    words: [String; 2],
    problem: String,
    rows: Vec<Row>,
}

impl Questions {
    fn new(protocol: Protocol, files: &ModelFiles, tokenizer: TextTokenizer, chat: Option<ChatTemplate>) -> Result<Self, ModelError> {
        let error = |what: String| ModelError::File {
            path: files.path(),
            what,
            remedy: "put the model's chat_template.jinja there, or describe the model in reward.toml".into(),
        };
        let Some(chat) = chat else { return Err(error(format!("has no chat template, and {} is asked by one", protocol.name))) };
        let Some(write) = protocol.write.clone() else { return Err(error(format!("{} writes nothing", protocol.name))) };
        Ok(Self { protocol, write, tokenizer, chat })
    }

    /// What the user says of step `row.steps.len()`, after what was said before, and where the assistant begins to write.
    /// What is longer than `room` tokens may be cut where it is.
    fn ask(&self, problem: &str, row: &Row, step: &str, room: usize) -> Result<Asked, ModelError> {
        let number = (row.steps.len() + 1).to_string();
        let input = &self.protocol.input;
        let before = if row.steps.is_empty() { NONE_BEFORE.to_owned() } else { row.steps.join("\n") };
        let parts = [("{problem}", problem), ("{previous}", &before), ("{step}", step), ("{number}", &number)];
        let alone = input.layout == Shape::Chat;
        let user = match (alone, row.steps.is_empty()) {
            (true, _) => fill(&input.problem, &parts),
            (false, true) => format!("{}{}{step}", fill(&input.problem, &parts), input.first),
            (false, false) => format!("{}{step}", input.between),
        };
        let mut messages: Vec<Message> = input.system.iter().map(|s| Message::new("system", s)).collect();
        if !alone {
            for (user, assistant) in &row.turns {
                messages.extend([Message::new("user", user), Message::new("assistant", assistant)]);
            }
        }
        messages.push(Message::new("user", &user));
        let text = self.chat.render(&messages, true)?;
        let mut ids = self.tokenizer.within(&text, room, |text| self.tokenizer.encode(text, true))?.ids;
        ids.extend(self.bare(&fill(&self.write.begin, &parts))?);
        Ok(Asked { user, ids })
    }

    /// Ids of a text that goes on.
    fn bare(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        if text.is_empty() { Ok(Vec::new()) } else { Ok(self.tokenizer.encode_line(text)?.ids) }
    }

    /// The ids of good and bad verdicts, and the words themselves.
    fn labels(&self) -> Result<([Vec<usize>; 2], [String; 2]), ModelError> {
        let read = &self.protocol.read;
        let id = |label: &Label| match label {
            Label::Id(id) => Ok(*id),
            Label::Text(text) => self.bare(text)?.first().copied().ok_or_else(|| {
                ModelError::Input(format!("{text:?} is no token of this model: correct read.positive or read.negative in reward.toml"))
            }),
        };
        let ids = |labels: &[Label]| labels.iter().map(|l| Ok(id(l)? as usize)).collect::<Result<Vec<usize>, ModelError>>();
        let word = |labels: &[Label]| match labels.first() {
            Some(Label::Text(text)) => text.clone(),
            Some(Label::Id(id)) => self.tokenizer.token(*id).unwrap_or_default(),
            None => String::new(),
        };
        let (good, bad) = (ids(&read.positive)?, ids(&read.negative)?);
        if let Some(both) = good.iter().find(|id| bad.contains(id)) {
            let what = format!("token {both} begins a good verdict and a bad one: correct read.positive in reward.toml");
            return Err(ModelError::Input(what));
        }
        Ok(([good, bad], [word(&read.positive), word(&read.negative)]))
    }
}

/// The text with each key in place of it, in one pass: what stands in a value is not looked at.
fn fill(text: &str, parts: &[(&str, &str)]) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match parts.iter().find(|(key, _)| rest.starts_with(key)) {
            Some((key, value)) => {
                out.push_str(value);
                rest = &rest[key.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

impl WriterReward {
    /// Loads a model by its protocol, which has a part `write`.
    pub fn load(files: &ModelFiles, protocol: Protocol, device: &Device, progress: Option<Progress>) -> Result<Self, ModelError> {
        let mut model = files.load(device, compute_dtype(device), progress)?;
        let decoder = Decoder::load(&model.config, model.weights.as_ref(), &mut |_| {})?.for_inference()?;
        let questions = Questions::new(protocol, files, model.tokenizer, model.chat.take())?;
        let ([good, bad], words) = questions.labels()?;
        let (p, read) = (decoder.config().parameters() as f64 / 1e6, &questions.protocol.read);
        let about = format!(
            "{}, {p:.1} M parameters, {}, {}, context {}, read as {}: it writes up to {} tokens before it judges a step",
            decoder.config().model_type,
            model.stored,
            device_name(device),
            decoder.context(),
            questions.protocol.name,
            questions.write.tokens
        );
        let rule = RowScores { score: read.score, odds: questions.protocol.output.steps == Says::FirstError, good, bad };
        let calibration = questions.protocol.calibration();
        Ok(Self { name: files.name(), about, calibration, decoder, questions, rule, words, problem: String::new(), rows: Vec::new() })
    }

    /// A line for people: parameters, storage, device, what it was taken for.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Judges the next step of a candidate.
    fn judge(&mut self, candidate: usize, step: &str) -> Result<(), RewardError> {
        let Questions { write, tokenizer, .. } = &self.questions;
        let row = &mut self.rows[candidate];
        if row.full {
            row.values.push(None);
            return Ok(());
        }
        let asked = self.questions.ask(&self.problem, row, step, self.decoder.context())?;
        let verdict = self.questions.bare(&write.verdict)?;
        // What ends a critique that does not end, the verdict, and the word that is read.
        let ending = self.questions.bare(&write.until)?;
        let beside = asked.ids.len() + ending.len() + verdict.len() + 1;
        let room = self.decoder.context().saturating_sub(beside);
        if room == 0 {
            let row = &mut self.rows[candidate];
            row.full = true;
            row.values.push(None);
            return Ok(());
        }
        let mut cache = self.decoder.cache();
        let at = cache.add_row(None);
        let mut read = |ids: &[u32]| -> Result<Vec<f32>, ModelError> {
            let hidden = self.decoder.forward_cached(&[(at, ids)], &mut cache)?;
            let last: Tensor = hidden.narrow(0, ids.len() - 1, 1)?;
            Ok(self.decoder.logits(&last)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
        };
        let mut logits = read(&asked.ids)?;
        let mut greedy = Sampler::new(&Sampling { temperature: 0.0, ..Sampling::default() }, 0)?;
        let (mut stream, mut written, ends) = (tokenizer.stream(), String::new(), &self.decoder.config().eos_token_ids);
        for _ in 0..write.tokens.min(room) {
            let id = greedy.draw(&logits)?.id;
            if ends.contains(&id) {
                break;
            }
            logits = read(&[id])?;
            written.push_str(&stream.push(id).text);
            if !write.until.is_empty() && written.ends_with(&write.until) {
                break;
            }
        }
        let ended = write.until.is_empty() || written.ends_with(&write.until);
        if !ended {
            read(&ending)?;
            written.push_str(&write.until);
        }
        if !verdict.is_empty() {
            logits = read(&verdict)?;
        }
        let score = self.rule.of(&logits)?;
        let right = if self.rule.odds { score >= 0.0 } else { score >= 0.5 };
        let word = &self.words[usize::from(!right)];
        let begin = fill(&write.begin, &[("{number}", &(row.steps.len() + 1).to_string())]);
        let said = format!("{begin}{written}{}{word}{}", write.verdict, write.after);
        tracing::debug!(candidate, score, written, "has judged a step");
        let row = &mut self.rows[candidate];
        row.turns.push((asked.user, said));
        row.values.push(Some(score));
        Ok(())
    }
}

impl RewardModel for WriterReward {
    fn name(&self) -> &str {
        &self.name
    }

    fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    fn shares_tokenizer(&self, _: &str) -> bool {
        false
    }

    fn judges_steps(&self) -> bool {
        true
    }

    fn says(&self) -> (Unit, Level) {
        (self.questions.protocol.read.score.unit(), Level::Step)
    }

    fn begin(&mut self, problem: &str, candidates: usize) -> Result<(), RewardError> {
        self.problem = problem.to_owned();
        self.rows = vec![Row::default(); candidates];
        Ok(())
    }

    /// As the trait says; of every candidate of which steps closed all that is known.
    fn append(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Scored>, RewardError> {
        let mut out = Vec::new();
        for piece in pieces {
            let candidate = piece.candidate;
            let Some(row) = self.rows.get(candidate) else {
                return Err(RewardError::unannounced(candidate));
            };
            if row.ended {
                continue;
            }
            let all = [Span::new(0, piece.text.len())];
            let uncut = piece.finished && piece.steps.is_empty() && !piece.text.trim().is_empty();
            let (steps, known) = (if uncut { &all[..] } else { piece.steps }, row.values.len());
            for span in steps.iter().skip(known) {
                let step = span.of(piece.text);
                self.judge(candidate, step)?;
                self.rows[candidate].steps.push(step.to_owned());
            }
            let row = &mut self.rows[candidate];
            row.ended = piece.finished;
            if row.values.len() > known {
                let odds = self.questions.protocol.output.steps == Says::FirstError;
                let values = Values::Steps(if odds { first_error(&row.values) } else { row.values.clone() });
                out.push(Scored { candidate, said: Said::Judged { unit: self.questions.protocol.read.score.unit(), values } });
            }
        }
        Ok(out)
    }
}

/// What a writer is asked of the first step of an example.
pub(super) struct FirstQuestion {
    /// The ids of the question and the text of each.
    pub ids: Vec<(u32, String)>,
    /// The words of a good and of a bad verdict, and their ids.
    pub verdicts: [(String, Vec<usize>); 2],
}

impl FirstQuestion {
    /// Without weights being read.
    pub fn new(files: &ModelFiles, protocol: &Protocol, (problem, step): (&str, &str)) -> Result<Self, ModelError> {
        let tokenizer = files.tokenizer()?;
        let chat = files.chat(&tokenizer)?;
        let questions = Questions::new(protocol.clone(), files, tokenizer, chat)?;
        let ([good, bad], [yes, no]) = questions.labels()?;
        let ids = questions.ask(problem, &Row::default(), step, usize::MAX)?.ids;
        let ids = ids.into_iter().map(|id| (id, questions.tokenizer.token(id).unwrap_or_default())).collect();
        Ok(Self { ids, verdicts: [(yes, good), (no, bad)] })
    }
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn what_stands_in_a_value_is_not_filled_in() {
        let parts = [("{problem}", "a {step}"), ("{step}", "b")];
        assert_eq!(fill("{problem} {x} {step}{", &parts), "a {step} {x} b{");
    }
}
