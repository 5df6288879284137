//! The Secret Manager of the sandbox: Google's REST API v1, and the same reads in process for External Secrets.
//!
//! It is exact where a rotation is exposed: `latest` is the newest created version in any state, a disabled one answers
//! FAILED_PRECONDITION, etags change with every change, checksums are verified. It has no quotas.

mod filter;
mod iam;
mod methods;
pub(super) mod route;
mod rules;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::body::Body;
use crate::faults::Faults;
use crate::google::{ApiError, json_answer};
use crate::history::History;
use crate::query::parameter;
pub use iam::Binding;
use iam::Policy;
use route::{Call, Method, Parent, route};
use store::{Payload, Secret, State, Version, VersionState, is_stale};

/// As whom External Secrets reads.
pub const EXTERNAL_SECRETS: &str = "serviceAccount:external-secrets@sandbox-project.iam.gserviceaccount.com";

/// A client that sends this header is the identity in it; every other client owns the sandbox. Tests put External Secrets'
/// real controller before the sandbox this way.
pub const IDENTITY_HEADER: &str = "x-sandbox-identity";

pub struct SecretManager {
    state: Mutex<State>,
    faults: Arc<Faults>,
}

impl fmt::Debug for SecretManager {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SecretManager").finish_non_exhaustive()
    }
}

/// Why a version could not be read. Each carries Google's text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AccessError {
    /// No such secret or version (gRPC NOT_FOUND).
    #[error("{0}")]
    NotFound(String),
    /// The version is there but DISABLED or DESTROYED (gRPC FAILED_PRECONDITION).
    #[error("{message}")]
    FailedPrecondition {
        /// `DISABLED` or `DESTROYED`.
        state: &'static str,
        message: String,
    },
    /// The identity may not read it (gRPC PERMISSION_DENIED).
    #[error("{0}")]
    PermissionDenied(String),
}

/// A secret's id and labels.
pub type Listed = (String, BTreeMap<String, String>);

#[derive(Clone)]
pub struct Seed {
    /// The payloads, oldest first, and whether each is enabled.
    pub versions: Vec<(Vec<u8>, bool)>,
    pub labels: BTreeMap<String, String>,
    pub bindings: Vec<Binding>,
    /// The replication as the API spells it, for example `{"automatic":{}}`; null for a regional secret.
    pub replication: Value,
}

/// The bytes of a version are for no log.
impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Seed").field("versions", &self.versions.len()).finish_non_exhaustive()
    }
}

/// A version that holds given bytes.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Holder {
    /// `projects/P` or `projects/P/locations/L`.
    pub parent: String,
    pub secret: String,
    pub version: u64,
}

impl SecretManager {
    pub fn new(faults: Arc<Faults>) -> Self {
        SecretManager { state: Mutex::default(), faults }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the secrets")
    }

    /// How long after an add the eventually consistent reads still answer as before.
    fn stale(&self) -> Option<Duration> {
        self.faults.duration("stale-latest")
    }

    /// Reads one version as `identity`; `version` is `latest`, an alias or a number. Answers with its number and payload.
    pub fn access(
        &self,
        identity: &str,
        parent: &str,
        secret: &str,
        version: &str,
    ) -> Result<(u64, Vec<u8>), AccessError> {
        let state = self.lock();
        let method = Method::AccessSecretVersion;
        let call = self.call(&state, identity, method, parent, secret, version)?;
        let stale = self.stale();
        let (number, data) = methods::access(&state, &call, stale).map_err(|error| {
            let version_state = state.version(&call.parent, secret, version, stale).map(|version| version.state);
            match (error.status, version_state) {
                ("FAILED_PRECONDITION", Ok(version_state)) => {
                    AccessError::FailedPrecondition { state: version_state.name(), message: error.message }
                }
                _ => AccessError::NotFound(error.message),
            }
        })?;
        Ok((number, data.to_vec()))
    }

    /// The secrets under `parent` (`projects/P` or `projects/P/locations/L`), in the order of their ids.
    pub fn list_secrets(&self, identity: &str, parent: &str) -> Result<Vec<Listed>, AccessError> {
        let state = self.lock();
        let call = self.call(&state, identity, Method::ListSecrets, parent, "", "")?;
        let stale = self.stale();
        let secrets = state.secrets.get(&call.parent).into_iter().flat_map(|secrets| secrets.values());
        let visible = secrets.filter(|secret| !is_stale(secret.added, stale));
        let labels = |secret: &Secret| {
            let labels = secret.fields.get("labels").and_then(Value::as_object);
            let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
            labels.into_iter().flatten().filter_map(text).collect()
        };
        Ok(visible.map(|secret| (secret.id.clone(), labels(secret))).collect())
    }

