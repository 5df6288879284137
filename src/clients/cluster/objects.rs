//! The API server's objects as ours: a Secret without a type that shows its bytes, Events, times.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};

use deepdesk_protocol::facts::payload::Payload;

/// A Kubernetes Secret. `Debug` shows no value, and of the annotations the keys alone.
pub struct KubernetesSecret {
    /// Its name.
    pub name: String,
    /// Its resource version.
    pub resource_version: String,
    /// Its keys.
    pub data: BTreeMap<String, Payload>,
    /// Whether its data cannot change any more.
    pub immutable: bool,
    /// Its annotations, without the copy of the object that `kubectl apply` leaves there, values and all.
    pub annotations: BTreeMap<String, String>,
    /// When it was written last, by the API server's clock.
    pub last_write: Option<Timestamp>,
    /// When it was created, by the same clock.
    pub created: Option<Timestamp>,
}

impl fmt::Debug for KubernetesSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesSecret")
            .field("name", &self.name)
            .field("resource_version", &self.resource_version)
            .field("data", &self.data)
            .field("annotations", &self.annotations.keys())
            .finish_non_exhaustive()
    }
}

/// What a controller or kubelet noted about an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventNote {
    /// Name of the Event.
    pub name: String,
    /// `Normal` or `Warning`.
    pub type_: String,
    /// Why, in one word.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// How often.
    pub count: u32,
    /// When last.
    pub last: Option<Timestamp>,
    /// The Event's resource version: changes with each repetition.
    pub resource_version: String,
}

impl From<Event> for EventNote {
    fn from(event: Event) -> EventNote {
        let series = event.series.unwrap_or_default();
        let count = event.count.or(series.count).unwrap_or(1);
        // Which of the times is set depends on which of the two Event APIs it was written with.
        let last = (event.last_timestamp.map(|at| at.0))
            .max(series.last_observed_time.map(|at| at.0))
            .or(event.event_time.map(|at| at.0))
            .or(event.metadata.creation_timestamp.map(|at| at.0));
        EventNote {
            name: event.metadata.name.unwrap_or_default(),
            type_: event.type_.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
            count: u32::try_from(count).unwrap_or(1),
            last,
            resource_version: event.metadata.resource_version.unwrap_or_default(),
        }
    }
}

/// A Secret on the wire. No `Debug`: it lives for the conversion alone.
#[derive(Deserialize)]
pub(super) struct WireSecret {
    metadata: WireMetadata,
    data: Option<BTreeMap<String, Base64Payload>>,
    immutable: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    resource_version: String,
    annotations: Option<BTreeMap<String, String>>,
    managed_fields: Option<Vec<WireManagedFields>>,
    creation_timestamp: Option<Timestamp>,
}

#[derive(Deserialize)]
struct WireManagedFields {
    time: Option<Timestamp>,
}

impl From<WireSecret> for KubernetesSecret {
    fn from(secret: WireSecret) -> KubernetesSecret {
        let WireMetadata { name, resource_version, annotations, managed_fields, creation_timestamp } = secret.metadata;
        let mut annotations = annotations.unwrap_or_default();
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
        let written = managed_fields.unwrap_or_default().into_iter().filter_map(|fields| fields.time).max();
        let last_write = written.or(creation_timestamp);
        let immutable = secret.immutable.unwrap_or(false);
        KubernetesSecret {
            name,
            resource_version,
            data,
            immutable,
            annotations,
            last_write,
            created: creation_timestamp,
        }
    }
}

/// Base64 turned into bytes while it is parsed, so that no string of it is left behind.
struct Base64Payload(Payload);

impl<'de> Deserialize<'de> for Base64Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Base64Payload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64Payload, E> {
                // An error must not say which byte it was.
                let decoded = base64::engine::general_purpose::STANDARD.decode(text);
                // Longer than its bytes: copied to its size, or shrinking it may leave an unwiped one behind.
                let bytes = zeroize::Zeroizing::new(decoded.map_err(|_| E::custom("not base64"))?);
                Ok(Base64Payload(Payload::new(bytes.to_vec())))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Base64Payload, E> {
                // An empty value may be written as null.
                Ok(Base64Payload(Payload::new(Vec::new())))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"backend-secrets","resourceVersion":"42",
        "annotations":{"a":"b","kubectl.kubernetes.io/last-applied-configuration":"TUFSS0VS"},
        "creationTimestamp":"2026-11-23T10:00:00Z",
        "managedFields":[{"manager":"x","time":"2026-11-23T10:00:05Z"},{"manager":"y","time":"2026-11-23T10:00:01Z"},{}]},
        "data":{"SECRET_KEY":"TUFSS0VS","EMPTY":"","NULL":null},"immutable":true}"#;

    fn parse(json: &str) -> KubernetesSecret {
        serde_json::from_str::<WireSecret>(json).expect("a Secret").into()
    }

    #[test]
    fn a_secret_shows_nothing_of_its_values() {
        let secret = parse(SECRET);
        assert!(secret.data["SECRET_KEY"].same_as(&Payload::new(b"MARKER".to_vec())));
        assert!(secret.data["NULL"].expose().is_empty());
        assert_eq!(secret.last_write.map(|at| at.to_string()).as_deref(), Some("2026-11-23T10:00:05Z"));
        assert!(secret.immutable);
        assert_eq!(secret.annotations.len(), 1);
        let shown = format!("{secret:?}");
        assert!(!shown.contains("MARKER") && !shown.contains("TUFSS0VS"), "{shown}");
    }

    #[test]
    fn a_secret_may_have_no_data() {
        let secret = parse(r#"{"metadata":{"name":"x","resourceVersion":"1"}}"#);
        assert!(secret.data.is_empty() && secret.last_write.is_none());
    }

    #[test]
    fn both_apis_of_events_are_read() {
        let old = r#"{"metadata":{"name":"e","resourceVersion":"7"},"involvedObject":{},"type":"Warning","reason":"UpdateFailed",
            "message":"no","count":3,"firstTimestamp":"2026-11-23T10:00:00Z","lastTimestamp":"2026-11-23T10:05:00Z"}"#;
        let new = r#"{"metadata":{"name":"e"},"involvedObject":{},"eventTime":"2026-11-23T10:00:00.000000Z",
            "series":{"count":4,"lastObservedTime":"2026-11-23T10:06:00.000000Z"},"firstTimestamp":null,"lastTimestamp":null}"#;
        let note = |json: &str| EventNote::from(serde_json::from_str::<Event>(json).expect("an Event"));
        assert_eq!((note(old).count, note(new).count), (3, 4));
        assert_eq!(note(old).last.map(|at| at.to_string()).as_deref(), Some("2026-11-23T10:05:00Z"));
        assert_eq!(note(new).last.map(|at| at.to_string()).as_deref(), Some("2026-11-23T10:06:00Z"));
    }
}
