//! Low-rank adapters on frozen linear layers (LoRA, arXiv 2106.09685; over a quantised base QLoRA, arXiv 2305.14314).

use super::{LinearWeight, Lora, ModelError, WeightSource};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Linear layers of a block, which can carry an adapter.
pub const TARGETS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
/// Stands for all of [`TARGETS`], as in PEFT.
const ALL: &str = "all-linear";

/// Which layers are adapted, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank of the addition, ≥ 1.
    pub rank: usize,
    /// The addition is multiplied by alpha / rank.
    pub alpha: f64,
    /// Names of linear layers, or ends of their full names (`self_attn.q_proj`), or `all-linear`.
    pub targets: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, targets: vec![ALL.into()] }
    }
}

impl LoraConfig {
    /// Errors where a value is out of range or a target is none; the message names field and remedy.
    pub fn check(&self) -> Result<(), ModelError> {
        let error = |what: String| Err(ModelError::Input(what));
        if self.rank == 0 {
            return error("rank is 0; give the adapter a rank of 1 or more, 8 to 64 are usual".into());
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return error(format!("alpha is {}; it must be a positive number, usually one or two times the rank", self.alpha));
        }
        let known = |t: &str| t == ALL || TARGETS.contains(&t.rsplit('.').next().unwrap_or(t));
        match self.targets.iter().find(|t| !known(t)) {
            Some(t) => error(format!("targets: no layer is called {t:?}; known: {}, {ALL}", TARGETS.join(", "))),
            None if self.targets.is_empty() => error(format!("targets is empty; name some of {}, or {ALL}", TARGETS.join(", "))),
            None => Ok(()),
        }
    }

    /// α / rank.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Whether the layer of full name `module` (`model.layers.0.self_attn.q_proj`) is adapted.
    pub fn adapts(&self, module: &str) -> bool {
        let (path, last) = module.rsplit_once('.').unwrap_or(("", module));
        let named = |t: &String| t == ALL || module.strip_suffix(t.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        path.starts_with("model.layers.") && TARGETS.contains(&last) && self.targets.iter().any(named)
    }

    /// The targets with `all-linear` written out.
    pub fn target_modules(&self) -> Vec<&str> {
        let all = self.targets.iter().any(|t| t == ALL);
        if all { TARGETS.to_vec() } else { self.targets.iter().map(String::as_str).collect() }
    }
}

/// A base's weights, frozen, with adapters on the layers that `config` names: `MODULE.lora_A.weight` `[rank, in]` and `MODULE.lora_B.weight`
/// `[out, rank]` of `adapters`, which may be a [`VarStore`](super::VarStore) to train them.
///
/// A whole tensor that `adapters` already contains replaces the base's (PEFT's `modules_to_save`).
pub struct LoraSource<B, A> {
    base: B,
    adapters: A,
    config: LoraConfig,
}

impl<B: WeightSource, A: WeightSource> LoraSource<B, A> {
    /// Errors as [`LoraConfig::check`].
    pub fn new(base: B, adapters: A, config: LoraConfig) -> Result<Self, ModelError> {
        config.check()?;
        Ok(Self { base, adapters, config })
    }

    /// The adapted layer whose weight is called `name`.
    fn adapted<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_suffix(".weight").filter(|module| self.config.adapts(module))
    }
}

impl<B: WeightSource, A: WeightSource> WeightSource for LoraSource<B, A> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        if self.adapters.contains(name) { self.adapters.tensor(name, shape) } else { Ok(self.base.tensor(name, shape)?.detach()) }
    }

    fn linear(&self, name: &str, out: usize, input: usize) -> Result<LinearWeight, ModelError> {
        if self.adapters.contains(name) {
            return self.adapters.linear(name, out, input);
        }
        let base = match self.base.linear(name, out, input)? {
            LinearWeight::Dense(w) => LinearWeight::Dense(w.detach()),
            quantised => quantised,
        };
        let Some(module) = self.adapted(name) else { return Ok(base) };
        let r = self.config.rank;
        let a = self.adapters.tensor(&format!("{module}.lora_A.weight"), &[r, input])?;
        let b = self.adapters.tensor(&format!("{module}.lora_B.weight"), &[out, r])?;
        Ok(LinearWeight::Lora(Arc::new(Lora { base, a, b, scale: self.config.scale() })))
    }

    fn embedding(&self, name: &str, rows: usize, width: usize) -> Result<LinearWeight, ModelError> {
        if self.adapters.contains(name) {
            return self.adapters.embedding(name, rows, width);
        }
        Ok(match self.base.embedding(name, rows, width)? {
            LinearWeight::Dense(w) => LinearWeight::Dense(w.detach()),
            quantised => quantised,
        })
    }

    fn contains(&self, name: &str) -> bool {
        self.adapters.contains(name) || self.base.contains(name)
    }

    fn makes(&self) -> bool {
        self.base.makes()
    }
}

/// The same model without adapters: every adapted matrix is W + scale·B·A, dense.
pub struct Merged<'a, B, A>(pub &'a LoraSource<B, A>);

impl<B: WeightSource, A: WeightSource> WeightSource for Merged<'_, B, A> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        if let (Some(_), &[out, input]) = (self.0.adapted(name), shape)
            && let weight @ LinearWeight::Lora(l) = &self.0.linear(name, out, input)?
        {
            return Ok(weight.dense(l.a.dtype())?.detach());
        }
        self.0.tensor(name, shape)
    }

    fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn makes(&self) -> bool {
        self.0.makes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_ends_of_names() {
        let config = |targets: &[&str]| LoraConfig { targets: targets.iter().map(|t| (*t).to_owned()).collect(), ..Default::default() };
        let q = "model.layers.3.self_attn.q_proj";
        for (targets, adapts) in [
            (&["q_proj"][..], true),
            (&["self_attn.q_proj"], true),
            (&[q], true),
            (&["v_proj", "all-linear"], true),
            (&["v_proj"], false),
            (&["mlp.q_proj"], false),
            (&["model.layers.13.self_attn.q_proj"], false),
        ] {
            assert_eq!(config(targets).adapts(q), adapts, "{targets:?}");
        }
        assert!(!config(&["all-linear"]).adapts("lm_head"));
        assert!(!config(&["all-linear"]).adapts("model.layers.3.input_layernorm"));
        assert_eq!(config(&["all-linear"]).target_modules(), TARGETS);
    }

    #[test]
    fn a_bad_configuration_is_one_clear_error() {
        let with = |f: fn(&mut LoraConfig)| {
            let mut c = LoraConfig::default();
            f(&mut c);
            c.check().unwrap_err().to_string()
        };
        assert!(with(|c| c.rank = 0).contains("rank is 0"));
        assert!(with(|c| c.alpha = f64::NAN).contains("alpha is NaN"));
        assert!(with(|c| c.targets.clear()).contains("targets is empty"));
        let e = with(|c| c.targets = vec!["c_attn".into()]);
        assert!(e.contains("\"c_attn\"") && e.contains("q_proj, k_proj") && e.contains("all-linear"), "{e}");
        assert!(LoraConfig::default().check().is_ok());
    }
}
