//! Themes: all embedded ones are whole and readable; wrong files say what is wrong.

use ratatui::style::{Color, Modifier, Style};
use reasonscope::tui::{ASCII, ColorDepth, ROLES, Role, Theme, UNICODE, themes, user_theme_dir};
use std::path::PathBuf;

const DEPTHS: [ColorDepth; 4] = [ColorDepth::TrueColor, ColorDepth::Ansi256, ColorDepth::Ansi16, ColorDepth::None];

fn load(name: &str, depth: ColorDepth) -> Theme {
    Theme::load(name, &[], depth, UNICODE).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Relative luminance (WCAG 2).
fn luminance(color: Color) -> f32 {
    let Color::Rgb(r, g, b) = color else { panic!("{color:?} is no truecolor") };
    let part = |v: u8| {
        let v = f32::from(v) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
}

fn contrast(a: Color, b: Color) -> f32 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn there_are_six_and_more_and_each_says_what_it_is_for() {
    let all = themes(&[]);
    assert!(all.len() >= 6);
    for theme in &all {
        assert!(!theme.description.is_empty() && theme.path.is_none(), "{theme:?}");
    }
    for word in ["Colour-blind", "High contrast", "No colour"] {
        assert!(all.iter().any(|t| t.description.contains(word)), "{word}");
    }
}

#[test]
fn text_is_readable_on_every_ground_it_stands_on() {
    for info in themes(&[]).into_iter().filter(|t| t.name != "mono") {
        let theme = load(&info.name, ColorDepth::TrueColor);
        let ground = theme.style(Role::Background).bg.expect("ground");
        let least = match info.name.as_str() {
            "contrast" => 7.0,
            // Made to be low in contrast, still above what large text needs.
            "tarn" => 3.0,
            _ => 4.5,
        };
        for role in [Role::Text, Role::Strong, Role::Dim, Role::Accent, Role::Error, Role::Warning, Role::Gold, Role::Right, Role::Wrong] {
            let style = theme.style(role);
            let at = contrast(style.fg.expect("colour"), style.bg.unwrap_or(ground));
            assert!(at >= least, "{}: {} has {at:.2}:1", info.name, role.name());
        }
        for role in [Role::Selection, Role::Cursor, Role::Search, Role::Deviation] {
            let style = theme.style(role);
            let at = contrast(style.fg.expect("colour"), style.bg.expect("ground"));
            assert!(at >= least.min(4.5), "{}: {} has {at:.2}:1", info.name, role.name());
        }
        for t in [-1.0, -0.5, 0.5, 1.0] {
            let at = contrast(theme.reward(t).fg.expect("colour"), ground);
            assert!(at >= least.min(4.5), "{}: reward {t} has {at:.2}:1", info.name);
        }
    }
}

#[test]
fn the_two_ends_of_the_scale_differ_for_every_eye() {
    // Simulated loss of the red and of the green cones (Viénot, Brettel, Mollon 1999), on linear values, in coarse figures.
    let seen = |c: Color, kind: usize| {
        let Color::Rgb(r, g, b) = c else { panic!() };
        let [r, g, b] = [r, g, b].map(|v| (f32::from(v) / 255.0).powf(2.2));
        match kind {
            0 => [0.112 * r + 0.888 * g, 0.112 * r + 0.888 * g, b],
            _ => [0.293 * r + 0.707 * g, 0.293 * r + 0.707 * g, b],
        }
    };
    for info in themes(&[]).into_iter().filter(|t| t.name != "mono") {
        let theme = load(&info.name, ColorDepth::TrueColor);
        let (bad, good) = (theme.reward(-1.0).fg.expect("colour"), theme.reward(1.0).fg.expect("colour"));
        for kind in 0..2 {
            let (a, b) = (seen(bad, kind), seen(good, kind));
            let far: f32 = a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f32>().sqrt();
            assert!(far > 0.2, "{}: {far:.2}", info.name);
        }
    }
}

#[test]
fn without_colour_every_meaning_keeps_a_mark() {
    for info in themes(&[]) {
        let theme = load(&info.name, ColorDepth::None);
        for role in ROLES {
            let style = theme.style(*role);
            assert_eq!((style.fg, style.bg), (None, None), "{}: {}", info.name, role.name());
        }
        assert!(theme.style(Role::Selection).add_modifier.contains(Modifier::REVERSED));
        assert_ne!(theme.reward(-0.5), theme.reward(0.5));
        assert_ne!(theme.heat(-0.2), theme.heat(0.2));
    }
    let mono = load("mono", ColorDepth::TrueColor);
    assert!(ROLES.iter().all(|r| mono.style(*r).fg.is_none() && mono.style(*r).bg.is_none()));
}

#[test]
fn sixteen_colours_keep_the_ground_of_the_terminal_and_tell_good_from_bad() {
    for info in themes(&[]).into_iter().filter(|t| t.name != "mono") {
        let theme = load(&info.name, ColorDepth::Ansi16);
        assert_eq!(theme.style(Role::Background), Style::new(), "{}", info.name);
        assert_ne!(theme.reward(-0.1).fg, theme.reward(0.1).fg, "{}", info.name);
        assert!(theme.style(Role::Deviation).add_modifier.contains(Modifier::REVERSED), "{}", info.name);
    }
}

#[test]
fn every_glyph_has_an_ascii_twin() {
    let ascii = format!("{ASCII:?}");
    assert!(ascii.is_ascii(), "{ascii}");
    for depth in DEPTHS {
        assert_eq!(Theme::load("harbour", &[], depth, ASCII).expect("theme").glyphs, ASCII);
    }
}

/// A directory with one theme file in it.
fn with_file(name: &str, text: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::write(dir.path().join(format!("{name}.toml")), text).expect("file");
    let dirs = vec![dir.path().to_path_buf()];
    (dir, dirs)
}

fn error(text: &str) -> String {
    let (_keep, dirs) = with_file("mine", text);
    let e = Theme::load("mine", &dirs, ColorDepth::TrueColor, UNICODE).expect_err("an error").to_string();
    e.rsplit('/').next().unwrap_or(&e).to_string()
}

#[test]
fn a_theme_of_ones_own_inherits_and_hides_an_embedded_one() {
    let text = "inherits = \"harbour\"\n[palette]\nsky = \"#010203\"\n[styles]\ntitle = { fg = \"sky\", underline = true }\n";
    let (_keep, dirs) = with_file("harbour", text);
    let theme = Theme::load("harbour", &dirs, ColorDepth::TrueColor, UNICODE).expect("theme");
    let sky = Some(Color::Rgb(1, 2, 3));
    assert_eq!((theme.style(Role::Title).fg, theme.style(Role::Accent).fg), (sky, sky), "what is inherited uses the new palette");
    assert!(theme.style(Role::Title).add_modifier.contains(Modifier::UNDERLINED));
    assert!(themes(&dirs).iter().any(|t| t.name == "harbour" && t.path.is_some()));
    let path = dirs[0].join("harbour.toml");
    assert!(Theme::load(&path.display().to_string(), &[], ColorDepth::TrueColor, UNICODE).is_ok(), "a file can be named");
}

#[test]
fn wrong_themes_name_file_line_key_and_the_nearest_name() {
    let unknown = Theme::load("harbor", &[], ColorDepth::TrueColor, UNICODE).expect_err("an error").to_string();
    assert!(unknown.starts_with("no theme is called \"harbor\"; did you mean \"harbour\"? Themes: "), "{unknown}");
    let cases = [
        ("inherits = \"mono\"\n[styles]\nselektion = \"red\"", "mine.toml:3: styles.selektion: no such style; did you mean \"selection\"?"),
        (
            "inherits = \"mono\"\n\n[styles]\ntext = \"bleu\"",
            "mine.toml:4: styles.text: \"bleu\" is neither in the palette nor a colour (\"#rrggbb\"); did you mean \"blue\"?",
        ),
        ("inherits = \"mono\"\n[styles]\ntext = { fgg = \"red\" }", "mine.toml:3: styles.text.fgg: no such key; did you mean \"fg\"?"),
        ("inherits = \"mono\"\n[styles]\ntext = { bold = 1 }", "mine.toml:3: styles.text.bold: write true or false"),
        ("inherits = \"mono\"\n[styles]\ntext = 7", "mine.toml:3: styles.text: expected a colour or a table, found integer"),
        ("inherits = \"mono\"\n[pallette]\na = \"red\"", "mine.toml:2: pallette: no such key; did you mean \"palette\"?"),
        (
            "inherits = \"mono\"\n[reward]\nscale = [\"red\"]",
            "mine.toml:3: reward.scale: give no colour, or two and more from worst to best",
        ),
        ("inherits = \"mine2\"", "mine.toml:1: inherits: no theme is called \"mine2\"; did you mean "),
        ("[styles]\ntext = \"red\"", "mine:1: styles.background is missing: set it, or inherit = a theme that has it"),
        ("[styles\n", "mine.toml:1: "),
    ];
    for (text, want) in cases {
        let got = error(text);
        assert!(got.starts_with(want), "{got}\nwanted {want}");
    }
    let palette = error("inherits = \"mono\"\n[palette]\nink = \"#12345\"");
    assert!(
        palette.starts_with("mine.toml:3: palette.ink: \"#12345\" is no colour: write \"#rrggbb\", \"terminal\" or one of black, red"),
        "{palette}"
    );
}

#[test]
fn themes_that_inherit_in_a_circle_are_an_error() {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::write(dir.path().join("a.toml"), "inherits = \"b\"").expect("file");
    std::fs::write(dir.path().join("b.toml"), "inherits = \"a\"").expect("file");
    let e = Theme::load("a", &[dir.path().to_path_buf()], ColorDepth::TrueColor, UNICODE).expect_err("an error").to_string();
    assert!(e.contains("in a circle"), "{e}");
}

#[test]
fn the_users_themes_lie_where_the_desktop_says() {
    let dir = |vars: &'static [(&str, &str)]| user_theme_dir(|name| vars.iter().find(|v| v.0 == name).map(|v| v.1.to_string()));
    assert_eq!(dir(&[("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")]), Some(PathBuf::from("/c/reasonscope/themes")));
    assert_eq!(dir(&[("XDG_CONFIG_HOME", ""), ("HOME", "/h")]), Some(PathBuf::from("/h/.config/reasonscope/themes")));
    assert_eq!(dir(&[]), None);
}
