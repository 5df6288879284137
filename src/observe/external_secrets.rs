//! Reads ExternalSecrets: which of them read the account's two secrets, when they sync, and how they are.
//!
//! Pure: objects in, facts out. The rules are External Secrets' own, as its API types and controller have them (v1).

use regex::Regex;
use serde_json::Value;

use super::json::{items, text};
use super::mappings::{Mapping, Secrets, from_data_item, from_item, has_data, templated};
use super::store::StoreRef;
use deepdesk_protocol::facts::names::ObjectName;
use deepdesk_protocol::facts::observation::{Ready, Refresh, Source};

/// An ExternalSecret that reads one of the two, as its object says.
#[derive(Clone, Debug)]
pub struct Reader {
    pub name: ObjectName,
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

/// Whether the object's `find` by tags needs the labels of the two secrets.
pub fn needs_labels(external: &Value) -> bool {
    items(external, "/spec/dataFrom").iter().any(|item| item.pointer("/find/tags").is_some())
}

/// Reads one ExternalSecret; none when it reads neither of the two secrets. Whatever of it is not followed, it is one that does.
pub fn read(external: &Value, secrets: &Secrets) -> Option<Reader> {
    let mut mappings = Vec::new();
    let mut store = None;
    let mut needs_back_compat = false;
    for item in entries(external, "/spec/data") {
        let found = from_data_item(item, secrets);
        needs_back_compat |= found.iter().any(|mapping| mapping.source == Source::BackCompat);
        if !found.is_empty() {
            store = store.or_else(|| store_ref(item, external));
        }
        mappings.extend(found);
    }
    for item in entries(external, "/spec/dataFrom") {
        let found = from_item(item, secrets);
        needs_back_compat |=
            item.pointer("/find").is_none() && found.iter().any(|mapping| mapping.source == Source::BackCompat);
        if !found.is_empty() {
            store = store.or_else(|| store_ref(item, external));
        }
        mappings.extend(found);
    }
    let template = external.pointer("/spec/target/template");
    let mut unusual_target = unusual_target(external);
    let mappings = match template {
        Some(template) if has_data(template) => templated(template, mappings),
        Some(_) | None => mappings,
    };
    if mappings.is_empty() {
        return None;
    }
    let name: ObjectName = text(external, "/metadata/name")?.parse().ok()?;
    let target = text(external, "/spec/target/name").map_or(Ok(name.clone()), str::parse).unwrap_or_else(|_| {
        unusual_target = Some("a target whose name is none of a Kubernetes Secret".to_owned());
        name.clone()
    });
    Some(Reader {
        uid: text(external, "/metadata/uid").unwrap_or_default().to_owned(),
        target,
        // Without one it fails, and says so; it is there all the same.
        store: store.unwrap_or_default(),
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

/// The items at a JSON pointer; what is no list is one item, to be judged as it stands.
fn entries<'a>(external: &'a Value, pointer: &str) -> &'a [Value] {
    match external.pointer(pointer) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(all)) => all,
        Some(other) => std::slice::from_ref(other),
    }
}

