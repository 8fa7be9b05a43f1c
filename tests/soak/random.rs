//! Draws that a seed repeats, and hostile text.

/// SplitMix64.
pub struct Random(u64);

/// What terminals, readers and layouts trip over.
const PIECES: &[&str] = &[
    "word ",
    "12 * 3 = 36",
    "So 4 + 5 = 10. ",
    "#### 36",
    " ",
    "\n",
    "\n\n",
    "\t",
    "\r",
    "\r\n",
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x1b[31m",
    "\x1bP1$r\x1b\\",
    "\u{9b}1m",
    "\u{9d}0;x\u{9c}",
    "\x07",
    "\x08",
    "\x7f",
    "\u{0}",
    "日本語",
    "é",
    "e\u{301}",
    "\u{200b}",
    "\u{202e}",
    "\u{202c}",
    "\u{2066}",
    "\u{200f}",
    "\u{feff}",
    "\u{2028}",
    "עברית",
    "👩‍👩‍👧",
    "```py\n",
    "```\n",
    "<think>",
    "</think>",
    "\\boxed{\\frac{1}{2}}",
    "Step 2: ",
    "﷽",
    "ก็็็็็็็็็",
    "loooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooong",
];

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, 0 where that is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// One of `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Hostile text of so many pieces at most.
    pub fn text(&mut self, most: usize) -> String {
        (0..self.below(most)).map(|_| self.pick(PIECES)).collect()
    }
}
