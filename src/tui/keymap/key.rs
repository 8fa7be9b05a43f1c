//! A key, as a terminal sends it and as the table writes it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::fmt;

/// A key as the table writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub(super) code: KeyCode,
    pub(super) modifiers: KeyModifiers,
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

    pub(super) fn digit(self) -> Option<usize> {
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
