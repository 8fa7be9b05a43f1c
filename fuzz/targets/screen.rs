//! The inspector on any native trace, at any size, by any keys: a line of keys, then the lines of a file. Nothing that a terminal would obey is drawn.
#![no_main]

#[allow(dead_code)]
#[path = "../../tests/all/tui_fixture.rs"]
mod tui_fixture;

use libfuzzer_sys::fuzz_target;
use reasonscope::collection::{Collection, Options};
use reasonscope::trace::Trace;
use reasonscope::tui::parse_keys;
use reasonscope_fuzz::{file, is_raw, parts};
use tui_fixture::{Screen, Setup};

fn check(screen: &mut Screen) {
    screen.draw().content().iter().for_each(|cell| assert!(!cell.symbol().contains(|c: char| is_raw(c) || c == '\n'), "{cell:?}"));
}

fuzz_target!(|data: &[u8]| {
    let [keys, content] = parts(data)[..] else { return };
    let path = file("screen.jsonl", content);
    let Ok(collection) = Collection::open(&[path.to_str().expect("a path")], &Options::default()) else { return };
    collection.wait_all();
    let traces: Vec<Trace> = (0..collection.len().min(8)).filter_map(|i| collection.read(i).ok()).collect();
    if traces.is_empty() {
        return;
    }
    let size = (1 + data.len() as u16 % 97, 1 + data.len() as u16 % 31);
    let mut screen = Screen::with(Setup { size, ascii: data.len() % 3 == 0, ..Setup::default() }, traces);
    check(&mut screen);
    let keys = String::from_utf8_lossy(keys);
    for key in keys.chars().take(24) {
        let key = if key == '\n' { "<ret>".to_owned() } else { key.to_string() };
        // Keys that end it, and what is no key, are left out.
        if !key.trim().is_empty() && !matches!(key.as_str(), "q" | "Q") && parse_keys(&key).is_some() {
            screen.keys(&key);
            check(&mut screen);
        }
    }
});
