//! A reward model on a server, at work.

use super::api::{Found, ServedAt, Speaks, find};
use super::scores::Scores;
use super::{own, wire};
use crate::http::JsonServer;
use crate::model::ModelFiles;
use crate::reward::protocol::{Layout, Protocol, Says, by_name, first_error, recognise};
use crate::reward::{Piece, RewardError, RewardModel, Said, Scored};
use crate::trace::{Calibration, Domain, Level, Span, Unit, Values};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Times that a request is made again while its trouble may pass.
const RETRIES: u32 = 6;
/// Sequences of one request.
const INPUTS: usize = 8;

/// One candidate as far as it was sent.
#[derive(Clone, Default)]
struct Row {
    /// Ids from the opening on.
    ids: Vec<u32>,
    /// The step and the index into `ids` of each position that is read.
    reads: Vec<(usize, usize)>,
    /// Steps that were laid out.
    steps: usize,
    /// One a step: its score, or its log-odds where the first error is asked for; one for the whole.
    values: Vec<Option<f32>>,
    ended: bool,
    /// What this program's own server says of the text.
    domain: Option<Domain>,
}

/// What stands between steps and numbers where ids are sent.
struct Laid {
    protocol: Protocol,
    layout: Layout,
    scores: Scores,
    pad: Option<u32>,
    opening: Vec<u32>,
}

/// A reward model that a server has.
///
/// A candidate is sent whole with every step that closes, its steps so far; a server keeps what it has read of it by its own prefix cache.
pub struct ServedReward {
    name: String,
    about: String,
    calibration: Calibration,
    server: JsonServer,
    runtime: Runtime,
    found: Found,
    /// `None` for this program's own server.
    laid: Option<Laid>,
    problem: String,
    rows: Vec<Row>,
}

impl ServedReward {
    /// Connects. `file` is a protocol that the user named; without one it is that of the model's files where the local cache has them, or that of the family
    /// that the model's name shows. `key` goes along as bearer token; `patience` is the longest wait for the server's next word.
    ///
    /// Fails where the server is none that is known, and where nothing tells how the model is fed or where its tokenizer is.
    pub fn open(at: &ServedAt, file: Option<&Path>, key: Option<String>, patience: Duration) -> Result<Self, RewardError> {
        let built = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("rewards").enable_all().build();
        let runtime = built.map_err(|e| RewardError::Input(format!("no connection can be made: {e}")))?;
        let server = JsonServer::new(&at.url, key, patience, RETRIES).map_err(|e| RewardError::Input(e.to_string()))?;
        let found = runtime.block_on(find(&server, at))?;
        let address = crate::http::shown(&found.url);
        let (laid, calibration, how) = if found.speaks == Speaks::Score {
            (None, own::calibration(&found.info), "judged there".to_owned())
        } else {
            let laid = Laid::new(&found, file)?;
            let calibration = laid.protocol.calibration();
            let read = format!("read as {}", laid.protocol.name);
            (Some(laid), calibration, read)
        };
        let about = format!("{} at {address}, {}, {how}", found.model, found.speaks.name());
        Ok(Self { name: found.model.clone(), about, calibration, server, runtime, found, laid, problem: String::new(), rows: Vec::new() })
    }

