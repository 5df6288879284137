//! Which values stand in what an ExternalSecret fills in a way that this program does not follow: a template over all keys, one from
//! another object, an `extract` whose names are rewritten. The bytes show it, or nothing does.
//!
//! One sync writes a Kubernetes Secret as a whole. So it holds the newest values where they stand in it, and no other known one
//! does. Two secrets with equal values show that both are there by their number.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::external_secrets::Reader;
use super::mappings::{Mapping, stands_for_any};
use super::vault::Vault;
use crate::clients::cluster::KubernetesSecret;
use crate::known::{INSIDE, places};
use deepdesk_protocol::facts::observation::{Derivation, Found, Observation, Source, ValueTag};
use deepdesk_protocol::facts::payload::Payload;

/// How often each known value stands in some bytes; none that does not.
pub type Standing = BTreeMap<ValueTag, usize>;

/// What the bytes show of a mapping that is not followed.
pub fn shown(
    now: &Observation,
    reader: &Reader,
    mapping: &Mapping,
    target: Option<&KubernetesSecret>,
    vault: &Vault,
) -> Found {
    let beside: Vec<&Mapping> = reader.mappings.iter().filter(|other| shares(mapping, other)).collect();
    let is_followed = |key: &String| {
        let mut mappings = reader.mappings.iter().filter(|other| other.key == *key);
        stands_for_any(&mapping.key) && mappings.any(|other| other.derivation != Derivation::Opaque)
    };
    let is_filled = |key: &String| stands_for_any(&mapping.key) || *key == mapping.key;
    let data = target.iter().flat_map(|target| target.data.iter());
    let held: Vec<&Payload> =
        data.filter(|(key, _)| is_filled(key) && !is_followed(key)).map(|(_, held)| held).collect();
    if held.is_empty() {
        return Found::Missing;
    }
    if !mapping.may_be_shown() {
        return Found::Unknown;
    }
    let sources: BTreeSet<Source> = beside.iter().map(|mapping| mapping.source).collect();
    let wanted = sources.into_iter().filter_map(|source| Some((source, now.secret(source).value()?)));
    judged(mapping.source, &wanted.collect(), &standing(vault, &held))
}

/// How the bytes of a mapping are known, by what they were found to hold: what is not followed may be shown by them, also that
/// one of two secrets' values is not there yet.
pub fn derivation(mapping: &Mapping, found: Found, beside: &[(&Mapping, Found)], is_late: bool) -> Derivation {
    let is_shown = |found: &Found| matches!(found, Found::Value(_));
    let beside =
        || beside.iter().any(|(other, found)| shares(mapping, other) && other.may_be_shown() && is_shown(found));
    match mapping.may_be_shown() && (is_shown(&found) || (found == Found::Missing && !is_late && beside())) {
        true => Derivation::Shown,
        false => mapping.derivation,
    }
}

/// Whether two mappings fill the same key, or may.
fn shares(mapping: &Mapping, other: &Mapping) -> bool {
    mapping.key == other.key || (stands_for_any(&mapping.key) && stands_for_any(&other.key))
}

/// What stands there says what the key holds that comes from `source`: the value that each source has is `wanted`.
fn judged(source: Source, wanted: &BTreeMap<Source, ValueTag>, standing: &Standing) -> Found {
    let strangers: Vec<ValueTag> =
        standing.keys().filter(|value| !wanted.values().any(|other| other == *value)).copied().collect();
    let Some(value) = wanted.get(&source) else {
        // It has none, and what stands there is the other one's.
        return if standing.is_empty() { Found::Unknown } else { Found::Missing };
    };
    let needed = wanted.values().filter(|other| *other == value).count();
    let stands = standing.get(value).copied().unwrap_or(0);
    match (stands >= needed, strangers.as_slice()) {
        (true, []) => Found::Value(*value),
        // What was there before: alone, or beside the other secret's.
        (false, [before]) if stands == 0 => Found::Value(*before),
        // What stands there is explained by the primary; once, where both have the same value.
        (false, []) if source == Source::BackCompat && !standing.is_empty() => Found::Missing,
        (false, []) if stands > 0 => Found::Value(*value),
        (false, []) if standing.len() == 1 => standing.keys().next().map_or(Found::Unknown, |only| Found::Value(*only)),
        _ => Found::Unknown,
    }
}

