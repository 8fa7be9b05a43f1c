//! A reward that lies between two language models: how much likelier one of them finds each token than the other.

use super::local::Reader;
use super::protocol::{EXAMPLE, Explained};
use super::{Piece, RewardError, RewardModel, Said, Scored};
use crate::model::{
    ChatTemplate, Decoder, Encoded, ModelError, ModelFiles, OpenModel, Progress, TextTokenizer, compute_dtype, device_name, ops,
};
use crate::trace::{Calibration, Level, REWARD, Reading, Span, Statistic, TokenValue, Unit, Values};
use candle_core::{DType, Device, Tensor};

/// Positions whose logits over the vocabulary stand in memory at a time.
const ROWS: usize = 256;

/// How the reward is scaled and told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImplicitOptions {
    /// The scale β; above 0.
    pub beta: f32,
    /// Tokens that are taken together: each has the mean of its chunk. `None`: each has its own value.
    pub chunk: Option<usize>,
}

impl Default for ImplicitOptions {
    /// β as the implicit PRMs of arXiv 2412.01981 were trained with it.
    fn default() -> Self {
        Self { beta: 0.05, chunk: None }
    }
}

impl ImplicitOptions {
    /// Reads `beta=NUMBER` and `chunk=TOKENS`, each where it is there. Fails on anything else.
    pub fn parse<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut options = Self::default();
        for part in parts {
            match part.split_once('=') {
                Some(("beta", value)) => {
                    let beta = value.parse().ok().filter(|b: &f32| b.is_finite() && *b > 0.0);
                    options.beta = beta.ok_or_else(|| format!("beta is {value:?}; it must be a number above 0, such as 0.05"))?;
                }
                Some(("chunk", value)) => {
                    let chunk = value.parse().ok().filter(|n: &usize| (1..=1 << 20).contains(n));
                    options.chunk = Some(chunk.ok_or_else(|| format!("chunk is {value:?}; it must be a number of tokens, 1 or more"))?);
                }
                _ => return Err(format!("{part:?} is neither beta=NUMBER nor chunk=TOKENS (a comma parts the models and the options)")),
            }
        }
        Ok(options)
    }
}

/// One candidate as far as it was read.
#[derive(Clone, Default)]
struct Row {
    /// Bytes read.
    bytes: usize,
    /// One a token of whole chunks.
    values: Vec<TokenValue>,
    /// The tokens of a chunk that is not whole yet.
    open: Vec<TokenValue>,
    ended: bool,
}

/// β·ln π/π_ref of every token, π and π_ref two language models of one tokenizer (implicit process rewards, arXiv 2412.01981).
///
/// Both read the problem as π's policy would, by its chat template where it has one, and then the text, with an end token where the text was not cut short.
/// Its tokens are those of the whole text for tokenizers that part text after line breaks, as Qwen's and Llama 3's do, also where it grows. A step is the sum
/// of its tokens where nobody asks for another statistic, and the least chunk where there are chunks: their means do not grow with a step's length.
pub struct ImplicitReward {
    name: String,
    about: String,
    options: ImplicitOptions,
    calibration: Calibration,
    tokenizer: TextTokenizer,
    chat: Option<ChatTemplate>,
    pair: [Reader; 2],
    rows: Vec<Row>,
}

