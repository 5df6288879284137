//! Readers that no restart reaches: found by running pods' own specs, whatever owns them; and ExternalSecrets that are not followed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Ran, World, back_compat, external_secret, primary, workload};

const PODS: &str = "/api/v1/namespaces/globex/pods";
const SETS: &str = "/apis/apps/v1/namespaces/globex/replicasets";
const ROTATE: [&str; 4] = ["secret", "rotate", "globex", "--yes"];
const FINALIZE: [&str; 5] = ["secret", "finalize", "globex", "--yes", "--reencrypted"];

fn env_from() -> Value {
    json!([{"secretRef": {"name": "backend-secrets"}}])
}

fn spec() -> Value {
    json!({"containers": [{"name": "main", "image": "main:1", "envFrom": env_from()}]})
}

fn owner(version: &str, kind: &str, name: &str) -> Value {
    owner_with_uid(version, kind, name, "11111111-2222-3333-4444-555555555555")
}

fn owner_with_uid(version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!([{"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true}])
}

fn pod(world: &World, name: &str, owners: Value, spec: Value) {
    let metadata = json!({"name": name, "ownerReferences": owners});
    world.sent("POST", PODS, Some(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})));
}

fn replica_set(world: &World, name: &str, owners: Value) {
    let labels = json!({"app": name});
    world.sent(
        "POST",
        SETS,
        Some(json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "ownerReferences": owners},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec()}}})),
    );
}

