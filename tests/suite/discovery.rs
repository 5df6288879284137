//! Discovery: who reads the secret is found, not assumed.

use serde_json::{Value, json};

use crate::world::{World, back_compat, external_secret, primary, workload};

fn path(group: &str, plural: &str) -> String {
    match group {
        "v1" => format!("/api/v1/namespaces/globex/{plural}"),
        group => format!("/apis/{group}/namespaces/globex/{plural}"),
    }
}

fn template(name: &str, spec: Value) -> Value {
    json!({"metadata": {"labels": {"app": name}}, "spec": spec})
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A workload of `apps/v1` whose pods are of this spec.
fn of_apps(world: &World, kind: &str, plural: &str, name: &str, spec: Value) {
    let mut body =
        object(kind, name, json!({"selector": {"matchLabels": {"app": name}}, "template": template(name, spec)}));
    body["apiVersion"] = "apps/v1".into();
    if kind != "DaemonSet" {
        body["spec"]["replicas"] = 1.into();
    }
    if kind == "StatefulSet" {
        body["spec"]["serviceName"] = name.into();
    }
    world.sent("POST", &path("apps/v1", plural), Some(body));
}

fn env(secret: &str) -> Value {
    json!([{"name": "SECRET_KEY", "valueFrom": {"secretKeyRef": {"name": secret, "key": "SECRET_KEY"}}}])
}

fn verified(world: &World) -> Value {
    world.run(&["secret", "verify", "globex", "-o", "json"]).json()
}

/// The reasons for which a workload is a consumer; none when it is not.
fn reasons(result: &Value, kind: &str, name: &str) -> Option<String> {
    let consumers = result["consumers"].as_array().expect("consumers");
    let found = consumers.iter().find(|consumer| consumer["kind"] == kind && consumer["name"] == name)?;
    Some(found["reasons"].to_string())
}

fn world() -> World {
    World::start(&["--accounts=2"])
}

#[test]
fn workloads_of_every_kind_are_found_and_restarted() {
    let world = world();
    let container = |more: Value| {
        let mut container = json!({"name": "main", "image": "main:1"});
        container.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        container
    };
    of_apps(
        &world,
        "StatefulSet",
        "statefulsets",
        "ledger",
        json!({"containers": [container(json!({"env": env("backend-secrets")}))]}),
    );
    of_apps(
        &world,
        "DaemonSet",
        "daemonsets",
        "agent",
        json!({"containers": [container(json!({"envFrom": [{"secretRef": {"name": "admin-secrets"}}]}))]}),
    );
    of_apps(
        &world,
        "Deployment",
        "deployments",
        "projected",
        json!({
            "containers": [container(json!({}))],
            "volumes": [{"name": "keys", "projected": {"sources": [{"secret": {"name": "backend-secrets", "items": [{"key": "SECRET_KEY", "path": "key"}]}}]}}],
        }),
    );
    of_apps(
        &world,
        "Deployment",
        "deployments",
        "migrated",
        json!({
            "initContainers": [{"name": "migrate", "image": "main:1", "env": env("backend-secrets")}],
            "containers": [container(json!({}))],
        }),
    );
    // Another key of the same Secret is no reason.
    let database =
        json!([{"name": "URL", "valueFrom": {"secretKeyRef": {"name": "backend-secrets", "key": "DATABASE_URL"}}}]);
    of_apps(
        &world,
        "Deployment",
        "deployments",
        "reporting",
        json!({"containers": [container(json!({"env": database}))]}),
    );
    let expected = [
        ("StatefulSet", "ledger", "env SECRET_KEY from backend-secrets"),
        ("DaemonSet", "agent", "envFrom admin-secrets"),
        ("Deployment", "projected", "(projected): backend-secrets"),
        ("Deployment", "migrated", "init container migrate"),
        ("Deployment", "worker", "volume secrets: backend-secrets"),
    ];
    world.until("all of them run", |world| {
        let pods = world.pods("globex");
        ["ledger", "agent", "projected", "migrated", "reporting"]
            .iter()
            .all(|owner| pods.iter().any(|pod| pod["owner"] == *owner && !pod["ready"].is_null()))
    });
    world.until("they are healthy", |world| world.run(&["secret", "verify", "globex"]).code == 0);
    let result = verified(&world);
    for (kind, name, reason) in expected {
        let reasons = reasons(&result, kind, name).unwrap_or_else(|| panic!("{kind} {name} was not found"));
        assert!(reasons.contains(reason), "{name}: {reasons}");
    }
    assert_eq!(reasons(&result, "Deployment", "reporting"), None);
    assert_eq!(reasons(&result, "Deployment", "web"), None);
    world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
    world.rotated("globex", 3, 4);
    let pods = world.pods("globex");
    for (_, name, _) in expected {
        let running: Vec<&Value> = pods.iter().filter(|pod| pod["owner"] == name && pod["ended"].is_null()).collect();
        assert!(!running.is_empty(), "{name}");
        assert!(running.iter().all(|pod| pod["holds"]["SECRET_KEY"] == "primary v4"), "{name}: {running:#?}");
    }
    assert!(pods.iter().filter(|pod| pod["owner"] == "reporting").count() == 1, "what reads another key was restarted");
}

#[test]
fn readers_that_a_restart_does_not_reach_are_told() {
    let world = world();
    let spec = |policy: &str| json!({"restartPolicy": policy, "containers": [{"name": "main", "image": "main:1", "env": env("backend-secrets")}]});
    let job = json!({"template": template("job", spec("Never"))});
    let mut cron = object("CronJob", "nightly", json!({"schedule": "0 3 * * *", "jobTemplate": {"spec": job.clone()}}));
    cron["apiVersion"] = "batch/v1".into();
    world.sent("POST", &path("batch/v1", "cronjobs"), Some(cron));
    let mut once = object("Job", "import", job);
    once["apiVersion"] = "batch/v1".into();
    world.sent("POST", &path("batch/v1", "jobs"), Some(once));
    let mut pod = object("Pod", "debug", spec("Always"));
    pod["apiVersion"] = "v1".into();
    world.sent("POST", &path("v1", "pods"), Some(pod));
    world.run(&["secret", "rotate", "globex", "--yes"]).code(4).says("DD-UNMOVED-READERS").says("pod debug");
    let rotate = ["secret", "rotate", "globex", "--yes", "--leave", "pod/debug", "-o", "json"];
    let ran = world.run(&rotate).code(0).says("DD-OTHER-READERS");
    let result = ran.json();
    let others: Vec<String> = result["otherReaders"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| format!("{}/{}", one["kind"].as_str().expect("text"), one["name"].as_str().expect("text")))
        .collect();
    assert_eq!(others, ["CronJob/nightly", "Job/import", "Pod/debug"]);
    for words in ["cronjob nightly", "job import", "pod debug"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    world.rotated("globex", 3, 4);
}

#[test]
fn external_secrets_beyond_the_runbooks_are_found() {
    let world = world();
    let mut extra = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "billing"}, "spec": {
        "refreshInterval": "10m",
        "secretStoreRef": {"kind": "SecretStore", "name": "secret-manager"},
        "target": {"name": "billing-keys"},
        "dataFrom": [{"find": {"name": {"regexp": "^globex_account_secret$"}}}],
    }});
    world.sent("POST", external_secret("globex", "").trim_end_matches('/'), Some(extra.take()));
    of_apps(
        &world,
        "Deployment",
        "deployments",
        "billing",
        json!({"containers": [{"name": "main", "image": "main:1", "envFrom": [{"secretRef": {"name": "billing-keys"}}]}]}),
    );
    world.until("it is up", |world| world.run(&["secret", "verify", "globex"]).code == 0);
    let result = verified(&world);
    let external = result["externalSecrets"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["name"] == "billing")
        .expect("found")
        .clone();
    assert_eq!(external["target"], "billing-keys");
    assert_eq!(external["keys"][0]["key"], "globex_account_secret");
    assert!(reasons(&result, "Deployment", "billing").is_some_and(|reasons| reasons.contains("billing-keys")));
    world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
    assert_eq!(world.holdings("globex")["billing-keys/globex_account_secret"], "primary v4");
    let billing: Vec<Value> =
        world.pods("globex").into_iter().filter(|pod| pod["owner"] == "billing" && pod["ended"].is_null()).collect();
    assert!(
        !billing.is_empty() && billing.iter().all(|pod| pod["holds"]["globex_account_secret"] == "primary v4"),
        "{billing:#?}"
    );
}

