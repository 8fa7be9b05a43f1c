//! Memory for weights, in large pages where the system has them: a product reads all of it, and with small pages waits for their addresses.

use std::ops::{Deref, DerefMut};

/// Bytes of a large page.
const PAGE: usize = 2 << 20;

/// Zeroed bytes that begin at the border of a large page where they are many.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    pub(super) fn zeroed(len: usize) -> Self {
        if len < PAGE {
            return Self { bytes: vec![0; len], start: 0, len };
        }
        let bytes = vec![0; len + PAGE];
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        let mut this = Self { bytes, start, len };
        in_large_pages(&mut this);
        this
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

/// Asks for large pages; without them everything works as well, more slowly.
#[cfg(target_os = "linux")]
fn in_large_pages(bytes: &mut [u8]) {
    // SAFETY: this changes how the pages of memory that is ours are held, not what is in them; it begins at the border of one.
    unsafe { libc::madvise(bytes.as_mut_ptr().cast(), bytes.len(), libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn in_large_pages(_: &mut [u8]) {}