/// The names of the running pods whose name begins like this.
fn running(world: &World, prefix: &str) -> Vec<String> {
    let pods = world.pods("globex").into_iter().filter(|pod| pod["ended"].is_null() && !pod["ready"].is_null());
    let names = pods.map(|pod| pod["name"].as_str().expect("text").to_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}

fn others(ran: &Ran) -> Vec<String> {
    let of = |one: &Value| {
        let text = |field: &str| one[field].as_str().unwrap_or("nobody").to_owned();
        format!("{} of {}", text("name"), text("owner"))
    };
    ran.json()["otherReaders"].as_array().expect("a list").iter().map(of).collect()
}

/// A ReplicaSet that `web` has now, and its UID.
fn of_web(world: &World) -> (String, String) {
    let sets = world.sent("GET", SETS, None);
    let set = sets["items"].as_array().expect("a list").iter().find(|set| set["metadata"]["labels"]["app"] == "web");
    let text = |field: &str| set.expect("web has one")["metadata"][field].as_str().expect("text").to_owned();
    (text("name"), text("uid"))
}

#[test]
fn a_running_pod_that_reads_the_secret_is_named_whatever_owns_it_and_not_finalized_over() {
    let world = World::start(&["--accounts=2"]);
    replica_set(&world, "checkout-5df7", owner("argoproj.io/v1alpha1", "Rollout", "checkout"));
    replica_set(&world, "loose", Value::Null);
    pod(&world, "step", owner("argoproj.io/v1alpha1", "Workflow", "import"), spec());
    pod(&world, "rc-x", owner("v1", "ReplicationController", "rc"), spec());
    pod(&world, "db-0", owner("db.example.com/v1", "Cluster", "db"), spec());
    pod(&world, "left-x", owner("apps/v1", "ReplicaSet", "left"), spec());
    // What a webhook puts into a pod no template names.
    let (set, uid) = of_web(&world);
    let volumes = json!([{"name": "injected", "projected": {"sources": [{"secret": {"name": "backend-secrets"}}]}}]);
    let injected = json!({"containers": [{"name": "web", "image": "web:1"}], "volumes": volumes});
    pod(&world, "injected", Value::Null, injected);
    let single = ["step", "rc-x", "db-0", "left-x"];
    world.until("they run", |world| {
        ["checkout-5df7", "loose"].iter().all(|set| running(world, set).len() == 2)
            && single.iter().chain(&["injected"]).all(|name| running(world, name).len() == 1)
    });
    // Its ReplicaSet takes it for its own: were it one too many, the youngest would go.
    std::thread::sleep(Duration::from_millis(1100));
    world.patch(&workload("globex", "deployments/web"), json!({"spec": {"replicas": 2}}));
    let owners = owner_with_uid("apps/v1", "ReplicaSet", &set, &uid);
    world.patch(&format!("{PODS}/injected"), json!({"metadata": {"ownerReferences": owners}}));
    let mut expected = vec![
        "step of Workflow/import".to_owned(),
        "rc-x of ReplicationController/rc".to_owned(),
        "db-0 of Cluster/db".to_owned(),
        "left-x of ReplicaSet/left (gone)".to_owned(),
    ];
    let of_sets = running(&world, "checkout-5df7")
        .into_iter()
        .map(|name| format!("{name} of Rollout/checkout (ReplicaSet checkout-5df7)"));
    expected.extend(of_sets);
    expected.extend(running(&world, "loose").into_iter().map(|name| format!("{name} of ReplicaSet/loose")));
    expected.sort();
    let named = |ran: &Ran| {
        let mut found = others(ran);
        found.sort();
        assert_eq!(found, expected);
    };
    let checked = world.run(&["check", "globex"]).code(3);
    for name in single.iter().chain(&["Rollout/checkout (ReplicaSet checkout-5df7)", "ReplicaSet/loose"]) {
        assert!(checked.stdout.contains(name), "{name}: {}", checked.stdout);
    }
    let leave = ["rollout/checkout", "replicaset/loose", "pod/rc-x", "pod/db-0", "pod/left-x"];
    let refused = world.run(&ROTATE).code(4);
    // What belongs to an owner that makes it again goes by that owner's name.
    for name in ["rollout/checkout", "replicaset/loose", "replicationcontroller/rc", "cluster/db", "pod/left-x"] {
        assert!(refused.stderr.contains(&format!("--leave {name}")), "{name}: {}", refused.stderr);
    }
    let leave = leave.iter().flat_map(|name| ["--leave", name]);
    let rotate: Vec<&str> = ROTATE.into_iter().chain(leave).chain(["-o", "json"]).collect();
    named(&world.run(&rotate).code(0));
    world.rotated("globex", 3, 4);
    assert!(running(&world, "injected").is_empty(), "a restart of its Deployment replaces it");
    let verified = world.run(&["secret", "verify", "globex", "-o", "json"]).code(3);
    named(&verified);
    assert!(verified.stdout.contains("DD-OLD-READERS"), "{}", verified.stdout);
    let before = world.state("globex");
    let refused = world.run(&FINALIZE).code(4).says("DD-OLD-READERS");
    for name in single.iter().chain(&["Rollout/checkout", "ReplicaSet/loose"]) {
        assert!(refused.stderr.contains(name), "{name}: {}", refused.stderr);
    }
    assert_eq!(world.state("globex"), before);
    // What the hint says: what is made again starts on the newest version, the rest is gone.
    std::thread::sleep(Duration::from_millis(1100));
    let ended: Vec<String> = ["checkout-5df7", "loose"].iter().flat_map(|set| running(&world, set)).collect();
    for name in ended.iter().map(String::as_str).chain(single) {
        world.sent("DELETE", &format!("{PODS}/{name}"), None);
    }
    world.until("they are replaced", |world| {
        let now: Vec<String> = ["checkout-5df7", "loose"].iter().flat_map(|set| running(world, set)).collect();
        let gone = |name: &&str| world.send("GET", &format!("{PODS}/{name}"), None).0 == 404;
        now.len() == 4 && now.iter().all(|name| !ended.contains(name)) && single.iter().all(gone)
    });
    let verified = world.run(&["secret", "verify", "globex"]).code(0);
    assert!(verified.stdout.contains("Rollout/checkout"), "it is named all the same: {}", verified.stdout);
    world.run(&FINALIZE).code(0);
}

#[test]
fn a_terminating_pod_and_one_that_is_debugged_still_count() {
    let world = World::start(&["--accounts=2"]);
    let plain = json!({"containers": [{"name": "main", "image": "main:1"}]});
    let mut slow = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "slow"}, "spec": spec()});
    // One on no node goes at once.
    slow["spec"]["nodeName"] = "sandbox-node".into();
    slow["metadata"]["annotations"] = json!({"control-plane.deepdesk.com/terminate": "60s"});
    world.sent("POST", PODS, Some(slow));
    let mut debugged = plain;
    debugged["ephemeralContainers"] = json!([{"name": "debugger", "image": "shell:1", "envFrom": env_from()}]);
    pod(&world, "debugged", Value::Null, debugged);
    world.until("they run", |world| running(world, "slow").len() == 1 && running(world, "debugged").len() == 1);
    world.sent("DELETE", &format!("{PODS}/slow"), None);
    let ran = world.run(&[&ROTATE[..], &["--leave", "pod/debugged", "-o", "json"]].concat()).code(0);
    assert_eq!(others(&ran), ["debugged of nobody", "slow of nobody"]);
    world.run(&FINALIZE).code(4).says("pod slow").says("pod debugged");
}

