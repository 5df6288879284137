//! What the server knows about lists and maps: which merge by key, and which are one value.

/// Where in an object something stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Whether it is a CustomResourceDefinition's own, whose lists are atomic.
    custom: bool,
    /// The last field on the way; items of lists add none. Empty at the top.
    pub field: &'a str,
}

impl Place<'_> {
    /// The top of an object.
    pub fn top(custom: bool) -> Self {
        Self { custom, field: "" }
    }

    /// The place of a field here.
    pub fn below<'b>(&self, field: &'b str) -> Place<'b> {
        let is_metadata = self.field.is_empty() && field == "metadata";
        Place { custom: self.custom && !is_metadata, field }
    }

    /// The field by which the items of the list at this place are told apart, for who owns what and for a strategic merge patch;
    /// none where the list is one value.
    pub fn list_key(&self) -> Option<&'static str> {
        merge_key(self.field).filter(|_| !self.custom)
    }

    /// Whether the map at this place is one value.
    pub fn is_atomic_map(&self) -> bool {
        const ATOMIC: &[&str] = &[
            "selector",
            "nodeSelector",
            "secretKeyRef",
            "configMapKeyRef",
            "fieldRef",
            "involvedObject",
            "ownerReferences",
        ];
        !self.custom && ATOMIC.contains(&self.field)
    }
}

/// The key of the lists that all kinds here share. Ports have two, and are one value here.
fn merge_key(field: &str) -> Option<&'static str> {
    match field {
        "containers" | "initContainers" | "env" | "volumes" | "secrets" | "imagePullSecrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "conditions" => Some("type"),
        "ownerReferences" => Some("uid"),
        _ => None,
    }
}
