//! Reads ExternalSecret and store objects: which of them read the account's two secrets, and into which keys.
//!
//! Pure: objects in, facts out. The rules are External Secrets' own, as its API types and controller have them (v1).

use regex::Regex;
use serde_json::Value;

use crate::domain::names::{LocationId, ObjectName, ProjectId, SecretHome, SecretId};
use crate::domain::observation::{Derivation, Ready, Refresh, Source};

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
    /// The pinned version, if any.
    pub pinned: Option<String>,
}

/// A reference to a store.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct StoreRef {
    /// Whether it is a ClusterSecretStore.
    pub cluster: bool,
    /// Its name.
    pub name: String,
}

/// An ExternalSecret that reads one of the two, as its object says.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Its name.
    pub name: ObjectName,
    /// Its UID.
    pub uid: String,
    /// The Kubernetes Secret that it writes.
    pub target: ObjectName,
    /// The store that it reads the two from.
    pub store: StoreRef,
    /// The keys.
    pub mappings: Vec<Mapping>,
    /// Whether it fetches the back-compat by a name that must exist.
    pub needs_back_compat: bool,
    /// When it syncs.
    pub refresh: Refresh,
    /// Its `Ready` condition.
    pub ready: Ready,
    /// Its last successful sync.
    pub refreshed: Option<jiff::Timestamp>,
    /// `spec.target.immutable`.
    pub immutable: bool,
    /// The ClusterExternalSecret that owns it.
    pub owner: Option<String>,
    /// What in its target cannot be followed.
    pub unusual_target: Option<String>,
}

/// Text at a JSON pointer; empty text counts as none.
fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether the object's `find` by tags needs the labels of the primary.
pub fn needs_labels(external: &Value) -> bool {
    items(external, "/spec/dataFrom").iter().any(|item| item.pointer("/find/tags").is_some())
}

