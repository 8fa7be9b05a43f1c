//! A reward model that runs on this machine, reading candidates as they grow.

use super::gate::of_prompt;
use super::net::{States, numbers};
use super::protocol::{HeadKind, Protocol};
use super::{Head, Looked, Piece, RewardCard, RewardError, RewardModel, RewardNet, Said, Scored};
use crate::model::{Decoder, KvCache, ModelError, ModelFiles, Progress, TextTokenizer, WeightSource, compute_dtype, device_name};
use crate::trace::{Calibration, Domain, Span, TokenValue};
use candle_core::{Device, Tensor};

/// A decoder that reads the candidates as they grow.
pub(super) struct Reader {
    pub(super) decoder: Decoder,
    cache: KvCache,
    /// Of each candidate: its row of the cache, and the state after the last token read, `[1, hidden]`.
    rows: Vec<(usize, Tensor)>,
}

impl Reader {
    pub(super) fn new(decoder: &Decoder) -> Self {
        Self { cache: decoder.cache(), decoder: decoder.clone(), rows: Vec::new() }
    }

    /// Starts over with the prompt of `candidates`; the states after its tokens.
    pub(super) fn begin(&mut self, prompt: &[u32], candidates: usize) -> Result<Tensor, ModelError> {
        self.cache.clear();
        let root = self.cache.add_row(None);
        let hidden = self.decoder.forward_cached(&[(root, prompt)], &mut self.cache)?;
        let last = hidden.narrow(0, prompt.len() - 1, 1)?;
        self.rows = (0..candidates).map(|_| (self.cache.add_row(Some(root)), last.clone())).collect();
        Ok(hidden)
    }

    /// Positions that a candidate may still take.
    pub(super) fn room(&self, candidate: usize) -> usize {
        self.decoder.context() - self.cache.len(self.rows[candidate].0)
    }

    /// Reads the new ids of several candidates as one batch; the states before and after each, one candidate after the other.
    pub(super) fn read(&mut self, new: &[(usize, Vec<u32>, Vec<Span>)]) -> Result<(Tensor, Tensor), ModelError> {
        let chunks: Vec<(usize, &[u32])> = new.iter().map(|(c, ids, _)| (self.rows[*c].0, ids.as_slice())).collect();
        let after = self.decoder.forward_cached(&chunks, &mut self.cache)?;
        let (mut before, mut at) = (Vec::new(), 0);
        for (candidate, ids, _) in new {
            let last = &mut self.rows[*candidate].1;
            before.push(last.clone());
            if ids.len() > 1 {
                before.push(after.narrow(0, at, ids.len() - 1)?);
            }
            at += ids.len();
            *last = after.narrow(0, at - 1, 1)?.copy()?;
        }
        Ok((Tensor::cat(&before, 0)?, after))
    }
}

/// Weights whose head has a name of its own.
struct Called<'a> {
    inner: &'a dyn WeightSource,
    head: &'a str,
}

impl Called<'_> {
    fn name(&self, name: &str) -> String {
        name.strip_prefix("reward.").map_or(name.to_owned(), |rest| format!("{}.{rest}", self.head))
    }
}

impl WeightSource for Called<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        self.inner.tensor(&self.name(name), shape)
    }
    fn contains(&self, name: &str) -> bool {
        self.inner.contains(&self.name(name))
    }
}

/// One candidate as far as it was read.
#[derive(Clone, Default)]
struct Row {
    /// Tokens scored.
    scored: usize,
    /// Bytes read.
    bytes: usize,
    ended: bool,
    /// Sum of its tokens' log-probabilities under the model's own decoder.
    logprob: f64,
    /// Tokens that the gate knows.
    known: usize,
}

/// What the gate looks at of the problem.
#[derive(Clone, Copy, Default)]
struct Problem {
    /// Mean log-probability of its tokens.
    logprob: Option<f32>,
    tokens: usize,
    known: usize,
}

/// A [`RewardNet`] with its tokenizer, card and key–value cache.
pub struct LocalReward {
    card: RewardCard,
    about: String,
    net: RewardNet,
    tokenizer: TextTokenizer,
    reader: Reader,
    /// Reads along for a head that compares with a reference.
    reference: Option<Reader>,
    rows: Vec<Row>,
    problem: Problem,
}

