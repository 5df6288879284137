//! Templates that stand in other objects: `spec.target.template.templateFrom`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::resolve::{Data, data};
use super::template;
use crate::cluster::{resource, text};
use crate::world::World;

/// A template, and what its text becomes.
#[derive(Debug)]
pub struct Source {
    /// The key that it is for; none where its text is keys with their values.
    key: Option<String>,
    text: String,
}

/// Reads the templates that an ExternalSecret takes its data from.
pub fn read(world: &World, object: &Value) -> Result<Vec<Source>, String> {
    let namespace = text(&object["metadata"]["namespace"]);
    let mut sources = Vec::new();
    for from in object["spec"]["target"]["template"]["templateFrom"].as_array().into_iter().flatten() {
        if !matches!(text(&from["target"]), "" | "Data") {
            return Err("error fetching templateFrom data: the sandbox fills data alone".to_owned());
        }
        if let Some(literal) = from["literal"].as_str() {
            sources.push(Source { key: None, text: literal.to_owned() });
        }
        for (field, kind) in [("configMap", "configmaps"), ("secret", "secrets")] {
            let named = &from[field];
            if !named.is_object() {
                continue;
            }
            let name = text(&named["name"]);
            let missing = |what: &str| format!("error fetching templateFrom data: {kind} \"{name}\" {what}");
            let found = world.cluster.get(resource(kind), Some(namespace), name).ok_or_else(|| missing("not found"))?;
            for item in named["items"].as_array().into_iter().flatten() {
                let key = text(&item["key"]);
                let held = match field {
                    "secret" => data(&found).get(key).map(|held| String::from_utf8_lossy(held).into_owned()),
                    _ => found["data"][key].as_str().map(str::to_owned),
                };
                let text_of = held.ok_or_else(|| missing(&format!("has no key {key}")))?;
                let is_whole = item["templateAs"] == "KeysAndValues";
                sources.push(Source { key: (!is_whole).then(|| key.to_owned()), text: text_of });
            }
        }
    }
    Ok(sources)
}

pub fn render(source: &Source, values: &Data) -> Result<Data, String> {
    match &source.key {
        Some(key) => Ok(BTreeMap::from([(key.clone(), template::render(key, &source.text, values)?)])),
        None => {
            let rendered = template::render("literal", &source.text, values)?;
            let rendered = String::from_utf8_lossy(&rendered);
            let pairs: BTreeMap<String, String> = serde_saphyr::from_str(&rendered)
                .map_err(|_| "could not unmarshal template to 'map[string][]byte'".to_owned())?;
            Ok(pairs.into_iter().map(|(key, value)| (key, value.into_bytes())).collect())
        }
    }
}
