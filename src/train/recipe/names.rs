//! What is meant by a name that a recipe has wrong.

use super::schema::{Keys, Node};
use toml::Value;

/// What a recipe that cannot be read was meant to say.
#[derive(Debug, PartialEq, Eq)]
enum Hint {
    /// An unknown name, and the one that is nearest to it.
    Nearest(String),
    /// A key whose value is none of its choices.
    Choices { key: String, valid: String },
}

/// A parser's message about a recipe with what was meant: the nearest name where one is unknown, the choices where a value is none of them.
pub fn explain(message: &str, recipe: &toml::Table) -> String {
    let keys = Keys::of_recipe();
    let hint = keys.root().and_then(|root| in_section(root, recipe, ""));
    match hint {
        Some(Hint::Nearest(name)) => format!("{}; did you mean `{name}`?", message.trim_end()),
        Some(Hint::Choices { key, valid }) => format!("{key}: expected {valid} ({})", message.trim_end().replace('\n', ", ")),
        None => message.to_owned(),
    }
}

fn in_section(node: Node, table: &toml::Table, path: &str) -> Option<Hint> {
    let keys = node.keys();
    table.iter().find_map(|(name, value)| match keys.iter().find(|k| k.0 == name) {
        None => nearest(name, keys.iter().map(|k| k.0)),
        Some((_, node)) => in_value(*node, value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }),
    })
}

fn in_value(node: Node, value: &Value, path: &str) -> Option<Hint> {
    let variants = node.variants();
    if variants.is_empty() {
        return value.as_table().filter(|_| !node.keys().is_empty()).and_then(|table| in_section(node, table, path));
    }
    let only = |table: &toml::Table| (table.len() == 1).then(|| table.keys().next().cloned()).flatten();
    let name = value.as_str().map(str::to_owned).or_else(|| value.as_table().and_then(only));
    let fits = |name: &str| variants.iter().any(|v| v.name == name && v.content.is_some() == value.is_table());
    match name {
        Some(name) if fits(&name) => None,
        Some(name) if variants.iter().all(|v| v.content.is_none()) => nearest(&name, variants.iter().map(|v| v.name)),
        _ => {
            let all: Vec<String> = variants.iter().map(|v| v.toml()).collect();
            let (last, before) = all.split_last()?;
            let valid = if before.is_empty() { last.clone() } else { format!("{} or {last}", before.join(", ")) };
            Some(Hint::Choices { key: path.into(), valid })
        }
    }
}

/// The known name that is nearest to an unknown one, where one is near.
fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<Hint> {
    let best = known.map(|name| (strsim::damerau_levenshtein(unknown, name), name)).min()?;
    (best.0 <= best.1.len().max(4) / 2).then(|| Hint::Nearest(best.1.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_for_where_they_stand() {
        let said = |text: &str| explain("m", &toml::from_str(text).unwrap());
        for (text, says) in [
            ("seeed = 1", "m; did you mean `seed`?"),
            ("[rl.optim]\nbeta = 1", "m; did you mean `beta1`?"),
            ("[rl.optim]\nzzzzzzzz = 1", "m"),
            ("[data]\ntask = 'storys'", "m; did you mean `stories`?"),
            ("[reward]\nobjective = 'bart'", "m; did you mean `bt`?"),
            (
                "[rl]\nreturns = 'dense'",
                "rl.returns: expected \"trace\", { dense = { gamma = 1.0 } } or { tree = { gamma = 1.0, tau = 1.0 } } (m)",
            ),
            (
                "[rl]\nreturns = { trees = 1 }",
                "rl.returns: expected \"trace\", { dense = { gamma = 1.0 } } or { tree = { gamma = 1.0, tau = 1.0 } } (m)",
            ),
            ("[rl]\nreturns = { dense = { gama = 1 } }\nsteps = 'many'", "m"),
        ] {
            assert_eq!(said(text), says, "{text}");
        }
    }
}
