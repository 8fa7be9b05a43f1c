//! Several files about the same problems: put side by side as one collection, and joined.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::collection::{Collection, Options};
use reasonscope::format::join;
use reasonscope_fuzz::{check_trace, file, parts};

fuzz_target!(|data: &[u8]| {
    let files = parts(data).into_iter().take(3).enumerate();
    let paths: Vec<String> = files.map(|(i, bytes)| file(&format!("{i}.jsonl"), bytes).display().to_string()).collect();
    if let Ok(collection) = Collection::open(&paths, &Options::default()) {
        collection.wait_all();
        for index in 0..collection.len() {
            let _ = collection.read(index).map(|trace| check_trace(&trace));
        }
    }
    if let Ok(joined) = join(&paths) {
        joined.traces.iter().for_each(check_trace);
        joined.errors.iter().for_each(|e| drop(e.to_string()));
    }
});
