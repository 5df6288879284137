//! Results for programs: JSON, YAML, names.

use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use super::Whole;
use super::text::{Newlines, acts, escaped_json};
use crate::known::KnownValues;
use deepdesk_protocol::result::{API_VERSION, AccountResult, Kind, ResultList};

/// One object or a `List`, by the form of the call.
pub(super) fn json_results(results: &[AccountResult], whole: &Whole<'_>, known: &KnownValues) -> String {
    match results {
        [one] if !whole.as_list => json(one, known),
        several => json(&list(several, whole), known),
    }
}

/// The same as YAML.
pub(super) fn yaml_results(results: &[AccountResult], whole: &Whole<'_>, known: &KnownValues) -> String {
    match results {
        [one] if !whole.as_list => yaml(one, known),
        several => yaml(&list(several, whole), known),
    }
}

/// Several results as one object.
fn list(items: &[AccountResult], whole: &Whole<'_>) -> ResultList {
    ResultList {
        api_version: API_VERSION,
        kind: "List",
        exit_code: whole.exit_code,
        reason: whole.reason(items.iter().map(|item| item.reason.as_str())),
        problem: whole.problem.map(Into::into),
        items: items.to_vec(),
    }
}

/// Any object as JSON, laid out as kubectl does; no text in it has a known value.
pub(super) fn json(object: &impl Serialize, known: &KnownValues) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    // Our own types: structs, strings and numbers, which always serialize into memory.
    if let Ok(mut value) = serde_json::to_value(object) {
        known.hide_in(&mut value);
        let _ = value.serialize(&mut serializer);
    }
    let text = String::from_utf8_lossy(&bytes);
    format!("{}\n", escaped_json(&text, Newlines::Layout))
}

/// The same as YAML.
pub(super) fn yaml(object: &impl Serialize, known: &KnownValues) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let Ok(mut value) = serde_json::to_value(object) else { return String::new() };
    known.hide_in(&mut value);
    show(&mut value);
    serde_saphyr::to_string_with_options(&value, options).unwrap_or_default()
}

/// A plain scalar of YAML has no escapes, and the serializer quotes control characters only: what else acts on a
/// terminal is replaced.
fn show(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) if text.chars().any(acts) => {
            let shown = |c: char| if acts(c) && !c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
            *text = text.chars().map(shown).collect();
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(show),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(show),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

/// The names of what ended well, as kubectl prints names: without the operation.
pub(super) fn names(results: &[AccountResult]) -> String {
    let well = results.iter().filter(|result| result.exit_code == 0);
    well.map(|result| format!("{}.deepdesk.com/{}\n", singular(result.kind), result.account)).collect()
}

fn singular(kind: Kind) -> &'static str {
    match kind {
        Kind::SecretRotation => "secretrotation",
        Kind::SecretRollback => "secretrollback",
        Kind::SecretFinalization => "secretfinalization",
        Kind::SecretRescue => "secretrescue",
        Kind::SecretSync => "secretsync",
        Kind::SecretVerification => "secretverification",
        Kind::SecretRestart => "secretrestart",
        Kind::SecretStatus => "secretstatus",
    }
}
