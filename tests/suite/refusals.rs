//! What can refuse, refuses before the first write: each check, provoked with the real objects.

use serde_json::{Value, json};

use crate::world::{World, back_compat, external_secret, primary, workload};

const CLUSTER_STORE: &str = "/apis/external-secrets.io/v1/clustersecretstores/secret-manager";

fn store(account: &str) -> String {
    format!("/apis/external-secrets.io/v1/namespaces/{account}/secretstores/secret-manager")
}

/// `secret rotate` refuses with this check and these words, and nothing is written; `verify` sees it too where told so.
#[track_caller]
fn refused(world: &World, account: &str, id: &str, says: &str) {
    let versions = |world: &World| (world.versions(&primary(account)), world.versions(&back_compat(account)));
    let (before, writes) = (versions(world), world.writes().len());
    let ran =
        world.run(&["secret", "rotate", account, "--yes", "-o", "json"]).code(4).says(id).says(says).says("hint:");
    let result = ran.json();
    assert_eq!(result["exitCode"], 4);
    let failed: Vec<&Value> =
        result["checks"].as_array().expect("checks").iter().filter(|check| check["result"] == "fail").collect();
    assert!(failed.iter().any(|check| check["id"] == id && check["hint"] != ""), "{failed:#?}");
    assert_eq!(world.writes().len(), writes, "something was written");
    assert_eq!((versions(world), world.lock_holder(account)), (before, None));
}

/// A change to one ExternalSecret, and the check that must see it.
fn provoked(account: &str, name: &str, change: Value, id: &str, says: &str) {
    let world = World::start(&[]);
    world.patch(&external_secret(account, name), change);
    refused(&world, account, id, says);
    world.run(&["secret", "verify", account]).code(3).says(id);
}

#[test]
fn an_external_secret_that_pins_a_version() {
    let data = json!([
        {"secretKey": "SECRET_KEY", "remoteRef": {"key": primary("globex"), "version": "3"}},
        {"secretKey": "SECRET_KEY_BACK_COMPAT", "remoteRef": {"key": back_compat("globex")}},
    ]);
    provoked("globex", "admin-secrets", json!({"spec": {"data": data}}), "DD-ES-PINNED", "pins version 3");
}

#[test]
fn external_secrets_that_ignore_a_forced_sync_in_silence() {
    provoked(
        "globex",
        "admin-secrets",
        json!({"spec": {"refreshPolicy": "CreatedOnce"}}),
        "DD-ES-CREATED-ONCE",
        "CreatedOnce",
    );
    provoked(
        "globex",
        "backend-secrets",
        json!({"spec": {"refreshInterval": "0"}}),
        "DD-ES-INTERVAL-ZERO",
        "refreshInterval 0",
    );
    provoked(
        "initech",
        "backend-secrets",
        json!({"spec": {"target": {"immutable": true}}}),
        "DD-ES-IMMUTABLE",
        "immutable",
    );
}

#[test]
fn a_key_whose_bytes_cannot_be_compared() {
    let template = json!({"spec": {"target": {"template": {"data": {"SECRET_KEY": "{{ .key | upper }}"}}}}});
    provoked("initech", "backend-secrets", template, "DD-ES-OPAQUE", "cannot be compared");
}

#[test]
fn a_target_that_is_no_kubernetes_secret_of_its_own() {
    provoked(
        "globex",
        "admin-secrets",
        json!({"spec": {"target": {"creationPolicy": "None"}}}),
        "DD-ES-TARGET",
        "creationPolicy None",
    );
}

