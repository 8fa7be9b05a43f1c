//! A file of labels: opened, kept with nothing new, and opened again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::tui::Labels;
use reasonscope_fuzz::file;

fuzz_target!(|data: &[u8]| {
    let path = file("labels.jsonl", data);
    let read = || std::fs::read_to_string(&path).expect("the file");
    if Labels::keep(&path, []).is_err() {
        assert_eq!(std::fs::read(&path).expect("the file"), data, "a file that is refused stays as it was");
        return;
    }
    let kept = read();
    Labels::keep(&path, []).expect("what was kept is kept again");
    assert_eq!(read(), kept, "keeping it again changes nothing");
});