/// An ExternalSecret of its own with this spec beside its store and target.
fn extra(world: &World, name: &str, mut spec: Value) {
    spec["refreshInterval"] = "10m".into();
    spec["secretStoreRef"] = json!({"kind": "SecretStore", "name": "secret-manager"});
    spec["target"]["name"] = name.into();
    let object = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": name}, "spec": spec});
    world.sent("POST", external_secret("globex", "").trim_end_matches('/'), Some(object));
}

#[test]
fn an_external_secret_whose_bytes_show_nothing_is_refused_and_what_reads_it_is_found() {
    let world = World::start(&["--accounts=2"]);
    let id = primary("globex");
    let by_name = || json!([{"secretKey": "SECRET_KEY", "remoteRef": {"key": id}}]);
    // Computed, in a loop over all keys.
    let over_all = "{{ range $name, $value := . }}{{ $name }}={{ $value | upper }}\n{{ end }}";
    let forms = [
        ("dotenv", json!({"data": by_name(), "target": {"template": {"data": {".env": over_all}}}})),
        (
            "from",
            json!({"data": by_name(), "target": {"template": {"templateFrom": [{"configMap": {"name": "x", "items": [{"key": "y"}]}}]}}}),
        ),
        ("merged", json!({"dataFrom": [{"extract": {"key": id}, "rewrite": [{"merge": {"into": "all"}}]}]})),
        ("nested", json!({"data": [{"secretKey": "K", "remoteRef": {"key": id, "property": "a.#"}}]})),
        ("path", json!({"data": [{"secretKey": "K", "remoteRef": {"key": format!("projects/p/secrets/{id}")}}]})),
        ("metadata", json!({"data": [{"secretKey": "K", "remoteRef": {"key": id, "metadataPolicy": "Fetch"}}]})),
        ("pattern", json!({"dataFrom": [{"find": {"name": {"regexp": "\\Qglobex\\E"}}}]})),
    ];
    for (name, spec) in forms {
        extra(&world, name, spec);
        // A key that no ExternalSecret's object names.
        let reference =
            json!([{"name": "K", "valueFrom": {"secretKeyRef": {"name": name, "key": ".env", "optional": true}}}]);
        let reads = json!({"containers": [{"name": "main", "image": "main:1", "env": reference}]});
        let versions = |world: &World| [world.versions(&id), world.versions(&back_compat("globex"))];
        let before = versions(&world);
        let refused = world.run(&[&ROTATE[..], &["-o", "json"]].concat()).code(4).says("DD-ES-OPAQUE");
        let words = format!("external secret globex/{name} fills");
        assert!(refused.stderr.contains(&words) && refused.stderr.contains("cannot be compared"), "{}", refused.stderr);
        assert!(
            refused.stderr.contains(&format!("kubectl edit externalsecret {name} -n globex")),
            "{}",
            refused.stderr
        );
        assert_eq!(versions(&world), before);
        if ["dotenv", "from", "merged"].contains(&name) {
            pod(&world, &format!("reads-{name}"), Value::Null, reads);
            world.until("it is listed", |world| {
                others(&world.run(&["secret", "verify", "globex", "-o", "json"]).code(3))
                    .contains(&format!("reads-{name} of nobody"))
            });
            world.sent("DELETE", &format!("{PODS}/reads-{name}?gracePeriodSeconds=0"), None);
        }
        world.sent("DELETE", &external_secret("globex", name), None);
        world.until("it is gone", |world| world.send("GET", &external_secret("globex", name), None).0 == 404);
    }
    // Nothing of all that is left: the account rotates.
    world.until("it is as before", |world| world.run(&["secret", "verify", "globex"]).code == 0);
    world.run(&ROTATE).code(0);
}

