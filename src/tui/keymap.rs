//! Keys: one table says what a key is, what it runs and how the help puts it.

use super::action::{Action, Command};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::fmt;

/// Where a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Everywhere outside of text input.
    Anywhere,
    /// The list of problems.
    List,
    /// A trace, alone or among its candidates.
    Trace,
    /// The panel of settings.
    Settings,
    /// A page of text: help, messages.
    Page,
    /// One line of text: search, filter.
    Line,
    /// Many lines of text: a problem.
    Editor,
    /// A training run.
    Watch,
    /// The choice of a run's curves.
    Curves,
}

impl Context {
    /// Title of its part of the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Anywhere => "Everywhere",
            Self::List => "Problems",
            Self::Trace => "Traces",
            Self::Settings => "Settings",
            Self::Page => "Help and messages",
            Self::Line => "Search and filter",
            Self::Editor => "Your own problem",
            Self::Watch => "Watching a run",
            Self::Curves => "Choosing a run's curves",
        }
    }

    /// Whether it is part of the screen that watches a run, where the keys of the inspector mean nothing.
    pub fn is_watch(self) -> bool {
        matches!(self, Self::Watch | Self::Curves)
    }

    /// Whether plain characters are text here.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Line | Self::Editor)
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it holds.
    pub context: Context,
    /// Keys, alternatives apart by a space; a sequence is written together: `gg`, `]e`, `<C-d>`.
    pub on: &'static str,
    /// What it does.
    pub run: Command,
    /// What the help says.
    pub desc: &'static str,
}

const fn bind(context: Context, on: &'static str, run: Command, desc: &'static str) -> Binding {
    Binding { context, on, run, desc }
}

use Command as C;
use Context::{Anywhere, Curves, Editor, Line, List, Page, Settings, Trace, Watch};

