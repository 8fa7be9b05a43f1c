//! A reward model's card, and its list of training problems, beside the embedded model's weights.
#![no_main]

use candle_core::Device;
use libfuzzer_sys::fuzz_target;
use reasonscope::model::ModelFiles;
use reasonscope::reward::{LocalReward, RewardCard};
use reasonscope::task::TRAINING_PROBLEMS;
use reasonscope::train::training_problems;
use reasonscope_fuzz::{file, folder, parts};
use std::sync::Once;

const FILES: [(&str, &[u8]); 3] = [
    ("config.json", include_bytes!("../../assets/reward/config.json")),
    ("model.safetensors", include_bytes!("../../assets/reward/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../assets/reward/tokenizer.json")),
];

/// Demonstrations that take too long here.
const MANY: usize = 1000;

fuzz_target!(|data: &[u8]| {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| FILES.iter().for_each(|(name, bytes)| drop(file(&format!("reward/{name}"), bytes))));
    let parts = parts(data);
    file("reward/reward.json", parts[0]);
    match parts.get(1) {
        Some(bytes) => drop(file(&format!("reward/{TRAINING_PROBLEMS}"), bytes)),
        None => drop(std::fs::remove_file(folder().join("reward").join(TRAINING_PROBLEMS))),
    }
    let Ok(card) = serde_json::from_slice::<RewardCard>(parts[0]) else { return };
    let again: RewardCard = serde_json::from_str(&serde_json::to_string(&card).expect("a card can be written")).expect("and read");
    assert_eq!(format!("{again:?}"), format!("{card:?}"));
    let files = ModelFiles::open(&folder().join("reward")).expect("the folder is there");
    // The stories of an honest card are made anew, which takes its time.
    if !(MANY..1 << 24).contains(&card.demonstrations) {
        let _ = training_problems(&files).map_err(|e| e.to_string());
    }
    let _ = LocalReward::open(&files, &Device::Cpu, None).map(|reward| reward.card().name.len());
});
