//! The External Secrets controller: copies what Secret Manager holds into Kubernetes Secrets, and says how that went.
//!
//! It behaves as the real controller does: what wakes it and what does not, what it writes and in which order, its words, and
//! that it does one sync at a time.

mod events;
mod hash;
mod old_value;
mod queue;
mod reconcile;
mod refresh;
mod resolve;
mod store;
mod target;
mod template;
mod template_from;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::clock::written;
use crate::cluster::{Change, ChangeKind, resource, text};
use crate::world::World;
use events::{FIELD_MANAGER, Recorder};
use queue::{Key, Queue};
use reconcile::Outcome;

/// How old the first writes look. Younger than the newest version that a seed makes, so that it can be its copy.
const FIRST_WRITES: SignedDuration = SignedDuration::from_hours(29 * 24);
/// How often a fault that was added while it ran is noticed: faults wake nobody.
const FAULTS_NOTICED: Duration = Duration::from_millis(250);
/// How long the fault `old-value-pod` lasts at most.
const OLD_VALUE_LASTS: Duration = Duration::from_secs(1);

/// Syncs everything that is there at once, as if that had been long ago; what it returns is the controller, to be run.
pub fn start(world: Arc<World>) -> impl Future<Output = ()> + Send + 'static {
    let (sender, requests) = unbounded_channel();
    // A world has one such controller; a second one would be deaf to requests, and nothing else.
    let _ = world.controllers.sync_requests.set(sender);
    let mut controller = Controller { world, queue: Queue::default(), recorder: Recorder::default(), seen: 0 };
    controller.first_writes();
    controller.run(requests)
}

/// Has one ExternalSecret read now, as its clock would; false when there is none of that name.
pub fn sync_now(world: &World, namespace: &str, name: &str) -> bool {
    if world.cluster.get(resource("externalsecrets"), Some(namespace), name).is_none() {
        return false;
    }
    let controller = world.controllers.sync_requests.get();
    controller.is_some_and(|requests| requests.send((namespace.to_owned(), name.to_owned())).is_ok())
}

fn key_of(object: &Value) -> Key {
    (text(&object["metadata"]["namespace"]).to_owned(), text(&object["metadata"]["name"]).to_owned())
}

struct Controller {
    world: Arc<World>,
    queue: Queue,
    recorder: Recorder,
    /// The version of the cluster up to which changes were looked at.
    seen: u64,
}

impl Controller {
    /// What the world starts with was synced long ago, whatever goes wrong now.
    fn first_writes(&mut self) {
        let world = Arc::clone(&self.world);
        let long_ago = written(Timestamp::now().checked_sub(FIRST_WRITES).unwrap_or(Timestamp::UNIX_EPOCH));
        store::validate_all(&world, &mut self.recorder, Some(&long_ago));
        // Nobody is told: an Event is kept for an hour.
        let mut unheard = Recorder::silent();
        for object in world.cluster.list(resource("externalsecrets"), None) {
            let key = key_of(&object);
            let Some(attempt) = reconcile::begin(&world, &key) else { continue };
            let read = resolve::resolve(&world, &attempt.object);
            let outcome = reconcile::finish(&world, &mut unheard, &attempt, read);
            backdate(&world, &attempt.object, &long_ago);
            match outcome {
                Outcome::Done if !self.is_made_to_fail(&key) => {
                    let interval = refresh::interval(&attempt.object["spec"], None);
                    self.queue.succeeded(&key, Instant::now(), interval);
                }
                Outcome::Done => self.queue.force(key, Instant::now()),
                _ => self.queue.add(key, Instant::now()),
            }
        }
        self.seen = world.cluster.resource_version();
    }

