//! What the screen looks like: text and style runs, at three sizes and four colour depths.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test --test all tui_snapshots`, then read the difference.

use crate::tui_fixture::{Screen, Setup, ready, streaming, text_of};
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use reasonscope::runtime::{Request, Update};
use reasonscope::tui::ColorDepth;
use std::fmt::Write;

/// A buffer's text, then its styles: a letter a style with its meaning below, and each row as runs of them.
pub fn picture(buffer: &Buffer) -> String {
    let mut out = text_of(buffer);
    let mut styles = Vec::new();
    let mut rows = String::new();
    for y in 0..buffer.area.height {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let style = (cell.fg, cell.bg, cell.modifier);
            let at = styles.iter().position(|s| *s == style).unwrap_or_else(|| {
                styles.push(style);
                styles.len() - 1
            });
            match runs.last_mut() {
                Some(last) if last.0 == at => last.1 += 1,
                _ => runs.push((at, 1)),
            }
        }
        let row: Vec<String> = runs.iter().map(|(at, n)| format!("{}{n}", letter(*at))).collect();
        let _ = writeln!(rows, "{}", row.join(" "));
    }
    out.push_str("--- styles\n");
    for (i, (fg, bg, modifier)) in styles.iter().enumerate() {
        let _ = writeln!(
            out,
            "{} {} on {}{}",
            letter(i),
            colour(*fg),
            colour(*bg),
            if modifier.is_empty() { String::new() } else { format!(" {modifier:?}") }
        );
    }
    out.push_str("--- runs\n");
    out + &rows
}

fn letter(i: usize) -> String {
    let c = (b'a' + (i % 26) as u8) as char;
    if i < 26 { c.to_string() } else { format!("{c}'") }
}

fn colour(c: Color) -> String {
    match c {
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Reset => "-".into(),
        Color::Indexed(i) => i.to_string(),
        other => format!("{other:?}"),
    }
}

fn recorded(size: (u16, u16), depth: ColorDepth, keys: &str) -> String {
    let mut s = Screen::open(Setup { size, depth, ..Setup::default() });
    s.keys(keys);
    picture(s.draw())
}

/// A live screen, `part` of the way through.
fn live(setup: Setup, part: f32, keys: &str) -> String {
    let mut s = Screen::open(Setup { live: true, ..setup });
    s.updates([ready()]);
    let id = s.sent.iter().find_map(|r| if let Request::Generate { id, .. } = r { Some(*id) } else { None }).expect("a request");
    let all = streaming(id, 8, 3);
    let n = (all.len() as f32 * part) as usize;
    s.pass(2000);
    s.updates(all.into_iter().take(n));
    if part >= 1.0 {
        s.updates([Update::Done { id, tokens_per_second: Some(1234.0) }]);
    }
    s.keys(keys);
    picture(s.draw())
}

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];
const DEPTHS: [ColorDepth; 4] = [ColorDepth::TrueColor, ColorDepth::Ansi256, ColorDepth::Ansi16, ColorDepth::None];
const TRACE: &str = "2gg <ret> ]e t w";
const COMPARE: &str = "4gg <ret> ]e";

#[test]
fn trace_at_three_sizes() {
    for size in SIZES {
        insta::assert_snapshot!(format!("trace_{}x{}", size.0, size.1), recorded(size, ColorDepth::TrueColor, TRACE));
    }
}

#[test]
fn compare_at_three_sizes() {
    for size in SIZES {
        insta::assert_snapshot!(format!("compare_{}x{}", size.0, size.1), recorded(size, ColorDepth::TrueColor, COMPARE));
    }
}

#[test]
fn live_at_three_sizes() {
    for size in SIZES {
        insta::assert_snapshot!(format!("live_{}x{}", size.0, size.1), live(Setup { size, ..Setup::default() }, 0.55, ""));
    }
}

#[test]
fn every_depth_of_colour() {
    for depth in DEPTHS {
        insta::assert_snapshot!(format!("trace_{depth}"), recorded((80, 24), depth, TRACE));
        insta::assert_snapshot!(format!("compare_{depth}"), recorded((80, 24), depth, COMPARE));
    }
}

#[test]
fn small_screens() {
    insta::assert_snapshot!("trace_60x15", recorded((60, 15), ColorDepth::TrueColor, TRACE));
    insta::assert_snapshot!("live_60x15", live(Setup { size: (60, 15), ..Setup::default() }, 0.55, "j"));
    insta::assert_snapshot!("live_20x6", live(Setup { size: (20, 6), ..Setup::default() }, 1.0, "j"));
}

#[test]
fn ascii_only() {
    let setup = || Setup { ascii: true, depth: ColorDepth::Ansi16, ..Setup::default() };
    let shown = live(setup(), 1.0, "]e");
    assert!(shown.is_ascii(), "{shown}");
    insta::assert_snapshot!("live_ascii", shown);
}

#[test]
fn the_rest() {
    let size = (80, 24);
    insta::assert_snapshot!("list", recorded(size, ColorDepth::TrueColor, "3j"));
    insta::assert_snapshot!("code", recorded(size, ColorDepth::TrueColor, "5gg <ret>"));
    insta::assert_snapshot!("thought_and_answer", recorded(size, ColorDepth::TrueColor, "6gg <ret>"));
    insta::assert_snapshot!("untrusted", recorded(size, ColorDepth::TrueColor, "7gg <ret> <ret>"));
    insta::assert_snapshot!("help", recorded(size, ColorDepth::TrueColor, "?"));
    insta::assert_snapshot!("settings", live(Setup::default(), 1.0, ", j"));
    insta::assert_snapshot!("problem", live(Setup::default(), 1.0, "e"));
    insta::assert_snapshot!("messages", live(Setup::default(), 1.0, "m"));
    insta::assert_snapshot!("search", live(Setup::default(), 1.0, "/ 2 1"));
}
