//! Models as they lie on the disk: folders with safetensors, GGUF files, adapters, the embedded pair.

mod config;
mod embedded;
mod gguf;
mod look;
mod open;
mod peft;
mod safetensors;

pub(in crate::model) use config::object;
pub use config::{FAMILIES, MORE_FAMILIES, parse_config};
#[cfg(feature = "more-models")]
pub(in crate::model) use config::{Fields, LIMITS};
pub use embedded::{embedded_policy, embedded_reward};
pub use gguf::{GgufFile, GgufSource};
pub use look::{Look, REWARD_HEADS};
pub use open::{ModelFiles, OpenModel};
pub use peft::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, PeftConfig, peft_name};
pub use safetensors::{Progress, SafetensorsSource};
