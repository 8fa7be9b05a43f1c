//! Theme files: TOML with a palette, styles, a reward scale, and inheritance.

use super::color::{Paint, ansi_by_name, ansi_names, ansi_rgb};
use super::{Look, ROLE_NAMES, ROLES, Role};
use ratatui::style::Modifier;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The themes inside the program.
const EMBEDDED: &[(&str, &str)] = &[
    ("harbour", include_str!("../../../themes/harbour.toml")),
    ("chalk", include_str!("../../../themes/chalk.toml")),
    ("safe", include_str!("../../../themes/safe.toml")),
    ("contrast", include_str!("../../../themes/contrast.toml")),
    ("mono", include_str!("../../../themes/mono.toml")),
    ("peat", include_str!("../../../themes/peat.toml")),
    ("tarn", include_str!("../../../themes/tarn.toml")),
];

/// What is wrong with a theme.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    /// No theme has the name.
    #[error("no theme is called {name:?}; did you mean {nearest:?}? Themes: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest name.
        nearest: String,
        /// All names.
        known: String,
    },
    /// The file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not what it must be.
    #[error("{file}:{line}: {what}")]
    File {
        /// The file, or the name of an embedded theme.
        file: String,
        /// 1-based line.
        line: usize,
        /// The key, what is wrong with it, and the remedy.
        what: String,
    },
}

/// A theme that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThemeInfo {
    /// Its name.
    pub name: String,
    /// What its author says about it; empty where the file cannot be read.
    pub description: String,
    /// The file; `None`: embedded.
    pub path: Option<PathBuf>,
}

/// Where a user's own themes lie: `$XDG_CONFIG_HOME/reasonscope/themes`, else `$HOME/.config/reasonscope/themes`.
pub fn user_theme_dir(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").filter(|p| p.is_absolute()).or_else(|| set("HOME").map(|h| h.join(".config")))?;
    Some(config.join("reasonscope").join("themes"))
}

/// The themes in `dirs` and the embedded ones; a file hides an embedded theme of its name.
pub fn themes(dirs: &[PathBuf]) -> Vec<ThemeInfo> {
    let mut found: Vec<ThemeInfo> = Vec::new();
    for dir in dirs {
        let mut files: Vec<PathBuf> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
        files.sort();
        for path in files.into_iter().filter(|p| p.extension().is_some_and(|e| e == "toml")) {
            let Some(name) = path.file_stem().and_then(|s| s.to_str()).map(str::to_string) else { continue };
            if found.iter().all(|f| f.name != name) {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                found.push(ThemeInfo { description: description(&text), name, path: Some(path) });
            }
        }
    }
    for (name, text) in EMBEDDED {
        if found.iter().all(|f| f.name != *name) {
            found.push(ThemeInfo { name: (*name).to_string(), description: description(text), path: None });
        }
    }
    found
}

fn description(text: &str) -> String {
    let table = DeTable::parse(text).ok();
    table.and_then(|t| t.get_ref().get("description").and_then(|v| v.get_ref().as_str()).map(str::to_string)).unwrap_or_default()
}

/// A theme with every name resolved.
pub(crate) struct Parts {
    pub name: String,
    pub description: String,
    pub looks: Vec<Look>,
    pub scale: Vec<Paint>,
    pub base: Paint,
}

/// A place in a theme file.
#[derive(Clone, Debug)]
struct At {
    file: String,
    line: usize,
}

impl At {
    fn error<T>(&self, what: String) -> Result<T, ThemeError> {
        Err(ThemeError::File { file: self.file.clone(), line: self.line, what })
    }
}

/// A colour by name, until the palette is whole.
#[derive(Clone)]
struct Named {
    key: String,
    name: String,
    at: At,
}

#[derive(Clone, Default)]
struct RawLook {
    fg: Option<Named>,
    bg: Option<Named>,
    modifier: Modifier,
}

#[derive(Default)]
struct Raw {
    description: String,
    palette: HashMap<String, Paint>,
    styles: HashMap<&'static str, RawLook>,
    scale: Option<Vec<Named>>,
}

/// Reads a theme and those it inherits from.
pub(crate) fn read(name: &str, dirs: &[PathBuf]) -> Result<Parts, ThemeError> {
    let raw = read_raw(name, dirs, &mut Vec::new())?;
    let short = Path::new(name).file_stem().and_then(|s| s.to_str()).unwrap_or(name).to_string();
    let mut looks = Vec::with_capacity(ROLES.len());
    for role in ROLES {
        let Some(look) = raw.styles.get(role.name()) else {
            let at = At { file: name.to_string(), line: 1 };
            return at.error(format!("styles.{} is missing: set it, or inherit = a theme that has it", role.name()));
        };
        let color = |named: &Option<Named>| named.as_ref().map(|n| lookup(&raw.palette, n)).transpose();
        looks.push(Look { fg: color(&look.fg)?, bg: color(&look.bg)?, modifier: look.modifier });
    }
    let scale = raw.scale.iter().flatten().map(|n| lookup(&raw.palette, n)).collect::<Result<Vec<_>, _>>()?;
    let base = looks[Role::Background as usize].bg.filter(|p| *p != Paint::Terminal).unwrap_or(Paint::rgb([0, 0, 0]));
    Ok(Parts { name: short, description: raw.description, looks, scale, base })
}