    /// A line for people: model, address, how it is asked and read.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Lays out what is new of a candidate; whether there is something to ask.
    fn lay_out(&mut self, piece: &Piece) -> Result<bool, RewardError> {
        let Some(laid) = &self.laid else { return Ok(!piece.text.trim().is_empty()) };
        let row = &mut self.rows[piece.candidate];
        if laid.protocol.judges_whole() {
            row.ids.clone_from(&laid.opening);
            row.ids.extend(laid.layout.step(0, piece.text.trim(), usize::MAX)?.into_iter().flat_map(|p| p.ids));
            row.ids.extend(laid.layout.closing(&self.problem)?);
            let at = row.ids.iter().rposition(|id| Some(*id) != laid.pad).unwrap_or(0);
            row.reads = vec![(0, at)];
            return Ok(piece.finished && !row.ids.is_empty());
        }
        if row.ids.is_empty() {
            row.ids.clone_from(&laid.opening);
        }
        let all = [Span::new(0, piece.text.len())];
        let uncut = piece.finished && piece.steps.is_empty() && !piece.text.trim().is_empty();
        let steps = if uncut { &all[..] } else { piece.steps };
        let before = row.steps;
        for (i, span) in steps.iter().enumerate().skip(before) {
            for part in laid.layout.step(i, span.of(piece.text), usize::MAX)? {
                let at = part.mark.map(|m| row.ids.len() + m).or(row.ids.len().checked_sub(1));
                row.reads.extend(at.map(|at| (i, at)));
                row.ids.extend(part.ids);
            }
            row.steps = i + 1;
        }
        Ok(row.steps > before && !row.reads.is_empty())
    }

    /// Asks for the numbers of these candidates and puts them on their steps.
    fn ask(&mut self, candidates: &[usize]) -> Result<(), RewardError> {
        let Some(laid) = &self.laid else { return Ok(()) };
        let (whole, speaks) = (laid.protocol.judges_whole(), self.found.speaks);
        for group in candidates.chunks(INPUTS) {
            let inputs: Vec<&[u32]> = group.iter().map(|c| self.rows[*c].ids.as_slice()).collect();
            let body = wire::request(speaks, &self.found.model, &inputs, whole);
            let (url, most) = (&self.found.url, wire::most(&inputs));
            let answer = self.runtime.block_on(self.server.ask(url, Some(&body), most)).map_err(|e| RewardError::Input(e.to_string()))?;
            let wrong = |what: String| {
                RewardError::Input(format!("{}: {what}; is the model served as a reward model there?", crate::http::shown(url)))
            };
            let all = wire::rows(speaks, answer, group.len(), whole).map_err(wrong)?;
            for (&candidate, rows) in group.iter().zip(all) {
                let row = &mut self.rows[candidate];
                let reads: Vec<usize> = row.reads.iter().map(|r| r.1).collect();
                let at = if whole && rows.len() == 1 {
                    Some(vec![0])
                } else {
                    wire::lay(rows.len(), row.ids.len(), &reads, &laid.tags(&row.ids))
                };
                let at = at.ok_or_else(|| {
                    wrong(format!(
                        "{} rows came back for {} tokens and {} places that are read, so none can be laid on a step",
                        rows.len(),
                        row.ids.len(),
                        reads.len()
                    ))
                })?;
                row.values = vec![None; if whole { 1 } else { row.steps }];
                for ((step, _), at) in row.reads.iter().zip(at) {
                    let score = laid.scores.of(&rows[at]).map_err(wrong)?;
                    let value = &mut row.values[*step];
                    *value = Some(value.map_or(score, |least: f32| least.min(score)));
                }
            }
        }
        Ok(())
    }

    fn said(&self, candidate: usize) -> Option<Scored> {
        let laid = self.laid.as_ref()?;
        let values = &self.rows[candidate].values;
        let values = match (laid.protocol.judges_whole(), laid.protocol.output.steps) {
            (true, _) => Values::Candidate(values.first().copied().flatten()?),
            (false, Says::FirstError) => Values::Steps(first_error(values)),
            (false, Says::Score) => Values::Steps(values.clone()),
        };
        Some(Scored { candidate, said: Said::Judged { unit: laid.protocol.read.score.unit(), values } })
    }

    /// Asks this program's own server for these candidates.
    fn ask_own(&mut self, pieces: &[&Piece]) -> Result<Vec<Scored>, RewardError> {
        let level = own::Level::of(&self.found.info);
        let body = own::request(&self.found.model, &self.problem, level, pieces);
        let most = own::most(pieces);
        let answer = self.runtime.block_on(self.server.ask(&self.found.url, Some(&body), most));
        let answer: Value = answer.map_err(|e| RewardError::Input(e.to_string()))?;
        for (candidate, domain) in own::domains(&answer, pieces) {
            if let Some(row) = self.rows.get_mut(candidate) {
                row.domain = domain;
            }
        }
        let judged = own::judged(&answer, level, pieces);
        judged.map_err(|what| RewardError::Input(format!("{}: {what}; is this reasonscope serve?", crate::http::shown(&self.found.url))))
    }
}

