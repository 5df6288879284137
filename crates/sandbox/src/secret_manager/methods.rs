//! The methods of the API, one function each. They see JSON in and give JSON out; HTTP is not their business.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::filter::Filter;
use super::iam::Policy;
use super::route::{Call, Parent, is_permission};
use super::rules;
use super::store::{Secret, State, Version, VersionState, is_stale, number_of};
use crate::google::ApiError;
use crate::query::parameter;

/// The largest page of a list, and the one that is given when the client names no size.
const PAGE_LIMIT: usize = 25_000;

type Answer = Result<Value, ApiError>;

pub(super) fn create_secret(state: &mut State, call: &Call, query: &str, body: &Value) -> Answer {
    let id = parameter(query, "secretId").unwrap_or_default();
    rules::secret_id(&id)?;
    let fields = rules::new_secret(&call.parent, body)?;
    let name = state.secret_name(&call.parent, &id);
    if state.secret(&call.parent, &id).is_ok() {
        return Err(ApiError::already_exists(&name));
    }
    if fields.contains_key("versionAliases") {
        return Err(ApiError::invalid("Version aliases cannot be assigned before the secret has versions."));
    }
    let secret = Secret {
        id: id.clone(),
        created: Timestamp::now(),
        added: Some(Instant::now()),
        etag: state.new_etag(),
        fields,
        policy: Policy::default(),
        versions: Vec::new(),
    };
    let answer = secret_json(state, &call.parent, &secret);
    state.secrets.entry(call.parent.clone()).or_default().insert(id, secret);
    Ok(answer)
}

pub(super) fn get_secret(state: &State, call: &Call) -> Answer {
    Ok(secret_json(state, &call.parent, state.secret(&call.parent, &call.secret)?))
}

pub(super) fn list_secrets(state: &State, call: &Call, query: &str, stale: Option<Duration>) -> Answer {
    let filter = Filter::parse(&parameter(query, "filter").unwrap_or_default())?;
    let secrets = state.secrets.get(&call.parent);
    let matching: Vec<&Secret> = secrets
        .into_iter()
        .flat_map(|secrets| secrets.values())
        .filter(|secret| !is_stale(secret.added, stale))
        .filter(|secret| {
            filter.accepts(&|field| match field {
                "name" => Some(state.secret_name(&call.parent, &secret.id)),
                "create_time" | "createTime" => Some(time(secret.created)),
                // A bare `labels:owner` asks for the key, which `labels.owner:*` does as well.
                field => {
                    let (map, key) = field.split_once('.')?;
                    secret.entry(map, key).and_then(Value::as_str).map(str::to_owned)
                }
            })
        })
        .collect();
    page(query, "secrets", &matching, |secret| secret_json(state, &call.parent, secret))
}

pub(super) fn update_secret(state: &mut State, call: &Call, query: &str, body: &Value) -> Answer {
    let mask = rules::update_mask(&parameter(query, "updateMask").unwrap_or_default())?;
    let fields = rules::fields(body)?;
    let name = state.secret_name(&call.parent, &call.secret);
    let etag = state.new_etag();
    let secret = state.secret_mut(&call.parent, &call.secret)?;
    check_etag(body.get("etag").and_then(Value::as_str), &secret.etag, "Secret", &name)?;
    if mask.contains(&"versionAliases") {
        let aliases = fields.get("versionAliases").and_then(Value::as_object);
        for number in aliases.into_iter().flat_map(|aliases| aliases.values()).filter_map(number_of) {
            if !secret.versions.iter().any(|version| version.number == number) {
                return Err(ApiError::no_version(&format!("{name}/versions/{number}")));
            }
        }
    }
    for path in mask {
        match fields.get(path) {
            Some(value) => {
                secret.fields.insert(path.to_owned(), value.clone());
            }
            // Named in the mask and not in the body: the field is cleared.
            None => {
                secret.fields.shift_remove(path);
            }
        }
    }
    secret.etag = etag;
    get_secret(state, call)
}

pub(super) fn delete_secret(state: &mut State, call: &Call, query: &str) -> Answer {
    let name = state.secret_name(&call.parent, &call.secret);
    let secret = state.secret(&call.parent, &call.secret)?;
    check_etag(parameter(query, "etag").as_deref(), &secret.etag, "Secret", &name)?;
    if let Some(secrets) = state.secrets.get_mut(&call.parent) {
        secrets.remove(&call.secret);
    }
    Ok(json!({}))
}

