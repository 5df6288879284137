//! Who reads the secret is found, not assumed.

use serde_json::{Value, json};

use crate::account::{Account, After};
use crate::world::until;

fn env() -> Value {
    json!([{"name": "SECRET_KEY", "valueFrom": {"secretKeyRef": {"name": "backend-secrets", "key": "SECRET_KEY"}}}])
}

fn of_apps(account: &Account, kind: &str, name: &str, pod: Value) {
    let labels = json!({"app": name});
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    });
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = name.into();
    }
    account.create(object);
}

#[needs(kubectl)]
#[test]
fn workloads_of_every_kind_are_found_and_restarted() {
    let account = Account::new(After::Globex, "every-kind");
    let main = json!({"name": "main", "image": "main:1"});
    let with = |field: &str, value: Value| {
        let mut container = main.clone();
        container[field] = value;
        json!({"containers": [container]})
    };
    of_apps(&account, "StatefulSet", "ledger", with("env", env()));
    of_apps(&account, "DaemonSet", "agent", with("envFrom", json!([{"secretRef": {"name": "admin-secrets"}}])));
    let sources = json!([{"secret": {"name": "backend-secrets", "items": [{"key": "SECRET_KEY", "path": "key"}]}}]);
    let volumes = json!([{"name": "keys", "projected": {"sources": sources}}]);
    of_apps(&account, "Deployment", "projected", json!({"containers": [main], "volumes": volumes}));
    let init = json!([{"name": "migrate", "image": "main:1", "env": env()}]);
    of_apps(&account, "Deployment", "migrated", json!({"initContainers": init, "containers": [main]}));
    let database =
        json!([{"name": "URL", "valueFrom": {"secretKeyRef": {"name": "backend-secrets", "key": "DATABASE_URL"}}}]);
    of_apps(&account, "Deployment", "reporting", with("env", database));
    let found = ["ledger", "agent", "projected", "migrated"];
    until("all of them run", || account.run("verify", &[]).code == 0);
    let result = account.run("verify", &["-o", "json"]).code(0).json();
    let names: Vec<&str> = result["consumers"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|consumer| consumer["name"].as_str())
        .collect();
    assert!(found.iter().all(|name| names.contains(name)), "{names:?}");
    assert!(!names.contains(&"reporting") && !names.contains(&"web"), "{names:?}");
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
    account.every_pod_holds("ledger", "SECRET_KEY", "primary v4");
    account.every_pod_holds("agent", "SECRET_KEY", "primary v4");
}

#[needs(kubectl)]
#[test]
fn readers_that_a_restart_does_not_reach_are_told() {
    let account = Account::new(After::Globex, "other-readers");
    let spec = |policy: &str| json!({"restartPolicy": policy, "containers": [{"name": "main", "image": "main:1", "env": env()}]});
    let job = json!({"template": {"spec": spec("Never")}});
    account.create(json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": job}},
    }));
    account.create(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "import"}, "spec": job}));
    account.create(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "debug"}, "spec": spec("Always")}));
    account.run("rotate", &["--yes"]).code(4).says("DD-UNMOVED-READERS");
    let rotate = ["--yes", "--leave", "pod/debug", "-o", "json"];
    let ran = account.run("rotate", &rotate).code(0).says("DD-OTHER-READERS");
    let readers: Vec<String> = ran.json()["otherReaders"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| format!("{}/{}", one["kind"].as_str().expect("text"), one["name"].as_str().expect("text")))
        .collect();
    assert!(["CronJob/nightly", "Pod/debug"].iter().all(|one| readers.iter().any(|found| found == one)), "{readers:?}");
    account.rotated(4);
}

#[needs(kubectl)]
#[test]
fn external_secrets_beyond_the_runbooks_are_found() {
    let account = Account::new(After::Globex, "billing");
    account.create(json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "invoices"},
        "spec": {
            "refreshInterval": "10m", "secretStoreRef": {"kind": "SecretStore", "name": "secret-manager"}, "target": {"name": "invoice-keys"},
            "dataFrom": [{"find": {"name": {"regexp": "^billing_account_secret$"}}}],
        },
    }));
    let target = ["get", "secret", "invoice-keys", "-n", "billing"];
    until("its Secret is there", || account.world.try_kubectl(&target, None).is_ok());
    // Times are whole seconds, and a pod as old as its Secret proves nothing by its age.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let from = json!([{"secretRef": {"name": "invoice-keys"}}]);
    of_apps(
        &account,
        "Deployment",
        "invoices",
        json!({"containers": [{"name": "main", "image": "main:1", "envFrom": from}]}),
    );
    until("it is up", || account.run("verify", &[]).code == 0);
    account.run("rotate", &["--yes"]).code(0);
    assert_eq!(account.holdings()["invoice-keys/billing_account_secret"], "primary v4");
    account.every_pod_holds("invoices", "billing_account_secret", "primary v4");
}