impl LocalReward {
    /// Loads a model directory that has a `reward.json`; `progress` sees the share that is through, 0 to 1.
    pub fn open(files: &ModelFiles, device: &Device, progress: Option<Progress>) -> Result<Self, ModelError> {
        let path = files.path_of("reward.json");
        if !files.has("reward.json") {
            return Err(ModelError::File {
                path,
                what: "not there, so this is no reward model".into(),
                remedy: "name a directory that `reasonscope train` wrote under reward/, or leave --reward out for the embedded one".into(),
            });
        }
        let card: RewardCard = serde_json::from_slice(&files.read("reward.json")?).map_err(|e| ModelError::File {
            path,
            what: e.to_string(),
            remedy: "train or fetch the model again".into(),
        })?;
        let model = files.load(device, compute_dtype(device), progress)?;
        let decoder = Decoder::load(&model.config, model.weights.as_ref(), &mut |_| {})?;
        let p = decoder.config().parameters() as f64 / 1e6;
        let about = format!(
            "{}, {p:.1} M parameters, {}, {}, trained on {} demonstrations of {}",
            decoder.config().model_type,
            model.stored,
            device_name(device),
            card.demonstrations,
            card.task
        );
        let net = RewardNet::load(decoder, card.head, model.weights.as_ref())?.for_inference()?;
        let reference = net.reference.as_ref().map(Reader::new);
        Ok(Self {
            reader: Reader::new(&net.decoder),
            reference,
            card,
            about,
            net,
            tokenizer: model.tokenizer,
            rows: Vec::new(),
            problem: Problem::default(),
        })
    }

    /// Loads a model that a [`Protocol`] describes as read at every token, such as one that was exported.
    pub fn open_described(
        files: &ModelFiles,
        protocol: &Protocol,
        device: &Device,
        progress: Option<Progress>,
    ) -> Result<Self, ModelError> {
        let head = if protocol.read.head == HeadKind::Likelihood { Head::Likelihood } else { Head::Scalar };
        let card = RewardCard { name: files.name(), head, calibration: protocol.calibration(), ..RewardCard::default() };
        let model = files.load(device, compute_dtype(device), progress)?;
        let decoder = Decoder::load(&model.config, model.weights.as_ref(), &mut |_| {})?;
        let p = decoder.config().parameters() as f64 / 1e6;
        let (family, on) = (&decoder.config().model_type, device_name(device));
        let about = format!("{family}, {p:.1} M parameters, {}, {on}, read as {}: a score for each token", model.stored, protocol.name);
        let net =
            RewardNet::new(decoder, None, head, &Called { inner: model.weights.as_ref(), head: &protocol.read.tensor })?.for_inference()?;
        let (reader, rows, problem) = (Reader::new(&net.decoder), Vec::new(), Problem::default());
        Ok(Self { reader, reference: None, card, about, net, tokenizer: model.tokenizer, rows, problem })
    }

    /// The same with f, its potential's part included, as the reward; thresholds are g's and are left behind. Fails where the head has no potential.
    pub fn shaped(self) -> Result<Self, ModelError> {
        let (net, mut card) = (self.net.shaped()?, self.card);
        card.name.push_str(", f with its potential");
        card.calibration = Calibration::default();
        Ok(Self { net, card, about: format!("{}, f with its potential", self.about), ..self })
    }

    /// A line for people: parameters, storage, device, what it learned from.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Its card.
    pub fn card(&self) -> &RewardCard {
        &self.card
    }

    /// Its network.
    pub fn net(&self) -> &RewardNet {
        &self.net
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
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
        let whole = if piece.finished { rest.len() } else { rest.rfind('\n').map_or(0, |i| i + 1) };
        let room = self.reader.room(piece.candidate);
        let encoded = self.tokenizer.within(&rest[..whole], room, |text| self.tokenizer.encode_lines(text))?;
        let (mut ids, mut spans) = (encoded.ids, encoded.spans);
        for s in &mut spans {
            *s = Span::new(s.start + row.bytes, s.end + row.bytes);
        }
        let ended = piece.finished && !piece.cut_short && row.bytes + whole > 0;
        if let (true, Some(&eos)) = (ended, self.net.decoder.config().eos_token_ids.first()) {
            ids.push(eos);
            spans.push(Span::new(piece.text.len(), piece.text.len()));
        }
        Ok((ids, spans))
    }
}

impl RewardModel for LocalReward {
    fn name(&self) -> &str {
        &self.card.name
    }

    fn calibration(&self) -> &Calibration {
        &self.card.calibration
    }

    fn shares_tokenizer(&self, policy_fingerprint: &str) -> bool {
        self.tokenizer.fingerprint() == policy_fingerprint
    }

    fn begin(&mut self, problem: &str, candidates: usize) -> Result<(), RewardError> {
        let ids = self.tokenizer.frame_problem(problem)?.ids;
        let hidden = self.reader.begin(&ids, candidates)?;
        if let Some(reference) = &mut self.reference {
            reference.begin(&ids, candidates)?;
        }
        if let Some(gate) = &self.card.gate {
            let known = ids.iter().filter(|id| gate.known.has(**id)).count();
            self.problem = Problem { logprob: of_prompt(&self.net.decoder, &ids, &hidden)?, tokens: ids.len(), known };
        }
        self.rows = vec![Row::default(); candidates];
        Ok(())
    }

