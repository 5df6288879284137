//! The values that were seen, by tag. They live here and nowhere else, and go when the vault goes.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::mappings::Transform;
use crate::clients::known;
use crate::domain::observation::{Derivation, Found, ValueTag};
use crate::domain::payload::Payload;

/// Distinct values, by tag.
#[derive(Debug, Default)]
pub struct Vault(Vec<Payload>);

impl Vault {
    /// The tag of this value; a new one when it was not seen before.
    pub fn keep(&mut self, payload: Payload) -> ValueTag {
        if let Some(tag) = self.tag_of(&payload) {
            return tag;
        }
        self.0.push(payload);
        // A secret has far fewer versions than this counts.
        ValueTag(u16::try_from(self.0.len() - 1).unwrap_or(u16::MAX))
    }

    /// The tag of this value, if it was seen before.
    pub fn tag_of(&self, payload: &Payload) -> Option<ValueTag> {
        let at = self.0.iter().position(|kept| kept.same_as(payload))?;
        u16::try_from(at).ok().map(ValueTag)
    }

    /// All values.
    pub fn all(&self) -> &[Payload] {
        &self.0
    }

    /// The value with this tag.
    pub fn value(&self, tag: ValueTag) -> Option<&Payload> {
        self.0.get(usize::from(tag.0))
    }

    /// Which value the bytes of a key are, given how they follow from it. Tries `expected` first: most often it is that.
    pub fn find(
        &self,
        held: Option<&Payload>,
        transform: &Transform,
        derivation: Derivation,
        expected: Option<ValueTag>,
    ) -> Found {
        let Some(held) = held else { return Found::Missing };
        let all = (0..self.0.len()).filter_map(|at| u16::try_from(at).ok().map(ValueTag));
        let is_it = |tag: &ValueTag| self.value(*tag).is_some_and(|value| follows(value, held, transform, derivation));
        let found = expected.into_iter().chain(all).find(is_it).map_or(Found::Unknown, Found::Value);
        if found == Found::Unknown && derivation == Derivation::Exact {
            // Of a version that was destroyed, for one: the application's key all the same.
            known::values().keep(held);
        }
        found
    }
}

/// Whether `held` are the bytes that follow from `value`.
pub fn follows(value: &Payload, held: &Payload, transform: &Transform, derivation: Derivation) -> bool {
    let made;
    let expected = match (&transform.property, &transform.decoding) {
        (None, None) => value,
        _ => match transformed(value, transform) {
            Some(payload) => {
                made = payload;
                &made
            }
            None => return false,
        },
    };
    match derivation {
        Derivation::Exact => expected.same_as(held),
        Derivation::Within => expected.is_within(held),
        Derivation::Opaque => false,
    }
}

/// What the provider makes of a value: a property of it, decoded. None where it cannot.
fn transformed(value: &Payload, transform: &Transform) -> Option<Payload> {
    let taken = match &transform.property {
        Some(property) => self::property(value, property)?,
        None => Zeroizing::new(value.expose().to_vec()),
    };
    let decoded = match transform.decoding.as_deref() {
        None => taken.to_vec(),
        Some("Base64") => base64::engine::general_purpose::STANDARD.decode(taken.as_slice()).ok()?,
        Some("Base64URL") => base64::engine::general_purpose::URL_SAFE.decode(taken.as_slice()).ok()?,
        // `Auto`: decoded where it decodes, as it is where it does not.
        Some(_) => match base64::engine::general_purpose::STANDARD.decode(taken.as_slice()) {
            Ok(decoded) => decoded,
            Err(_) => taken.to_vec(),
        },
    };
    Some(Payload::new(decoded))
}

/// The names of the properties of a JSON object; none when the value is not one.
pub fn properties(value: &Payload) -> Option<Vec<String>> {
    let object: BTreeMap<String, &RawValue> = serde_json::from_slice(value.expose()).ok()?;
    Some(object.into_keys().collect())
}

/// A top-level property of a JSON object as External Secrets takes it: text without its quotes, anything else as it is.
/// Borrows from the value as far as it can; what it must copy is wiped.
fn property(value: &Payload, name: &str) -> Option<Zeroizing<Vec<u8>>> {
    let object: BTreeMap<String, &RawValue> = serde_json::from_slice(value.expose()).ok()?;
    let raw = object.get(name)?.get();
    if raw.starts_with('"') {
        let text: Zeroizing<String> = Zeroizing::new(serde_json::from_str(raw).ok()?);
        return Some(Zeroizing::new(text.as_bytes().to_vec()));
    }
    Some(Zeroizing::new(raw.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Payload {
        Payload::new(text.as_bytes().to_vec())
    }

    #[test]
    fn equal_values_have_one_tag() {
        let mut vault = Vault::default();
        let (a, b) = (vault.keep(payload("a")), vault.keep(payload("b")));
        assert_ne!(a, b);
        assert_eq!(vault.keep(payload("a")), a);
        let plain = Transform::default();
        assert_eq!(vault.find(Some(&payload("b")), &plain, Derivation::Exact, Some(a)), Found::Value(b));
        assert_eq!(vault.find(Some(&payload("c")), &plain, Derivation::Exact, None), Found::Unknown);
        assert_eq!(vault.find(None, &plain, Derivation::Exact, None), Found::Missing);
    }

    #[test]
    fn bytes_follow_from_a_value_as_the_provider_makes_them() {
        let cases = [
            ("{\"p\":\"x\",\"n\":7}", Some("p"), None, "x", true),
            ("{\"p\":\"x\",\"n\":7}", Some("n"), None, "7", true),
            ("{\"p\":\"x\"}", Some("q"), None, "x", false),
            ("not json", Some("p"), None, "x", false),
            ("aGk=", None, Some("Base64"), "hi", true),
            ("aGk=", None, Some("Auto"), "hi", true),
            ("plain!", None, Some("Auto"), "plain!", true),
            ("plain!", None, Some("Base64"), "plain!", false),
        ];
        for (value, property, decoding, held, expected) in cases {
            let transform = Transform {
                property: property.map(str::to_owned),
                decoding: decoding.map(str::to_owned),
                extract: false,
            };
            assert_eq!(
                follows(&payload(value), &payload(held), &transform, Derivation::Exact),
                expected,
                "{value} {held}"
            );
        }
        assert!(follows(&payload("k"), &payload("url:k@h"), &Transform::default(), Derivation::Within));
    }
}
