//! The objects of the cluster and the history of their changes.
//!
//! Owns what the real server guarantees whoever writes: one counter of resource versions, generations, time stamps,
//! owners of fields, graceful deletion, and that a write without a change is no write.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use super::deletion::{self, Deletion};
use super::error::StoreError;
use super::fields::{self, Write};
use super::objects::{Change, Expired, FIRST_RESOURCE_VERSION, Objects, key};
use super::resource::{Resource, resource};
use super::{meta, rules};
use crate::clock::Clock;

pub struct Store {
    clock: Clock,
    objects: Mutex<Objects>,
    latest: watch::Sender<u64>,
    /// The kinds of which the fault `watch-expired` has had its one watch.
    expired: Mutex<BTreeSet<&'static str>>,
}

/// Objects hold secret values, so neither they nor their changes are ever printed.
impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("resource_version", &self.resource_version()).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty one, whose objects get their times from this clock.
    pub fn new(clock: Clock) -> Self {
        Self {
            objects: Mutex::new(Objects::new(clock.clone())),
            clock,
            latest: watch::Sender::new(FIRST_RESOURCE_VERSION),
            expired: Mutex::default(),
        }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn get(&self, resource: &Resource, namespace: Option<&str>, name: &str) -> Option<Value> {
        let objects = self.lock();
        objects.find(resource, namespace, name).map(|object| Value::clone(&object))
    }

    /// The objects of one namespace, or of all, in the order of their names.
    pub fn list(&self, resource: &Resource, namespace: Option<&str>) -> Vec<Value> {
        self.snapshot(resource, namespace).1.iter().map(|object| Value::clone(object)).collect()
    }

    /// The objects together with the version of the cluster at which they were so.
    pub fn snapshot(&self, resource: &Resource, namespace: Option<&str>) -> (u64, Vec<Arc<Value>>) {
        let objects = self.lock();
        let found = objects
            .objects
            .range((resource.plural, namespace.unwrap_or("").to_owned(), String::new())..)
            .take_while(|((plural, place, _), _)| {
                *plural == resource.plural && namespace.is_none_or(|namespace| namespace == place)
            })
            .map(|(_, object)| Arc::clone(object))
            .collect();
        (objects.resource_version, found)
    }

    /// The version of the newest change.
    pub fn resource_version(&self) -> u64 {
        self.lock().resource_version
    }

    /// Wakes up at every change; the value is the version of the newest one.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// What happened to the objects of one kind after a version, oldest first.
    pub fn changes_since(&self, resource: &Resource, since: u64) -> Result<Vec<Change>, Expired> {
        let objects = self.lock();
        if since < objects.forgotten {
            return Err(Expired { oldest: objects.forgotten });
        }
        let first = objects.history.partition_point(|change| change.resource_version <= since);
        Ok(objects.history.range(first..).filter(|change| change.resource.plural == resource.plural).cloned().collect())
    }

    /// The same for who acts on changes: far behind, the oldest that are remembered have to do.
    pub fn changes_from(&self, plural: &str, since: u64) -> Vec<Change> {
        let resource = resource(plural);
        let changes = self.changes_since(resource, since);
        changes.or_else(|expired| self.changes_since(resource, expired.oldest)).unwrap_or_default()
    }

    /// Keeps a new object. Sets `uid`, `resourceVersion`, `generation`, `creationTimestamp`, a name from `generateName`
    /// and the defaults of its kind. A `status` that it carries is kept: only the HTTP API drops it.
    pub fn create(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        object: Value,
        manager: &str,
    ) -> Result<Value, StoreError> {
        self.insert(resource, namespace, object, &Write::by(manager))
    }

    /// Changes an object; its `status` stays as it is where the kind writes it by itself (`update_status`).
    ///
    /// No change: no new `resourceVersion` and no event. A change of what is wanted: `generation` + 1. The closure runs under
    /// the store's lock, so it must not use the store.
    pub fn update(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        name: &str,
        manager: &str,
        expected_resource_version: Option<&str>,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, StoreError> {
        let write = Write { expected_resource_version, ..Write::by(manager) };
        self.modify(resource, namespace, name, &write, |object| {
            change(object);
            Ok(())
        })
    }

    /// Changes an object's `status` and nothing else (for a Deployment also its annotations, for a Pod also its labels and
    /// annotations, as the real server has it). `generation` stays.
    pub fn update_status(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        name: &str,
        manager: &str,
        expected_resource_version: Option<&str>,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, StoreError> {
        let write = Write { expected_resource_version, subresource: "status", ..Write::by(manager) };
        self.modify(resource, namespace, name, &write, |object| {
            change(object);
            Ok(())
        })
    }

    /// Deletes an object as a client would. One with finalizers, and a pod that is on a node and has a grace period, gets a
    /// `deletionTimestamp` and stays until `remove` (or until its last finalizer goes). What it owns goes after it.
    pub fn delete(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Value, StoreError> {
        self.delete_with(resource, namespace, name, &Deletion::default()).map(|(object, _)| object)
    }

    /// Takes an object away now, whatever its grace period and finalizers: the kubelet's last word about a pod.
    pub fn remove(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Value, StoreError> {
        let mut objects = self.lock();
        let key = key(resource, namespace, name);
        let object = objects.take(resource, &key)?;
        objects.delete_dependents(&object);
        self.tell(objects);
        Ok(Value::clone(&object))
    }

    /// `create` with all its options.
    pub(super) fn insert(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        mut object: Value,
        write: &Write<'_>,
    ) -> Result<Value, StoreError> {
        rules::before_create(resource, namespace, &mut object, &self.clock.now())?;
        let mut objects = self.lock();
        let name = meta::name(&object).to_owned();
        let key = key(resource, namespace, &name);
        if objects.objects.contains_key(&key) {
            return Err(StoreError::AlreadyExists { resource, name });
        }
        if let (true, Some(namespace)) = (resource.namespaced, namespace)
            && objects.find(self::resource("namespaces"), None, namespace).is_none()
        {
            return Err(StoreError::NotFound { resource: self::resource("namespaces"), name: namespace.to_owned() });
        }
        fields::record(resource, None, &mut object, write, &self.clock.now());
        rules::complete(resource, &mut object)?;
        if write.dry_run {
            return Ok(object);
        }
        let object = objects.put(resource, key, object, None);
        self.tell(objects);
        Ok(Value::clone(&object))
    }

    /// `update` with all its options, and with a change that can fail.
    pub(super) fn modify(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        name: &str,
        write: &Write<'_>,
        change: impl FnOnce(&mut Value) -> Result<(), StoreError>,
    ) -> Result<Value, StoreError> {
        let mut objects = self.lock();
        let key = key(resource, namespace, name);
        let before = objects
            .find(resource, namespace, name)
            .ok_or_else(|| StoreError::NotFound { resource, name: name.to_owned() })?;
        if write.expected_resource_version.is_some_and(|expected| expected != meta::resource_version(&before)) {
            return Err(StoreError::modified(resource, name));
        }
        let mut after = Value::clone(&before);
        change(&mut after)?;
        rules::before_update(resource, &before, &mut after, write.subresource)?;
        // A controller that finds nothing to change sends nothing, and so owns nothing: most of their rounds.
        if write.subresource == "status" && after == *before {
            return Ok(after);
        }
        fields::record(resource, Some(&before), &mut after, write, &self.clock.now());
        if after == *before || write.dry_run {
            return Ok(after);
        }
        if deletion::is_released(resource, &after) {
            // The last finalizer of a deleted object is gone: the write is remembered as its end.
            let object = objects.take_as(resource, &key, after);
            objects.delete_dependents(&object);
            self.tell(objects);
            return Ok(Value::clone(&object));
        }
        let object = objects.put(resource, key, after, Some(before));
        self.tell(objects);
        Ok(Value::clone(&object))
    }

    /// `delete` with all its options; answers with the object and whether it is still there.
    pub(super) fn delete_with(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        name: &str,
        deletion: &Deletion,
    ) -> Result<(Value, bool), StoreError> {
        let mut objects = self.lock();
        let answer = objects.delete(resource, namespace, name, deletion)?;
        self.tell(objects);
        Ok(answer)
    }

    /// Whether the fault `watch-expired`, which is in force or not, meets this watch: once for each kind.
    pub(super) fn expires_once(&self, resource: &Resource, in_force: bool) -> bool {
        let mut expired = self.expired.lock().unwrap_or_else(PoisonError::into_inner);
        if !in_force {
            expired.clear();
        }
        in_force && expired.insert(resource.plural)
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        // A closure that panicked has changed nothing yet, so the objects are as they were.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, objects: MutexGuard<'_, Objects>) {
        let version = objects.resource_version;
        drop(objects);
        self.latest.send_if_modified(|latest| std::mem::replace(latest, version.max(*latest)) < version);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resource::RESOURCES;
    use super::*;

    fn store() -> Store {
        let store = Store::new(Clock::default());
        let namespace = json!({"metadata": {"name": "acme"}});
        store.create(resource("namespaces"), None, namespace, "test").unwrap();
        store
    }

    #[test]
    fn every_plural_is_unique() {
        let plurals: std::collections::BTreeSet<_> = RESOURCES.iter().map(|resource| resource.plural).collect();
        assert_eq!(plurals.len(), RESOURCES.len());
    }

    #[test]
    fn a_write_without_a_change_is_no_write() {
        let store = store();
        let secrets = resource("secrets");
        let made = store.create(secrets, Some("acme"), json!({"metadata": {"name": "a"}}), "test").unwrap();
        let version = store.resource_version();
        let same = store.update(secrets, Some("acme"), "a", "other", None, |_| {}).unwrap();
        assert_eq!((same, store.resource_version()), (made, version));
    }
}
