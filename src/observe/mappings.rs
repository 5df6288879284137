//! Which keys of a Kubernetes Secret the account's two secrets fill, and what is made of a value on its way: by `data`, by
//! `dataFrom` with `extract` or `find`, by a template.
//!
//! Pure: objects in, facts out. The rules are External Secrets' own, as its API types and controller have them (v1).

use regex::Regex;
use serde_json::Value;

use super::json::{items, text};
use super::rendered::{self, Text, Use};
use super::vault::{self, Vault};
use deepdesk_protocol::facts::names::SecretId;
use deepdesk_protocol::facts::observation::{Derivation, SecretView, Source};

/// Stands for the keys of a Kubernetes Secret where nobody knows beforehand which they are. No key has parentheses.
pub const ANY_KEY: &str = "(any key)";

/// Whether a key of this name is none, and stands for all that may be there.
pub fn stands_for_any(key: &str) -> bool {
    key.starts_with('(')
}

const BY_RESOURCE_NAME: &str = "a resource name instead of the secret's id";
const METADATA: &str = "metadataPolicy Fetch";
const NESTED: &str = "a property within properties";
const OF_AN_EXTRACT: &str = "a template over an extract";
const NO_JSON: &str = "an extract of what is not a JSON object";
const EXTRACTED_PROPERTY: &str = "an extract of a property";
const REWRITE: &str = "a rewrite rule other than a plain regexp";
const CONVERSION: &str = "a conversionStrategy that is not known";
const PATTERN: &str = "a find pattern that Go may read otherwise";
const LABELS: &str = "a find by tags, and the secrets' labels were not read";
const COMPUTED: &str = "a template that computes it";
const ALL_KEYS: &str = "a template over all keys at once";
const TEMPLATE_FROM: &str = "templateFrom";
const MALFORMED: &str = "an item that cannot be read";

/// The labels of the two secrets, for `dataFrom.find.tags`.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    pub primary: Vec<(String, String)>,
    /// Of the back-compat; before it exists, the primary's, which it will get.
    pub back_compat: Vec<(String, String)>,
}

/// The two secrets of an account.
pub struct Secrets<'a> {
    pub primary: &'a SecretId,
    pub back_compat: &'a SecretId,
    /// Their labels; none while they were not read: what is found by tags may then find both.
    pub labels: Option<&'a Labels>,
}

impl Secrets<'_> {
    /// Which of the two a key names, and by what if not by its id: External Secrets takes an id alone. A resource name may come
    /// to work with another version of it, so it is not left out.
    fn named(&self, key: &str) -> Option<(Source, Option<&'static str>)> {
        self.both().into_iter().find_map(|(source, id)| {
            let id = id.as_str();
            let of_google = key.trim_start_matches("//secretmanager.googleapis.com/");
            let parts: Vec<&str> = of_google.split('/').collect();
            let by_path = match parts.as_slice() {
                ["projects", _, "secrets", name, ..] => *name == id,
                ["projects", _, "locations", _, "secrets", name, ..] => *name == id,
                [name, "versions", ..] => *name == id,
                _ => key != id && key.trim() == id,
            };
            match key == id {
                true => Some((source, None)),
                false => by_path.then_some((source, Some(BY_RESOURCE_NAME))),
            }
        })
    }

    /// Both that an item names anywhere, as a whole text.
    fn mentioned(&self, item: &Value) -> Vec<Source> {
        let both = self.both().into_iter();
        both.filter(|(_, id)| mentions(item, id.as_str())).map(|(source, _)| source).collect()
    }

    fn both(&self) -> [(Source, &SecretId); 2] {
        [(Source::Primary, self.primary), (Source::BackCompat, self.back_compat)]
    }
}

