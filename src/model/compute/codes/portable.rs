//! Products with [`Codes`](super::Codes) by plain arithmetic, for processors without the vectors of the others, and for these to be compared with.

use super::layout::Kind;
use super::tile::{Products, Tile};

/// The products of 16 rows of the matrix with each row of a tile: y = Σ s·(d·Σ t·⟨c − z, x⟩ + m·Σx), outer sums over blocks, inner ones over the small blocks.
pub(super) fn group(kind: Kind, records: &[u8], tile: &Tile, out: &mut Products) {
    let (quads, small) = (kind.block() / 4, kind.block() / 16);
    *out = Default::default();
    for (b, record) in records.chunks_exact(kind.record()).enumerate() {
        for r in 0..tile.rows {
            let x = &tile.quads[(b * tile.rows + r) * quads..][..quads];
            let [scale, _] = tile.scales[b * tile.rows + r];
            for (lane, out) in out[r].iter_mut().enumerate() {
                let (mut inner, mut minimum) = (0.0, 0.0);
                for (i, x) in x.as_chunks::<4>().0.iter().enumerate().take(small) {
                    let x = x.map(|quad| quad.to_le_bytes().map(|x| i32::from(x as i8)));
                    let (codes, sum) = (kind.codes(record, lane, i), x.iter().flatten().sum::<i32>());
                    let dot: i32 = codes.iter().zip(x.iter().flatten()).map(|(c, x)| i32::from(*c) * x).sum();
                    let (t, n) = kind.small(record, lane, i);
                    inner += t * (dot - kind.zero() * sum) as f32;
                    minimum += n * sum as f32;
                }
                let (d, m) = kind.factors(record, lane);
                *out += scale * (d * inner + m * minimum);
            }
        }
    }
}
