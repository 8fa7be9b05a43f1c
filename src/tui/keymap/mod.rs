//! Keys: one table says what a key is, what it runs and how the help puts it.

mod bindings;
mod key;

pub use bindings::{BINDINGS, Binding, Context};
pub use key::{Key, parse_keys};

use super::action::{Action, Command};
use crossterm::event::{KeyCode, KeyModifiers};

/// The keys typed so far, and what they mean.
#[derive(Clone, Debug, Default)]
pub struct Keymap {
    typed: Vec<Key>,
    count: Option<usize>,
    table: Vec<(Context, Vec<Key>, Command)>,
}

impl Keymap {
    /// Reads the table.
    pub fn new() -> Self {
        let table = BINDINGS.iter().flat_map(|b| b.on.split(' ').filter_map(|on| Some((b.context, parse_keys(on)?, b.run)))).collect();
        Self { table, ..Self::default() }
    }

    /// What was typed and still waits.
    fn pending(&self) -> String {
        let count = self.count.map(|c| c.to_string()).unwrap_or_default();
        self.typed.iter().fold(count, |s, k| s + &k.to_string())
    }

    /// Takes a key; `None` where it means nothing in this context.
    pub fn press(&mut self, key: Key, context: Context) -> Option<Action> {
        if self.typed.is_empty() && !context.is_text() {
            match key.digit() {
                Some(d) if d > 0 || self.count.is_some() => {
                    self.count = Some((self.count.unwrap_or(0) * 10 + d).min(1_000_000_000));
                    return Some(Action::Pending(self.pending()));
                }
                _ => {}
            }
        }
        if key.code == KeyCode::Esc && (self.count.is_some() || !self.typed.is_empty()) {
            self.reset();
            return Some(Action::Pending(String::new()));
        }
        self.typed.push(key);
        let anywhere = !context.is_text() && !context.is_watch();
        let held = |c: &Context| *c == context || (*c == Context::Anywhere && anywhere) || is_always(&self.typed);
        let mut longer = false;
        for (_, keys, run) in self.table.iter().filter(|b| held(&b.0)) {
            if *keys == self.typed {
                let run = *run;
                let count = self.count;
                self.reset();
                return Some(Action::Run(run, count));
            }
            longer |= keys.starts_with(&self.typed);
        }
        if longer {
            return Some(Action::Pending(self.pending()));
        }
        let text = self.typed.len() == 1 && context.is_text();
        self.reset();
        match key.code {
            KeyCode::Char(c) if text && (key.modifiers - KeyModifiers::SHIFT).is_empty() => Some(Action::Insert(c)),
            _ => Some(Action::Pending(String::new())),
        }
    }

    fn reset(&mut self) {
        self.typed.clear();
        self.count = None;
    }
}

/// Leaving and suspending work while text is written, too.
fn is_always(typed: &[Key]) -> bool {
    let control = |c: char| Key { code: KeyCode::Char(c), modifiers: KeyModifiers::CONTROL };
    matches!(typed, [k] if *k == control('c') || *k == control('z') || *k == control('l'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Context::{Editor, Line, Trace};
    use std::collections::HashMap;

    fn type_in(context: Context, keys: &str) -> Vec<String> {
        let mut map = Keymap::new();
        let keys = parse_keys(keys).expect("keys");
        keys.into_iter().filter_map(|k| map.press(k, context)).map(|a| format!("{a:?}")).collect()
    }

    #[test]
    fn every_binding_parses_and_prints_back() {
        for b in BINDINGS {
            for on in b.on.split(' ') {
                let keys = parse_keys(on).unwrap_or_else(|| panic!("{on}"));
                assert_eq!(keys.iter().map(Key::to_string).collect::<String>(), on);
                for key in keys {
                    assert_eq!(Key::from_event(key.event()), Some(key), "{on}");
                }
            }
        }
    }

    #[test]
    fn no_binding_hides_another() {
        let mut seen: HashMap<(String, String), &str> = HashMap::new();
        for b in BINDINGS {
            for on in b.on.split(' ') {
                assert!(seen.insert((format!("{:?}", b.context), on.into()), b.desc).is_none(), "{on} twice in {:?}", b.context);
            }
        }
        for (context, on) in seen.keys() {
            for (other, longer) in seen.keys() {
                let shares = context == other || context == "Anywhere";
                assert!(!(shares && longer != on && longer.starts_with(on.as_str()) && !on.starts_with('<')), "{on} hides {longer}");
            }
        }
    }

    #[test]
    fn counts_and_sequences_reach_the_command() {
        assert_eq!(type_in(Trace, "5j").last().map(String::as_str), Some("Run(Down, Some(5))"));
        assert_eq!(type_in(Trace, "12gg").last().map(String::as_str), Some("Run(First, Some(12))"));
        assert_eq!(type_in(Trace, "]e"), ["Pending(\"]\")", "Run(NextDeviation, None)"]);
        assert_eq!(type_in(Trace, "3]<esc>j").last().map(String::as_str), Some("Run(Down, None)"), "esc drops count and prefix");
        assert_eq!(type_in(Trace, "gxj").last().map(String::as_str), Some("Run(Down, None)"), "an unknown sequence is dropped");
    }

    #[test]
    fn text_contexts_take_characters_as_text() {
        assert_eq!(type_in(Line, "j5?"), ["Insert('j')", "Insert('5')", "Insert('?')"]);
        assert_eq!(type_in(Editor, "<C-c>"), ["Run(QuitNow, None)"]);
        assert_eq!(type_in(Editor, "<lt><space>"), ["Insert('<')", "Insert(' ')"]);
    }
}