    /// Puts a secret there, as if it had been there for long. A parent that makes no sense is the caller's mistake.
    pub fn seed_secret(&self, parent: &str, id: &str, seed: Seed) {
        let parent = Parent::parse(parent).expect("the parent of a seed is projects/P or projects/P/locations/L");
        let mut state = self.lock();
        state.project(&parent.project);
        let mut fields = serde_json::Map::new();
        if !seed.replication.is_null() {
            fields.insert("replication".to_owned(), seed.replication);
        }
        if !seed.labels.is_empty() {
            fields.insert("labels".to_owned(), json!(seed.labels));
        }
        // One version a month, the newest a month ago: an age that a status can show.
        let count = seed.versions.len();
        let age = |index: usize| {
            let days = i64::try_from(count - index).unwrap_or(1) * 30;
            Timestamp::now().checked_sub(jiff::SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::UNIX_EPOCH)
        };
        let versions: Vec<Version> = seed
            .versions
            .into_iter()
            .enumerate()
            .map(|(index, (payload, enabled))| Version {
                number: index as u64 + 1,
                created: age(index),
                added: None,
                destroyed: None,
                scheduled_destroy: None,
                state: if enabled { VersionState::Enabled } else { VersionState::Disabled },
                etag: state.new_etag(),
                payload: Some(Payload(payload)),
                checksum_given: true,
            })
            .collect();
        let secret = Secret {
            id: id.to_owned(),
            created: versions.first().map_or_else(|| age(0), |first| first.created),
            added: None,
            etag: state.new_etag(),
            fields,
            policy: Policy::new(&seed.bindings, state.new_policy_etag()),
            versions,
        };
        state.secrets.entry(parent).or_default().insert(id.to_owned(), secret);
        drop(state);
    }

    /// Makes a project, if it is not there. Every other project answers "denied, or it may not exist".
    pub fn create_project(&self, project: &str) {
        self.lock().project(project);
    }

    /// Gives a member a role on the whole project.
    pub fn grant_project(&self, project: &str, role: &str, member: &str) {
        let mut state = self.lock();
        state.project(project);
        state.grants.entry(project.to_owned()).or_default().grant(role, member);
    }

    /// Every version that holds these bytes, in any state: how the records of truth name a value.
    pub fn holders(&self, payload: &[u8]) -> Vec<Holder> {
        let state = self.lock();
        let mut holders = Vec::new();
        for (parent, secrets) in &state.secrets {
            for secret in secrets.values() {
                let same = |version: &&Version| version.payload.as_ref().is_some_and(|own| own.0 == payload);
                holders.extend(secret.versions.iter().filter(same).map(|version| Holder {
                    parent: parent.name(&parent.project),
                    secret: secret.id.clone(),
                    version: version.number,
                }));
            }
        }
        holders
    }

    /// Which secrets and versions there are, in which state, and with which value by its number in the history. No payloads.
    pub fn describe(&self, history: &History) -> Value {
        self.lock().describe(|payload| history.number(payload))
    }

    pub fn handle(&self, request: &Request<Bytes>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default();
        let mut status = StatusCode::OK;
        let mut body = self.answer(request, query).unwrap_or_else(|error| {
            status = error.code;
            error.body()
        });
        // Google's Rust client asks with `$alt`, gcloud with `alt`.
        let encoding = parameter(query, "$alt").or_else(|| parameter(query, "alt")).unwrap_or_default();
        if encoding.contains("enum-encoding=int") {
            methods::enums_as_integers(&mut body);
        }
        json_answer(status, &body)
    }

