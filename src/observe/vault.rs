//! The values that were seen, by tag. They live here and nowhere else, and go when the vault goes.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::mappings::{Mapping, Transform};
use super::rendered::{Piece, Text};
use crate::clients::known;
use deepdesk_protocol::facts::observation::{Derivation, Found, ValueTag};
use deepdesk_protocol::facts::payload::Payload;

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

    pub fn value(&self, tag: ValueTag) -> Option<&Payload> {
        self.0.get(usize::from(tag.0))
    }

    /// Which value the bytes of a key are, given how they follow from it. Tries `expected` first: most often it is that.
    pub fn find(&self, held: Option<&Payload>, mapping: &Mapping, expected: Option<ValueTag>) -> Found {
        let Some(held) = held else { return Found::Missing };
        let transform = &mapping.transform;
        let found = match (mapping.derivation, &mapping.inside) {
            (Derivation::Exact, _) => {
                let is_it = |tag: &ValueTag| self.value(*tag).is_some_and(|value| follows(value, held, transform));
                expected.into_iter().chain(self.tags()).find(is_it)
            }
            (Derivation::Within, Some(text)) => self.find_within(held, transform, text, expected),
            // What is not followed is told by all bytes that it may fill (`shown`).
            (Derivation::Within, None) | (Derivation::Opaque | Derivation::Shown, _) => None,
        };
        if found.is_none() && mapping.derivation == Derivation::Exact {
            // Of a version that was destroyed, for one: the application's key all the same.
            known::values().keep(held);
        }
        found.map_or(Found::Unknown, Found::Value)
    }

    /// The values that nothing can be made of in this way.
    pub fn unfit(&self, transform: &Transform) -> impl Iterator<Item = ValueTag> {
        self.tags().filter(move |tag| self.value(*tag).is_some_and(|value| transformed(value, transform).is_none()))
    }

    fn tags(&self) -> impl Iterator<Item = ValueTag> {
        (0..self.0.len()).filter_map(|at| u16::try_from(at).ok().map(ValueTag))
    }

    /// The one value that explains a text. Where two different ones would, neither is proven: one may contain the other.
    fn find_within(
        &self,
        held: &Payload,
        transform: &Transform,
        text: &Text,
        expected: Option<ValueTag>,
    ) -> Option<ValueTag> {
        let explains = |known| {
            let made = self.tags().filter_map(|tag| Some((tag, transformed(self.value(tag)?, transform)?)));
            made.filter(|(_, made)| self.stands_in(held, made, text, known)).collect::<Vec<_>>()
        };
        let mut found = explains(Beside::Known);
        if found.is_empty() {
            // The other secret's value may be one that was never seen.
            found = explains(Beside::Unknown);
        }
        let (tag, made) = found.iter().find(|(tag, _)| Some(*tag) == expected).or_else(|| found.first())?;
        found.iter().all(|(_, other)| other.same_as(made)).then_some(*tag)
    }

    /// Whether `held` is the text with this value in it.
    fn stands_in(&self, held: &Payload, value: &Payload, text: &Text, beside: Beside) -> bool {
        let Text::Pieces(pieces) = text else { return value.is_within(held) };
        let ends = self.ends(held, value, pieces, &Ends::from([(0, false)]), beside);
        ends.contains(&(held.length(), true))
    }

    /// Where these pieces may end that begin at one of these places.
    fn ends(&self, held: &Payload, value: &Payload, pieces: &[Piece], from: &Ends, beside: Beside) -> Ends {
        let mut ends = from.clone();
        for piece in pieces {
            ends = match (piece, beside) {
                (Piece::Literal(text), _) => {
                    ends.iter().filter_map(|(at, used)| Some((held.end_of(text, *at)?, *used))).collect()
                }
                (Piece::Value, _) => ends.iter().filter_map(|(at, _)| Some((value.end_in(held, *at)?, true))).collect(),
                (Piece::Other(transform), Beside::Known) => {
                    let others = self.0.iter().filter_map(|value| transformed(value, transform));
                    let after = |other: Payload| {
                        ends.iter().filter_map(|(at, used)| Some((other.end_in(held, *at)?, *used))).collect::<Vec<_>>()
                    };
                    others.flat_map(after).collect()
                }
                (Piece::Other(_), Beside::Unknown) | (Piece::Anything, _) => {
                    let first = |wanted| ends.iter().find(|(_, used)| *used == wanted);
                    let from = [first(false), first(true)].into_iter().flatten();
                    from.flat_map(|(at, used)| (*at..=held.length()).map(|end| (end, *used))).collect()
                }
                (Piece::Choice(branches), _) => {
                    branches.iter().flat_map(|branch| self.ends(held, value, branch, &ends, beside)).collect()
                }
                (Piece::Repeat(body), _) => {
                    let mut all = ends;
                    let mut new = all.clone();
                    while !new.is_empty() {
                        new = self.ends(held, value, body, &new, beside).difference(&all).copied().collect();
                        all.extend(&new);
                    }
                    all
                }
            };
        }
        ends
    }
}

