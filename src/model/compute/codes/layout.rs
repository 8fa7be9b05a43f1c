//! How the blocks of a GGUF matrix are laid out for products: 16 rows side by side, a 4-byte word of each in every 64 bytes.
//!
//! Nothing is rounded and nothing is added but the scales of Q4_K and Q5_K, which take 8 bits each instead of 6. The blocks are those of ggml
//! (<https://github.com/ggml-org/ggml>, `ggml-common.h`). A *record* holds one block of 16 rows in the order in which kernels read it, so that memory is read
//! from front to back.

use candle_core::quantized::GgmlDType;
use half::f16;

/// Rows of the matrix computed side by side, one a vector lane.
pub(super) const LANES: usize = 16;
/// Bytes of a 4-byte word of every lane.
pub(super) const VECTOR: usize = 4 * LANES;

/// A format of GGUF with whole-number codes of 4 to 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 32 weights (c − 8)·d.
    Q4_0,
    /// 32 weights c·d + m.
    Q4_1,
    /// 32 weights (c − 16)·d.
    Q5_0,
    /// 32 weights c·d + m.
    Q5_1,
    /// 32 weights (c − 128)·d.
    Q8_0,
    /// 256 weights in blocks of 32, c·s·d − n·e with whole s and n of a block.
    Q4K,
    /// The same with 5 bits.
    Q5K,
    /// 256 weights in blocks of 16, (c − 32)·s·d.
    Q6K,
}

impl Kind {
    /// The kind of a tensor that a file holds so; `None` for whole numbers of fewer bits and for formats that are no whole numbers.
    pub fn of(dtype: GgmlDType) -> Option<Self> {
        Some(match dtype {
            GgmlDType::Q4_0 => Self::Q4_0,
            GgmlDType::Q4_1 => Self::Q4_1,
            GgmlDType::Q5_0 => Self::Q5_0,
            GgmlDType::Q5_1 => Self::Q5_1,
            GgmlDType::Q8_0 => Self::Q8_0,
            GgmlDType::Q4K => Self::Q4K,
            GgmlDType::Q5K => Self::Q5K,
            GgmlDType::Q6K => Self::Q6K,
            _ => return None,
        })
    }

    /// Weights of a block, which share d.
    pub fn block(self) -> usize {
        if self.is_large() { 256 } else { 32 }
    }

    /// Bytes of a block of one row in the file.
    pub fn bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Whether it has blocks of 256.
    pub(super) fn is_large(self) -> bool {
        matches!(self, Self::Q4K | Self::Q5K | Self::Q6K)
    }

    /// What is taken from a code; 0 where a minimum is added instead.
    pub(super) fn zero(self) -> i32 {
        match self {
            Self::Q4_0 => 8,
            Self::Q5_0 => 16,
            Self::Q8_0 => 128,
            Self::Q6K => 32,
            Self::Q4_1 | Self::Q5_1 | Self::Q4K | Self::Q5K => 0,
        }
    }

    /// Bytes of a record.
    pub(super) const fn record(self) -> usize {
        match self {
            Self::Q4K | Self::Q5K => self.chunk(4),
            Self::Q6K => self.part(2),
            _ => self.low(if matches!(self, Self::Q8_0) { 8 } else { 4 }),
        }
    }

    /// Where m or e stands, a half-precision number a lane: after the d.
    pub(super) const MINIMUM: usize = 2 * LANES;

    /// Q4_K and Q5_K: where the n of two blocks of 32 stand, two bytes a lane.
    pub(super) const fn minima(pair: usize) -> usize {
        4 * LANES + 2 * LANES * pair
    }

    /// Q4_K and Q5_K: where a run of 64 weights begins, with the s of its two blocks; their low halves of bytes follow. In the first run of Q5_K each vector of
    /// them stands before one with a bit of all eight blocks.
    pub(super) const fn chunk(self, chunk: usize) -> usize {
        let more = if matches!(self, Self::Q5K) && chunk > 0 { 8 * VECTOR } else { 0 };
        Self::minima(4) + chunk * (2 * LANES + 8 * VECTOR) + more
    }

    /// Q6_K: where a run of 128 weights begins, first that of their blocks 0 and 2 of 32, then that of 1 and 3. Each has the s of its four small blocks, then
    /// 8 vectors; in the first each stands before one with two bits of all four blocks.
    pub(super) const fn part(self, part: usize) -> usize {
        2 * LANES + part * (8 * LANES + 24 * VECTOR)
    }

