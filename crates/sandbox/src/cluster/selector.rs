//! Label selectors and field selectors.

use serde_json::Value;

use super::answer::Refusal;
use super::meta::{self, text};
use super::resource::Resource;
use crate::query::Query;

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`.
    pub fn of(resource: &Resource, query: &Query) -> Result<Self, Refusal> {
        let labels = labels(query.text("labelSelector"))
            .map_err(|why| Refusal::bad_request(format!("unable to parse requirement: {why}")))?;
        Ok(Self { labels, fields: fields(resource, query.text("fieldSelector"))? })
    }

    /// Only the object of this name.
    pub fn named(mut self, name: &str) -> Self {
        self.fields.push(("metadata.name".to_owned(), true, name.to_owned()));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.matches(labels))
            && self.fields.iter().all(|(path, equal, value)| (field(object, path) == *value) == *equal)
    }
}

/// Whether the label selector of an object is for these labels; one that asks for nothing is for all.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"].as_object().into_iter().flatten().all(|(key, value)| labels[key] == *value);
    equal
        && selector["matchExpressions"].as_array().into_iter().flatten().all(|expression| {
            let label = &labels[text(&expression["key"])];
            let listed = expression["values"].as_array().is_some_and(|values| values.contains(label));
            match text(&expression["operator"]) {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => label.is_string(),
                _ => label.is_null(),
            }
        })
}

impl Requirement {
    fn matches(&self, labels: &Value) -> bool {
        let value = labels.get(&self.key).and_then(Value::as_str);
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            // An object without the label is not among the values either.
            Operator::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
            Operator::Exists => value.is_some(),
            Operator::Missing => value.is_none(),
        }
    }
}

fn labels(selector: &str) -> Result<Vec<Requirement>, String> {
    split_outside_brackets(selector).into_iter().filter(|part| !part.is_empty()).map(requirement).collect()
}

/// Splits at the commas that are not inside of `(…)`.
fn split_outside_brackets(selector: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, letter) in selector.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(selector[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(selector[start..].trim());
    parts
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let made = |key: &str, operator| {
        let key = key.trim();
        let is_key =
            !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter));
        if is_key {
            Ok(Requirement { key: key.to_owned(), operator })
        } else {
            Err(format!("invalid label key {key:?}"))
        }
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, values)) = set(part, " notin") {
        return made(key, Operator::NotIn(values));
    }
    if let Some((key, values)) = set(part, " in") {
        return made(key, Operator::In(values));
    }
    if let Some(key) = part.strip_prefix('!') {
        return made(key, Operator::Missing);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return made(key, Operator::NotIn(one(value)));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        if value.contains('=') {
            return Err("found '=', expected: identifier".to_owned());
        }
        return made(key, Operator::In(one(value)));
    }
    made(part, Operator::Exists)
}

fn set<'a>(part: &'a str, operator: &str) -> Option<(&'a str, Vec<String>)> {
    let (head, values) = part.split_once('(')?;
    let key = head.trim_end().strip_suffix(operator)?;
    let values = values.trim().strip_suffix(')')?;
    Some((key, values.split(',').map(|value| value.trim().to_owned()).collect()))
}

fn fields(resource: &Resource, selector: &str) -> Result<Vec<(String, bool, String)>, Refusal> {
    let mut wanted = Vec::new();
    for part in selector.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (path, equal, value) = match part.split_once("!=") {
            Some((path, value)) => (path, false, value),
            None => {
                let (path, value) = part.split_once("==").or_else(|| part.split_once('=')).ok_or_else(|| {
                    Refusal::bad_request(format!("invalid selector: '{selector}'; can't understand '{part}'"))
                })?;
                (path, true, value)
            }
        };
        if !is_selectable(resource, path) {
            let why = format!("field label not supported: {path}");
            return Err(Refusal::bad_request(why));
        }
        wanted.push((path.to_owned(), equal, value.to_owned()));
    }
    Ok(wanted)
}

/// What the real server indexes; anything else is refused.
fn is_selectable(resource: &Resource, path: &str) -> bool {
    let own: &[&str] = match resource.plural {
        "pods" => &["spec.nodeName", "spec.serviceAccountName", "status.phase", "status.podIP"],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "type",
        ],
        "secrets" => &["type"],
        "namespaces" => &["status.phase"],
        _ => &[],
    };
    path == "metadata.name" || (path == "metadata.namespace" && resource.namespaced) || own.contains(&path)
}

fn field(object: &Value, path: &str) -> String {
    let path = match path {
        "metadata.name" => return meta::name(object).to_owned(),
        path => path,
    };
    let mut value = object;
    for step in path.split('.') {
        value = &value[step];
    }
    match value {
        Value::Null => String::new(),
        Value::String(_) => text(value).to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn label_selectors() {
        let labels = json!({"app": "web", "tier": "front"});
        let cases = [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app=api", false),
            ("app!=api", true),
            ("none!=x", true),
            ("app in (api, web)", true),
            ("app in (api)", false),
            ("app notin (api),tier", true),
            ("none notin (x)", true),
            ("!none", true),
            ("!app", false),
            ("none", false),
        ];
        for (selector, expected) in cases {
            let parsed = super::labels(selector).unwrap();
            let seen = parsed.iter().all(|requirement| requirement.matches(&labels));
            assert_eq!(seen, expected, "{selector}");
        }
        for refused in ["a b=c", "a=b=c", "n>4"] {
            assert!(super::labels(refused).is_err(), "{refused}");
        }
    }
}
