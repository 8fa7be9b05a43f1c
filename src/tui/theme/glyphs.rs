//! The glyphs of the screen, each with an ASCII twin.

/// What the screen draws beside letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Above the pivot of the reward scale.
    pub above: &'static str,
    /// Below it.
    pub below: &'static str,
    /// No reward.
    pub unknown: &'static str,
    /// Predicted first deviation.
    pub deviation: &'static str,
    /// First deviation by a second signal, where it marks another step.
    pub beside: &'static str,
    /// Labelled first deviation.
    pub gold: &'static str,
    /// Right.
    pub right: &'static str,
    /// Wrong.
    pub wrong: &'static str,
    /// What the cursor points at.
    pub cursor: &'static str,
    /// Minus sign.
    pub minus: &'static str,
    /// Cut text.
    pub ellipsis: &'static str,
    /// Between parts of a line.
    pub dot: &'static str,
    /// Leads from one to another.
    pub arrow: &'static str,
    /// Number of votes.
    pub times: &'static str,
    /// Difference.
    pub delta: &'static str,
    /// Horizontal rule.
    pub rule: &'static str,
    /// Vertical rule.
    pub wall: &'static str,
    /// Vertical rule of the focused part.
    pub wall_focus: &'static str,
    /// Threshold line in a chart.
    pub threshold: &'static str,
    /// Full cell of a bar above the pivot.
    pub bar: &'static str,
    /// Its half, flush left.
    pub bar_left: &'static str,
    /// Full cell of a bar below the pivot.
    pub bar_below: &'static str,
    /// Its half, flush right.
    pub bar_right: &'static str,
    /// Axis of a diverging bar.
    pub axis: &'static str,
    /// A bar upwards in eighths (or fewer), lowest first.
    pub levels: &'static [&'static str],
    /// Part of a chart's bar below the pivot.
    pub chart_below: &'static str,
    /// A point in a chart.
    pub point: &'static str,
    /// Half a cell, upper.
    pub upper_half: &'static str,
    /// Progress, done.
    pub progress_done: &'static str,
    /// Progress, to come.
    pub progress_left: &'static str,
    /// Frames of a spinner.
    pub spinner: &'static [&'static str],
    /// Scroll bar's thumb.
    pub thumb: &'static str,
    /// Scroll bar's track.
    pub track: &'static str,
    /// Before a lint or an error.
    pub warning: &'static str,
    /// Where text is still being written.
    pub caret: &'static str,
    /// Whether text may hold more than ASCII.
    pub unicode: bool,
}

/// For terminals with UTF-8.
pub const UNICODE: Glyphs = Glyphs {
    above: "▲",
    below: "▼",
    unknown: "·",
    deviation: "✗",
    beside: "≠",
    gold: "◆",
    right: "✓",
    wrong: "✗",
    cursor: "▸",
    minus: "−",
    ellipsis: "…",
    dot: "·",
    arrow: "→",
    times: "×",
    delta: "Δ",
    rule: "─",
    wall: "│",
    wall_focus: "┃",
    threshold: "┄",
    bar: "█",
    bar_left: "▌",
    bar_below: "▓",
    bar_right: "▐",
    axis: "│",
    levels: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    chart_below: "▒",
    point: "•",
    upper_half: "▀",
    progress_done: "━",
    progress_left: "─",
    spinner: &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"],
    thumb: "┃",
    track: "│",
    warning: "▲",
    caret: "▏",
    unicode: true,
};

/// For every other terminal.
pub const ASCII: Glyphs = Glyphs {
    above: "^",
    below: "v",
    unknown: ".",
    deviation: "X",
    beside: "?",
    gold: "G",
    right: "y",
    wrong: "x",
    cursor: ">",
    minus: "-",
    ellipsis: "~",
    dot: "-",
    arrow: "->",
    times: "x",
    delta: "d",
    rule: "-",
    wall: "|",
    wall_focus: "#",
    threshold: "-",
    bar: "#",
    bar_left: "+",
    bar_below: "=",
    bar_right: "-",
    axis: "|",
    levels: &[".", ".", ":", ":", "+", "+", "#", "#"],
    chart_below: "=",
    point: "o",
    upper_half: "-",
    progress_done: "#",
    progress_left: ".",
    spinner: &["|", "/", "-", "\\"],
    thumb: "#",
    track: "|",
    warning: "!",
    caret: "_",
    unicode: false,
};

impl Glyphs {
    /// Whether the locale variables name UTF-8 (`LC_ALL`, else `LC_CTYPE`, else `LANG`).
    pub fn locale_is_utf8(var: impl Fn(&str) -> Option<String>) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| var(name)).find(|v| !v.is_empty());
        match locale {
            Some(l) => {
                let l = l.to_ascii_lowercase();
                l.contains("utf-8") || l.contains("utf8")
            }
            None => !cfg!(unix) || cfg!(target_os = "macos"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let with =
            |vars: &'static [(&str, &str)]| Glyphs::locale_is_utf8(|name| vars.iter().find(|v| v.0 == name).map(|v| v.1.to_string()));
        assert!(with(&[("LANG", "de_DE.UTF-8")]));
        assert!(with(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
    }
}
