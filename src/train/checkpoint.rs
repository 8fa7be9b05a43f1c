//! Checkpoints: one safetensors file with weights, optimiser state and position, replaced atomically.

use super::optim::AdamW;
use super::{TrainError, World};
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Writes `bytes` so that `path` holds either what it held or all of them. Of several processes, the first writes.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    if !World::here().is_first() {
        return Ok(());
    }
    let io = |source| TrainError::Io { path: path.into(), source };
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(io)?;
    let mut builder = tempfile::Builder::new();
    // As any file the user makes; the process's mask still applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(parent).map_err(io)?;
    std::io::Write::write_all(&mut file, bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
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
    safetensors::serialize(views, Some(metadata)).map_err(|e| TrainError::Data(e.to_string()))
}

/// Saves the optimiser's variables and state as of now. `digest` identifies the recipe.
pub fn save(path: &Path, optimiser: &AdamW, digest: &str) -> Result<(), TrainError> {
    let mut tensors = Vec::new();
    for (name, var) in optimiser.vars() {
        tensors.push((format!("weight/{name}"), var.dims().to_vec(), var.flatten_all()?.to_vec1()?));
        if let Some((m, v)) = optimiser.moments().get(name) {
            tensors.push((format!("first/{name}"), vec![m.len()], m.clone()));
            tensors.push((format!("second/{name}"), vec![v.len()], v.clone()));
        }
    }
    let metadata = HashMap::from([("step".to_owned(), optimiser.step.to_string()), ("recipe".to_owned(), digest.to_owned())]);
    write_atomically(path, &to_safetensors(&tensors, false, metadata)?)
}

/// Restores what [`save`] wrote; `false` where there is no checkpoint. Fails on a damaged file and on another recipe's.
pub fn load(path: &Path, optimiser: &mut AdamW, digest: &str) -> Result<bool, TrainError> {
    let bytes = match std::fs::read(path) {
        Ok(b) => b,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(TrainError::Io { path: path.into(), source }),
    };
    let broken = |what: String| TrainError::Checkpoint { path: path.into(), what };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(format!("not readable ({e})")))?;
    let meta = header.metadata().clone().unwrap_or_default();
    if meta.get("recipe").map(String::as_str) != Some(digest) {
        return Err(broken("it belongs to another recipe".into()));
    }
    let step = meta.get("step").and_then(|s| s.parse().ok()).ok_or_else(|| broken("it names no step".into()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| broken(format!("not readable ({e})")))?;
    let read = |name: String, n: usize| -> Result<Vec<f32>, TrainError> {
        let t = file.tensor(&name).map_err(|e| broken(format!("{name}: {e}")))?;
        let v: Vec<f32> = t.data().chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
        if v.len() == n { Ok(v) } else { Err(broken(format!("{name} has {} numbers, expected {n}", v.len()))) }
    };
    let mut moments = BTreeMap::new();
    let mut weights = Vec::new();
    for (name, var) in optimiser.vars() {
        let n = var.elem_count();
        weights.push(read(format!("weight/{name}"), n)?);
        moments.insert(name.clone(), (read(format!("first/{name}"), n)?, read(format!("second/{name}"), n)?));
    }
    for ((_, var), w) in optimiser.vars().iter().zip(weights) {
        var.set(&Tensor::from_vec(w, var.shape(), &Device::Cpu)?)?;
    }
    optimiser.restore(step, moments)?;
    Ok(true)
}