/// The table. More special contexts go before `Anywhere`.
pub const BINDINGS: &[Binding] = &[
    bind(Trace, "j <down>", C::Down, "next step"),
    bind(Trace, "k <up>", C::Up, "step before"),
    bind(Trace, "h <left>", C::Left, "candidate before"),
    bind(Trace, "l <right>", C::Right, "next candidate"),
    bind(Trace, "gg <home>", C::First, "first step (5gg: step 5)"),
    bind(Trace, "G <end>", C::Last, "last step (5G: step 5)"),
    bind(Trace, "<C-d>", C::HalfDown, "half a page on"),
    bind(Trace, "<C-u>", C::HalfUp, "half a page back"),
    bind(Trace, "<C-f> <pgdn> <space>", C::PageDown, "a page on"),
    bind(Trace, "<C-b> <pgup>", C::PageUp, "a page back"),
    bind(Trace, "w", C::NextToken, "next token, exact numbers below"),
    bind(Trace, "b", C::PreviousToken, "token before"),
    bind(Trace, "]e", C::NextDeviation, "next predicted deviation, in any candidate"),
    bind(Trace, "[e", C::PreviousDeviation, "predicted deviation before"),
    bind(Trace, "]g", C::NextGold, "next labelled deviation, in any candidate"),
    bind(Trace, "[g", C::PreviousGold, "labelled deviation before"),
    bind(Trace, "+", C::MarkRight, "label the step right, or take the label off"),
    bind(Trace, "-", C::MarkWrong, "label the step wrong, or take the label off"),
    bind(Trace, "<ret>", C::Enter, "the selected candidate alone"),
    bind(Trace, "v", C::ToggleCompare, "one candidate, or all side by side"),
    bind(Trace, "t", C::CycleHeat, "token colours: reward, log-prob, entropy, off"),
    bind(Trace, "c", C::ToggleChart, "chart of the rewards on and off"),
    bind(Trace, "i", C::ToggleProblem, "problem whole or in short"),
    bind(Trace, "o", C::ToggleOrder, "candidates by rank or by number"),
    bind(List, "j <down>", C::Down, "next problem"),
    bind(List, "k <up>", C::Up, "problem before"),
    bind(List, "gg <home>", C::First, "first problem (5gg: problem 5)"),
    bind(List, "G <end>", C::Last, "last problem (5G: problem 5)"),
    bind(List, "<C-d>", C::HalfDown, "half a page on"),
    bind(List, "<C-u>", C::HalfUp, "half a page back"),
    bind(List, "<C-f> <pgdn> <space>", C::PageDown, "a page on"),
    bind(List, "<C-b> <pgup>", C::PageUp, "a page back"),
    bind(List, "<ret> l <right>", C::Enter, "open"),
    bind(List, "f", C::Filter, "filter: words, gold:wrong, gold:right, gold:none"),
    bind(Settings, "j <down> <tab>", C::Down, "next setting"),
    bind(Settings, "k <up> <S-tab>", C::Up, "setting before"),
    bind(Settings, "l <right> +", C::Right, "more, or the next value"),
    bind(Settings, "h <left> -", C::Left, "less, or the value before"),
    bind(Settings, "<ret>", C::Enter, "type a number; enter again takes it"),
    bind(Settings, ", <esc> q", C::Back, "close"),
    bind(Watch, "j <down>", C::Down, "a row of curves, or a line, on"),
    bind(Watch, "k <up>", C::Up, "a row of curves, or a line, back"),
    bind(Watch, "<C-d> <pgdn> <space>", C::HalfDown, "half a page on"),
    bind(Watch, "<C-u> <pgup>", C::HalfUp, "half a page back"),
    bind(Watch, "gg <home>", C::First, "top"),
    bind(Watch, "G <end>", C::Last, "bottom"),
    bind(Watch, "l <right>", C::Right, "curves of the next stage; the newest is followed"),
    bind(Watch, "h <left>", C::Left, "curves of the stage before"),
    bind(Watch, "]t J", C::NextTrace, "rollouts of the next problem"),
    bind(Watch, "[t K", C::PreviousTrace, "rollouts of the problem before"),
    bind(Watch, "<tab>", C::NextPane, "between curves, rollouts and alarms"),
    bind(Watch, "<ret>", C::Enter, "the pane with the keys alone, or all"),
    bind(Watch, "m", C::ChooseCurves, "choose the curves"),
    bind(Watch, "s", C::ToggleSmooth, "smooth the curves, or not"),
    bind(Watch, "T", C::CycleTheme, "next theme"),
    bind(Watch, "?", C::Help, "this help"),
    bind(Watch, "<esc>", C::Back, "all panes again"),
    bind(Watch, "<C-l>", C::Redraw, "draw anew"),
    bind(Watch, "<C-z>", C::Suspend, "suspend"),
    bind(Watch, "q", C::Quit, "quit"),
    bind(Watch, "<C-c>", C::QuitNow, "quit at once"),
    bind(Curves, "j <down>", C::Down, "next curve"),
    bind(Curves, "k <up>", C::Up, "curve before"),
    bind(Curves, "gg <home>", C::First, "first curve"),
    bind(Curves, "G <end>", C::Last, "last curve"),
    bind(Curves, "<space>", C::ToggleCurve, "draw it, or not"),
    bind(Curves, "<ret>", C::Enter, "draw it alone, or all again"),
    bind(Curves, "<esc> q m", C::Back, "close"),
    bind(Page, "j <down>", C::Down, "a line on"),
    bind(Page, "k <up>", C::Up, "a line back"),
    bind(Page, "<C-d> <pgdn> <space>", C::HalfDown, "half a page on"),
    bind(Page, "<C-u> <pgup>", C::HalfUp, "half a page back"),
    bind(Page, "gg <home>", C::First, "top"),
    bind(Page, "G <end>", C::Last, "bottom"),
    bind(Page, "<esc> q", C::Back, "close"),
    bind(Line, "<ret>", C::Submit, "go"),
    bind(Line, "<esc>", C::Back, "give up"),
    bind(Line, "<backspace> <C-h>", C::Backspace, "delete the character before"),
    bind(Line, "<del>", C::Delete, "delete the character here"),
    bind(Line, "<C-w>", C::DeleteWord, "delete the word before"),
    bind(Line, "<C-u>", C::DeleteLine, "delete to the start"),
    bind(Line, "<left>", C::Left, "a character back"),
    bind(Line, "<right>", C::Right, "a character on"),
    bind(Line, "<home> <C-a>", C::Home, "to the start"),
    bind(Line, "<end> <C-e>", C::End, "to the end"),
    bind(Editor, "<ret>", C::Submit, "generate for this problem"),
    bind(Editor, "<A-ret> <C-j>", C::Newline, "new line"),
    bind(Editor, "<esc>", C::Back, "give up; the text is kept"),
    bind(Editor, "<backspace> <C-h>", C::Backspace, "delete the character before"),
    bind(Editor, "<del>", C::Delete, "delete the character here"),
    bind(Editor, "<C-w>", C::DeleteWord, "delete the word before"),
    bind(Editor, "<C-u>", C::DeleteLine, "delete to the start of the line"),
    bind(Editor, "<left>", C::Left, "a character back"),
    bind(Editor, "<right>", C::Right, "a character on"),
    bind(Editor, "<up>", C::Up, "a line up"),
    bind(Editor, "<down>", C::Down, "a line down"),
    bind(Editor, "<home> <C-a>", C::Home, "to the start of the line"),
    bind(Editor, "<end> <C-e>", C::End, "to the end of the line"),
    bind(Anywhere, "<tab> <S-tab> p", C::NextPane, "between the problems and the trace"),
    bind(Anywhere, "<esc> <backspace>", C::Back, "close, or a level up"),
    bind(Anywhere, "]t J", C::NextTrace, "open the next problem"),
    bind(Anywhere, "[t K", C::PreviousTrace, "open the problem before"),
    bind(Anywhere, "/", C::Search, "search"),
    bind(Anywhere, "n", C::NextMatch, "next match"),
    bind(Anywhere, "N", C::PreviousMatch, "match before"),
    bind(Anywhere, "r", C::Regenerate, "generate anew with the next seed"),
    bind(Anywhere, "R", C::Repeat, "generate again with the same seed"),
    bind(Anywhere, "x", C::Cancel, "stop generating"),
    bind(Anywhere, "e", C::EditProblem, "write a problem of your own, from the open one (ctrl-u deletes its line)"),
    bind(Anywhere, "s", C::CycleGranularity, "granularity: sparse, step, interval, dense"),
    bind(Anywhere, "a", C::CycleAggregation, "aggregation: mean, min, last, product, sum, discounted"),
    bind(Anywhere, "d", C::CycleRule, "deviation: threshold, drop, log-prob, entropy"),
    bind(Anywhere, ",", C::Settings, "settings: temperature, N, tokens, seed, ..."),
    bind(Anywhere, "T", C::CycleTheme, "next theme"),
    bind(Anywhere, "m", C::Messages, "messages and lints"),
    bind(Anywhere, "?", C::Help, "this help"),
    bind(Anywhere, "<C-l>", C::Redraw, "draw anew"),
    bind(Anywhere, "<C-z>", C::Suspend, "suspend"),
    bind(Anywhere, "q", C::Quit, "quit"),
    bind(Anywhere, "<C-c>", C::QuitNow, "quit at once"),
];

