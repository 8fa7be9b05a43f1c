//! Checkpoints: one safetensors file with weights (the f32 master copies where there are such), optimiser state and position, replaced atomically.

use crate::run::CheckpointHeader;
use crate::train::TrainError;
use crate::train::digest::Digest;
use crate::train::state::State;
use crate::train::world::World;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Writes `bytes` so that `path` holds either what it held or all of them. Of several processes, the first writes.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    if !World::here().is_first() {
        return Ok(());
    }
    Ok(crate::run::write_atomically(path, bytes)?)
}

/// Named f32 arrays as safetensors bytes.
pub fn to_safetensors(
    tensors: &[(String, Vec<usize>, Vec<f32>)],
    half: bool,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, TrainError> {
    let encode = |v: &Vec<f32>| -> Vec<u8> {
        match half {
            true => v.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
            false => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    };
    let data: Vec<Vec<u8>> = tensors.iter().map(|t| encode(&t.2)).collect();
    let dtype = if half { Dtype::F16 } else { Dtype::F32 };
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape, _), bytes)| Ok((name.as_str(), TensorView::new(dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| TrainError::Data(e.to_string()))?;
    let mut bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| TrainError::Data(e.to_string()))?;
    in_order(&mut bytes);
    Ok(bytes)
}

/// Puts the header's metadata in the order of their names: they come from a hash map, and equal runs are to have equal files.
fn in_order(file: &mut [u8]) {
    let Some((length, rest)) = file.split_first_chunk_mut::<8>() else { return };
    let Some(header) = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|n| rest.get_mut(..n)) else { return };
    let Ok(serde_json::Value::Object(mut all)) = serde_json::from_slice(header) else { return };
    if let Some(serde_json::Value::Object(metadata)) = all.get_mut("__metadata__") {
        metadata.sort_keys();
    }
    let sorted = serde_json::Value::Object(all).to_string();
    if sorted.len() <= header.len() {
        header.fill(b' ');
        header[..sorted.len()].copy_from_slice(sorted.as_bytes());
    }
}

/// Saves the variables and the state of the optimisers as of now. `digest` identifies what the stage depends on.
pub fn save(path: &Path, state: &State, digest: &Digest) -> Result<(), TrainError> {
    let mut tensors = Vec::new();
    let extra = std::str::from_utf8(&state.extra).map_err(|e| TrainError::Data(e.to_string()))?.to_owned();
    let updates = state.optimisers.iter().map(|(owner, optimiser)| ((*owner).to_owned(), optimiser.step)).collect();
    let header = CheckpointHeader { step: state.step, digest: digest.own().into(), updates, extra };
    for (owner, optimiser) in &state.optimisers {
        for (name, var) in optimiser.vars() {
            tensors.push((format!("{owner}weight/{name}"), var.dims().to_vec(), optimiser.weights(name, var)?));
            if let Some((m, v)) = optimiser.moments().get(name) {
                tensors.push((format!("{owner}first/{name}"), vec![m.len()], m.clone()));
                tensors.push((format!("{owner}second/{name}"), vec![v.len()], v.clone()));
            }
        }
    }
    write_atomically(path, &to_safetensors(&tensors, false, header.to_metadata())?)
}

/// What a checkpoint says of itself; the error says what is wrong.
pub fn header(bytes: &[u8]) -> Result<CheckpointHeader, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| format!("not readable ({e})"))?;
    CheckpointHeader::from_metadata(&header.metadata().clone().unwrap_or_default())
}

/// Whether `path` is a checkpoint of this stage after `steps` updates.
pub fn fits(path: &Path, digest: &Digest, steps: usize) -> bool {
    let found = std::fs::read(path).ok().and_then(|bytes| header(&bytes).ok());
    found.is_some_and(|h| digest.is(&h.digest) && h.step == steps)
}

/// Restores what [`save`] wrote; `false` where there is no checkpoint. Fails on a damaged file and on another recipe's.
pub fn load(path: &Path, state: &mut State, digest: &Digest) -> Result<bool, TrainError> {
    let bytes = match std::fs::read(path) {
        Ok(b) => b,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(TrainError::Io { path: path.into(), source }),
    };
    let broken = |what: String| TrainError::Checkpoint { path: path.into(), what };
    let header = header(&bytes).map_err(broken)?;
    if !digest.is(&header.digest) {
        return Err(broken("it belongs to another recipe".into()));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|e| broken(format!("not readable ({e})")))?;
    let read = |name: String, n: usize| -> Result<Vec<f32>, TrainError> {
        let t = file.tensor(&name).map_err(|e| broken(format!("{name}: {e}")))?;
        let v: Vec<f32> = t.data().chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
        if v.len() == n { Ok(v) } else { Err(broken(format!("{name} has {} numbers, expected {n}", v.len()))) }
    };
    // Everything is read before anything is changed.
    let mut found = Vec::new();
    for (owner, optimiser) in &state.optimisers {
        let step = *header.updates.get(*owner).ok_or_else(|| broken(format!("it names no {owner}updates")))?;
        let (mut weights, mut moments) = (BTreeMap::new(), BTreeMap::new());
        for (name, var) in optimiser.vars() {
            let n = var.elem_count();
            weights.insert(name.clone(), read(format!("{owner}weight/{name}"), n)?);
            moments.insert(name.clone(), (read(format!("{owner}first/{name}"), n)?, read(format!("{owner}second/{name}"), n)?));
        }
        found.push((step, weights, moments));
    }
    for ((_, optimiser), (step, weights, moments)) in state.optimisers.iter_mut().zip(found) {
        optimiser.restore(step, weights, moments)?;
    }
    state.step = header.step;
    state.extra = header.extra.into_bytes();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_are_equal_files() {
        let tensors = [("a".to_owned(), vec![2], vec![1.0, 2.0]), ("b".to_owned(), vec![1], vec![3.0])];
        let updates = || (0..20).map(|i| (format!("owner \"{i}\"-"), i)).collect();
        let header = || CheckpointHeader { step: 3, digest: "d".into(), updates: updates(), extra: "[1, \"é\\n\"]".into() };
        let file = to_safetensors(&tensors, false, header().to_metadata()).unwrap();
        for _ in 0..10 {
            assert_eq!(to_safetensors(&tensors, false, header().to_metadata()).unwrap(), file);
        }
        assert_eq!(super::header(&file).unwrap(), header());
        let read = SafeTensors::deserialize(&file).unwrap();
        assert_eq!(read.tensor("b").unwrap().data(), 3.0_f32.to_le_bytes());
    }
}
