//! A published reward model at work.

use super::head::Head;
use super::{HeadKind, Layout, Protocol, Says, Taken, as_judge, first_error, recognise};
use crate::model::{Decoder, KvCache, ModelError, ModelFiles, Progress, compute_dtype, device_name};
use crate::reward::{Piece, RewardError, RewardModel, Said, Scored};
use crate::trace::{Calibration, Level, Span, Unit, Values};
use candle_core::{Device, Tensor};
use std::path::Path;

/// One candidate as far as it was read.
struct Row {
    /// Its row of the cache.
    cache: usize,
    /// The state after the last id read, `[1, hidden]`.
    last: Option<Tensor>,
    /// One a step that was read: its score, or its log-odds where the first error is asked for.
    values: Vec<Option<f32>>,
    /// The context has no room for the next step, so none further is read.
    full: bool,
    ended: bool,
}

/// New ids of a candidate and where they are read: the step, and the index into the ids, `None` for the id before them.
struct New {
    candidate: usize,
    ids: Vec<u32>,
    reads: Vec<(usize, Option<usize>)>,
}

/// A published reward model, read by its protocol.
///
/// The problem is read once and its candidates continue from it. A candidate is read step by step as steps close, so that what is streamed has the scores of
/// what is whole; one whose model judges the whole is read when it is finished. A step that no longer fits the context has no score.
pub struct ProtocolReward {
    name: String,
    about: String,
    protocol: Protocol,
    calibration: Calibration,
    decoder: Decoder,
    head: Head,
    layout: Layout,
    pad: Option<u32>,
    problem: String,
    cache: KvCache,
    rows: Vec<Row>,
}

impl ProtocolReward {
    /// Loads a model by the protocol that [`recognise`] finds; `file` is one that the user named. `progress` sees the share that is through, 0 to 1.
    pub fn open(files: &ModelFiles, file: Option<&Path>, device: &Device, progress: Option<Progress>) -> Result<Self, ModelError> {
        let Taken { protocol, because } = recognise(files, file)?;
        tracing::info!(model = files.name(), family = protocol.name, because, "takes a model for a reward model");
        Self::load(files, protocol, device, progress)
    }

    /// Loads a language model as a judge that was not trained for it: see [`as_judge`].
    pub fn open_judge(files: &ModelFiles, file: Option<&Path>, device: &Device, progress: Option<Progress>) -> Result<Self, ModelError> {
        let this = Self::load(files, as_judge(file)?.protocol, device, progress)?;
        Ok(Self { name: format!("judge:{}", this.name), ..this })
    }

    /// Loads a model by this protocol.
    pub fn load(files: &ModelFiles, protocol: Protocol, device: &Device, progress: Option<Progress>) -> Result<Self, ModelError> {
        if protocol.write.is_some() || protocol.judges_tokens() {
            let what = format!("{} is not read at the ends of steps: load it as what it is", protocol.name);
            return Err(ModelError::Input(what));
        }
        let look = files.look()?;
        let mut model = files.load(device, compute_dtype(device), progress)?;
        let layout = Layout::new(&protocol, files, model.tokenizer.clone(), model.chat.take())?;
        let head = Head::load(&protocol, &look.tensors, &model, &layout)?;
        let decoder = match protocol.read.head {
            HeadKind::Lm => Decoder::load(&model.config, model.weights.as_ref(), &mut |_| {})?,
            HeadKind::Linear | HeadKind::Mlp | HeadKind::Likelihood => {
                Decoder::load_body(&model.config, model.weights.as_ref(), &mut |_| {})?
            }
        };
        let decoder = decoder.for_inference()?;
        let p = decoder.config().parameters() as f64 / 1e6;
        let level = if protocol.judges_whole() { "one score for the whole" } else { "a score for each step" };
        let put = protocol.output.aggregation.map(|a| format!("; its authors put steps together by --aggregation {}", a.name()));
        let about = format!(
            "{}, {p:.1} M parameters, {}, {}, context {}, read as {}: {level}{}",
            decoder.config().model_type,
            model.stored,
            device_name(device),
            decoder.context(),
            protocol.name,
            put.unwrap_or_default()
        );
        Ok(Self {
            name: files.name(),
            about,
            calibration: protocol.calibration(),
            cache: decoder.cache(),
            decoder,
            head,
            layout,
            pad: look.pad_token_id,
            problem: String::new(),
            rows: Vec::new(),
            protocol,
        })
    }

    /// A line for people: parameters, storage, device, what it was taken for.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// How it is fed and read.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// What its scores are.
    fn unit(&self) -> Unit {
        self.protocol.read.score.unit()
    }

    /// The ids of a whole candidate, read at the last one that is not padding.
    fn whole(&self, candidate: usize, text: &str, room: usize) -> Result<New, RewardError> {
        let mut ids: Vec<u32> = self.layout.step(0, text.trim(), room)?.into_iter().flat_map(|p| p.ids).collect();
        ids.extend(self.layout.closing(&self.problem)?);
        if ids.len() > room {
            let (n, context) = (ids.len(), self.decoder.context());
            return Err(RewardError::Input(format!(
                "its tokens ({n} or more) do not fit the reward model's context of {context} beside the problem; it is not cut, for a score of a part would pass for one of the whole"
            )));
        }
        let at = ids.iter().rposition(|id| Some(*id) != self.pad);
        Ok(New { candidate, ids, reads: vec![(0, at)] })
    }

