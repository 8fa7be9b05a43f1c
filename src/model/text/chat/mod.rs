//! Chat templates: Jinja as Hugging Face models carry it, rendered by minijinja.

mod date;
mod dialogue;
mod methods;

pub use date::Moment;
pub use dialogue::{ChatOptions, Dialogue};

use crate::model::{ModelError, ModelFiles, TextTokenizer};
use crate::util::memory;
use methods::{method, tojson};
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, Value, syntax::SyntaxConfig};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// The work that rendering a template may take: about so many of its instructions, or 64 bytes of text for each. Long conversations need a hundredth of it;
/// a template that loops without end, by mistake or by malice, stops within a second.
const FUEL: u64 = 2_000_000;

/// Tags of a template, and bytes of one outside its strings. The parser calls itself for what stands inside or behind each other, and [`STACK`] holds what
/// it needs for so many. The longest templates that models carry have 500 tags of less than 1,000 bytes.
const MOST: usize = 5_000;
/// Longest wait for a template, which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked at in between.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes that a template may hold while it is rendered. The engine pays for texts and lists that it makes by its fuel, but not for lists that are joined or
/// repeated, nor for what their texts become one after another.
const MEMORY: usize = 256 << 20;
/// Bytes of the stack on which a template is parsed and rendered.
const STACK: usize = 128 << 20;

/// A model's chat template.
///
/// `strftime_now` writes [`Moment::default`] where nobody says otherwise, so that a prompt is the same every day.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    source: String,
    path: PathBuf,
    bos: String,
    eos: String,
    /// What `strftime_now` takes for today.
    moment: Moment,
    /// Variables that the user sets, by name.
    args: serde_json::Map<String, serde_json::Value>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: &str, content: &str) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

impl ChatTemplate {
    /// A template from its source; `path` is named in errors. Checks the syntax.
    pub fn new(source: &str, path: &Path, bos: Option<&str>, eos: Option<&str>) -> Result<Self, ModelError> {
        // Marks the assistant's tokens for training masks in transformers; renders nothing.
        let mark = |name: &str, instead: &str, source: &str| match regex::Regex::new(&format!(r"\{{%(-?)\s*{name}\s*(-?)%\}}")) {
            Ok(pattern) => pattern.replace_all(source, format!("{{%$1 {instead} $2%}}")).into_owned(),
            Err(_) => source.to_owned(),
        };
        let source = mark("endgeneration", "endif", &mark("generation", "if true", source));
        let (bos, eos) = (bos.unwrap_or("").into(), eos.unwrap_or("").into());
        let this = Self { source, path: path.into(), bos, eos, moment: Moment::default(), args: serde_json::Map::new() };
        if let Some(what) = too_deep(&this.source) {
            return Err(this.wrong(what));
        }
        this.apart(|this| this.environment().map(|_| ()))?;
        Ok(this)
    }

