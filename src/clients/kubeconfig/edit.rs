//! Changes one thing in a kubeconfig's text and leaves the rest as it stands: comments, order, quoting, fields that are
//! not known. Pure: text in, text out.
//!
//! The new text is read again, and must differ from the old in the wanted change and in nothing else; what cannot be
//! changed so is refused. Parsing and writing anew, as kubectl and gcloud do, loses comments and more.

use granit_parser::ScalarStyle;
use serde_json::{Map, Value, json};

use super::tree::{self, Kind, Node};
use crate::clients::yaml;

/// What is to be changed.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// What a new file begins with.
    Header,
    /// `current-context`.
    CurrentContext(String),
    /// The namespace of the context with this name.
    Namespace { context: String, namespace: String },
    /// The entry with this name in a section (`clusters`, `users`, `contexts`): replaced, or added at the end.
    Entry { section: &'static str, name: String, entry: Value },
}

/// The text with the changes made; an error says why not, for a line that begins with the file's name.
pub(super) fn edit(text: &str, changes: &[Change]) -> Result<String, String> {
    let mut edited = text.to_owned();
    let mut expected = data(text)?;
    for change in changes {
        change.apply(&mut expected).ok_or_else(unusual)?;
        edited = change.splice(&edited)?;
    }
    match data(&edited) {
        Ok(found) if found == expected => Ok(edited),
        Ok(_) | Err(_) => Err(unusual()),
    }
}

fn unusual() -> String {
    "is written in a way that cannot be changed without touching the rest".to_owned()
}

/// What the text says. Without content it says an empty mapping.
fn data(text: &str) -> Result<Value, String> {
    if tree::read(text)?.is_none() {
        return Ok(json!({}));
    }
    // What the parser says is left out: it quotes what it stumbled over, and that may be a credential.
    match yaml::value(text) {
        Ok(None) => Ok(json!({})),
        Ok(Some(value @ Value::Object(_))) => Ok(value),
        Ok(Some(_)) => Err("is no kubeconfig".to_owned()),
        Err(_) => Err("is not valid YAML".to_owned()),
    }
}

impl Change {
    /// The same change to what the text says.
    fn apply(&self, data: &mut Value) -> Option<()> {
        let root = data.as_object_mut()?;
        match self {
            Change::Header => {
                root.insert("apiVersion".to_owned(), "v1".into());
                root.insert("kind".to_owned(), "Config".into());
            }
            Change::CurrentContext(name) => {
                root.insert("current-context".to_owned(), name.clone().into());
            }
            Change::Namespace { context, namespace } => {
                let named = |item: &&mut Value| item["name"] == context.as_str();
                let item = root.get_mut("contexts")?.as_array_mut()?.iter_mut().find(named)?;
                item.get_mut("context")?.as_object_mut()?.insert("namespace".to_owned(), namespace.clone().into());
            }
            Change::Entry { section, name, entry } => {
                let items = root.entry(*section).or_insert(Value::Null);
                if items.is_null() {
                    *items = json!([]);
                }
                let items = items.as_array_mut()?;
                match items.iter_mut().find(|item| item["name"] == name.as_str()) {
                    Some(item) => item.clone_from(entry),
                    None => items.push(entry.clone()),
                }
            }
        }
        Some(())
    }

    fn splice(&self, text: &str) -> Result<String, String> {
        let root = match tree::read(text)? {
            Some(root) if !(root.is_empty() && root.text().is_some()) => root,
            // Comments alone, or nothing: what comes is added below.
            _ => return self.first(text),
        };
        let found = match self {
            Change::Header => None,
            Change::CurrentContext(name) => set(text, &root, "current-context", name),
            Change::Namespace { context, namespace } => {
                let items = root.get("contexts").map(Node::items).unwrap_or_default();
                let item = items.iter().find(|item| item.get("name").and_then(Node::text) == Some(context));
                item.and_then(|item| item.get("context")).and_then(|inner| set(text, inner, "namespace", namespace))
            }
            Change::Entry { section, name, entry } => put(text, &root, section, name, entry),
        };
        found.ok_or_else(unusual)
    }

