//! Chat templates against Hugging Face's renderer (`tests/make_fixtures.py`).

use reasonscope::model::{ChatTemplate, Message};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Case {
    name: String,
    template: String,
    messages: Vec<Written>,
    add_generation_prompt: bool,
    rendered: String,
}

#[derive(Deserialize)]
struct Written {
    role: String,
    content: String,
}

#[test]
fn templates_render_as_transformers_renders_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat_templates.json");
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 30);
    for case in cases {
        let template = ChatTemplate::new(&case.template, Path::new("chat_template.jinja"), Some("<s>"), Some("</s>")).unwrap();
        let messages: Vec<Message> = case.messages.iter().map(|m| Message::new(&m.role, &m.content)).collect();
        let rendered = template.render(&messages, case.add_generation_prompt).unwrap();
        assert_eq!(rendered, case.rendered, "{}", case.name);
    }
}