/// The store that one of its items reads from: its own, else that of the whole.
pub(super) fn store_ref(item: &Value, external: &Value) -> Option<StoreRef> {
    let reference = item.pointer("/sourceRef/storeRef").or_else(|| external.pointer("/spec/secretStoreRef"))?;
    Some(StoreRef {
        cluster: text(reference, "/kind") == Some("ClusterSecretStore"),
        name: text(reference, "/name")?.to_owned(),
    })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mappings::Labels;
    use super::*;

    fn keys(spec: Value) -> String {
        let (primary, back_compat) = ("acme_account_secret".parse(), "acme_account_secret_back_compat".parse());
        let labels = vec![("app".to_owned(), "deepdesk".to_owned())];
        let labels = Labels { primary: labels.clone(), back_compat: labels };
        let secrets = Secrets {
            primary: primary.as_ref().expect("a fit id"),
            back_compat: back_compat.as_ref().expect("a fit id"),
            labels: Some(&labels),
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
                "(any key)=primary Opaque, (any key)=back-compat Opaque",
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
    fn what_is_not_followed_is_opaque_and_never_absent() {
        let (id, both) = ("acme_account_secret", "(any key)=primary Opaque, (any key)=back-compat Opaque");
        let by = |reference: Value| json!({"data": [{"secretKey": "k", "remoteRef": reference}]});
        let extract = |more: Value| {
            let mut item = json!({"extract": {"key": id}});
            json_patch::merge(&mut item, &more);
            json!({"dataFrom": [item]})
        };
        let made = |template: Value| {
            json!({"data": [{"secretKey": "KEY", "remoteRef": {"key": id}}, {"secretKey": "URL", "remoteRef": {"key": "url"}}],
                "target": {"template": template}})
        };
        let text = |text: &str| made(json!({"data": {"T": text}}));
        let cases = [
            (by(json!({"key": format!("projects/p/secrets/{id}")})), "k=primary Opaque"),
            (by(json!({"key": format!("projects/p/locations/l/secrets/{id}/versions/3")})), "k=primary Opaque"),
            (by(json!({"key": format!("{id}/versions/latest")})), "k=primary Opaque"),
            (by(json!({"key": format!("projects/p/secrets/another_{id}")})), ""),
            (by(json!({"key": id, "metadataPolicy": "Fetch"})), "k=primary Opaque"),
            (by(json!({"key": id, "metadataPolicy": "None"})), "k=primary Exact"),
            (by(json!({"key": {"name": id}})), "(any key)=primary Opaque"),
            (json!({"data": {"secretKey": "k", "remoteRef": {"key": id}}}), "k=primary Exact"),
            (json!({"data": [{"secretKey": id, "remoteRef": {"key": "another"}}]}), ""),
            (json!({"data": [{"remoteRef": {"key": id}}]}), "(any key)=primary Opaque"),
            (
                extract(json!({"extract": {"metadataPolicy": "Fetch"}})),
                "(extract of acme_account_secret)=primary Opaque",
            ),
            (extract(json!({"sourceRef": {"generatorRef": {"kind": "Password", "name": "x"}}})), "=primary Exact"),
            (json!({"dataFrom": [{"sourceRef": {"generatorRef": {"kind": "Password", "name": "x"}}}]}), ""),
            (json!({"dataFrom": [{"fetch": {"key": id}}]}), "(any key)=primary Opaque"),
            (
                json!({"dataFrom": [{"find": {"name": {"regexp": "("}}}]}),
                "acme_account_secret=primary Opaque, acme_account_secret_back_compat=back-compat Opaque",
            ),
            (
                json!({"dataFrom": [{"find": {"name": {"regexp": "^acme"}}, "rewrite": [{"merge": {"into": "x"}}]}]}),
                both,
            ),
            (
                json!({"dataFrom": [{"find": {"name": {"regexp": "^acme"}}, "rewrite": [{"regexp": {"source": "[a&&b]", "target": "x"}}]}]}),
                both,
            ),
            (json!({"dataFrom": [{"find": {"name": {"regexp": "^acme"}, "conversionStrategy": "New"}}]}), both),
            (text("{{ range $k, $v := . }}{{ $k }}={{ $v }}{{ end }}"), "T=primary Opaque"),
            (text("{{- range $name, $value := $ -}}{{ $value }}{{ end }}"), "T=primary Opaque"),
            (text("{{ . | toJson }}"), "T=primary Opaque"),
            (text("{{ toJson $ }}"), "T=primary Opaque"),
            (text("{{ index . \"KEY\" }}"), "T=primary Opaque"),
            (text("{{ index . (printf \"%s%s\" \"K\" \"EY\") }}"), "T=primary Opaque"),
            (text("{{ with . }}{{ .URL }}{{ end }}"), "T=primary Opaque"),
            (text("{{ template \"x\" . }}"), "T=primary Opaque"),
            (text("{{ .KEY }}{{ range . }}x{{ end }}"), "T=primary Opaque"),
            (text("{{ $.KEY }}"), "T=primary Opaque"),
            (text("{{ unfinished ."), "T=primary Opaque"),
            // These take other keys alone.
            (text("{{ .URL }}"), ""),
            (text("{{ $.URL | trimSuffix \".\" }}/{{ printf `.` }}"), ""),
            (text("{{ $url := .URL }}{{ $url | b64enc }} 1.5 . $"), ""),
            (text("{{/* all of . */}}fixed"), ""),
            (text("{{ .KEY }}, {{ .URL }}."), "T=primary Within"),
            (made(json!({"templateFrom": [{"configMap": {"name": "x"}}]})), "(any key)=primary Opaque"),
            (
                made(json!({"data": {"T": "{{ .KEY }}"}, "templateFrom": [{"literal": "x"}]})),
                "T=primary Exact, (any key)=primary Opaque",
            ),
            (
                json!({"dataFrom": [{"extract": {"key": id}}], "target": {"template": {"data": {"T": "{{ .any }}", "U": "x"}}}}),
                "T=primary Opaque",
            ),
        ];
        for (mut spec, expected) in cases {
            spec["secretStoreRef"] = json!({"name": "gsm", "kind": "SecretStore"});
            assert_eq!(keys(spec.clone()), expected, "{spec}");
            // Without a store, or with a target that no Secret can have, it fails; it is there all the same.
            spec.as_object_mut().expect("an object").remove("secretStoreRef");
            spec["target"]["name"] = "No name!".into();
            assert_eq!(keys(spec.clone()), expected, "{spec}");
        }
    }

    #[test]
    fn labels_that_were_not_read_may_be_any() {
        let (primary, back_compat) = ("acme_account_secret".parse(), "acme_account_secret_back_compat".parse());
        let (primary, back_compat) = (primary.expect("a fit id"), back_compat.expect("a fit id"));
        let label = || vec![("app".to_owned(), "deepdesk".to_owned())];
        let of_one = Labels { primary: Vec::new(), back_compat: label() };
        let external =
            json!({"metadata": {"name": "x"}, "spec": {"dataFrom": [{"find": {"tags": {"app": "deepdesk"}}}]}});
        for (labels, expected) in [(None, "primary Opaque, back-compat Opaque"), (Some(&of_one), "back-compat Exact")] {
            let secrets = Secrets { primary: &primary, back_compat: &back_compat, labels };
            let reader = read(&external, &secrets).expect("it reads");
            let found = reader.mappings.iter().map(|one| format!("{} {:?}", one.source.as_str(), one.derivation));
            assert_eq!(found.collect::<Vec<_>>().join(", "), expected);
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
}
