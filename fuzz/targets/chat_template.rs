//! A chat template, which is a program of others, and the messages that it renders.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::model::{ChatTemplate, Message};
use reasonscope_fuzz::texts;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let [source, user, system] = texts::<3>(data);
    let Ok(template) = ChatTemplate::new(&source, Path::new("chat_template.jinja"), Some("<s>"), Some("</s>")) else { return };
    let messages = [Message::new("system", &system), Message::new("user", &user), Message::new("assistant", "12")];
    for (messages, begins) in [(&messages[1..2], true), (&messages[..], false), (&messages[..0], true)] {
        let _ = template.render(messages, begins).map_err(|e| e.to_string());
    }
});
