//! The REST API without a socket: each request in, each answer out.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{handle, resource};
use crate::world::World;
use crate::{Options, environment, server};

mod kube_rs;
mod kubectl;

/// A world with the namespace `acme` and nothing that acts by itself.
fn world(faults: &[&str]) -> Arc<World> {
    world_in(faults, std::path::PathBuf::new())
}

fn world_in(faults: &[&str], directory: std::path::PathBuf) -> Arc<World> {
    let world = World::new(Options {
        accounts: 1,
        sync_delay: Duration::ZERO,
        pod_start: Duration::ZERO,
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        seed: None,
        directory,
    });
    world.cluster.create(resource("namespaces"), None, json!({"metadata": {"name": "acme"}}), "test").unwrap();
    Arc::new(world)
}

/// Such a world behind a socket. It ends when this is dropped.
struct Served {
    url: String,
    environment: Vec<(String, String)>,
    directory: tempfile::TempDir,
    _server: tokio::task::JoinSet<()>,
}

async fn serve(faults: &[&str]) -> Served {
    let directory = tempfile::tempdir().unwrap();
    let world = world_in(faults, directory.path().to_owned());
    let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    environment::write(&world.options, &url).unwrap();
    let environment = environment::variables(&world.options, &url, &format!("{url}/"));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(server::serve(listener, world));
    Served { url, environment, directory, _server: tasks }
}

const MERGE: &str = "application/merge-patch+json";
const SECRETS: &str = "/api/v1/namespaces/acme/secrets";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/acme/deployments";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/acme/leases";
const EXTERNAL_SECRETS: &str = "/apis/external-secrets.io/v1/namespaces/acme/externalsecrets";

/// Sends a request as the client `test` and reads the whole answer, which may be lines of JSON.
async fn ask(world: &Arc<World>, method: &str, place: &str, media: &str, body: &Value) -> (u16, Vec<Value>) {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder()
        .method(method)
        .uri(place)
        .header("content-type", media)
        .header("accept", if method == "GET" { media } else { "application/json" })
        .header("user-agent", "test/1")
        .body(bytes.into())
        .unwrap();
    let answer = handle(&world.api_server(), request).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::Deserializer::from_slice(&body).into_iter().collect::<Result<_, _>>().unwrap_or_default())
}

async fn send(world: &Arc<World>, method: &str, place: &str, body: Value) -> (u16, Value) {
    let media = if method == "PATCH" { MERGE } else { "application/json" };
    let (status, mut lines) = ask(world, method, place, media, &body).await;
    (status, if lines.is_empty() { Value::Null } else { lines.remove(0) })
}

fn deployment() -> Value {
    json!({"metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}})
}

fn external_secret() -> Value {
    json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "web"}, "spec": {"secretStoreRef": {"name": "s", "kind": "SecretStore"},
        "data": [{"secretKey": "k", "remoteRef": {"key": "r"}}]}})
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

#[tokio::test]
async fn what_counts_as_a_change() {
    let world = world(&[]);
    let web = format!("{DEPLOYMENTS}/web");
    let (status, made) = send(&world, "POST", DEPLOYMENTS, deployment()).await;
    assert_eq!((status, &made["metadata"]["generation"]), (201, &json!(1)));
    let template = |value: &str| json!({"spec": {"template": {"metadata": {"annotations": {"a": value}}}}});
    // What is sent, the generation after it, and whether there is a new version.
    let cases = [
        ("a label", web.clone(), json!({"metadata": {"labels": {"l": "1"}}}), 1, true),
        ("an annotation of the pods", web.clone(), template("1"), 2, true),
        ("the same again", web.clone(), template("1"), 2, false),
        ("an annotation of the deployment", web.clone(), json!({"metadata": {"annotations": {"a": "1"}}}), 3, true),
        ("the status, in vain", web.clone(), json!({"status": {"replicas": 9}}), 3, false),
        ("the status", format!("{web}/status"), json!({"status": {"replicas": 9}, "spec": {"replicas": 9}}), 3, true),
        ("the scale", format!("{web}/scale"), json!({"spec": {"replicas": 5}}), 4, true),
        ("not really", format!("{web}?dryRun=All"), json!({"spec": {"replicas": 7}}), 4, false),
        ("nothing", web.clone(), json!({}), 4, false),
    ];
    for (name, place, patch, generation, is_new) in cases {
        let before = world.cluster.resource_version();
        let (status, _) = send(&world, "PATCH", &place, patch).await;
        let (_, now) = send(&world, "GET", &web, Value::Null).await;
        let seen = (status, now["metadata"]["generation"].as_i64(), world.cluster.resource_version() > before);
        assert_eq!(seen, (200, Some(generation), is_new), "{name}");
    }
    let (_, now) = send(&world, "GET", &web, Value::Null).await;
    assert_eq!((&now["status"]["replicas"], &now["spec"]["replicas"]), (&json!(9), &json!(5)));
}

