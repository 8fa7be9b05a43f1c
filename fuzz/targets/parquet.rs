//! Parquet files, as JSON lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::format::to_json_lines;
use reasonscope_fuzz::file;
use std::io::{Error, Write};

/// Takes so many bytes, as a disk does.
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| Error::other("the disk is full"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let _ = to_json_lines(&file("rows.parquet", data), &mut Disk(4 << 20));
});