pub(super) fn add_secret_version(state: &mut State, call: &Call, body: &Value) -> Answer {
    let (payload, checksum_given) = rules::payload(body)?;
    let etag = state.new_etag();
    let secret = state.secret_mut(&call.parent, &call.secret)?;
    let version = Version {
        number: secret.versions.last().map_or(1, |last| last.number + 1),
        created: Timestamp::now(),
        added: Some(Instant::now()),
        destroyed: None,
        scheduled_destroy: None,
        state: VersionState::Enabled,
        etag,
        payload: Some(payload),
        checksum_given,
    };
    secret.versions.push(version.clone());
    version_json(state, call, &version)
}

pub(super) fn get_secret_version(state: &State, call: &Call, stale: Option<Duration>) -> Answer {
    let version = state.version(&call.parent, &call.secret, &call.version, stale)?;
    version_json(state, call, version)
}

pub(super) fn list_secret_versions(state: &State, call: &Call, query: &str, stale: Option<Duration>) -> Answer {
    let filter = Filter::parse(&parameter(query, "filter").unwrap_or_default())?;
    let secret = state.secret(&call.parent, &call.secret)?;
    let matching: Vec<&Version> = secret
        .visible(stale)
        .rev()
        .filter(|version| {
            filter.accepts(&|field| match field {
                "name" => Some(format!("{}/versions/{}", secret.id, version.number)),
                "state" => Some(version.state.name().to_owned()),
                "create_time" | "createTime" => Some(time(version.created)),
                _ => None,
            })
        })
        .collect();
    page(query, "versions", &matching, |version| version_json(state, call, version).unwrap_or_default())
}

pub(super) fn access_secret_version(state: &State, call: &Call, stale: Option<Duration>) -> Answer {
    let (number, data) = access(state, call, stale)?;
    let name = format!("{}/versions/{number}", state.secret_name(&call.parent, &call.secret));
    let crc32c = rules::crc32c(data).to_string();
    Ok(json!({ "name": name, "payload": { "data": STANDARD.encode(data), "dataCrc32c": crc32c } }))
}

/// The number and the bytes of the version that a call names.
pub(super) fn access<'state>(
    state: &'state State,
    call: &Call,
    stale: Option<Duration>,
) -> Result<(u64, &'state [u8]), ApiError> {
    let version = state.version(&call.parent, &call.secret, &call.version, stale)?;
    match (&version.payload, version.state) {
        (Some(payload), VersionState::Enabled) => Ok((version.number, &payload.0)),
        _ => {
            let name = format!("{}/versions/{}", state.secret_name(&call.parent, &call.secret), version.number);
            Err(ApiError::state(&name, version.state.name()))
        }
    }
}

/// Enables, disables or destroys. `raced` is the fault of a version that somebody else changed a moment ago.
pub(super) fn change_version(
    state: &mut State,
    call: &Call,
    body: &Value,
    to: VersionState,
    raced: impl FnOnce() -> bool,
) -> Answer {
    let number = match call.version.parse::<u64>() {
        Ok(number) => number,
        // An alias can move between two requests, so a change takes numbers only.
        Err(_) => return Err(ApiError::invalid("Secret versions can only be changed by their number.")),
    };
    let name = format!("{}/versions/{number}", state.secret_name(&call.parent, &call.secret));
    let (etag, raced_etag) = (state.new_etag(), state.new_etag());
    let secret = state.secret_mut(&call.parent, &call.secret)?;
    let destroy_ttl = secret.fields.get("versionDestroyTtl").and_then(Value::as_str).and_then(rules::seconds);
    let version = secret.versions.iter_mut().find(|version| version.number == number);
    let version = version.ok_or_else(|| ApiError::no_version(&name))?;
    let given = body.get("etag").and_then(Value::as_str).filter(|etag| !etag.is_empty());
    if given.is_some() && raced() {
        version.etag = raced_etag;
    }
    check_etag(given, &version.etag, "Secret Version", &name)?;
    if version.state == VersionState::Destroyed {
        return Err(ApiError::precondition(format!("Secret Version [{name}] is in DESTROYED state.")));
    }
    version.etag = etag;
    version.scheduled_destroy = None;
    match (to, destroy_ttl) {
        (VersionState::Destroyed, Some(ttl)) => {
            version.state = VersionState::Disabled;
            version.scheduled_destroy = Timestamp::now().checked_add(ttl).ok();
        }
        (VersionState::Destroyed, None) => {
            version.state = VersionState::Destroyed;
            version.destroyed = Some(Timestamp::now());
            version.payload = None;
        }
        (to, _) => version.state = to,
    }
    let version = version.clone();
    version_json(state, call, &version)
}

pub(super) fn get_iam_policy(state: &State, call: &Call) -> Answer {
    Ok(state.secret(&call.parent, &call.secret)?.policy.answer())
}