fn mentions(value: &Value, id: &str) -> bool {
    match value {
        Value::String(text) => text == id,
        Value::Array(all) => all.iter().any(|one| mentions(one, id)),
        Value::Object(all) => all.values().any(|one| mentions(one, id)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
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
    /// What this program does not follow of it, where it is opaque.
    pub not_followed: Option<&'static str>,
    /// How the names that a `dataFrom` finds become keys.
    pub(super) naming: Naming,
}

impl Mapping {
    /// One that copies the value as it is.
    pub(super) fn new(source: Source, key: &str) -> Mapping {
        Mapping {
            key: key.to_owned(),
            source,
            transform: Transform::default(),
            derivation: Derivation::Exact,
            inside: None,
            pinned: None,
            not_followed: None,
            naming: Naming::default(),
        }
    }

    /// Whether it reads its secret for certain, whatever it makes of it.
    pub fn is_sure(&self) -> bool {
        const PERHAPS: [&str; 4] = [BY_RESOURCE_NAME, PATTERN, LABELS, MALFORMED];
        self.not_followed.is_none_or(|why| !PERHAPS.contains(&why))
    }

    /// Whether its bytes may show which value it is: what they are made of is the value, or a part of it.
    pub fn may_be_shown(&self) -> bool {
        const NEVER: [&str; 3] = [BY_RESOURCE_NAME, METADATA, MALFORMED];
        self.derivation == Derivation::Opaque && self.not_followed.is_some_and(|why| !NEVER.contains(&why))
    }

    /// The same, as one whose bytes cannot be told. It is kept: left out, it would be a reader that nobody restarts.
    fn opaque(self, why: &'static str) -> Mapping {
        Mapping { derivation: Derivation::Opaque, not_followed: self.not_followed.or(Some(why)), ..self }
    }

    fn opaque_if(self, why: Option<&'static str>) -> Mapping {
        match why {
            Some(why) => self.opaque(why),
            None => self,
        }
    }
}

/// The mappings of one `data` item: none when it reads neither of the two.
pub fn from_data_item(item: &Value, secrets: &Secrets) -> Vec<Mapping> {
    let Some(key) = item.pointer("/remoteRef/key").and_then(Value::as_str) else {
        return malformed(item, secrets);
    };
    let Some((source, unusual)) = secrets.named(key) else { return Vec::new() };
    let named = text(item, "/secretKey");
    let unnamed = named.is_none().then_some(MALFORMED);
    let mapping = Mapping {
        transform: transform(item, "/remoteRef"),
        pinned: pinned(item, "/remoteRef"),
        ..Mapping::new(source, named.unwrap_or(ANY_KEY))
    };
    vec![mapping.opaque_if(unnamed).opaque_if(unusual).opaque_if(metadata(item, "/remoteRef"))]
}

/// The mappings of one `dataFrom` item: `extract` by name, or `find` by pattern, path and tags.
pub fn from_item(item: &Value, secrets: &Secrets) -> Vec<Mapping> {
    let mut mappings = Vec::new();
    let (extract, find) = (given(item, "/extract"), given(item, "/find"));
    match extract.map(|_| item.pointer("/extract/key").and_then(Value::as_str)) {
        Some(Some(key)) => mappings.extend(secrets.named(key).map(|(source, unusual)| {
            // Which keys an `extract` fills depends on the JSON; the observation expands it.
            let transform = Transform { extract: true, ..transform(item, "/extract") };
            let (pinned, naming) = (pinned(item, "/extract"), Naming::of(item, "/extract"));
            let mapping = Mapping { transform, pinned, naming, ..Mapping::new(source, "") };
            let whole = mapping.opaque_if(unusual).opaque_if(metadata(item, "/extract"));
            match whole.derivation {
                Derivation::Opaque => whole_of(whole, secrets),
                Derivation::Exact | Derivation::Within | Derivation::Shown => whole,
            }
        })),
        Some(None) => mappings.extend(malformed(item, secrets)),
        None => {}
    }
    if find.is_some() {
        mappings.extend(found(item, secrets));
    }
    if extract.is_none() && find.is_none() {
        mappings.extend(malformed(item, secrets));
    }
    mappings
}

/// What cannot be read and names one of the two all the same.
fn malformed(item: &Value, secrets: &Secrets) -> Vec<Mapping> {
    let mentioned = secrets.mentioned(item).into_iter();
    mentioned.map(|source| Mapping::new(source, ANY_KEY).opaque(MALFORMED)).collect()
}

/// An `extract` of which it cannot be told which keys it fills.
fn whole_of(mapping: Mapping, secrets: &Secrets) -> Mapping {
    let id = match mapping.source {
        Source::Primary => secrets.primary,
        Source::BackCompat => secrets.back_compat,
    };
    let transform = Transform { extract: false, ..mapping.transform.clone() };
    Mapping { key: format!("(extract of {id})"), transform, ..mapping }
}

/// What a `find` finds of the two.
fn found(item: &Value, secrets: &Secrets) -> Vec<Mapping> {
    let naming = Naming::of(item, "/find");
    let labels = |source| {
        secrets.labels.map(|labels| match source {
            Source::Primary => labels.primary.as_slice(),
            Source::BackCompat => labels.back_compat.as_slice(),
        })
    };
    let found = secrets.both().into_iter().filter_map(|(source, id)| {
        let why = match finds(item, id.as_str(), labels(source)) {
            Finds::Yes => None,
            Finds::No => return None,
            Finds::Perhaps(why) => Some(why),
        };
        let named = naming.key(id.as_str());
        let key = named.as_deref().unwrap_or(ANY_KEY);
        let mapping = Mapping { transform: transform(item, "/find"), ..Mapping::new(source, key) };
        Some(mapping.opaque_if(why).opaque_if(named.as_ref().err().copied()))
    });
    found.collect()
}

/// What is there and not null.
fn given<'a>(item: &'a Value, pointer: &str) -> Option<&'a Value> {
    item.pointer(pointer).filter(|value| !value.is_null())
}