impl ImplicitReward {
    /// Loads π and π_ref. Fails where their tokenizers differ; `progress` sees the share that is through, 0 to 1.
    pub fn open(
        [policy, reference]: [&ModelFiles; 2],
        options: ImplicitOptions,
        device: &Device,
        progress: Option<Progress>,
    ) -> Result<Self, ModelError> {
        let opened = policy.load(device, compute_dtype(device), progress)?;
        let other = reference.load(device, compute_dtype(device), None)?;
        same_tokenizer([policy, reference], [&opened.tokenizer, &other.tokenizer])?;
        let reader = |m: &OpenModel| Ok::<_, ModelError>(Reader::new(&decoder(m)?.for_inference()?));
        let pair = [reader(&opened)?, reader(&other)?];
        let size = |r: &Reader| r.decoder.config().parameters() as f64 / 1e6;
        let about = format!(
            "{}, {:.1} M parameters, {}, against {} of {:.1} M, {}, {}; β {}{}",
            pair[0].decoder.config().model_type,
            size(&pair[0]),
            opened.stored,
            reference.name(),
            size(&pair[1]),
            other.stored,
            device_name(device),
            options.beta,
            options.chunk.map(|n| format!(", in chunks of {n} tokens")).unwrap_or_default()
        );
        let statistic = if options.chunk.is_some() { Statistic::Min } else { Statistic::Sum };
        Ok(Self {
            name: format!("implicit:{},{}", policy.name(), reference.name()),
            about,
            options,
            calibration: Calibration { reading: Reading::new(REWARD, statistic), ..Calibration::default() },
            tokenizer: opened.tokenizer,
            chat: opened.chat,
            pair,
            rows: Vec::new(),
        })
    }

    /// A line for people: both models, device, scale.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Positions that a candidate may still take in both models.
    fn room(&self, candidate: usize) -> usize {
        self.pair.iter().map(|r| r.room(candidate)).min().unwrap_or(0)
    }

    /// The ids and spans of a piece that can be read now.
    fn readable(&self, piece: &Piece) -> Result<(Vec<u32>, Vec<Span>), RewardError> {
        let row = &self.rows[piece.candidate];
        if !piece.tokens.is_empty() {
            let ids = piece.tokens.iter().map(|t| t.id).collect::<Option<Vec<u32>>>();
            let ids = ids.ok_or_else(|| RewardError::Input("a token without id cannot be scored as it is".into()))?;
            return Ok((ids, piece.tokens.iter().map(|t| t.span).collect()));
        }
        let rest = piece.text.get(row.bytes..).unwrap_or("");
        let whole = if piece.finished { rest.len() } else { settled(rest) };
        let room = self.room(piece.candidate);
        let Encoded { mut ids, mut spans } = self.tokenizer.within(&rest[..whole], room, |text| encode(&self.tokenizer, text))?;
        spans.iter_mut().for_each(|s| *s = Span::new(s.start + row.bytes, s.end + row.bytes));
        let ended = piece.finished && !piece.cut_short && row.bytes + whole > 0;
        if let (true, Some(&eos)) = (ended, self.pair[0].decoder.config().eos_token_ids.first()) {
            ids.push(eos);
            spans.push(Span::new(piece.text.len(), piece.text.len()));
        }
        Ok((ids, spans))
    }

    /// Reads the new ids of several candidates by both models: β·ln π/π_ref of each, one candidate after the other.
    fn read(&mut self, new: &[(usize, Vec<u32>, Vec<Span>)]) -> Result<Vec<f32>, ModelError> {
        let targets: Vec<u32> = new.iter().flat_map(|n| n.1.iter().copied()).collect();
        let mut of = Vec::with_capacity(2);
        for reader in &mut self.pair {
            let (before, _) = reader.read(new)?;
            of.push(log_probs(&reader.decoder, &before, &targets)?);
        }
        let beta = self.options.beta;
        let values: Vec<f32> = of[0].iter().zip(&of[1]).map(|(p, q)| beta * (p - q)).collect();
        match values.iter().find(|v| !v.is_finite()) {
            None => Ok(values),
            Some(bad) => Err(ModelError::NotFinite(format!(
                "the implicit reward of a token is {bad}: the weights of one of the two models are damaged, or the number format overflows"
            ))),
        }
    }
}

impl Row {
    /// Takes the value of one more token.
    fn push(&mut self, value: TokenValue, chunk: usize) {
        self.open.push(value);
        if self.open.len() >= chunk {
            self.close();
        }
    }

    /// Every token of the open chunk gets the chunk's mean.
    fn close(&mut self) {
        let mean = self.open.iter().map(|v| f64::from(v.value)).sum::<f64>() / self.open.len().max(1) as f64;
        self.values.extend(self.open.drain(..).map(|v| TokenValue { value: mean as f32, ..v }));
    }
}