    /// The ids of the steps that were not read yet, as many as fit.
    fn steps(&mut self, candidate: usize, text: &str, steps: &[Span]) -> Result<New, RewardError> {
        let Self { layout, rows, cache, decoder, .. } = self;
        let row = &mut rows[candidate];
        let mut room = decoder.context() - cache.len(row.cache);
        let mut new = New { candidate, ids: Vec::new(), reads: Vec::new() };
        for (i, span) in steps.iter().enumerate().skip(row.values.len()) {
            let pieces = if row.full { Vec::new() } else { layout.step(i, span.of(text), room)? };
            let length: usize = pieces.iter().map(|p| p.ids.len()).sum();
            row.full |= length > room;
            if !row.full {
                room -= length;
                for piece in pieces {
                    let at = new.ids.len();
                    new.reads.push((i, piece.mark.map(|m| at + m).or(at.checked_sub(1))));
                    new.ids.extend(piece.ids);
                }
            }
            row.values.push(None);
        }
        Ok(new)
    }

    /// Reads new ids of several candidates as one batch and puts the scores where they belong.
    fn read(&mut self, new: &[New]) -> Result<(), RewardError> {
        let chunks: Vec<(usize, &[u32])> = new.iter().map(|n| (self.rows[n.candidate].cache, n.ids.as_slice())).collect();
        let after = self.decoder.forward_cached(&chunks, &mut self.cache)?;
        let (mut states, mut whose, mut at) = (Vec::new(), Vec::new(), 0);
        for New { candidate, ids, reads } in new {
            let row = &mut self.rows[*candidate];
            for (step, index) in reads {
                let state = match index {
                    Some(i) => Some(after.narrow(0, at + i, 1).map_err(ModelError::from)?),
                    None => row.last.clone(),
                };
                let empty = || RewardError::Input("there is nothing before the first step at which it could be read".into());
                states.push(state.ok_or_else(empty)?);
                whose.push((*candidate, *step));
            }
            at += ids.len();
            row.last = Some(after.narrow(0, at - 1, 1).and_then(|s| s.copy()).map_err(ModelError::from)?);
        }
        if states.is_empty() {
            return Ok(());
        }
        let scores = self.head.scores(&self.decoder, &Tensor::cat(&states, 0).map_err(ModelError::from)?)?;
        for ((candidate, step), score) in whose.into_iter().zip(scores) {
            let values = &mut self.rows[candidate].values;
            values.resize(values.len().max(step + 1), None);
            values[step] = Some(values[step].map_or(score, |least| least.min(score)));
        }
        Ok(())
    }
}

impl RewardModel for ProtocolReward {
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
        (self.unit(), if self.protocol.judges_whole() { Level::Candidate } else { Level::Step })
    }

    fn begin(&mut self, problem: &str, candidates: usize) -> Result<(), RewardError> {
        self.problem = problem.to_owned();
        let ids = self.layout.opening(problem)?;
        self.cache.clear();
        let root = self.cache.add_row(None);
        let last = match ids.as_slice() {
            [] => None,
            ids => {
                let hidden = self.decoder.forward_cached(&[(root, ids)], &mut self.cache)?;
                Some(hidden.narrow(0, ids.len() - 1, 1).and_then(|s| s.copy()).map_err(ModelError::from)?)
            }
        };
        let row = |_| Row { cache: self.cache.add_row(Some(root)), last: last.clone(), values: Vec::new(), full: false, ended: false };
        self.rows = (0..candidates).map(row).collect();
        Ok(())
    }

    /// As the trait says; of every candidate of which steps closed, or the whole is finished, all that is known.
    fn append(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Scored>, RewardError> {
        let whole = self.protocol.judges_whole();
        let (mut new, mut moved) = (Vec::new(), Vec::new());
        for piece in pieces {
            let Some(row) = self.rows.get(piece.candidate) else {
                return Err(RewardError::unannounced(piece.candidate));
            };
            if row.ended || (whole && !piece.finished) {
                continue;
            }
            let read = if whole {
                let room = self.decoder.context() - self.cache.len(row.cache);
                self.whole(piece.candidate, piece.text, room)?
            } else {
                let all = [Span::new(0, piece.text.len())];
                let uncut = piece.finished && piece.steps.is_empty() && !piece.text.trim().is_empty();
                let before = row.values.len();
                let read = self.steps(piece.candidate, piece.text, if uncut { &all[..] } else { piece.steps })?;
                if self.rows[piece.candidate].values.len() == before {
                    self.rows[piece.candidate].ended = piece.finished;
                    continue;
                }
                read
            };
            self.rows[piece.candidate].ended = piece.finished;
            moved.push(piece.candidate);
            if !read.ids.is_empty() {
                new.push(read);
            }
        }
        if !new.is_empty() {
            self.read(&new)?;
        }
        let unit = self.unit();
        let said = |candidate: usize| {
            let values = &self.rows[candidate].values;
            let values = match whole {
                true => Values::Candidate(values.first().copied().flatten().unwrap_or(f32::NAN)),
                false if self.protocol.output.steps == Says::FirstError => Values::Steps(first_error(values)),
                false => Values::Steps(values.clone()),
            };
            Scored { candidate, said: Said::Judged { unit, values } }
        };
        Ok(moved.into_iter().map(said).collect())
    }
}