#[tokio::test]
async fn a_custom_object_counts_its_spec_only() {
    let world = world(&[]);
    send(&world, "POST", EXTERNAL_SECRETS, external_secret()).await;
    let web = format!("{EXTERNAL_SECRETS}/web");
    let cases = [
        (json!({"metadata": {"annotations": {"force-sync": "1"}}}), 1),
        (json!({"spec": {"refreshInterval": "5m"}}), 2),
        (json!({"status": {"refreshTime": "x"}}), 2),
    ];
    for (patch, generation) in cases {
        let (_, object) = send(&world, "PATCH", &web, patch.clone()).await;
        assert_eq!(object["metadata"]["generation"], generation, "{patch}");
        assert!(object.get("status").is_none(), "{patch}");
    }
}

#[tokio::test]
async fn errors_are_worded_as_by_the_real_server() {
    let world = world(&[]);
    send(&world, "POST", DEPLOYMENTS, deployment()).await;
    send(&world, "POST", SECRETS, json!({"metadata": {"name": "s"}, "immutable": true, "data": {"a": "YQ=="}})).await;
    send(&world, "POST", LEASES, json!({"metadata": {"name": "l"}})).await;
    let web = format!("{DEPLOYMENTS}/web");
    let modified = "the object has been modified; please apply your changes to the latest version and try again";
    let cases = [
        ("GET", format!("{SECRETS}/x"), Value::Null, 404, "NotFound", "secrets \"x\" not found".to_owned()),
        ("POST", DEPLOYMENTS.to_owned(), deployment(), 409, "AlreadyExists", "deployments.apps \"web\" already exists".to_owned()),
        (
            "PATCH",
            web.clone(),
            json!({"metadata": {"resourceVersion": "1"}}),
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on deployments.apps \"web\": {modified}"),
        ),
        (
            "PATCH",
            web.clone(),
            json!({"spec": {"selector": {"matchLabels": {"b": "c"}}, "template": {"metadata": {"labels": {"b": "c"}}}}}),
            422,
            "Invalid",
            "Deployment.apps \"web\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"web\",\"b\":\"c\"}}: field is immutable"
                .to_owned(),
        ),
        (
            "PATCH",
            format!("{SECRETS}/s"),
            json!({"data": {"a": "Yg=="}}),
            422,
            "Invalid",
            "Secret \"s\" is invalid: data: Forbidden: field is immutable when `immutable` is set".to_owned(),
        ),
        (
            "PUT",
            format!("{LEASES}/l"),
            json!({"metadata": {"name": "l"}}),
            422,
            "Invalid",
            "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
                .to_owned(),
        ),
        (
            "PATCH",
            format!("{LEASES}/l"),
            json!({"spec": {"renewTime": "2026-01-01T00:00:00Z"}}),
            422,
            "Invalid",
            " \"\" is invalid: patch: Invalid value: \"\": parsing time \"2026-01-01T00:00:00Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \".000000\""
                .to_owned(),
        ),
        (
            "POST",
            "/apis/batch/v1/namespaces/acme/jobs".to_owned(),
            json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
            422,
            "Invalid",
            "Job.batch \"j\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
                .to_owned(),
        ),
        (
            "POST",
            "/api/v1/namespaces/none/secrets".to_owned(),
            json!({"metadata": {"name": "s"}}),
            404,
            "NotFound",
            "namespaces \"none\" not found".to_owned(),
        ),
    ];
    for (method, place, body, code, reason, message) in cases {
        let (status, answer) = send(&world, method, &place, body).await;
        let seen = (status, answer["kind"].as_str(), text(&answer, "/reason"), text(&answer, "/message"));
        assert_eq!(seen, (code, Some("Status"), reason, message.as_str()), "{method} {place}");
        assert_eq!(answer["code"], code);
    }
}

