//! Recorded traces of every format, packed or not: one file, opened as every command opens it, and every problem of it read. What is read, written and read
//! again is the same.
//!
//! The first byte says how the file is opened.
#![no_main]

use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use reasonscope::collection::{Collection, Options};
use reasonscope::format::{self, TraceList};
use reasonscope::task::Task;
use reasonscope_fuzz::{check_trace, file, lines};
use std::io::Write;

fuzz_target!(|data: &[u8]| {
    let Some((&how, content)) = data.split_first() else { return };
    let packed = |bytes: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).and_then(|()| packer.finish()).expect("gzip")
    };
    let path = match how & 1 {
        0 => file("traces.jsonl", content),
        _ => file("traces.jsonl.gz", &packed(content)),
    };
    let task = (how & 8 != 0).then(|| Task::ALL[usize::from(how >> 4) % Task::ALL.len()]);
    let options = Options { problems: how & 2 != 0, apart: how & 4 != 0, task, ..Options::default() };
    let Ok(collection) = Collection::open(&[path.to_str().expect("a path")], &options) else { return };
    collection.wait_all();
    for index in 0..collection.len() {
        let Ok(trace) = collection.get(index) else { continue };
        check_trace(&trace);
        let written = lines(&trace);
        if trace.candidates.is_empty() {
            assert!(written.is_empty());
            continue;
        }
        let again = file("again.jsonl", written.as_bytes());
        let list = TraceList::open(&[again.to_str().expect("a path")], format::Options::default()).expect("what was written opens");
        let read: Vec<_> = list.iter().collect::<Result<_, _>>().expect("what was written is read");
        assert_eq!(list.error_count(), 0, "{:?}", list.errors());
        let [read] = &read[..] else { panic!("{} traces of one:\n{written}", read.len()) };
        check_trace(read);
        assert_eq!(lines(read), written);
    }
    let _ = collection.errors().iter().map(ToString::to_string).collect::<Vec<_>>();
});