    /// Does something where there is room for as much nesting as a template may have; waits for it no longer than [`PATIENCE`], and gives it up where it
    /// takes more than [`MEMORY`].
    fn apart<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T, ModelError> + Send + 'static) -> Result<T, ModelError> {
        let (send, done) = channel();
        let own = self.clone();
        let spent = Arc::new(AtomicBool::new(false));
        let told = spent.clone();
        // Whoever gave up listens no more.
        let work = move || drop(send.send(memory::within(MEMORY, &told, || work(&own))));
        let begun = Builder::new().name("template".into()).stack_size(STACK).spawn(work);
        begun.map_err(|e| self.wrong(&format!("no thread to read it on: {e}")))?;
        let began = Instant::now();
        loop {
            return match done.recv_timeout(LOOK) {
                Ok(result) => result,
                Err(RecvTimeoutError::Disconnected) => Err(self.wrong("the template engine failed on it")),
                Err(RecvTimeoutError::Timeout) if spent.load(Ordering::SeqCst) => {
                    Err(self.wrong("it takes more memory than any template needs"))
                }
                Err(RecvTimeoutError::Timeout) if began.elapsed() < PATIENCE => continue,
                Err(RecvTimeoutError::Timeout) => Err(self.wrong("it works on without end")),
            };
        }
    }

    /// The template of a model directory: `chat_template.jinja`, else `chat_template` in `tokenizer_config.json` (the one called `default` of several).
    pub fn of(files: &ModelFiles, tokenizer: &TextTokenizer) -> Result<Option<Self>, ModelError> {
        let make = |source: &str, name: &str| Self::new(source, &files.path_of(name), tokenizer.bos(), tokenizer.eos()).map(Some);
        if files.has("chat_template.jinja") {
            let name = "chat_template.jinja";
            return make(&String::from_utf8_lossy(&files.read(name)?), name);
        }
        let name = "tokenizer_config.json";
        if !files.has(name) {
            return Ok(None);
        }
        let config: serde_json::Value = serde_json::from_slice(&files.read(name)?).map_err(|e| ModelError::File {
            path: files.path_of(name),
            what: format!("not valid JSON: {e}"),
            remedy: "fetch the file again".into(),
        })?;
        match &config["chat_template"] {
            serde_json::Value::String(source) => make(source, name),
            serde_json::Value::Array(list) => {
                let found = list.iter().find(|t| t["name"] == "default").or(list.first());
                found.and_then(|t| t["template"].as_str()).map_or(Ok(None), |source| make(source, name))
            }
            _ => Ok(None),
        }
    }

    /// The text of a conversation; with `add_generation_prompt` it ends where the assistant begins. Errors where the template refuses the messages.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String, ModelError> {
        let messages = messages.to_vec();
        self.apart(move |this| {
            let env = this.environment()?;
            let own = [
                ("messages", Serde(messages).into()),
                ("add_generation_prompt", add_generation_prompt.into()),
                ("bos_token", this.bos.as_str().into()),
                ("eos_token", this.eos.as_str().into()),
            ];
            let mut context: BTreeMap<&str, Value> = [("tools", ().into()), ("documents", ().into())].into();
            context.extend(this.args.iter().map(|(name, value)| (name.as_str(), Serde(value).into())));
            context.extend(own);
            let context = Value::from(context);
            env.get_template("chat").and_then(|t| t.render(context)).map_err(|e| this.error(&e))
        })
    }

    /// The prompt for one problem: a single message of the user, then the assistant's turn.
    pub fn prompt(&self, problem: &str) -> Result<String, ModelError> {
        self.render(&[Message::new("user", problem)], true)
    }

    /// The same template with the user's variables and date.
    fn with(self, options: &ChatOptions) -> Self {
        Self { moment: options.date.unwrap_or_default(), args: options.args.clone(), ..self }
    }

    /// Names that the template looks up and does not set before.
    fn reads(&self) -> Result<HashSet<String>, ModelError> {
        self.apart(|this| {
            let env = this.environment()?;
            env.get_template("chat").map(|t| t.undeclared_variables(false)).map_err(|e| this.error(&e))
        })
    }

    fn environment(&self) -> Result<Environment<'_>, ModelError> {
        let mut env = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|e| self.error(&e))?;
        env.set_syntax(syntax);
        env.set_fuel(Some(FUEL));
        env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        env.set_unknown_method_callback(method);
        env.add_filter("tojson", tojson);
        let moment = self.moment;
        env.add_function("strftime_now", move |format: &str| moment.strftime(format));
        env.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        env.add_template("chat", &self.source).map_err(|e| self.error(&e))?;
        Ok(env)
    }

    fn error(&self, e: &minijinja::Error) -> ModelError {
        let line = e.line().map(|l| format!(" line {l}")).unwrap_or_default();
        let what = match e.kind() {
            ErrorKind::OutOfFuel => "it works on without end".to_owned(),
            kind => e.detail().map_or_else(|| kind.to_string(), str::to_owned),
        };
        self.told(&format!("{line}: {what}"))
    }

    fn wrong(&self, what: &str) -> ModelError {
        self.told(&format!(": {what}"))
    }

    fn told(&self, what: &str) -> ModelError {
        let remedy = "correct the template, or remove it to prompt with the plain problem".into();
        ModelError::File { path: self.path.clone(), what: format!("chat template{what}"), remedy }
    }
}

