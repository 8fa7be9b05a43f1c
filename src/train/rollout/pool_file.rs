//! The fixed pool of policy samples in its file.

use super::Rollout;
use crate::run::PooledRollout;
use crate::trace::{FinishReason, Trace};
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::digest::Digest;
use crate::train::models::checkpoint::write_atomically;
use std::path::Path;

/// Writes a pool, the samples of one problem together, as native traces.
pub fn write(path: &Path, pool: &[Rollout], data: &Demonstrations, digest: &Digest) -> Result<(), TrainError> {
    let mut text = String::new();
    for group in pool.chunk_by(|a, b| a.problem == b.problem) {
        let index = group[0].problem;
        let problem = data.demonstration(index).problem;
        let trace = Trace {
            id: problem.id,
            problem: problem.text,
            gold_answer: problem.gold,
            candidates: group.iter().map(|r| r.candidate(data.encoding())).collect(),
            ..Trace::default()
        };
        text += &PooledRollout::to_lines(&trace, index, digest.own());
    }
    write_atomically(path, text.as_bytes())
}

/// Reads the pool of this digest; `None` where the file is not there or of another digest.
pub fn read(path: &Path, digest: &Digest) -> Result<Option<Vec<Rollout>>, TrainError> {
    if let Some(pool) = read_earlier(path, digest)? {
        return Ok(Some(pool));
    }
    let broken = |what| TrainError::Checkpoint { path: path.into(), what };
    let pool = match PooledRollout::read(path) {
        Ok(Some((bears, pool))) if digest.is(&bears) => pool,
        // A file of another kind, or of another pool, is written anew.
        Ok(_) => return Ok(None),
        Err(what) => return Err(broken(what)),
    };
    let rollout = |pooled: PooledRollout| {
        let c = pooled.candidate;
        let token = |t: &crate::trace::Token| Some((t.id?, t.logprob?));
        let tokens = c.tokens.iter().map(token).collect::<Option<Vec<_>>>();
        let (ids, logprobs) = tokens.ok_or_else(|| broken("a token has no id or no log-probability".into()))?.into_iter().unzip();
        let stopped = c.finish == Some(FinishReason::Stop);
        Ok(Rollout { problem: pooled.problem, ids, logprobs, entropies: Vec::new(), stopped, correct: c.correct })
    };
    pool.into_iter().map(rollout).collect::<Result<_, _>>().map(Some)
}

/// A pool as earlier versions wrote it: its digest, then a rollout a line, without texts.
fn read_earlier(path: &Path, digest: &Digest) -> Result<Option<Vec<Rollout>>, TrainError> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(None) };
    let mut lines = text.lines();
    let bears = lines.next().and_then(|first| first.strip_prefix('"')?.strip_suffix('"'));
    if !bears.is_some_and(|d| digest.is(d)) {
        return Ok(None);
    }
    let read = |line| serde_json::from_str(line).map_err(|e| TrainError::Checkpoint { path: path.into(), what: e.to_string() });
    lines.map(read).collect::<Result<_, _>>().map(Some)
}
