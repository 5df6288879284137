//! The client against small servers on this machine: what is sent, what is repeated, what is made of the answers.

mod renewal;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use serde_json::{Value, json};

use super::pulse::Watched;
use super::*;
use crate::clients::error::Service;
use crate::clients::kubeconfig::exec::Plugin;
use crate::clients::kubeconfig::renewal::Renewal;
use crate::clients::kubeconfig::{KubeFlags, StdinUse, load};
use crate::clients::testing::{Asked, Reply, Server, fence};
use crate::environment::Environment;
use deepdesk_protocol::facts::names::WorkloadKind;
use deepdesk_protocol::facts::payload::Payload;

const MARKER: &str = "MARKER-s3cr3t";

async fn target(server: &Server) -> KubeTarget {
    let flags = KubeFlags { server: Some(server.url()), ..KubeFlags::default() };
    load(&flags, &Environment::default(), StdinUse::OursOrNoTerminal).await.expect("a target")
}

fn connect(target: &KubeTarget) -> Cluster {
    let mut cluster = Cluster::connect(target, &"acme".parse().expect("an account")).expect("a client");
    cluster.connection.set_limits(Duration::from_millis(300), Duration::from_secs(3));
    cluster
}

async fn cluster(server: &Server) -> Cluster {
    connect(&target(server).await)
}

fn status(code: u16, reason: &str, message: &str) -> Reply {
    Reply::json(
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                             "reason": reason, "message": message}),
    )
}

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "acme", "resourceVersion": "1", "generation": 5}, "spec": {}})
}

fn list(items: Value, next: &str) -> Reply {
    Reply::ok(json!({"kind": "List", "metadata": {"resourceVersion": "9", "continue": next}, "items": items}))
}

fn pod_spec() -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": []}})
}

#[tokio::test]
async fn a_list_goes_over_all_pages_and_begins_again_when_they_expire() {
    let expired = AtomicU32::new(0);
    let server = Server::start(move |_, asked| match asked.target.contains("continue=more") {
        false => list(json!([pod_spec()]), "more"),
        true if expired.fetch_add(1, Ordering::Relaxed) == 0 => status(410, "Expired", "too old"),
        true => list(json!([pod_spec(), pod_spec()]), ""),
    })
    .await;
    let pods: Vec<Pod> = cluster(&server).await.list().await.expect("pods");
    assert_eq!(pods.len(), 3);
    let asked = server.asked();
    assert_eq!(asked.len(), 4, "two pages, twice");
    assert_eq!(asked[0].line(), "GET /api/v1/namespaces/acme/pods");
    assert!(asked[0].target.contains("limit=500"));
    assert_eq!(asked[0].header("user-agent"), Some(crate::clients::USER_AGENT));
}