pub(super) fn set_iam_policy(state: &mut State, call: &Call, body: &Value) -> Answer {
    let wanted = body.get("policy").ok_or_else(|| ApiError::invalid("The policy must be provided."))?;
    let etag = state.new_policy_etag();
    let secret = state.secret_mut(&call.parent, &call.secret)?;
    secret.policy.replace(wanted, || etag)?;
    Ok(secret.policy.answer())
}

/// Which of the permissions the caller has. For a secret that does not exist: none, and no error.
pub(super) fn test_iam_permissions(state: &State, call: &Call, body: &Value, has: impl Fn(&str) -> bool) -> Answer {
    let asked: Vec<&str> =
        body.get("permissions").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(unknown) = asked.iter().find(|permission| !is_permission(permission)) {
        return Err(ApiError::invalid(format!("Permission {unknown} is not valid for this resource.")));
    }
    if state.secret(&call.parent, &call.secret).is_err() {
        return Ok(json!({}));
    }
    let held: Vec<&str> = asked.into_iter().filter(|permission| has(permission)).collect();
    Ok(if held.is_empty() { json!({}) } else { json!({ "permissions": held }) })
}

fn check_etag(given: Option<&str>, current: &str, what: &str, name: &str) -> Result<(), ApiError> {
    match given {
        Some(given) if !given.is_empty() && given != current => Err(ApiError::etag(what, name)),
        _ => Ok(()),
    }
}

/// One page of a list. The token is the place of the next item, so that it can only be one that was given out.
fn page<T>(query: &str, key: &str, items: &[&T], answer: impl Fn(&T) -> Value) -> Answer {
    let size = match parameter(query, "pageSize").unwrap_or_default().parse::<usize>() {
        Ok(0) | Err(_) => PAGE_LIMIT,
        Ok(size) => size.min(PAGE_LIMIT),
    };
    let start = match parameter(query, "pageToken").unwrap_or_default() {
        token if token.is_empty() => 0,
        token => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<usize>().ok())
            .ok_or_else(|| ApiError::invalid("Invalid page token."))?,
    };
    let end = (start + size).min(items.len());
    let mut body = Map::new();
    if start < end {
        body.insert(key.to_owned(), Value::Array(items[start..end].iter().map(|item| answer(item)).collect()));
    }
    if end < items.len() {
        body.insert("nextPageToken".to_owned(), json!(URL_SAFE_NO_PAD.encode(end.to_string())));
    }
    body.insert("totalSize".to_owned(), json!(items.len()));
    Ok(Value::Object(body))
}

fn time(at: Timestamp) -> String {
    format!("{at:.6}")
}

fn secret_json(state: &State, parent: &Parent, secret: &Secret) -> Value {
    let mut answer = Map::new();
    answer.insert("name".to_owned(), json!(state.secret_name(parent, &secret.id)));
    answer.insert("createTime".to_owned(), json!(time(secret.created)));
    answer.insert("etag".to_owned(), json!(secret.etag));
    answer.extend(secret.fields.clone());
    // Numbers of 64 bits are strings in JSON, however the client wrote them.
    if let Some(aliases) = answer.get_mut("versionAliases").and_then(Value::as_object_mut) {
        for version in aliases.values_mut() {
            *version = json!(number_of(version).unwrap_or_default().to_string());
        }
    }
    Value::Object(answer)
}

fn version_json(state: &State, call: &Call, version: &Version) -> Answer {
    let secret = state.secret(&call.parent, &call.secret)?;
    let mut answer = Map::new();
    let name = format!("{}/versions/{}", state.secret_name(&call.parent, &secret.id), version.number);
    answer.insert("name".to_owned(), json!(name));
    answer.insert("createTime".to_owned(), json!(time(version.created)));
    if let Some(at) = version.destroyed {
        answer.insert("destroyTime".to_owned(), json!(time(at)));
    }
    if let Some(at) = version.scheduled_destroy {
        answer.insert("scheduledDestroyTime".to_owned(), json!(time(at)));
    }
    answer.insert("state".to_owned(), json!(version.state.name()));
    answer.insert("etag".to_owned(), json!(version.etag));
    if version.checksum_given {
        answer.insert("clientSpecifiedPayloadChecksum".to_owned(), json!(true));
    }
    Ok(Value::Object(answer))
}

/// Turns the names of states into numbers, for clients that ask for `enum-encoding=int`.
pub(super) fn enums_as_integers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(enums_as_integers),
        Value::Object(map) => {
            if let Some(state) = map.get_mut("state") {
                let states = [VersionState::Enabled, VersionState::Disabled, VersionState::Destroyed];
                if let Some(known) = states.into_iter().find(|known| state.as_str() == Some(known.name())) {
                    *state = json!(known.number());
                }
            }
            if let Some(versions) = map.get_mut("versions") {
                enums_as_integers(versions);
            }
        }
        _ => {}
    }
}
