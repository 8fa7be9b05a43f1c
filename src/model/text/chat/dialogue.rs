//! How a problem becomes the text that a policy goes on from.

use super::{ChatTemplate, Message, Moment};
use crate::model::ModelError;
use serde_json::{Map, Value};

/// What stands where a template demands a system message and the user names none.
const SYSTEM: &str = "You are a helpful assistant.";
/// A problem that a template is tried with.
const PROBE: &str = "How many are 2 and 3?";
/// What a template says to be told a date.
const STRFTIME: &str = "strftime_now";
/// Variables that are the conversation itself.
const OWN: [&str; 4] = ["messages", "add_generation_prompt", "bos_token", "eos_token"];

/// How the user wants a policy to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatOptions {
    /// A system message; an empty one is one too, and takes the place of a template's own.
    pub system: Option<String>,
    /// Variables of the template by name, such as `enable_thinking`.
    pub args: Map<String, Value>,
    /// What a template takes for today; `None`: [`Moment::default`].
    pub date: Option<Moment>,
}

impl ChatOptions {
    /// Whether the user wants nothing in particular.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Reads `NAME=VALUE`. A value that is JSON is that (`false`, `3`, `"3"`, `{"a": 1}`), any other is text.
    ///
    /// # Errors
    /// There is no name, or it is one that only the conversation itself sets.
    pub fn arg(text: &str) -> Result<(String, Value), String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err("write it as NAME=VALUE, for example enable_thinking=false".into());
        };
        let plain = name.chars().enumerate().all(|(i, c)| c == '_' || c.is_alphabetic() || (i > 0 && c.is_alphanumeric()));
        if name.is_empty() || !plain {
            return Err(format!("{name:?} is no name of a template's variable; write NAME=VALUE, for example enable_thinking=false"));
        }
        if OWN.contains(&name) {
            return Err(format!("{name} is the conversation's own and cannot be set"));
        }
        Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))))
    }

    /// What was wished for, as it stands in records beside the sampling; `None` where it is nothing in particular.
    pub fn recorded(&self) -> Option<Value> {
        let mut out = Map::new();
        if let Some(system) = &self.system {
            out.insert("system".into(), system.as_str().into());
        }
        if !self.args.is_empty() {
            out.insert("template_args".into(), self.args.clone().into());
        }
        if let Some(date) = &self.date {
            out.insert("date".into(), date.to_string().into());
        }
        (!out.is_empty()).then_some(Value::Object(out))
    }
}

/// Where a system message stands.
#[derive(Clone, Debug, PartialEq)]
enum System {
    /// As a message before the user's.
    Message(String),
    /// Before the problem in the user's own message, a blank line between them.
    Folded(String),
}

/// How a problem becomes the text that a policy goes on from: by the model's chat template, or plainly where it has none.
#[derive(Clone, Debug, Default)]
pub struct Dialogue {
    chat: Option<ChatTemplate>,
    system: Option<System>,
    notes: Vec<String>,
}

impl Dialogue {
    /// Tries the template and finds the place of the system message: one that the template demands is added, one that it refuses or does not show stands
    /// before the problem. Fails where the template refuses a problem whichever way it is put.
    pub fn new(chat: Option<ChatTemplate>, options: &ChatOptions) -> Result<Self, ModelError> {
        let Some(chat) = chat else { return Ok(Self::plain(options)) };
        let chat = chat.with(options);
        let reads = chat.reads()?;
        let mut notes = Vec::new();
        let mut this = Self { chat: Some(chat), system: options.system.clone().map(System::Message), notes: Vec::new() };
        match (this.prompt(PROBE), &options.system) {
            (Ok(text), Some(system)) if text.contains(system.trim()) => {}
            (Ok(_), None) => {}
            (Err(refused), None) => {
                this.system = Some(System::Message(SYSTEM.into()));
                this.prompt(PROBE).map_err(|_| refused)?;
                notes.push(format!("the chat template demands a system message: {SYSTEM:?} stands there, and --system names another"));
            }
            (tried, Some(system)) => {
                let first = this.system.replace(System::Folded(system.clone()));
                match (this.prompt(PROBE), tried) {
                    (Ok(_), _) => notes.push("the chat template has no place for a system message: it stands before the problem".into()),
                    (Err(_), Ok(_)) => {
                        this.system = first;
                        notes.push("the chat template demands a system message and does not show it".into());
                    }
                    // The first refusal says more than the second.
                    (Err(_), Err(refused)) => return Err(refused),
                }
            }
        }
        let given = |name: &str| reads.contains(name) && options.args.contains_key(name);
        if reads.contains(STRFTIME) && !given("date_string") {
            notes.push(match options.date {
                Some(date) => format!("the chat template is told that today is {date}"),
                None => format!(
                    "the chat template is told that today is {}, so that a prompt is the same every day; --date today, or another day, changes that",
                    Moment::default()
                ),
            });
        }
        notes.extend(options.args.keys().filter(|name| !reads.contains(*name)).map(|name| format!("the chat template never reads {name}")));
        if options.date.is_some() && !reads.contains(STRFTIME) {
            notes.push("the chat template never asks for the date".into());
        }
        if let Some(chat) = this.chat.as_ref().filter(|_| this.prompt(PROBE).is_ok_and(|text| text.trim().is_empty())) {
            return Err(chat.told(" makes an empty text of a problem"));
        }
        Ok(Self { notes, ..this })
    }