#[tokio::test]
async fn a_watch_tells_what_begins_and_ceases_to_match() {
    let world = world(&["watch-closed=300ms"]);
    let (_, list) = send(&world, "GET", SECRETS, Value::Null).await;
    let version = text(&list, "/metadata/resourceVersion").to_owned();
    for label in ["no", "yes", "no"] {
        let secret = json!({"metadata": {"name": "s", "labels": {"l": label}}});
        if world.cluster.get(resource("secrets"), Some("acme"), "s").is_none() {
            send(&world, "POST", SECRETS, secret).await;
        } else {
            send(&world, "PATCH", &format!("{SECRETS}/s"), secret).await;
        }
    }
    send(&world, "DELETE", &format!("{SECRETS}/s"), Value::Null).await;
    let kinds = |lines: &[Value]| lines.iter().map(|line| text(line, "/type").to_owned()).collect::<Vec<_>>().join(" ");
    let cases = [
        (format!("resourceVersion={version}"), "ADDED MODIFIED MODIFIED DELETED"),
        (format!("resourceVersion={version}&labelSelector=l%3Dyes"), "ADDED DELETED"),
        (format!("resourceVersion={version}&fieldSelector=metadata.name%3Dother"), ""),
        ("resourceVersion=1".to_owned(), "ERROR"),
        ("allowWatchBookmarks=true".to_owned(), "BOOKMARK"),
    ];
    for (query, expected) in cases {
        let (status, lines) =
            ask(&world, "GET", &format!("{SECRETS}?watch=1&{query}"), "application/json", &Value::Null).await;
        assert_eq!((status, kinds(&lines).as_str()), (200, expected), "{query}");
    }
    let refused = format!("{SECRETS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
    assert_eq!(send(&world, "GET", &refused, Value::Null).await.0, 422);
}

#[tokio::test]
async fn the_fault_watch_expired_meets_each_kind_once() {
    let world = world(&["watch-closed=50ms", "watch-expired"]);
    let mut seen = Vec::new();
    for place in [SECRETS, SECRETS, DEPLOYMENTS] {
        let (_, lines) = ask(&world, "GET", &format!("{place}?watch=1&resourceVersion=1001"), "", &Value::Null).await;
        seen.push(lines.first().map(|line| line["object"]["code"].clone()).unwrap_or_default());
    }
    assert_eq!(seen, [json!(410), Value::Null, json!(410)]);
}

#[tokio::test]
async fn managers_own_what_they_last_set() {
    let world = world(&[]);
    send(
        &world,
        "POST",
        &format!("{SECRETS}?fieldManager=one"),
        json!({"metadata": {"name": "s"}, "data": {"a": "YQ==", "b": "Yg=="}}),
    )
    .await;
    let place = format!("{SECRETS}/s");
    send(&world, "PATCH", &format!("{place}?fieldManager=two"), json!({"data": {"a": "Yw=="}})).await;
    send(&world, "PATCH", &format!("{place}?fieldManager=three"), json!({"data": {"b": null}})).await;
    let (_, secret) = send(&world, "GET", &place, Value::Null).await;
    let mut owned: Vec<(&str, &Value)> = secret["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["manager"].as_str().unwrap(), &entry["fieldsV1"]))
        .collect();
    owned.sort_by_key(|(manager, _)| *manager);
    let (one, two) = (json!({"f:data": {}, "f:type": {}}), json!({"f:data": {"f:a": {}}}));
    // Who only takes away owns nothing, and no time moves.
    assert_eq!(owned, [("one", &one), ("two", &two)]);
}

#[tokio::test]
async fn deletion_waits_for_finalizers_and_for_nodes() {
    let world = world(&[]);
    let store = &world.cluster;
    let pod = |name: &str, node: Option<&str>| json!({"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}});
    for (name, node, stays) in [("scheduled", Some("n1"), true), ("pending", None, false)] {
        store.create(resource("pods"), Some("acme"), pod(name, node), "test").unwrap();
        let place = format!("/api/v1/namespaces/acme/pods/{name}");
        assert_eq!(send(&world, "DELETE", &place, Value::Null).await.0, 200);
        let left = store.get(resource("pods"), Some("acme"), name);
        assert_eq!(left.is_some_and(|pod| pod["metadata"]["deletionTimestamp"].is_string()), stays, "{name}");
    }
    store.remove(resource("pods"), Some("acme"), "scheduled").unwrap();
    let held = json!({"metadata": {"name": "s", "finalizers": ["a/b"]}});
    let secret = store.create(resource("secrets"), Some("acme"), held, "test").unwrap();
    let owned = json!({"metadata": {"name": "c", "ownerReferences": [{"uid": secret["metadata"]["uid"]}]}});
    store.create(resource("configmaps"), Some("acme"), owned, "test").unwrap();
    let place = format!("{SECRETS}/s");
    send(&world, "DELETE", &place, Value::Null).await;
    assert_eq!(send(&world, "GET", &place, Value::Null).await.0, 200, "it waits for its finalizer");
    send(&world, "PATCH", &place, json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(send(&world, "GET", &place, Value::Null).await.0, 404);
    assert!(store.get(resource("configmaps"), Some("acme"), "c").is_none(), "what it owned goes with it");
}

#[tokio::test]
async fn lists_come_in_pages_and_in_three_forms() {
    let world = world(&[]);
    for name in ["a", "b", "c"] {
        send(&world, "POST", SECRETS, json!({"metadata": {"name": name}, "data": {"k": "dg=="}})).await;
    }
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let (_, page) = send(&world, "GET", &format!("{SECRETS}?limit=2&continue={token}"), Value::Null).await;
        names.extend(page["items"].as_array().unwrap().iter().map(|item| text(item, "/metadata/name").to_owned()));
        token = text(&page, "/metadata/continue").to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c"]);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let (_, lines) = ask(&world, "GET", SECRETS, table, &Value::Null).await;
    assert_eq!(lines[0]["kind"], "Table");
    assert_eq!(lines[0]["rows"][0]["cells"], json!(["a", "Opaque", 1, "0s"]));
    let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let (_, lines) = ask(&world, "GET", SECRETS, partial, &Value::Null).await;
    assert_eq!(
        (lines[0]["kind"].as_str(), lines[0]["items"][0].get("data")),
        (Some("PartialObjectMetadataList"), None)
    );
}

#[tokio::test]
async fn reviews_say_what_would_be_refused() {
    let world = world(&["forbidden=patch/deployments", "forbidden=*/leases"]);
    let cases = [("patch", "deployments", false), ("get", "deployments", true), ("create", "leases", false)];
    for (verb, plural, allowed) in cases {
        let place = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let review = json!({"spec": {"resourceAttributes": {"verb": verb, "resource": plural, "namespace": "acme"}}});
        let (status, answer) = send(&world, "POST", place, review).await;
        assert_eq!((status, &answer["status"]["allowed"]), (201, &json!(allowed)), "{verb} {plural}");
    }
    let (_, answer) = send(&world, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", json!({})).await;
    assert_eq!(text(&answer, "/status/userInfo/username"), "sandbox");
    assert!(answer["metadata"]["creationTimestamp"].is_string());
}