/// Places in a text, each with whether the value stands before it: a text that has none of it says nothing.
type Ends = BTreeSet<(usize, bool)>;

/// What may stand for the other secret's value in a text.
#[derive(Clone, Copy)]
enum Beside {
    /// A value that was seen.
    Known,
    /// Anything.
    Unknown,
}

/// Whether `held` are the bytes that the provider makes of `value`.
pub fn follows(value: &Payload, held: &Payload, transform: &Transform) -> bool {
    match (&transform.property, &transform.decoding) {
        (None, None) => value.same_as(held),
        _ => transformed(value, transform).is_some_and(|made| made.same_as(held)),
    }
}

/// What the provider makes of a value: a property of it, decoded. None where it cannot.
pub fn transformed(value: &Payload, transform: &Transform) -> Option<Payload> {
    let taken = match &transform.property {
        Some(property) => self::property(value, property)?,
        None => Zeroizing::new(value.expose().to_vec()),
    };
    let decoded = match transform.decoding.as_deref() {
        None => taken.to_vec(),
        Some("Base64") => decoded_as_go_does(&STANDARD, &taken)?,
        Some("Base64URL") => decoded_as_go_does(&URL_SAFE, &taken)?,
        // `Auto`: decoded where it decodes, as it is where it does not.
        Some("Auto") => decoded_as_go_does(&STANDARD, &taken)
            .or_else(|| decoded_as_go_does(&URL_SAFE, &taken))
            .unwrap_or_else(|| taken.to_vec()),
        // One of a later release: what it makes is not known.
        Some(_) => return None,
    };
    Some(Payload::new(decoded))
}

/// Go's decoder skips line breaks, and does not look at the bits after the last byte.
fn decoded_as_go_does(alphabet: &Alphabet, text: &[u8]) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let written = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    let written: Zeroizing<Vec<u8>> = Zeroizing::new(written.collect());
    GeneralPurpose::new(alphabet, config).decode(written.as_slice()).ok()
}

/// The names of the properties of a JSON object; none when the value is not one.
pub fn properties(value: &Payload) -> Option<Vec<String>> {
    let object: BTreeMap<String, &RawValue> = serde_json::from_slice(value.expose()).ok()?;
    Some(object.into_keys().collect())
}

/// A property of a JSON object as External Secrets takes it, by its name or else by a path of names and numbers: text without its
/// quotes, anything else as it is. Borrows from the value as far as it can; what it must copy is wiped.
fn property(value: &Payload, name: &str) -> Option<Zeroizing<Vec<u8>>> {
    let whole: &RawValue = serde_json::from_slice(value.expose()).ok()?;
    let by_path = || name.split('.').try_fold(whole, inner);
    let raw = Some(whole).filter(|whole| whole.get().starts_with('{')).and_then(|whole| inner(whole, name));
    let raw = raw.or_else(by_path)?.get();
    if raw.starts_with('"') {
        let text: Zeroizing<String> = Zeroizing::new(serde_json::from_str(raw).ok()?);
        return Some(Zeroizing::new(text.as_bytes().to_vec()));
    }
    Some(Zeroizing::new(raw.as_bytes().to_vec()))
}

