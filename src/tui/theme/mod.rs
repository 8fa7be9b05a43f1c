//! Themes: what every role on the screen looks like, at any colour depth.

mod color;
mod file;
mod glyphs;

pub use color::{ColorDepth, Paint, resolve};
pub use file::{ThemeError, ThemeInfo, themes, user_theme_dir};
pub use glyphs::{ASCII, Glyphs, UNICODE};

use ratatui::style::{Modifier, Style};
use std::path::PathBuf;

macro_rules! roles {
    ($($variant:ident $name:literal $plain:expr, $doc:literal;)*) => {
        /// What a piece of the screen means; themes style these.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Role {
            $(#[doc = $doc] $variant,)*
        }
        /// Names of the roles in theme files, in the order of [`Role`].
        pub const ROLE_NAMES: &[&str] = &[$($name,)*];
        /// All roles, in the order of their names.
        pub const ROLES: &[Role] = &[$(Role::$variant,)*];
        /// What stands for each role without colour.
        const PLAIN: &[Modifier] = &[$($plain,)*];
    };
}

roles! {
    Background "background" Modifier::empty(), "The whole screen.";
    Text "text" Modifier::empty(), "Text of candidates and problems.";
    Strong "strong" Modifier::BOLD, "Numbers and names that matter.";
    Dim "dim" Modifier::empty(), "Secondary text.";
    Faint "faint" Modifier::DIM, "Least important text.";
    Border "border" Modifier::DIM, "Rules between panes.";
    BorderFocus "border_focus" Modifier::BOLD, "Rules of the pane that has the keys.";
    Title "title" Modifier::BOLD, "Titles of panes.";
    Accent "accent" Modifier::BOLD, "Names of settings, keys in help, the selected candidate.";
    Selection "selection" Modifier::REVERSED, "The selected row of a list.";
    Step "step" Modifier::empty(), "Background of the selected step.";
    Cursor "cursor" Modifier::REVERSED, "The selected token.";
    Search "search" Modifier::REVERSED, "A match of the search.";
    Status "status" Modifier::empty(), "The bar at the bottom.";
    StatusKey "status_key" Modifier::BOLD, "Keys in it.";
    Deviation "deviation" Modifier::BOLD.union(Modifier::REVERSED), "The predicted first deviation.";
    Gold "gold" Modifier::BOLD.union(Modifier::UNDERLINED), "The labelled first deviation.";
    Right "right" Modifier::empty(), "A right answer.";
    Wrong "wrong" Modifier::BOLD, "A wrong answer.";
    Answer "answer" Modifier::BOLD, "The final answer in the text.";
    Threshold "threshold" Modifier::DIM, "The threshold in charts.";
    Error "error" Modifier::BOLD, "Something failed.";
    Warning "warning" Modifier::BOLD, "Something is doubtful.";
    Ok "ok" Modifier::empty(), "Something is ready.";
    Code "code" Modifier::empty(), "Code blocks.";
    CodeKeyword "code_keyword" Modifier::BOLD, "Keywords and operators in code.";
    CodeString "code_string" Modifier::empty(), "Strings in code.";
    CodeComment "code_comment" Modifier::DIM, "Comments in code.";
    CodeNumber "code_number" Modifier::empty(), "Numbers and constants in code.";
    CodeFunction "code_function" Modifier::empty(), "Names of functions in code.";
    CodeType "code_type" Modifier::empty(), "Names of types in code.";
}

/// Roles that would be lost where their background cannot be shown, and are reversed there.
const STAND_OUT: [Role; 4] = [Role::Selection, Role::Cursor, Role::Search, Role::Deviation];

/// The look of one role before it is fitted to a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Look {
    pub fg: Option<Paint>,
    pub bg: Option<Paint>,
    pub modifier: Modifier,
}

/// A theme fitted to a terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Its name.
    pub name: String,
    /// What its author says about it.
    pub description: String,
    /// Glyphs to draw with.
    pub glyphs: Glyphs,
    /// Colours of the terminal.
    pub depth: ColorDepth,
    styles: Vec<Style>,
    scale: Vec<Paint>,
    base: Paint,
}

/// Name of the theme that is used where none is asked for.
pub const DEFAULT_THEME: &str = "harbour";

