//! One training step over micro-batches: each is a graph of its own on one thread, their gradients are added in a fixed order.
//!
//! The result does not depend on the number of threads, and the graph of a whole batch never exists at once.

use super::TrainError;
use super::optim::Gradients;
use super::world::{Sums, World};
use candle_core::{DType, Tensor, Var};
use rayon::prelude::*;

/// What one micro-batch gives: a loss to differentiate (a scalar, already weighted so that the sum over micro-batches is the batch's loss)
/// and named sums for the metrics.
pub struct Micro {
    /// Scalar.
    pub loss: Tensor,
    /// Named sums; added up over micro-batches.
    pub sums: Sums,
}

/// Adds up gradients, losses and sums of `items` under `f`. Of several processes each takes its share of the items, and all get the same sums.
pub fn accumulate<T: Sync>(
    items: &[T],
    vars: &[(String, Var)],
    f: impl Fn(&T) -> Result<Micro, TrainError> + Sync,
) -> Result<(Gradients, Sums), TrainError> {
    type Gradient = (Grads, Sums);
    let run = |item: &&T| -> Result<Gradient, TrainError> {
        let Micro { loss, sums } = f(item)?;
        let grads = loss.backward()?;
        let flat = vars
            .iter()
            .map(|(_, v)| grads.get(v).map(|g| g.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()).transpose())
            .collect::<candle_core::Result<Vec<_>>>()?;
        Ok((flat, sums))
    };
    let world = World::here();
    let parts = world.share(items).par_iter().map(run).collect::<Vec<_>>().into_iter().collect();
    let (grads, sums): (Vec<_>, Vec<_>) = world.agree::<Vec<Gradient>>(parts)?.into_iter().unzip();
    let sums = world.sums_in_order(&sums)?.into_iter().flatten().fold(Sums::new(), |mut sums, (name, x)| {
        match sums.iter_mut().find(|s| s.0 == name) {
            Some(s) => s.1 += x,
            None => sums.push((name, x)),
        }
        sums
    });
    let total = if world.size() == 1 { add_up(grads, vars.len()) } else { add_up_everywhere(world, grads, items.len(), vars) };
    let named = vars.iter().zip(total).filter_map(|((n, _), g)| Some((n.clone(), g?))).collect();
    Ok((named, sums))
}

type Grads = Vec<Option<Vec<f32>>>;

fn add_up(parts: Vec<Grads>, vars: usize) -> Grads {
    let mut total: Grads = vec![None; vars];
    for part in parts {
        for (t, g) in total.iter_mut().zip(part) {
            match (t, g) {
                (Some(t), Some(g)) => t.iter_mut().zip(g).for_each(|(t, g)| *t += g),
                (t @ None, g) => *t = g,
                _ => {}
            }
        }
    }
    total
}

/// As [`add_up`] of the parts of all processes, laid end to end.
fn add_up_everywhere(world: World, parts: Vec<Grads>, items: usize, vars: &[(String, Var)]) -> Grads {
    let sizes: Vec<usize> = vars.iter().map(|(_, v)| v.elem_count()).collect();
    let has = |i: usize| u8::from(parts.iter().any(|p| p[i].is_some()));
    let present = world.gather((0..vars.len()).map(has).collect());
    let lay = |part: Grads| part.into_iter().zip(&sizes).flat_map(|(g, &n)| g.unwrap_or_else(|| vec![0.0; n])).collect();
    let total = world.sum_in_order(parts.into_iter().map(lay).collect(), items, sizes.iter().sum());
    let mut rest = total.as_slice();
    let mut cut = |(i, n): (usize, &usize)| {
        let (here, after) = rest.split_at(*n);
        rest = after;
        present.iter().any(|p| p[i] == 1).then(|| here.to_vec())
    };
    sizes.iter().enumerate().map(&mut cut).collect()
}
