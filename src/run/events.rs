//! Event files that TensorBoard reads: scalars of a run.
//!
//! A file is a sequence of TFRecords (length, masked CRC-32C of the length, bytes, masked CRC-32C of the bytes; `tensorflow/core/lib/io/record_writer.h`),
//! each an `Event` in protobuf's wire format (`tensorflow/core/util/event.proto`, `summary.proto`). The few fields that are used are written by hand.

use super::folder::{RunError, RunFolder};
use crc::{CRC_32_ISCSI, Crc};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// CRC-32C.
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An event file that is being written.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventFile {
    /// Opens a new `events.out.tfevents.<seconds>.<host>.<process>` in a folder; `now` is in seconds since 1970. TensorBoard merges the files of a folder by step.
    pub fn create(folder: &RunFolder, now: f64) -> Result<Self, RunError> {
        let path = folder.events(now, &host(), std::process::id());
        let file = File::create(&path).map_err(|source| RunError::Io { path: path.clone(), source })?;
        let mut events = Self { path, file: BufWriter::new(file) };
        events.event(now, |e| bytes(e, 3, b"brain.Event:2"))?;
        Ok(events)
    }

    /// Writes the scalars of a step, named by their tags; `now` is in seconds since 1970. Values are kept in single precision. What is written is flushed.
    pub fn scalars<'a>(&mut self, now: f64, step: u64, scalars: impl Iterator<Item = (&'a str, f64)>) -> Result<(), RunError> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut scalar = Vec::new();
            bytes(&mut scalar, 1, tag.as_bytes());
            scalar.push(2 << 3 | FIXED_32);
            scalar.extend((value as f32).to_le_bytes());
            bytes(&mut summary, 1, &scalar);
        }
        self.event(now, |e| {
            e.push(2 << 3 | VARINT);
            varint(e, step);
            bytes(e, 5, &summary);
        })
    }

    fn event(&mut self, now: f64, rest: impl FnOnce(&mut Vec<u8>)) -> Result<(), RunError> {
        let mut event = vec![1 << 3 | FIXED_64];
        event.extend(now.to_le_bytes());
        rest(&mut event);
        let length = (event.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(event.len() + 16);
        record.extend(length);
        record.extend(masked(&length));
        record.extend(&event);
        record.extend(masked(&event));
        self.file.write_all(&record).and_then(|()| self.file.flush()).map_err(|source| RunError::Io { path: self.path.clone(), source })
    }
}

const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const DELIMITED: u8 = 2;
const FIXED_32: u8 = 5;

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | DELIMITED);
    varint(out, value.len() as u64);
    out.extend(value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn masked(data: &[u8]) -> [u8; 4] {
    CRC.checksum(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// The machine's name where it can be had without asking it, made fit for a file name.
fn host() -> String {
    let name = std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).unwrap_or_default();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if name.is_empty() { "localhost".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32C bit by bit, from its polynomial, independent of the tables that the writer uses.
    fn crc32c(data: &[u8]) -> u32 {
        !data
            .iter()
            .fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0x82f6_3b78 } else { c >> 1 }))
    }

    fn take<'a>(data: &mut &'a [u8], n: usize) -> &'a [u8] {
        let (head, rest) = data.split_at(n);
        *data = rest;
        head
    }

    fn read_varint(data: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = take(data, 1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    /// Fields of a message: number, and the bytes of the value (a varint as eight).
    fn fields(mut data: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut out = Vec::new();
        while !data.is_empty() {
            let key = read_varint(&mut data);
            let value = match key & 7 {
                0 => read_varint(&mut data).to_le_bytes().to_vec(),
                1 => take(&mut data, 8).to_vec(),
                2 => {
                    let n = read_varint(&mut data) as usize;
                    take(&mut data, n).to_vec()
                }
                5 => take(&mut data, 4).to_vec(),
                kind => panic!("wire type {kind}"),
            };
            out.push((key >> 3, value));
        }
        out
    }

    fn records(mut data: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let unmask = |b: &[u8]| u32::from_le_bytes(b.try_into().unwrap()).wrapping_sub(0xa282_ead8).rotate_left(15);
        while !data.is_empty() {
            let length = take(&mut data, 8);
            assert_eq!(unmask(take(&mut data, 4)), crc32c(length));
            let event = take(&mut data, u64::from_le_bytes(length.try_into().unwrap()) as usize);
            assert_eq!(unmask(take(&mut data, 4)), crc32c(event));
            out.push(event.to_vec());
        }
        out
    }

    #[test]
    fn an_independent_reader_finds_what_was_written() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(&RunFolder::new(dir.path()), 1_700_000_000.5).unwrap();
        events.scalars(1_700_000_001.25, 300, [("rl/reward", 0.5), ("rl/completions/mean_length", f64::NAN)].into_iter()).unwrap();
        let name = events.path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with("events.out.tfevents.1700000000."), "{name}");
        let records = records(&std::fs::read(&events.path).unwrap());
        assert_eq!(records.len(), 2);
        assert_eq!(fields(&records[0]), [(1, 1_700_000_000.5f64.to_le_bytes().to_vec()), (3, b"brain.Event:2".to_vec())]);
        let event = fields(&records[1]);
        assert_eq!(event[0], (1, 1_700_000_001.25f64.to_le_bytes().to_vec()));
        assert_eq!(event[1], (2, 300u64.to_le_bytes().to_vec()));
        assert_eq!(event[2].0, 5);
        let values: Vec<_> = fields(&event[2].1).into_iter().map(|v| (v.0, fields(&v.1))).collect();
        assert_eq!(values[0], (1, vec![(1, b"rl/reward".to_vec()), (2, 0.5f32.to_le_bytes().to_vec())]));
        assert_eq!(values[1].1[0].1, b"rl/completions/mean_length");
        assert!(f32::from_le_bytes(values[1].1[1].1.clone().try_into().unwrap()).is_nan());
    }
}
