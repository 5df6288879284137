//! What Secret Manager accepts: ids, labels, annotations, replication, payloads.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::route::Parent;
use super::store::{Payload, number_of};
use crate::google::ApiError;

/// The most that a version holds.
const PAYLOAD_LIMIT: usize = 64 * 1024;

/// The fields of a secret that a client writes and that are kept as it wrote them.
const WRITABLE: &[&str] = &[
    "replication",
    "labels",
    "annotations",
    "topics",
    "expireTime",
    "rotation",
    "versionAliases",
    "versionDestroyTtl",
    "customerManagedEncryption",
    "tags",
    "secretType",
];

/// An id is 1 to 255 letters, digits, `-` and `_`.
pub fn secret_id(id: &str) -> Result<(), ApiError> {
    let fits = !id.is_empty()
        && id.len() <= 255
        && id.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-' || letter == b'_');
    if fits {
        return Ok(());
    }
    // The format in Google's own text leaves the hyphen out, though it is accepted.
    Err(ApiError::invalid(format!("The provided Secret ID [{id}] does not match the expected format [[a-zA-Z_0-9]+]")))
}

/// The fields of a new secret.
pub fn new_secret(parent: &Parent, body: &Value) -> Result<Map<String, Value>, ApiError> {
    let fields = fields(body)?;
    match (&parent.location, fields.get("replication")) {
        (None, None) => Err(ApiError::invalid("Secret.replication must be provided.")),
        (Some(_), Some(_)) => Err(ApiError::invalid("Secret.replication must not be provided for regional secrets.")),
        (None, Some(replication)) => replication_policy(replication).map(|()| fields),
        (Some(_), None) => Ok(fields),
    }
}

/// The fields of a secret that a body sets, checked. A `ttl` becomes the time at which it ends.
pub fn fields(body: &Value) -> Result<Map<String, Value>, ApiError> {
    let mut fields = Map::new();
    for name in WRITABLE {
        match body.get(*name) {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) if map.is_empty() && *name != "replication" => {}
            Some(Value::Array(items)) if items.is_empty() => {}
            Some(value) => {
                fields.insert((*name).to_owned(), value.clone());
            }
        }
    }
    if let Some(ttl) = body.get("ttl").and_then(Value::as_str) {
        let ttl = seconds(ttl).ok_or_else(|| ApiError::invalid("Secret.ttl is not a duration."))?;
        let end = Timestamp::now().checked_add(ttl).map_err(|_| ApiError::invalid("Secret.ttl is too long."))?;
        fields.insert("expireTime".to_owned(), Value::String(end.to_string()));
    }
    labels(fields.get("labels"))?;
    annotations(fields.get("annotations"))?;
    if let Some(ttl) = fields.get("versionDestroyTtl") {
        let ttl = ttl.as_str().and_then(seconds);
        let day = SignedDuration::from_hours(24);
        if !ttl.is_some_and(|ttl| ttl >= day && ttl <= day * 1000) {
            return Err(ApiError::invalid("Secret.version_destroy_ttl must be between 24 hours and 1000 days."));
        }
    }
    Ok(fields)
}

/// Which fields an update changes, by the names of JSON. A mask may spell them either way.
pub fn update_mask(mask: &str) -> Result<Vec<&'static str>, ApiError> {
    let paths: Vec<&str> = mask.split(',').map(str::trim).filter(|path| !path.is_empty()).collect();
    if paths.is_empty() {
        return Err(ApiError::invalid("The update_mask must be provided."));
    }
    let mut names = Vec::new();
    for path in paths {
        let top = path.split('.').next().unwrap_or_default();
        let name = match top {
            "expiration" | "ttl" | "expireTime" | "expire_time" => "expireTime",
            "versionAliases" | "version_aliases" => "versionAliases",
            "versionDestroyTtl" | "version_destroy_ttl" => "versionDestroyTtl",
            // The etag is a condition of the update, not a field that it sets.
            "etag" => continue,
            "replication" => return Err(ApiError::invalid("Secret.replication is immutable and cannot be updated.")),
            top => {
                WRITABLE.iter().copied().find(|name| *name == top).ok_or_else(|| {
                    ApiError::invalid(format!("The update_mask contains an unsupported path: {path}."))
                })?
            }
        };
        names.push(name);
    }
    Ok(names)
}

