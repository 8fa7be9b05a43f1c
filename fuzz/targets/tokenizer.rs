//! A tokenizer.json, and a text that it reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::model::TextTokenizer;
use reasonscope_fuzz::{check_span, parts};
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    let path = Path::new("tokenizer.json");
    let Ok(mut tokenizer) = TextTokenizer::from_bytes(parts[0], path) else { return };
    let text =
        parts.get(1).map_or_else(|| "Tom has 12 é日.\n\n 3".into(), |t| String::from_utf8_lossy(&t[..t.len().min(300)]).into_owned());
    let _ = tokenizer.apply_config(parts.get(2).unwrap_or(&&b"{}"[..]), path);
    for encoded in [tokenizer.encode(&text, true), tokenizer.encode(&text, false), tokenizer.encode_lines(&text)].into_iter().flatten() {
        assert_eq!(encoded.ids.len(), encoded.spans.len());
        let mut end = 0;
        for span in &encoded.spans {
            check_span(*span, &text);
            assert!(span.start >= end, "{:?}", encoded.spans);
            end = span.end;
        }
        let (decoded, spans) = tokenizer.decode_spans(&encoded.ids);
        assert_eq!(spans.len(), encoded.ids.len());
        assert_eq!(decoded, tokenizer.decode(&encoded.ids));
    }
    let _ = tokenizer.decode(&[0, 1, u32::MAX, tokenizer.vocab_size() as u32]);
    if let Ok(json) = tokenizer.to_json() {
        // Of two tokens with one id, which only a damaged file has, one is written.
        TextTokenizer::from_bytes(json.as_bytes(), path).expect("what was written is a tokenizer");
    }
});
