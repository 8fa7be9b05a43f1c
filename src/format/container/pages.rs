//! Pages of Parquet columns that are packed with Zstandard: the parquet crate unpacks those with a C library only, so they are unpacked here.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::ChunkReader;
use ruzstd::decoding::StreamingDecoder;
use std::io::Read;
use std::sync::Arc;

/// The longest page that is unpacked, in bytes.
const LONGEST: usize = 1 << 30;
/// The longest header of a page; statistics in it may hold whole values.
const HEADER: usize = 1 << 20;

/// Kinds of pages.
const DATA: i32 = 0;
const DICTIONARY: i32 = 2;
const DATA_V2: i32 = 3;

/// Reads the pages of one column of a row group.
pub(super) struct Pages<R> {
    file: Arc<R>,
    /// The next byte, and the end of the column.
    at: u64,
    end: u64,
    /// Values of data pages that are still to come.
    values: i64,
    next: Option<Header>,
}

#[derive(Clone, Debug, Default)]
struct Header {
    kind: i32,
    unpacked: usize,
    packed: usize,
    page: Inner,
}

/// What the header of a page says of its values.
#[derive(Clone, Debug, Default)]
struct Inner {
    values: u32,
    nulls: u32,
    rows: u32,
    encoding: i32,
    definition: i32,
    repetition: i32,
    packed: bool,
    sorted: bool,
}

fn fail(what: impl Into<String>) -> ParquetError {
    ParquetError::General(what.into())
}

impl<R: ChunkReader> Pages<R> {
    /// Of a column that the metadata of the file place inside it.
    pub fn new(file: Arc<R>, column: &ColumnChunkMetaData) -> Result<Self> {
        let (start, len) = column.byte_range();
        let end =
            start.checked_add(len).filter(|end| *end <= file.len()).ok_or_else(|| fail("a column is said to lie outside of the file"))?;
        Ok(Self { file, at: start, end, values: column.num_values(), next: None })
    }

    fn header(&mut self) -> Result<Option<&Header>> {
        if self.next.is_none() && self.values > 0 && self.at < self.end {
            let mut most = 1 << 10;
            let (header, used) = loop {
                let len = most.min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
                let bytes = self.file.get_bytes(self.at, len)?;
                let mut thrift = Thrift { bytes: &bytes, at: 0, depth: 0 };
                match thrift.header() {
                    Some(header) => break (header, thrift.at),
                    None if len < most || most >= HEADER => return Err(fail("the header of a page is damaged")),
                    None => most *= 8,
                }
            };
            self.at += used as u64;
            if header.packed as u64 > self.end - self.at || header.unpacked > LONGEST {
                return Err(fail("a page is said to be longer than its column"));
            }
            self.next = Some(header);
        }
        Ok(self.next.as_ref())
    }