#[tokio::test]
async fn a_list_that_never_ends_is_an_error() {
    // The same page for ever, and another one for ever.
    let same = Server::start(|_, _| list(json!([]), "more")).await;
    let other = Server::start(|n, _| list(json!([]), &format!("more-{n}"))).await;
    for (server, most) in [(same, 2), (other, 1000)] {
        let error = cluster(&server).await.list::<Pod>().await.expect_err("no list");
        assert_eq!(error.to_string(), "list pods acme: unreadable answer: the list does not end");
        assert_eq!(server.asked().len(), most);
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_not_read_to_its_end() {
    let piece: &'static str = " ".repeat(256 * 1024).leak();
    let server = Server::start(move |_, asked| match asked.target.contains("watch=true") {
        false if asked.target.contains("/secrets/") => Reply::Endless(piece),
        false => list(json!([]), ""),
        true => Reply::Endless(piece),
    })
    .await;
    let mut cluster = cluster(&server).await;
    cluster.connection.set_limits(Duration::from_secs(60), Duration::from_secs(60));
    let error = cluster.secret("admin").await.expect_err("no answer");
    assert!(error.to_string().starts_with("get secret acme/admin: unreadable answer: http://127.0.0.1:"), "{error}");
    assert!(error.to_string().ends_with(": the answer is larger than 64 MiB"), "{error}");
    // A watch begins again, and each beginning is told.
    let mut pulse = cluster.pulse(&[Watched::Secrets]);
    for _ in 0..3 {
        assert!(changed(&mut pulse, 30_000).await, "the watch reads for ever");
    }
}

#[tokio::test]
async fn nobody_is_followed_to_another_server() {
    let elsewhere = Server::start(|_, _| list(json!([]), "")).await;
    let to: &'static str = elsewhere.url().leak();
    let headers: &'static [(&str, &str)] = vec![("location", to)].leak();
    for code in [301, 302, 303, 307, 308] {
        let server = Server::start(move |_, _| Reply::With(code, headers, String::new())).await;
        let error = cluster(&server).await.list::<Pod>().await.expect_err("no list");
        assert_eq!(error.kind, ApiErrorKind::Malformed, "{code}: {error}");
        assert_eq!((server.asked().len(), elsewhere.asked().len()), (1, 0), "{code}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_none_and_what_is_somebody_elses_is_an_error() {
    let server = Server::start(|n, _| match n {
        0 => Reply::ok(named("admin")),
        1 => status(404, "NotFound", "deployments.apps \"admin\" not found"),
        2 => Reply::Text(404, format!("<html>{MARKER}")),
        _ => Reply::Text(200, format!("{{\"metadata\": {{\"name\": [\"{MARKER}\"]}}}}")),
    })
    .await;
    let cluster = cluster(&server).await;
    let admin = cluster.get::<Deployment>("admin").await.expect("an answer").expect("a deployment");
    assert_eq!(admin.metadata.generation, Some(5));
    assert_eq!(cluster.get::<Deployment>("admin").await, Ok(None));
    for _ in 0..2 {
        let error = cluster.get::<Deployment>("admin").await.expect_err("not the API server's");
        assert_eq!(error.kind, ApiErrorKind::Malformed);
        assert_eq!(error.operation, "get deployment acme/admin");
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    }
}

#[tokio::test]
async fn a_secret_is_read_without_showing_it() {
    let data = base64::engine::general_purpose::STANDARD.encode(MARKER);
    let server = Server::start(move |n, _| match n {
        0 => Reply::ok(json!({"metadata": {"name": "backend-secrets", "resourceVersion": "4"}, "data": {"KEY": data}})),
        _ => Reply::ok(json!({"metadata": {"name": "backend-secrets"}, "data": {"KEY": MARKER}})),
    })
    .await;
    let cluster = cluster(&server).await;
    let secret = cluster.secret("backend-secrets").await.expect("an answer").expect("a secret");
    assert!(secret.data["KEY"].same_as(&Payload::new(MARKER.as_bytes().to_vec())));
    assert!(!format!("{secret:?}").contains("MARKER"));
    let error = cluster.secret("backend-secrets").await.expect_err("not base64");
    assert_eq!(error.kind, ApiErrorKind::Malformed);
    assert!(!format!("{error} {error:?}").contains("MARKER"), "{error}");
}

#[tokio::test]
async fn patches_are_merge_patches_of_ours() {
    let server = Server::start(|_, asked| match asked.line().as_str() {
        line if line.starts_with("PATCH") => Reply::ok(named("x")),
        line => panic!("{line}"),
    })
    .await;
    let cluster = cluster(&server).await;
    let patched = cluster.annotate_external_secret("admin-secrets", "force-sync", "t1", "deepdesk").await;
    assert_eq!(patched.expect("patched").metadata.name.as_deref(), Some("x"));
    let annotations = BTreeMap::from([("a/b".to_owned(), "1".to_owned())]);
    let workload = "deployment/admin".parse().expect("a workload");
    let patch = |version| cluster.patch_template_annotations(&workload, &annotations, version, "kubectl-rollout");
    assert_eq!(patch(Some("7")).await, Ok(5));
    assert_eq!(patch(None).await, Ok(5));
    let asked = server.asked();
    assert_eq!(asked[0].line(), "PATCH /apis/external-secrets.io/v1/namespaces/acme/externalsecrets/admin-secrets");
    assert_eq!(asked[0].json(), json!({"metadata": {"annotations": {"force-sync": "t1"}}}));
    assert!(asked[0].target.contains("fieldManager=deepdesk"), "{}", asked[0].target);
    assert_eq!(asked[0].header("content-type"), Some("application/merge-patch+json"));
    assert_eq!(asked[1].line(), "PATCH /apis/apps/v1/namespaces/acme/deployments/admin");
    assert_eq!(
        asked[1].json(),
        json!({"spec": {"template": {"metadata": {"annotations": {"a/b": "1"}}}}, "metadata": {"resourceVersion": "7"}})
    );
    assert_eq!(asked[2].json().get("metadata"), None);
}

#[tokio::test]
async fn reads_are_repeated_and_writes_only_when_nothing_was_done() {
    type Fault = fn() -> Reply;
    let faults: [(Fault, ApiErrorKind, bool); 6] = [
        (|| status(503, "ServiceUnavailable", "later"), ApiErrorKind::Unavailable, true),
        (|| status(500, "InternalError", "oops"), ApiErrorKind::Internal, true),
        (|| Reply::Text(502, "<html>".to_owned()), ApiErrorKind::Unavailable, true),
        (|| Reply::Close, ApiErrorKind::Connection, true),
        (|| Reply::Hang, ApiErrorKind::Timeout, true),
        (|| status(409, "Conflict", "changed"), ApiErrorKind::Conflict, false),
    ];
    for (fault, kind, unknown) in faults {
        let server = Server::start(move |n, _| if n < 2 { fault() } else { Reply::ok(named("x")) }).await;
        let cluster = cluster(&server).await;
        let mut lease = Lease::default();
        lease.metadata.name = Some("x".to_owned());
        lease.metadata.resource_version = Some("1".to_owned());
        let error = cluster.replace_lease(&lease).await.expect_err("a fault");
        assert_eq!((error.kind, error.is_outcome_unknown()), (kind, unknown));
        assert_eq!(server.asked().len(), 1, "{kind:?}: sent once");
        if unknown {
            cluster.lease("x").await.expect("repeated until answered").expect("a lease");
            assert_eq!(server.asked().len(), 3, "{kind:?}: repeated");
        }
    }
}

#[tokio::test]
async fn too_many_requests_are_waited_out_as_the_server_says() {
    let server = Server::start(|n, _| match n {
        0 => Reply::With(429, &[("retry-after", "1")], "Too many requests".to_owned()),
        _ => Reply::ok(named("x")),
    })
    .await;
    let cluster = cluster(&server).await;
    let started = std::time::Instant::now();
    cluster.create_lease(&Lease::default()).await.expect("created at the second attempt");
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.lines(), ["POST /apis/coordination.k8s.io/v1/namespaces/acme/leases"; 2]);
}

#[tokio::test]
async fn a_wait_that_no_clock_can_count_is_not_begun() {
    let header =
        Server::start(|_, _| Reply::With(429, &[("retry-after", "18446744073709551615")], String::new())).await;
    let details = Server::start(|_, _| {
        Reply::json(429, json!({"kind": "Status", "code": 429, "details": {"retryAfterSeconds": u64::MAX}}))
    })
    .await;
    for server in [header, details] {
        let error = cluster(&server).await.lease("x").await.expect_err("refused");
        assert_eq!((error.kind, server.asked().len()), (ApiErrorKind::TooManyRequests, 1));
    }
}

#[tokio::test]
async fn refusals_have_kinds() {
    for (code, reason, kind) in [
        (401, "Unauthorized", ApiErrorKind::Unauthenticated),
        (403, "Forbidden", ApiErrorKind::Forbidden),
        (409, "AlreadyExists", ApiErrorKind::AlreadyExists),
        (409, "Conflict", ApiErrorKind::Conflict),
        (422, "Invalid", ApiErrorKind::Invalid),
    ] {
        let server = Server::start(move |_, _| status(code, reason, "a reason")).await;
        let error = cluster(&server).await.create_lease(&Lease::default()).await.expect_err("refused");
        assert_eq!((error.kind, error.service), (kind, Service::Kubernetes));
        assert!(error.message.ends_with("a reason"), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
    let without_version = Lease::default();
    let server = Server::start(|_, _| Reply::Hang).await;
    let error = cluster(&server).await.replace_lease(&without_version).await.expect_err("no precondition");
    assert_eq!((error.kind, server.asked().len()), (ApiErrorKind::Invalid, 0));
}

#[tokio::test]
async fn nobody_there() {
    let target = {
        let server = Server::start(|_, _| Reply::Hang).await;
        target(&server).await
    };
    let cluster = Cluster::connect(&target, &"acme".parse().expect("an account")).expect("a client");
    let started = std::time::Instant::now();
    let error = cluster.lease("x").await.expect_err("nobody listens");
    assert_eq!(error.kind, ApiErrorKind::Unreachable);
    assert!(error.message.contains("refused"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3), "a stranger is given up early");
}

#[tokio::test]
async fn a_refused_token_runs_the_plugin_once_for_all() {
    let count = tempfile::NamedTempFile::new().expect("a file");
    let script = format!(
        "echo x >> {}; echo '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{{\"token\":\"new\"}}}}'",
        count.path().display()
    );
    let server = Server::start(|_, asked| match asked.header("authorization") {
        Some("Bearer new") => Reply::ok(named("x")),
        _ => status(401, "Unauthorized", "Unauthorized"),
    })
    .await;
    let mut target = target(&server).await;
    target.config.auth_info.token = Some(secrecy::SecretString::from("old"));
    target.renewal = Some(Renewal::Plugin(Box::new(Plugin::of_shell(&script))));
    let cluster = connect(&target);
    let results = futures::future::join_all((0..5).map(|_| cluster.lease("x"))).await;
    assert!(results.iter().all(|result| matches!(result, Ok(Some(_)))), "{results:?}");
    let runs = || std::fs::read_to_string(count.path()).expect("a file").lines().count();
    assert_eq!(runs(), 1);
    // A write is repeated too: the server did nothing for somebody it does not know.
    target.expires = None;
    let second = connect(&target);
    second.create_lease(&Lease::default()).await.expect("created");
    assert_eq!(runs(), 2);
    // One that is known to have ended is not even tried.
    target.expires = Some(Timestamp::now());
    let asked = server.asked().len();
    connect(&target).lease("x").await.expect("an answer");
    assert_eq!((runs(), server.asked().len()), (3, asked + 1));
}

#[tokio::test]
async fn a_plugin_that_does_not_help_is_not_run_for_ever() {
    let server = Server::start(|_, _| status(401, "Unauthorized", "no")).await;
    let mut target = target(&server).await;
    let plugin = Plugin::of_shell("echo MARKER-s3cr3t; echo please log in MARKER >&2; exit 3");
    target.renewal = Some(Renewal::Plugin(Box::new(plugin)));
    let error = connect(&target).lease("x").await.expect_err("no credential");
    assert_eq!((error.service, error.kind), (Service::Credentials, ApiErrorKind::Unauthenticated));
    assert!(error.message.contains("failed (exit status: 3)"), "{error}");
    assert!(!format!("{error} {error:?}").contains("MARKER"));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn external_secrets_may_be_old_or_missing() {
    let groups = |versions: &[&str]| {
        Reply::ok(json!({"versions": versions.iter().map(|v| json!({"version": v})).collect::<Vec<_>>()}))
    };
    for (versions, expected) in [
        (Some(["v1", "v1beta1"]), ExternalSecretsApi::V1),
        (Some(["v1beta1", "v1alpha1"]), ExternalSecretsApi::OnlyV1beta1),
        (None, ExternalSecretsApi::Missing),
    ] {
        let server = Server::start(move |_, _| match versions {
            Some(versions) => groups(&versions),
            None => Reply::Text(404, "404 page not found\n".to_owned()),
        })
        .await;
        let cluster = cluster(&server).await;
        assert_eq!(cluster.external_secrets_api().await, Ok(expected));
        assert_eq!(cluster.external_secrets_api().await, Ok(expected));
        assert_eq!(server.lines(), ["GET /apis/external-secrets.io"], "discovered once");
    }
}

#[tokio::test]
async fn questions_about_ourselves() {
    fn answer(_: usize, asked: &Asked) -> Reply {
        let (line, headers) = (asked.line(), &[("date", "Mon, 23 Nov 2026 10:00:00 GMT")]);
        match line.rsplit('/').next() {
            Some("version") => Reply::With(200, headers, "{}".to_owned()),
            Some("selfsubjectreviews") => Reply::ok(json!({"status": {"userInfo": {"username": "jane"}}})),
            Some("selfsubjectaccessreviews") => {
                let attributes = &asked.json()["spec"]["resourceAttributes"];
                let allowed = attributes["verb"] == "get" && attributes["namespace"] == "acme";
                Reply::ok(json!({"spec": {}, "status": {"allowed": allowed}}))
            }
            Some("namespaces") => list(json!([{"metadata": {"name": "acme"}}]), ""),
            Some("events") if asked.method == http::Method::GET => list(json!([]), ""),
            Some("events") => status(409, "AlreadyExists", "there"),
            _ => panic!("{line}"),
        }
    }
    use ::http;
    let server = Server::start(answer).await;
    let cluster = cluster(&server).await;
    assert_eq!(cluster.server_time().await.map(|at| at.to_string()).as_deref(), Ok("2026-11-23T10:00:00Z"));
    assert_eq!(cluster.whoami().await, Ok(Some("jane".to_owned())));
    let store = Access { cluster_wide: true, ..Access::to("get", "external-secrets.io", "clustersecretstores") };
    let questions = [Access::to("get", "", "secrets"), Access::to("delete", "", "secrets"), store];
    assert_eq!(cluster.may(&questions).await, Ok(vec![true, false, false]));
    assert_eq!(cluster.cluster_list::<Namespace>().await.map(|list| list.len()), Ok(1));
    assert_eq!(cluster.events_about("u-1").await, Ok(vec![]));
    let regarding =
        ObjectReference { kind: Some("Lease".to_owned()), name: Some("x".to_owned()), ..Default::default() };
    cluster.publish_event(&regarding, "Rotated", &"n".repeat(2000)).await.expect("there already is as good");
    let asked = server.asked();
    assert!(asked.iter().any(|asked| asked.target.contains("fieldSelector=involvedObject.uid%3Du-1")));
    let event = asked.last().expect("the Event").json();
    assert_eq!((&event["involvedObject"]["namespace"], &event["reason"]), (&json!("acme"), &json!("Rotated")));
}

async fn changed(pulse: &mut Pulse, within: u64) -> bool {
    tokio::time::timeout(Duration::from_millis(within), pulse.changed()).await.is_ok()
}

fn event(kind: &str, version: &str) -> String {
    json!({"type": kind, "object": {"metadata": {"name": "x", "resourceVersion": version}, "data": {"KEY": MARKER}}})
        .to_string()
}

#[tokio::test]
async fn a_pulse_tells_of_changes_and_of_nothing_else() {
    let server = Server::start(|n, asked| match (n, asked.target.contains("watch=true")) {
        (_, false) => list(json!([]), ""),
        // The first watch ends in order; the next goes on from where it was.
        (1, true) => Reply::Lines(vec![event("MODIFIED", "11"), event("BOOKMARK", "15")]),
        (_, true) => Reply::Open(vec![event("BOOKMARK", "20")]),
    })
    .await;
    let cluster = cluster(&server).await;
    let mut pulse = cluster.pulse(&[Watched::Secrets]);
    assert!(changed(&mut pulse, 2000).await, "the beginning, the change, or both");
    while changed(&mut pulse, 200).await {}
    assert!(!changed(&mut pulse, 500).await, "a bookmark is no change");
    let asked = server.asked();
    assert_eq!(asked.len(), 3, "list, watch, watch");
    assert!(asked[2].target.contains("resourceVersion=15"), "{}", asked[2].target);
    for asked in asked {
        assert_eq!(asked.line(), "GET /api/v1/namespaces/acme/secrets");
        assert!(asked.header("accept").is_some_and(|accept| accept.contains("as=PartialObjectMetadata")));
    }
}

#[tokio::test]
async fn a_pulse_that_expires_looks_afresh() {
    let server = Server::start(|n, asked| match (n, asked.target.contains("watch=true")) {
        (_, false) => list(json!([]), ""),
        (1, true) => status(410, "Expired", "too old"),
        (3, true) => Reply::Lines(vec![
            json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}).to_string(),
        ]),
        (_, true) => Reply::Open(vec![]),
    })
    .await;
    let cluster = cluster(&server).await;
    let mut pulse = cluster.pulse(&[Watched::Workloads(WorkloadKind::Deployment)]);
    while server.asked().len() < 6 {
        assert!(changed(&mut pulse, 2000).await, "each loss is a change");
    }
    assert_eq!(server.lines()[5], "GET /apis/apps/v1/namespaces/acme/deployments");
}

#[tokio::test]
async fn a_pulse_that_may_not_watch_ticks_and_ends_with_its_owner() {
    let server = Server::start(|_, _| status(403, "Forbidden", "no")).await;
    let cluster = cluster(&server).await;
    let mut pulse = cluster.pulse(&[Watched::Pods, Watched::Events]);
    for _ in 0..3 {
        assert!(changed(&mut pulse, 2000).await, "a tick");
    }
    assert_eq!(server.asked().len(), 2, "a refusal is not asked for again each second");
    drop(pulse);
    let mut none = cluster.pulse(&[]);
    assert!(changed(&mut none, 2000).await, "nothing to watch: a tick");
}

#[tokio::test]
async fn requests_can_run_in_tasks_of_their_own() {
    let server = Server::start(|_, _| list(json!([pod_spec()]), "")).await;
    let cluster = cluster(&server).await;
    let other = cluster.for_account(&"globex".parse().expect("an account"));
    let task = tokio::spawn(async move { other.list::<Pod>().await });
    assert_eq!(task.await.expect("no panic").expect("pods").len(), 1);
    assert_eq!(server.lines(), ["GET /api/v1/namespaces/globex/pods"]);
    assert_eq!(cluster.namespace().as_str(), "acme");
}

#[tokio::test]
async fn each_attempt_of_a_patch_asks_first_and_the_lock_itself_never_does() {
    let refuses = |n: usize, asked: &Asked| match (asked.method.as_str(), n) {
        ("PATCH", 0) => Reply::With(429, &[("retry-after", "0")], "{}".to_owned()),
        ("PATCH", 1) => status(409, "Conflict", "at the same moment"),
        _ => Reply::ok(named("x")),
    };
    let server = Server::start(refuses).await;
    let (asks, asked) = fence(usize::MAX);
    let fenced = cluster(&server).await.fenced_by(asks);
    fenced.annotate_external_secret("x", "force-sync", "t", "deepdesk").await.expect("patched");
    assert_eq!((asked.load(Ordering::SeqCst), server.asked().len()), (3, 3), "one question, one request");
    let mut lease = Lease::default();
    lease.metadata.name = Some("x".to_owned());
    lease.metadata.resource_version = Some("1".to_owned());
    fenced.replace_lease(&lease).await.expect("replaced");
    fenced.lease("x").await.expect("read");
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    let server = Server::start(refuses).await;
    let fenced = cluster(&server).await.fenced_by(fence(1).0);
    let error = fenced.annotate_external_secret("x", "force-sync", "t", "deepdesk").await.expect_err("lost");
    assert_eq!((error.kind, server.asked().len()), (ApiErrorKind::Fenced { sent: false }, 1));
}
