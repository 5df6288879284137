//! What refuses before the first write.

use serde_json::{Value, json};

use crate::account::{Account, After};
use crate::world::until;

/// The same rotation is refused with this check, and nothing is written.
#[track_caller]
pub fn refused(account: &Account, id: &str, says: &str) {
    let back_compat = account.versions(&account.back_compat());
    let result = account.run("rotate", &["--yes", "-o", "json"]).code(4).says(id).says(says).says("hint:").json();
    let failed = |check: &&Value| check["id"] == id && check["result"] == "fail" && check["hint"] != "";
    assert!(result["checks"].as_array().expect("checks").iter().any(|check| failed(&check)), "{}", result["checks"]);
    assert_eq!(account.versions(&account.back_compat()), back_compat);
    account.untouched();
}

fn external_secret(object: &Value, name: &str) -> bool {
    object["kind"] == "ExternalSecret" && object["metadata"]["name"] == name
}

#[needs(kubectl)]
#[test]
fn an_external_secret_that_pins_a_version() {
    let account = Account::with(After::Globex, "pinned", |object| {
        if external_secret(object, "admin-secrets") {
            object["spec"]["data"][0]["remoteRef"]["version"] = "3".into();
        }
    });
    refused(&account, "DD-ES-PINNED", "pins version 3");
    account.run("verify", &[]).code(3).says("DD-ES-PINNED");
}

#[needs(kubectl)]
#[test]
fn an_external_secret_that_is_created_once() {
    let account = Account::with(After::Globex, "created-once", |object| {
        if external_secret(object, "admin-secrets") {
            object["spec"]["refreshPolicy"] = "CreatedOnce".into();
        }
    });
    refused(&account, "DD-ES-CREATED-ONCE", "CreatedOnce");
}

#[needs(kubectl)]
#[test]
fn an_external_secret_with_interval_zero() {
    let account = Account::with(After::Globex, "interval-zero", |object| {
        if external_secret(object, "backend-secrets") {
            object["spec"]["refreshInterval"] = "0".into();
        }
    });
    refused(&account, "DD-ES-INTERVAL-ZERO", "refreshInterval 0");
}

#[needs(kubectl)]
#[test]
fn an_immutable_target() {
    let account = Account::with(After::Initech, "immutable", |object| {
        if external_secret(object, "backend-secrets") {
            object["spec"]["target"]["immutable"] = true.into();
        }
    });
    refused(&account, "DD-ES-IMMUTABLE", "immutable");
}

#[needs(kubectl)]
#[test]
fn an_external_secret_of_a_cluster_external_secret() {
    let account = Account::new(After::Globex, "owned");
    let spec = account.get("externalsecret", "backend-secrets")["spec"].clone();
    account.world.kubectl(&["delete", "externalsecret", "backend-secrets", "-n", &account.name]);
    account.world.create(&json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ClusterExternalSecret", "metadata": {"name": "owner"},
        "spec": {
            "namespaceSelectors": [{"matchLabels": {"kubernetes.io/metadata.name": account.name}}],
            "externalSecretName": "backend-secrets", "externalSecretSpec": spec,
        },
    }));
    until("its ExternalSecret", || {
        let found = ["get", "externalsecret", "backend-secrets", "-n", &account.name, "-o", "json"];
        account.world.try_kubectl(&found, None).is_ok_and(|text| text.contains("\"Ready\""))
    });
    account.until_healthy();
    // Why: what is annotated by others does not stay.
    account.patch("externalsecret", "backend-secrets", &crate::world::annotation("force-sync", "1"));
    until("the annotation is taken away", || {
        account.get("externalsecret", "backend-secrets")["metadata"]["annotations"].get("force-sync").is_none()
    });
    // It is synced like others, and what arrives is told by the bytes.
    account.run("rotate", &["--yes"]).code(0);
    until("both hold the new one", || {
        let held = account.holdings();
        held["backend-secrets/SECRET_KEY"] == "primary v4" && held["admin-secrets/SECRET_KEY"] == "primary v4"
    });
    // What the hint says works.
    account.add(&account.primary(), &crate::account::value("through the owner"));
    account.world.kubectl(&[
        "annotate",
        "clusterexternalsecret",
        "owner",
        "external-secrets.io/force-sync=1",
        "--overwrite",
    ]);
    until("it is copied", || account.holdings()["backend-secrets/SECRET_KEY"] == "primary v5");
}

#[needs(kubectl)]
#[test]
fn a_template_whose_bytes_cannot_be_compared() {
    let account = Account::with(After::Initech, "opaque", |object| {
        if external_secret(object, "backend-secrets") {
            object["spec"]["target"]["template"]["data"]["SECRET_KEY"] = "{{ .key | upper }}".into();
        }
    });
    refused(&account, "DD-ES-OPAQUE", "cannot be compared");
}