/// With `metadataPolicy: Fetch` it is labels and annotations that arrive.
fn metadata(item: &Value, reference: &str) -> Option<&'static str> {
    let policy = text(item, &format!("{reference}/metadataPolicy"));
    policy.is_some_and(|policy| policy != "None").then_some(METADATA)
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
    /// It cannot be told here, for this reason. Left out it would be a consumer that is never restarted; as it is, a rotation
    /// is refused because what arrives cannot be compared.
    Perhaps(&'static str),
}

/// Whether `find` would find this secret: by an unanchored Go regular expression, or else by labels; and by a prefix.
/// With a name, External Secrets does not look at the labels, and an empty expression finds everything.
fn finds(item: &Value, id: &str, labels: Option<&[(String, String)]>) -> Finds {
    if text(item, "/find/path").is_some_and(|path| !id.starts_with(path)) {
        return Finds::No;
    }
    let sure = |found: bool| if found { Finds::Yes } else { Finds::No };
    if let Some(name) = given(item, "/find/name") {
        let pattern = text(name, "/regexp").unwrap_or_default();
        return match Regex::new(pattern) {
            Ok(parsed) if means_the_same(pattern) => sure(parsed.is_match(id)),
            Ok(_) | Err(_) => Finds::Perhaps(PATTERN),
        };
    }
    let Some(tags) = item.pointer("/find/tags").and_then(Value::as_object).filter(|tags| !tags.is_empty()) else {
        return Finds::No;
    };
    let Some(labels) = labels else { return Finds::Perhaps(LABELS) };
    let has = |name: &String, value: &Value| {
        labels.iter().any(|(label, held)| label == name && Some(held.as_str()) == value.as_str())
    };
    sure(tags.iter().all(|(name, value)| has(name, value)))
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

/// How the names that a `dataFrom` finds become keys: by `rewrite`, else by a conversion of illegal characters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Naming {
    /// They become `_`.
    #[default]
    Default,
    /// They become `_U0020_`.
    Unicode,
    /// By patterns and what takes the place of what they match, one after the other.
    Rewritten(Vec<(String, String)>),
    /// In a way that this program does not follow (`transform`, `merge`, a pattern that Go reads otherwise).
    NotFollowed(&'static str),
}

impl Naming {
    fn of(item: &Value, reference: &str) -> Naming {
        let rule = |rule: &Value| {
            let source = text(rule, "/regexp/source").filter(|source| means_the_same(source))?;
            Regex::new(source).ok()?;
            let target = rule.pointer("/regexp/target").and_then(Value::as_str).unwrap_or_default();
            Some((source.to_owned(), target.to_owned()))
        };
        let strategy = text(item, &format!("{reference}/conversionStrategy"));
        match (given(item, "/rewrite"), strategy) {
            (Some(Value::Array(rules)), _) if !rules.is_empty() => {
                let rules: Option<Vec<_>> = rules.iter().map(rule).collect();
                rules.map_or(Naming::NotFollowed(REWRITE), Naming::Rewritten)
            }
            (Some(Value::Array(_)) | None, None | Some("Default")) => Naming::Default,
            (Some(Value::Array(_)) | None, Some("Unicode")) => Naming::Unicode,
            (Some(Value::Array(_)) | None, Some(_)) => Naming::NotFollowed(CONVERSION),
            (Some(_), _) => Naming::NotFollowed(REWRITE),
        }
    }

    /// The key that this name gets; or what is not followed.
    fn key(&self, name: &str) -> Result<String, &'static str> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let converted = |other: fn(char) -> String| {
            name.chars().map(|c| if legal(c) { c.to_string() } else { other(c) }).collect::<String>()
        };
        match self {
            Naming::Default => Ok(converted(|_| "_".to_owned())),
            Naming::Unicode => Ok(converted(|c| format!("_U{:04x}_", u32::from(c)))),
            Naming::Rewritten(rules) => rules.iter().try_fold(name.to_owned(), |key, (source, target)| {
                let pattern = Regex::new(source).map_err(|_| REWRITE)?;
                Ok(pattern.replace_all(&key, target.as_str()).into_owned())
            }),
            Naming::NotFollowed(why) => Err(why),
        }
    }
}