    /// As the trait says. Tokens past the context stay without reward.
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
            ids.truncate(self.reader.room(piece.candidate));
            if !ids.is_empty() {
                new.push((piece.candidate, ids, spans));
            }
            let row = &mut self.rows[piece.candidate];
            row.ended = piece.finished;
            row.bytes = match piece.tokens.is_empty() && !piece.finished {
                true => piece.text.rfind('\n').map_or(row.bytes, |i| row.bytes.max(i + 1)),
                false => piece.text.len(),
            };
        }
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let (logits, logprobs) = self.read(&new).map_err(RewardError::from)?;
        if let Some(bad) = logits.iter().find(|l| !l.is_finite()) {
            let what = format!("the reward model's logit of a token is {bad}: its weights are damaged, or the number format overflows");
            return Err(ModelError::NotFinite(what).into());
        }
        let mut logprobs = logprobs.into_iter();
        for (candidate, ids, _) in &new {
            let row = &mut self.rows[*candidate];
            row.logprob += logprobs.by_ref().take(ids.len()).map(f64::from).sum::<f64>();
            row.known += self.card.gate.as_ref().map_or(0, |gate| ids.iter().filter(|id| gate.known.has(**id)).count());
        }
        let mut logits = logits.into_iter();
        Ok(new
            .into_iter()
            .map(|(candidate, ids, spans)| {
                let from = self.rows[candidate].scored;
                self.rows[candidate].scored += ids.len();
                let logits = logits.by_ref().take(ids.len());
                let rewards = spans.into_iter().zip(logits).map(|(span, value)| TokenValue { span, value }).collect();
                Scored { candidate, said: Said::Tokens { from, rewards } }
            })
            .collect())
    }

    fn domain(&self, candidate: usize) -> Option<Domain> {
        let (gate, row, problem) = (self.card.gate.as_ref()?, self.rows.get(candidate)?, self.problem);
        let tokens = (problem.known + row.known, problem.tokens + row.scored);
        Some(gate.domain(&Looked::of(problem.logprob, (row.logprob, row.scored), tokens, row.ended)))
    }
}

impl LocalReward {
    /// Reads the new ids of several candidates and returns their rewards and their log-probabilities under its own decoder, one candidate after the other.
    fn read(&mut self, new: &[(usize, Vec<u32>, Vec<Span>)]) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
        let (before, after) = self.reader.read(new)?;
        let reference = match &mut self.reference {
            Some(r) => Some(r.read(new)?.0),
            None => None,
        };
        let targets: Vec<u32> = new.iter().flat_map(|n| n.1.iter().copied()).collect();
        let read = self.net.read(&States { targets: &targets, before, after, reference })?;
        Ok((numbers(&read.reward)?, numbers(&read.log_prob)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_scored_unless_the_text_was_cut_short() {
        let mut model = LocalReward::open(&crate::model::embedded_reward(), &Device::Cpu, None).unwrap();
        let text = "Mia has 2 * 3 = 6 apples.\n#### 6";
        model.begin("Mia has 2 bags with 3 apples each. How many apples does Mia have?", 2).unwrap();
        let piece =
            |candidate, cut_short| Piece { candidate, text, tokens: &[], new: 0..text.len(), finished: true, cut_short, steps: &[] };
        let scored = model.append(&[piece(0, false), piece(1, true)]).unwrap();
        let [Said::Tokens { rewards: ended, .. }, Said::Tokens { rewards: cut, .. }] = [&scored[0].said, &scored[1].said] else { panic!() };
        assert_eq!(ended.len(), cut.len() + 1);
        assert_eq!(ended.last().unwrap().span, Span::new(text.len(), text.len()));
        assert!(ended.iter().zip(cut).all(|(a, b)| (a.value - b.value).abs() < 1e-4 && a.span == b.span));
    }

    #[test]
    fn damaged_weights_are_an_error_and_no_reward() {
        let (dir, files) = (tempfile::tempdir().unwrap(), crate::model::embedded_reward());
        for name in ["config.json", "tokenizer.json", "reward.json", "model.safetensors"] {
            let mut bytes = files.read(name).unwrap().to_vec();
            if name == "model.safetensors" {
                let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
                let at = 8 + header + metadata.info("reward.bias").unwrap().data_offsets.0;
                bytes[at..at + 2].copy_from_slice(&half::f16::NAN.to_le_bytes());
            }
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let mut model = LocalReward::open(&ModelFiles::open(dir.path()).unwrap(), &Device::Cpu, None).unwrap();
        model.begin("How many?", 1).unwrap();
        let piece = Piece { candidate: 0, text: "#### 6", tokens: &[], new: 0..6, finished: true, cut_short: false, steps: &[] };
        let error = model.append(&[piece]).unwrap_err().to_string();
        assert!(error.contains("NaN") && error.contains("damaged"), "{error}");
    }
}
