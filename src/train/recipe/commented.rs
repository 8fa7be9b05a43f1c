//! A recipe with every key, what it means and its default, made from the types that the parser reads.

use super::Recipe;
use super::schema::{Keys, Node};
use crate::train::TrainError;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use toml::{Table, Value};

/// Widest line of a comment.
const WIDTH: usize = 110;

/// The recipe that is printed: a small model for stories, fine-tuned, with a reward model that it is then trained by.
const EXAMPLE: &str = r#"
seed = 1
output = "runs/stories"
[data]
task = "stories"
demonstrations = 2000
[policy]
shape = { hidden_size = 128, layers = 4, heads = 4, kv_heads = 2, intermediate_size = 352, context = 512 }
sft = { steps = 600, batch_size = 32 }
[reward]
adversarial = { steps = 300 }
calibration = { problems = 100, samples = 4, false_alarm_rate = 0.1, stand_ins = { majority = 0.5 } }
[rl]
[evaluation]
"#;

/// Keys that it does not have, with values; not all of them go together.
const OTHERS: &str = r#"
seed = 1
output = "runs/stories"
reuse = "runs/baseline"
[data]
task = "gsm8k"
files = ["gsm8k/train.jsonl"]
demonstrations = 2000
problems = 4000
practice = "longer_chains"
[policy]
from = "HuggingFaceTB/SmolLM2-135M"
lora = {}
gradient_checkpointing = true
[reward]
shape = { hidden_size = 128, layers = 4, heads = 4, kv_heads = 2, intermediate_size = 352, context = 512 }
from = "runs/baseline/reward"
lora = {}
sft = { steps = 600, batch_size = 32 }
adversarial = {}
labels = { files = ["labels.jsonl"] }
calibration = { problems = 100, samples = 4, false_alarm_rate = 0.1, stand_ins = "demonstration", statistic = "sum" }
[preference]
[rl]
lora = {}
fleet = { servers = ["http://localhost:8000/v1"] }
[evaluation]
files = ["gsm8k/test.jsonl"]
"#;

impl Recipe {
    /// A recipe as TOML in which every key stands with what it means and its default. Keys that need not be there and have no default, and whole sections
    /// of that kind, are comments that begin with `#` and no blank.
    pub fn commented() -> Result<String, TrainError> {
        let keys = Keys::of_recipe();
        let mut printer = Printer { example: whole(EXAMPLE)?, others: whole(OTHERS)?, told: BTreeSet::new(), out: String::new() };
        printer.out += "# A training run: `reasonscope train FILE` carries it out, and goes on with it where it was stopped.\n\
            #\n\
            # Every key stands here. Those that are switched off begin with `#` and no blank; without one it is as if the key were not there.\n\
            # A default is what a key has where its section is there and the key is not.\n\
            # `--set KEY=VALUE`, for example `--set rl.steps=50`, puts a value over what the file says.\n\n";
        if let Some(root) = keys.root() {
            printer.section(root, &mut Vec::new())?;
        }
        Ok(printer.out)
    }
}

/// A recipe with every key that has a value.
fn whole(text: &str) -> Result<Table, TrainError> {
    let wrong = |e: &dyn std::fmt::Display| TrainError::Recipe { path: Path::new("the commented recipe").into(), what: e.to_string() };
    let recipe: Recipe = toml::from_str(text).map_err(|e| wrong(&e))?;
    let text = toml::to_string(&recipe).map_err(|e| wrong(&e))?;
    toml::from_str(&text).map_err(|e| wrong(&e))
}

/// What a key is where it is left out.
enum LeftOut {
    /// This.
    Is(Value),
    /// Nothing.
    Absent,
    /// It must be there.
    Required,
}

struct Printer {
    example: Table,
    others: Table,
    /// Types whose keys have been explained.
    told: BTreeSet<String>,
    out: String,
}

