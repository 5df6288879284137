//! What Secret Manager keeps: projects, secrets, versions. Names, numbers and etags are given here.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::iam::Policy;
use super::route::Parent;
use crate::google::ApiError;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VersionState {
    Enabled,
    /// It cannot be read until it is enabled again.
    Disabled,
    Destroyed,
}

impl VersionState {
    pub fn name(self) -> &'static str {
        match self {
            VersionState::Enabled => "ENABLED",
            VersionState::Disabled => "DISABLED",
            VersionState::Destroyed => "DESTROYED",
        }
    }

    /// The number of the enum's value, for clients that ask for integers.
    pub fn number(self) -> u8 {
        match self {
            VersionState::Enabled => 1,
            VersionState::Disabled => 2,
            VersionState::Destroyed => 3,
        }
    }
}

/// The bytes of a version. They are only for the client that accesses it, and for no log.
#[derive(Clone, Eq, PartialEq)]
pub struct Payload(pub Vec<u8>);

impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Payload(redacted)")
    }
}

#[derive(Clone, Debug)]
pub struct Version {
    pub number: u64,
    pub created: Timestamp,
    /// When it was added, for faults that count from then; none for one that was there from the start.
    pub added: Option<Instant>,
    pub destroyed: Option<Timestamp>,
    pub scheduled_destroy: Option<Timestamp>,
    pub state: VersionState,
    /// Changes with every change, also with one that changes nothing.
    pub etag: String,
    pub payload: Option<Payload>,
    /// Whether the client told a checksum when it added the version.
    pub checksum_given: bool,
}

#[derive(Clone, Debug)]
pub struct Secret {
    pub id: String,
    pub created: Timestamp,
    /// When it was made, for faults that count from then; none for one that was there from the start.
    pub added: Option<Instant>,
    /// Changes with every change of the secret itself, not with those of its versions.
    pub etag: String,
    /// Labels, annotations, replication and the other fields that a client writes, as it wrote them.
    pub fields: Map<String, Value>,
    pub policy: Policy,
    /// Oldest first.
    pub versions: Vec<Version>,
}

impl Secret {
    /// A member of one of the maps (`labels`, `annotations`, `versionAliases`).
    pub fn entry(&self, map: &str, key: &str) -> Option<&Value> {
        self.fields.get(map)?.get(key)
    }

    /// The versions that lists and `latest` know of already, oldest first.
    pub fn visible(&self, stale: Option<Duration>) -> impl DoubleEndedIterator<Item = &Version> {
        self.versions.iter().filter(move |version| !is_stale(version.added, stale))
    }

    /// Finds the version that a client names: a number, an alias, or `latest`, the newest created one in any state.
    pub fn find(&self, name: &str, stale: Option<Duration>) -> Option<&Version> {
        if name == "latest" {
            return self.visible(stale).next_back();
        }
        let number = match name.parse::<u64>() {
            Ok(number) => number,
            Err(_) => number_of(self.entry("versionAliases", name)?)?,
        };
        self.versions.iter().find(|version| version.number == number)
    }
}

/// A number that JSON carries as a string or as a number.
pub fn number_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether something added then is not yet seen by the eventually consistent reads.
pub fn is_stale(added: Option<Instant>, stale: Option<Duration>) -> bool {
    matches!((added, stale), (Some(added), Some(stale)) if added.elapsed() < stale)
}

#[derive(Debug, Default)]
pub struct State {
    /// The number of each project, by its id.
    projects: BTreeMap<String, u64>,
    /// Who may do what in a whole project.
    pub grants: BTreeMap<String, Policy>,
    /// The secrets, by where they live and by their id.
    pub secrets: BTreeMap<Parent, BTreeMap<String, Secret>>,
    /// How many etags were given.
    etags: u64,
}

