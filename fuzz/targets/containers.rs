//! What trace files come in: archives, logs, tables, packed files, whatever the first bytes say; one file as it is, opened and read as every command does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::format::{Options, TraceList};
use reasonscope_fuzz::{check_trace, file};

fuzz_target!(|data: &[u8]| {
    let Some((&how, content)) = data.split_first() else { return };
    let path = file("container", content);
    let options = Options { problems: how & 1 != 0, ..Options::default() };
    let Ok(list) = TraceList::open_keyed(&[path.to_str().expect("a path")], options) else { return };
    for trace in list.iter().flatten() {
        check_trace(&trace);
    }
    assert!(list.take_keys().len() == list.len() && list.is_complete());
    let _ = list.errors().iter().map(ToString::to_string).collect::<Vec<_>>();
});