fn replication_policy(replication: &Value) -> Result<(), ApiError> {
    let automatic = replication.get("automatic").is_some();
    let replicas = replication.get("userManaged").map(|managed| managed.get("replicas").and_then(Value::as_array));
    match (automatic, replicas) {
        (true, None) => Ok(()),
        (false, Some(Some(replicas)))
            if !replicas.is_empty() && replicas.iter().all(|replica| replica.get("location").is_some()) =>
        {
            Ok(())
        }
        (false, Some(_)) => Err(ApiError::invalid("UserManaged.replicas must be provided, each with a location.")),
        _ => Err(ApiError::invalid("Secret.replication must be either automatic or user_managed.")),
    }
}

fn labels(labels: Option<&Value>) -> Result<(), ApiError> {
    let Some(labels) = labels.and_then(Value::as_object) else { return Ok(()) };
    if labels.len() > 64 {
        return Err(ApiError::invalid("A secret can have at most 64 labels."));
    }
    let letter = |letter: char| (letter.is_alphanumeric() && !letter.is_uppercase()) || letter == '_' || letter == '-';
    for (key, value) in labels {
        let starts = key.chars().next().is_some_and(|first| first.is_alphabetic() && !first.is_uppercase());
        if !starts || key.chars().count() > 63 || !key.chars().all(letter) {
            return Err(ApiError::invalid(format!("Label key [{key}] is invalid.")));
        }
        if !value.as_str().is_some_and(|value| value.chars().count() <= 63 && value.chars().all(letter)) {
            return Err(ApiError::invalid(format!("The value of label [{key}] is invalid.")));
        }
    }
    Ok(())
}

fn annotations(annotations: Option<&Value>) -> Result<(), ApiError> {
    let Some(annotations) = annotations.and_then(Value::as_object) else { return Ok(()) };
    let mut size = 0;
    for (key, value) in annotations {
        let inside = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        let edge = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        if !edge(key.chars().next()) || !edge(key.chars().last()) || key.len() > 63 || !key.chars().all(inside) {
            return Err(ApiError::invalid(format!("Annotation key [{key}] is invalid.")));
        }
        let Some(value) = value.as_str() else {
            return Err(ApiError::invalid(format!("The value of annotation [{key}] is not a string.")));
        };
        size += key.len() + value.len();
    }
    if size >= 16 * 1024 {
        return Err(ApiError::invalid("The total size of annotation keys and values must be less than 16KiB."));
    }
    Ok(())
}

/// A duration in JSON: seconds with an `s` at the end.
pub fn seconds(text: &str) -> Option<SignedDuration> {
    SignedDuration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}

/// The payload of a new version, and whether the client gave a checksum. No message quotes any of it.
pub fn payload(body: &Value) -> Result<(Payload, bool), ApiError> {
    let payload = body.get("payload").ok_or_else(|| ApiError::invalid("Secret Payload must be provided."))?;
    let data = payload.get("data").and_then(Value::as_str).unwrap_or_default();
    let data = decode(data)
        .ok_or_else(|| ApiError::invalid("Invalid value at 'payload.data' (TYPE_BYTES), Base64 decoding failed"))?;
    if data.is_empty() {
        return Err(ApiError::invalid("Secret Payload cannot be empty."));
    }
    if data.len() > PAYLOAD_LIMIT {
        return Err(ApiError::invalid("The size of the Secret Payload exceeds the limit of 65536 bytes."));
    }
    let checksum = match payload.get("dataCrc32c") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            number_of(value).ok_or_else(|| ApiError::invalid("Invalid value at 'payload.data_crc32c' (TYPE_INT64)"))?,
        ),
    };
    if checksum.is_some_and(|checksum| checksum != crc32c(&data)) {
        return Err(ApiError::invalid(
            "The data_crc32c provided does not match the CRC32C checksum of the Secret Payload.",
        ));
    }
    Ok((Payload(data), checksum.is_some()))
}

/// The checksum that travels with a payload: Castagnoli's.
pub fn crc32c(data: &[u8]) -> u64 {
    u64::from(crc32c::crc32c(data))
}

