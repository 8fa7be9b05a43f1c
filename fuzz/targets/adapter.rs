//! A LoRA adapter over a small model: `adapter_config.json`, `adapter_model.safetensors` and `tokenizer_config.json`, a part each.
#![no_main]

use candle_core::{DType, Device};
use libfuzzer_sys::fuzz_target;
use reasonscope::model::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, Decoder, ModelFiles, Packed, PeftConfig};
use reasonscope_fuzz::{file, folder, parts};
use std::path::Path;
use std::sync::Once;

const CONFIG: &[u8] = include_bytes!("../../tests/fixtures/llama-tied/config.json");
const WEIGHTS: &[u8] = include_bytes!("../../tests/fixtures/llama-tied/model.safetensors");

fuzz_target!(|data: &[u8]| {
    static BASE: Once = Once::new();
    BASE.call_once(|| {
        file("adapter/base/config.json", CONFIG);
        file("adapter/base/model.safetensors", WEIGHTS);
        // No path of the adapter leads anywhere else: the working directory is empty.
        std::fs::create_dir_all(folder().join("nowhere"))
            .and_then(|()| std::env::set_current_dir(folder().join("nowhere")))
            .expect("a folder");
    });
    let parts = parts(data);
    if let Ok(config) = PeftConfig::parse(parts[0], Path::new(ADAPTER_CONFIG)) {
        let again =
            PeftConfig::parse(config.to_json().to_string().as_bytes(), Path::new(ADAPTER_CONFIG)).expect("what was written is read");
        assert_eq!(again.lora.target_modules(), config.lora.target_modules());
    }
    file(&format!("adapter/{ADAPTER_CONFIG}"), parts[0]);
    file(&format!("adapter/{ADAPTER_WEIGHTS}"), parts.get(1).unwrap_or(&&b""[..]));
    let Ok(files) = ModelFiles::open(&folder().join("adapter")) else { return };
    // The base has no tokenizer, so a model that loads says so; its weights are what is of interest.
    let _ = files.load(&Device::Cpu, DType::F32, None).map(|open| {
        let decoder = Decoder::load(&open.config, open.weights.as_ref(), &mut |_| {});
        let _ = decoder.and_then(|d| d.forward(&Packed { ids: vec![0, 1, 0], lens: vec![3] }));
    });
});
