//! Decoders on candle: configuration, weights, tokenizer, key–value cache, sampling.

mod compute;
mod config;
mod decode;
mod device;
mod error;
mod files;
mod lora;
mod more;
mod recommended;
mod text;
mod var;
mod weights;

pub use compute::{Codes, Heads, Kind, Lora, Rotary, ops};
pub use config::{Activation, Config, Experts, Layer, Norms, RopeScaling, Variant};
pub use decode::{Decoder, Drawn, KvCache, Packed, Sampler, check_sampling, measure, measure_all};
pub use device::{DeviceChoice, compute_dtype, device_name};
pub use error::ModelError;
pub use files::{
    ADAPTER_CONFIG, ADAPTER_WEIGHTS, FAMILIES, GgufFile, GgufSource, Look, MORE_FAMILIES, ModelFiles, OpenModel, PeftConfig, Progress,
    REWARD_HEADS, SafetensorsSource, embedded_policy, embedded_reward, parse_config, peft_name,
};
pub use lora::{LoraConfig, LoraSource, Merged, TARGETS};
pub use more::{Growing, More, more_family};
pub use recommended::Recommended;
pub use text::{
    ChatOptions, ChatTemplate, Decoded, Dialogue, END_TOKEN, Encoded, Message, Moment, PAD_TOKEN, StreamDecoder, TextTokenizer, prompt,
};
pub use var::VarStore;
pub use weights::{LinearWeight, WeightSource};
