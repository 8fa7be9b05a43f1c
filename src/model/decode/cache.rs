//! Key–value caches: one row a growing sequence, rows that continue a shared prompt share its keys and values.

use crate::model::ModelError;
use crate::model::compute::attention::{Heads, KeyValues, cached_attention};
use crate::model::compute::kernels::Rotary;
use crate::model::compute::ops;
use crate::model::compute::threads;
use candle_core::{DType, Device, Tensor};

/// Keys and values of a stretch of positions in one layer.
enum Store {
    /// CPU in f32.
    Host(KeyValues),
    /// Any other device or dtype: `[kv heads, positions, dim]`, absent while empty.
    Device(Option<(Tensor, Tensor)>),
}

struct Row {
    parent: Option<usize>,
    len: usize,
    layers: Vec<Store>,
}

/// The cache of many sequences. A row may continue another row, which must not grow any more from then on.
pub struct KvCache {
    rows: Vec<Row>,
    layers: usize,
    host: bool,
}

impl KvCache {
    /// An empty cache for `layers` blocks.
    pub(in crate::model) fn new(layers: usize, device: &Device, dtype: DType) -> Self {
        Self { rows: Vec::new(), layers, host: device.is_cpu() && dtype == DType::F32 }
    }

    /// Adds an empty row, continuing `parent` if given, and returns its index.
    pub fn add_row(&mut self, parent: Option<usize>) -> usize {
        let store = || if self.host { Store::Host(KeyValues::default()) } else { Store::Device(None) };
        self.rows.push(Row { parent, len: 0, layers: (0..self.layers).map(|_| store()).collect() });
        self.rows.len() - 1
    }

    /// Positions of a row, with those of the row it continues.
    pub fn len(&self, row: usize) -> usize {
        let r = &self.rows[row];
        r.len + r.parent.map_or(0, |p| self.rows[p].len)
    }

    /// Forgets every row.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// Frees what a row holds; it must not be used again.
    pub fn free(&mut self, row: usize) {
        self.rows[row].layers.clear();
    }

    /// Checks that the chunks can be appended: rows exist, appear once, and fit `context` positions.
    pub(in crate::model) fn check(&self, chunks: &[(usize, &[u32])], context: usize) -> Result<(), ModelError> {
        for (i, (row, ids)) in chunks.iter().enumerate() {
            if *row >= self.rows.len() || chunks[..i].iter().any(|c| c.0 == *row) {
                return Err(ModelError::Input(format!("cache row {row} is absent or named twice in one call")));
            }
            let needed = self.len(*row) + ids.len();
            if needed > context {
                return Err(ModelError::Input(format!(
                    "{needed} tokens do not fit the context of {context}; shorten the problem or lower --max-tokens"
                )));
            }
        }
        Ok(())
    }

    pub(in crate::model) fn grow(&mut self, chunks: &[(usize, &[u32])]) {
        for (row, ids) in chunks {
            self.rows[*row].len += ids.len();
        }
    }

    /// Appends the new keys and values of one layer and attends. q `[n, q heads·dim]`, k, v `[n, kv heads·dim]`, rows of the chunks one after the other.
    pub(in crate::model) fn attend(
        &mut self,
        layer: usize,
        (q, k, v): (&Tensor, &Tensor, &Tensor),
        chunks: &[(usize, &[u32])],
        heads: Heads,
        rotary: &Rotary,
    ) -> Result<Tensor, ModelError> {
        if self.host {
            let shape = q.shape().clone();
            let out =
                crate::model::compute::storage::with([q, k, v], |[q, k, v]| self.attend_host(layer, (q, k, v), chunks, heads, rotary))?;
            Ok(Tensor::from_vec(out, shape, &Device::Cpu)?)
        } else {
            self.attend_device(layer, (q, k, v), chunks, heads, rotary)
        }
    }