impl RewardModel for ImplicitReward {
    fn name(&self) -> &str {
        &self.name
    }

    fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    fn shares_tokenizer(&self, policy_fingerprint: &str) -> bool {
        self.tokenizer.fingerprint() == policy_fingerprint
    }

    fn says(&self) -> (Unit, Level) {
        (Unit::Nats, Level::Token)
    }

    fn begin(&mut self, problem: &str, candidates: usize) -> Result<(), RewardError> {
        let ids = prompt(&self.tokenizer, self.chat.as_ref(), problem)?;
        for reader in &mut self.pair {
            reader.begin(&ids, candidates)?;
        }
        self.rows = vec![Row::default(); candidates];
        Ok(())
    }

    /// As the trait says. Tokens past the shorter context of the two stay without reward.
    fn append(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Scored>, RewardError> {
        let mut new = Vec::new();
        for piece in pieces {
            let Some(row) = self.rows.get(piece.candidate) else {
                return Err(RewardError::unannounced(piece.candidate));
            };
            if row.ended {
                continue;
            }
            let (mut ids, spans) = self.readable(piece)?;
            ids.truncate(self.room(piece.candidate));
            let row = &mut self.rows[piece.candidate];
            row.ended = piece.finished;
            row.bytes = match piece.tokens.is_empty() && !piece.finished {
                true => row.bytes + settled(piece.text.get(row.bytes..).unwrap_or("")),
                false => piece.text.len(),
            };
            new.push((piece.candidate, ids, spans));
        }
        let unread: Vec<_> = new.iter().filter(|n| !n.1.is_empty()).cloned().collect();
        let mut values = if unread.is_empty() { Vec::new() } else { self.read(&unread)? }.into_iter();
        let chunk = self.options.chunk.unwrap_or(1);
        let said = |(candidate, ids, spans): (usize, Vec<u32>, Vec<Span>)| {
            let row = &mut self.rows[candidate];
            let known = row.values.len();
            for (span, value) in spans.into_iter().zip(values.by_ref().take(ids.len())) {
                row.push(TokenValue { span, value }, chunk);
            }
            if row.ended {
                row.close();
            }
            let values = Values::Tokens(row.values.clone());
            (row.values.len() > known).then_some(Scored { candidate, said: Said::Judged { unit: Unit::Nats, values } })
        };
        Ok(new.into_iter().filter_map(said).collect())
    }
}

/// What is fed to the pair for a two-step example, without weights being read. Fails where the tokenizers differ.
pub fn explain_implicit(files: [&ModelFiles; 2], options: ImplicitOptions) -> Result<Explained, ModelError> {
    let [policy, reference] = files;
    let (tokenizer, other) = (policy.tokenizer()?, reference.tokenizer()?);
    same_tokenizer(files, [&tokenizer, &other])?;
    let chat = policy.chat(&tokenizer)?;
    let (problem, steps) = EXAMPLE;
    let before = prompt(&tokenizer, chat.as_ref(), problem)?;
    let mut text = encode(&tokenizer, &steps.join("\n"))?.ids;
    text.extend(policy.config()?.eos_token_ids.first());
    let id = |read| move |&id: &u32| (id, read);
    let ids = before.iter().map(id(false)).chain(text.iter().map(id(true)));
    let told = |(id, read)| (id, tokenizer.token(id).unwrap_or_default(), read);
    let lay = if chat.is_some() { format!("by the chat template of {}", policy.name()) } else { "the problem and a line break".into() };
    let step = match options.chunk {
        None => "a step is the sum of its tokens".into(),
        Some(n) => format!("each token has the mean of its {n}, and a step is its least"),
    };
    Ok(Explained {
        taken: format!(
            "an implicit reward, because two language models of one tokenizer were named (fingerprint {})",
            tokenizer.fingerprint()
        ),
        fed: format!("both the same: {lay}, then the text, an end token where it was not cut short"),
        read: format!(
            "at every token of the text: {} × (ln of its chance by {} less that by {}), in nats; {step}",
            options.beta,
            policy.name(),
            reference.name()
        ),
        ids: ids.map(told).collect(),
        notes: Vec::new(),
    })
}

fn decoder(model: &OpenModel) -> Result<Decoder, ModelError> {
    Decoder::load(&model.config, model.weights.as_ref(), &mut |_| {})
}

/// Fails unless both read the same ids.
fn same_tokenizer([policy, reference]: [&ModelFiles; 2], [a, b]: [&TextTokenizer; 2]) -> Result<(), ModelError> {
    if a.fingerprint() == b.fingerprint() {
        return Ok(());
    }
    Err(ModelError::File {
        path: reference.path(),
        what: format!(
            "its tokenizer is not that of {}, and an implicit reward compares the two models' chances of the same tokens",
            policy.name()
        ),
        remedy: "name two models of one family, such as a model and the one that it was trained from".into(),
    })
}

/// The ids of a problem as a policy reads it.
fn prompt(tokenizer: &TextTokenizer, chat: Option<&ChatTemplate>, problem: &str) -> Result<Vec<u32>, ModelError> {
    Ok(match chat {
        Some(chat) => tokenizer.encode(&chat.prompt(problem)?, true)?.ids,
        None => tokenizer.frame_problem(problem)?.ids,
    })
}

/// Bytes of a text that grows whose tokens will not change: up to the last line break that something follows.
fn settled(text: &str) -> usize {
    text.trim_end_matches(['\n', '\r']).rfind('\n').map_or(0, |i| i + 1)
}

/// Ids and spans of a text, cut after every run of line breaks, each part tokenised by itself.
fn encode(tokenizer: &TextTokenizer, text: &str) -> Result<Encoded, ModelError> {
    let (Encoded { mut ids, mut spans }, mut at) = (Encoded::default(), 0);
    while at < text.len() {
        let rest = &text[at..];
        let breaks = rest.find('\n').map_or(rest.len(), |i| rest.len() - rest[i..].trim_start_matches(['\n', '\r']).len());
        let encoded = tokenizer.encode_line(&rest[..breaks])?;
        ids.extend(encoded.ids);
        spans.extend(encoded.spans.into_iter().map(|s| Span::new(s.start + at, s.end + at)));
        at += breaks;
    }
    Ok(Encoded { ids, spans })
}

/// ln of the chance of each target by the states before them, `[n, hidden]`.
fn log_probs(decoder: &Decoder, before: &Tensor, targets: &[u32]) -> Result<Vec<f32>, ModelError> {
    let mut out = Vec::with_capacity(targets.len());
    for (i, targets) in targets.chunks(ROWS).enumerate() {
        let logits = decoder.logits(&before.narrow(0, i * ROWS, targets.len())?)?;
        out.extend(ops::token_log_prob(&logits, targets)?.to_dtype(DType::F32)?.to_vec1::<f32>()?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_after_runs_of_line_breaks() {
        assert_eq!((settled("a\n\nb"), settled("a\n\n"), settled("a"), settled("a\nb\r\n\r\nc\n"), settled("\nb")), (3, 0, 0, 7, 1));
        let tokenizer = crate::model::embedded_policy().tokenizer().unwrap();
        let text = "One.\n\nTwo é\n three\r\n";
        let Encoded { ids, spans } = encode(&tokenizer, text).unwrap();
        assert_eq!(spans.iter().map(|s| s.of(text)).collect::<String>(), text);
        assert_eq!(tokenizer.decode(&ids), text);
    }

    #[test]
    fn chunks_share_their_mean_by_hand() {
        let mut row = Row::default();
        for (i, value) in [1.0, 3.0, -2.0, 4.0, 5.0].into_iter().enumerate() {
            row.push(TokenValue { span: Span::new(i, i + 1), value }, 2);
        }
        let values = |row: &Row| row.values.iter().map(|v| v.value).collect::<Vec<_>>();
        assert_eq!(values(&row), [2.0, 2.0, 1.0, 1.0], "the last one waits");
        row.close();
        assert_eq!(values(&row), [2.0, 2.0, 1.0, 1.0, 5.0]);
        assert_eq!(row.values[4].span, Span::new(4, 5));
    }
}