    fn page(&mut self) -> Result<Option<Page>> {
        loop {
            self.header()?;
            let Some(header) = self.next.take() else { return Ok(None) };
            let packed = self.file.get_bytes(self.at, header.packed)?;
            self.at += header.packed as u64;
            let Inner { values, nulls, rows, encoding, definition, repetition, packed: is_packed, sorted } = header.page;
            let encoding = encoding_of(encoding)?;
            match header.kind {
                DATA => {
                    self.values -= i64::from(values);
                    let (def_level_encoding, rep_level_encoding) = (encoding_of(definition)?, encoding_of(repetition)?);
                    let buf = unpack(&packed, header.unpacked)?;
                    return Ok(Some(Page::DataPage {
                        buf,
                        num_values: values,
                        encoding,
                        def_level_encoding,
                        rep_level_encoding,
                        statistics: None,
                    }));
                }
                DATA_V2 => {
                    self.values -= i64::from(values);
                    let length = |n: i32| u32::try_from(n).map_err(|_| fail("a page has levels of a negative length"));
                    let (def_levels_byte_len, rep_levels_byte_len) = (length(definition)?, length(repetition)?);
                    let levels = def_levels_byte_len as usize + rep_levels_byte_len as usize;
                    if levels > packed.len() || levels > header.unpacked {
                        return Err(fail("the levels of a page are said to be longer than the page"));
                    }
                    let buf = match is_packed && packed.len() > levels {
                        true => [&packed[..levels], &unpack(&packed[levels..], header.unpacked - levels)?].concat().into(),
                        false => packed,
                    };
                    let (num_values, num_nulls, num_rows) = (values, nulls, rows);
                    return Ok(Some(Page::DataPageV2 {
                        buf,
                        num_values,
                        encoding,
                        num_nulls,
                        num_rows,
                        def_levels_byte_len,
                        rep_levels_byte_len,
                        is_compressed: false,
                        statistics: None,
                    }));
                }
                DICTIONARY => {
                    let buf = unpack(&packed, header.unpacked)?;
                    return Ok(Some(Page::DictionaryPage { buf, num_values: values, encoding, is_sorted: sorted }));
                }
                // an index
                _ => {}
            }
        }
    }
}

/// Unpacks what is said to be `len` bytes.
fn unpack(packed: &[u8], len: usize) -> Result<Bytes> {
    if len == 0 {
        return Ok(Bytes::new());
    }
    let damaged = |e: &dyn std::fmt::Display| fail(format!("a page's Zstandard data are damaged ({e})"));
    let mut out = Vec::new();
    StreamingDecoder::new(packed).map_err(|e| damaged(&e))?.take(len as u64 + 1).read_to_end(&mut out).map_err(|e| damaged(&e))?;
    if out.len() == len { Ok(out.into()) } else { Err(fail(format!("a page is said to hold {len} bytes and holds {}", out.len()))) }
}

fn encoding_of(number: i32) -> Result<Encoding> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        #[allow(deprecated, reason = "old files have it")]
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        other => return Err(fail(format!("a page has the encoding {other}, which is none"))),
    })
}

impl<R: ChunkReader> Iterator for Pages<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl<R: ChunkReader> PageReader for Pages<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.page();
        if page.is_err() {
            self.values = 0;
        }
        page
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let header = self.header()?;
        Ok(header.map(|h| PageMetadata {
            num_rows: (h.kind == DATA_V2).then_some(h.page.rows as usize),
            num_levels: (h.kind != DICTIONARY).then_some(h.page.values as usize),
            is_dict: h.kind == DICTIONARY,
        }))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.page().map(|_| ())
    }
}

/// The compact protocol of Thrift, as far as the header of a page needs it: <https://github.com/apache/parquet-format>.
struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

const TRUE: u8 = 1;
const STRUCT: u8 = 12;

impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn integer(&mut self) -> Option<i32> {
        let n = self.varint()?;
        i32::try_from((n >> 1) as i64 ^ -((n & 1) as i64)).ok()
    }

    /// The next field's number and type; type 0 is the end.
    fn field(&mut self, last: i16) -> Option<(i16, u8)> {
        let head = self.byte()?;
        let kind = head & 0x0f;
        if kind == 0 {
            return Some((0, 0));
        }
        let number = match head >> 4 {
            0 => i16::try_from(self.integer()?).ok()?,
            step => last.checked_add(step.into())?,
        };
        Some((number, kind))
    }

    fn skip(&mut self, kind: u8) -> Option<()> {
        self.depth += 1;
        if self.depth > 16 {
            return None;
        }
        match kind {
            1 | 2 => {}
            3 => {
                self.byte()?;
            }
            4..=6 => {
                self.varint()?;
            }
            7 => self.skip_bytes(8)?,
            8 => {
                let len = self.varint()?;
                self.skip_bytes(usize::try_from(len).ok()?)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let len = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                for _ in 0..len {
                    // Truth values in a list take a byte.
                    self.skip(if head & 0x0f <= 2 { 3 } else { head & 0x0f })?;
                }
            }
            STRUCT => {
                let mut last = 0;
                loop {
                    let (number, kind) = self.field(last)?;
                    if kind == 0 {
                        break;
                    }
                    self.skip(kind)?;
                    last = number;
                }
            }
            _ => return None,
        }
        self.depth -= 1;
        Some(())
    }

    fn skip_bytes(&mut self, len: usize) -> Option<()> {
        self.at = self.at.checked_add(len).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    fn header(&mut self) -> Option<Header> {
        let mut header = Header { kind: -1, ..Header::default() };
        let mut last = 0;
        loop {
            let (number, kind) = self.field(last)?;
            match (number, kind) {
                (_, 0) => break,
                (1, 5) => header.kind = self.integer()?,
                (2, 5) => header.unpacked = usize::try_from(self.integer()?).ok()?,
                (3, 5) => header.packed = usize::try_from(self.integer()?).ok()?,
                (5 | 7 | 8, STRUCT) => header.page = self.inner(number)?,
                _ => self.skip(kind)?,
            }
            last = number;
        }
        (header.kind >= 0).then_some(header)
    }

    /// The header of a data page (5), of a dictionary (7) or of a data page of version 2 (8).
    fn inner(&mut self, of: i16) -> Option<Inner> {
        let mut inner = Inner { packed: true, ..Inner::default() };
        let mut last = 0;
        loop {
            let (number, kind) = self.field(last)?;
            match (of, number, kind) {
                (_, _, 0) => return Some(inner),
                (_, 1, 5) => inner.values = u32::try_from(self.integer()?).ok()?,
                (5 | 7, 2, 5) | (8, 4, 5) => inner.encoding = self.integer()?,
                (5, 3, 5) | (8, 5, 5) => inner.definition = self.integer()?,
                (5, 4, 5) | (8, 6, 5) => inner.repetition = self.integer()?,
                (7, 3, _) => inner.sorted = kind == TRUE,
                (8, 2, 5) => inner.nulls = u32::try_from(self.integer()?).ok()?,
                (8, 3, 5) => inner.rows = u32::try_from(self.integer()?).ok()?,
                (8, 7, _) => inner.packed = kind == TRUE,
                _ => self.skip(kind)?,
            }
            last = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_whole_or_not_at_all() {
        // A data page of 3 values, with statistics (field 5 of its header) that are skipped.
        let bytes = [0x15, 0, 0x15, 40, 0x15, 20, 0x2c, 0x15, 6, 0x15, 16, 0x15, 6, 0x15, 6, 0x1c, 0x18, 2, b'a', b'b', 0, 0, 0, 99];
        let mut thrift = Thrift { bytes: &bytes, at: 0, depth: 0 };
        let header = thrift.header().unwrap();
        assert_eq!((header.kind, header.unpacked, header.packed, thrift.at), (0, 20, 10, bytes.len() - 1));
        assert_eq!((header.page.values, header.page.encoding, header.page.definition, header.page.repetition), (3, 8, 3, 3));
        for cut in 0..bytes.len() - 1 {
            assert!(Thrift { bytes: &bytes[..cut], at: 0, depth: 0 }.header().is_none(), "{cut}");
        }
        let deep = [0x1c; 1000];
        assert!(Thrift { bytes: &deep, at: 0, depth: 0 }.header().is_none());
    }

    #[test]
    fn a_page_is_as_long_as_it_says() {
        let packed = ruzstd::encoding::compress_to_vec(&b"some text"[..], ruzstd::encoding::CompressionLevel::Fastest);
        assert_eq!(unpack(&packed, 9).unwrap(), Bytes::from("some text"));
        assert!(unpack(&packed, 8).is_err() && unpack(&packed, 10).is_err() && unpack(b"x", 1).is_err());
        assert!(unpack(b"", 0).unwrap().is_empty());
    }
}
