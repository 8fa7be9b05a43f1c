//! A file of labels: opened, kept with another trace put in, and opened again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::trace::{Candidate, Segmentation, Trace, segment};
use reasonscope::tui::Labels;
use reasonscope_fuzz::file;

fuzz_target!(|data: &[u8]| {
    let path = file("labels.jsonl", data);
    if Labels::open(&path).is_err() {
        return;
    }
    let text = "1 + 1 = 2\nSo it is 3.";
    let mut steps = segment(text, &Segmentation::Line);
    steps[0].label = Some(1.0);
    let candidate = Candidate { text: text.into(), steps, ..Candidate::default() };
    let trace = Trace { id: "kept".into(), problem: "1 + 1?".into(), candidates: vec![candidate], ..Trace::default() };
    if Labels::keep(&path, [&trace]).is_ok() {
        Labels::open(&path).expect("what was kept opens");
        let kept = std::fs::read_to_string(&path).expect("the file");
        assert!(kept.contains("\"kept\""), "the new label is not in the file");
        Labels::keep(&path, [&trace]).expect("kept again");
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), kept, "keeping the same again changes nothing");
    }
});