#[test]
fn names_that_an_extract_rewrites_are_followed() {
    let world = World::start(&["--accounts=2"]);
    let encoded = |text: &str| {
        std::fs::write(world.home().join("json"), text).expect("writable");
        world.tool("base64", &["-w0", "json"]).stdout
    };
    let value = encoded(r#"{"SECRET_KEY":"0123456789012345678901234567890123456789"}"#);
    world.set(&primary("globex"), 3, "disable");
    world.add(&primary("globex"), &value);
    world.add(&back_compat("globex"), &value);
    // Nothing is encrypted under what was there before.
    world.set(&back_compat("globex"), 1, "disable");
    for name in ["admin-secrets", "backend-secrets"] {
        let old = json!({"key": back_compat("globex"), "property": "SECRET_KEY"});
        let spec = json!({
            "data": [
                {"secretKey": "SECRET_KEY_BACK_COMPAT", "remoteRef": old},
                {"secretKey": "DATABASE_URL", "remoteRef": {"key": "globex_database_url"}},
            ],
            "dataFrom": [{"extract": {"key": primary("globex")},
                "rewrite": [{"regexp": {"source": "^(.*)$", "target": "APP_$1"}}]}],
        });
        world.patch(&external_secret("globex", name), json!({"spec": spec}));
    }
    let path = workload("globex", "deployments/backend");
    let mut containers = world.sent("GET", &path, None)["spec"]["template"]["spec"]["containers"].take();
    containers[0]["env"][0]["valueFrom"]["secretKeyRef"]["key"] = "APP_SECRET_KEY".into();
    world.patch(&path, json!({"spec": {"template": {"spec": {"containers": containers}}}}));
    world.copied_by_hand("globex");
    let result = world.run(&["secret", "verify", "globex", "-o", "json"]).code(0).json();
    let keys = result["externalSecrets"][1]["keys"].as_array().expect("keys").clone();
    let key = keys.iter().find(|key| key["key"] == "APP_SECRET_KEY").expect("the rewritten key");
    assert_eq!((&key["holds"], &result["state"]), (&"primary v4".into(), &"Stable".into()));
}

/// An ExternalSecret in globex's namespace that reads acme's primary.
fn shared(world: &World) -> serde_json::Value {
    let own = world.sent("GET", &external_secret("globex", "backend-secrets"), None);
    let object = json!({
        "apiVersion": own["apiVersion"],
        "kind": "ExternalSecret",
        "metadata": {"name": "borrowed", "namespace": "globex"},
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": own["spec"]["secretStoreRef"],
            "target": {"name": "borrowed"},
            "data": [{"secretKey": "KEY", "remoteRef": {"key": primary("acme")}}],
        },
    });
    world.sent("POST", "/apis/external-secrets.io/v1/namespaces/globex/externalsecrets", Some(object))
}

const WRITING: [&[&str]; 6] = [
    &["secret", "rotate", "acme", "--yes"],
    &["secret", "rotate", "acme", "--dry-run"],
    &["secret", "rollback", "acme", "--yes"],
    &["secret", "finalize", "acme", "--yes", "--reencrypted"],
    &["secret", "sync", "acme"],
    &["secret", "restart", "acme"],
];

#[test]
fn a_primary_that_two_namespaces_read_is_not_changed() {
    let world = World::start(&["--accounts=2"]);
    shared(&world);
    let writes = world.writes();
    for command in WRITING {
        let refused = world.run(&[command, &["-o", "json"]].concat()).code(4);
        let refused = refused
            .says("acme/admin-secrets")
            .says("globex/borrowed")
            .says("kubectl get externalsecret borrowed -n globex");
        assert_eq!(refused.json()["reason"], "SharedPrimary", "{command:?}");
    }
    assert_eq!(world.writes(), writes);
    // Who only looks is told what is there.
    world.run(&["secret", "verify", "acme"]).code(0);
    // The other account has a primary of its own.
    world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
}

#[test]
fn a_primary_of_the_same_name_in_another_project_is_another() {
    let world = World::start(&["--accounts=2"]);
    shared(&world);
    let store = "/apis/external-secrets.io/v1/namespaces/globex/secretstores";
    let mut own = world.sent("GET", &format!("{store}/secret-manager"), None);
    own["spec"]["provider"]["gcpsm"]["projectID"] = json!("another-project");
    let object = json!({
        "apiVersion": own["apiVersion"],
        "kind": "SecretStore",
        "metadata": {"name": "elsewhere", "namespace": "globex"},
        "spec": own["spec"],
    });
    world.sent("POST", store, Some(object));
    let path = external_secret("globex", "borrowed");
    world.patch(&path, json!({"spec": {"secretStoreRef": {"name": "elsewhere", "kind": "SecretStore"}}}));
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
}
