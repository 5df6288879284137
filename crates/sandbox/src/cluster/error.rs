//! Why a request of the cluster cannot be fulfilled, in the real server's words.

use super::resource::Resource;

/// One field that is not as it must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cause {
    /// For example `FieldValueRequired`.
    pub reason: &'static str,
    /// The path of the field, for example `spec.selector`.
    pub field: String,
    /// What is wrong, without the path.
    pub message: String,
}

/// Why an object could not be read or written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreError {
    #[error("{} \"{name}\" not found", resource.group_resource())]
    NotFound { resource: &'static Resource, name: String },
    #[error("{} \"{name}\" already exists", resource.group_resource())]
    AlreadyExists { resource: &'static Resource, name: String },
    #[error("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.group_resource())]
    Conflict { resource: &'static Resource, name: String, why: String },
    /// It is not the one that was to be deleted.
    #[error("Operation cannot be fulfilled on {} \"{name}\": {why}", kind_group(resource))]
    Precondition { resource: &'static Resource, name: String, why: String },
    #[error("{} \"{name}\" is invalid: {}", kind_group(resource), causes_text(causes))]
    Invalid { resource: &'static Resource, name: String, causes: Vec<Cause> },
    #[error("{0}")]
    BadRequest(String),
}

/// Why a write that carries an older version is refused.
pub const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

impl StoreError {
    /// The conflict of a write that carries an older `resourceVersion`.
    pub fn modified(resource: &'static Resource, name: &str) -> Self {
        Self::Conflict { resource, name: name.to_owned(), why: MODIFIED.to_owned() }
    }
}

/// `Deployment.apps`, or `Secret`: how the server names the kind of an invalid object.
fn kind_group(resource: &Resource) -> String {
    match resource.group {
        "" => resource.kind.to_owned(),
        group => format!("{}.{group}", resource.kind),
    }
}

fn causes_text(causes: &[Cause]) -> String {
    let mut texts: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    texts.dedup();
    match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}
