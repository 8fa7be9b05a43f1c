//! UTF-16 text as UTF-8.

use std::io::{self, Read};

/// The order of the two bytes of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

/// The order of UTF-16 text that begins so: by its mark, or by the zeros beside the characters that JSON begins with; `None`: it is something else.
pub(super) fn order(head: &[u8]) -> Option<Order> {
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => None,
        [0xff, 0xfe, ..] => Some(Order::Little),
        [0xfe, 0xff, ..] => Some(Order::Big),
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Some(Order::Little),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Some(Order::Big),
        _ => None,
    }
}

/// Reads UTF-16 and gives UTF-8; half a pair becomes U+FFFD, a mark at the beginning is left out.
pub(super) struct Utf8<R> {
    raw: R,
    order: Order,
    /// A byte, or the first half of a pair, that waits for what follows it.
    byte: Option<u8>,
    high: Option<u16>,
    begun: bool,
    ended: bool,
    out: Vec<u8>,
    given: usize,
}

impl<R: Read> Utf8<R> {
    pub fn new(raw: R, order: Order) -> Self {
        Self { raw, order, byte: None, high: None, begun: false, ended: false, out: Vec::new(), given: 0 }
    }

    fn put(&mut self, c: char) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn unit(&mut self, unit: u16) {
        if let Some(high) = self.high.take() {
            if let Some(Ok(c)) = char::decode_utf16([high, unit]).next()
                && (0xdc00..0xe000).contains(&unit)
            {
                return self.put(c);
            }
            self.put(char::REPLACEMENT_CHARACTER);
        }
        match unit {
            0xfeff if !self.begun => {}
            0xd800..0xdc00 => self.high = Some(unit),
            _ => self.put(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
        self.begun = true;
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while self.given == self.out.len() && !self.ended {
            self.out.clear();
            self.given = 0;
            let mut chunk = [0; 1 << 14];
            let n = self.raw.read(&mut chunk)?;
            for &byte in &chunk[..n] {
                match (self.byte.take(), self.order) {
                    (None, _) => self.byte = Some(byte),
                    (Some(first), Order::Little) => self.unit(u16::from_le_bytes([first, byte])),
                    (Some(first), Order::Big) => self.unit(u16::from_be_bytes([first, byte])),
                }
            }
            if n == 0 {
                self.ended = true;
                if self.byte.take().is_some() || self.high.take().is_some() {
                    self.put(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        let n = (self.out.len() - self.given).min(into.len());
        into[..n].copy_from_slice(&self.out[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_same_with_and_without_a_mark_and_by_any_pieces() {
        let text = "{\"a\": \"é 日 😀\"}\r\n";
        for big in [false, true] {
            let bytes =
                |units: &[u16]| -> Vec<u8> { units.iter().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect() };
            for marked in [false, true] {
                let units: Vec<u16> = marked.then_some(0xfeff).into_iter().chain(text.encode_utf16()).collect();
                let raw = bytes(&units);
                let order = order(&raw).unwrap();
                assert_eq!(order == Order::Big, big);
                let mut read = String::new();
                let (first, rest) = raw.split_at(7);
                Utf8::new(first.chain(&rest[..8]).chain(&rest[8..]), order).read_to_string(&mut read).unwrap();
                assert_eq!(read, text);
            }
            let half = bytes(&[0x7b, 0xd83d, 0x7d, 0xde00, 0xd83d]);
            let mut read = String::new();
            Utf8::new(half.as_slice(), order(&bytes(&[0x7b, 0x7d])).unwrap()).read_to_string(&mut read).unwrap();
            assert_eq!(read, "{\u{FFFD}}\u{FFFD}\u{FFFD}");
        }
        assert_eq!(order(b"{\"a\":1}"), None);
        assert_eq!(order(b"\xff\xfe\0\0{\0\0\0"), None, "UTF-32");
    }
}
