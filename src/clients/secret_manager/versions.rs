//! Versions: what they are called, and what the service says of them.

use google_cloud_secretmanager_v1::model;
use jiff::Timestamp;
use zeroize::Zeroize;

use crate::clients::error::{ApiError, ApiErrorKind, Service};
use crate::clients::known;
use deepdesk_protocol::facts::names::{SecretHome, SecretId, VersionId};
use deepdesk_protocol::facts::observation::VersionState;
use deepdesk_protocol::facts::payload::Payload;

/// Which version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// The one that `latest` names: may lag behind.
    Latest,
    /// The one with this number: consistent.
    Number(VersionId),
}

/// As names end with it: `latest` or `7`.
impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Which::Latest => f.write_str("latest"),
            Which::Number(version) => write!(f, "{}", version.get()),
        }
    }
}

/// What an access found.
#[derive(Debug)]
pub enum Access {
    /// The bytes, and the number of the version that they belong to.
    Enabled {
        /// The version.
        version: VersionId,
        /// Its bytes.
        payload: Payload,
    },
    /// The version exists, and cannot be read.
    NotEnabled {
        /// Disabled or destroyed.
        state: VersionState,
    },
    /// No such secret or version.
    Missing,
}

/// A version without its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VersionInfo {
    /// Its number.
    pub version: VersionId,
    /// Its state.
    pub state: VersionState,
    /// When it was created.
    pub created: Timestamp,
    /// When it will be destroyed by itself, where that is set.
    pub scheduled: Option<Timestamp>,
    /// Its etag, with the quotes that belong to it.
    pub etag: String,
    /// When it is destroyed, where somebody has scheduled that.
    pub destruction: Option<Timestamp>,
}

pub(super) fn secret_name(home: &SecretHome, secret: &SecretId) -> String {
    format!("{home}/secrets/{secret}")
}

pub(super) fn version_name(home: &SecretHome, secret: &SecretId, which: Which) -> String {
    format!("{home}/secrets/{secret}/versions/{which}")
}

/// None for what does not exist.
pub(super) fn found<T>(answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == ApiErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn malformed(operation: &str, message: &str) -> ApiError {
    ApiError::new(Service::SecretManager, operation, ApiErrorKind::Malformed, message)
}

/// The version's number, from a name that spells the project as a number: only its end can be compared.
pub(super) fn version_of(operation: &str, name: &str) -> Result<VersionId, ApiError> {
    let number = name.rsplit_once("/versions/").map(|(_, number)| number);
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| malformed(operation, "the answer does not name a version by its number"))
}

pub(super) fn state(operation: &str, state: &model::secret_version::State) -> Result<VersionState, ApiError> {
    use model::secret_version::State;
    match state {
        State::Enabled => Ok(VersionState::Enabled),
        State::Disabled => Ok(VersionState::Disabled),
        State::Destroyed => Ok(VersionState::Destroyed),
        _ => Err(malformed(operation, "the answer names a state that is not known")),
    }
}

pub(super) fn version_info(operation: &str, version: model::SecretVersion) -> Result<VersionInfo, ApiError> {
    let state = state(operation, &version.state)?;
    let destruction = version.scheduled_destroy_time.and_then(|at| Timestamp::new(at.seconds(), at.nanos()).ok());
    let created = version.create_time.and_then(|at| Timestamp::new(at.seconds(), at.nanos()).ok());
    let scheduled = version.scheduled_destroy_time.and_then(|at| Timestamp::new(at.seconds(), at.nanos()).ok());
    Ok(VersionInfo {
        version: version_of(operation, &version.name)?,
        state,
        created: created.ok_or_else(|| malformed(operation, "the answer does not say when the version was created"))?,
        scheduled,
        etag: version.etag,
        destruction,
    })
}

/// Takes the bytes out of an answer, checks them, and wipes what it can of the rest.
pub(super) fn read_access(operation: &str, answer: model::AccessSecretVersionResponse) -> Result<Access, ApiError> {
    let version = version_of(operation, &answer.name)?;
    let (data, checksum) = answer.payload.map(|payload| (payload.data, payload.data_crc32c)).unwrap_or_default();
    let payload = Payload::new(data.to_vec());
    known::values().keep(&payload);
    // Ours alone as soon as the answer was parsed, so that wiping it is possible.
    if let Ok(mut received) = data.try_into_mut() {
        received.as_mut().zeroize();
    }
    // Versions from before checksums were kept have none.
    match checksum.is_none_or(|checksum| checksum == payload.crc32c()) {
        true => Ok(Access::Enabled { version, payload }),
        false => Err(malformed(operation, "the bytes do not fit their checksum")),
    }
}