#[test]
fn a_property_of_a_json_value() {
    let world = World::start(&[]);
    // The value is JSON, and the key is a property of it: as operators of such an account have it.
    let held = |world: &World, json: &str| {
        std::fs::write(world.home().join("json"), json).expect("writable");
        world.tool("base64", &["-w0", "json"]).stdout
    };
    let value = held(&world, r#"{"key":"0123456789012345678901234567890123456789"}"#);
    world.takes_a_property(&value);
    refused(&world, "globex", "DD-ES-PROPERTY", "--value-from");
    // The whole new JSON is what the hint asks for.
    let new = r#"{"key":"9876543210987654321098765432109876543210"}"#;
    world.run_with_input(&["secret", "rotate", "globex", "--yes", "--value-from", "-"], new.as_bytes()).code(0);
    assert_eq!(world.value(&primary("globex"), "5").expect("enabled"), held(&world, new));
    world.run(&["secret", "verify", "globex"]).code(0);
}

#[test]
fn a_store_that_cannot_be_used() {
    let world = World::start(&[]);
    world.patch(&store("globex"), json!({"spec": {"controller": "another"}}));
    refused(&world, "globex", "DD-ES-STORE", "another");
    world.patch(CLUSTER_STORE, json!({"spec": {"conditions": [{"namespaces": ["elsewhere"]}]}}));
    refused(&world, "initech", "DD-ES-STORE", "initech");
    world.sent("DELETE", &store("acme"), None);
    refused(&world, "acme", "DD-ES-STORE", "secret-manager");
}

#[test]
fn a_store_that_is_not_ready() {
    let world = World::start(&["--accounts=2"]);
    let condition = json!([{"type": "Ready", "status": "False", "reason": "InvalidProviderConfig", "message": "no such service account"}]);
    let path = format!("{}/status", store("globex"));
    world.patch(&path, json!({"status": {"conditions": condition}}));
    refused(&world, "globex", "DD-ES-STORE", "no such service account");
}

#[test]
fn stores_that_read_another_project() {
    let world = World::start(&["--accounts=2"]);
    let writes = world.writes().len();
    let ran = world.run(&["secret", "rotate", "globex", "--yes", "--project", "another-project"]);
    assert!([1, 4].contains(&ran.code), "{}", ran.stderr);
    ran.says("another-project").says("sandbox-project");
    world.run(&["secret", "verify", "globex", "--project", "sandbox-project"]).code(0);
    assert_eq!(world.writes().len(), writes);
}

#[test]
fn a_back_compat_that_nothing_maps() {
    let world = World::start(&["--accounts=2"]);
    for name in ["admin-secrets", "backend-secrets"] {
        let data = json!([
            {"secretKey": "SECRET_KEY", "remoteRef": {"key": primary("globex")}},
            {"secretKey": "DATABASE_URL", "remoteRef": {"key": "globex_database_url"}},
        ]);
        world.patch(&external_secret("globex", name), json!({"spec": {"data": data}}));
    }
    world.run(&["secret", "sync", "globex"]).code(0);
    world.run(&["secret", "restart", "globex", "--yes"]).code(0);
    refused(&world, "globex", "DD-BACK-COMPAT-MAPPED", "globex_account_secret_back_compat");
    let told = world.run(&["secret", "verify", "globex"]).code(3).says("DD-BACK-COMPAT-MAPPED");
    assert!(told.stderr.contains("SECRET_KEY_BACK_COMPAT"), "the missing lines are not shown: {}", told.stderr);
    // The backend reads Secret Manager itself: its operator says so.
    world.run(&["secret", "rotate", "globex", "--yes", "--back-compat-unmapped"]).code(0);
    assert_eq!(world.holdings("globex")["backend-secrets/SECRET_KEY"], "primary v4");
    assert!(world.versions(&primary("globex")).ends_with("3:DISABLED 4:ENABLED"));
}

#[test]
fn an_external_secret_of_the_runbook_is_missing() {
    let world = World::start(&["--accounts=2"]);
    world.sent("DELETE", &external_secret("globex", "admin-secrets"), None);
    let target = "/api/v1/namespaces/globex/secrets/admin-secrets";
    world.until("what it owned is gone too", |world| world.send("GET", target, None).0 == 404);
    refused(&world, "globex", "DD-ES-EXIST", "globex/admin-secrets");
    // One cause, one line: what is missing there is not listed.
    let missing = world.run(&["secret", "rotate", "nobody", "--yes"]).code(1);
    missing.says("namespace \"nobody\" does not exist");
}

#[test]
fn an_external_secret_that_does_not_sync() {
    let world = World::start(&["--accounts=2"]);
    world.fault("sync-failing", Some("backend-secrets"));
    world.sync("globex", "backend-secrets");
    let ready = |world: &World| {
        world.sent("GET", &external_secret("globex", "backend-secrets"), None)["status"]["conditions"][0]["status"]
            == "True"
    };
    world.until("the failure shows", |world| !ready(world));
    refused(&world, "globex", "DD-ES-READY", "code = Unavailable");
}

/// Waits until a workload's pods are gone.
#[track_caller]
fn gone(world: &World, owner: &str) {
    let running = |pod: &Value| pod["owner"] == owner && pod["ended"].is_null();
    world.until("its pods are gone", |world| !world.pods("globex").iter().any(running));
}

#[test]
fn workloads_that_a_restart_does_not_replace() {
    let world = World::start(&["--accounts=2"]);
    world.patch(&workload("globex", "deployments/backend"), json!({"spec": {"paused": true}}));
    refused(&world, "globex", "DD-PAUSED", "deployment/backend");
    world.run(&["secret", "restart", "globex", "--yes"]).code(4).says("DD-PAUSED").says("kubectl rollout resume");
    world.patch(&workload("globex", "deployments/backend"), json!({"spec": {"paused": false}}));
    let env = json!([{"name": "SECRET_KEY", "valueFrom": {"secretKeyRef": {"name": "backend-secrets", "key": "SECRET_KEY"}}}]);
    let ledger = |kind: &str, strategy: Value| {
        json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "ledger"}, "spec": {
            "serviceName": "ledger", "replicas": 1, "selector": {"matchLabels": {"app": "ledger"}}, "updateStrategy": strategy,
            "template": {"metadata": {"labels": {"app": "ledger"}}, "spec": {"containers": [{"name": "ledger", "image": "ledger:1", "env": env}]}}}})
    };
    for strategy in [json!({"type": "OnDelete"}), json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}})] {
        world.sent("POST", &workload("globex", "statefulsets"), Some(ledger("StatefulSet", strategy)));
        let up = |pod: &Value| pod["owner"] == "ledger" && pod["ended"].is_null() && !pod["ready"].is_null();
        world.until("its pod is up", |world| world.pods("globex").iter().any(up));
        refused(&world, "globex", "DD-HELD-BACK", "statefulset/ledger");
        world.sent("DELETE", &workload("globex", "statefulsets/ledger"), None);
        gone(&world, "ledger");
    }
}

