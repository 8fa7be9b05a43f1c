//! The picture in the README is a real screen: `REASONSCOPE_PICTURE=1 cargo test --test all tui_picture` draws it anew.

use crate::tui_fixture::{Screen, Setup, ready, streaming};
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use reasonscope::runtime::Request;
use std::fmt::Write;

const CELL: (usize, usize) = (9, 19);

fn hex(c: Color, other: &str) -> String {
    if let Color::Rgb(r, g, b) = c { format!("#{r:02x}{g:02x}{b:02x}") } else { other.into() }
}

/// Blocks are drawn as rectangles, so that they join whatever the font: part of the cell, from the left and the top, in eighths.
fn block(symbol: &str) -> Option<(usize, usize, usize, usize)> {
    Some(match symbol {
        "█" => (0, 0, 8, 8),
        "▌" => (0, 0, 4, 8),
        "▐" => (4, 0, 4, 8),
        "▀" => (0, 0, 8, 4),
        "▏" => (0, 0, 1, 8),
        "┃" => (3, 0, 2, 8),
        _ => {
            let n = 1 + ["▁", "▂", "▃", "▄", "▅", "▆", "▇"].iter().position(|s| *s == symbol)?;
            (0, 8 - n, 8, n)
        }
    })
}

fn svg(buffer: &Buffer) -> String {
    let (cw, ch) = CELL;
    let (w, h) = (usize::from(buffer.area.width), usize::from(buffer.area.height));
    let ground = hex(buffer[(0, 0)].bg, "#000000");
    let (pad, total) = (12, (w * cw + 24, h * ch + 24));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" font-family=\"'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,monospace\" font-size=\"15\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{ground}\"/>\n",
        total.0, total.1
    );
    let (mut grounds, mut texts) = (String::new(), String::new());
    for y in 0..h {
        let mut x = 0;
        while x < w {
            let cell = &buffer[(x as u16, y as u16)];
            let same = |k: usize| {
                let c = &buffer[(k as u16, y as u16)];
                (c.fg, c.bg, c.modifier) == (cell.fg, cell.bg, cell.modifier)
            };
            let plain = |k: usize| block(buffer[(k as u16, y as u16)].symbol()).is_none();
            let mut end = x + 1;
            while end < w && same(end) && plain(end) && plain(x) {
                end += 1;
            }
            let (left, top) = (pad + x * cw, pad + y * ch);
            let bg = hex(cell.bg, &ground);
            if bg != ground {
                let _ = writeln!(grounds, "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{ch}\" fill=\"{bg}\"/>", (end - x) * cw);
            }
            let fg = hex(cell.fg, "#d0d0d0");
            if let Some((bx, by, bw, bh)) = block(cell.symbol()) {
                let at = |v: usize, size: usize| (v * size) as f32 / 8.0;
                let (px, py) = (left as f32 + at(bx, cw), top as f32 + at(by, ch));
                let _ = writeln!(texts, "<rect x=\"{px}\" y=\"{py}\" width=\"{}\" height=\"{}\" fill=\"{fg}\"/>", at(bw, cw), at(bh, ch));
            } else {
                let text: String = (x..end).map(|k| buffer[(k as u16, y as u16)].symbol()).collect();
                if !text.trim().is_empty() {
                    let text = text.replace('&', "&amp;").replace('<', "&lt;");
                    let bold = if cell.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
                    let italic = if cell.modifier.contains(Modifier::ITALIC) { " font-style=\"italic\"" } else { "" };
                    let _ = writeln!(
                        texts,
                        "<text x=\"{left}\" y=\"{}\" textLength=\"{}\" fill=\"{fg}\"{bold}{italic} xml:space=\"preserve\">{text}</text>",
                        top + 14,
                        (end - x) * cw
                    );
                }
            }
            x = end;
        }
    }
    out.push_str(&grounds);
    out.push_str(&texts);
    out + "</svg>\n"
}

#[test]
fn the_picture_shows_the_screen_as_it_is() {
    let mut s = Screen::open(Setup { size: (124, 40), live: true, ..Setup::default() });
    s.updates([ready()]);
    let id = s.sent.iter().find_map(|r| if let Request::Generate { id, .. } = r { Some(*id) } else { None }).expect("a request");
    s.pass(2100);
    let all = streaming(id, 8, 3);
    let n = all.len() * 92 / 100;
    s.updates(all.into_iter().take(n));
    s.keys("3gg 5l t");
    s.keys("]e [e");
    let picture = svg(s.draw());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/screenshot.svg");
    if std::env::var_os("REASONSCOPE_PICTURE").is_some() {
        std::fs::write(&path, &picture).expect("write the picture");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == picture, "{} is not what is drawn now: REASONSCOPE_PICTURE=1 cargo test --test all tui_picture", path.display());
}
