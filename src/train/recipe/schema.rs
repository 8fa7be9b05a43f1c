//! The keys of a recipe as data: their names, what they mean, and the values that they take, from the types that the parser reads.

use super::Recipe;
use crate::trace::Statistic;
use schemars::{Schema, SchemaGenerator, schema_for};
use serde_json::{Map, Value};

/// The keys of all sections.
pub struct Keys {
    root: Value,
}

/// A section, a value, or a choice of values.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    keys: &'a Keys,
    schema: &'a Map<String, Value>,
}

/// A value that a key may take, of a choice.
pub struct Variant<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it means.
    pub about: Option<&'a str>,
    /// What belongs to it; `None` where the name is all.
    pub content: Option<Node<'a>>,
}

impl Keys {
    /// Those of a [`Recipe`].
    pub fn of_recipe() -> Self {
        Self { root: schema_for!(Recipe).to_value() }
    }

    /// The whole recipe.
    pub fn root(&self) -> Option<Node<'_>> {
        Some(Node { keys: self, schema: self.root.as_object()? })
    }
}

impl<'a> Node<'a> {
    fn new(keys: &'a Keys, schema: &'a Value) -> Option<Self> {
        Some(Self { keys, schema: schema.as_object()? })
    }

    fn text(self, key: &str) -> Option<&'a str> {
        self.schema.get(key)?.as_str()
    }

    fn list(self, key: &str) -> &'a [Value] {
        self.schema.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// What it means where it stands.
    pub fn about(self) -> Option<&'a str> {
        self.text("description")
    }

    /// The type that it is of, where that has a name: its name, and the definition.
    pub fn named(self) -> Option<(&'a str, Self)> {
        // A section that may be missing is one of its type and null.
        let reference = self.text("$ref").or_else(|| self.list("anyOf").iter().find_map(|s| s.get("$ref")?.as_str()))?;
        let name = reference.rsplit('/').next()?;
        Some((name, Self::new(self.keys, self.keys.root.get("$defs")?.get(name)?)?))
    }

    /// The definition of its type, or itself.
    pub fn definition(self) -> Self {
        self.named().map_or(self, |(_, definition)| definition)
    }

    /// Its keys, in the order of the type; none where it is no section.
    pub fn keys(self) -> Vec<(&'a str, Self)> {
        let properties = self.definition().schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().filter_map(|(name, s)| Some((name.as_str(), Self::new(self.keys, s)?))).collect()
    }

    /// The values that it may take, where they are a choice of names, some with content.
    pub fn variants(self) -> Vec<Variant<'a>> {
        let definition = self.definition();
        let plain = definition.list("enum").iter().filter_map(|name| Some(Variant { name: name.as_str()?, about: None, content: None }));
        let told = definition.list("oneOf").iter().flat_map(|schema| {
            let node = Self::new(self.keys, schema);
            let name = |name| node.map(|n| Variant { name, about: n.about(), content: None });
            let several = node.map_or(&[][..], |n| n.list("enum")).iter().filter_map(Value::as_str);
            let names = schema.get("const").and_then(Value::as_str).into_iter().chain(several);
            let with_content = node.into_iter().flat_map(Self::keys).map(move |(name, content)| Variant {
                name,
                about: node.and_then(Self::about),
                content: Some(content),
            });
            names.filter_map(name).chain(with_content).collect::<Vec<_>>()
        });
        plain.chain(told).collect()
    }

    /// A value that it may have, as TOML.
    pub fn example(self) -> String {
        match self.list("examples").first() {
            Some(Value::String(text)) => format!("{text:?}"),
            Some(Value::Number(n)) => n.to_string(),
            _ => {
                let inside: Vec<String> = self.keys().into_iter().map(|(name, node)| format!("{name} = {}", node.example())).collect();
                format!("{{ {} }}", inside.join(", "))
            }
        }
    }
}

impl Variant<'_> {
    /// As a recipe has it.
    pub fn toml(&self) -> String {
        match self.content {
            None => format!("{:?}", self.name),
            Some(content) => format!("{{ {} = {} }}", self.name, content.example()),
        }
    }
}

/// The choice of a granularity, whose type knows nothing of recipes.
pub fn granularity(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({
        "oneOf": [
            { "const": "sparse", "description": "The last token of the completion." },
            { "const": "step", "description": "The last token of every step." },
            {
                "type": "object",
                "description": "Every k-th token of the completion, counted from the first one, and the last.",
                "properties": { "interval": { "type": "integer", "examples": [15] } },
            },
            { "const": "dense", "description": "Every token of the completion." },
        ]
    })
}

/// The choice of a statistic, whose type knows nothing of recipes.
pub fn statistic(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "enum": Statistic::ALL.map(Statistic::name) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Granularity;

    #[test]
    fn every_granularity_is_a_choice() {
        let keys = Keys { root: granularity(&mut SchemaGenerator::default()).to_value() };
        let variants = keys.root().unwrap().variants();
        for granularity in [Granularity::Sparse, Granularity::Step, Granularity::Interval(15), Granularity::Dense] {
            let name = match granularity {
                Granularity::Sparse | Granularity::Step | Granularity::Interval(_) | Granularity::Dense => granularity.name(),
            };
            let variant = variants.iter().find(|v| v.name == name).unwrap();
            let table: toml::Table = toml::from_str(&format!("v = {}", variant.toml())).unwrap();
            assert_eq!(table["v"].clone().try_into::<Granularity>().unwrap(), granularity);
        }
        assert_eq!(variants.len(), 4);
    }

    #[test]
    fn sections_and_choices_are_found() {
        let keys = Keys::of_recipe();
        let find = |path: &str| {
            let step = |node: Node<'static>, name: &str| node.keys().into_iter().find(|k| k.0 == name).map(|k| k.1);
            let keys: &'static Keys = Box::leak(Box::new(Keys::of_recipe()));
            path.split('.').try_fold(keys.root().unwrap(), step)
        };
        let root: Vec<&str> = keys.root().unwrap().keys().into_iter().map(|k| k.0).collect();
        assert_eq!(root[..3], ["seed", "output", "checkpoint_every"], "as the type has them");
        assert!(find("reward.adversarial.optim.beta1").unwrap().about().unwrap().contains("decay"));
        assert!(find("reward.adversarial.optim.beta7").is_none());
        let names = |path| find(path).unwrap().variants().iter().map(Variant::toml).collect::<Vec<_>>();
        assert_eq!(names("rl.returns"), ["\"trace\"", "{ dense = { gamma = 1.0 } }", "{ tree = { gamma = 1.0, tau = 1.0 } }"]);
        assert_eq!(names("rl.loss.reduction"), ["\"grpo\"", "{ dr_grpo = { max_tokens = 256 } }", "\"dapo\""]);
        assert_eq!(names("reward.calibration.stand_ins"), ["\"demonstration\"", "{ majority = 0.5 }"]);
        assert!(names("data.task").contains(&"\"mmlu_pro\"".to_owned()));
    }
}