fn inner<'a>(whole: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    match whole.get().starts_with('[') {
        true => {
            let items: Vec<&RawValue> = serde_json::from_str(whole.get()).ok()?;
            items.get(name.parse::<usize>().ok()?).copied()
        }
        false => serde_json::from_str::<BTreeMap<String, &RawValue>>(whole.get()).ok()?.remove(name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rendered::{Use, use_of};
    use super::*;
    use deepdesk_protocol::facts::observation::Source;

    fn payload(text: &str) -> Payload {
        Payload::new(text.as_bytes().to_vec())
    }

    fn mapping(inside: Option<Text>, transform: Transform) -> Mapping {
        let derivation = if inside.is_some() { Derivation::Within } else { Derivation::Exact };
        Mapping { transform, derivation, inside, ..Mapping::new(Source::Primary, "K") }
    }

    #[test]
    fn equal_values_have_one_tag() {
        let mut vault = Vault::default();
        let (a, b) = (vault.keep(payload("a")), vault.keep(payload("b")));
        assert_ne!(a, b);
        assert_eq!(vault.keep(payload("a")), a);
        let plain = mapping(None, Transform::default());
        assert_eq!(vault.find(Some(&payload("b")), &plain, Some(a)), Found::Value(b));
        assert_eq!(vault.find(Some(&payload("c")), &plain, None), Found::Unknown);
        assert_eq!(vault.find(None, &plain, None), Found::Missing);
        assert_eq!(
            vault.find(Some(&payload("a")), &Mapping { derivation: Derivation::Opaque, ..plain }, Some(a)),
            Found::Unknown
        );
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
            ("aGk-", None, Some("Auto"), "hi>", true),
            ("aGk=\n", None, Some("Base64"), "hi", true),
            ("aGl=", None, Some("Base64"), "hi", true),
            ("aGk=", None, Some("Rot13"), "aGk=", false),
            ("plain!", None, Some("Base64"), "plain!", false),
        ];
        for (value, property, decoding, held, expected) in cases {
            let transform = Transform {
                property: property.map(str::to_owned),
                decoding: decoding.map(str::to_owned),
                extract: false,
            };
            assert_eq!(follows(&payload(value), &payload(held), &transform), expected, "{value} {held}");
        }
    }

    /// The values that are known are `V`, `V` with a newline, `AV`, `V,W` and `W`.
    #[test]
    fn that_a_text_contains_a_value_is_no_proof_where_it_contains_another() {
        let mut vault = Vault::default();
        let known = ["V", "V\n", "AV", "V,W", "W"];
        for value in known {
            vault.keep(payload(value));
        }
        for (template, held, expected) in [
            ("redis://:{{ .key }}@h", "redis://:V@h", Some("V")),
            ("redis://:{{ .key }}@h", "redis://:V\n@h", Some("V\n")),
            ("redis://:{{ .key }}@h", "redis://:AV@h", Some("AV")),
            ("redis://:{{ .key }}@h", "redis://:X@h", None),
            ("redis://:{{ .key }}@h", "V redis://:X@h", None),
            ("{{ .key }}{{ .key }}", "VV", Some("V")),
            ("{{ .key }}{{ .key }}", "VAV", None),
            // Beside the other of the account's secrets, whether its value is known or not.
            ("{{ .key }}:{{ .old }}", "V:W", Some("V")),
            ("{{ .key }}:{{ .old }}", "V:X", Some("V")),
            ("{{ .key }},{{ .old }}", "V,W,W", Some("V,W")),
            ("{{ .key }},{{ .old }}", "V,X,X", Some("V")),
            // Beside anything: as far as nothing but one explains it.
            ("{{ .user }}:{{ .key }}", "me:V", Some("V")),
            ("{{ .user }}:{{ .key }}", "me:V\n", Some("V\n")),
            ("{{ .user }}{{ .key }}", "meAV", None),
            ("{{ .key }}{{ .user }}", "V\nme", None),
            // In what conditions make.
            ("{{ if .user }}key {{ .key }}{{ end }}", "key W", Some("W")),
            ("{{ if .user }}key {{ .key }}{{ end }}", "key V\n", Some("V\n")),
            ("{{ if .user }}key {{ .key }}{{ end }}", "key X", None),
            // No known value has more in it, and it is not that one all the same.
            ("{{ if .user }}key {{ .key }}{{ end }}", "key WX", None),
            ("{{ if .user }}key {{ .key }}{{ end }}", "XW", None),
            ("{{ if .user }}key {{ .key }}{{ end }}", "", None),
            ("{{ if .user }}{{ .key }}{{ else }}none{{ end }}", "none", None),
            ("{{ if .user }}a {{ .key }}{{ else if .x }}b {{ .key }}{{ end }};", "b AV;", Some("AV")),
            ("{{ range .hosts }}{{ . }};{{ end }}{{ .key }}", "a;b;W", Some("W")),
            ("{{ .key }}{{ range .hosts }},host{{ end }}", "W,host,host", Some("W")),
            ("{{ .key }}{{ range .hosts }},host{{ end }}", "W,host,hos", None),
            ("{{ .key }}{{ range .hosts }}{{ end }}", "W", Some("W")),
            // In what other templates make.
            ("{{ template \"x\" }} {{ .key }}", "key W", Some("W")),
            ("{{ template \"x\" }} {{ .key }}", "key V\n", None),
        ] {
            let old = Transform::default();
            let Some(Use::Inside(text)) = use_of(template, "key", &[("old", &old)]) else { panic!("{template}") };
            let found = vault.find(Some(&payload(held)), &mapping(Some(text), Transform::default()), None);
            let named = |value: &str| vault.tag_of(&payload(value)).expect("it is known");
            assert_eq!(
                found,
                expected.map_or(Found::Unknown, |value| Found::Value(named(value))),
                "{template}: {held:?}"
            );
        }
    }

    #[test]
    fn what_is_decoded_stands_in_a_text_decoded() {
        let mut vault = Vault::default();
        let hi = vault.keep(payload("aGk="));
        let transform = Transform { decoding: Some("Base64".to_owned()), ..Transform::default() };
        let Some(Use::Inside(text)) = use_of("say {{ .key }}", "key", &[]) else { panic!("it stands inside") };
        let mapping = mapping(Some(text), transform);
        assert_eq!(vault.find(Some(&payload("say hi")), &mapping, None), Found::Value(hi));
        assert_eq!(vault.find(Some(&payload("say aGk=")), &mapping, None), Found::Unknown);
    }
}
