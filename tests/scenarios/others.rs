//! What other tools do to an account: an old value is pushed back, history and notes are taken away, values are decoded on their way.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

use crate::account::{Account, After, CONSUMERS};
use crate::world::{Kind, until};

/// A tool that restores a backup writes the value of before into a Kubernetes Secret, and a PushSecret takes it to Secret Manager.
#[needs(kubectl)]
#[test]
fn a_push_secret_that_brings_the_old_value_back() {
    let account = Account::new(After::Globex, "pushed-back");
    account.run("rotate", &["--yes"]).code(0);
    let (primary, world) = (account.primary(), account.world);
    let old = account.value(&account.back_compat(), "latest").expect("the back-compat is enabled");
    world.create(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "restored", "namespace": account.name}, "data": {"key": old},
    }));
    let push = json!({
        "apiVersion": "external-secrets.io/v1alpha1", "kind": "PushSecret",
        "metadata": {"name": "backup", "namespace": account.name},
        "spec": {
            "refreshInterval": "1h", "updatePolicy": "Replace",
            "secretStoreRefs": [{"name": "secret-manager", "kind": "SecretStore"}],
            "selector": {"secret": {"name": "restored"}},
            "data": [{"match": {"secretKey": "key", "remoteRef": {"remoteKey": primary}}}],
        },
    });
    match world.kind {
        // It pushes only into what it takes for its own.
        Kind::ControlPlane => {
            let path = format!("secrets/{primary}?updateMask=labels");
            let labels = json!({"labels": {"managed-by": "external-secrets"}});
            assert_eq!(world.secret_manager("PATCH", &path, &labels).0, 200);
            account.let_external_secrets(&primary, "roles/secretmanager.admin");
        }
        // The sandbox has no PushSecrets.
        Kind::Sandbox => account.add(&primary, &old),
    }
    if world.kind == Kind::ControlPlane {
        world.create(&push);
    }
    until("the old value is back", || account.versions(&primary).ends_with("4:ENABLED 5:ENABLED"));
    assert_eq!(account.value(&primary, "5"), Some(old));
    // Pods write under v4, which nothing else keeps: nothing spreads v5 before that is stored.
    for command in ["rotate", "restart", "sync"] {
        account.run(command, &["--yes"]).code(4).says("--adopt");
    }
    let ran = account.run("rotate", &["--yes", "--adopt"]).code(0);
    assert!(
        world.kind == Kind::Sandbox || ran.stderr.contains("PushSecret backup"),
        "who brought it is named: {}",
        ran.stderr
    );
    let holdings = account.holdings();
    assert_eq!(holdings["backend-secrets/SECRET_KEY"], "primary v5", "{holdings:?}");
    assert_eq!(holdings["backend-secrets/SECRET_KEY_BACK_COMPAT"], "primary v4", "{holdings:?}");
    for consumer in CONSUMERS {
        account.every_pod_holds(consumer, "SECRET_KEY", "primary v5");
    }
    account.run("verify", &[]).code(0);
}

/// No ReplicaSet of before is left to tell whose an old pod is.
#[needs(kubectl)]
#[test]
fn a_deployment_that_keeps_no_history() {
    let account = Account::with(After::Globex, "no-history", |object| {
        if object["kind"] == "Deployment" {
            object["spec"]["revisionHistoryLimit"] = 0.into();
        }
    });
    account.pods_from_now(crate::world::kubelet::TERMINATE, "3s");
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
    for consumer in CONSUMERS {
        account.every_pod_holds(consumer, "SECRET_KEY", "primary v4");
    }
    account.run("verify", &[]).code(0);
}