    /// The change as the first content of a text.
    fn first(&self, text: &str) -> Result<String, String> {
        let mut lines = text.to_owned();
        if !lines.is_empty() && !lines.ends_with('\n') {
            lines.push('\n');
        }
        match self {
            Change::Header => lines.push_str("apiVersion: v1\nkind: Config\n"),
            Change::CurrentContext(name) => lines.push_str(&format!("current-context: {}\n", scalar(name))),
            Change::Entry { section, entry, .. } => {
                lines.push_str(&format!("{section}:\n{}", sequence_item(entry, 0)));
            }
            Change::Namespace { .. } => return Err(unusual()),
        }
        Ok(lines)
    }
}

/// Sets a scalar in a mapping; none where the text does not allow it.
fn set(text: &str, mapping: &Node, key: &str, value: &str) -> Option<String> {
    let Kind::Mapping { flow, entries } = &mapping.kind else { return None };
    if let Some((name, old)) = mapping.entry(key) {
        return match &old.kind {
            Kind::Scalar { value: same, style } if same == value && *style != ScalarStyle::Plain => {
                Some(text.to_owned())
            }
            Kind::Scalar { style: ScalarStyle::Plain, .. } if old.start == old.end => {
                let colon = name.end + text[name.end..].find(':')? + 1;
                Some(replaced(text, colon, colon, &format!(" {}", scalar(value))))
            }
            Kind::Scalar { style, .. } => Some(replaced(text, old.start, old.end, &styled(value, *style, *flow)?)),
            Kind::Alias => Some(replaced(text, old.start, old.end, &scalar(value))),
            Kind::Mapping { .. } | Kind::Sequence { .. } => None,
        };
    }
    if *flow {
        let pair = format!("{}: {}", quoted(key), quoted(value));
        let rest = if entries.is_empty() { "" } else { ", " };
        return Some(replaced(text, mapping.start + 1, mapping.start + 1, &format!("{pair}{rest}")));
    }
    // kubectl writes keys in the alphabet's order: after the last one that comes before ours, where there is one.
    let before = |name: &Node| name.text().is_some_and(|name| name < key);
    let after = entries.iter().rev().find(|(name, _)| before(name)).or(entries.last())?;
    let indent = " ".repeat(column(text, mapping.start));
    Some(inserted_below(text, after.1.end.max(after.0.end), &format!("{indent}{key}: {}\n", scalar(value))))
}

/// Replaces or adds an entry of a section.
fn put(text: &str, root: &Node, section: &str, name: &str, entry: &Value) -> Option<String> {
    let Kind::Mapping { flow, entries } = &root.kind else { return None };
    let Some((key, items)) = root.entry(section) else {
        if *flow {
            let pair = format!("{}: {}", quoted(section), json!([entry]));
            let rest = if entries.is_empty() { "" } else { ", " };
            return Some(replaced(text, root.start + 1, root.start + 1, &format!("{pair}{rest}")));
        }
        let (last_key, last) = entries.last()?;
        let indent = column(text, root.start);
        let lines = format!("{}{section}:\n{}", " ".repeat(indent), sequence_item(entry, indent));
        return Some(inserted_below(text, last.end.max(last_key.end), &lines));
    };
    if items.is_empty() {
        if *flow {
            return (items.start < items.end)
                .then(|| replaced(text, items.start, items.end, &json!([entry]).to_string()));
        }
        // What said that there is nothing goes; a comment on its line stays.
        let colon = key.end + text[key.end..].find(':')? + 1;
        let gone = if items.start < items.end { replaced(text, colon, items.end, "") } else { text.to_owned() };
        return Some(inserted_below(&gone, colon, &sequence_item(entry, column(text, key.start))));
    }
    let Kind::Sequence { flow: in_flow, items } = &items.kind else { return None };
    if let Some(item) = items.iter().find(|item| item.get("name").and_then(Node::text) == Some(name)) {
        if serde_saphyr::from_str::<Value>(&lifted(text, item)).is_ok_and(|found| found == *entry) {
            return Some(text.to_owned());
        }
        let Kind::Mapping { flow, .. } = item.kind else { return None };
        let new = if flow { entry.to_string() } else { mapping(entry, column(text, item.start)) };
        let kept = replaced(text, item.start, item.end, new.trim_start().trim_end_matches('\n'));
        return Some(kept);
    }
    let last = items.last()?;
    if *in_flow {
        return Some(replaced(text, last.end, last.end, &format!(", {entry}")));
    }
    let dash = text[..last.start].trim_end().strip_suffix('-')?.len();
    Some(inserted_below(text, last.end, &sequence_item(entry, column(text, dash))))
}

