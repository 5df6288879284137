//! The patches of the API: JSON, merge and strategic merge.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::error::{Cause, StoreError};
use super::resource::Resource;
use super::schema::Place;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Json,
    Merge,
    Strategic,
}

impl Form {
    /// The form that a media type names, if the resource can be patched so.
    pub fn of(resource: &Resource, content_type: &str) -> Result<Self, Refusal> {
        match content_type {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if !resource.custom => Ok(Self::Strategic),
            _ => Err(Refusal::unsupported_media_type("application/json-patch+json, application/merge-patch+json")),
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Unfit {
    /// It is no patch of this form.
    Undecodable(&'static str),
    /// It cannot be applied to this object.
    Inapplicable,
}

/// Applies a JSON, merge or strategic merge patch.
pub(super) fn apply(form: Form, resource: &Resource, object: &mut Value, patch: &Value) -> Result<(), Unfit> {
    match form {
        Form::Json => json(object, patch),
        Form::Merge | Form::Strategic if !patch.is_object() => {
            Err(Unfit::Undecodable("json: cannot unmarshal the body into Go value of type map[string]interface {}"))
        }
        Form::Merge => {
            json_patch::merge(object, patch);
            Ok(())
        }
        Form::Strategic => {
            strategic(object, patch, Place::top(resource.custom));
            Ok(())
        }
    }
}

fn json(object: &mut Value, patch: &Value) -> Result<(), Unfit> {
    let not_a_patch =
        Unfit::Undecodable("json: cannot unmarshal the body into Go value of type []handlers.jsonPatchOp");
    let operations = patch.as_array().ok_or(not_a_patch.clone())?;
    for operation in operations {
        let mut operation = operation.clone();
        // The server's library takes the replacement of a member that is not there for an addition.
        let is_missing = object.pointer(super::meta::text(&operation["path"])).is_none();
        if operation["op"] == "replace" && is_missing {
            operation["op"] = json!("add");
        }
        let operation: json_patch::Patch =
            serde_json::from_value(json!([operation])).map_err(|_| not_a_patch.clone())?;
        json_patch::patch(object, &operation).map_err(|_| Unfit::Inapplicable)?;
    }
    Ok(())
}

/// Merges as the server does for its own types: lists whose items have a key are merged item by item.
fn strategic(target: &mut Value, patch: &Value, place: Place<'_>) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(fields) = target else { return };
    if let Some(Value::Array(kept)) = patch.get("$retainKeys") {
        fields.retain(|key, _| kept.iter().any(|one| one == key.as_str()));
    }
    for (key, value) in patch {
        if key.starts_with('$') {
            continue;
        }
        let below = place.below(key);
        match value {
            Value::Null => {
                fields.shift_remove(key);
            }
            Value::Object(inner) if inner.get("$patch").is_some_and(|directive| directive == "delete") => {
                fields.shift_remove(key);
            }
            Value::Object(_) => strategic(fields.entry(key.clone()).or_insert(Value::Null), value, below),
            Value::Array(items) => {
                let named = patch.get(&format!("$setElementOrder/{key}")).and_then(Value::as_array);
                let list = fields.entry(key.clone()).or_insert_with(|| json!([]));
                merge_list(list, items, named, below);
            }
            value => {
                fields.insert(key.clone(), value.clone());
            }
        }
    }
    // An order can come without items, when only the order changed.
    for (key, order) in patch {
        if let (Some(list), Some(order)) = (key.strip_prefix("$setElementOrder/"), order.as_array())
            && !patch.contains_key(list)
            && let Some(Value::Array(items)) = fields.get_mut(list)
        {
            let before = items.clone();
            *items = in_order(std::mem::take(items), &before, order, place.below(list).list_key());
        }
    }
}

fn merge_list(list: &mut Value, patch: &[Value], named: Option<&Vec<Value>>, place: Place<'_>) {
    let is_set = place.field == "finalizers";
    let key = place.list_key().filter(|_| patch.iter().all(Value::is_object));
    let Value::Array(items) = list else {
        *list = Value::Array(patch.to_vec());
        return;
    };
    let before = items.clone();
    match key {
        Some(key) => {
            for change in patch {
                merge_item(items, change, key, place);
            }
        }
        None if is_set => {
            for item in patch {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            }
        }
        None => *items = patch.to_vec(),
    }
    let patched: Vec<Value> = patch.iter().filter(|item| item.get("$patch").is_none()).cloned().collect();
    if key.is_some() || named.is_some() {
        *items = in_order(std::mem::take(items), &before, named.map_or(patched.as_slice(), Vec::as_slice), key);
    }
}

fn merge_item(items: &mut Vec<Value>, change: &Value, key: &str, place: Place<'_>) {
    let found = items.iter().position(|item| item.get(key) == change.get(key));
    let deletes = change.get("$patch").is_some_and(|directive| directive == "delete");
    match found {
        Some(at) if deletes => {
            items.remove(at);
        }
        Some(at) => strategic(&mut items[at], change, place),
        None if deletes => {}
        None => {
            let mut item = json!({});
            strategic(&mut item, change, place);
            items.push(item);
        }
    }
}

/// Puts the items into the order that the patch names. The others keep theirs, and stand before the next named item only if
/// they stood before it already.
fn in_order(items: Vec<Value>, before: &[Value], order: &[Value], key: Option<&str>) -> Vec<Value> {
    let same = |one: &Value, other: &Value| match key {
        Some(key) => one.get(key) == other.get(key),
        None => one == other,
    };
    let place = |list: &[Value], item: &Value| list.iter().position(|other| same(other, item));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    let mut sorted = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let Some(item) = named.peek() {
        let is_behind = others.peek().is_some_and(|other| match (place(before, other), place(before, item)) {
            (Some(other), Some(item)) => other < item,
            _ => false,
        });
        sorted.extend(if is_behind { others.next() } else { named.next() });
    }
    sorted.extend(others);
    sorted
}

/// The resource version that a patched or replaced object carries, if it is not the one that is kept.
pub(super) fn check_identity(resource: &'static Resource, before: &Value, after: &Value) -> Result<(), StoreError> {
    check(resource, before, after, false)
}

/// The same after a patch, in which a uid is no precondition but a change.
pub(super) fn check_patched_identity(
    resource: &'static Resource,
    before: &Value,
    after: &Value,
) -> Result<(), StoreError> {
    check(resource, before, after, true)?;
    let (old, new) = (&before["metadata"]["uid"], &after["metadata"]["uid"]);
    if new.is_string() && old != new {
        let message = format!("Invalid value: {new}: field is immutable");
        let cause = Cause { reason: "FieldValueInvalid", field: "metadata.uid".to_owned(), message };
        let name = super::meta::name(before).to_owned();
        return Err(StoreError::Invalid { resource, name, causes: vec![cause] });
    }
    Ok(())
}

fn check(resource: &'static Resource, before: &Value, after: &Value, is_patch: bool) -> Result<(), StoreError> {
    let (old, new) = (&before["metadata"], &after["metadata"]);
    let name = super::meta::name(before);
    let given = |key: &str| new[key].as_str().filter(|value| !value.is_empty() && new[key] != old[key]);
    if let Some(version) = given("resourceVersion") {
        if version.parse::<u64>().is_err() {
            let message = format!(
                "resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
            );
            return Err(StoreError::BadRequest(message));
        }
        return Err(StoreError::modified(resource, name));
    }
    if let Some(uid) = given("uid").filter(|_| !is_patch) {
        let kept = super::meta::uid(before);
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {kept}");
        return Err(StoreError::Conflict { resource, name: name.to_owned(), why });
    }
    if let Some(other) = given("name") {
        let message = format!("the name of the object ({other}) does not match the name on the URL ({name})");
        return Err(StoreError::BadRequest(message));
    }
    if given("namespace").is_some() {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(StoreError::BadRequest(message.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategic_merge_follows_the_keys_of_lists() {
        let cases = [
            (
                "an environment variable is changed, another stays",
                json!({"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "1"}]}]}}),
                json!({"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "2"}]}]}}),
                json!({"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "2"}, {"name": "Y", "value": "1"}]}]}}),
            ),
            (
                "an item is deleted, another added in front",
                json!({"volumes": [{"name": "a"}, {"name": "b"}]}),
                json!({"volumes": [{"name": "a", "$patch": "delete"}, {"name": "c"}], "$setElementOrder/volumes": [{"name": "c"}, {"name": "b"}]}),
                json!({"volumes": [{"name": "c"}, {"name": "b"}]}),
            ),
            (
                "what the patch names stands as it names it, the rest behind what it stood behind",
                json!({"env": [{"name": "A"}, {"name": "K"}, {"name": "P"}]}),
                json!({"env": [{"name": "A", "value": "2"}, {"name": "B"}]}),
                json!({"env": [{"name": "A", "value": "2"}, {"name": "B"}, {"name": "K"}, {"name": "P"}]}),
            ),
            (
                "a list without a key is replaced",
                json!({"args": ["a", "b"]}),
                json!({"args": ["c"]}),
                json!({"args": ["c"]}),
            ),
            (
                "null removes, a new map is made",
                json!({"metadata": {"labels": {"a": "1"}}}),
                json!({"metadata": {"labels": {"a": null}, "annotations": {"b": "2"}}}),
                json!({"metadata": {"labels": {}, "annotations": {"b": "2"}}}),
            ),
            (
                "only some keys are retained",
                json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}}),
                json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
                json!({"strategy": {"type": "Recreate"}}),
            ),
        ];
        for (name, mut object, patch, expected) in cases {
            apply(Form::Strategic, super::super::resource::resource("pods"), &mut object, &patch).unwrap();
            assert_eq!(object, expected, "{name}");
        }
    }
}
