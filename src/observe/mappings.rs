//! Which keys of a Kubernetes Secret the account's two secrets fill, and what is made of a value on its way: by `data`, by
//! `dataFrom` with `extract` or `find`, by a template.
//!
//! Pure: objects in, facts out. The rules are External Secrets' own, as its API types and controller have them (v1).

use regex::Regex;
use serde_json::Value;

use super::json::{items, text};
use super::rendered::{Text, Use, use_of};
use super::vault::{self, Vault};
use crate::domain::names::SecretId;
use crate::domain::observation::{Derivation, SecretView, Source};

/// The two secrets of an account, and the primary's labels (which a new back-compat gets too).
pub struct Secrets<'a> {
    /// The primary.
    pub primary: &'a SecretId,
    /// The back-compat.
    pub back_compat: &'a SecretId,
    /// Labels of the primary, for `dataFrom.find.tags`.
    pub labels: &'a [(String, String)],
}

impl Secrets<'_> {
    fn named(&self, key: &str) -> Option<Source> {
        match key {
            _ if key == self.primary.as_str() => Some(Source::Primary),
            _ if key == self.back_compat.as_str() => Some(Source::BackCompat),
            _ => None,
        }
    }
}

/// How the provider's value becomes the value of a key, before any template.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Transform {
    /// `remoteRef.property`: a property of a JSON value.
    pub property: Option<String>,
    /// `remoteRef.decodingStrategy`, when it is not `None`.
    pub decoding: Option<String>,
    /// The whole value is JSON whose properties become keys (`dataFrom.extract`).
    pub extract: bool,
}

/// A key of the target that one of the two secrets fills.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mapping {
    /// The key in the Kubernetes Secret.
    pub key: String,
    /// Which secret.
    pub source: Source,
    /// What the provider makes of it.
    pub transform: Transform,
    /// What the template makes of that.
    pub derivation: Derivation,
    /// The text that it stands in, where it is `Within` one.
    pub inside: Option<Text>,
    /// The pinned version, if any.
    pub pinned: Option<String>,
}

/// The mapping of one `data` item; none when it reads neither of the two.
pub fn from_data_item(item: &Value, secrets: &Secrets) -> Option<Mapping> {
    let source = text(item, "/remoteRef/key").and_then(|key| secrets.named(key))?;
    Some(Mapping {
        key: text(item, "/secretKey").unwrap_or_default().to_owned(),
        source,
        transform: transform(item, "/remoteRef"),
        derivation: Derivation::Exact,
        inside: None,
        pinned: pinned(item, "/remoteRef"),
    })
}

/// The mappings of one `dataFrom` item: `extract` by name, or `find` by pattern, path and tags.
pub fn from_item(item: &Value, secrets: &Secrets) -> Vec<Mapping> {
    if let Some(source) = text(item, "/extract/key").and_then(|key| secrets.named(key)) {
        let transform = Transform { extract: true, ..transform(item, "/extract") };
        // Which keys an `extract` fills depends on the JSON; the observation expands it.
        return vec![Mapping {
            key: String::new(),
            source,
            transform,
            derivation: Derivation::Exact,
            inside: None,
            pinned: pinned(item, "/extract"),
        }];
    }
    if item.pointer("/find").is_none() {
        return Vec::new();
    }
    let ids = [(Source::Primary, secrets.primary.as_str()), (Source::BackCompat, secrets.back_compat.as_str())];
    let found = ids.into_iter().map(|(source, id)| (source, id, finds(item, id, secrets.labels)));
    found
        .filter(|(_, _, finds)| *finds != Finds::No)
        .map(|(source, id, finds)| {
            let (key, derivation) = match rewritten(item, id) {
                Some(key) if finds == Finds::Yes => (key, Derivation::Exact),
                Some(key) => (key, Derivation::Opaque),
                None => (id.to_owned(), Derivation::Opaque),
            };
            Mapping { key, source, transform: transform(item, "/find"), derivation, inside: None, pinned: None }
        })
        .collect()
}

fn transform(item: &Value, reference: &str) -> Transform {
    let decoding = text(item, &format!("{reference}/decodingStrategy")).filter(|strategy| *strategy != "None");
    Transform {
        property: text(item, &format!("{reference}/property")).map(str::to_owned),
        decoding: decoding.map(str::to_owned),
        extract: false,
    }
}

fn pinned(item: &Value, reference: &str) -> Option<String> {
    text(item, &format!("{reference}/version")).filter(|version| *version != "latest").map(str::to_owned)
}

/// Whether a `find` finds a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Finds {
    Yes,
    No,
    /// Its pattern is one that Go may read and this program cannot, or reads otherwise. Left out it would be a consumer
    /// that is never restarted; as it is, a rotation is refused because what arrives cannot be compared.
    Perhaps,
}

/// Whether `find` would find this secret: by an unanchored Go regular expression, or else by labels; and by a prefix.
/// With a name, External Secrets does not look at the labels, and an empty expression finds everything.
fn finds(item: &Value, id: &str, labels: &[(String, String)]) -> Finds {
    if text(item, "/find/path").is_some_and(|path| !id.starts_with(path)) {
        return Finds::No;
    }
    let sure = |found: bool| if found { Finds::Yes } else { Finds::No };
    if let Some(name) = item.pointer("/find/name").filter(|name| !name.is_null()) {
        let pattern = text(name, "/regexp").unwrap_or_default();
        return match Regex::new(pattern) {
            Ok(parsed) if means_the_same(pattern) => sure(parsed.is_match(id)),
            Ok(_) | Err(_) => Finds::Perhaps,
        };
    }
    let tags = item.pointer("/find/tags").and_then(Value::as_object).filter(|tags| !tags.is_empty());
    let has = |name: &String, value: &Value| {
        labels.iter().any(|(label, held)| label == name && Some(held.as_str()) == value.as_str())
    };
    sure(tags.is_some_and(|tags| tags.iter().all(|(name, value)| has(name, value))))
}

