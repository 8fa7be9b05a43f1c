//! The default models inside the program: a small policy and a small reward model, trained by `samples/recipes/embedded.toml`.

use crate::model::ModelFiles;

macro_rules! files {
    ($folder:literal, $($name:literal),+) => {
        &[$(($name, include_bytes!(concat!("../../../assets/", $folder, "/", $name)) as &[u8])),+]
    };
}

/// The embedded policy.
pub fn embedded_policy() -> ModelFiles {
    ModelFiles::Embedded { name: "embedded policy", files: files!("policy", "config.json", "tokenizer.json", "model.safetensors") }
}

/// The embedded reward model.
pub fn embedded_reward() -> ModelFiles {
    ModelFiles::Embedded {
        name: "embedded reward",
        files: files!("reward", "config.json", "tokenizer.json", "model.safetensors", "reward.json"),
    }
}