    async fn run(mut self, mut requests: UnboundedReceiver<Key>) {
        let mut changes = self.world.cluster.changes();
        loop {
            changes.borrow_and_update();
            self.look_at_changes();
            let every = self.world.faults.duration("scheduled-sync");
            let next = self.queue.next(every).map(|(at, key)| (at, key.clone()));
            if let Some((at, key)) = &next
                && *at <= Instant::now()
            {
                self.sync(key).await;
                continue;
            }
            let latest = Instant::now() + FAULTS_NOTICED;
            let until = next.map_or(latest, |(at, _)| at.min(latest));
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                Some(key) = requests.recv() => self.queue.force(key, Instant::now()),
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
    }

    fn look_at_changes(&mut self) {
        let (world, since) = (Arc::clone(&self.world), self.seen);
        self.seen = world.cluster.resource_version();
        let of = |plural: &str| world.cluster.changes_from(plural, since);
        if !of("secretstores").is_empty() || !of("clustersecretstores").is_empty() {
            store::validate_all(&world, &mut self.recorder, None);
        }
        let now = Instant::now();
        for change in of("externalsecrets") {
            match change.kind {
                ChangeKind::Deleted => self.queue.forget(&key_of(&change.object)),
                ChangeKind::Added => self.queue.add(key_of(&change.object), now),
                ChangeKind::Modified if is_of_interest(&change) => self.queue.add(key_of(&change.object), now),
                ChangeKind::Modified => {}
            }
        }
        for change in of("secrets") {
            let is_managed = |object: &Value| object["metadata"]["labels"][target::MANAGED] == "true";
            if is_managed(&change.object) || change.previous.as_deref().is_some_and(is_managed) {
                let (namespace, name) = key_of(&change.object);
                let objects = world.cluster.list(resource("externalsecrets"), Some(&namespace));
                for object in objects.iter().filter(|object| target::name(object) == name) {
                    self.queue.add(key_of(object), now);
                }
            }
        }
        if world.faults.active("old-value-pod") {
            let restarts = old_value::WORKLOADS.iter().flat_map(|plural| of(plural));
            for change in restarts.filter(old_value::is_restart) {
                if world.faults.active("old-value-pod")
                    && let Some(key) = old_value::fall_back(&world, &change.object)
                {
                    world.faults.take("old-value-pod");
                    self.queue.force(key, now + OLD_VALUE_LASTS);
                }
            }
        }
    }

    fn is_made_to_fail(&self, key: &Key) -> bool {
        let faults = &self.world.faults;
        let named = faults.values("sync-failing");
        faults.active("sync-failing")
            && (named.is_empty() || named.iter().any(|name| *name == key.1 || *name == format!("{}/{}", key.0, key.1)))
    }

    /// One sync. Half of its time goes by before Secret Manager is read, half before the Secret is written: what changes in
    /// between is what the next sync is for.
    async fn sync(&mut self, key: &Key) {
        let world = Arc::clone(&self.world);
        let started = Instant::now();
        let is_forced = self.queue.take(key);
        let Some(attempt) = reconcile::begin(&world, key) else {
            self.queue.forget(key);
            return;
        };
        let fault = world.faults.duration("scheduled-sync");
        let interval = refresh::interval(&attempt.object["spec"], fault);
        let age = self.queue.age(key).or_else(|| age_of(&attempt.object));
        if !is_forced
            && !refresh::is_due(&attempt.object, age, fault)
            && refresh::is_intact(&attempt.object, attempt.existing.as_ref())
        {
            self.queue.skipped(key, interval);
            return;
        }
        let half = world.faults.duration("sync-slow").unwrap_or(world.options.sync_delay) / 2;
        tokio::time::sleep(half).await;
        let read = match self.is_made_to_fail(key) {
            true => Err(unavailable(&attempt.object)),
            false => resolve::resolve(&world, &attempt.object),
        };
        tokio::time::sleep(half).await;
        let outcome = reconcile::finish(&world, &mut self.recorder, &attempt, read);
        match outcome {
            Outcome::Done => self.queue.succeeded(key, started, interval),
            Outcome::Hopeless => self.queue.gave_up(key),
            Outcome::Failed | Outcome::Conflict => {
                let again = self.queue.failed(key);
                // What was asked for once is still asked for.
                if is_forced {
                    self.queue.force(key.clone(), again);
                }
            }
        }
    }
}

/// Whether a change of an ExternalSecret wakes the controller: not when only its status changed.
fn is_of_interest(change: &Change) -> bool {
    let Some(previous) = &change.previous else { return true };
    ["generation", "labels", "annotations", "finalizers", "deletionTimestamp"]
        .iter()
        .any(|field| change.object["metadata"].get(field) != previous["metadata"].get(field))
}

/// How long ago its status says it was read; none when never or in the future.
fn age_of(object: &Value) -> Option<Duration> {
    let read: Timestamp = text(&object["status"]["refreshTime"]).parse().ok()?;
    Timestamp::now().duration_since(read).try_into().ok()
}

/// What the provider says when it cannot be reached.
fn unavailable(object: &Value) -> String {
    let spec = &object["spec"];
    let at = match spec["dataFrom"][0].is_object() {
        true if spec["dataFrom"][0]["find"].is_object() => {
            "error processing spec.dataFrom[0].find, err: error getting all secrets: failed to list secrets: "
                .to_owned()
        }
        true => "error processing spec.dataFrom[0].extract, err: unable to access Secret from SecretManager Client: "
            .to_owned(),
        false => format!(
            "error processing spec.data[0] (key: {}), err: unable to access Secret from SecretManager Client: ",
            text(&spec["data"][0]["remoteRef"]["key"])
        ),
    };
    format!("{at}rpc error: code = Unavailable desc = The service is currently unavailable.")
}

/// Makes a first write look as old as it is meant to be. `creationTimestamp` is the store's own and stays.
fn backdate(world: &World, object: &Value, time: &str) {
    let (namespace, name) = key_of(object);
    let namespace = Some(namespace.as_str());
    let age_fields = |object: &mut Value| {
        for entry in object["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
            entry["time"] = json!(time);
        }
    };
    // Neither need be there: a first sync can fail.
    let target = target::name(object);
    let _ = world.cluster.update(resource("secrets"), namespace, target, FIELD_MANAGER, None, age_fields);
    let externals = resource("externalsecrets");
    let _ = world.cluster.update_status(externals, namespace, &name, FIELD_MANAGER, None, |object| {
        for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
            condition["lastTransitionTime"] = json!(time);
        }
    });
}
