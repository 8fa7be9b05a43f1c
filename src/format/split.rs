//! Records out of a byte stream, without holding more than one of them.

use memchr::{memchr, memchr2};

/// The longest record that is read, in bytes.
pub(super) const LONGEST: usize = 256 << 20;

/// A record's bytes, with outer whitespace trimmed, and where they stand in the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece<'a> {
    pub offset: u64,
    /// Empty where the record is longer than [`LONGEST`].
    pub bytes: &'a [u8],
    /// 1-based line or record.
    pub number: u32,
    pub too_long: bool,
}

/// How records are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One a line.
    Lines,
    /// Elements of a JSON array, or JSON values one after another over any number of lines.
    Values,
    /// Elements of the JSON array that begins at this place of the stream; what follows it is something else.
    Inside(u64),
}

impl Layout {
    pub fn unit(self) -> &'static str {
        match self {
            Self::Lines => "line",
            Self::Values | Self::Inside(_) => "record",
        }
    }
}

/// Cuts a stream that comes in chunks.
#[derive(Debug)]
pub(super) struct Splitter {
    layout: Layout,
    longest: usize,
    /// Stream offset of the next byte to come.
    at: u64,
    /// Beginning of a record that a chunk left unfinished, and its offset.
    carry: Vec<u8>,
    start: u64,
    number: u32,
    too_long: bool,
    /// `Values`: depth of the value being read, 0 between values.
    depth: usize,
    in_value: bool,
    in_string: bool,
    escaped: bool,
    in_array: Option<bool>,
    /// `Inside`: the array has ended.
    closed: bool,
}