    fn attend_host(
        &mut self,
        layer: usize,
        (q, k, v): (&[f32], &[f32], &[f32]),
        chunks: &[(usize, &[u32])],
        heads: Heads,
        rotary: &Rotary,
    ) -> Vec<f32> {
        let (wq, wkv) = (heads.q * heads.dim, heads.kv * heads.dim);
        let mut q = q.to_vec();
        let mut at = 0;
        for (row, ids) in chunks {
            let (first, t) = (self.len(*row), ids.len());
            rotary.turn_rows(&mut q[at * wq..(at + t) * wq], heads.q, first);
            if let Some(Store::Host(own)) = self.rows[*row].layers.get_mut(layer) {
                let old = own.k.len();
                own.k.extend_from_slice(&k[at * wkv..(at + t) * wkv]);
                own.v.extend_from_slice(&v[at * wkv..(at + t) * wkv]);
                rotary.turn_rows(&mut own.k[old..], heads.kv, first);
            }
            at += t;
        }
        let host = |row: usize| match self.rows[row].layers.get(layer) {
            Some(Store::Host(kv)) => Some(kv),
            _ => None,
        };
        // Of every chunk, for every key–value head: `[t, query heads that share it · dim]`.
        let mut out = vec![0.0; q.len()];
        let (mut jobs, mut rest, mut work) = (Vec::with_capacity(chunks.len() * heads.kv), &mut out[..], 0);
        let mut at = 0;
        for (row, ids) in chunks {
            let t = ids.len();
            work += t * (self.len(*row) + t) * wq;
            for g in 0..heads.kv {
                let (mine, tail) = std::mem::take(&mut rest).split_at_mut(t * wq / heads.kv);
                rest = tail;
                jobs.push((*row, g, &q[at * wq..(at + t) * wq], mine));
            }
            at += t;
        }
        threads::each(jobs, work > 1 << 19, |(row, g, q, out): (usize, usize, &[f32], &mut [f32])| {
            if let Some(own) = host(row) {
                cached_attention(q, self.rows[row].parent.and_then(host), own, heads, g, out);
            }
        });
        if chunks.iter().all(|(_, ids)| ids.len() == 1) {
            return out;
        }
        // The heads of a position side by side.
        let (mut all, mut at, width) = (vec![0.0; out.len()], 0, wq / heads.kv);
        for (_, ids) in chunks {
            let (t, from) = (ids.len(), &out[at * wq..]);
            for (i, row) in all[at * wq..(at + t) * wq].chunks_exact_mut(wq).enumerate() {
                for (g, row) in row.chunks_exact_mut(width).enumerate() {
                    row.copy_from_slice(&from[(g * t + i) * width..][..width]);
                }
            }
            at += t;
        }
        all
    }

    fn attend_device(
        &mut self,
        layer: usize,
        (q, k, v): (&Tensor, &Tensor, &Tensor),
        chunks: &[(usize, &[u32])],
        heads: Heads,
        rotary: &Rotary,
    ) -> Result<Tensor, ModelError> {
        let (mut out, mut at) = (Vec::new(), 0);
        for (row, ids) in chunks {
            let (first, t) = (self.len(*row), ids.len());
            let part = |x: &Tensor, h: usize| x.narrow(0, at, t)?.reshape((t, h, heads.dim))?.transpose(0, 1)?.contiguous();
            let q = ops::rotate(&part(q, heads.q)?, rotary, first)?;
            let mut own = (ops::rotate(&part(k, heads.kv)?, rotary, first)?, part(v, heads.kv)?);
            if let Some(Store::Device(slot)) = self.rows[*row].layers.get_mut(layer) {
                if let Some((k, v)) = slot.take() {
                    own = (Tensor::cat(&[&k, &own.0], 1)?, Tensor::cat(&[&v, &own.1], 1)?);
                }
                *slot = Some(own.clone());
            }
            if let Some(Store::Device(Some((k, v)))) = self.rows[*row].parent.and_then(|p| self.rows[p].layers.get(layer)) {
                own = (Tensor::cat(&[k, &own.0], 1)?, Tensor::cat(&[v, &own.1], 1)?);
            }
            let share = heads.q / heads.kv;
            let (k, v) = (ops::repeat_heads(&own.0, share)?, ops::repeat_heads(&own.1, share)?);
            let mask = ops::causal_mask(t, first + t, heads.window, q.device())?;
            out.push(ops::attend(&q, &k, &v, &mask)?.transpose(0, 1)?.reshape((t, heads.q * heads.dim))?);
            at += t;
        }
        Ok(Tensor::cat(&out, 0)?)
    }
}
