//! The controller in a small world, with short times.

mod resolution;

use tokio::task::JoinHandle;

use super::*;
use crate::options::{Options, PROJECT};
use crate::secret_manager::{Binding, EXTERNAL_SECRETS, Seed};

const NAMESPACE: &str = "acme";

/// A world with one store, and secrets that External Secrets may read.
fn world(faults: &[&str], secrets: &[(&str, &[&str])]) -> Arc<World> {
    let world = Arc::new(World::new(Options {
        accounts: 0,
        sync_delay: Duration::from_millis(20),
        pod_start: Duration::ZERO,
        faults: faults.iter().map(|text| text.parse().unwrap()).collect(),
        seed: None,
        directory: "unused".into(),
    }));
    world.secret_manager.grant_project(PROJECT, "roles/secretmanager.viewer", EXTERNAL_SECRETS);
    for (id, versions) in secrets {
        seed(&world, id, versions, true);
    }
    put(&world, "namespaces", None, json!({"metadata": {"name": NAMESPACE, "labels": {"team": "a"}}}));
    put(&world, "secretstores", Some(NAMESPACE), store_object("store"));
    world
}

/// Starts the controller.
fn spawn(world: Arc<World>) -> JoinHandle<()> {
    tokio::spawn(start(world))
}

/// Waits until every ExternalSecret has been reconciled once; false when that takes longer than `timeout`.
async fn settle(world: &World, timeout: Duration) -> bool {
    let mut changes = world.cluster.changes();
    let settled = async {
        loop {
            changes.borrow_and_update();
            let objects = world.cluster.list(resource("externalsecrets"), None);
            let is_open = |object: &Value| {
                object["status"]["conditions"].is_null()
                    && !reconcile::is_others(world, text(&object["metadata"]["namespace"]), &object["spec"])
            };
            if !objects.iter().any(is_open) || changes.changed().await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(timeout, settled).await.is_ok()
}

/// Without it a secret that is missing is one that may not be read, and no policy lets that pass.
fn grant_all(world: &World) {
    world.secret_manager.grant_project(PROJECT, "roles/secretmanager.secretAccessor", EXTERNAL_SECRETS);
}

fn store_object(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"provider": {"gcpsm": {"projectID": PROJECT}}}})
}

fn seed(world: &World, id: &str, versions: &[&str], is_readable: bool) {
    let role = "roles/secretmanager.secretAccessor".to_owned();
    let binding = Binding { role, members: vec![EXTERNAL_SECRETS.to_owned()] };
    let seed = Seed {
        versions: versions.iter().map(|payload| (payload.as_bytes().to_vec(), !payload.starts_with('!'))).collect(),
        labels: [("kind".to_owned(), id[..1].to_owned())].into(),
        bindings: if is_readable { vec![binding] } else { Vec::new() },
        replication: json!({"automatic": {}}),
    };
    world.secret_manager.seed_secret(&format!("projects/{PROJECT}"), id, seed);
}

fn put(world: &World, plural: &str, namespace: Option<&str>, object: Value) -> Value {
    world.cluster.create(resource(plural), namespace, object, "test").unwrap()
}

