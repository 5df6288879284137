//! From an ExternalSecret to the keys and bytes that it means: `dataFrom` first, then `data`; the first failure ends it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose};
use regex::Regex;
use serde_json::Value;

use super::store::{self, Failure};
use super::template;
use crate::cluster::text;
use crate::world::World;

/// Keys and bytes. For no log.
pub type Data = BTreeMap<String, Vec<u8>>;

/// A Secret's data as bytes.
pub fn data(secret: &Value) -> Data {
    let entries = secret["data"].as_object().into_iter().flatten();
    entries
        .map(|(key, value)| (key.clone(), general_purpose::STANDARD.decode(text(value)).unwrap_or_default()))
        .collect()
}

/// All that an ExternalSecret reads, and the texts of the Events about what is missing and may be.
pub fn resolve(world: &World, object: &Value) -> Result<(Data, Vec<String>), String> {
    let spec = &object["spec"];
    let namespace = text(&object["metadata"]["namespace"]);
    let retains = !matches!(text(&spec["target"]["deletionPolicy"]), "Delete" | "Merge");
    let mut data = Data::new();
    let mut missing = Vec::new();
    for (at, item) in spec["dataFrom"].as_array().into_iter().flatten().enumerate() {
        match data_from(world, namespace, spec, item, at) {
            Ok(found) => data.extend(found),
            Err(failure) if failure.is_missing && !retains => {
                missing.push(format!("secret does not exist at provider using spec.dataFrom[{at}]"));
            }
            Err(failure) => return Err(failure.message),
        }
    }
    for (at, item) in spec["data"].as_array().into_iter().flatten().enumerate() {
        let key = text(&item["remoteRef"]["key"]);
        match one(world, namespace, spec, item) {
            Ok(value) => {
                data.insert(text(&item["secretKey"]).to_owned(), value);
            }
            Err(failure) if failure.is_missing && !retains => {
                // `dataFrom` is the real one's own slip.
                missing.push(format!("secret does not exist at provider using spec.dataFrom[{at}] (key={key})"));
            }
            Err(failure) => {
                return Err(format!("error processing spec.data[{at}] (key: {key}), err: {}", failure.message));
            }
        }
    }
    Ok((data, missing))
}

/// The store that an item is read from: its own, or that of the whole ExternalSecret.
pub fn store_reference<'a>(spec: &'a Value, item: &'a Value) -> &'a Value {
    match &item["sourceRef"]["storeRef"] {
        own if own.is_object() => own,
        _ => &spec["secretStoreRef"],
    }
}

fn one(world: &World, namespace: &str, spec: &Value, item: &Value) -> Result<Vec<u8>, Failure> {
    let value = store::open(world, namespace, store_reference(spec, item))?.get(&item["remoteRef"])?;
    decode(text(&item["remoteRef"]["decodingStrategy"]), value)
}

fn data_from(world: &World, namespace: &str, spec: &Value, item: &Value, at: usize) -> Result<Data, Failure> {
    let (kind, search) = match (&item["find"], &item["extract"]) {
        (find, _) if find.is_object() => ("find", find),
        (_, extract) if extract.is_object() => ("extract", extract),
        _ => {
            let why = "the sandbox has no generators";
            return Err(Failure::other(format!(
                "error processing spec.dataFrom[{at}].sourceRef.generatorRef, err: {why}"
            )));
        }
    };
    let read = || -> Result<Data, Failure> {
        let client = store::open(world, namespace, store_reference(spec, item))?;
        let found = match kind {
            "find" => client
                .find(search)
                .map_err(|failure| failure.within(|why| format!("error getting all secrets: {why}")))?,
            _ => client.extract(search)?,
        };
        let rewrites = item["rewrite"].as_array().map(Vec::as_slice).unwrap_or_default();
        let unicode = search["conversionStrategy"] == "Unicode";
        let found = if rewrites.is_empty() { convert(found, unicode)? } else { rewrite(found, rewrites)? };
        check_keys(&found)?;
        let strategy = text(&search["decodingStrategy"]);
        found.into_iter().map(|(key, value)| Ok((key, decode(strategy, value)?))).collect()
    };
    read().map_err(|failure| failure.within(|why| format!("error processing spec.dataFrom[{at}].{kind}, err: {why}")))
}