impl Printer {
    /// The keys of a section, then the sections in it.
    fn section(&mut self, node: Node, path: &mut Vec<String>) -> Result<(), TrainError> {
        let explained = node.named().is_some_and(|(name, _)| !self.told.insert(name.to_owned()));
        let (sections, keys): (Vec<_>, Vec<_>) = node.keys().into_iter().partition(|(_, node)| !node.keys().is_empty());
        for (name, node) in keys {
            path.push(name.to_owned());
            self.key(node, path, !explained)?;
            path.pop();
        }
        for (name, node) in sections {
            path.push(name.to_owned());
            let off = if find(&self.example, path).is_some() { "" } else { "#" };
            if !self.out.ends_with("\n\n") {
                self.out.push('\n');
            }
            if let Some(about) = node.about() {
                self.comment("", about);
            }
            match self.default(path)? {
                LeftOut::Absent => self.comment("", "May be left out."),
                LeftOut::Is(value) if find(&self.example, path) == Some(&value) => self.comment("", "Left out as a whole, it is as here."),
                _ => {}
            }
            let _ = writeln!(self.out, "{off}[{}]", path.join("."));
            self.section(node, path)?;
            path.pop();
        }
        Ok(())
    }

    fn key(&mut self, node: Node, path: &[String], explain: bool) -> Result<(), TrainError> {
        let default = match self.default(path)? {
            LeftOut::Absent => self.unwritten(node, path).map_or(LeftOut::Absent, LeftOut::Is),
            other => other,
        };
        if explain {
            if let Some(about) = node.about() {
                self.comment("", about);
            }
            for variant in node.variants() {
                let about = variant.about.map_or(String::new(), |a| format!(": {a}"));
                self.comment("  ", &format!("{}{about}", variant.toml()));
            }
        }
        if let (LeftOut::Is(value), true) = (&default, explain || find(&self.example, path) != default.value()) {
            self.comment("", &format!("Default: {}.", inline(value)));
        }
        let (off, value) = match find(&self.example, path) {
            Some(value) => ("", value.clone()),
            None => match find(&self.others, path) {
                Some(value) => ("#", value.clone()),
                None => {
                    let what = format!("the commented recipe has no value for {}", path.join("."));
                    return Err(TrainError::Data(what));
                }
            },
        };
        let _ = writeln!(self.out, "{off}{} = {}", path.last().map_or("", String::as_str), inline(&value));
        if explain {
            self.out.push('\n');
        }
        Ok(())
    }

    /// What the key has where a recipe that is as these leaves it out.
    fn default(&self, path: &[String]) -> Result<LeftOut, TrainError> {
        let from = if find(&self.example, path).is_some() { &self.example } else { &self.others };
        let mut without = from.clone();
        remove(&mut without, path);
        let text = toml::to_string(&without).map_err(|e| TrainError::Data(e.to_string()))?;
        let Ok(read) = whole(&text) else { return Ok(LeftOut::Required) };
        Ok(find(&read, path).map_or(LeftOut::Absent, |value| LeftOut::Is(value.clone())))
    }

    /// The value of a key that is not written where it is as by default: the one that makes no difference.
    fn unwritten(&self, node: Node, path: &[String]) -> Option<Value> {
        let from = if find(&self.example, path).is_some() { &self.example } else { &self.others };
        let mut without = from.clone();
        remove(&mut without, path);
        let read: Recipe = without.clone().try_into().ok()?;
        let names = node.variants().into_iter().filter(|v| v.content.is_none()).map(|v| Value::String(v.name.to_owned()));
        let same = |value: &Value| {
            let mut with = without.clone();
            insert(&mut with, path, value.clone());
            with.try_into::<Recipe>().is_ok_and(|recipe| recipe == read)
        };
        [Value::Boolean(false), Value::Boolean(true), Value::Array(Vec::new())].into_iter().chain(names).find(same)
    }

    fn comment(&mut self, indent: &str, text: &str) {
        // References to other items are for the pages about the code.
        let text = text.replace("[`", "`").replace("`]", "`");
        let mut line = format!("# {indent}");
        let start = line.len();
        for word in text.split_whitespace() {
            if line.len() > start && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.out += line.trim_end();
                self.out.push('\n');
                line = format!("# {indent}{}", if indent.is_empty() { "" } else { "  " });
            } else if line.len() > start {
                line.push(' ');
            }
            line += word;
        }
        self.out += line.trim_end();
        self.out.push('\n');
    }
}

impl LeftOut {
    fn value(&self) -> Option<&Value> {
        match self {
            Self::Is(value) => Some(value),
            _ => None,
        }
    }
}

fn find<'t>(table: &'t Table, path: &[String]) -> Option<&'t Value> {
    let (first, rest) = path.split_first()?;
    let value = table.get(first)?;
    if rest.is_empty() { Some(value) } else { find(value.as_table()?, rest) }
}