    fn plain(options: &ChatOptions) -> Self {
        let mut notes = Vec::new();
        if options.system.is_some() {
            notes.push("it has no chat template: the system message stands before the problem".into());
        }
        if !options.args.is_empty() || options.date.is_some() {
            notes.push("it has no chat template to read --template-arg or --date".into());
        }
        Self { chat: None, system: options.system.clone().map(System::Folded), notes }
    }

    /// Whether the model has a template, whose text is tokenised as it stands.
    pub fn has_template(&self) -> bool {
        self.chat.is_some()
    }

    /// What the text of a problem is; a model without template reads the problem and a newline.
    pub fn prompt(&self, problem: &str) -> Result<String, ModelError> {
        let asked = self.asked(problem);
        match (&self.chat, &self.system) {
            (None, _) => super::prompt(None, &asked),
            (Some(chat), Some(System::Message(system))) => {
                chat.render(&[Message::new("system", system), Message::new("user", &asked)], true)
            }
            (Some(chat), _) => chat.prompt(&asked),
        }
    }

    /// The user's message: the problem, and before it a system message that has no place of its own.
    pub fn asked(&self, problem: &str) -> String {
        match &self.system {
            Some(System::Folded(system)) if !system.trim().is_empty() => format!("{}\n\n{problem}", system.trim_end()),
            _ => problem.to_owned(),
        }
    }

    /// What people should know of how the problem is put: added, moved or unread.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    const TURNS: &str =
        "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

    fn dialogue(source: &str, options: &ChatOptions) -> Result<Dialogue, ModelError> {
        Dialogue::new(Some(ChatTemplate::new(source, Path::new("t.jinja"), None, None)?), options)
    }

    fn system(text: &str) -> ChatOptions {
        ChatOptions { system: Some(text.into()), ..ChatOptions::default() }
    }

    #[test]
    fn a_system_message_stands_where_the_template_has_a_place_for_it() {
        let d = dialogue(TURNS, &ChatOptions::default()).unwrap();
        assert_eq!((d.prompt("2?").unwrap().as_str(), d.notes()), ("<user>2?<assistant>", &[][..]));
        let d = dialogue(TURNS, &system("Be brief.")).unwrap();
        assert_eq!((d.prompt("2?").unwrap().as_str(), d.notes()), ("<system>Be brief.<user>2?<assistant>", &[][..]));
        // One that demands a message gets one, as case 90b does.
        let demands = format!(
            "{{% if messages[0]['role'] != 'system' %}}{{{{ raise_exception('System message must be first') }}}}{{% endif %}}{TURNS}"
        );
        let d = dialogue(&demands, &ChatOptions::default()).unwrap();
        assert_eq!(d.prompt("2?").unwrap(), "<system>You are a helpful assistant.<user>2?<assistant>");
        assert!(d.notes()[0].contains("demands a system message") && d.notes()[0].contains("--system"), "{:?}", d.notes());
        assert!(dialogue(&demands, &system("Be brief.")).unwrap().notes().is_empty());
        // One that refuses it, and one that drops it in silence.
        let refuses = format!("{{% if messages[0]['role'] == 'system' %}}{{{{ raise_exception('no system') }}}}{{% endif %}}{TURNS}");
        let drops = "{% for m in messages if m.role == 'user' %}<user>{{ m.content }}{% endfor %}<assistant>";
        for source in [refuses.as_str(), drops] {
            let d = dialogue(source, &system("Be brief.\n")).unwrap();
            assert_eq!(d.prompt("2?").unwrap(), "<user>Be brief.\n\n2?<assistant>", "{source}");
            assert!(d.notes()[0].contains("no place"), "{:?}", d.notes());
        }
        // One that demands it and does not show it.
        let hides = format!("{{% if messages[0]['role'] != 'system' %}}{{{{ raise_exception('no') }}}}{{% endif %}}{drops}");
        let d = dialogue(&hides, &system("Be brief.")).unwrap();
        assert_eq!(d.prompt("2?").unwrap(), "<user>2?<assistant>");
        assert!(d.notes()[0].contains("does not show it"), "{:?}", d.notes());
        // An empty one takes the place of the template's own.
        let own = "{% if messages[0].role != 'system' %}<system>I am Q.{% endif %}".to_owned() + TURNS;
        assert_eq!(dialogue(&own, &system("")).unwrap().prompt("2?").unwrap(), "<system><user>2?<assistant>");
        assert_eq!(dialogue(&own, &ChatOptions::default()).unwrap().prompt("2?").unwrap(), "<system>I am Q.<user>2?<assistant>");
    }