/// Whether a template makes the data, and not the metadata alone.
pub fn has_data(template: &Value) -> bool {
    let data = template.pointer("/data").and_then(Value::as_object);
    data.is_some_and(|data| !data.is_empty()) || !items(template, "/templateFrom").is_empty()
}

/// The keys that remain after a template: those whose text makes use of a mapped key, or may.
pub fn templated(template: &Value, mapped: Vec<Mapping>) -> Vec<Mapping> {
    let texts = template.pointer("/data").and_then(Value::as_object);
    let merges = text(template, "/mergePolicy") == Some("Merge");
    let made = texts.into_iter().flatten();
    let mut mappings: Vec<Mapping> = made
        .flat_map(|(key, text)| {
            let others = &mapped;
            mapped.iter().filter_map(move |mapping| {
                let made = use_of(text, mapping, others)?;
                // What a template made of an `extract` is not taken apart any more.
                let transform = match made.derivation {
                    Derivation::Opaque => Transform { extract: false, ..mapping.transform.clone() },
                    Derivation::Exact | Derivation::Within | Derivation::Shown => mapping.transform.clone(),
                };
                Some(Mapping { key: key.clone(), transform, ..made })
            })
        })
        .collect();
    // Its texts stand in other objects, and may make any key of any other.
    if !items(template, "/templateFrom").is_empty() {
        let unseen = mapped.iter().cloned().map(|mapping| {
            let transform = Transform { extract: false, ..mapping.transform.clone() };
            Mapping { key: ANY_KEY.to_owned(), transform, ..mapping }.opaque(TEMPLATE_FROM)
        });
        mappings.extend(unseen);
    }
    if merges {
        let replaced = |key: &str| texts.is_some_and(|texts| texts.contains_key(key));
        mappings.extend(mapped.into_iter().filter(|mapping| !replaced(&mapping.key)));
    }
    mappings
}

