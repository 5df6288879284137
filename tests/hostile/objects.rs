//! ExternalSecrets and stores as a cluster may hold them, and the patterns in them.

use std::time::{Duration, Instant};

use deepdesk_protocol::facts::names::{SecretHome, SecretId};
use kubectl_deepdesk::observe::external_secrets::{needs_labels, read, ready};
use kubectl_deepdesk::observe::mappings::{Labels, Secrets};
use kubectl_deepdesk::observe::store::{StoreRef, read_store};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::input::{anything, holds, nearly_json};

fn external() -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": {"name": "admin-secrets", "namespace": "acme", "uid": "u-1", "ownerReferences": [{"kind": "ClusterExternalSecret", "name": "x"}]},
        "spec": {
            "refreshInterval": "1h0m0s", "refreshPolicy": "Periodic",
            "secretStoreRef": {"name": "gsm", "kind": "SecretStore"},
            "target": {"name": "admin-secrets", "creationPolicy": "Owner", "immutable": false,
                       "template": {"mergePolicy": "Merge", "data": {"URL": "redis://:{{ .SECRET_KEY }}@h", "K": "{{- .SECRET_KEY | toString -}}"}}},
            "data": [
                {"secretKey": "SECRET_KEY", "remoteRef": {"key": "acme_account_secret", "property": "p", "version": "3", "decodingStrategy": "Auto"}},
                {"secretKey": "OLD", "remoteRef": {"key": "acme_account_secret_back_compat"}, "sourceRef": {"storeRef": {"name": "other"}}},
            ],
            "dataFrom": [
                {"extract": {"key": "acme_account_secret"}},
                {"find": {"name": {"regexp": "^acme_"}, "path": "acme", "tags": {"app": "deepdesk"}},
                 "rewrite": [{"regexp": {"source": "acme_(.*)", "target": "X_$1"}}]},
            ],
        },
        "status": {"refreshTime": "2026-11-23T10:00:00Z", "conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced", "message": "m"}]},
    })
}

fn store() -> Value {
    json!({"metadata": {"name": "gsm"}, "spec": {
        "controller": "default",
        "conditions": [{"namespaces": ["acme"], "namespaceRegexes": ["^ac"], "namespaceSelector": {"matchLabels": {"a": "b"}}}],
        "provider": {"gcpsm": {"projectID": "acme-prod", "location": "europe-west1", "auth": {"workloadIdentity": {"clusterProjectID": "p"}}}}},
        "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "r", "message": "m"}]}})
}

fn id(text: &str) -> SecretId {
    text.parse().expect("a fit id")
}

#[test]
fn external_secrets_may_say_anything() {
    let (primary, back_compat) = (id("acme_account_secret"), id("acme_account_secret_back_compat"));
    let labels = vec![("app".to_owned(), "deepdesk".to_owned())];
    let labels = Labels { primary: labels.clone(), back_compat: labels };
    holds("ExternalSecrets", 3000, prop_oneof![9 => nearly_json(external()), 1 => anything()], |external| {
        let secrets = Secrets { primary: &primary, back_compat: &back_compat, labels: Some(&labels) };
        needs_labels(&external);
        ready(&external);
        if let Some(reader) = read(&external, &secrets) {
            assert!(!reader.mappings.is_empty());
        }
    });
}

#[test]
fn stores_may_say_anything() {
    let strategy =
        (prop_oneof![9 => nearly_json(store()), 1 => anything()], any::<bool>(), prop::option::of(anything()));
    holds("stores", 3000, strategy, |(store, cluster, labels)| {
        let reference = StoreRef { cluster, name: "gsm".to_owned() };
        let read = read_store(Some(&store), &reference, "acme", labels.as_ref());
        // What is taken for a project goes into URLs.
        if let Some(SecretHome { project, location }) = read.home {
            let fits = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-:.".contains(&byte));
            assert!(fits(project.as_str()) && location.is_none_or(|location| fits(location.as_str())), "{project:?}");
        }
    });
}

/// Patterns as Go has them, those that grow while they are compiled, and nonsense.
fn pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z_]{1,4}",
        prop::sample::select(
            &[
                "^",
                "$",
                ".*",
                ".+?",
                "(",
                ")",
                "(?:",
                "(?P<n>",
                "(?i)",
                "(?s:",
                "|",
                "[",
                "]",
                "[^",
                "[a-z]",
                "[[:alpha:]]",
                "[a&&b]",
                "{2,}",
                "{,5}",
                "{1000}",
                "{",
                "\\Q",
                "\\E",
                "\\pL",
                "\\p{Greek}",
                "\\d",
                "\\b",
                "\\z",
                "\\C",
                "\\x{10FFFF}",
                "\\8",
                "\\",
                "*",
                "**",
                "+",
                "?",
                "é"
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

#[test]
fn a_find_pattern_is_followed_or_owned_up_to() {
    let (primary, back_compat) = (id("acme_account_secret"), id("acme_account_secret_back_compat"));
    holds("find patterns", 3000, (pattern(), pattern(), "[$a-z_{}1]{0,8}"), |(find, source, target)| {
        let began = Instant::now();
        let item =
            json!({"find": {"name": {"regexp": find}}, "rewrite": [{"regexp": {"source": source, "target": target}}]});
        let external =
            json!({"metadata": {"name": "x"}, "spec": {"secretStoreRef": {"name": "gsm"}, "dataFrom": [item]}});
        let found = read(&external, &Secrets { primary: &primary, back_compat: &back_compat, labels: None });
        // One that cannot be read may find both, as far as this program knows.
        if regex::Regex::new(&find).is_err() {
            assert_eq!(found.expect("it may").mappings.len(), 2, "{find}");
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{find} {source}");
    });
}
