//! The old OpenAPI document, in protobuf: kubectl up to 1.28 does not `apply` without it.
//!
//! Like its successor here it has no schemas, only that each kind can be patched with `fieldValidation`.

use super::resource::{RESOURCES, Resource};

/// The media type in which it is asked for.
pub(super) const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The document (`openapi.v2.Document`).
pub(super) fn document() -> Vec<u8> {
    let info = [text(1, "Kubernetes"), text(2, "v1.34.4")].concat();
    let paths: Vec<u8> = RESOURCES.iter().flat_map(|resource| field(2, &path(resource))).collect();
    [text(1, "2.0"), field(2, &info), field(8, &paths)].concat()
}

/// A path and what can be done there: `NamedPathItem`.
fn path(resource: &Resource) -> Vec<u8> {
    let root = if resource.group.is_empty() { "/api" } else { "/apis" };
    let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let name = format!("{root}/{}{namespace}/{}/{{name}}", resource.api_version(), resource.plural);
    let kind = format!("group: {:?}\nkind: {:?}\nversion: {:?}\n", resource.group, resource.kind, resource.version);
    let extension = [text(1, "x-kubernetes-group-version-kind"), field(2, &text(2, &kind))].concat();
    let parameters: Vec<u8> =
        ["dryRun", "fieldManager", "fieldValidation"].iter().flat_map(|name| field(8, &parameter(name))).collect();
    let patch = [parameters, field(13, &extension)].concat();
    [text(1, &name), field(2, &field(8, &patch))].concat()
}

/// A parameter of the query: `ParametersItem` around three more messages.
fn parameter(name: &str) -> Vec<u8> {
    let query = [text(2, "query"), text(4, name), text(6, "string")].concat();
    field(1, &field(2, &field(3, &query)))
}

fn text(number: u8, text: &str) -> Vec<u8> {
    field(number, text.as_bytes())
}

/// A length-delimited field; all numbers here are below 16, so that the tag is one byte.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    bytes.push(length.to_le_bytes()[0]);
    bytes.extend_from_slice(content);
    bytes
}
