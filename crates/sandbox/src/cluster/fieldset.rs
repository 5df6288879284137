//! Sets of fields in the form of `fieldsV1`, and which fields differ between two objects.
//!
//! Follows structured-merge-diff: what is a leaf, what is an item of a keyed list, and where `.` stands.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schema::Place;

/// A set of paths. A node is a member by itself (`.`), through its children, or both.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct FieldSet {
    member: bool,
    children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The set that `fieldsV1` spells.
    pub fn parse(fields: &Value) -> Self {
        let Some(fields) = fields.as_object() else { return Self::default() };
        let mut set = Self::default();
        for (key, below) in fields {
            if key == "." {
                set.member = true;
                continue;
            }
            let mut child = Self::parse(below);
            child.member |= child.children.is_empty();
            set.children.insert(key.clone(), child);
        }
        set
    }

    /// The set as `fieldsV1` spells it.
    pub fn render(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".to_owned(), json!({}));
        }
        for (key, child) in &self.children {
            fields.insert(key.clone(), child.render());
        }
        Value::Object(fields)
    }

    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    pub fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (key, child) in &other.children {
            self.children.entry(key.clone()).or_default().add(child);
        }
    }

    pub fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (key, gone) in &other.children {
            if let Some(child) = self.children.get_mut(key) {
                child.subtract(gone);
                if child.is_empty() {
                    self.children.remove(key);
                }
            }
        }
    }

    fn child(&mut self, key: String) -> &mut Self {
        self.children.entry(key).or_default()
    }

    fn prune(&mut self) {
        self.children.retain(|_, child| {
            child.prune();
            !child.is_empty()
        });
    }
}

#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Fields that are new or other.
    pub set: FieldSet,
    pub removed: FieldSet,
}

impl Difference {
    pub fn between(before: &Value, after: &Value, custom: bool) -> Self {
        let mut difference = Self::default();
        let place = Place::top(custom);
        compare(Some(before), Some(after), place, &mut difference.set, &mut difference.removed);
        difference.set.prune();
        difference.removed.prune();
        difference
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

fn compare(
    before: Option<&Value>,
    after: Option<&Value>,
    place: Place<'_>,
    set: &mut FieldSet,
    removed: &mut FieldSet,
) {
    let before = before.filter(|value| !value.is_null());
    let after = after.filter(|value| !value.is_null());
    let shape = after.or(before);
    let is_leaf = match shape {
        Some(Value::Object(_)) => place.is_atomic_map() || (is_empty(before) && is_empty(after)),
        Some(Value::Array(_)) => place.list_key().is_none() || (is_empty(before) && is_empty(after)),
        _ => true,
    };
    if is_leaf {
        match (before, after) {
            (None, Some(_)) => set.member = true,
            (Some(_), None) => removed.member = true,
            (before, after) => set.member |= before != after,
        }
        return;
    }
    match shape {
        Some(Value::Object(_)) => {
            let (before, after) = (before.and_then(Value::as_object), after.and_then(Value::as_object));
            let keys = after.into_iter().chain(before).flat_map(Map::keys);
            for key in keys {
                let (before, after) =
                    (before.and_then(|fields| fields.get(key)), after.and_then(|fields| fields.get(key)));
                let step = format!("f:{key}");
                compare(before, after, place.below(key), set.child(step.clone()), removed.child(step));
            }
        }
        _ => {
            let (before, after) = (keyed(before, place), keyed(after, place));
            for key in after.keys().chain(before.keys()) {
                let (before, after) = (before.get(key).copied(), after.get(key).copied());
                compare(before, after, place, set.child(key.clone()), removed.child(key.clone()));
            }
        }
    }
    match (before, after) {
        (None, Some(_)) => set.member = true,
        (Some(_), None) => removed.member = true,
        _ => {}
    }
}

/// The items of a list by their path elements.
fn keyed<'a>(list: Option<&'a Value>, place: Place<'_>) -> BTreeMap<String, &'a Value> {
    let (items, key) = (list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default(), place.list_key());
    let element = |item: &Value| key.map(|key| format!("k:{}", json!({key: item[key]}))).unwrap_or_default();
    items.iter().map(|item| (element(item), item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(before: Value, after: Value) -> (Value, Value) {
        let difference = Difference::between(&before, &after, false);
        (difference.set.render(), difference.removed.render())
    }

    #[test]
    fn differences_are_spelled_as_the_real_server_spells_them() {
        let template =
            |env: Value| json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "env": env}]}}}});
        let cases = [
            (
                "a leaf",
                json!({"spec": {"replicas": 1}}),
                json!({"spec": {"replicas": 2}}),
                json!({"f:spec": {"f:replicas": {}}}),
                json!({}),
            ),
            (
                "a new map",
                json!({"metadata": {}}),
                json!({"metadata": {"annotations": {"a": "b"}}}),
                json!({"f:metadata": {"f:annotations": {".": {}, "f:a": {}}}}),
                json!({}),
            ),
            (
                "an item that is gone",
                template(json!([{"name": "x", "value": "1"}, {"name": "y", "value": "1"}])),
                template(json!([{"name": "x", "value": "2"}])),
                json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {r#"k:{"name":"a"}"#: {"f:env": {r#"k:{"name":"x"}"#: {"f:value": {}}}}}}}}}),
                json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {r#"k:{"name":"a"}"#: {"f:env": {r#"k:{"name":"y"}"#: {".": {}, "f:name": {}, "f:value": {}}}}}}}}}),
            ),
            ("nothing", json!({"a": {"b": [1]}}), json!({"a": {"b": [1]}}), json!({}), json!({})),
        ];
        for (name, before, after, set, removed) in cases {
            assert_eq!(difference(before, after), (set, removed), "{name}");
        }
    }
}