    fn answer(&self, request: &Request<Bytes>, query: &str) -> Result<Value, ApiError> {
        let Some(mut call) = route(request.method(), request.uri().path()) else {
            return Err(ApiError::not_found("Method not found."));
        };
        let body = match request.body() {
            body if body.is_empty() => json!({}),
            // serde's message may quote what it could not read, so it is not passed on.
            body => serde_json::from_slice(body).map_err(|_| ApiError::invalid("Invalid JSON payload received."))?,
        };
        let identity = request.headers().get(IDENTITY_HEADER).and_then(|identity| identity.to_str().ok());
        let mut state = self.lock();
        let permission = call.method.permission();
        let denied = || ApiError::denied(&permission, &asked_for(&call));
        call.parent = state.canonical(&call.parent).ok_or_else(denied)?;
        if !permission.is_empty() && !self.allows(&state, identity, &call, &permission) {
            return Err(ApiError::denied(&permission, &asked_for(&call)));
        }
        self.perform(&mut state, &call, query, &body, identity)
    }

    fn perform(
        &self,
        state: &mut State,
        call: &Call,
        query: &str,
        body: &Value,
        identity: Option<&str>,
    ) -> Result<Value, ApiError> {
        let raced = || self.faults.take("etag-mismatch");
        match call.method {
            Method::CreateSecret => methods::create_secret(state, call, query, body),
            Method::GetSecret => methods::get_secret(state, call),
            Method::ListSecrets => methods::list_secrets(state, call, query, self.stale()),
            Method::UpdateSecret => methods::update_secret(state, call, query, body),
            Method::DeleteSecret => methods::delete_secret(state, call, query),
            Method::AddSecretVersion => methods::add_secret_version(state, call, body),
            Method::GetSecretVersion => methods::get_secret_version(state, call, self.stale()),
            Method::ListSecretVersions => methods::list_secret_versions(state, call, query, self.stale()),
            Method::AccessSecretVersion => methods::access_secret_version(state, call, self.stale()),
            Method::EnableSecretVersion => methods::change_version(state, call, body, VersionState::Enabled, || false),
            Method::DisableSecretVersion => methods::change_version(state, call, body, VersionState::Disabled, raced),
            Method::DestroySecretVersion => {
                methods::change_version(state, call, body, VersionState::Destroyed, || false)
            }
            Method::GetIamPolicy => methods::get_iam_policy(state, call),
            Method::SetIamPolicy => methods::set_iam_policy(state, call, body),
            Method::TestIamPermissions if self.faults.active("test-permissions-denied") => {
                Err(ApiError::prohibited(&asked_for(call)))
            }
            Method::TestIamPermissions => methods::test_iam_permissions(state, call, body, |permission| {
                self.allows(state, identity, call, permission)
            }),
        }
    }

    /// A call in process, once its caller was found to be allowed.
    fn call(
        &self,
        state: &State,
        identity: &str,
        method: Method,
        parent: &str,
        secret: &str,
        version: &str,
    ) -> Result<Call, AccessError> {
        let permission = method.permission();
        let denied = |resource: &str| AccessError::PermissionDenied(ApiError::denied(&permission, resource).message);
        let known = Parent::parse(parent).and_then(|parent| state.canonical(&parent));
        let known = known.ok_or_else(|| denied(parent))?;
        let call = Call { method, parent: known, secret: secret.to_owned(), version: version.to_owned() };
        match self.allows(state, Some(identity), &call, &permission) {
            true => Ok(call),
            false => Err(denied(&asked_for(&call))),
        }
    }

    /// Whether a caller has a permission; nobody in particular is the owner, whom only faults stop.
    fn allows(&self, state: &State, identity: Option<&str>, call: &Call, permission: &str) -> bool {
        let Some(identity) = identity else { return !self.faults.denies(permission) };
        let secret = state.secret(&call.parent, &call.secret).ok();
        // The fault of a policy that has not spread yet: only secrets made since the start are new.
        if identity == EXTERNAL_SECRETS && self.faults.active("external-secrets-denied") {
            let lasts = self.faults.duration("external-secrets-denied").unwrap_or(Duration::MAX);
            if secret.is_some_and(|secret| is_stale(secret.added, Some(lasts))) {
                return false;
            }
        }
        let by_project = state.grants.get(&call.parent.project);
        by_project
            .into_iter()
            .chain(secret.map(|secret| &secret.policy))
            .any(|policy| policy.allows(identity, permission))
    }
}

/// The resource as the client named it: refusals tell no project numbers.
fn asked_for(call: &Call) -> String {
    let mut name = call.parent.name(&call.parent.project);
    for (collection, id) in [("secrets", &call.secret), ("versions", &call.version)] {
        if !id.is_empty() {
            name.push_str(&format!("/{collection}/{id}"));
        }
    }
    name
}

#[cfg(test)]
mod tests;
