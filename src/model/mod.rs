//! Decoders on candle: configuration, weights, tokenizer, key–value cache, sampling.

mod cache;
mod chat;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_codes.rs")]
mod codes;
mod config;
mod config_json;
mod decoder;
mod device;
mod embedded;
mod error;
mod files;
mod gemm;
mod gguf;
mod gguf_tokenizer;
mod kernels;
mod linear;
mod load;
mod lora;
pub mod ops;
mod peft;
mod rotary;
mod sample;
mod threads;
mod tokenizer;
mod var;
mod weights;

pub use cache::KvCache;
pub use chat::{ChatTemplate, Message, prompt};
pub use codes::Codes;
pub use config::{Config, RopeScaling};
pub use config_json::{FAMILIES, parse_config};
pub use decoder::{Decoder, Packed};
pub use device::{DeviceChoice, compute_dtype, device_name};
pub use embedded::{embedded_policy, embedded_reward};
pub use error::ModelError;
pub use files::{ModelFiles, OpenModel};
pub use gguf::{GgufFile, GgufSource};
pub use kernels::{Heads, Rotary};
pub use linear::Lora;
pub use load::{Progress, SafetensorsSource};
pub use lora::{LoraConfig, LoraSource, Merged, TARGETS};
pub use peft::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, PeftConfig, peft_name};
pub use sample::{Drawn, Sampler, check_sampling, measure};
pub use tokenizer::{Decoded, END_TOKEN, Encoded, PAD_TOKEN, StreamDecoder, TextTokenizer};
pub use var::VarStore;
pub use weights::{LinearWeight, WeightSource};