    #[test]
    fn what_a_template_refuses_whatever_is_done_is_its_own_words() {
        for options in [ChatOptions::default(), system("Be brief.")] {
            let e = dialogue("{{ raise_exception('never mind') }}", &options).unwrap_err().to_string();
            assert!(e.contains("never mind") && e.contains("t.jinja"), "{e}");
        }
        let e = dialogue("{% set x = [0] %}", &ChatOptions::default()).unwrap_err().to_string();
        assert!(e.contains("t.jinja: chat template makes an empty text"), "{e}");
    }

    #[test]
    fn variables_reach_the_template_with_their_kinds() {
        let arg = |text: &str| ChatOptions::arg(text).unwrap();
        assert_eq!(arg("enable_thinking=false"), ("enable_thinking".into(), json!(false)));
        assert_eq!(arg("date_string=26 Jul 2024").1, json!("26 Jul 2024"));
        assert_eq!((arg("x=3").1, arg("x=\"3\"").1, arg("x=").1, arg("x=a=b").1), (json!(3), json!("3"), json!(""), json!("a=b")));
        for wrong in ["enable_thinking", "=1", "a b=1", "1a=2", "messages=[]", "bos_token=x"] {
            assert!(ChatOptions::arg(wrong).is_err(), "{wrong}");
        }
        let thinks = "{{ messages[0].content }}{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}";
        let with = |args: &[&str]| {
            let options = ChatOptions { args: args.iter().map(|a| arg(a)).collect(), ..ChatOptions::default() };
            let d = dialogue(thinks, &options).unwrap();
            (d.prompt("2?").unwrap(), d.notes().to_vec())
        };
        assert_eq!(with(&["enable_thinking=false"]), ("2?<think></think>".into(), vec![]));
        assert_eq!(with(&["enable_thinking=\"false\""]).0, "2?", "a text is no boolean");
        assert_eq!(with(&["effort=low"]), ("2?".into(), vec!["the chat template never reads effort".into()]));
    }

    #[test]
    fn the_date_is_said_where_the_template_asks_for_it() {
        let asks = "{{ strftime_now('%d %b %Y') }} {{ messages[0].content }}";
        let d = dialogue(asks, &ChatOptions::default()).unwrap();
        assert_eq!(d.prompt("2?").unwrap(), "26 Jul 2024 2?");
        assert!(d.notes()[0].contains("2024-07-26") && d.notes()[0].contains("--date"), "{:?}", d.notes());
        let date = ChatOptions { date: "2026-01-31".parse().ok(), ..ChatOptions::default() };
        let d = dialogue(asks, &date).unwrap();
        assert_eq!((d.prompt("2?").unwrap().as_str(), d.notes().len()), ("31 Jan 2026 2?", 1));
        assert!(dialogue(TURNS, &date).unwrap().notes()[0].contains("never asks for the date"));
        assert!(dialogue(TURNS, &ChatOptions::default()).unwrap().notes().is_empty());
        assert_eq!(date.recorded(), Some(json!({ "date": "2026-01-31" })));
        assert_eq!(ChatOptions::default().recorded(), None);
    }

    #[test]
    fn without_a_template_everything_stands_before_the_problem() {
        let d = Dialogue::new(None, &ChatOptions { args: [ChatOptions::arg("a=1").unwrap()].into_iter().collect(), ..system("Be brief.") })
            .unwrap();
        assert_eq!(d.prompt("2?").unwrap(), "Be brief.\n\n2?\n");
        assert_eq!(d.notes().len(), 2, "{:?}", d.notes());
        assert_eq!(Dialogue::new(None, &ChatOptions::default()).unwrap().prompt("2?").unwrap(), "2?\n");
    }
}