/// An item's own text, its first line moved to where the others are.
fn lifted(text: &str, item: &Node) -> String {
    format!("{}{}", " ".repeat(column(text, item.start)), &text[item.start..item.end])
}

/// How far right a byte stands in its line.
fn column(text: &str, at: usize) -> usize {
    at - text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// `text` with these bytes replaced, line ends as the text has them.
fn replaced(text: &str, start: usize, end: usize, new: &str) -> String {
    let new = match text.contains("\r\n") {
        true => new.replace('\n', "\r\n"),
        false => new.to_owned(),
    };
    format!("{}{new}{}", &text[..start], &text[end..])
}

/// `text` with whole lines added below the one in which this place is.
fn inserted_below(text: &str, place: usize, lines: &str) -> String {
    match text[place..].find('\n') {
        Some(end) => replaced(text, place + end + 1, place + end + 1, lines),
        None => replaced(text, text.len(), text.len(), &format!("\n{}", lines.trim_end_matches('\n'))),
    }
}

/// A scalar in the quotes that the old one had; none for a style that no name is written in.
fn styled(value: &str, style: ScalarStyle, flow: bool) -> Option<String> {
    match style {
        ScalarStyle::Plain if flow => Some(quoted(value)),
        ScalarStyle::Plain => Some(scalar(value)),
        ScalarStyle::DoubleQuoted => Some(quoted(value)),
        ScalarStyle::SingleQuoted if value.chars().any(char::is_control) => Some(quoted(value)),
        ScalarStyle::SingleQuoted => Some(format!("'{}'", value.replace('\'', "''"))),
        ScalarStyle::Literal | ScalarStyle::Folded => None,
    }
}

/// As JSON quotes it, which is YAML as well.
fn quoted(value: &str) -> String {
    Value::from(value).to_string()
}

/// A scalar without quotes where nobody could take it for something else, not even YAML 1.1, which kubectl reads.
fn scalar(value: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || " ._/@=+-:#".contains(c);
    let begins = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let breaks = value.contains(": ") || value.contains(" #") || value.ends_with([':', ' ']);
    let word = matches!(
        value.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    match begins && !breaks && !word && value.chars().all(fits) {
        true => value.to_owned(),
        false => quoted(value),
    }
}

/// An item of a block sequence whose dash stands at `indent`.
fn sequence_item(value: &Value, indent: usize) -> String {
    format!("{}- {}", " ".repeat(indent), mapping(value, indent + 2).trim_start())
}

/// A block mapping at `indent`, its first line too.
fn mapping(value: &Value, indent: usize) -> String {
    let empty = Map::new();
    let pad = " ".repeat(indent);
    let mut out = String::new();
    for (key, value) in value.as_object().unwrap_or(&empty) {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push_str(&format!("{pad}{}:\n{}", scalar(key), mapping(value, indent + 2)));
            }
            Value::Array(items) if !items.is_empty() => {
                out.push_str(&format!("{pad}{}:\n", scalar(key)));
                let line = |item: &Value| format!("{pad}- {}\n", flat(item));
                items.iter().for_each(|item| out.push_str(&line(item)));
            }
            _ => out.push_str(&format!("{pad}{}: {}\n", scalar(key), flat(value))),
        }
    }
    out
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "edit/tests.rs"]
mod tests;