impl State {
    /// Makes a project, unless it is there. Answers with its number.
    pub fn project(&mut self, id: &str) -> u64 {
        *self.projects.entry(id.to_owned()).or_insert_with(|| {
            // Numbers have twelve digits and tell nothing of the id; the same id has the same number at each start.
            let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
            100_000_000_000 + hash % 900_000_000_000
        })
    }

    /// The project's number, for a project that exists.
    pub fn number(&self, id: &str) -> Option<u64> {
        self.projects.get(id).copied()
    }

    /// The parent with the project's id in it, where a client wrote its number; none when there is no such project.
    pub fn canonical(&self, parent: &Parent) -> Option<Parent> {
        let by_number = || {
            let number: u64 = parent.project.parse().ok()?;
            self.projects.iter().find(|(_, of)| **of == number).map(|(id, _)| id.clone())
        };
        let project = if self.projects.contains_key(&parent.project) { parent.project.clone() } else { by_number()? };
        Some(Parent { project, location: parent.location.clone() })
    }

    /// The parent's name in answers: with the project's number.
    pub fn parent_name(&self, parent: &Parent) -> String {
        match self.number(&parent.project) {
            Some(number) => parent.name(&number.to_string()),
            None => parent.name(&parent.project),
        }
    }

    /// The secret's name in answers.
    pub fn secret_name(&self, parent: &Parent, id: &str) -> String {
        format!("{}/secrets/{id}", self.parent_name(parent))
    }

    /// The secret, or Google's 404.
    pub fn secret(&self, parent: &Parent, id: &str) -> Result<&Secret, ApiError> {
        let secret = self.secrets.get(parent).and_then(|secrets| secrets.get(id));
        secret.ok_or_else(|| ApiError::no_secret(&self.secret_name(parent, id)))
    }

    /// The secret to change, or Google's 404.
    pub fn secret_mut(&mut self, parent: &Parent, id: &str) -> Result<&mut Secret, ApiError> {
        let missing = ApiError::no_secret(&self.secret_name(parent, id));
        self.secrets.get_mut(parent).and_then(|secrets| secrets.get_mut(id)).ok_or(missing)
    }

    /// The version that a client names, or Google's 404.
    pub fn version(
        &self,
        parent: &Parent,
        id: &str,
        version: &str,
        stale: Option<Duration>,
    ) -> Result<&Version, ApiError> {
        let name = self.secret_name(parent, id);
        let secret = self.secret(parent, id).map_err(|_| ApiError::no_versions(&name))?;
        secret.find(version, stale).ok_or_else(|| match version {
            "latest" => ApiError::no_versions(&name),
            version => ApiError::no_version(&format!("{name}/versions/{version}")),
        })
    }

    /// An etag that was never given before. The quotes belong to it.
    pub fn new_etag(&mut self) -> String {
        // Real ones look like the microseconds of the change in hexadecimal.
        let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
        self.etags = now.max(self.etags + 1);
        format!("\"{:x}\"", self.etags)
    }

    /// A policy's etag: bytes, in base64.
    pub fn new_policy_etag(&mut self) -> String {
        use base64::Engine as _;
        self.new_etag();
        base64::engine::general_purpose::STANDARD.encode(self.etags.to_be_bytes())
    }

    /// Which versions there are, in which state and with which value by its number. No payloads.
    pub fn describe(&self, number: impl Fn(&[u8]) -> usize) -> Value {
        let secrets = self.secrets.iter().flat_map(|(parent, secrets)| {
            secrets.values().map(|secret| {
                let versions: Vec<Value> = secret
                    .versions
                    .iter()
                    .map(|version| {
                        let value = version.payload.as_ref().map(|payload| number(&payload.0));
                        json!({
                            "version": version.number,
                            "state": version.state.name(),
                            "created": version.created,
                            "value": value,
                        })
                    })
                    .collect();
                json!({ "parent": parent.name(&parent.project), "secret": secret.id, "versions": versions })
            })
        });
        Value::Array(secrets.collect())
    }
}