fn is_key_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// Makes the provider's names into keys that a Secret can have.
fn convert(data: Data, unicode: bool) -> Result<Data, Failure> {
    let mut converted = Data::new();
    for (key, value) in data {
        let letter = |letter: char| match (is_key_letter(letter), unicode) {
            (true, _) => letter.to_string(),
            (false, false) => "_".to_owned(),
            (false, true) => format!("_U{:04x}_", u32::from(letter)),
        };
        let key: String = key.chars().map(letter).collect();
        if converted.contains_key(&key) {
            return Err(Failure::other(format!(
                "error applying conversion strategy Default to keys: secret name collision during conversion: {key}"
            )));
        }
        converted.insert(key, value);
    }
    Ok(converted)
}

fn rewrite(mut data: Data, rewrites: &[Value]) -> Result<Data, Failure> {
    let refuse = |why: String| Failure::other(format!("error applying rewrite to keys: {why}"));
    for operation in rewrites {
        let renamed: Result<Data, Failure> = match (&operation["regexp"], &operation["transform"]) {
            (regexp, _) if regexp.is_object() => {
                let source = text(&regexp["source"]);
                let regex = Regex::new(source)
                    .map_err(|_| refuse(format!("failed to compile regex {source}: error parsing regexp")))?;
                let target = text(&regexp["target"]);
                Ok(data.into_iter().map(|(key, value)| (regex.replace_all(&key, target).into_owned(), value)).collect())
            }
            (_, transform) if transform.is_object() => {
                let rename = |(key, value): (String, Vec<u8>)| {
                    let input = [("value".to_owned(), key.into_bytes())].into();
                    let key = template::render("transform", text(&transform["template"]), &input).map_err(refuse)?;
                    Ok((String::from_utf8_lossy(&key).into_owned(), value))
                };
                data.into_iter().map(rename).collect()
            }
            _ => return Err(refuse("the sandbox does not know this rewrite".to_owned())),
        };
        data = renamed?;
    }
    Ok(data)
}

fn check_keys(data: &Data) -> Result<(), Failure> {
    let wrong = data.keys().find_map(|key| {
        let letter = key.chars().find(|letter| !is_key_letter(*letter));
        match (letter, key.is_empty()) {
            (_, true) => Some("key cannot be empty".to_owned()),
            (Some(letter), _) => Some(format!(
                "key has invalid character {letter}, only alphanumeric, '-', '.' and '_' are allowed: {key}"
            )),
            _ => None,
        }
    });
    match wrong {
        None => Ok(()),
        Some(why) => Err(Failure::other(format!(
            "invalid secret keys (TIP: use rewrite or conversionStrategy to change keys): {why}"
        ))),
    }
}

fn decode(strategy: &str, value: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let decoded = match strategy {
        "Base64" => as_go_does(&STANDARD, &value),
        "Base64URL" => as_go_does(&URL_SAFE, &value),
        "Auto" => {
            let decoded = as_go_does(&STANDARD, &value).or_else(|_| as_go_does(&URL_SAFE, &value));
            return Ok(decoded.unwrap_or(value));
        }
        _ => return Ok(value),
    };
    // The decoder's words name a letter of the value.
    decoded.map_err(|_| {
        Failure::other(format!("error applying decoding strategy {strategy} to data: illegal base64 data"))
    })
}

/// Go's decoder skips line breaks, and does not look at the bits after the last byte.
fn as_go_does(alphabet: &Alphabet, value: &[u8]) -> Result<Vec<u8>, base64::DecodeError> {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let written: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    GeneralPurpose::new(alphabet, config).decode(written)
}