/// What a template's text makes of a mapped key; none when it does not use it.
fn use_of(text: &Value, mapping: &Mapping, mapped: &[Mapping]) -> Option<Mapping> {
    let Some(text) = text.as_str() else { return Some(mapping.clone().opaque(MALFORMED)) };
    if uses_all_keys(text) {
        return Some(mapping.clone().opaque(ALL_KEYS));
    }
    if mapping.transform.extract || stands_for_any(&mapping.key) {
        return text.contains("{{").then(|| mapping.clone().opaque(OF_AN_EXTRACT));
    }
    let others = mapped.iter().filter(|other| other.key != mapping.key && other.derivation == Derivation::Exact);
    let others: Vec<(&str, &Transform)> = others.map(|other| (other.key.as_str(), &other.transform)).collect();
    let (derivation, inside) = match rendered::use_of(text, &mapping.key, &others)? {
        Use::Whole => (Derivation::Exact, None),
        Use::Inside(text) => (Derivation::Within, Some(text)),
        Use::Opaque => (Derivation::Opaque, None),
    };
    match derivation.max_with(mapping.derivation) {
        Derivation::Opaque => Some(mapping.clone().opaque(COMPUTED)),
        derivation => Some(Mapping { derivation, inside, ..mapping.clone() }),
    }
}

/// Whether a template takes the whole context, or a variable that may be it, and so every key without naming one: `range`,
/// `toJson .`, `index . "x"`. A name that is read off (`.OTHER`, `$.OTHER`) takes that key alone.
fn uses_all_keys(template: &str) -> bool {
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        let action = &rest[at + 2..];
        let (within, whole) = whole_context(action);
        if whole {
            return true;
        }
        rest = &action[within..];
    }
    false
}

/// How long an action is, and whether it takes the whole context. One without an end is none that Go reads.
fn whole_context(action: &str) -> (usize, bool) {
    let inner = action.strip_prefix('-').unwrap_or(action).trim_start();
    if inner.starts_with("/*") {
        return (action.find("}}").unwrap_or(action.len()), false);
    }
    let bytes = action.as_bytes();
    let names =
        |at: usize| bytes.get(at).is_some_and(|next| next.is_ascii_alphabetic() || *next == b'_' || *next >= 0x80);
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'}' if bytes.get(at + 1) == Some(&b'}') => return (at, false),
            quote @ (b'"' | b'`' | b'\'') => at = after_quote(bytes, at + 1, quote),
            // `$name` was set from something that is looked at where it was set.
            b'$' if names(at + 1) => {}
            b'$' if bytes.get(at + 1) == Some(&b'.') && names(at + 2) => at += 1,
            b'.' if names(at + 1) => {}
            b'.' if at > 0 && bytes[at - 1].is_ascii_digit() => {}
            b'$' | b'.' => return (at, true),
            _ => {}
        }
        at += 1;
    }
    (action.len(), true)
}

