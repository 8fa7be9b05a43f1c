//! The rotary embedding that a `config.json` asks for.

use super::family::Family;
use super::json::Fields;
use crate::model::{ModelError, RopeScaling};
use serde_json::Value;

/// What a file says of the rotary embedding.
pub(super) struct Rope {
    /// Base.
    pub(super) theta: f64,
    /// Scaling.
    pub(super) scaling: RopeScaling,
    /// Base of sliding layers, where they have their own.
    pub(super) local_theta: Option<f64>,
    /// Numbers of a head that are rotated.
    pub(super) dim: usize,
}

/// Rotary base and scaling, from `rope_scaling` or `rope_parameters`; these may be parted into `full_attention` and `sliding_attention`. LongRoPE shortens
/// `context` to what the model was first trained for, because beyond it all positions would turn otherwise.
pub(super) fn rope(f: &Fields, family: &Family, head_dim: usize, context: &mut usize) -> Result<Rope, ModelError> {
    let max_positions = *context;
    let nested = ["rope_parameters", "rope_scaling"].iter().find_map(|&key| match f.map.get(key) {
        Some(Value::Object(map)) => Some((key, map)),
        _ => None,
    });
    let theta = f.number("rope_theta")?;
    let mut local_theta = match family.local_theta {
        Some(default) => f.number("rope_local_base_freq")?.or(theta.filter(|_| default == family.theta)).or(Some(default)),
        None => None,
    };
    let Some((key, mut map)) = nested else {
        let theta = theta.unwrap_or(family.theta);
        return Ok(Rope { theta, scaling: RopeScaling::Default, local_theta, dim: rotated(f, None, family, head_dim)? });
    };
    if let Some(Value::Object(sliding)) = map.get("sliding_attention") {
        let r = Fields { map: sliding, path: f.path };
        if r.text("rope_type")?.is_some_and(|kind| kind != "default") {
            return Err(f.error(&format!("{key}.sliding_attention is scaled, which is not supported"), "use another model"));
        }
        local_theta = r.number("rope_theta")?.or(local_theta);
    }
    if let Some(Value::Object(full)) = map.get("full_attention") {
        map = full;
    }
    let r = Fields { map, path: f.path };
    let theta = r.number("rope_theta")?.or(theta).unwrap_or(family.theta);
    let dim = rotated(f, Some(&r), family, head_dim)?;
    let factor = || -> Result<f64, ModelError> {
        let found = r.number("factor")?;
        found.filter(|f| *f >= 1.0).ok_or_else(|| f.error(&format!("{key}.factor must be a number ≥ 1"), "correct the field"))
    };
    let number = |name: &str| r.number(name)?.ok_or_else(|| f.error(&format!("{key}.{name} is missing"), "add the field"));
    let original = || -> Result<usize, ModelError> {
        Ok(r.count("original_max_position_embeddings")?.or(f.count("original_max_position_embeddings")?).unwrap_or(max_positions))
    };
    let kind = r.text("rope_type")?.or(r.text("type")?).unwrap_or_else(|| "default".into());
    let scaling = match kind.as_str() {
        // Dynamic NTK equals the plain embedding up to max_position_embeddings, and no context here is longer.
        "default" | "dynamic" => RopeScaling::Default,
        // Its three positions, of time, height and width, are one and the same for text.
        "mrope" => RopeScaling::Default,
        "linear" => RopeScaling::Linear { factor: factor()? },
        "llama3" => RopeScaling::Llama3 {
            factor: factor()?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: original()?,
        },
        "longrope" | "su" | "yarn" if family.phi_rope => {
            let original = r.count("original_max_position_embeddings")?.or(f.count("original_max_position_embeddings")?).unwrap_or(4096);
            *context = max_positions.min(original);
            let list = map.get("short_factor").and_then(Value::as_array).map(|a| a.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
            let short_factor = list
                .filter(|l| l.len() == dim / 2 && l.iter().all(|x| *x > 0.0))
                .ok_or_else(|| f.error(&format!("{key}.short_factor is no list of {} positive numbers", dim / 2), "correct the field"))?;
            let factor = r.number("factor")?.unwrap_or(max_positions as f64 / original.max(1) as f64);
            let usual = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original.max(2) as f64).ln()).sqrt() };
            RopeScaling::LongRope { short_factor, attention_factor: r.number("attention_factor")?.unwrap_or(usual) }
        }
        "yarn" => {
            if r.flag("truncate")? == Some(false) {
                return Err(f.error(&format!("{key}.truncate: false is not supported"), "remove the field or use another model"));
            }
            let original_max_position_embeddings = original()?;
            let factor = match map.get("factor") {
                None | Some(Value::Null) => max_positions as f64 / original_max_position_embeddings.max(1) as f64,
                Some(_) => factor()?,
            };
            let scale = |m: f64| if factor <= 1.0 { 1.0 } else { 0.1 * m * factor.ln() + 1.0 };
            let attention_factor = match (r.number("attention_factor")?, r.number("mscale")?, r.number("mscale_all_dim")?) {
                (Some(a), _, _) => Some(a),
                (None, Some(m), Some(all)) if m != 0.0 && all != 0.0 => Some(scale(m) / scale(all)),
                _ => None,
            };
            RopeScaling::Yarn {
                factor,
                beta_fast: r.number("beta_fast")?.filter(|b| *b != 0.0).unwrap_or(32.0),
                beta_slow: r.number("beta_slow")?.filter(|b| *b != 0.0).unwrap_or(1.0),
                original_max_position_embeddings,
                attention_factor,
            }
        }
        other => {
            let what = format!("{key}: type {other:?} is not supported");
            return Err(f.error(&what, "supported: default, linear, dynamic, llama3, yarn, and longrope for phi3"));
        }
    };
    Ok(Rope { theta, scaling, local_theta, dim })
}

/// Numbers of a head that are rotated; fails on a part of them where the family rotates whole heads.
fn rotated(f: &Fields, r: Option<&Fields>, family: &Family, head_dim: usize) -> Result<usize, ModelError> {
    let nested = r.map_or(Ok(None), |r| r.number("partial_rotary_factor"))?;
    let partial = nested.or(f.number("partial_rotary_factor")?).unwrap_or(1.0);
    let dim = (head_dim as f64 * partial) as usize;
    if partial != 1.0 && !family.phi_rope {
        let what = format!("partial_rotary_factor {partial} is not supported");
        return Err(f.error(&what, &format!("the decoder rotates whole heads for {}", family.name)));
    }
    if !(partial > 0.0 && partial <= 1.0 && dim > 0 && dim.is_multiple_of(2)) {
        return Err(f.error(&format!("partial_rotary_factor {partial} of {head_dim} is no even width"), "correct the field"));
    }
    Ok(dim)
}
