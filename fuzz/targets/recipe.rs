//! Recipes of training and tables of them, with settings put over the file: a part a setting. A recipe that is read, written and read again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::train::{Recipe, table::Table};
use reasonscope_fuzz::{file, parts};

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    let path = file("recipe.toml", parts[0]);
    let settings: Vec<String> = parts[1..].iter().take(8).map(|p| String::from_utf8_lossy(p).into_owned()).collect();
    if let Ok(recipe) = Recipe::read(&path, &settings) {
        let text = toml::to_string(&recipe).expect("a recipe can be written");
        let again = Recipe::read(&file("again.toml", text.as_bytes()), &[]).expect("what was written is a recipe");
        assert_eq!(format!("{again:?}"), format!("{recipe:?}"));
    }
    if let Ok(Some(table)) = Table::read(&path, &settings) {
        for variant in 0..table.variants.len() {
            let _ = (table.level(variant), table.baseline(variant), table.folder(table.seeds[0], variant));
        }
    }
});