/// How often each value of the vault stands in these bytes, in an encoding or as it is. What stands within a longer one is that one's.
pub fn standing(vault: &Vault, held: &[&Payload]) -> Standing {
    let parts = parts(vault);
    let values: Vec<&[u8]> = parts.iter().map(|(_, part)| part.as_slice()).collect();
    let mut standing = Standing::new();
    for held in held {
        let found = places(&values, held.expose());
        let mut own = Standing::new();
        for (at, (tag, part)) in parts.iter().enumerate() {
            let is_part = |place: &std::ops::Range<usize>| {
                let longer = found
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| parts[*other].0 != *tag && parts[*other].1.len() > part.len());
                longer.flat_map(|(_, found)| found).any(|longer| longer.start <= place.start && place.end <= longer.end)
            };
            let count = found[at].iter().filter(|place| !is_part(place)).count();
            if count > 0 {
                // Of the parts of one value each stands there once for it.
                let known = own.entry(*tag).or_default();
                *known = (*known).max(count);
            }
        }
        own.into_iter().for_each(|(tag, count)| *standing.entry(tag).or_default() += count);
    }
    standing
}

/// What each value is recognized by: itself, and of a JSON document what stands in it and in no other.
fn parts(vault: &Vault) -> Vec<(ValueTag, Zeroizing<Vec<u8>>)> {
    let mut parts: Vec<(ValueTag, Zeroizing<Vec<u8>>)> = Vec::new();
    for value in vault.all() {
        let Some(tag) = vault.tag_of(value) else { continue };
        parts.push((tag, Zeroizing::new(value.expose().to_vec())));
        parts.extend(leaves(value).into_values().map(|leaf| (tag, leaf)));
    }
    let is_shared =
        |(tag, part): &(ValueTag, Zeroizing<Vec<u8>>)| parts.iter().any(|(other, same)| other != tag && same == part);
    let own: Vec<bool> = parts.iter().map(|part| !is_shared(part)).collect();
    let mut own = own.into_iter();
    parts.retain(|_| own.next() == Some(true));
    parts
}

/// The texts and numbers of a JSON document, by path; none of what is no document.
fn leaves(value: &Payload) -> BTreeMap<String, Zeroizing<Vec<u8>>> {
    let mut found = BTreeMap::new();
    if let Ok(whole) = serde_json::from_slice::<&RawValue>(value.expose())
        && whole.get().starts_with(['{', '['])
    {
        add_leaves(whole, String::new(), &mut found);
    }
    found
}

fn add_leaves(raw: &RawValue, path: String, found: &mut BTreeMap<String, Zeroizing<Vec<u8>>>) {
    let text = raw.get();
    let inner: Vec<(String, &RawValue)> = match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str::<BTreeMap<String, &RawValue>>(text).into_iter().flatten().collect(),
        Some(b'[') => {
            let items = serde_json::from_str::<Vec<&RawValue>>(text).into_iter().flatten().enumerate();
            items.map(|(at, item)| (at.to_string(), item)).collect()
        }
        Some(b'"') => {
            if let Ok(text) = serde_json::from_str::<String>(text).map(Zeroizing::new) {
                found.insert(path, Zeroizing::new(text.as_bytes().to_vec()));
            }
            return;
        }
        _ => {
            found.insert(path, Zeroizing::new(text.as_bytes().to_vec()));
            return;
        }
    };
    inner.into_iter().for_each(|(name, raw)| add_leaves(raw, format!("{path}/{name}"), found));
}