/// Both alphabets of base64, with or without padding, as Google's JSON takes them.
fn decode(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
    GeneralPurpose::new(&alphabet, config).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_have_a_form() {
        let long = "a".repeat(255);
        let cases = [
            ("acme_account_secret", true),
            ("a-B_9", true),
            (&long, true),
            (&format!("{long}a"), false),
            ("", false),
            ("a.b", false),
            ("é", false),
        ];
        for (id, fits) in cases {
            assert_eq!(secret_id(id).is_ok(), fits, "{id}");
        }
    }

    #[test]
    fn new_secrets_are_checked() {
        let global = Parent::parse("projects/p").unwrap();
        let regional = Parent::parse("projects/p/locations/l").unwrap();
        let automatic = json!({ "automatic": { "customerManagedEncryption": { "kmsKeyName": "k" } } });
        let managed = json!({ "userManaged": { "replicas": [{ "location": "europe-west1" }] } });
        let labels = |key: &str, value: &str| json!({ "replication": { "automatic": {} }, "labels": { (key): value } });
        let cases = [
            (&global, json!({ "replication": automatic }), true),
            (&global, json!({ "replication": managed }), true),
            (&global, json!({}), false),
            (&global, json!({ "replication": {} }), false),
            (&global, json!({ "replication": { "userManaged": { "replicas": [] } } }), false),
            (&regional, json!({}), true),
            (&regional, json!({ "replication": automatic }), false),
            (&global, labels("owner", "deep-desk_1"), true),
            (&global, labels("Owner", "x"), false),
            (&global, labels("owner", "X"), false),
            (&global, json!({ "replication": automatic, "annotations": { "deepdesk.com": "anything at all" } }), true),
            (&global, json!({ "replication": automatic, "annotations": { "a": "x".repeat(16 * 1024) } }), false),
            (&global, json!({ "replication": automatic, "versionDestroyTtl": "86400s" }), true),
            (&global, json!({ "replication": automatic, "versionDestroyTtl": "3600s" }), false),
        ];
        for (parent, body, fits) in cases {
            assert_eq!(new_secret(parent, &body).is_ok(), fits, "{body}");
        }
    }

    #[test]
    fn payloads_are_checked_and_never_quoted() {
        let cases = [
            (json!({ "data": "czNjcjN0LXBheWxvYWQ=", "dataCrc32c": "3986647724" }), Ok(true)),
            (json!({ "data": "czNjcjN0LXBheWxvYWQ", "dataCrc32c": 3986647724_u64 }), Ok(true)),
            (json!({ "data": "czNjcjN0LXBheWxvYWQ=" }), Ok(false)),
            (json!({ "data": "_-8=" }), Ok(false)),
            (json!({ "data": "czNjcjN0LXBheWxvYWQ=", "dataCrc32c": "1" }), Err(())),
            (json!({ "data": "czNjcjN0LXBheWxvYWQ=", "dataCrc32c": "x" }), Err(())),
            (json!({ "data": "czNjcjN0*" }), Err(())),
            (json!({}), Err(())),
        ];
        for (payload_json, expected) in cases {
            let seen = payload(&json!({ "payload": payload_json }));
            if let Err(error) = &seen {
                assert!(!error.message.contains("czNj"), "{}", error.message);
            }
            assert_eq!(seen.map(|(_, given)| given).map_err(|_| ()), expected, "{payload_json}");
        }
        let size = |bytes: usize| {
            use base64::engine::general_purpose::STANDARD;
            payload(&json!({ "payload": { "data": STANDARD.encode(vec![1; bytes]) } })).is_ok()
        };
        assert!(size(PAYLOAD_LIMIT) && !size(PAYLOAD_LIMIT + 1));
    }

    #[test]
    fn masks_name_fields() {
        let cases = [
            ("labels,annotations", Some(vec!["labels", "annotations"])),
            ("version_aliases, etag", Some(vec!["versionAliases"])),
            ("rotation.next_rotation_time", Some(vec!["rotation"])),
            ("ttl", Some(vec!["expireTime"])),
            ("", None),
            ("replication", None),
            ("name", None),
        ];
        for (mask, expected) in cases {
            assert_eq!(update_mask(mask).ok(), expected, "{mask}");
        }
    }
}
