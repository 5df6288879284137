//! The objects and the history of their changes, as they stand under the store's lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::error::StoreError;
use super::resource::Resource;
use crate::clock::Clock;

/// How many changes a watch can catch up with; an older one is answered `410 Gone`.
const HISTORY: usize = 20_000;
/// Real clusters are never near zero, and clients take 0 and 1 for something else.
pub(super) const FIRST_RESOURCE_VERSION: u64 = 1_000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

#[derive(Clone)]
pub struct Change {
    /// The version of the whole cluster that this change made.
    pub resource_version: u64,
    pub kind: ChangeKind,
    pub resource: &'static Resource,
    /// The object after the change; for a deletion its last state, with the version of the deletion.
    pub object: Arc<Value>,
    /// The object before the change.
    pub previous: Option<Arc<Value>>,
}

/// The changes asked for are no longer remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expired {
    /// The oldest version from which a watch can still start.
    pub oldest: u64,
}

/// Plural, namespace (empty for cluster-wide objects), name.
pub(super) type Key = (&'static str, String, String);

pub(super) struct Objects {
    pub(super) clock: Clock,
    pub(super) resource_version: u64,
    /// Everything up to here has been forgotten.
    pub(super) forgotten: u64,
    pub(super) objects: BTreeMap<Key, Arc<Value>>,
    pub(super) history: VecDeque<Change>,
}

impl Objects {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            resource_version: FIRST_RESOURCE_VERSION,
            forgotten: FIRST_RESOURCE_VERSION,
            objects: BTreeMap::new(),
            history: VecDeque::new(),
        }
    }

    pub(super) fn find(&self, resource: &Resource, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        self.objects.get(&key(resource, namespace, name)).cloned()
    }

    pub(super) fn put(
        &mut self,
        resource: &'static Resource,
        key: Key,
        mut object: Value,
        previous: Option<Arc<Value>>,
    ) -> Arc<Value> {
        self.resource_version += 1;
        object["metadata"]["resourceVersion"] = json!(self.resource_version.to_string());
        let object = Arc::new(object);
        self.objects.insert(key, Arc::clone(&object));
        let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.remember(kind, resource, Arc::clone(&object), previous);
        object
    }

    pub(super) fn take(&mut self, resource: &'static Resource, key: &Key) -> Result<Arc<Value>, StoreError> {
        let object =
            self.objects.get(key).cloned().ok_or_else(|| StoreError::NotFound { resource, name: key.2.clone() })?;
        Ok(self.take_as(resource, key, Value::clone(&object)))
    }

    /// Takes the object away and remembers `last` as its last state.
    pub(super) fn take_as(&mut self, resource: &'static Resource, key: &Key, mut last: Value) -> Arc<Value> {
        let previous = self.objects.remove(key);
        self.resource_version += 1;
        last["metadata"]["resourceVersion"] = json!(self.resource_version.to_string());
        let last = Arc::new(last);
        self.remember(ChangeKind::Deleted, resource, Arc::clone(&last), previous);
        last
    }

    fn remember(
        &mut self,
        kind: ChangeKind,
        resource: &'static Resource,
        object: Arc<Value>,
        previous: Option<Arc<Value>>,
    ) {
        let resource_version = self.resource_version;
        self.history.push_back(Change { resource_version, kind, resource, object, previous });
        while self.history.len() > HISTORY {
            if let Some(change) = self.history.pop_front() {
                self.forgotten = change.resource_version;
            }
        }
    }
}

pub(super) fn key(resource: &Resource, namespace: Option<&str>, name: &str) -> Key {
    let namespace = if resource.namespaced { namespace.unwrap_or("") } else { "" };
    (resource.plural, namespace.to_owned(), name.to_owned())
}