impl Splitter {
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            longest: LONGEST,
            at: 0,
            carry: Vec::new(),
            start: 0,
            number: 0,
            too_long: false,
            depth: 0,
            in_value: false,
            in_string: false,
            escaped: false,
            in_array: None,
            closed: false,
        }
    }

    /// Goes on after the record of this number, which ended at `at`.
    pub fn after(layout: Layout, at: u64, number: u32, in_array: bool) -> Self {
        // The end of the record's line is still to come.
        let number = if layout == Layout::Lines { number.saturating_sub(1) } else { number };
        Self { at, number, in_array: Some(in_array), ..Self::new(layout) }
    }

    /// Whether records are elements of an array.
    pub fn is_in_array(&self) -> bool {
        self.in_array == Some(true) || self.closed
    }

    /// Where the next byte to come stands.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The record that the stream has begun and not ended.
    pub fn unfinished(&self) -> &[u8] {
        &self.carry
    }

    /// Hands every record that `chunk` completes to `sink`. Blank lines are counted and not handed on.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        match self.layout {
            Layout::Lines => self.feed_lines(chunk, sink),
            Layout::Values => self.feed_values(chunk, sink),
            Layout::Inside(from) => {
                let before = usize::try_from(from.saturating_sub(self.at)).unwrap_or(usize::MAX).min(chunk.len());
                self.at += before as u64;
                if !self.closed {
                    self.feed_values(&chunk[before..], sink);
                }
            }
        }
    }

    /// Hands on what the end of the stream completes. True where the stream ended inside an array.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Piece<'_>)) -> bool {
        if !self.carry.is_empty() || self.too_long {
            self.number += 1;
            let carry = std::mem::take(&mut self.carry);
            self.emit(&carry, self.start, sink);
        }
        self.in_array == Some(true)
    }

    fn emit(&mut self, bytes: &[u8], offset: u64, sink: &mut dyn FnMut(Piece<'_>)) {
        let mut lead = bytes.iter().take_while(|b| b.is_ascii_whitespace()).count();
        if offset == 0 && bytes[lead..].starts_with(b"\xef\xbb\xbf") {
            lead += 3;
            lead += bytes[lead..].iter().take_while(|b| b.is_ascii_whitespace()).count();
        }
        let bytes = bytes[lead..].trim_ascii();
        let too_long = std::mem::take(&mut self.too_long);
        if too_long || !bytes.is_empty() {
            sink(Piece { offset: offset + lead as u64, bytes: if too_long { &[] } else { bytes }, number: self.number, too_long });
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long {
            return;
        }
        if self.carry.len() + bytes.len() > self.longest {
            self.too_long = true;
            self.carry = Vec::new();
        } else {
            self.carry.extend_from_slice(bytes);
        }
    }

    fn feed_lines(&mut self, chunk: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        let mut rest = chunk;
        while let Some(end) = memchr(b'\n', rest) {
            self.number += 1;
            if self.carry.is_empty() && !self.too_long {
                self.emit(&rest[..end], self.at, sink);
            } else {
                self.keep(&rest[..end]);
                let mut carry = std::mem::take(&mut self.carry);
                self.emit(&carry, self.start, sink);
                if carry.capacity() <= 1 << 20 {
                    carry.clear();
                    self.carry = carry;
                }
            }
            self.at += end as u64 + 1;
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            if self.carry.is_empty() && !self.too_long {
                self.start = self.at;
            }
            self.keep(rest);
            self.at += rest.len() as u64;
        }
    }

    fn feed_values(&mut self, chunk: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        let mut from = 0;
        let mut i = 0;
        while i < chunk.len() {
            let b = chunk[i];
            if !self.in_value {
                match b {
                    b'[' if self.in_array.is_none() => self.in_array = Some(true),
                    b']' if self.in_array == Some(true) => {
                        self.in_array = Some(false);
                        if matches!(self.layout, Layout::Inside(_)) {
                            self.closed = true;
                            return;
                        }
                    }
                    b',' | 0xef | 0xbb | 0xbf => {}
                    b if b.is_ascii_whitespace() => {}
                    _ => {
                        self.in_array.get_or_insert(false);
                        (self.in_value, self.start, from) = (true, self.at + i as u64, i);
                        continue;
                    }
                }
                i += 1;
                continue;
            }
            // `ended`: whether the value is over, and whether this byte is still its own
            let mut ended = None;
            if self.in_string {
                // most of a text is neither an end nor an escape
                if !self.escaped && b != b'"' && b != b'\\' {
                    i += memchr2(b'"', b'\\', &chunk[i..]).unwrap_or(chunk.len() - i);
                    continue;
                }
                match b {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_string = false;
                        ended = (self.depth == 0).then_some(true);
                    }
                    _ => {}
                }
            } else {
                match b {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' if self.depth > 0 => {
                        self.depth -= 1;
                        ended = (self.depth == 0).then_some(true);
                    }
                    b'}' | b']' | b',' if self.depth == 0 => ended = Some(false),
                    b if self.depth == 0 && b.is_ascii_whitespace() => ended = Some(false),
                    _ => {}
                }
            }
            i += 1;
            if let Some(own) = ended {
                // a stray closing bracket would otherwise never be passed
                let end = if own || i - 1 == from && self.carry.is_empty() { i } else { i - 1 };
                self.keep(&chunk[from..end]);
                self.number += 1;
                let carry = std::mem::take(&mut self.carry);
                self.emit(&carry, self.start, sink);
                self.in_value = false;
                i = end;
            }
        }
        if self.in_value {
            self.keep(&chunk[from.min(chunk.len())..]);
        }
        self.at += chunk.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(layout: Layout, text: &[u8], chunk: usize, longest: usize) -> (Vec<(u64, String, u32, bool)>, bool) {
        let mut out = Vec::new();
        let mut splitter = Splitter { longest, ..Splitter::new(layout) };
        let mut sink = |p: Piece<'_>| out.push((p.offset, String::from_utf8_lossy(p.bytes).into_owned(), p.number, p.too_long));
        for part in text.chunks(chunk) {
            splitter.feed(part, &mut sink);
        }
        let open = splitter.finish(&mut sink);
        (out, open)
    }

    #[test]
    fn records_do_not_depend_on_chunks() {
        let texts: [&[u8]; 9] = [
            b"\xef\xbb\xbf{\"a\":1}\r\n\n  {\"b\":\"x\\n\"} \n{\"c\"",
            b"\xef\xbb\xbf [ {\"a\": \"]}\\\"\", \"b\": [1, {}]} ,\n {\"c\":2}, 3, \"s,\" ]\n",
            b"{\n \"a\": 1\n}\n{\n \"b\": [\n2]}",
            b"[{\"a\":1}, {\"b\"",
            b"]}[ ,,",
            b"",
            b"\n\n",
            b"x}y]",
            b"{\"a\": 1, \"b\": [ {\"c\": \"\\\"]\"}, {}], \"d\": [{}]}",
        ];
        for text in texts {
            for layout in [Layout::Lines, Layout::Values, Layout::Inside(14)] {
                let whole = pieces(layout, text, usize::MAX, LONGEST);
                for chunk in 1..=text.len() {
                    assert_eq!(pieces(layout, text, chunk, LONGEST), whole, "{layout:?} {:?} by {chunk}", String::from_utf8_lossy(text));
                }
                for (offset, shown, _, _) in &whole.0 {
                    assert!(text[*offset as usize..].starts_with(shown.as_bytes()));
                }
            }
        }
    }

    #[test]
    fn lines_are_counted_with_blank_ones() {
        let (lines, _) = pieces(Layout::Lines, b"\xef\xbb\xbfa\r\n\n b \nc", 3, LONGEST);
        assert_eq!(lines, [(3, "a".into(), 1, false), (8, "b".into(), 3, false), (11, "c".into(), 4, false)]);
    }

    #[test]
    fn arrays_and_bare_values_are_cut() {
        let (values, open) = pieces(Layout::Values, b"[{\"a\": \"]}\\\"\"}, 3, [1], \"s,\"]", 2, LONGEST);
        let shown: Vec<&str> = values.iter().map(|v| v.1.as_str()).collect();
        assert_eq!(shown, ["{\"a\": \"]}\\\"\"}", "3", "[1]", "\"s,\""]);
        assert!(!open);
        let (values, open) = pieces(Layout::Values, b"[{\"a\":1}, {\"b\"", 4, LONGEST);
        assert_eq!((values.len(), open), (2, true));
    }

    #[test]
    fn a_list_inside_ends_where_it_ends() {
        let text = b"{\"a\": [1], \"b\": [ {\"c\": 1}, {}], \"d\": [{}]}";
        let (values, open) = pieces(Layout::Inside(16), text, 3, LONGEST);
        assert_eq!(values.iter().map(|v| (v.1.as_str(), v.2)).collect::<Vec<_>>(), [("{\"c\": 1}", 1), ("{}", 2)]);
        assert!(!open && pieces(Layout::Inside(16), &text[..28], 3, LONGEST).1);
    }

    #[test]
    fn a_stream_goes_on_after_its_last_record() {
        for (layout, text, cut) in [
            (Layout::Lines, &b"\n{}\n[1]\n\n2\n"[..], 3),
            (Layout::Values, b"[ {}, [1],2]", 4),
            (Layout::Inside(5), b"{\"a\":[{},[1]]}", 8),
        ] {
            let (whole, _) = pieces(layout, text, 100, LONGEST);
            let in_array = layout != Layout::Lines;
            let (mut rest, mut splitter) = (Vec::new(), Splitter::after(layout, cut, whole[0].2, in_array));
            let mut sink = |p: Piece<'_>| rest.push((p.offset, String::from_utf8_lossy(p.bytes).into_owned(), p.number, p.too_long));
            splitter.feed(&text[cut as usize..], &mut sink);
            splitter.finish(&mut sink);
            assert_eq!(rest, whole[1..], "{layout:?}");
        }
    }

    #[test]
    fn a_record_too_long_is_named_and_passed() {
        let (lines, _) = pieces(Layout::Lines, b"ab\n0123456789\ncd\n", 4, 5);
        assert_eq!(lines.iter().map(|l| (l.1.as_str(), l.2, l.3)).collect::<Vec<_>>(), [("ab", 1, false), ("", 2, true), ("cd", 3, false)]);
    }
}
