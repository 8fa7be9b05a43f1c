//! Trainable weights by name.

use super::{ModelError, WeightSource};
use crate::util::seed;
use candle_core::{DType, Device, Tensor, Var};
use rand::Rng;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Trainable variables, created at first use: norms at 1, biases at 0, matrices normal with σ = 0.02·√(768/hidden), divided by √(2·layers)
/// where they write to the residual stream. An adapter's A is uniform within ±1/√in and its B 0, as PEFT has them. The same seed and name give the same numbers, in whatever order they are asked for.
pub struct VarStore {
    vars: Mutex<BTreeMap<String, Var>>,
    initial: BTreeMap<String, Tensor>,
    seed: u64,
    layers: usize,
    device: Device,
    dtype: DType,
}

impl VarStore {
    /// An empty store for a decoder of `layers` blocks.
    pub fn new(seed: u64, layers: usize, device: &Device, dtype: DType) -> Self {
        Self { vars: Mutex::default(), initial: BTreeMap::new(), seed, layers, device: device.clone(), dtype }
    }

    /// As [`VarStore::new`], but variables named in `initial` start from there.
    pub fn with_initial(mut self, initial: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        self.initial = initial.into_iter().collect();
        self
    }

    /// All variables in the order of their names.
    pub fn vars(&self) -> Vec<(String, Var)> {
        self.lock().iter().map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Var>> {
        self.vars.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn init(&self, name: &str, shape: &[usize]) -> candle_core::Result<Tensor> {
        if let Some(t) = self.initial.get(name) {
            if t.dims() != shape {
                candle_core::bail!("{name}: initial value has shape {:?}, expected {shape:?}", t.dims());
            }
            return t.to_dtype(self.dtype)?.to_device(&self.device);
        }
        let n: usize = shape.iter().product();
        if name.ends_with("lora_B.weight") {
            return Tensor::zeros(shape, self.dtype, &self.device);
        }
        let data: Vec<f32> = if shape.len() == 1 {
            vec![if name.ends_with("bias") { 0.0 } else { 1.0 }; n]
        } else {
            let mut rng = seed::named(self.seed, name);
            if name.ends_with("lora_A.weight") {
                let bound = 1.0 / (shape[1] as f32).sqrt();
                let data: Vec<f32> = (0..n).map(|_| bound * (2.0 * rng.random::<f32>() - 1.0)).collect();
                return Tensor::from_vec(data, shape, &self.device)?.to_dtype(self.dtype);
            }
            let writes = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
            let hidden = if writes { shape[0] } else { shape[1] };
            let sigma = 0.02 * (768.0 / hidden as f32).sqrt() / if writes { (2.0 * self.layers as f32).sqrt() } else { 1.0 };
            (0..n)
                .map(|_| {
                    let (a, b): (f32, f32) = (1.0 - rng.random::<f32>(), rng.random());
                    sigma * (-2.0 * a.ln()).sqrt() * (std::f32::consts::TAU * b).cos()
                })
                .collect()
        };
        Tensor::from_vec(data, shape, &self.device)?.to_dtype(self.dtype)
    }
}

impl WeightSource for VarStore {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        if let Some(v) = self.lock().get(name) {
            return Ok(v.as_tensor().clone());
        }
        let var = Var::from_tensor(&self.init(name, shape)?)?;
        let tensor = var.as_tensor().clone();
        self.lock().insert(name.to_owned(), var);
        Ok(tensor)
    }
    fn contains(&self, name: &str) -> bool {
        self.lock().contains_key(name) || self.initial.contains_key(name)
    }
    fn makes(&self) -> bool {
        true
    }
}
