//! Models as they lie on the disk: folders with safetensors, GGUF files, adapters, the embedded pair.

mod config_json;
mod embedded;
mod gguf;
mod gguf_tokenizer;
mod look;
mod open;
mod peft;
mod safetensors;

pub use config_json::{FAMILIES, parse_config};
pub use embedded::{embedded_policy, embedded_reward};
pub use gguf::{GgufFile, GgufSource};
pub use look::{Look, REWARD_HEADS};
pub use open::{ModelFiles, OpenModel};
pub use peft::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, PeftConfig, peft_name};
pub use safetensors::{Progress, SafetensorsSource};