/// Whether Go and this program read the pattern alike. To Go there are no sets within sets and no repetition without a
/// lower bound: those characters stand for themselves.
fn means_the_same(pattern: &str) -> bool {
    let mut escaped = false;
    let mut in_set = false;
    for (at, c) in pattern.char_indices() {
        let rest = &pattern[at..];
        let differs = match in_set {
            true => {
                (rest.starts_with('[') && !rest.starts_with("[:"))
                    || ["&&", "--", "~~"].iter().any(|set| rest.starts_with(set))
            }
            false => rest.starts_with("{,"),
        };
        match c {
            _ if escaped => escaped = false,
            _ if differs => return false,
            '\\' => escaped = true,
            '[' => in_set = true,
            ']' => in_set = false,
            _ => {}
        }
    }
    true
}

/// The key that a found secret gets: by `rewrite`, else by the default conversion (illegal characters become `_`).
/// None where the rewriting is one that this program does not follow (`transform`, `merge`).
fn rewritten(item: &Value, id: &str) -> Option<String> {
    let rules = items(item, "/rewrite");
    if rules.is_empty() {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        return Some(id.chars().map(|c| if legal(c) { c } else { '_' }).collect());
    }
    rules.iter().try_fold(id.to_owned(), |key, rule| {
        let pattern = Regex::new(text(rule, "/regexp/source")?).ok()?;
        let target = rule.pointer("/regexp/target").and_then(Value::as_str).unwrap_or_default();
        Some(pattern.replace_all(&key, target).into_owned())
    })
}

/// Whether a template makes the data, and not the metadata alone.
pub fn has_data(template: &Value) -> bool {
    let data = template.pointer("/data").and_then(Value::as_object);
    data.is_some_and(|data| !data.is_empty()) || !items(template, "/templateFrom").is_empty()
}

/// The keys that remain after a template: those whose text refers to a mapped key.
pub fn templated(template: &Value, mapped: Vec<Mapping>) -> Vec<Mapping> {
    let texts = template.pointer("/data").and_then(Value::as_object);
    let merges = text(template, "/mergePolicy") == Some("Merge");
    let made = texts.into_iter().flatten().filter_map(|(key, text)| Some((key, text.as_str()?)));
    let mut mappings: Vec<Mapping> =
        made.flat_map(|(key, text)| mapped.iter().filter_map(|mapping| made_by(text, key, mapping, &mapped))).collect();
    if merges {
        let replaced = |key: &str| texts.is_some_and(|texts| texts.contains_key(key));
        mappings.extend(mapped.into_iter().filter(|mapping| !replaced(&mapping.key)));
    }
    mappings
}

/// What a template's text for `key` makes of what a mapping fetches; none where the text does not use it.
fn made_by(text: &str, key: &str, mapping: &Mapping, mapped: &[Mapping]) -> Option<Mapping> {
    let others = mapped.iter().filter(|other| other.key != mapping.key && other.derivation == Derivation::Exact);
    let others: Vec<(&str, &Transform)> = others.map(|other| (other.key.as_str(), &other.transform)).collect();
    let (derivation, inside) = match use_of(text, &mapping.key, &others)? {
        Use::Whole => (Derivation::Exact, None),
        Use::Inside(text) => (Derivation::Within, Some(text)),
        Use::Opaque => (Derivation::Opaque, None),
    };
    let derivation = derivation.max_with(mapping.derivation);
    Some(Mapping { key: key.to_owned(), derivation, inside, ..mapping.clone() })
}

impl Derivation {
    /// The less comparable of the two.
    fn max_with(self, other: Derivation) -> Derivation {
        match (self, other) {
            (Derivation::Opaque, _) | (_, Derivation::Opaque) => Derivation::Opaque,
            (Derivation::Within, _) | (_, Derivation::Within) => Derivation::Within,
            (Derivation::Exact, Derivation::Exact) => Derivation::Exact,
        }
    }
}

/// What an `extract` stands for: the properties of the JSON that it takes apart; any other mapping is itself.
pub fn expanded(mapping: Mapping, primary: &SecretView, back_compat: &SecretView, vault: &Vault) -> Vec<Mapping> {
    if !mapping.transform.extract {
        return vec![mapping];
    }
    let view = match mapping.source {
        Source::Primary => primary,
        Source::BackCompat => back_compat,
    };
    let properties = view.value().and_then(|tag| vault.value(tag)).and_then(vault::properties);
    let Some(properties) = properties else {
        let key = format!("(extract of {})", view.secret);
        return vec![Mapping { key, derivation: Derivation::Opaque, ..mapping }];
    };
    let of = |property: String| {
        let transform = Transform { property: Some(property.clone()), ..mapping.transform.clone() };
        Mapping { key: property, transform, ..mapping.clone() }
    };
    properties.into_iter().map(of).collect()
}