#[test]
fn a_workload_of_the_runbook_is_missing() {
    let world = World::start(&["--accounts=2"]);
    world.sent("DELETE", &workload("globex", "deployments/admin"), None);
    gone(&world, "admin");
    refused(&world, "globex", "DD-CONSUMERS", "deployment/admin");
    // Who has none says so.
    let names = ["--workload=deployment/backend", "--workload=deployment/worker"];
    world.run(&[&["secret", "verify", "globex"][..], &names].concat()).code(0);
}

#[test]
fn a_workload_that_is_not_healthy() {
    let world = World::start(&["--accounts=2", "--fault=rollout-stuck=worker"]);
    world.patch(
        &workload("globex", "deployments/worker"),
        json!({"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}),
    );
    world.until("the rollout is stuck", |world| {
        let conditions =
            world.sent("GET", &workload("globex", "deployments/worker"), None)["status"]["conditions"].to_string();
        conditions.contains("ProgressDeadlineExceeded")
    });
    refused(&world, "globex", "DD-HEALTHY", "deployment/worker");
}

#[test]
fn a_latest_version_that_is_not_enabled() {
    let world = World::start(&["--accounts=2"]);
    world.set(&primary("globex"), 3, "disable");
    refused(&world, "globex", "DD-LATEST", "disabled");
    world.run(&["secret", "verify", "globex"]).code(3).says("DD-LATEST").says("gcloud secrets versions enable 3");
    world.set(&primary("globex"), 3, "enable");
    world.set(&back_compat("globex"), 1, "disable");
    refused(&world, "globex", "DD-BACK-COMPAT", "disabled");
    world.set(&back_compat("globex"), 1, "enable");
    world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
}

/// Version 4 was brought by hand, and version 5 on top of it once the back-compat held the value of 4.
fn by_hand() -> World {
    let world = World::start(&["--accounts=2"]);
    world.add(&primary("globex"), "YSBuZXcgdmFsdWUgdGhhdCBzb21lYm9keSBhZGRlZCBieSBoYW5k");
    world.set(&primary("globex"), 3, "disable");
    world.copied_by_hand("globex");
    // What is in use is put into the back-compat, then rotated by hand once more.
    world.add(&back_compat("globex"), &world.value(&primary("globex"), "latest").expect("enabled"));
    world.set(&back_compat("globex"), 1, "disable");
    world.add(&primary("globex"), "YW5vdGhlciBuZXcgdmFsdWUgdGhhdCB3YXMgYWRkZWQgYnkgaGFuZA==");
    world
}

#[test]
fn an_enabled_predecessor_that_nothing_explains() {
    // Acme has no back-compat: years of rotations by hand that disabled nothing.
    let start = || {
        let world = World::start(&["--accounts=1"]);
        world.set(&primary("acme"), 6, "enable");
        world
    };
    let world = start();
    let before = world.state("acme");
    let ran = world.run(&["secret", "rotate", "acme", "--yes", "-o", "json"]).code(4).says("--adopt");
    assert_eq!(ran.json()["reason"], "UnexplainedVersion");
    assert_eq!(world.state("acme"), before);
    assert_eq!(world.writes(), Vec::<String>::new());
    world.run(&["secret", "verify", "acme"]).code(3).says("DD-PREDECESSOR");
    // It is the rotation that somebody began: v6 to v7.
    world.run(&["secret", "rotate", "acme", "--yes", "--adopt"]).code(0);
    world.settled("acme", 6, 7);
    // It is of no use any more: a rotation from v7.
    let world = start();
    world.run(&["secret", "rotate", "acme", "--yes=acme", "--abandon-older"]).code(0);
    world.rotated("acme", 7, 8);
    assert!(world.versions(&primary("acme")).contains("6:DISABLED"));
    world.run(&["secret", "rotate", "acme", "--yes=acme", "--adopt", "--abandon-older"]).code(2);
}

#[test]
fn a_rotation_begun_by_hand_is_finished() {
    // The back-compat holds what was in use, and a newer version is there: whoever began it, this is a rotation.
    let world = by_hand();
    assert_eq!(world.run(&["secret", "verify", "globex", "-o", "json"]).code(3).json()["state"], "Rotating");
    world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
    let holdings = world.holdings("globex");
    assert_eq!(holdings["admin-secrets/SECRET_KEY"], "primary v5");
    assert_eq!(holdings["admin-secrets/SECRET_KEY_BACK_COMPAT"], "primary v4");
    assert!(world.versions(&primary("globex")).ends_with("4:DISABLED 5:ENABLED"));
}

#[test]
fn what_is_in_the_cluster_is_not_what_is_in_secret_manager() {
    let world = World::start(&["--accounts=2"]);
    // Somebody disabled v3, added v4 and put it into the back-compat, too, and nothing has copied it yet.
    let current = world.value(&primary("globex"), "latest").expect("enabled");
    world.add(&primary("globex"), "YSBuZXcgdmFsdWUgdGhhdCBzb21lYm9keSBhZGRlZCBieSBoYW5k");
    world.set(&primary("globex"), 3, "disable");
    world.add(&back_compat("globex"), "YSBuZXcgdmFsdWUgdGhhdCBzb21lYm9keSBhZGRlZCBieSBoYW5k");
    assert_ne!(world.value(&primary("globex"), "latest"), Some(current));
    let (before, writes) = (world.state("globex"), world.writes().len());
    let ran = world.run(&["secret", "rotate", "globex", "--yes", "-o", "json"]).code(4).says("rotate globex --adopt");
    assert_eq!((&ran.json()["reason"], world.state("globex")), (&"ForeignVersion".into(), before));
    assert_eq!(world.writes().len(), writes, "something was written");
    assert_eq!(world.run(&["secret", "verify", "globex", "-o", "json"]).code(3).json()["state"], "Blocked");
    // What would spread v4 alone refuses with the same way out.
    for command in ["sync", "restart"] {
        world.run(&["secret", command, "globex"]).code(4).says("does not keep it").says("rotate globex --adopt");
    }
    world.run(&["secret", "rotate", "globex", "--yes", "--adopt"]).code(0);
    world.run(&["secret", "verify", "globex"]).code(0);
    let holdings = world.holdings("globex");
    assert_eq!(holdings["backend-secrets/SECRET_KEY"], "primary v4");
    assert_eq!(holdings["backend-secrets/SECRET_KEY_BACK_COMPAT"], "primary v3");
}

#[test]
fn a_namespace_that_is_no_account() {
    let world = World::start(&["--accounts=1"]);
    for args in [
        &["secret", "rotate", "--yes", "-n", "default"][..],
        &["secret", "rotate", "--yes", "kube-system"],
        &["secret", "verify", "default"],
    ] {
        world.run(args).code(2).says("never an account").says("ACCOUNT");
    }
    // The current context's namespace is not taken either.
    let path = world.environment()["KUBECONFIG"].clone();
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, text.replace("namespace: acme", "namespace: default")).expect("writable");
    world.run(&["secret", "rotate", "--yes"]).code(2).says("never an account");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn what_only_warns_stops_nothing() {
    let world = World::start(&["--accounts=2"]);
    world.set(&primary("globex"), 1, "enable");
    let path = "/v1/projects/sandbox-project/secrets/globex_account_secret?updateMask=labels";
    world.sent("PATCH", path, Some(json!({"labels": {"goog-terraform-provisioned": "true"}})));
    let ran = world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
    ran.says("DD-ONE-POD").says("DD-OLDER-ENABLED").says("DD-TERRAFORM");
    world.rotated("globex", 3, 4);
}