impl Theme {
    /// Reads the theme `name`, or the file `name` where it ends in `.toml`, and fits it to the terminal.
    ///
    /// `dirs` are searched first, in order, then the embedded themes. Errors name the file, the line, the key and the nearest valid name.
    pub fn load(name: &str, dirs: &[PathBuf], depth: ColorDepth, glyphs: Glyphs) -> Result<Self, ThemeError> {
        Ok(Self::fit(file::read(name, dirs)?, depth, glyphs))
    }

    fn fit(parts: file::Parts, depth: ColorDepth, glyphs: Glyphs) -> Self {
        let styles = ROLES.iter().zip(&parts.looks).map(|(&role, look)| fit_look(role, *look, depth)).collect();
        Self { name: parts.name, description: parts.description, glyphs, depth, styles, scale: parts.scale, base: parts.base }
    }

    /// Style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// Whether the reward scale has colours here; where not, what is below the pivot is bold or underlined.
    fn has_scale(&self) -> bool {
        !self.scale.is_empty() && self.depth != ColorDepth::None
    }

    fn on_scale(&self, t: f32) -> Paint {
        let last = self.scale.len().saturating_sub(1);
        let at = (t.clamp(-1.0, 1.0) + 1.0) / 2.0 * last as f32;
        let low = (at.floor() as usize).min(last);
        let high = (low + 1).min(last);
        match (self.scale.get(low), self.scale.get(high)) {
            (Some(&a), Some(&b)) => a.mix(b, at - low as f32),
            _ => Paint::Terminal,
        }
    }

    /// Style of a number, bar or glyph at `t` of the reward scale: −1 far below the pivot, 0 on it, 1 far above.
    pub fn reward(&self, t: f32) -> Style {
        if !t.is_finite() {
            return self.style(Role::Faint);
        }
        if !self.has_scale() {
            return if t < 0.0 { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
        }
        // Two colours are all that 16 can tell apart by eye; the bar's length says the rest.
        let t = if self.depth == ColorDepth::Ansi16 { t.signum() } else { t };
        resolve(self.on_scale(t), self.depth).map_or(Style::new(), |c| Style::new().fg(c))
    }

    /// Style behind a token at `t` of the reward scale.
    pub fn heat(&self, t: f32) -> Style {
        if !t.is_finite() {
            return Style::new();
        }
        let below = if t < 0.0 { Style::new().add_modifier(Modifier::UNDERLINED) } else { Style::new() };
        if !self.has_scale() {
            return if t < -0.5 { Style::new().add_modifier(Modifier::REVERSED) } else { below };
        }
        match self.depth {
            ColorDepth::TrueColor | ColorDepth::Ansi256 => {
                // What is below stands out more: it is what one looks for.
                let most = if t < 0.0 { 0.6 } else { 0.32 };
                let paint = self.base.mix(self.on_scale(t.signum()), 0.04 + most * t.abs().min(1.0));
                resolve(paint, self.depth).map_or(Style::new(), |c| Style::new().bg(c))
            }
            _ => below.patch(self.reward(t)),
        }
    }
}

fn fit_look(role: Role, look: Look, depth: ColorDepth) -> Style {
    let shallow = matches!(depth, ColorDepth::Ansi16 | ColorDepth::None);
    let mut style = Style::new().add_modifier(look.modifier);
    // With few colours the terminal's own text and ground are kept: they are the only pair that is sure to be readable.
    let own_text = shallow && matches!(role, Role::Background | Role::Text | Role::Status | Role::Code | Role::Step);
    if let Some(c) = look.fg.filter(|_| !own_text).and_then(|p| resolve(p, depth)) {
        style = style.fg(c);
    }
    if let Some(c) = look.bg.filter(|_| !shallow).and_then(|p| resolve(p, depth)) {
        style = style.bg(c);
    }
    if depth == ColorDepth::None {
        return style.add_modifier(PLAIN[role as usize]);
    }
    if shallow && STAND_OUT.contains(&role) && look.bg.is_some() {
        // Reversed, the ground gets the colour that the theme chose for it; without one the terminal's own pair is turned round.
        style.fg = match look.bg {
            Some(Paint::Rgb { ansi: Some(_), .. }) => look.bg.and_then(|p| resolve(p, depth)),
            _ => None,
        };
        style = style.add_modifier(Modifier::REVERSED);
    }
    style
}

impl Role {
    /// The role's name in theme files.
    pub fn name(self) -> &'static str {
        ROLE_NAMES[self as usize]
    }
}