#[needs(kubectl)]
#[test]
fn a_back_compat_that_nothing_maps() {
    let account = Account::with(After::Globex, "unmapped", |object| {
        if object["kind"] == "ExternalSecret" {
            let data = object["spec"]["data"].as_array_mut().expect("a list");
            data.retain(|item| item["secretKey"] != "SECRET_KEY_BACK_COMPAT");
        }
    });
    refused(&account, "DD-BACK-COMPAT-MAPPED", "unmapped_account_secret_back_compat");
}

#[needs(kubectl)]
#[test]
fn a_find_that_would_not_find_the_back_compat() {
    let account = Account::with(After::Acme, "finds-nothing", |object| {
        if object["kind"] == "ExternalSecret" {
            object["spec"]["dataFrom"][0]["find"]["name"]["regexp"] =
                "^finds-nothing_account_secret_backcompat$".into();
        }
    });
    refused(&account, "DD-BACK-COMPAT-MAPPED", "finds-nothing_account_secret_back_compat");
}

#[needs(kubectl)]
#[test]
fn an_external_secret_of_the_runbook_is_missing() {
    let account = Account::with(After::Globex, "es-missing", |_| {});
    account.world.kubectl(&["delete", "externalsecret", "admin-secrets", "-n", &account.name]);
    refused(&account, "DD-ES-EXIST", "admin-secrets");
}

#[needs(kubectl)]
#[test]
fn a_workload_of_the_runbook_is_missing() {
    let account = Account::with(After::Globex, "workload-missing", |object| {
        if object["kind"] == "Deployment" && object["metadata"]["name"] == "admin" {
            *object = Value::Null;
        }
    });
    refused(&account, "DD-CONSUMERS", "deployment/admin");
}

#[needs(kubectl)]
#[test]
fn a_paused_deployment() {
    let account = Account::new(After::Globex, "paused");
    account.patch("deployment", "backend", &json!({"spec": {"paused": true}}));
    refused(&account, "DD-PAUSED", "deployment/backend");
    account.run("restart", &["--yes"]).code(4).says("kubectl rollout resume");
    account.patch("deployment", "backend", &json!({"spec": {"paused": false}}));
    account.until_healthy();
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
}

#[needs(kubectl)]
#[test]
fn a_stateful_set_that_no_restart_replaces() {
    let account = Account::new(After::Globex, "held-back");
    let env = json!([{"name": "SECRET_KEY", "valueFrom": {"secretKeyRef": {"name": "backend-secrets", "key": "SECRET_KEY"}}}]);
    account.create(json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "ledger"},
        "spec": {
            "serviceName": "ledger", "replicas": 1, "selector": {"matchLabels": {"app": "ledger"}}, "updateStrategy": {"type": "OnDelete"},
            "template": {"metadata": {"labels": {"app": "ledger"}}, "spec": {"containers": [{"name": "ledger", "image": "ledger:1", "env": env}]}},
        },
    }));
    until("its pod is up", || account.get("statefulset", "ledger")["status"]["readyReplicas"] == 1);
    refused(&account, "DD-HELD-BACK", "statefulset/ledger");
}

#[needs(kubectl)]
#[test]
fn an_enabled_predecessor_that_nothing_explains() {
    let account = Account::new(After::Acme, "unexplained");
    account.set(&account.primary(), 2, "enable");
    account.run("rotate", &["--yes"]).code(4).says("--adopt");
    account.run("rotate", &[&format!("--yes={}", account.name), "--abandon-older"]).code(0);
    account.rotated(4);
}

#[needs(kubectl)]
#[test]
fn a_latest_version_that_is_disabled() {
    let account = Account::new(After::Globex, "latest-disabled");
    account.set(&account.primary(), 3, "disable");
    let result = account.run("rotate", &["--yes", "-o", "json"]).code(4).says("DD-LATEST").json();
    assert_eq!(result["exitCode"], 4);
    account.set(&account.primary(), 3, "enable");
    account.run("verify", &[]).code(0);
}

#[needs(kubectl)]
#[test]
fn a_store_of_another_project() {
    let account = Account::new(After::Globex, "other-project");
    let ran = account.run("rotate", &["--yes", "--project", "another-project"]);
    assert!([1, 4].contains(&ran.code), "{}", ran.stderr);
    ran.says("another-project").says("sandbox-project");
    account.untouched();
}

#[needs(kubectl)]
#[test]
fn a_namespace_that_is_no_account() {
    let world = crate::world::world();
    for name in ["default", "kube-system"] {
        world.run(&["secret", "rotate", "--yes", name], &[]).code(2).says("never an account");
    }
}