    /// Where a vector of low halves of bytes, or of bytes, stands; they are counted as the 4-byte words of the file.
    pub(super) const fn low(self, vector: usize) -> usize {
        match self {
            Self::Q4_0 | Self::Q8_0 => 2 * LANES + vector * VECTOR,
            Self::Q4_1 => 4 * LANES + vector * VECTOR,
            Self::Q5_0 => 2 * LANES + VECTOR + vector * VECTOR,
            Self::Q5_1 => 4 * LANES + VECTOR + vector * VECTOR,
            Self::Q4K | Self::Q5K => {
                let apart = if matches!(self, Self::Q5K) && vector < 8 { 2 * VECTOR } else { VECTOR };
                self.chunk(vector / 8) + 2 * LANES + vector % 8 * apart
            }
            Self::Q6K => {
                let (part, second, vector) = (vector / 16, vector / 8 % 2, vector % 8);
                self.part(part) + if second == 0 { 4 * LANES + vector * 2 * VECTOR } else { 8 * LANES + 16 * VECTOR + vector * VECTOR }
            }
        }
    }

    /// Where a vector of bits above the low four stands.
    pub(super) const fn high(self, vector: usize) -> usize {
        match self {
            Self::Q5K => self.low(vector) + VECTOR,
            Self::Q6K => self.low(vector / 8 * 16 + vector % 8) + VECTOR,
            // Q5_0 and Q5_1, which have one.
            _ => self.low(0) - VECTOR,
        }
    }

    /// Where the s of the 16 weights from `16 * b` on stand, a byte a lane.
    pub(super) const fn scale(self, b: usize) -> usize {
        match self {
            Self::Q6K => {
                let (block, half) = (b / 2 % 4, b % 2);
                self.part(b / 8) + if block % 2 == 0 { 0 } else { 4 * LANES + 16 * VECTOR } + (2 * half + block / 2) * LANES
            }
            _ => self.chunk(b / 4) + b / 2 % 2 * LANES,
        }
    }

