//! One way from a theme's colour to the terminal's: truecolor, 256, 16 or none.

use ratatui::style::Color;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColorDepth {
    /// 24 bits a colour.
    #[default]
    #[serde(rename = "truecolor")]
    TrueColor,
    /// The 256-colour palette of xterm.
    #[serde(rename = "256")]
    Ansi256,
    /// The 16 colours that the terminal's own theme defines.
    #[serde(rename = "16")]
    Ansi16,
    /// No colour: bold, underline, reverse and glyphs only.
    #[serde(rename = "none")]
    None,
}

impl ColorDepth {
    /// What the environment says: `NO_COLOR`, `COLORTERM`, `TERM`, and the terminals that are known to have 24 bits.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|v| !v.is_empty());
        if set("NO_COLOR").is_some() {
            return Self::None;
        }
        let term = set("TERM").unwrap_or_default();
        if term == "dumb" || (term.is_empty() && cfg!(unix)) {
            return Self::None;
        }
        let colorterm = set("COLORTERM").unwrap_or_default();
        let program = set("TERM_PROGRAM").unwrap_or_default();
        let rich = ["iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "rio"].contains(&program.as_str());
        if ["truecolor", "24bit"].contains(&colorterm.as_str()) || rich || term.ends_with("-direct") || set("WT_SESSION").is_some() {
            return Self::TrueColor;
        }
        if ["xterm-kitty", "xterm-ghostty", "alacritty", "foot"].iter().any(|t| term.starts_with(t)) {
            return Self::TrueColor;
        }
        if term.contains("256color") {
            return Self::Ansi256;
        }
        Self::Ansi16
    }
}

impl FromStr for ColorDepth {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Ok(match s {
            "truecolor" | "24bit" => Self::TrueColor,
            "256" => Self::Ansi256,
            "16" => Self::Ansi16,
            "none" | "0" => Self::None,
            _ => return Err(format!("{s:?} is no colour depth: use truecolor, 256, 16 or none")),
        })
    }
}

impl fmt::Display for ColorDepth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TrueColor => "truecolor",
            Self::Ansi256 => "256",
            Self::Ansi16 => "16",
            Self::None => "none",
        })
    }
}

/// A colour as a theme names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Paint {
    /// The terminal's own foreground or background.
    Terminal,
    /// An sRGB colour, with the one of the 16 colours that stands for it where the nearest would not do.
    Rgb {
        /// Red, green, blue.
        rgb: [u8; 3],
        /// 0–15.
        ansi: Option<u8>,
    },
}

impl Paint {
    /// An sRGB colour whose 16-colour twin is the nearest one.
    pub fn rgb(rgb: [u8; 3]) -> Self {
        Self::Rgb { rgb, ansi: None }
    }

    /// The way from `self` to `to`; `t` in [0, 1]. The terminal's own colour cannot be mixed and wins below one half.
    pub fn mix(self, to: Self, t: f32) -> Self {
        match (self, to) {
            (Self::Rgb { rgb: a, ansi: x }, Self::Rgb { rgb: b, ansi: y }) => {
                let part = |i: usize| (f32::from(a[i]) + (f32::from(b[i]) - f32::from(a[i])) * t.clamp(0.0, 1.0)).round() as u8;
                Self::Rgb { rgb: [part(0), part(1), part(2)], ansi: if t < 0.5 { x } else { y } }
            }
            _ if t < 0.5 => self,
            _ => to,
        }
    }
}

/// The terminal's colour for `paint`; `None` where nothing is to be set.
pub fn resolve(paint: Paint, depth: ColorDepth) -> Option<Color> {
    let Paint::Rgb { rgb, ansi } = paint else { return None };
    match depth {
        ColorDepth::TrueColor => Some(Color::Rgb(rgb[0], rgb[1], rgb[2])),
        ColorDepth::Ansi256 => Some(Color::Indexed(nearest_256(rgb))),
        ColorDepth::Ansi16 => Some(ANSI[usize::from(ansi.unwrap_or_else(|| nearest_16(rgb)) & 15)].1),
        ColorDepth::None => None,
    }
}

