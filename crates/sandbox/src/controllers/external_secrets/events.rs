//! The Events that External Secrets writes, counted and held back as client-go's recorder does.
//!
//! The same text again only moves `count` and `lastTimestamp`; after ten different texts of one kind they share one Event; an
//! object that causes very many is silenced.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::others_now;
use crate::cluster::{resource, text};
use crate::world::World;

/// As whom the controller writes all but the Secrets, and the component in its Events.
pub const FIELD_MANAGER: &str = "external-secrets";

/// How many different texts of one kind there are before they are put together.
const DIFFERENT_TEXTS: usize = 10;
/// How long texts of one kind count as similar.
const SIMILAR_FOR: Duration = Duration::from_secs(600);
/// How many Events an object may cause at once.
const BURST: f64 = 25.0;
/// How long until it may cause one more.
const REFILL: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub struct Recorder {
    /// The Event of each text, by all that makes it the same: object, type, reason, text.
    written: HashMap<String, Written>,
    similar: HashMap<String, Similar>,
    allowances: HashMap<String, (f64, Instant)>,
    is_silent: bool,
}

#[derive(Debug)]
struct Written {
    name: String,
    first: String,
    count: u64,
}

#[derive(Debug)]
struct Similar {
    texts: BTreeSet<String>,
    last: Instant,
}

impl Recorder {
    pub fn silent() -> Self {
        Self { is_silent: true, ..Self::default() }
    }

    /// Tells of something that happened to an object.
    pub fn record(&mut self, world: &World, object: &Value, kind: &str, reason: &str, message: &str) {
        if self.is_silent {
            return;
        }
        let metadata = &object["metadata"];
        let about = format!("{}/{}", text(&object["kind"]), text(&metadata["uid"]));
        let alike = format!("{about}/{kind}/{reason}");
        let mut message = message.to_owned();
        let mut same = format!("{alike}/{message}");
        if self.is_one_of_many(&alike, &message) {
            message = format!("(combined from similar events): {message}");
            same = alike;
        }
        if !self.allows(about) {
            return;
        }
        let now = others_now();
        let namespace = metadata["namespace"].as_str().unwrap_or("default");
        let events = resource("events");
        if let Some(written) = self.written.get_mut(&same) {
            written.count += 1;
            let moved = world.cluster.update(events, Some(namespace), &written.name, FIELD_MANAGER, None, |event| {
                event["count"] = json!(written.count);
                event["lastTimestamp"] = json!(now);
                event["message"] = json!(message);
            });
            if moved.is_ok() {
                return;
            }
        }
        // It is new, or somebody deleted it: then it begins again, but its count goes on.
        let earlier = self.written.remove(&same);
        let count = earlier.as_ref().map_or(1, |written| written.count);
        let first = earlier.map_or_else(|| now.clone(), |written| written.first);
        let name = format!("{}.{:x}", text(&metadata["name"]), Timestamp::now().as_nanosecond());
        let event = json!({
            "metadata": { "name": name },
            "involvedObject": {
                "kind": object["kind"],
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "apiVersion": object["apiVersion"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "reason": reason,
            "message": message,
            "source": { "component": FIELD_MANAGER },
            "firstTimestamp": first,
            "lastTimestamp": now,
            "count": count,
            "type": kind,
            "eventTime": null,
            "reportingComponent": FIELD_MANAGER,
            "reportingInstance": "",
        });
        // Events are best effort: the namespace may be going away.
        if world.cluster.create(events, Some(namespace), event, FIELD_MANAGER).is_ok() {
            self.written.insert(same, Written { name, first, count });
        }
    }

    fn is_one_of_many(&mut self, alike: &str, message: &str) -> bool {
        let now = Instant::now();
        let fresh = || Similar { texts: BTreeSet::new(), last: now };
        let similar = self.similar.entry(alike.to_owned()).or_insert_with(fresh);
        if now.duration_since(similar.last) > SIMILAR_FOR {
            *similar = fresh();
        }
        similar.last = now;
        similar.texts.insert(message.to_owned());
        if similar.texts.len() < DIFFERENT_TEXTS {
            return false;
        }
        similar.texts.pop_last();
        true
    }

    fn allows(&mut self, about: String) -> bool {
        let now = Instant::now();
        let (left, since) = self.allowances.entry(about).or_insert((BURST, now));
        *left = (*left + now.duration_since(*since).as_secs_f64() / REFILL.as_secs_f64()).min(BURST);
        *since = now;
        let allowed = *left >= 1.0;
        if allowed {
            *left -= 1.0;
        }
        allowed
    }
}