/// Why a template is not parsed at all, where it has more tags or a longer one than any model's.
fn too_deep(source: &str) -> Option<&'static str> {
    let (mut tags, mut at) = (0, 0);
    while let Some(start) = source[at..].find(['{', '%']).map(|found| at + found) {
        at = start + 1;
        if !(source[start..].starts_with("{{") || source[start..].starts_with("{%")) {
            continue;
        }
        tags += 1;
        let (mut quote, mut bytes, mut escaped) = (None, 0, false);
        let mut rest = source[start + 2..].char_indices();
        let end = rest.find(|&(i, c)| match quote {
            Some(q) => {
                if c == q && !escaped {
                    quote = None;
                }
                escaped = c == '\\' && !escaped;
                false
            }
            None => {
                bytes += 1;
                quote = Some(c).filter(|c| matches!(c, '\'' | '"'));
                let ahead = &source[start + 2 + i..];
                ahead.starts_with("}}") || ahead.starts_with("%}")
            }
        });
        if bytes > MOST {
            return Some("it has a tag of more than 5,000 characters");
        }
        at = end.map_or(source.len(), |(i, _)| start + 2 + i);
    }
    (tags > MOST).then_some("it has more than 5,000 tags")
}

/// The prompt for one problem: by the model's template, or for a model without one the plain problem and a newline.
pub fn prompt(chat: Option<&ChatTemplate>, problem: &str) -> Result<String, ModelError> {
    match chat {
        Some(template) => template.prompt(problem),
        None => Ok(format!("{problem}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source, Path::new("chat_template.jinja"), Some("<s>"), Some("</s>")).unwrap()
    }

    #[test]
    fn python_methods_and_json() {
        let t = template(concat!(
            "{{ bos_token }}{% for m in messages %}{{ m.role.title() }}|{{ m['content'].strip().split(' ')[-1] }}|",
            "{{ m.content.startswith('  a') }}|{{ m.get('x', 'none') }}|{{ m | tojson }}{% endfor %}"
        ));
        let out = t.render(&[Message::new("user", "  a <b> \"é\" ")], false).unwrap();
        assert_eq!(out, "<s>User|\"é\"|True|none|{\"role\": \"user\", \"content\": \"  a <b> \\\"é\\\" \"}");
    }

    #[test]
    fn refusals_and_mistakes_name_the_template() {
        let t = template("{{ raise_exception('roles must alternate') }}");
        let e = t.prompt("x").unwrap_err().to_string();
        assert!(e.contains("chat_template.jinja") && e.contains("roles must alternate") && e.contains("line 1"), "{e}");
        let e = ChatTemplate::new("{% if %}", Path::new("c.jinja"), None, None).unwrap_err().to_string();
        assert!(e.contains("c.jinja"), "{e}");
        let e = template("{{ 'a'.frobnicate() }}").prompt("x").unwrap_err().to_string();
        assert!(e.contains("frobnicate"), "{e}");
    }

    #[test]
    fn templates_that_do_not_end_are_stopped() {
        for endless in [
            "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        ] {
            let e = template(endless).prompt("x").unwrap_err().to_string();
            assert!(e.contains("chat_template.jinja") && (e.contains("without end") || e.contains("recursion")), "{e}");
        }
        let long = "A long problem. ".repeat(100_000);
        assert_eq!(template("{% for m in messages %}{{ m.content | trim }}{% endfor %}").prompt(&long).unwrap(), long.trim());
    }

    #[test]
    fn a_template_that_nests_or_doubles_without_end_is_refused() {
        let refused = |source: &str| {
            let made = ChatTemplate::new(source, Path::new("t"), None, None).and_then(|t| t.prompt("x"));
            let error = made.map(|text| text.len()).unwrap_err().to_string();
            assert!(error.starts_with("t: chat template") && error.len() < 400, "{error}");
        };
        let nested = |open: &str, inner: &str, close: &str, n: usize| format!("{{{{ {}{inner}{} }}}}", open.repeat(n), close.repeat(n));
        let all = |n: usize| {
            [
                nested("-", "1", "", n),
                nested("not ", "true", "", n),
                nested("(", "1", ")", n),
                nested("[", "1", "]", n),
                nested("{'a': ", "1", "}", n),
                nested("1 if true else ", "1", "", n),
                nested("x(", "1", ")", n),
                nested("a[", "0", "]", n),
                nested("1 + ", "1", "", n),
                nested("2 ** ", "2", "", n),
                nested("", "a", ".b", n),
                nested("", "a", " | trim", n),
                "{% if true %}".repeat(n) + &"{% endif %}".repeat(n),
                format!("{{% if true %}}{}{{% endif %}}", "{% elif true %}".repeat(n)),
                "{% for a in b %}".repeat(n) + &"{% endfor %}".repeat(n),
            ]
        };
        // What the program lives through: as much as is let through, and more than any stack holds.
        for n in [600, 4_000] {
            all(n).iter().for_each(|source| drop(ChatTemplate::new(source, Path::new("t"), None, None).and_then(|t| t.prompt("x"))));
        }
        all(1_000_000).iter().for_each(|source| refused(source));
        let doubling = "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x | length }}";
        refused(doubling);
        refused(&doubling.replace("ns.x ~ ns.x", "ns.x + ns.x"));
        refused("{{ 'a' | indent(1000000000) }}");
        refused("{{ 'aaaaaaaaaa' * 1000000000 }}");
        refused("{{ [0] * 1000000000 }}");
        refused("{{ 'a' | center(10000000000) }}");
        refused("{{ '%1000000000d' | format(1) }}");
        refused("{{ ('a' * 100000) | replace('a', 'a' * 100000) | length }}");
        refused("{{ ('a' * 100000).replace('a', 'a' * 100000) | length }}");
        refused("{{ ('a' * 100000).join(range(100000)) | length }}");
        refused("{{ range(10000000000) | list | length }}");
        refused("{{ 10 ** 100000 }}");
        refused("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}");
        refused("{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}");
        refused("{% extends 'chat' %}");
        refused("{% include 'chat' %}");
        refused("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}");
    }

    #[test]
    fn a_template_that_writes_the_date_and_leaves_its_loops_renders() {
        let t = template(concat!(
            "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}",
            "|{{ m.content }}{% if loop.index == 2 %}{% break %}{% endif %}{% endfor %}"
        ));
        let turns = [("system", "s"), ("user", "a"), ("user", "b")].map(|(role, text)| Message::new(role, text));
        assert_eq!(t.render(&turns, false).unwrap(), "26 Jul 2024|a");
        // As Llama 3.2's does, which has a date of its own where there is no function.
        let guarded = "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}{{ date_string }}";
        assert_eq!(template(guarded).prompt("x").unwrap(), "26 Jul 2024");
        assert!(
            template("{% for i in range(99999) %}{% for j in range(99999) %}{% continue %}{% endfor %}{% endfor %}").prompt("x").is_err()
        );
        let e = template("{{ strftime_now('%c' * 9999999) }}").prompt("x").unwrap_err().to_string();
        assert!(e.contains("without end"), "{e}");
    }

    #[test]
    fn without_a_template_the_problem_stands_alone() {
        assert_eq!(prompt(None, "2 + 2?").unwrap(), "2 + 2?\n");
    }

    #[test]
    fn generation_marks_render_nothing() {
        let t = template("{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}");
        assert_eq!(t.prompt("hello").unwrap(), "hello");
    }
}
