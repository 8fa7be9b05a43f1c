//! The weights of an export: those of the decoder as they are stored, and the head.

use crate::model::{ModelError, ModelFiles, SafetensorsSource, WeightSource};
use crate::reward::{Head, REFERENCE};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::collections::{BTreeSet, HashMap};

/// A safetensors file of the decoder and of the head, which is called `tensor` there. The mixed scales of a head of three are one row: the mix is linear.
pub(super) fn of(files: &ModelFiles, head: Head, tensor: &str) -> Result<Vec<u8>, ModelError> {
    let source = SafetensorsSource::open(files, &Device::Cpu, DType::F32, None)?;
    let keeps_likelihood = tensor == "reward";
    let own = head_of(&source, head, files.config()?.hidden_size)?;
    let own: Vec<(String, Vec<usize>, Vec<u8>)> = own
        .into_iter()
        .filter(|(name, _)| keeps_likelihood || *name != "likelihood")
        .map(|(name, t)| {
            let numbers: Vec<f32> = t.flatten_all()?.to_vec1()?;
            Ok((format!("{tensor}.{name}"), t.dims().to_vec(), numbers.iter().flat_map(|v| v.to_le_bytes()).collect()))
        })
        .collect::<Result<_, ModelError>>()?;
    let shards: BTreeSet<String> =
        if files.has("model.safetensors") { BTreeSet::from(["model.safetensors".into()]) } else { shards(files)? };
    let bytes = shards.iter().map(|name| Ok((name, files.read(name)?))).collect::<Result<Vec<_>, ModelError>>()?;
    let damaged = |name: &str, e: &dyn std::fmt::Display| ModelError::File {
        path: files.path_of(name),
        what: e.to_string(),
        remedy: "the file is damaged or not fully fetched: fetch it again".into(),
    };
    let mut views: Vec<(String, TensorView)> = Vec::new();
    for (name, bytes) in &bytes {
        let all = SafeTensors::deserialize(bytes).map_err(|e| damaged(name, &e))?;
        let wanted = |n: &str| !n.starts_with("reward.") && !n.starts_with(REFERENCE);
        views.extend(all.tensors().into_iter().filter(|(n, _)| wanted(n)));
    }
    for (name, shape, data) in &own {
        views.push((name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).map_err(|e| damaged("model.safetensors", &e))?));
    }
    serialize(views, Some(HashMap::from([("format".to_owned(), "pt".to_owned())]))).map_err(|e| damaged("model.safetensors", &e))
}

/// The shards that the index names.
fn shards(files: &ModelFiles) -> Result<BTreeSet<String>, ModelError> {
    let name = "model.safetensors.index.json";
    let index: serde_json::Value = serde_json::from_slice(&files.read(name)?).map_err(|e| ModelError::File {
        path: files.path_of(name),
        what: format!("not valid JSON: {e}"),
        remedy: "fetch the file again".into(),
    })?;
    let names = index["weight_map"].as_object().into_iter().flatten().filter_map(|(_, file)| file.as_str());
    // Names with a path in them were refused when the headers were read.
    Ok(names.map(str::to_owned).collect())
}

/// `weight [1, hidden]`, `bias [1]` and, where the head has it, `likelihood [1]`.
fn head_of(source: &dyn WeightSource, head: Head, hidden: usize) -> Result<Vec<(&'static str, Tensor)>, ModelError> {
    let rows = if head == Head::Scales { 3 } else { 1 };
    let (mut weight, mut bias) = (source.tensor("reward.weight", &[rows, hidden])?, source.tensor("reward.bias", &[rows])?);
    if head == Head::Scales {
        let share = candle_nn::ops::softmax(&source.tensor("reward.mix", &[3])?, 0)?;
        weight = share.reshape((1, 3))?.matmul(&weight)?;
        bias = (share * bias)?.sum_keepdim(0)?;
    }
    let mut out = vec![("weight", weight), ("bias", bias)];
    if matches!(head, Head::Likelihood | Head::Shaped { likelihood: true, .. }) {
        out.push(("likelihood", source.tensor("reward.likelihood", &[1])?));
    }
    Ok(out)
}