/// Where a quoted text ends.
fn after_quote(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' && quote != b'`' { 2 } else { 1 };
    }
    at
}

/// What an `extract` stands for: the properties of the JSON that it takes apart; any other mapping is itself.
pub fn expanded(mapping: Mapping, primary: &SecretView, back_compat: &SecretView, vault: &Vault) -> Vec<Mapping> {
    let view = match mapping.source {
        Source::Primary => primary,
        Source::BackCompat => back_compat,
    };
    let properties = || view.value().and_then(|tag| vault.value(tag)).and_then(vault::properties);
    if !mapping.transform.extract {
        return vec![by_property(mapping)];
    }
    let whole = |mapping: &Mapping, why| {
        let transform = Transform { extract: false, ..mapping.transform.clone() };
        let key = format!("(extract of {})", view.secret);
        vec![Mapping { key, transform, ..mapping.clone() }.opaque(why)]
    };
    if mapping.transform.property.is_some() {
        return whole(&mapping, EXTRACTED_PROPERTY);
    }
    let Some(properties) = properties() else { return whole(&mapping, NO_JSON) };
    let of = |property: String| {
        let key = mapping.naming.key(&property)?;
        let transform = Transform { property: Some(property), extract: false, ..mapping.transform.clone() };
        Ok(Mapping { key, transform, ..mapping.clone() })
    };
    let expanded: Result<Vec<Mapping>, &'static str> = properties.into_iter().map(of).collect();
    expanded.unwrap_or_else(|why| whole(&mapping, why))
}

/// External Secrets reads a property as a path (`a.b`, `list.0`, `list.#`), unless one of just that name is there. Names and
/// numbers are followed, patterns and queries are not.
fn by_property(mapping: Mapping) -> Mapping {
    let Some(property) = &mapping.transform.property else { return mapping };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '/' | ':');
    match property.split('.').all(|name| !name.is_empty() && name.chars().all(plain)) {
        true => mapping,
        false => mapping.opaque(NESTED),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use deepdesk_protocol::facts::observation::{Version, VersionState};
    use deepdesk_protocol::facts::payload::Payload;

    #[test]
    fn an_extract_is_taken_apart_as_far_as_its_names_can_be_followed() {
        let (primary, back_compat): (SecretId, SecretId) =
            ("a_key".parse().expect("an id"), "a_old".parse().expect("an id"));
        let secrets = Secrets { primary: &primary, back_compat: &back_compat, labels: None };
        let mut vault = Vault::default();
        let value = vault.keep(Payload::new(br#"{"SECRET_KEY":"x","a.b":"y","o":{"p":"z"}}"#.to_vec()));
        let view = |id: &SecretId, value| SecretView {
            secret: id.clone(),
            versions: vec![Version {
                id: deepdesk_protocol::facts::names::VersionId::new(1).expect("a number"),
                state: VersionState::Enabled,
                value,
                created: None,
            }],
            exists: true,
            labels: Vec::new(),
            conditions: Default::default(),
        };
        let (views, whole) = ((view(&primary, Some(value)), view(&back_compat, None)), "(extract of a_key) Opaque");
        let prefix = json!([{"regexp": {"source": "^(.*)$", "target": "APP_$1"}}]);
        let by_property =
            |property: &str| json!({"data": [{"secretKey": "k", "remoteRef": {"key": "a_key", "property": property}}]});
        let cases = [
            (json!({"dataFrom": [{"extract": {"key": "a_key"}}]}), "SECRET_KEY Exact, a.b Exact, o Exact"),
            (
                json!({"dataFrom": [{"extract": {"key": "a_key"}, "rewrite": prefix}]}),
                "APP_SECRET_KEY Exact, APP_a.b Exact, APP_o Exact",
            ),
            (
                json!({"dataFrom": [{"extract": {"key": "a_key"}, "rewrite": [{"transform": {"template": "x"}}]}]}),
                whole,
            ),
            (json!({"dataFrom": [{"extract": {"key": "a_key", "property": "o"}}]}), whole),
            (json!({"dataFrom": [{"extract": {"key": "a_old"}}]}), "(extract of a_old) Opaque"),
            (by_property("SECRET_KEY"), "k Exact"),
            (by_property("a.b"), "k Exact"),
            (by_property("o.p"), "k Exact"),
            (by_property("o..p"), "k Opaque"),
            (by_property("list.#"), "k Opaque"),
            (by_property("SECRET*"), "k Opaque"),
        ];
        for (spec, expected) in cases {
            let data = items(&spec, "/data").iter().flat_map(|item| from_data_item(item, &secrets));
            let found = data.chain(items(&spec, "/dataFrom").iter().flat_map(|item| from_item(item, &secrets)));
            let keys = found.flat_map(|mapping| expanded(mapping, &views.0, &views.1, &vault));
            let keys: Vec<String> = keys.map(|key| format!("{} {:?}", key.key, key.derivation)).collect();
            assert_eq!(keys.join(", "), expected, "{spec}");
        }
    }
}