#[test]
fn a_json_secret_that_is_taken_apart_is_followed() {
    let world = world();
    let encoded = |world: &World, text: &str| {
        std::fs::write(world.home().join("json"), text).expect("writable");
        world.tool("base64", &["-w0", "json"]).stdout
    };
    let value = encoded(&world, r#"{"SECRET_KEY":"0123456789012345678901234567890123456789"}"#);
    world.set(&primary("globex"), 3, "disable");
    world.add(&primary("globex"), &value);
    world.add(&back_compat("globex"), &value);
    // Nothing is encrypted under what was there before.
    world.set(&back_compat("globex"), 1, "disable");
    for name in ["admin-secrets", "backend-secrets"] {
        let spec = json!({
            "data": [
                {"secretKey": "SECRET_KEY_BACK_COMPAT", "remoteRef": {"key": back_compat("globex"), "property": "SECRET_KEY"}},
                {"secretKey": "DATABASE_URL", "remoteRef": {"key": "globex_database_url"}},
            ],
            "dataFrom": [{"extract": {"key": primary("globex")}}],
        });
        world.patch(&external_secret("globex", name), json!({"spec": spec}));
    }
    world.copied_by_hand("globex");
    let result = world.run(&["secret", "verify", "globex", "-o", "json"]).code(0).json();
    let keys = result["externalSecrets"][0]["keys"].as_array().expect("keys").clone();
    let key = keys.iter().find(|key| key["key"] == "SECRET_KEY").expect("the extracted key");
    assert_eq!((&key["source"], &key["holds"]), (&"primary".into(), &"primary v4".into()));
    let new = r#"{"SECRET_KEY":"9876543210987654321098765432109876543210"}"#;
    world.run_with_input(&["secret", "rotate", "globex", "--yes", "--value-from", "-"], new.as_bytes()).code(0);
    let after = verified(&world);
    assert_eq!((&after["primary"]["latest"], &after["exitCode"]), (&"5".into(), &0.into()));
}

#[test]
fn templates_are_seen_through() {
    let world = World::start(&[]);
    let result = world.run(&["secret", "verify", "initech", "-o", "json"]).code(0).json();
    let backend = result["externalSecrets"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["name"] == "backend-secrets")
        .expect("found")
        .clone();
    let keys: Vec<(&Value, &Value)> =
        backend["keys"].as_array().expect("keys").iter().map(|key| (&key["key"], &key["holds"])).collect();
    for key in ["SECRET_KEY", "SESSION_URL"] {
        assert!(keys.contains(&(&key.into(), &"primary v5".into())), "{key}: {keys:?}");
    }
    // A text around the value is compared as well: the pods must not get one of before.
    world.run(&["secret", "rotate", "initech", "--yes"]).code(0);
    world.rotated("initech", 5, 6);
}

#[test]
fn other_names_than_the_runbooks() {
    let world = world();
    let flags = [
        "--external-secret=backend-secrets",
        "--workload=deployment/backend",
        "--primary-secret={account}_account_secret",
    ];
    world.run(&[&["secret", "verify", "globex"][..], &flags].concat()).code(0);
    world.run(&["secret", "verify", "globex", "--workload=deployment/frontend"]).code(3).says("deployment/frontend");
    world.run(&["secret", "verify", "globex", "--external-secret=frontend-secrets"]).code(3).says("frontend-secrets");
    let (status, _) = world.send("GET", &workload("globex", "deployments/backend"), None);
    assert_eq!(status, 200);
}
