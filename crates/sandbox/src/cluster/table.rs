//! Objects as a `Table`: what `kubectl get` prints.

use serde_json::{Map, Value, json};

use super::columns::{Column, columns};
use super::resource::Resource;
use crate::clock::Clock;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Carry {
    Nothing,
    Metadata,
    Object,
}

impl Carry {
    /// The policy that `includeObject` names.
    pub fn named(policy: &str) -> Self {
        match policy {
            "None" => Self::Nothing,
            "Object" => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// A table of these objects; `with_columns` is false for all but the first of a watch.
pub(super) fn table(
    resource: &Resource,
    clock: &Clock,
    metadata: Value,
    objects: &[Value],
    carry: Carry,
    with_columns: bool,
) -> Value {
    let columns = columns(resource);
    let definitions: Option<Vec<Value>> = with_columns.then(|| columns.iter().map(definition).collect());
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|column| (column.cell)(object, clock)).collect();
            let object = match carry {
                Carry::Nothing => Value::Null,
                Carry::Metadata => metadata_only(object),
                Carry::Object => object.clone(),
            };
            json!({"cells": cells, "object": object})
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions, "rows": rows})
}

fn definition(column: &Column) -> Value {
    let format = if column.name == "Name" { "name" } else { "" };
    json!({"name": column.name, "type": column.kind, "format": format, "description": "", "priority": i32::from(column.wide)})
}

/// An object's metadata as `PartialObjectMetadata`.
pub(super) fn metadata_only(object: &Value) -> Value {
    let mut partial = Map::new();
    partial.insert("kind".to_owned(), json!("PartialObjectMetadata"));
    partial.insert("apiVersion".to_owned(), json!("meta.k8s.io/v1"));
    partial.insert("metadata".to_owned(), object["metadata"].clone());
    Value::Object(partial)
}
