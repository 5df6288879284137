//! The hashes that External Secrets keeps beside what it wrote, over Go's `%+v` of an object.
//!
//! They are fingerprints of a state, compared for equality only, and by the controller alone; nothing here protects
//! anything. The real ones are SHA3-224, which no crate here has.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

/// In hexadecimal.
pub fn fingerprint(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The hash of a Secret's data.
pub fn of_data(data: &BTreeMap<String, Vec<u8>>) -> String {
    let entries = data.iter().map(|(key, value)| {
        let bytes: Vec<String> = value.iter().map(u8::to_string).collect();
        format!("{key}:[{}]", bytes.join(" "))
    });
    fingerprint(&go_map(entries))
}

/// `status.syncedResourceVersion`: the generation, and a hash of the labels and annotations.
pub fn synced_resource_version(object: &Value) -> String {
    let metadata = &object["metadata"];
    let texts = |map: &Value| {
        let map: BTreeMap<&String, &Value> = map.as_object().into_iter().flatten().collect();
        go_map(map.into_iter().map(|(key, value)| format!("{key}:{}", value.as_str().unwrap_or_default())))
    };
    let text = format!("{{annotations:{} labels:{}}}", texts(&metadata["annotations"]), texts(&metadata["labels"]));
    format!("{}-{}", metadata["generation"].as_i64().unwrap_or(0), fingerprint(&text))
}

fn go_map(entries: impl Iterator<Item = String>) -> String {
    format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn other_data_has_another_hash() {
        let of =
            |entries: [(&str, &str); 2]| of_data(&entries.map(|(key, value)| (key.to_owned(), value.into())).into());
        assert_eq!(of([("a", "1"), ("b", "2")]), of([("b", "2"), ("a", "1")]), "the order does not matter");
        assert_ne!(of([("a", "1"), ("b", "2")]), of([("a", "1"), ("b", "3")]));
        assert_ne!(of([("a", "1"), ("b", "2")]), of([("a", "1"), ("c", "2")]));
    }

    #[test]
    fn the_synced_version_follows_metadata_and_nothing_else() {
        let object = |annotations: Value| json!({"metadata": {"generation": 3, "annotations": annotations}});
        let one = synced_resource_version(&object(json!({"a": "1", "b": "2"})));
        assert!(one.starts_with("3-"));
        assert_eq!(one, synced_resource_version(&object(json!({"b": "2", "a": "1"}))), "the order does not matter");
        assert_ne!(one, synced_resource_version(&object(json!({"a": "1", "b": "3"}))));
    }
}
