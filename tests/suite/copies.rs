//! Kubernetes Secrets that hold a value of the account and that something else writes, what reads them, and what was not looked at.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{World, external_secret};

const SECRETS: &str = "/api/v1/namespaces/globex/secrets";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/globex/deployments";
const ROTATE: [&str; 6] = ["secret", "rotate", "globex", "--yes", "-o", "json"];
const FINALIZE: [&str; 5] = ["secret", "finalize", "globex", "--yes", "--reencrypted"];

/// What a Kubernetes Secret holds under a key, as base64.
fn held(world: &World, name: &str, key: &str) -> String {
    world.sent("GET", &format!("{SECRETS}/{name}"), None)["data"][key].as_str().expect("base64").to_owned()
}

fn copied(world: &World, name: &str, annotations: Value) {
    let data = json!({"SECRET_KEY": held(world, "backend-secrets", "SECRET_KEY")});
    let metadata = json!({"name": name, "annotations": annotations});
    world.sent(
        "POST",
        SECRETS,
        Some(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})),
    );
}

fn reading(world: &World, name: &str, secret: &str) {
    std::thread::sleep(Duration::from_millis(1100));
    let labels = json!({"app": name});
    let pod =
        json!({"containers": [{"name": "main", "image": "main:1", "envFrom": [{"secretRef": {"name": secret}}]}]});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}});
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec});
    world.sent("POST", DEPLOYMENTS, Some(object));
    rolled_out(world, name);
}

fn rolled_out(world: &World, name: &str) {
    world.until("it runs", |world| {
        let now = world.sent("GET", &format!("{DEPLOYMENTS}/{name}"), None);
        let (status, all) = (&now["status"], ["replicas", "updatedReplicas", "availableReplicas"]);
        status["observedGeneration"] == now["metadata"]["generation"] && all.iter().all(|field| status[field] == 1)
    });
}

/// Whoever copies does it again, and what reads the copy is started afresh.
fn copied_again(world: &World, secret: &str, reader: &str) {
    let data = json!({"SECRET_KEY": held(world, "backend-secrets", "SECRET_KEY")});
    world.patch(&format!("{SECRETS}/{secret}"), json!({"data": data}));
    std::thread::sleep(Duration::from_millis(1100));
    let template = json!({"spec": {"template": {"metadata": {"annotations": {"restarted": "once"}}}}});
    world.patch(&format!("{DEPLOYMENTS}/{reader}"), template);
    rolled_out(world, reader);
    world.until("no pod of before is left", |world| {
        let pods = world.sent("GET", "/api/v1/namespaces/globex/pods", None);
        pods["items"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|pod| pod["metadata"]["labels"]["app"] == reader)
            .count()
            == 1
    });
}

#[test]
fn a_copy_is_found_by_its_bytes_and_what_reads_it_is_not_finalized_over() {
    let world = World::start(&["--accounts=2"]);
    copied(&world, "mailer-keys", json!({"replicator.v1.mittwald.de/replicate-from": "globex/backend-secrets"}));
    reading(&world, "mailer", "mailer-keys");
    let checked = world.run(&["check", "globex"]).code(0);
    let words = "Kubernetes Secret mailer-keys is a copy (SECRET_KEY primary v3), by kubernetes-replicator, from globex/backend-secrets: deployment/mailer reads it";
    assert!(checked.stdout.contains(words), "{}", checked.stdout);
    let ran = world.run(&ROTATE).code(0).says(words).json();
    let others = ran["otherReaders"].as_array().expect("a list");
    assert!(others.iter().any(|one| one["kind"] == "Deployment" && one["name"] == "mailer"), "{others:?}");
    let before = world.state("globex");
    world
        .run(&FINALIZE)
        .code(4)
        .says("DD-OLD-READERS")
        .says("deployment mailer runs")
        .says("kubectl rollout restart deployment/mailer");
    assert_eq!(world.state("globex"), before);
    copied_again(&world, "mailer-keys", "mailer");
    world.run(&FINALIZE).code(0);
}

#[test]
fn a_copy_through_a_store_of_the_kubernetes_provider_is_named_with_where_it_comes_from() {
    let world = World::start(&["--accounts=2"]);
    let store = json!({"apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "metadata": {"name": "this-namespace"},
        "spec": {"provider": {"kubernetes": {"remoteNamespace": "globex"}}}});
    world.sent("POST", "/apis/external-secrets.io/v1/namespaces/globex/secretstores", Some(store));
    // The sandbox's controller does not know that provider: what the real one makes of it is there already.
    copied(&world, "mailer-keys", json!({}));
    let chain = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "mailer-keys"},
        "spec": {"refreshInterval": "10m", "secretStoreRef": {"name": "this-namespace", "kind": "SecretStore"},
            "target": {"name": "mailer-keys"},
            "data": [{"secretKey": "SECRET_KEY", "remoteRef": {"key": "backend-secrets", "property": "SECRET_KEY"}}]}});
    world.sent("POST", external_secret("globex", "").trim_end_matches('/'), Some(chain));
    reading(&world, "mailer", "mailer-keys");
    world
        .run(&ROTATE)
        .code(0)
        .says("ExternalSecret mailer-keys, which reads Secret backend-secrets through SecretStore this-namespace of the kubernetes provider")
        .says("deployment/mailer reads it");
    world.run(&FINALIZE).code(4).says("deployment mailer runs");
}

#[test]
fn what_may_not_be_looked_at_stands_where_ok_stood() {
    let world = World::with_faults(&["forbidden=list/pushsecrets"]);
    let words = "not checked: PushSecrets (needs list on pushsecrets)";
    let checked = world.run(&["check", "globex"]).code(0);
    assert!(checked.stdout.contains(words) && !checked.stdout.contains("ok   nothing reads"), "{}", checked.stdout);
    let planned = world.run(&["secret", "rotate", "globex", "--dry-run"]).code(0);
    let shown = format!("{}{}", planned.stdout, planned.stderr);
    assert!(shown.contains("not checked: other clusters; PushSecrets (needs list on pushsecrets)"), "{shown}");
    let ran = world.run(&ROTATE).code(0).json();
    let unlooked: Vec<&Value> = ran["notLookedAt"].as_array().expect("a list").iter().map(|one| &one["what"]).collect();
    assert_eq!(unlooked, ["other clusters", "PushSecrets"]);
    let before = world.state("globex");
    let destroy = ["secret", "finalize", "globex", "--yes=globex", "--reencrypted", "--destroy"];
    world.run(&destroy).code(2).says("something was not checked: PushSecrets").says("--unchecked PushSecrets");
    assert_eq!(world.state("globex"), before);
    world.run(&[&destroy[..], &["--unchecked", "PushSecrets"]].concat()).code(0);
}