fn remove(table: &mut Table, path: &[String]) {
    match path {
        [] => {}
        [last] => drop(table.remove(last)),
        [first, rest @ ..] => {
            if let Some(inner) = table.get_mut(first).and_then(Value::as_table_mut) {
                remove(inner, rest);
            }
        }
    }
}

fn insert(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => drop(table.insert(last.clone(), value)),
        [first, rest @ ..] => {
            if let Some(inner) = table.get_mut(first).and_then(Value::as_table_mut) {
                insert(inner, rest, value);
            }
        }
    }
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let inside: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            if inside.is_empty() { "{}".into() } else { format!("{{ {} }}", inside.join(", ")) }
        }
        Value::Array(all) => format!("[{}]", all.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dotted names of all keys of a table, down to values.
    fn names(table: &Table, at: &str, out: &mut BTreeSet<String>) {
        for (key, value) in table {
            let name = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            if let Some(inner) = value.as_table() {
                names(inner, &name, out);
            }
            out.insert(name);
        }
    }

    /// The recipe with everything that is switched off switched on.
    fn everything(text: &str) -> Table {
        let on = |line: &str| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest.to_owned(),
            _ => line.to_owned(),
        };
        toml::from_str(&text.lines().map(on).collect::<Vec<_>>().join("\n")).unwrap()
    }

    #[test]
    fn it_is_read_back_as_the_recipe_that_it_says() {
        let text = Recipe::commented().unwrap();
        assert_eq!(toml::from_str::<Recipe>(&text).unwrap(), toml::from_str::<Recipe>(EXAMPLE).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.toml");
        std::fs::write(&path, &text).unwrap();
        Recipe::read(&path, &[]).unwrap();
        assert!(text.lines().all(|l| l.chars().count() <= 160), "{text}");
    }

    #[test]
    fn every_key_that_a_recipe_can_have_stands_in_it_with_its_meaning() {
        let text = Recipe::commented().unwrap();
        let everything = everything(&text);
        everything.clone().try_into::<Recipe>().unwrap();
        let (mut there, mut wanted) = (BTreeSet::new(), BTreeSet::new());
        names(&everything, "", &mut there);
        for recipe in [EXAMPLE, OTHERS] {
            names(&whole(recipe).unwrap(), "", &mut wanted);
        }
        // The keys of the types themselves, those that no recipe here has among them.
        fn all(node: Node, at: &str, out: &mut BTreeSet<String>) {
            for (name, node) in node.keys() {
                let name = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
                assert!(node.about().is_some(), "{name} has no meaning");
                all(node, &name, out);
                out.insert(name);
            }
        }
        all(Keys::of_recipe().root().unwrap(), "", &mut wanted);
        let missing: Vec<_> = wanted.difference(&there).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(wanted.len() > 150, "{}", wanted.len());
        for says in
            ["# Steps between checkpoints.\n# Default: 100.\ncheckpoint_every = 100\n", "#reuse = ", "#[preference]", "  \"gail\": "]
        {
            assert!(text.contains(says), "{says}:\n{text}");
        }
    }

    #[test]
    fn what_it_calls_a_default_is_one() {
        let text = Recipe::commented().unwrap();
        let keys = everything(&text);
        let (mut section, mut default, mut told) = (String::new(), None, 0);
        for line in text.lines() {
            let on = line.strip_prefix('#').filter(|l| l.starts_with(|c: char| c.is_ascii_lowercase() || c == '[')).unwrap_or(line);
            if let Some(name) = on.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                section = format!("{name}.");
            } else if let Some(value) = line.strip_prefix("# Default: ") {
                default = value.strip_suffix('.');
            } else if let Some((name, _)) = on.split_once(" = ").filter(|_| !on.starts_with('#')) {
                let Some(default) = default.take() else { continue };
                let path: Vec<String> = format!("{section}{name}").split('.').map(str::to_owned).collect();
                let mut without = keys.clone();
                remove(&mut without, &path);
                let mut with = without.clone();
                insert(&mut with, &path, toml::from_str::<Table>(&format!("v = {default}")).unwrap()["v"].clone());
                assert_eq!(without.try_into::<Recipe>().unwrap(), with.try_into::<Recipe>().unwrap(), "{section}{name}");
                told += 1;
            }
        }
        assert!(told > 60, "{told}");
        for says in ["# Default: false.\n#gradient_checkpointing = true\n", "# Default: \"min\".\n#statistic = \"sum\"\n"] {
            assert!(text.contains(says), "{says}:\n{text}");
        }
    }
}
