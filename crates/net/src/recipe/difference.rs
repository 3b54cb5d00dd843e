//! The keys in which two recipes differ.

use super::Recipe;
use crate::error::Result;
use std::collections::BTreeMap;
use std::fmt;

/// Characters of a value that are shown.
const LONGEST: usize = 60;

/// A key whose value differs between two recipes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The key with its parts, such as `train.epochs`.
    pub key: String,
    /// The value in the first recipe, as TOML; `None` if it lacks the key.
    pub then: Option<String>,
    /// The value in the second recipe.
    pub now: Option<String>,
}

impl Difference {
    /// Whether the key only says where files are. Such a key does not change a training as long as
    /// the files are the same.
    pub fn is_place(&self) -> bool {
        self.key == "data.path" || self.key == "data.cache"
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |value: &Option<String>| match value {
            None => "not given".to_owned(),
            Some(long) if long.chars().count() > LONGEST => long.chars().take(LONGEST).chain(['…']).collect(),
            Some(value) => value.clone(),
        };
        write!(f, "`{}`: {} then, {} now", self.key, word(&self.then), word(&self.now))
    }
}

impl Recipe {
    /// The keys in which `now` differs from this recipe, in the order of their names. A list of
    /// layers is one value.
    ///
    /// # Errors
    /// If a value cannot be written as TOML.
    pub fn differences(&self, now: &Recipe) -> Result<Vec<Difference>> {
        let (then, now) = (self.values()?, now.values()?);
        let keys = then.keys().chain(now.keys().filter(|key| !then.contains_key(*key)));
        let all =
            keys.map(|key| Difference { key: key.clone(), then: then.get(key).cloned(), now: now.get(key).cloned() });
        let mut differing: Vec<Difference> = all.filter(|d| d.then != d.now).collect();
        differing.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(differing)
    }

    /// The value of each key as TOML.
    fn values(&self) -> Result<BTreeMap<String, String>> {
        let table: toml::Table = toml::from_str(&self.to_toml()?).unwrap_or_default();
        let mut all = BTreeMap::new();
        collect("", &table, &mut all);
        Ok(all)
    }
}

fn collect(prefix: &str, table: &toml::Table, all: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => collect(&key, inner, all),
            value => {
                all.insert(key, value.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn recipe(changes: &[&str]) -> Recipe {
        let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
        let text = "[data]\nset = \"nmnist\"\npath = \"a\"\n[network]\nname = \"demo\"\n";
        Recipe::parse(text, Path::new("r.toml"), &changes).unwrap()
    }

    #[test]
    fn every_key_that_differs_is_named_with_both_values_and_places_are_marked() {
        let then = recipe(&["train.epochs=3"]);
        assert_eq!(then.differences(&then).unwrap(), []);
        let now = recipe(&["train.epochs=4", "data.path=b", "network.neuron={ model = \"lif\" }"]);
        let found = then.differences(&now).unwrap();
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        let expected = [
            "`data.path`: \"a\" then, \"b\" now",
            "`network.neuron.model`: not given then, \"lif\" now",
            "`train.epochs`: 3 then, 4 now",
        ];
        assert_eq!(texts, expected);
        let long = Difference { key: "k".to_owned(), then: None, now: Some("x".repeat(100)) };
        assert_eq!(long.to_string(), format!("`k`: not given then, {}… now", "x".repeat(60)));
        assert_eq!(found.iter().map(Difference::is_place).collect::<Vec<_>>(), [true, false, false]);
    }
}