fn source(name: &str, dirs: &[PathBuf]) -> Result<(String, String), ThemeError> {
    let open = |path: &Path| match std::fs::read_to_string(path) {
        Ok(text) => Ok((path.display().to_string(), text)),
        Err(source) => Err(ThemeError::Io { path: path.display().to_string(), source }),
    };
    if name.ends_with(".toml") {
        return open(Path::new(name));
    }
    if let Some(path) = dirs.iter().map(|d| d.join(format!("{name}.toml"))).find(|p| p.is_file()) {
        return open(&path);
    }
    if let Some((_, text)) = EMBEDDED.iter().find(|e| e.0 == name) {
        return Ok((format!("themes/{name}.toml"), (*text).to_string()));
    }
    let known: Vec<String> = themes(dirs).into_iter().map(|t| t.name).collect();
    let nearest = nearest(name, known.iter().map(String::as_str)).unwrap_or_default().to_string();
    Err(ThemeError::Unknown { name: name.to_string(), nearest, known: known.join(", ") })
}

fn read_raw(name: &str, dirs: &[PathBuf], above: &mut Vec<String>) -> Result<Raw, ThemeError> {
    let (file, text) = source(name, dirs)?;
    let at = |span: std::ops::Range<usize>| At { file: file.clone(), line: 1 + text[..span.start.min(text.len())].matches('\n').count() };
    let table = match DeTable::parse(&text) {
        Ok(t) => t,
        Err(e) => return at(e.span().unwrap_or(0..0)).error(e.message().to_string()),
    };
    let mut raw = Raw::default();
    if let Some(parent) = table.get_ref().get("inherits") {
        let at = at(parent.span());
        let Some(parent) = parent.get_ref().as_str() else { return at.error("inherits: give the name of a theme".into()) };
        above.push(name.to_string());
        // A file may change an embedded theme of its own name: the parent is then the embedded one.
        let own = parent == name || Path::new(name).file_stem().is_some_and(|s| s == parent);
        if !own && above.iter().any(|a| a == parent) {
            return at.error(format!("inherits: {} inherit in a circle", above.join(" → ")));
        }
        raw = match read_raw(parent, if own { &[] } else { dirs }, above) {
            Err(e @ ThemeError::Unknown { .. }) => return at.error(format!("inherits: {e}")),
            other => other?,
        };
    }
    for (key, value) in table.get_ref() {
        let at_key = at(key.span());
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("inherits", _) => {}
            ("description", DeValue::String(s)) => raw.description = s.to_string(),
            ("palette", DeValue::Table(t)) => {
                for (name, value) in t {
                    let key = format!("palette.{}", name.get_ref());
                    raw.palette.insert(name.get_ref().to_string(), palette_entry(&key, value.get_ref(), &at(value.span()))?);
                }
            }
            ("styles", DeValue::Table(t)) => {
                for (name, value) in t {
                    let Some(role) = ROLE_NAMES.iter().find(|r| **r == name.get_ref().as_ref()) else {
                        return at(name.span()).error(format!(
                            "styles.{}: no such style; did you mean {:?}?",
                            name.get_ref(),
                            nearest(name.get_ref(), ROLE_NAMES.iter().copied()).unwrap_or("text")
                        ));
                    };
                    raw.styles.insert(role, style_entry(&format!("styles.{role}"), value, &at)?);
                }
            }
            ("reward", DeValue::Table(t)) => {
                for (name, value) in t {
                    let at = at(value.span());
                    match (name.get_ref().as_ref(), value.get_ref()) {
                        ("scale", DeValue::Array(a)) => {
                            let named = |v: &Spanned<DeValue<'_>>| {
                                Some(Named { key: "reward.scale".into(), name: v.get_ref().as_str()?.into(), at: at.clone() })
                            };
                            match a.iter().map(named).collect::<Option<Vec<_>>>() {
                                Some(scale) if scale.len() != 1 => raw.scale = Some(scale),
                                _ => return at.error("reward.scale: give no colour, or two and more from worst to best".into()),
                            }
                        }
                        ("scale", _) => return at.error("reward.scale: give a list of colours from worst to best".into()),
                        (other, _) => return at.error(format!("reward.{other}: no such key; did you mean \"scale\"?")),
                    }
                }
            }
            (known @ ("description" | "palette" | "styles" | "reward"), v) => {
                return at_key.error(format!(
                    "{known}: expected {}, found {}",
                    if known == "description" { "a string" } else { "a table" },
                    v.type_str()
                ));
            }
            (other, _) => {
                let names = ["inherits", "description", "palette", "styles", "reward"];
                return at_key
                    .error(format!("{other}: no such key; did you mean {:?}?", nearest(other, names.into_iter()).unwrap_or("styles")));
            }
        }
    }
    Ok(raw)
}

