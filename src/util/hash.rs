//! Hashes: FNV-1a for identities that files and seeds depend on, SHA-256 for bytes from elsewhere.

use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// What FNV-1a begins with.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// The 64-bit FNV-1a hash of some bytes (Fowler, Noll, Vo). Files, seeds and checkpoints depend on its values: it must stay as it is.
pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    fnv1a_on(OFFSET, bytes)
}

/// The hash after more bytes than those that led to `hash`; `fnv1a_on(fnv1a(a), b)` is the hash of `a` and `b` in a row.
pub fn fnv1a_on(hash: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(hash, |h, b| (h ^ u64::from(b)).wrapping_mul(PRIME))
}

/// The hash of some bytes among others that `salt` tells apart: the same bytes have another hash under another salt.
pub fn fnv1a_salted(salt: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    fnv1a_on(OFFSET ^ salt, bytes)
}

/// The SHA-256 of everything that is left to read, as 64 hexadecimal digits (FIPS 180-4).
pub fn sha256(reader: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => hash.update(&chunk[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        // http://www.isthe.com/chongo/tech/comp/fnv: test vectors of the 64-bit FNV-1a
        for (text, hash) in [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8_u64)] {
            assert_eq!(fnv1a(text.bytes()), hash, "{text}");
        }
        assert_eq!(fnv1a_on(fnv1a("foo".bytes()), "bar".bytes()), fnv1a("foobar".bytes()));
        assert_ne!(fnv1a_salted(1, "foobar".bytes()), fnv1a_salted(2, "foobar".bytes()));
        // FIPS 180-4, the example of one block
        let abc = sha256(&mut &b"abc"[..]).unwrap();
        assert_eq!(abc, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
