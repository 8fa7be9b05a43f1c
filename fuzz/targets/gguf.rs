//! A GGUF file: header, shape, tokenizer, template, weights; and three tokens through a small decoder made of it.
#![no_main]

use candle_core::{DType, Device};
use libfuzzer_sys::fuzz_target;
use reasonscope::model::{Decoder, GgufFile, ModelFiles, Packed};
use reasonscope_fuzz::file;

/// Parameters of the largest decoder that is made: what its file says of its shape must be true by then, so it has as many bytes.
const SMALL: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let path = file("model.gguf", data);
    let Ok(header) = GgufFile::open(&path) else { return };
    let _ = (header.config().map_err(|e| e.to_string()), header.tokenizer().map(|t| header.chat_template(&t).is_ok()), header.stored());
    let Ok(config) = header.config() else { return };
    let source = header.source(&Device::Cpu, DType::F32, None);
    if let Ok(decoder) = Decoder::load(&config, &source, &mut |_| {})
        && decoder.config().parameters() <= SMALL
    {
        let _ = decoder.forward(&Packed { ids: vec![0, 1, 0], lens: vec![3] }).and_then(|hidden| decoder.logits(&hidden));
    }
    let _ = ModelFiles::open(&path).and_then(|files| files.load(&Device::Cpu, DType::F32, None)).map(drop);
});