/// Whoever applies objects from elsewhere takes away what this program noted on them: the record on the Lease, the notes of the restart.
#[needs(kubectl)]
#[test]
fn notes_that_are_taken_away_lose_nothing() {
    let account = Account::new(After::Globex, "no-notes");
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
    let strip = |kind: &str, name: &str, at: &str| {
        let object = account.get(kind, name);
        let there = object.pointer(at).and_then(Value::as_object).into_iter().flatten();
        let gone: serde_json::Map<String, Value> =
            there.filter(|(key, _)| key.contains("deepdesk.com/")).map(|(key, _)| (key.clone(), Value::Null)).collect();
        assert!(!gone.is_empty(), "{kind}/{name} has no note of ours: {object}");
        let mut patch = Value::Object(gone);
        for part in at.trim_start_matches('/').rsplit('/') {
            patch = json!({part: patch});
        }
        account.patch(kind, name, &patch);
    };
    strip("lease", "deepdesk-rotation", "/metadata/annotations");
    for consumer in CONSUMERS {
        strip("deployment", consumer, "/spec/template/metadata/annotations");
    }
    account.until_healthy();
    // Data may need both values, as before, and the pods of the new templates have them.
    account.run("rotate", &["--yes"]).code(4).says("still holds");
    for consumer in CONSUMERS {
        account.every_pod_holds(consumer, "SECRET_KEY", "primary v4");
        account.every_pod_holds(consumer, "SECRET_KEY_BACK_COMPAT", "primary v3");
    }
    let verified = account.run("verify", &[]);
    assert!([0, 3].contains(&verified.code), "{}", verified.stderr);
    account.run("restart", &["--yes"]).code(0);
    account.run("verify", &[]).code(0);
    account.run("finalize", &["--yes", "--reencrypted"]).code(0);
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(5);
}

/// What pods get is decoded, what Secret Manager has is not: both are compared for what they are.
#[needs(kubectl)]
#[test]
fn values_that_external_secrets_decodes() {
    for (strategy, name) in [("Base64", "decoded"), ("Base64URL", "decoded-url"), ("Auto", "decoded-auto")] {
        let account = Account::new(After::Globex, name);
        let text = format!("a key of {name} that is long enough to be one");
        // Each is encoded once more than what a payload always is.
        for (secret, before) in [(account.primary(), 3), (account.back_compat(), 1)] {
            account.add(&secret, &STANDARD.encode(URL_SAFE.encode(&text)));
            account.set(&secret, before, "disable");
        }
        for external in ["admin-secrets", "backend-secrets"] {
            let mut data = account.get("externalsecret", external)["spec"]["data"].clone();
            for entry in data.as_array_mut().into_iter().flatten() {
                if entry["remoteRef"]["key"].as_str().is_some_and(|key| key.contains("account_secret")) {
                    entry["remoteRef"]["decodingStrategy"] = strategy.into();
                }
            }
            account.patch("externalsecret", external, &json!({"spec": {"data": data}}));
            account.patch("externalsecret", external, &crate::world::annotation("force-sync", "1"));
        }
        let held_in = |name: &str, key: &str| {
            let secret = account.get("secret", name);
            STANDARD.decode(secret["data"][key].as_str().expect("it is there")).expect("base64")
        };
        let held = |key: &str| held_in("backend-secrets", key);
        until("it is copied, decoded", || {
            held("SECRET_KEY") == text.as_bytes() && held_in("admin-secrets", "SECRET_KEY") == text.as_bytes()
        });
        std::thread::sleep(Duration::from_millis(1100));
        account.world.kubectl(&["rollout", "restart", "deployment", "-n", &account.name]);
        account.until_healthy();
        // One that is ending counts: its value would be lost with it.
        until("no pod has the value of before", || {
            account.pods().iter().all(|pod| pod.holds.values().all(|held| held != "primary v3"))
        });
        account.run("rotate", &["--yes"]).code(0);
        let stored = account.value(&account.primary(), "5").expect("v5 is enabled");
        let stored = STANDARD.decode(stored).expect("base64");
        let decoded =
            STANDARD.decode(&stored).or_else(|_| URL_SAFE.decode(&stored)).expect("what is stored is encoded");
        assert_eq!(held("SECRET_KEY"), decoded, "{strategy}: pods get what it stands for");
        assert_eq!(held("SECRET_KEY_BACK_COMPAT"), text.as_bytes(), "{strategy}");
        account.run("verify", &[]).code(0);
    }
}