    /// Puts a block of one row, as the file has it, into lane `lane` of a record.
    #[inline(always)]
    pub(super) fn put(self, block: &[u8], record: &mut [u8], lane: usize) {
        let mut half = |at: usize, from: usize| record[at + 2 * lane..][..2].copy_from_slice(&block[from..from + 2]);
        match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => half(0, 0),
            Self::Q6K => half(0, 208),
            Self::Q4_1 | Self::Q5_1 | Self::Q4K | Self::Q5K => {
                half(0, 0);
                half(Self::MINIMUM, 2);
            }
        }
        let mut words = |from: &[u8], at: &dyn Fn(usize) -> usize| {
            for (i, word) in from.as_chunks::<4>().0.iter().enumerate() {
                record[at(i) + 4 * lane..][..4].copy_from_slice(word);
            }
        };
        let (low, high) = (|i: usize| self.low(i), |i: usize| self.high(i));
        match self {
            Self::Q4_0 => words(&block[2..18], &low),
            Self::Q4_1 => words(&block[4..20], &low),
            Self::Q5_0 | Self::Q5_1 => {
                let (bits, rest) = block[if self == Self::Q5_0 { 2 } else { 4 }..].split_at(4);
                let bits = u32::from_le_bytes([bits[0], bits[1], bits[2], bits[3]]);
                words(&spread(bits).to_le_bytes(), &high);
                words(&rest[..16], &low);
            }
            Self::Q8_0 => words(&std::array::from_fn::<u8, 32, _>(|i| block[2 + i] ^ 0x80), &low),
            Self::Q4K | Self::Q5K => {
                if self == Self::Q5K {
                    words(&block[16..48], &high);
                }
                words(&block[if self == Self::Q5K { 48 } else { 16 }..][..128], &low);
                for (b, (s, n)) in small_scales(&block[4..16]).into_iter().enumerate() {
                    record[self.scale(2 * b) + lane] = s;
                    record[Self::minima(b / 2) + 2 * lane + b % 2] = n;
                }
            }
            Self::Q6K => {
                words(&block[128..192], &high);
                words(&block[..128], &low);
                for (b, s) in block[192..208].iter().enumerate() {
                    record[self.scale(b) + lane] = *s;
                }
            }
        }
    }

    /// The weights of a lane of a record.
    #[inline(always)]
    pub(super) fn weights(self, record: &[u8], lane: usize, out: &mut [f32]) {
        let (d, m) = self.factors(record, lane);
        for (b, small) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let (s, n) = self.small(record, lane, b);
            let (scale, minimum, zero) = (d * s, m * n, self.zero() as f32);
            for (w, code) in small.iter_mut().zip(self.codes(record, lane, b)) {
                *w = (f32::from(code) - zero) * scale + minimum;
            }
        }
    }

    /// d, and what n is multiplied by: m, −e or nothing.
    #[inline(always)]
    pub(super) fn factors(self, record: &[u8], lane: usize) -> (f32, f32) {
        let half = |at: usize| f16::from_le_bytes([record[at + 2 * lane], record[at + 2 * lane + 1]]).to_f32();
        match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 | Self::Q6K => (half(0), 0.0),
            Self::Q4_1 | Self::Q5_1 => (half(0), half(Self::MINIMUM)),
            Self::Q4K | Self::Q5K => (half(0), -half(Self::MINIMUM)),
        }
    }

    /// s and n of the 16 weights from `16 * b` on; 1 where blocks have none.
    #[inline(always)]
    pub(super) fn small(self, record: &[u8], lane: usize, b: usize) -> (f32, f32) {
        let s = || record[self.scale(b) + lane];
        match self {
            Self::Q4K | Self::Q5K => (f32::from(s()), f32::from(record[Self::minima(b / 4) + 2 * lane + b / 2 % 2])),
            Self::Q6K => (f32::from(s() as i8), 0.0),
            _ => (1.0, 1.0),
        }
    }

    /// The codes of the 16 weights of a lane from `16 * b` on.
    #[inline(always)]
    pub(super) fn codes(self, record: &[u8], lane: usize, b: usize) -> [u8; 16] {
        let word = |at: usize| {
            let at = at + 4 * lane;
            u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
        };
        let mut out = [0; 16];
        for (i, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let w = match self {
                Self::Q8_0 => word(self.low(4 * b + i)),
                // b is the half of the bytes.
                Self::Q4_0 | Self::Q4_1 => word(self.low(i)) >> (4 * b) & 0x0f0f_0f0f,
                Self::Q5_0 | Self::Q5_1 => {
                    word(self.low(i)) >> (4 * b) & 0x0f0f_0f0f | (word(self.high(0)) >> (4 * b + i) & 0x0101_0101) << 4
                }
                // 64 weights have 8 words, the first 32 of them the low halves.
                Self::Q4K | Self::Q5K => {
                    let (chunk, half, at) = (b / 4, b / 2 % 2, b % 2 * 4 + i);
                    let low = word(self.low(8 * chunk + at)) >> (4 * half) & 0x0f0f_0f0f;
                    let high = if self == Self::Q5K { word(self.high(at)) >> (2 * chunk + half) & 0x0101_0101 } else { 0 };
                    low | high << 4
                }
                // 128 weights in four blocks of 32: 16 words, low halves for the first two blocks, and 8 words of two bits for each.
                Self::Q6K => {
                    let (part, block, at) = (b / 8, b / 2 % 4, b % 2 * 4 + i);
                    let low = word(self.low(16 * part + 8 * (block % 2) + at)) >> (4 * (block / 2)) & 0x0f0f_0f0f;
                    low | (word(self.high(8 * part + at)) >> (2 * block) & 0x0303_0303) << 4
                }
            };
            *out = w.to_le_bytes();
        }
        out
    }
}

/// Bit 4·t + i of 32 goes to bit t of byte i: the bits of four codes that are multiplied together stand at one place of four bytes.
#[inline(always)]
fn spread(bits: u32) -> u32 {
    let byte = |i: u32| {
        let x = bits >> i & 0x1111_1111;
        let x = (x | x >> 3) & 0x0303_0303;
        let x = (x | x >> 6) & 0x000f_000f;
        (x | x >> 12) & 0xff
    };
    byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24
}

/// s and n of the eight blocks of Q4_K and Q5_K, 6 bits each in 12 bytes.
#[inline(always)]
fn small_scales(q: &[u8]) -> [(u8, u8); 8] {
    std::array::from_fn(|b| {
        if b < 4 { (q[b] & 63, q[b + 4] & 63) } else { (q[b + 4] & 15 | q[b - 4] >> 6 << 4, q[b + 4] >> 4 | q[b] >> 6 << 4) }
    })
}