impl Laid {
    fn new(found: &Found, file: Option<&Path>) -> Result<Self, RewardError> {
        let local = ModelFiles::open(Path::new(&found.model)).ok();
        let protocol = match (file, &local) {
            (None, Some(files)) => recognise(files, None).map(|t| t.protocol).ok().or_else(|| by_name(&found.model)),
            (None, None) => by_name(&found.model),
            (Some(path), _) => Some(Protocol::read(path)?),
        };
        let protocol = protocol.ok_or_else(|| {
            RewardError::Input(format!(
                "nothing tells how the server's model {} is fed and read: describe it in a file that --reward-protocol names; docs/reward-models.md says how",
                found.model
            ))
        })?;
        let described = protocol.server.tokenizer.as_ref().map(|path| {
            let beside = file.and_then(Path::parent).map(|dir| dir.join(path)).filter(|p| p.exists());
            ModelFiles::open_tokenizer(&beside.unwrap_or_else(|| path.into()))
        });
        let files = described.transpose()?.or(local).ok_or_else(|| {
            RewardError::Input(format!(
                "the tokenizer of the server's model {} is not here: name a directory or a tokenizer.json as server.tokenizer in the protocol file, or fetch the model's small files into the cache",
                found.model
            ))
        })?;
        let tokenizer = files.tokenizer()?;
        let chat = files.chat(&tokenizer)?;
        let layout = Layout::new(&protocol, &files, tokenizer, chat)?;
        let scores = Scores::new(&protocol)?;
        let pad = files.look().ok().and_then(|l| l.pad_token_id);
        Ok(Self { protocol, layout, scores, pad, opening: Vec::new() })
    }

    /// Where the tag's last id stands.
    fn tags(&self, ids: &[u32]) -> Vec<usize> {
        let tag = self.layout.tag().last();
        ids.iter().enumerate().filter(|(_, id)| Some(*id) == tag).map(|(i, _)| i).collect()
    }
}

impl RewardModel for ServedReward {
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
        let Some(Laid { protocol, .. }) = &self.laid else { return own::says(&self.found.info) };
        (protocol.read.score.unit(), if protocol.judges_whole() { Level::Candidate } else { Level::Step })
    }

    fn domain(&self, candidate: usize) -> Option<Domain> {
        self.rows.get(candidate)?.domain.clone()
    }

    fn begin(&mut self, problem: &str, candidates: usize) -> Result<(), RewardError> {
        self.problem = problem.to_owned();
        if let Some(laid) = &mut self.laid {
            laid.opening = laid.layout.opening(problem)?;
        }
        self.rows = vec![Row::default(); candidates];
        Ok(())
    }

    /// As the trait says; of every candidate of which steps closed, or the whole is finished, all that is known.
    fn append(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Scored>, RewardError> {
        let mut moved = Vec::new();
        for piece in pieces {
            let Some(row) = self.rows.get(piece.candidate) else {
                return Err(RewardError::unannounced(piece.candidate));
            };
            if row.ended {
                continue;
            }
            let closes = piece.finished || piece.steps.len() > row.steps;
            if closes && self.lay_out(piece)? {
                moved.push(piece);
            }
            let row = &mut self.rows[piece.candidate];
            row.ended = piece.finished;
            if self.laid.is_none() {
                row.steps = piece.steps.len();
            }
        }
        if moved.is_empty() {
            return Ok(Vec::new());
        }
        if self.laid.is_none() {
            return self.ask_own(&moved);
        }
        let candidates: Vec<usize> = moved.iter().map(|p| p.candidate).collect();
        self.ask(&candidates)?;
        Ok(candidates.into_iter().filter_map(|c| self.said(c)).collect())
    }
}