/// The 16 colours by name, with the sRGB values that xterm gives them.
const ANSI: [(&str, Color, [u8; 3]); 16] = [
    ("black", Color::Black, [0, 0, 0]),
    ("red", Color::Red, [205, 0, 0]),
    ("green", Color::Green, [0, 205, 0]),
    ("yellow", Color::Yellow, [205, 205, 0]),
    ("blue", Color::Blue, [0, 0, 238]),
    ("magenta", Color::Magenta, [205, 0, 205]),
    ("cyan", Color::Cyan, [0, 205, 205]),
    ("white", Color::Gray, [229, 229, 229]),
    ("bright-black", Color::DarkGray, [127, 127, 127]),
    ("bright-red", Color::LightRed, [255, 0, 0]),
    ("bright-green", Color::LightGreen, [0, 255, 0]),
    ("bright-yellow", Color::LightYellow, [255, 255, 0]),
    ("bright-blue", Color::LightBlue, [92, 92, 255]),
    ("bright-magenta", Color::LightMagenta, [255, 0, 255]),
    ("bright-cyan", Color::LightCyan, [0, 255, 255]),
    ("bright-white", Color::White, [255, 255, 255]),
];

/// Names of the 16 colours, by number.
pub fn ansi_names() -> impl Iterator<Item = &'static str> {
    ANSI.iter().map(|a| a.0)
}

/// Number of one of the 16 colours.
pub fn ansi_by_name(name: &str) -> Option<u8> {
    ANSI.iter().position(|a| a.0 == name).map(|i| i as u8)
}

/// sRGB value that xterm gives one of the 16 colours.
pub fn ansi_rgb(number: u8) -> [u8; 3] {
    ANSI[usize::from(number & 15)].2
}

/// Squared distance of two colours, weighted for the eye ("redmean").
fn distance(a: [u8; 3], b: [u8; 3]) -> i64 {
    let [dr, dg, db] = [0, 1, 2].map(|i| i64::from(a[i]) - i64::from(b[i]));
    let mean = (i64::from(a[0]) + i64::from(b[0])) / 2;
    (((512 + mean) * dr * dr) >> 8) + 4 * dg * dg + (((767 - mean) * db * db) >> 8)
}

fn nearest_16(rgb: [u8; 3]) -> u8 {
    (0..16u8).min_by_key(|&i| distance(rgb, ansi_rgb(i))).unwrap_or(7)
}

/// The nearest of the 6×6×6 cube and the 24 greys; the first 16 are left out because the terminal's theme changes them.
fn nearest_256(rgb: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |v: u8| (0..6).min_by_key(|&i| i32::from(LEVELS[i]).abs_diff(i32::from(v))).unwrap_or(0);
    let [r, g, b] = rgb.map(level);
    let cube = [LEVELS[r], LEVELS[g], LEVELS[b]];
    let mean = rgb.iter().map(|&v| u32::from(v)).sum::<u32>() / 3;
    let step = (mean.saturating_sub(3) / 10).min(23);
    let grey = [(8 + 10 * step) as u8; 3];
    if distance(rgb, grey) < distance(rgb, cube) { 232 + step as u8 } else { (16 + 36 * r + 6 * g + b) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(vars: &[(&str, &str)]) -> ColorDepth {
        ColorDepth::from_env(|name| vars.iter().find(|v| v.0 == name).map(|v| v.1.to_string()))
    }

    #[test]
    fn the_environment_decides_the_depth() {
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), ColorDepth::TrueColor);
        assert_eq!(depth(&[("TERM", "xterm-256color")]), ColorDepth::Ansi256);
        assert_eq!(depth(&[("TERM", "xterm")]), ColorDepth::Ansi16);
        assert_eq!(depth(&[("TERM", "dumb"), ("COLORTERM", "truecolor")]), ColorDepth::None);
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), ColorDepth::None);
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("NO_COLOR", "")]), ColorDepth::Ansi256, "an empty NO_COLOR counts as unset");
    }

    #[test]
    fn a_colour_becomes_the_nearest_of_each_palette() {
        let orange = Paint::Rgb { rgb: [230, 159, 0], ansi: Some(3) };
        assert_eq!(resolve(orange, ColorDepth::TrueColor), Some(Color::Rgb(230, 159, 0)));
        assert_eq!(resolve(orange, ColorDepth::Ansi256), Some(Color::Indexed(178)));
        assert_eq!(resolve(orange, ColorDepth::Ansi16), Some(Color::Yellow));
        assert_eq!(resolve(orange, ColorDepth::None), None);
        assert_eq!(resolve(Paint::rgb([128, 128, 128]), ColorDepth::Ansi256), Some(Color::Indexed(244)));
        assert_eq!(resolve(Paint::rgb([250, 5, 3]), ColorDepth::Ansi16), Some(Color::LightRed));
        assert_eq!(resolve(Paint::Terminal, ColorDepth::TrueColor), None);
    }
}
