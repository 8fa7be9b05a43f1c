//! One training step over micro-batches: each is a graph of its own on one thread, their gradients are added in a fixed order.
//!
//! The result does not depend on the number of threads, and the graph of a whole batch never exists at once.

use super::TrainError;
use super::optim::Gradients;
use candle_core::{DType, Tensor, Var};
use rayon::prelude::*;

/// Named sums for the metrics.
pub type Sums = Vec<(&'static str, f64)>;

/// What one micro-batch gives: a loss to differentiate (a scalar, already weighted so that the sum over micro-batches is the batch's loss)
/// and named sums for the metrics.
pub struct Micro {
    /// Scalar.
    pub loss: Tensor,
    /// Named sums; added up over micro-batches.
    pub sums: Sums,
}

/// Adds up gradients, losses and sums of `items` under `f`.
pub fn accumulate<T: Sync>(
    items: &[T],
    vars: &[(String, Var)],
    f: impl Fn(&T) -> Result<Micro, TrainError> + Sync,
) -> Result<(Gradients, Sums), TrainError> {
    type Part = Result<(Vec<Option<Vec<f32>>>, Sums), TrainError>;
    let run = |item: &T| -> Part {
        let Micro { loss, sums } = f(item)?;
        let grads = loss.backward()?;
        let flat = vars
            .iter()
            .map(|(_, v)| grads.get(v).map(|g| g.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()).transpose())
            .collect::<candle_core::Result<Vec<_>>>()?;
        Ok((flat, sums))
    };
    let parts: Vec<Part> = items.par_iter().map(run).collect();
    let mut total: Vec<Option<Vec<f32>>> = vec![None; vars.len()];
    let mut sums: Sums = Vec::new();
    for part in parts {
        let (grads, part_sums) = part?;
        for (t, g) in total.iter_mut().zip(grads) {
            match (t, g) {
                (Some(t), Some(g)) => t.iter_mut().zip(g).for_each(|(t, g)| *t += g),
                (t @ None, g) => *t = g,
                _ => {}
            }
        }
        for (name, x) in part_sums {
            match sums.iter_mut().find(|s| s.0 == name) {
                Some(s) => s.1 += x,
                None => sums.push((name, x)),
            }
        }
    }
    let named = vars.iter().zip(total).filter_map(|((n, _), g)| Some((n.clone(), g?))).collect();
    Ok((named, sums))
}
