//! Rotary angles with the scalings in use.

use super::kernels::Rotary;
use crate::model::{Config, Layer, RopeScaling};
use std::f64::consts::PI;

/// cos and sin for positions `0..positions` of such a layer, half-split order (arXiv 2104.09864; scalings as Hugging Face computes them).
pub(in crate::model) fn rotary(config: &Config, layer: Layer, positions: usize) -> Rotary {
    let dim = if layer.rope { config.rotary_dim() } else { 0 };
    let (theta, scaling) = match config.variant.local_rope_theta {
        Some(theta) if layer.sliding => (theta, &RopeScaling::Default),
        _ => (config.rope_theta, &config.rope_scaling),
    };
    let half = dim / 2;
    let base = |i: usize| theta.powf(-(2.0 * i as f64) / dim as f64);
    let mut amplitude = 1.0;
    let frequencies: Vec<f64> = match scaling {
        RopeScaling::Default => (0..half).map(base).collect(),
        RopeScaling::Linear { factor } => (0..half).map(|i| base(i) / factor).collect(),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
            let original = *original_max_position_embeddings as f64;
            (0..half)
                .map(|i| {
                    let f = base(i);
                    let wavelength = 2.0 * PI / f;
                    if wavelength < original / high_freq_factor {
                        f
                    } else if wavelength > original / low_freq_factor {
                        f / factor
                    } else {
                        let s = (original / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                        (1.0 - s) * f / factor + s * f
                    }
                })
                .collect()
        }
        RopeScaling::Yarn { factor, beta_fast, beta_slow, original_max_position_embeddings, attention_factor } => {
            amplitude = attention_factor.unwrap_or(if *factor <= 1.0 { 1.0 } else { 0.1 * factor.ln() + 1.0 });
            let dim = dim as f64;
            let at = |turns: f64| dim * (*original_max_position_embeddings as f64 / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
            let low = at(*beta_fast).floor().max(0.0);
            let high = at(*beta_slow).ceil().min(dim - 1.0);
            let width = if low == high { 0.001 } else { high - low };
            (0..half)
                .map(|i| {
                    let keep = 1.0 - ((i as f64 - low) / width).clamp(0.0, 1.0);
                    base(i) / factor * (1.0 - keep) + base(i) * keep
                })
                .collect()
        }
        RopeScaling::LongRope { short_factor, attention_factor } => {
            amplitude = *attention_factor;
            (0..half).map(|i| base(i) / short_factor.get(i).copied().unwrap_or(1.0)).collect()
        }
    };
    let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f64 * f));
    let (cos, sin) = angles.map(|a| ((a.cos() * amplitude) as f32, (a.sin() * amplitude) as f32)).unzip();
    Rotary { cos, sin, half, dim: config.head_dim }
}
