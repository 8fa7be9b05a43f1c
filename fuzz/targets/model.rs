//! A model directory: `config.json`, weights in safetensors, `generation_config.json`, `tokenizer_config.json` and the index of shards, a part each; and three
//! tokens through a small decoder made of it.
#![no_main]

use candle_core::{DType, Device};
use libfuzzer_sys::fuzz_target;
use reasonscope::model::{Decoder, KvCache, ModelFiles, Packed, SafetensorsSource};
use reasonscope::train::checkpoint_header;
use reasonscope_fuzz::{file, folder, parts};

const NAMES: [&str; 5] =
    ["config.json", "model.safetensors", "generation_config.json", "tokenizer_config.json", "model.safetensors.index.json"];
const SMALL: usize = 1 << 20;

fn compute(decoder: &Decoder) {
    let ids = [0, 1, 0];
    let whole = decoder.forward(&Packed { ids: ids.to_vec(), lens: vec![3] }).and_then(|hidden| decoder.logits(&hidden));
    let mut cache: KvCache = decoder.cache();
    let row = cache.add_row(None);
    let grown = decoder.forward_cached(&[(row, &ids)], &mut cache);
    assert_eq!(whole.is_ok(), grown.is_ok(), "whole and grown");
}

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    for (i, name) in NAMES.iter().enumerate() {
        match parts.get(i) {
            Some(bytes) if i < 2 || !bytes.is_empty() => drop(file(&format!("model/{name}"), bytes)),
            _ => drop(std::fs::remove_file(folder().join("model").join(name))),
        }
    }
    let _ = parts.get(1).map(|bytes| checkpoint_header(bytes));
    let Ok(files) = ModelFiles::open(&folder().join("model")) else { return };
    let config = files.config().map_err(|e| e.to_string());
    let Ok(weights) = SafetensorsSource::open(&files, &Device::Cpu, DType::F32, None) else { return };
    let _ = (weights.names(), weights.stored());
    let Ok(config) = config else { return };
    if let Ok(decoder) = Decoder::load(&config, &weights, &mut |_| {})
        && decoder.config().parameters() <= SMALL
    {
        compute(&decoder);
    }
});