fn palette_entry(key: &str, value: &DeValue<'_>, at: &At) -> Result<Paint, ThemeError> {
    match value {
        DeValue::String(s) => literal(s)
            .map_or_else(|| at.error(format!("{key}: {s:?} is no colour: write \"#rrggbb\", \"terminal\" or one of {}", list_ansi())), Ok),
        DeValue::Table(t) => {
            let mut rgb = None;
            let mut ansi = None;
            for (name, value) in t {
                let text = value.get_ref().as_str().unwrap_or_default();
                match name.get_ref().as_ref() {
                    "rgb" => rgb = hex(text),
                    "ansi" => match ansi_by_name(text) {
                        Some(n) => ansi = Some(n),
                        None => {
                            return at.error(format!(
                                "{key}.ansi: {text:?} is none of {}; did you mean {:?}?",
                                list_ansi(),
                                nearest(text, ansi_names()).unwrap_or("blue")
                            ));
                        }
                    },
                    other => return at.error(format!("{key}.{other}: no such key; use rgb and ansi")),
                }
            }
            match rgb {
                Some(rgb) => Ok(Paint::Rgb { rgb, ansi }),
                None => at.error(format!("{key}.rgb: write \"#rrggbb\"")),
            }
        }
        other => at.error(format!("{key}: expected a colour, found {}", other.type_str())),
    }
}

fn style_entry(key: &str, value: &Spanned<DeValue<'_>>, at: &dyn Fn(std::ops::Range<usize>) -> At) -> Result<RawLook, ThemeError> {
    let here = at(value.span());
    let mut look = RawLook::default();
    match value.get_ref() {
        DeValue::String(s) => look.fg = Some(Named { key: key.to_string(), name: s.to_string(), at: here }),
        DeValue::Table(t) => {
            for (name, value) in t {
                let at = at(value.span());
                let field = format!("{key}.{}", name.get_ref());
                let modifier = match name.get_ref().as_ref() {
                    "fg" | "bg" => {
                        let Some(s) = value.get_ref().as_str() else {
                            return at.error(format!("{field}: expected a colour, found {}", value.get_ref().type_str()));
                        };
                        let named = Some(Named { key: field, name: s.to_string(), at });
                        if name.get_ref() == "fg" {
                            look.fg = named
                        } else {
                            look.bg = named
                        }
                        continue;
                    }
                    "bold" => Modifier::BOLD,
                    "italic" => Modifier::ITALIC,
                    "underline" => Modifier::UNDERLINED,
                    "dim" => Modifier::DIM,
                    "reverse" => Modifier::REVERSED,
                    other => {
                        let names = ["fg", "bg", "bold", "italic", "underline", "dim", "reverse"];
                        return at
                            .error(format!("{field}: no such key; did you mean {:?}?", nearest(other, names.into_iter()).unwrap_or("fg")));
                    }
                };
                match value.get_ref().as_bool() {
                    Some(true) => look.modifier |= modifier,
                    Some(false) => {}
                    None => return at.error(format!("{field}: write true or false")),
                }
            }
        }
        other => return here.error(format!("{key}: expected a colour or a table, found {}", other.type_str())),
    }
    Ok(look)
}

fn lookup(palette: &HashMap<String, Paint>, named: &Named) -> Result<Paint, ThemeError> {
    if let Some(paint) = palette.get(&named.name).copied().or_else(|| literal(&named.name)) {
        return Ok(paint);
    }
    let mut names: Vec<String> = palette.keys().cloned().collect();
    names.sort_unstable();
    names.extend(ansi_names().map(str::to_string));
    let hint = nearest(&named.name, names.iter().map(String::as_str)).unwrap_or("terminal");
    named.at.error(format!("{}: {:?} is neither in the palette nor a colour (\"#rrggbb\"); did you mean {hint:?}?", named.key, named.name))
}

fn literal(text: &str) -> Option<Paint> {
    if text == "terminal" {
        return Some(Paint::Terminal);
    }
    if let Some(n) = ansi_by_name(text) {
        return Some(Paint::Rgb { rgb: ansi_rgb(n), ansi: Some(n) });
    }
    hex(text).map(Paint::rgb)
}

fn hex(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.is_ascii())?;
    let part = |i: usize| u8::from_str_radix(&digits[i..i + 2], 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

fn list_ansi() -> String {
    ansi_names().collect::<Vec<_>>().join(", ")
}

/// The name with the fewest edits.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.min_by_key(|n| edits(name, n))
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}