/// Reads one ExternalSecret; none when it reads neither of the two secrets.
pub fn read(external: &Value, secrets: &Secrets) -> Option<Reader> {
    let mut mappings = Vec::new();
    let mut store = None;
    let mut needs_back_compat = false;
    for item in items(external, "/spec/data") {
        let Some(source) = text(item, "/remoteRef/key").and_then(|key| secrets.named(key)) else { continue };
        let key = text(item, "/secretKey").unwrap_or_default().to_owned();
        needs_back_compat |= source == Source::BackCompat;
        mappings.push(Mapping {
            key,
            source,
            transform: transform(item, "/remoteRef"),
            derivation: Derivation::Exact,
            pinned: pinned(item, "/remoteRef"),
        });
        store = store.or_else(|| store_ref(item, external));
    }
    for item in items(external, "/spec/dataFrom") {
        let found = from_item(item, secrets);
        needs_back_compat |=
            found.iter().any(|mapping| mapping.source == Source::BackCompat && mapping.transform.extract);
        if !found.is_empty() {
            store = store.or_else(|| store_ref(item, external));
        }
        mappings.extend(found);
    }
    let template = external.pointer("/spec/target/template");
    let mut unusual_target = unusual_target(external);
    let mappings = match template {
        Some(template) if has_data(template) => {
            if !items(template, "/templateFrom").is_empty() {
                unusual_target = unusual_target.or(Some("a template of its own object (templateFrom)".to_owned()));
            }
            templated(template, mappings)
        }
        Some(_) | None => mappings,
    };
    if mappings.is_empty() {
        return None;
    }
    let name: ObjectName = text(external, "/metadata/name")?.parse().ok()?;
    let target = text(external, "/spec/target/name").map_or(Some(name.clone()), |target| target.parse().ok())?;
    Some(Reader {
        uid: text(external, "/metadata/uid").unwrap_or_default().to_owned(),
        target,
        store: store?,
        mappings,
        needs_back_compat,
        refresh: refresh(external),
        ready: ready(external),
        refreshed: text(external, "/status/refreshTime").and_then(|time| time.parse().ok()),
        immutable: external.pointer("/spec/target/immutable").and_then(Value::as_bool) == Some(true),
        owner: owner(external),
        unusual_target,
        name,
    })
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

fn store_ref(item: &Value, external: &Value) -> Option<StoreRef> {
    let reference = item.pointer("/sourceRef/storeRef").or_else(|| external.pointer("/spec/secretStoreRef"))?;
    Some(StoreRef {
        cluster: text(reference, "/kind") == Some("ClusterSecretStore"),
        name: text(reference, "/name")?.to_owned(),
    })
}

/// The mappings of one `dataFrom` item: `extract` by name, or `find` by pattern, path and tags.
fn from_item(item: &Value, secrets: &Secrets) -> Vec<Mapping> {
    if let Some(source) = text(item, "/extract/key").and_then(|key| secrets.named(key)) {
        let transform = Transform { extract: true, ..transform(item, "/extract") };
        // Which keys an `extract` fills depends on the JSON; the observation expands it.
        return vec![Mapping {
            key: String::new(),
            source,
            transform,
            derivation: Derivation::Exact,
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
            Mapping { key, source, transform: transform(item, "/find"), derivation, pinned: None }
        })
        .collect()
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

fn has_data(template: &Value) -> bool {
    let data = template.pointer("/data").and_then(Value::as_object);
    data.is_some_and(|data| !data.is_empty()) || !items(template, "/templateFrom").is_empty()
}

/// The keys that remain after a template: those whose text refers to a mapped key.
fn templated(template: &Value, mapped: Vec<Mapping>) -> Vec<Mapping> {
    let texts = template.pointer("/data").and_then(Value::as_object);
    let merges = text(template, "/mergePolicy") == Some("Merge");
    let made = texts.into_iter().flatten().filter_map(|(key, text)| Some((key, text.as_str()?)));
    let mut mappings: Vec<Mapping> = made
        .flat_map(|(key, text)| {
            mapped.iter().filter_map(move |mapping| {
                Some(Mapping {
                    key: key.clone(),
                    derivation: derivation(text, &mapping.key)?.max_with(mapping.derivation),
                    ..mapping.clone()
                })
            })
        })
        .collect();
    if merges {
        let replaced = |key: &str| texts.is_some_and(|texts| texts.contains_key(key));
        mappings.extend(mapped.into_iter().filter(|mapping| !replaced(&mapping.key)));
    }
    mappings
}

/// How a template's text makes use of the key `name`; none when it does not.
fn derivation(template: &str, name: &str) -> Option<Derivation> {
    if !template.contains(name) {
        return None;
    }
    let name = regex::escape(name);
    // `{{ .name }}`, also `{{- .name -}}` and `{{ .name | toString }}`.
    let action = format!(r"\{{\{{-?\s*\.{name}\s*(\|\s*toString\s*)?-?\}}\}}");
    let (Ok(whole), Ok(inside)) = (Regex::new(&format!("^{action}$")), Regex::new(&action)) else {
        return Some(Derivation::Opaque);
    };
    // Does any other action use the name, as `{{ .name | b64enc }}` does?
    let rest = inside.replace_all(template, "");
    let named = Regex::new(&format!(r"\b{name}\b")).is_ok_and(|name| name.is_match(&rest));
    match (whole.is_match(template), inside.is_match(template), named) {
        (true, _, _) => Some(Derivation::Exact),
        (false, true, false) => Some(Derivation::Within),
        (false, _, true) => Some(Derivation::Opaque),
        (false, false, false) => None,
    }
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

fn unusual_target(external: &Value) -> Option<String> {
    if external.pointer("/spec/target/manifest").is_some() {
        return Some("an object other than a Kubernetes Secret (target.manifest)".to_owned());
    }
    match text(external, "/spec/target/creationPolicy") {
        Some("None") => Some("no Kubernetes Secret at all (creationPolicy None)".to_owned()),
        _ => None,
    }
}

fn owner(external: &Value) -> Option<String> {
    let owners = items(external, "/metadata/ownerReferences");
    let cluster = owners.iter().find(|owner| text(owner, "/kind") == Some("ClusterExternalSecret"))?;
    text(cluster, "/name").map(str::to_owned)
}

fn refresh(external: &Value) -> Refresh {
    match text(external, "/spec/refreshPolicy") {
        Some("CreatedOnce") => Refresh::CreatedOnce,
        Some("OnChange") => Refresh::OnChange,
        // The CRD's default interval is one hour.
        _ => match text(external, "/spec/refreshInterval").map_or(Some(3600), go_seconds) {
            Some(0) => Refresh::Never,
            Some(seconds) => Refresh::Periodic { seconds },
            None => Refresh::Periodic { seconds: 3600 },
        },
    }
}

/// Whole seconds of a Go duration (`1h0m0s`, `10m`, `0`, `500ms`), rounded up; zero for negative ones.
fn go_seconds(given: &str) -> Option<u64> {
    if given == "0" || given.starts_with('-') {
        return Some(0);
    }
    let part = Regex::new(r"([0-9]*\.?[0-9]+)(h|ms|m|s|us|µs|ns)").ok()?;
    let mut rest = given;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let found = part.captures(rest).filter(|found| found.get(0).is_some_and(|all| all.start() == 0))?;
        let number: f64 = found[1].parse().ok()?;
        seconds += number
            * match &found[2] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "ns" => 1e-9,
                _ => 1e-6,
            };
        rest = &rest[found[0].len()..];
    }
    // A duration is far below 2^53 seconds, and never negative here.
    Some(seconds.ceil() as u64)
}

/// The `Ready` condition.
pub fn ready(external: &Value) -> Ready {
    let conditions = items(external, "/status/conditions").iter();
    let Some(condition) = conditions.into_iter().find(|condition| text(condition, "/type") == Some("Ready")) else {
        return Ready::Unknown;
    };
    let reason = text(condition, "/reason").unwrap_or_default().to_owned();
    match text(condition, "/status") {
        Some("True") => Ready::True { reason },
        Some("False") => Ready::False { reason, message: text(condition, "/message").unwrap_or_default().to_owned() },
        _ => Ready::Unknown,
    }
}

/// What a store object says: where it reads from, and what is wrong with it.
pub struct Store {
    /// Where it reads from: none when it is not Google Secret Manager's, or leaves its project open.
    pub home: Option<SecretHome>,
    /// What is wrong, if anything.
    pub problem: Option<String>,
}

/// Reads a SecretStore or ClusterSecretStore; `None` for one that does not exist.
pub fn read_store(
    store: Option<&Value>,
    reference: &StoreRef,
    namespace: &str,
    namespace_labels: Option<&Value>,
) -> Store {
    let kind = if reference.cluster { "ClusterSecretStore" } else { "SecretStore" };
    let Some(store) = store else {
        return Store { home: None, problem: Some(format!("{kind} {} does not exist", reference.name)) };
    };
    let project = text(store, "/spec/provider/gcpsm/projectID")
        .or_else(|| text(store, "/spec/provider/gcpsm/auth/workloadIdentity/clusterProjectID"))
        .and_then(|project| project.parse::<ProjectId>().ok());
    let location =
        text(store, "/spec/provider/gcpsm/location").and_then(|location| location.parse::<LocationId>().ok());
    Store {
        home: project.map(|project| SecretHome { project, location }),
        problem: store_problem(store, kind, &reference.name, namespace, namespace_labels),
    }
}

fn store_problem(
    store: &Value,
    kind: &str,
    name: &str,
    namespace: &str,
    namespace_labels: Option<&Value>,
) -> Option<String> {
    if store.pointer("/spec/provider/gcpsm").is_none() {
        return Some(format!("{kind} {name} is not one of Google Secret Manager (provider gcpsm)"));
    }
    if let Some(controller) = text(store, "/spec/controller").filter(|controller| *controller != "default") {
        return Some(format!("{kind} {name} is left to the controller class `{controller}`"));
    }
    if kind == "ClusterSecretStore" && !allows(store, namespace, namespace_labels) {
        return Some(format!("{kind} {name} does not allow namespace {namespace} (spec.conditions)"));
    }
    match ready(store) {
        Ready::False { reason, message } => Some(format!("{kind} {name} is not ready: {reason}: {message}")),
        Ready::True { .. } | Ready::Unknown => None,
    }
}

/// Whether a ClusterSecretStore's conditions let the namespace use it: no condition, or one that matches.
fn allows(store: &Value, namespace: &str, namespace_labels: Option<&Value>) -> bool {
    let conditions = items(store, "/spec/conditions");
    conditions.is_empty()
        || conditions.iter().any(|condition| {
            let named = items(condition, "/namespaces").iter().any(|name| name.as_str() == Some(namespace));
            let patterned = items(condition, "/namespaceRegexes")
                .iter()
                .filter_map(Value::as_str)
                .any(|pattern| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(namespace)));
            named || patterned || selects(condition, namespace_labels)
        })
}

/// Whether a condition's namespaceSelector matches. Labels that could not be read count as matching: External Secrets
/// itself will say so if not, and a refusal on a guess would stop a good rotation.
fn selects(condition: &Value, labels: Option<&Value>) -> bool {
    let Some(wanted) = condition.pointer("/namespaceSelector/matchLabels").and_then(Value::as_object) else {
        return condition.pointer("/namespaceSelector").is_some();
    };
    labels.is_none_or(|labels| wanted.iter().all(|(name, value)| labels.get(name) == Some(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(spec: Value) -> String {
        let (primary, back_compat) = ("acme_account_secret".parse(), "acme_account_secret_back_compat".parse());
        let labels = [("app".to_owned(), "deepdesk".to_owned())];
        let secrets = Secrets {
            primary: primary.as_ref().expect("a fit id"),
            back_compat: back_compat.as_ref().expect("a fit id"),
            labels: &labels,
        };
        let external = json!({"metadata": {"name": "admin-secrets", "uid": "u"}, "spec": spec});
        let Some(reader) = read(&external, &secrets) else { return String::new() };
        let shown = reader.mappings.iter().map(|mapping| {
            let extras = [
                mapping.transform.property.as_deref().map(|p| format!(".{p}")),
                mapping.pinned.as_ref().map(|v| format!("@{v}")),
            ];
            format!(
                "{}={}{} {:?}",
                mapping.key,
                mapping.source.as_str(),
                extras.into_iter().flatten().collect::<String>(),
                mapping.derivation
            )
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn keys_are_found_however_they_are_mapped() {
        let store = json!({"name": "gsm", "kind": "SecretStore"});
        let with = |mut spec: Value| {
            spec["secretStoreRef"] = store.clone();
            spec
        };
        let by_name = json!([{"secretKey": "SECRET_KEY", "remoteRef": {"key": "acme_account_secret"}}]);
        let find = |pattern: &str, rewrite: Value| json!([{"find": {"name": {"regexp": pattern}}, "rewrite": rewrite}]);
        let rename = json!([{"regexp": {"source": "acme_account_secret_(.*)", "target": "OLD_$1"}}]);
        let cases = [
            (json!({"data": by_name}), "SECRET_KEY=primary Exact"),
            (json!({"data": [{"secretKey": "a", "remoteRef": {"key": "another"}}]}), ""),
            (
                json!({"data": [{"secretKey": "k", "remoteRef": {"key": "acme_account_secret", "version": "3", "property": "p"}}]}),
                "k=primary.p@3 Exact",
            ),
            (
                json!({"data": [{"secretKey": "k", "remoteRef": {"key": "acme_account_secret", "version": "latest"}}]}),
                "k=primary Exact",
            ),
            (json!({"dataFrom": [{"extract": {"key": "acme_account_secret"}}]}), "=primary Exact"),
            (
                json!({"dataFrom": find("_back_compat$", json!([]))}),
                "acme_account_secret_back_compat=back-compat Exact",
            ),
            (json!({"dataFrom": find("account_secret_back", rename)}), "OLD_back_compat=back-compat Exact"),
            (
                json!({"dataFrom": find("^acme_", json!([{"transform": {"template": "x"}}]))}),
                "acme_account_secret=primary Opaque, acme_account_secret_back_compat=back-compat Opaque",
            ),
            (
                json!({"dataFrom": [{"find": {"tags": {"app": "deepdesk"}}}]}),
                "acme_account_secret=primary Exact, acme_account_secret_back_compat=back-compat Exact",
            ),
            (json!({"dataFrom": [{"find": {"tags": {"app": "other"}}}]}), ""),
            (json!({"dataFrom": [{"find": {"tags": {}}}]}), ""),
            (json!({"dataFrom": [{"find": {"name": null, "tags": {"app": "other"}}}]}), ""),
            (
                json!({"dataFrom": [{"find": {"name": {"regexp": "secret$"}, "tags": {"app": "other"}}}]}),
                "acme_account_secret=primary Exact",
            ),
            (
                json!({"dataFrom": [{"find": {"name": {}, "path": "acme"}}]}),
                "acme_account_secret=primary Exact, acme_account_secret_back_compat=back-compat Exact",
            ),
            // Go's alone, or another thing to Go.
            (
                json!({"dataFrom": find("\\Qacme\\E", json!([]))}),
                "acme_account_secret=primary Opaque, acme_account_secret_back_compat=back-compat Opaque",
            ),
            (
                json!({"dataFrom": find("[a-z&&b]_account_secret$", json!([]))}),
                "acme_account_secret=primary Opaque, acme_account_secret_back_compat=back-compat Opaque",
            ),
            (json!({"dataFrom": [{"find": {"name": {"regexp": "("}, "path": "other"}}]}), ""),
            (
                json!({"dataFrom": find("^[[:alpha:]]+_account_secret$", json!([]))}),
                "acme_account_secret=primary Exact",
            ),
            (
                json!({"data": by_name, "target": {"template": {"data": {"SECRET_KEY": "{{ .SECRET_KEY }}"}}}}),
                "SECRET_KEY=primary Exact",
            ),
            (
                json!({"data": by_name, "target": {"template": {"data": {"URL": "redis://:{{ .SECRET_KEY }}@h"}}}}),
                "URL=primary Within",
            ),
            (
                json!({"data": by_name, "target": {"template": {"data": {"B": "{{ .SECRET_KEY | b64enc }}"}}}}),
                "B=primary Opaque",
            ),
            (json!({"data": by_name, "target": {"template": {"data": {"X": "fixed"}}}}), ""),
            (
                json!({"data": by_name, "target": {"template": {"mergePolicy": "Merge", "data": {"X": "fixed"}}}}),
                "SECRET_KEY=primary Exact",
            ),
            (json!({"data": by_name, "target": {"template": {"metadata": {}}}}), "SECRET_KEY=primary Exact"),
        ];
        for (spec, expected) in cases {
            assert_eq!(keys(with(spec.clone())), expected, "{spec}");
        }
    }

    #[test]
    fn intervals_are_go_durations() {
        for (given, seconds) in [
            ("10m", Some(600)),
            ("1h0m0s", Some(3600)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("500ms", Some(1)),
            ("-1s", Some(0)),
            ("x", None),
            ("10", None),
        ] {
            assert_eq!(go_seconds(given), seconds, "{given}");
        }
    }

    #[test]
    fn a_store_says_where_it_reads_and_what_is_wrong() {
        let reference = StoreRef { cluster: true, name: "gsm".to_owned() };
        let google = |extra: Value| {
            let mut store = json!({"spec": {"provider": {"gcpsm": {"projectID": "p"}}}});
            json_patch::merge(&mut store, &extra);
            store
        };
        let cases = [
            (None, None, Some("ClusterSecretStore gsm does not exist")),
            (Some(google(json!({}))), Some("projects/p"), None),
            (
                Some(google(json!({"spec": {"provider": {"gcpsm": {"location": "europe-west1"}}}}))),
                Some("projects/p/locations/europe-west1"),
                None,
            ),
            (
                Some(google(json!({"spec": {"controller": "dev"}}))),
                Some("projects/p"),
                Some("ClusterSecretStore gsm is left to the controller class `dev`"),
            ),
            (
                Some(google(json!({"spec": {"conditions": [{"namespaces": ["globex"]}]}}))),
                Some("projects/p"),
                Some("ClusterSecretStore gsm does not allow namespace acme (spec.conditions)"),
            ),
            (Some(google(json!({"spec": {"conditions": [{"namespaceRegexes": ["^ac"]}]}}))), Some("projects/p"), None),
            (
                Some(json!({"spec": {"provider": {"fake": {}}}})),
                None,
                Some("ClusterSecretStore gsm is not one of Google Secret Manager (provider gcpsm)"),
            ),
        ];
        for (store, home, problem) in cases {
            let read = read_store(store.as_ref(), &reference, "acme", None);
            assert_eq!(read.home.map(|home| home.to_string()).as_deref(), home, "{store:?}");
            assert_eq!(read.problem.as_deref(), problem, "{store:?}");
        }
    }
}