/// An ExternalSecret `app` with this in its spec.
fn external(spec: Value) -> Value {
    let mut object = json!({"metadata": {"name": "app", "labels": {"l": "1"}},
        "spec": {"refreshInterval": "10m", "secretStoreRef": {"name": "store"}}});
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

fn item(key: &str, remote: Value) -> Value {
    json!({"secretKey": key, "remoteRef": remote})
}

fn simple() -> Value {
    external(json!({"data": [item("KEY", json!({"key": "primary"}))]}))
}

fn object(world: &World) -> Value {
    world.cluster.get(resource("externalsecrets"), Some(NAMESPACE), "app").unwrap()
}

fn secret(world: &World) -> Option<Value> {
    world.cluster.get(resource("secrets"), Some(NAMESPACE), "app")
}

/// The Secret as `KEY=value …`.
fn held(world: &World) -> String {
    let Some(secret) = secret(world) else { return "none".to_owned() };
    let entries = target::data(&secret).into_iter();
    let text = |(key, value): (String, Vec<u8>)| format!("{key}={}", String::from_utf8(value).unwrap());
    entries.map(text).collect::<Vec<_>>().join(" ")
}

/// The Ready condition as `status reason: message`.
fn ready(world: &World) -> String {
    let object = object(world);
    let condition = &object["status"]["conditions"][0];
    format!("{} {}: {}", text(&condition["status"]), text(&condition["reason"]), text(&condition["message"]))
}

/// The Events as `type reason count: message`.
fn events(world: &World) -> Vec<String> {
    let line = |event: &Value| {
        let part = |field: &str| text(&event[field]).to_owned();
        format!("{} {} {}: {}", part("type"), part("reason"), event["count"], part("message"))
    };
    world.cluster.list(resource("events"), Some(NAMESPACE)).iter().map(line).collect()
}

fn force(world: &World, token: &str) {
    let kind = resource("externalsecrets");
    let change = |object: &mut Value| object["metadata"]["annotations"] = json!({"force-sync": token});
    world.cluster.update(kind, Some(NAMESPACE), "app", "test", None, change).unwrap();
}

/// Waits until something holds; says what it waited for when it never does.
async fn until(world: &World, what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let seen = || format!("{what}; {}; {}; {:?}", held(world), ready(world), events(world));
    tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap_or_else(|_| panic!("never: {}", seen()));
}

#[tokio::test]
async fn a_forced_sync_copies_the_newest_version_and_says_so() {
    let world = world(&[], &[("primary", &["one"])]);
    put(&world, "externalsecrets", Some(NAMESPACE), simple());
    let controller = spawn(Arc::clone(&world));
    assert!(settle(&world, Duration::from_secs(1)).await);
    let made = secret(&world).unwrap();
    assert_eq!((held(&world), ready(&world)), ("KEY=one".to_owned(), "True SecretSynced: secret synced".to_owned()));
    assert!(events(&world).is_empty(), "the first write was long ago");
    let month_ago = age_of(&json!({"status": {"refreshTime": made["metadata"]["managedFields"][0]["time"]}}));
    assert!(month_ago > Some(Duration::from_secs(28 * 24 * 3600)));
    assert_eq!(made["metadata"]["labels"]["l"], "1", "labels are copied without a template");
    assert_eq!(made["metadata"]["ownerReferences"][0]["name"], "app");
    assert_eq!(object(&world)["status"]["binding"]["name"], "app");

    seed(&world, "primary", &["one", "two"], true);
    let before = object(&world)["status"]["syncedResourceVersion"].clone();
    force(&world, "a");
    let synced = || object(&world)["status"]["syncedResourceVersion"] != before;
    until(&world, "a new synced version", synced).await;
    let now = object(&world);
    assert_eq!(now["status"]["syncedResourceVersion"], hash::synced_resource_version(&now));
    assert_eq!(
        (held(&world), events(&world)),
        ("KEY=two".to_owned(), vec!["Normal Updated 1: secret updated".to_owned()])
    );
    let written = secret(&world).unwrap();
    assert_eq!(written["metadata"]["annotations"]["force-sync"], "a");
    assert_eq!(written["metadata"]["managedFields"][0]["manager"], "externalsecrets.external-secrets.io/app");

    // The same value again is no change, and no sync.
    seed(&world, "primary", &["one", "two", "three"], true);
    let quiet = world.cluster.resource_version();
    force(&world, "a");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((world.cluster.resource_version(), held(&world)), (quiet, "KEY=two".to_owned()));
    // A sync by the clock, as the control endpoint asks for it.
    assert!(sync_now(&world, NAMESPACE, "app") && !sync_now(&world, NAMESPACE, "other"));
    until(&world, "the third", || held(&world) == "KEY=three").await;
    controller.abort();
}

#[tokio::test]
async fn a_target_that_is_gone_or_changed_is_put_right() {
    let world = world(&[], &[("primary", &["one"])]);
    put(&world, "externalsecrets", Some(NAMESPACE), simple());
    let controller = spawn(Arc::clone(&world));
    let secrets = resource("secrets");
    world.cluster.delete(secrets, Some(NAMESPACE), "app").unwrap();
    until(&world, "made again", || held(&world) == "KEY=one").await;
    let spoil = |secret: &mut Value| secret["data"] = json!({"KEY": "eA==", "MORE": "eA=="});
    world.cluster.update(secrets, Some(NAMESPACE), "app", "kubectl-edit", None, spoil).unwrap();
    until(&world, "put right", || held(&world) == "KEY=one").await;
    controller.abort();
}

#[tokio::test]
async fn a_failure_keeps_the_data_and_counts_its_event() {
    let world = world(&[], &[("primary", &["one"])]);
    put(&world, "externalsecrets", Some(NAMESPACE), simple());
    let controller = spawn(Arc::clone(&world));
    let synced = object(&world)["status"]["syncedResourceVersion"].clone();
    world.faults.add("sync-failing=app".parse().unwrap());
    seed(&world, "primary", &["one", "two"], true);
    force(&world, "a");
    let failing = "False SecretSyncedError: could not get secret data from provider";
    until(&world, "failed", || ready(&world) == failing).await;
    assert_eq!((held(&world), &object(&world)["status"]["syncedResourceVersion"]), ("KEY=one".to_owned(), &synced));
    let version = object(&world)["metadata"]["resourceVersion"].clone();
    let cause = "error processing spec.data[0] (key: primary), err: unable to access Secret from SecretManager Client: \
        rpc error: code = Unavailable desc = The service is currently unavailable.";
    // It is tried again after a second: no new status, but the event counts.
    until(&world, "tried again", || events(&world) == [format!("Warning UpdateFailed 2: {cause}")]).await;
    assert_eq!(object(&world)["metadata"]["resourceVersion"], version, "the same failure is no new status");
    world.faults.remove("sync-failing");
    force(&world, "b");
    until(&world, "healed", || ready(&world) == "True SecretSynced: secret synced").await;
    assert_eq!(held(&world), "KEY=two");
    controller.abort();
}

#[tokio::test]
async fn a_refusal_by_iam_is_told_in_googles_words() {
    let world = world(&[], &[("primary", &["one"])]);
    seed(&world, "extra", &["x"], false);
    let spec = json!({"data": [item("KEY", json!({"key": "primary"})), item("X", json!({"key": "extra"}))]});
    put(&world, "externalsecrets", Some(NAMESPACE), external(spec));
    let controller = spawn(Arc::clone(&world));
    until(&world, "an event", || !events(&world).is_empty()).await;
    assert!(events(&world)[0].contains("(key: extra), err: unable to access Secret from SecretManager Client: rpc error: code = PermissionDenied desc = Permission 'secretmanager.versions.access' denied"));
    assert_eq!(held(&world), "none", "one bad item stops all");
    controller.abort();
}

#[tokio::test]
async fn latest_may_be_stale_and_the_sync_succeeds_all_the_same() {
    let world = world(&["stale-latest=1h"], &[("primary", &["one"])]);
    put(&world, "externalsecrets", Some(NAMESPACE), simple());
    let controller = spawn(Arc::clone(&world));
    let body = json!({"payload": {"data": "dHdv"}}).to_string();
    let request = http::Request::post(format!("/v1/projects/{PROJECT}/secrets/primary:addVersion")).body(body.into());
    assert_eq!(world.secret_manager.handle(&request.unwrap()).status(), 200);
    let before = object(&world)["status"]["syncedResourceVersion"].clone();
    force(&world, "a");
    until(&world, "synced", || object(&world)["status"]["syncedResourceVersion"] != before).await;
    assert_eq!((held(&world), ready(&world)), ("KEY=one".to_owned(), "True SecretSynced: secret synced".to_owned()));
    assert!(world.faults.remove("stale-latest"));
    force(&world, "b");
    until(&world, "the new one", || held(&world) == "KEY=two").await;
    controller.abort();
}

#[tokio::test]
async fn an_immutable_target_keeps_its_data_in_silence() {
    let world = world(&[], &[("primary", &["one"])]);
    let mut spec = simple();
    spec["spec"]["target"] = json!({"immutable": true});
    put(&world, "externalsecrets", Some(NAMESPACE), spec);
    let controller = spawn(Arc::clone(&world));
    seed(&world, "primary", &["one", "two"], true);
    let before = object(&world)["status"]["syncedResourceVersion"].clone();
    force(&world, "a");
    until(&world, "synced", || object(&world)["status"]["syncedResourceVersion"] != before).await;
    assert_eq!((held(&world), ready(&world)), ("KEY=one".to_owned(), "True SecretSynced: secret synced".to_owned()));
    // Without the target's flag it is a failure.
    let kind = resource("externalsecrets");
    let mutable = |object: &mut Value| object["spec"]["target"]["immutable"] = json!(false);
    world.cluster.update(kind, Some(NAMESPACE), "app", "test", None, mutable).unwrap();
    let refused = "False SecretSyncedError: could not update secret, target is immutable";
    until(&world, "refused", || ready(&world) == refused).await;
    assert_eq!(held(&world), "KEY=one");
    controller.abort();
}

#[tokio::test]
async fn a_missing_key_is_what_the_deletion_policy_says() {
    let cases = [
        ("Retain", "KEY=one OLD=two", "False SecretSyncedError: could not get secret data from provider"),
        ("Merge", "KEY=one", "True SecretSynced: secret synced"),
        ("Delete", "KEY=one", "True SecretSynced: secret synced"),
    ];
    for (policy, expected, condition) in cases {
        let world = world(&[], &[("primary", &["one"]), ("old", &["two"])]);
        let data = [item("KEY", json!({"key": "primary"})), item("OLD", json!({"key": "old"}))];
        put(
            &world,
            "externalsecrets",
            Some(NAMESPACE),
            external(json!({"data": data, "target": {"deletionPolicy": policy}})),
        );
        grant_all(&world);
        let controller = spawn(Arc::clone(&world));
        assert_eq!(held(&world), "KEY=one OLD=two");
        delete_secret(&world, "old");
        force(&world, "a");
        until(&world, policy, || !events(&world).is_empty() && ready(&world) == condition && held(&world) == expected)
            .await;
        let is_told = events(&world).iter().any(|event| event.starts_with("Normal MissingProviderSecret"));
        assert_eq!(is_told, policy != "Retain", "{policy}");
        delete_secret(&world, "primary");
        force(&world, "b");
        if policy == "Delete" {
            let deleted = "True SecretDeleted: secret deleted due to DeletionPolicy=Delete";
            until(&world, "deleted", || held(&world) == "none" && ready(&world) == deleted).await;
        }
        controller.abort();
    }
}

fn delete_secret(world: &World, id: &str) {
    let request = http::Request::delete(format!("/v1/projects/{PROJECT}/secrets/{id}")).body(Default::default());
    assert_eq!(world.secret_manager.handle(&request.unwrap()).status(), 200);
}

#[tokio::test]
async fn a_search_finds_a_secret_that_is_made_later() {
    let world = world(&[], &[("primary", &["one"])]);
    let find = json!({"find": {"name": {"regexp": "^primary_old$"}},
        "rewrite": [{"regexp": {"source": "^.*$", "target": "OLD"}}]});
    let spec = json!({"data": [item("KEY", json!({"key": "primary"}))], "dataFrom": [find]});
    put(&world, "externalsecrets", Some(NAMESPACE), external(spec));
    let controller = spawn(Arc::clone(&world));
    assert_eq!(held(&world), "KEY=one");
    seed(&world, "primary_old", &["zero"], true);
    force(&world, "a");
    until(&world, "found", || held(&world) == "KEY=one OLD=zero").await;
    controller.abort();
}

#[tokio::test]
async fn some_policies_do_not_listen_to_a_forced_sync() {
    for (spec, listens) in [
        (json!({"refreshInterval": "0"}), false),
        (json!({"refreshPolicy": "CreatedOnce"}), false),
        (json!({"refreshPolicy": "OnChange"}), true),
    ] {
        let world = world(&[], &[("primary", &["one"])]);
        let mut object = simple();
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        put(&world, "externalsecrets", Some(NAMESPACE), object);
        let controller = spawn(Arc::clone(&world));
        seed(&world, "primary", &["one", "two"], true);
        force(&world, "a");
        let patched = world.cluster.resource_version();
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(held(&world), if listens { "KEY=two" } else { "KEY=one" }, "{spec}");
        assert_eq!(world.cluster.resource_version() > patched, listens, "{spec}");
        controller.abort();
    }
}

#[tokio::test]
async fn templates_and_creation_policies_shape_the_target() {
    let world = world(&[], &[("primary", &["one"])]);
    let template =
        json!({"metadata": {"labels": {"key": "x-{{ .KEY }}"}}, "data": {"URL": "redis://:{{ .KEY }}@cache"}});
    let mut object = simple();
    object["spec"]["target"] = json!({"creationPolicy": "Merge", "template": template});
    put(&world, "externalsecrets", Some(NAMESPACE), object);
    let controller = spawn(Arc::clone(&world));
    let missing = "True SecretMissing: secret will not be created due to CreationPolicy=Merge";
    assert_eq!((held(&world), ready(&world)), ("none".to_owned(), missing.to_owned()));
    put(&world, "secrets", Some(NAMESPACE), json!({"metadata": {"name": "app"}, "data": {"OTHER": "eA=="}}));
    force(&world, "a");
    until(&world, "merged", || held(&world) == "OTHER=x URL=redis://:one@cache").await;
    let merged = secret(&world).unwrap();
    assert_eq!(merged["metadata"]["labels"]["key"], "x-one");
    assert!(merged["metadata"]["ownerReferences"].is_null() && merged["metadata"]["labels"]["l"].is_null());
    let kind = resource("externalsecrets");
    let spoil = |object: &mut Value| object["spec"]["target"]["template"]["data"]["URL"] = json!("{{ .KEY | sha }}");
    world.cluster.update(kind, Some(NAMESPACE), "app", "test", None, spoil).unwrap();
    until(&world, "refused", || ready(&world) == "False SecretSyncedError: could not update secret").await;
    assert!(events(&world).iter().any(|event| event.ends_with("function \"sha\" not defined")));
    controller.abort();
}

#[tokio::test]
async fn the_clock_and_its_fault_sync_by_themselves() {
    let world = world(&[], &[("primary", &["one"])]);
    put(&world, "externalsecrets", Some(NAMESPACE), simple());
    let controller = spawn(Arc::clone(&world));
    seed(&world, "primary", &["one", "two"], true);
    world.faults.add("scheduled-sync=100ms".parse().unwrap());
    until(&world, "by the clock", || held(&world) == "KEY=two").await;
    controller.abort();
}

#[tokio::test]
async fn an_old_value_comes_back_for_a_moment_when_pods_restart() {
    let world = world(&["old-value-pod"], &[("primary", &["one"])]);
    put(&world, "externalsecrets", Some(NAMESPACE), simple());
    let pod = json!({"containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "app"}}]}]});
    let deployment = json!({"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}});
    put(&world, "deployments", Some(NAMESPACE), deployment);
    let controller = spawn(Arc::clone(&world));
    seed(&world, "primary", &["one", "two"], true);
    force(&world, "a");
    until(&world, "the new one", || held(&world) == "KEY=two").await;
    let restart = |object: &mut Value| {
        object["spec"]["template"]["metadata"]["annotations"] = json!({"deepdesk.com/primary-version": "2"});
    };
    let before = secret(&world).unwrap();
    world.cluster.update(resource("deployments"), Some(NAMESPACE), "web", "test", None, restart).unwrap();
    until(&world, "the old one", || held(&world) == "KEY=one").await;
    assert_ne!(secret(&world).unwrap()["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    until(&world, "the new one again", || held(&world) == "KEY=two").await;
    assert!(!world.faults.active("old-value-pod"), "once");
    controller.abort();
}

#[test]
fn many_different_events_are_put_together_and_then_held_back() {
    let world = world(&[], &[]);
    let object = put(&world, "externalsecrets", Some(NAMESPACE), simple());
    let mut recorder = Recorder::default();
    for number in 0..40 {
        recorder.record(&world, &object, "Warning", "UpdateFailed", &format!("cause {number}"));
    }
    let events = events(&world);
    assert_eq!(events.len(), 10);
    assert!(
        events.iter().any(|event| event == "Warning UpdateFailed 16: (combined from similar events): cause 24"),
        "{events:?}"
    );
}
