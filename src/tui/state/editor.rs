//! Text being written: one line or many.

use crate::tui::Command;
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// Text with a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Editor {
    text: String,
    /// Byte at which the next character goes in; always between graphemes.
    at: usize,
}

impl Editor {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn cursor(&self) -> usize {
        self.at
    }

    pub fn set(&mut self, text: String) {
        self.at = text.len();
        self.text = text;
    }

    /// Carries out what a key means while text is written; other commands change nothing.
    pub fn run(&mut self, command: Command) {
        match command {
            Command::Newline => self.insert("\n"),
            Command::Backspace => self.backspace(),
            Command::Delete => self.delete(),
            Command::DeleteWord => self.delete_word(),
            Command::DeleteLine => self.delete_line(),
            Command::Left => self.left(),
            Command::Right => self.right(),
            Command::Up => self.vertical(-1),
            Command::Down => self.vertical(1),
            Command::Home => self.home(),
            Command::End => self.end(),
            _ => {}
        }
    }

    /// Other text, with the cursor before byte `at` of it, which is between characters.
    pub fn set_at(&mut self, text: String, at: usize) {
        self.at = at.min(text.len());
        self.text = text;
    }

    pub fn insert(&mut self, text: &str) {
        self.text.insert_str(self.at, text);
        self.at += text.len();
        // A combining mark may have joined what stands before it and after it.
        let mut cursor = GraphemeCursor::new(self.at, self.text.len(), true);
        if !cursor.is_boundary(&self.text, 0).unwrap_or(true) {
            self.at = cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len());
        }
    }

    fn before(&self) -> usize {
        self.text[..self.at].grapheme_indices(true).next_back().map_or(0, |g| g.0)
    }

    fn after(&self) -> usize {
        self.text[self.at..].graphemes(true).next().map_or(self.at, |g| self.at + g.len())
    }

    fn line(&self) -> (usize, usize) {
        let start = self.text[..self.at].rfind('\n').map_or(0, |i| i + 1);
        let end = self.text[self.at..].find('\n').map_or(self.text.len(), |i| self.at + i);
        (start, end)
    }

    pub fn left(&mut self) {
        self.at = self.before();
    }

    pub fn right(&mut self) {
        self.at = self.after();
    }

    pub fn home(&mut self) {
        self.at = self.line().0;
    }

    pub fn end(&mut self) {
        self.at = self.line().1;
    }

    /// To the line above (`-1`) or below (`1`), the same number of graphemes in.
    pub fn vertical(&mut self, by: i32) {
        let (start, end) = self.line();
        let column = self.text[start..self.at].graphemes(true).count();
        let target = match by {
            ..=-1 if start > 0 => self.text[..start - 1].rfind('\n').map_or(0, |i| i + 1),
            1.. if end < self.text.len() => end + 1,
            _ => return,
        };
        let line = self.text[target..].split('\n').next().unwrap_or("");
        self.at = target + line.grapheme_indices(true).nth(column).map_or(line.len(), |g| g.0);
    }

    pub fn backspace(&mut self) {
        self.remove(self.before());
    }

    pub fn delete(&mut self) {
        let end = self.after();
        self.text.replace_range(self.at..end, "");
    }

    pub fn delete_word(&mut self) {
        let head = self.text[..self.at].trim_end();
        let start = head.rfind(char::is_whitespace).map_or(0, |i| i + head[i..].chars().next().map_or(1, char::len_utf8));
        self.remove(start);
    }

    pub fn delete_line(&mut self) {
        self.remove(self.line().0);
    }

    fn remove(&mut self, start: usize) {
        self.text.replace_range(start..self.at, "");
        self.at = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphemes_are_moved_over_and_deleted_whole() {
        let mut e = Editor::default();
        e.insert("ae\u{301}日");
        e.left();
        e.backspace();
        assert_eq!(e.text(), "a日");
        e.delete();
        assert_eq!((e.text(), e.cursor()), ("a", 1));
    }

    #[test]
    fn words_and_lines_are_deleted_back_to_their_start() {
        let mut e = Editor::default();
        e.insert("one two\nthree four  ");
        e.delete_word();
        assert_eq!(e.text(), "one two\nthree ");
        e.delete_line();
        assert_eq!(e.text(), "one two\n");
        e.vertical(-1);
        e.end();
        assert_eq!(e.cursor(), 7);
        e.vertical(1);
        assert_eq!(e.cursor(), 8, "a shorter line takes the cursor to its end");
    }
}