/// Whether bytes that are made of `new` can be told from those of `current`: neither stands in the other, and of two documents each
/// part that is recognized is another.
pub fn is_told_apart(new: &Payload, current: &Payload) -> bool {
    let stands_in =
        |one: &Payload, other: &Payload| places(&[one.expose()], other.expose()).iter().any(|found| !found.is_empty());
    let (made, known) = (leaves(new), leaves(current));
    let differs = |(path, part): (&String, &Zeroizing<Vec<u8>>)| {
        part.len() < INSIDE || made.get(path).is_some_and(|other| other.len() >= INSIDE && other != part)
    };
    !stands_in(new, current) && !stands_in(current, new) && known.iter().all(differs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(values: &[&str]) -> (Vault, Vec<ValueTag>) {
        let mut vault = Vault::default();
        let tags = values.iter().map(|value| vault.keep(Payload::new(value.as_bytes().to_vec()))).collect();
        (vault, tags)
    }

    const OLD: &str = "old-value-of-more-than-twenty-four";
    const NEW: &str = "new-value-of-more-than-twenty-four";
    const OTHER: &str = "oth-value-of-more-than-twenty-four";

    /// What the keys from the two secrets are judged to hold, where the primary's value is NEW.
    fn both(back_compat: Option<&str>, held: &[&str]) -> (String, String) {
        let (vault, tags) = vault(&[OLD, NEW, OTHER]);
        let tag = |value: &str| tags[[OLD, NEW, OTHER].iter().position(|known| *known == value).expect("known")];
        let mut wanted = BTreeMap::from([(Source::Primary, tag(NEW))]);
        wanted.extend(back_compat.map(|value| (Source::BackCompat, tag(value))));
        let held: Vec<Payload> = held.iter().map(|held| Payload::new(held.as_bytes().to_vec())).collect();
        let standing = standing(&vault, &held.iter().collect::<Vec<_>>());
        let named = |source| match judged(source, &wanted, &standing) {
            Found::Value(value) if value == tags[0] => "old".to_owned(),
            Found::Value(value) if value == tags[1] => "new".to_owned(),
            Found::Value(_) => "other".to_owned(),
            Found::Unknown => "unknown".to_owned(),
            Found::Missing => "missing".to_owned(),
        };
        (named(Source::Primary), named(Source::BackCompat))
    }

    #[test]
    fn the_newest_value_stands_there_and_no_other() {
        let text = |values: &[&str]| values.iter().map(|value| format!("K={value}\n")).collect::<String>();
        for (back_compat, held, primary, older) in [
            // The back-compat does not exist, or maps nothing yet.
            (None, text(&[NEW]), "new", "missing"),
            (None, text(&[OLD]), "old", "missing"),
            (None, text(&[OLD, NEW]), "unknown", "missing"),
            (None, text(&[]), "unknown", "unknown"),
            (Some(OLD), text(&[NEW, OLD]), "new", "old"),
            (Some(OLD), text(&[OLD, OLD]), "old", "old"),
            // It is not there, or another one is.
            (Some(OLD), text(&[NEW]), "new", "missing"),
            (Some(OLD), text(&[NEW, OTHER]), "unknown", "other"),
            (Some(OLD), text(&[OLD, OTHER]), "other", "unknown"),
            (Some(OLD), text(&[OTHER]), "other", "other"),
            // Two secrets with one value.
            (Some(NEW), text(&[NEW, NEW]), "new", "new"),
            (Some(NEW), text(&[NEW]), "new", "missing"),
            (Some(NEW), text(&[NEW, OLD]), "unknown", "unknown"),
        ] {
            let found = both(back_compat, &[&held, "redis://cache:6379/0"]);
            assert_eq!(found, (primary.to_owned(), older.to_owned()), "{back_compat:?} in {held}");
        }
        // In several keys of one Secret.
        assert_eq!(both(Some(OLD), &[NEW, OLD]), ("new".to_owned(), "old".to_owned()));
    }

    #[test]
    fn what_stands_within_a_longer_value_is_that_ones() {
        let longer = format!("{OLD}-and-more");
        let (vault, tags) = vault(&[OLD, &longer]);
        let held = Payload::new(format!("a={longer}").into_bytes());
        assert_eq!(standing(&vault, &[&held]), Standing::from([(tags[1], 1)]));
        let payload = |text: &str| Payload::new(text.as_bytes().to_vec());
        assert!(!is_told_apart(&payload(&longer), &payload(OLD)) && !is_told_apart(&payload(OLD), &payload(&longer)));
        assert!(is_told_apart(&payload(NEW), &payload(OLD)));
    }

    #[test]
    fn a_document_is_recognized_by_what_no_other_has() {
        let document = |key: &str| format!(r#"{{"user":"a-name-of-more-than-twenty-four","auth":{{"key":"{key}"}}}}"#);
        let (old, new) = (document(OLD), document(NEW));
        let (vault, tags) = vault(&[&old, &new]);
        let count = |text: &str| standing(&vault, &[&Payload::new(text.as_bytes().to_vec())]);
        assert_eq!(count(&format!("{NEW}@a-name-of-more-than-twenty-four")), Standing::from([(tags[1], 1)]));
        assert_eq!(count("a-name-of-more-than-twenty-four"), Standing::new());
        assert_eq!(count(&old), Standing::from([(tags[0], 1)]));
        let payload = |text: &str| Payload::new(text.as_bytes().to_vec());
        // The name stays, and may be all that is taken.
        assert!(!is_told_apart(&payload(&new), &payload(&old)));
        assert!(is_told_apart(&payload(&format!(r#"{{"key":"{NEW}"}}"#)), &payload(&format!(r#"{{"key":"{OLD}"}}"#))));
        assert!(!is_told_apart(&payload(r#"{"key":"short"}"#), &payload(&format!(r#"{{"key":"{OLD}"}}"#))));
    }
}
