//! What the server knows about lists and maps: which merge by key, and which are one value.

/// How a list is compared and merged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ListKind {
    Atomic,
    /// Item by item, told apart by these fields.
    Keyed(&'static [&'static str]),
    /// As a set of plain values.
    Set,
}

/// Where in an object something stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Whether the object is of a CustomResourceDefinition, whose own lists are atomic.
    pub custom: bool,
    /// The names of the fields on the way; items of lists add none.
    pub path: &'a [&'a str],
}

/// A place one field further down.
#[derive(Debug)]
pub(super) struct Below<'a> {
    custom: bool,
    path: Vec<&'a str>,
}

impl Below<'_> {
    pub fn as_place(&self) -> Place<'_> {
        Place { custom: self.custom, path: &self.path }
    }
}

impl<'a> Place<'a> {
    /// The place of a field here.
    pub fn below(&self, field: &'a str) -> Below<'a> {
        Below { custom: self.custom, path: self.path.iter().copied().chain([field]).collect() }
    }

    fn is_metadata(&self) -> bool {
        self.path.first() == Some(&"metadata")
    }

    /// How the list at this place is compared and merged by server-side apply.
    pub fn list_kind(&self) -> ListKind {
        let Some(field) = self.path.last() else { return ListKind::Atomic };
        if self.custom && !self.is_metadata() {
            return ListKind::Atomic;
        }
        match *field {
            "finalizers" => ListKind::Set,
            "ports" => match self.path {
                ["spec", "ports"] => ListKind::Keyed(&["port", "protocol"]),
                _ => ListKind::Keyed(&["containerPort", "protocol"]),
            },
            "topologySpreadConstraints" => ListKind::Keyed(&["topologyKey", "whenUnsatisfiable"]),
            _ => merge_key(field).map_or(ListKind::Atomic, ListKind::Keyed),
        }
    }

    /// Whether the map at this place is one value.
    pub fn is_atomic_map(&self) -> bool {
        const ATOMIC: &[&str] = &[
            "selector",
            "labelSelector",
            "nodeSelector",
            "secretKeyRef",
            "configMapKeyRef",
            "fieldRef",
            "resourceFieldRef",
            "involvedObject",
            "regarding",
            "related",
            "targetRef",
            "ownerReferences",
            "imagePullSecrets",
        ];
        let in_custom = self.custom && !self.is_metadata();
        // A service's selector is a map that can be merged; the others are label selectors.
        !in_custom && self.path.last().is_some_and(|field| ATOMIC.contains(field))
    }

    /// The field by which a strategic merge patch tells the items of the list at this place apart.
    pub fn strategic_key(&self) -> Option<&'static str> {
        let field = self.path.last()?;
        match *field {
            "ports" if self.path == ["spec", "ports"] => Some("port"),
            "ports" => Some("containerPort"),
            "topologySpreadConstraints" => Some("topologyKey"),
            field => merge_key(field).map(|keys| keys[0]),
        }
    }
}

/// The keys of the lists that all kinds here share.
fn merge_key(field: &str) -> Option<&'static [&'static str]> {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "secrets"
        | "imagePullSecrets" => Some(&["name"]),
        "volumeMounts" => Some(&["mountPath"]),
        "volumeDevices" => Some(&["devicePath"]),
        "conditions" | "addresses" => Some(&["type"]),
        "ownerReferences" => Some(&["uid"]),
        "hostAliases" | "podIPs" | "hostIPs" => Some(&["ip"]),
        _ => None,
    }
}