/// A key as the table writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

const NAMED: &[(&str, KeyCode)] = &[
    ("ret", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("del", KeyCode::Delete),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("space", KeyCode::Char(' ')),
    ("lt", KeyCode::Char('<')),
];

impl Key {
    /// The key of a terminal event; `None` for releases.
    pub fn from_event(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let mut modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let code = match event.code {
            KeyCode::BackTab => {
                modifiers |= KeyModifiers::SHIFT;
                KeyCode::Tab
            }
            // The character already tells whether shift was held.
            KeyCode::Char(c) => {
                modifiers -= KeyModifiers::SHIFT;
                KeyCode::Char(if modifiers.contains(KeyModifiers::CONTROL) { c.to_ascii_lowercase() } else { c })
            }
            code => code,
        };
        Some(Self { code, modifiers })
    }

    /// The terminal event of this key.
    pub fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

    fn digit(self) -> Option<usize> {
        match self.code {
            KeyCode::Char(c) if self.modifiers.is_empty() => c.to_digit(10).map(|d| d as usize),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = match self.code {
            KeyCode::Char(c) if c != ' ' && c != '<' => c.to_string(),
            code => NAMED.iter().find(|n| n.1 == code).map_or("?", |n| n.0).to_string(),
        };
        let mark = [(KeyModifiers::CONTROL, "C-"), (KeyModifiers::ALT, "A-"), (KeyModifiers::SHIFT, "S-")];
        let prefix: String = mark.iter().filter(|m| self.modifiers.contains(m.0)).map(|m| m.1).collect();
        if prefix.is_empty() && plain.chars().count() == 1 { f.write_str(&plain) } else { write!(f, "<{prefix}{plain}>") }
    }
}

/// Reads keys written together, as in `]e` or `<C-d>`; `None` where a name in angle brackets is not known.
pub fn parse_keys(text: &str) -> Option<Vec<Key>> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let close = rest.find('>').filter(|&i| c == '<' && i > 1);
        let Some(close) = close else {
            keys.push(Key { code: KeyCode::Char(c), modifiers: KeyModifiers::NONE });
            rest = &rest[c.len_utf8()..];
            continue;
        };
        let mut name = &rest[1..close];
        let mut modifiers = KeyModifiers::NONE;
        for (mark, modifier) in [("C-", KeyModifiers::CONTROL), ("A-", KeyModifiers::ALT), ("S-", KeyModifiers::SHIFT)] {
            if let Some(short) = name.strip_prefix(mark) {
                name = short;
                modifiers |= modifier;
            }
        }
        let mut chars = name.chars();
        let code = match (chars.next(), chars.next()) {
            (Some(c), None) => KeyCode::Char(c),
            _ => NAMED.iter().find(|n| n.0 == name)?.1,
        };
        keys.push(Key { code, modifiers });
        rest = &rest[close + 1..];
    }
    Some(keys)
}

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
