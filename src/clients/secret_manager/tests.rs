//! The client against small servers on this machine: what is sent, what is repeated, what is made of the answers.

use base64::Engine;
use serde_json::{Value, json};

use super::*;
use crate::clients::testing::{Reply, Server, fence};

const MARKER: &str = "MARKER-s3cr3t";

fn manager(server: &Server) -> SecretManager {
    let endpoint = Endpoint::instead(&server.url()).expect("a loopback endpoint");
    let mut manager = SecretManager::new(endpoint, Resolved::none("test"));
    manager.wire.retry.attempt = Duration::from_millis(300);
    manager.wire.retry.first_pause = Duration::from_millis(1);
    manager.wire.retry.longest_pause = Duration::from_millis(5);
    manager.with_call_deadline(Duration::from_secs(3))
}

fn home() -> SecretHome {
    SecretHome { project: "acme-prod".parse().expect("a project"), location: None }
}

fn secret() -> SecretId {
    "acme_account_secret".parse().expect("a secret")
}

fn marker() -> Payload {
    Payload::new(MARKER.as_bytes().to_vec())
}

fn version(number: u64) -> VersionId {
    VersionId::new(number).expect("a version")
}

fn accessed(number: u64, value: &str, checksum: i64) -> Value {
    let data = base64::engine::general_purpose::STANDARD.encode(value);
    json!({"name": format!("projects/123/secrets/acme_account_secret/versions/{number}"),
           "payload": {"data": data, "dataCrc32c": checksum.to_string()}})
}

fn google_error(code: u16, status: &str, message: &str) -> Reply {
    Reply::json(code, json!({"error": {"code": code, "status": status, "message": message}}))
}

fn listed(number: u64, state: &str) -> Value {
    json!({"name": format!("projects/123/secrets/x/versions/{number}"), "state": state,
           "createTime": "2026-11-23T10:00:00.5Z", "etag": "\"e\""})
}

#[tokio::test]
async fn an_access_says_which_version_it_read() {
    let server = Server::start(|_, _| Reply::ok(accessed(7, MARKER, marker().crc32c()))).await;
    let access = manager(&server).access(&home(), &secret(), Which::Latest).await.expect("an answer");
    let Access::Enabled { version: read, payload } = &access else { panic!("{access:?}") };
    assert!(payload.same_as(&marker()));
    assert_eq!(*read, version(7));
    assert!(!format!("{access:?}").contains("MARKER"));
    let asked = &server.asked()[0];
    assert_eq!(asked.line(), "GET /v1/projects/acme-prod/secrets/acme_account_secret/versions/latest:access");
    assert_eq!(asked.header("user-agent"), Some(crate::clients::USER_AGENT));
    assert_eq!(asked.header("authorization"), None, "no token to a plain endpoint");
}

#[tokio::test]
async fn damaged_bytes_are_asked_for_once_more_and_never_taken() {
    let server = Server::start(|n, _| Reply::ok(accessed(7, MARKER, marker().crc32c() + i64::from(n == 0)))).await;
    let access = manager(&server).access(&home(), &secret(), Which::Number(version(7))).await;
    assert!(matches!(access, Ok(Access::Enabled { .. })), "{access:?}");

    let server = Server::start(|_, _| Reply::ok(accessed(7, MARKER, 1))).await;
    let error = manager(&server).access(&home(), &secret(), Which::Latest).await.expect_err("a wrong checksum");
    assert_eq!((error.kind, server.asked().len()), (ApiErrorKind::Malformed, 2));
}

#[tokio::test]
async fn what_cannot_be_read_has_a_state() {
    for (status, code, message, expected) in [
        (400, "FAILED_PRECONDITION", "Secret Version [x] is in DISABLED state.", Some(VersionState::Disabled)),
        (400, "FAILED_PRECONDITION", "Secret Version [x] is in DESTROYED state.", Some(VersionState::Destroyed)),
        // Only the version itself tells what is meant.
        (400, "FAILED_PRECONDITION", "the key is not enabled, current state is: DISABLED.", None),
        (404, "NOT_FOUND", "Secret [x] not found or has no versions.", None),
    ] {
        let server = Server::start(move |_, asked| match asked.target.contains(":access") {
            true => google_error(status, code, message),
            false => Reply::ok(listed(7, "ENABLED")),
        })
        .await;
        let access = manager(&server).access(&home(), &secret(), Which::Latest).await;
        match (status, expected) {
            (404, _) => assert!(matches!(access, Ok(Access::Missing)), "{access:?}"),
            (_, Some(state)) => assert!(matches!(access, Ok(Access::NotEnabled { state: s }) if s == state)),
            (_, None) => assert_eq!(access.expect_err("not the version").kind, ApiErrorKind::Precondition),
        }
    }
}

#[tokio::test]
async fn an_answer_from_somewhere_else_is_not_a_missing_secret() {
    for (code, kind) in [(404, ApiErrorKind::Malformed), (407, ApiErrorKind::Forbidden)] {
        let server = Server::start(move |_, _| Reply::Text(code, format!("<html>{MARKER}</html>"))).await;
        let error = manager(&server).access(&home(), &secret(), Which::Latest).await.expect_err("a proxy's page");
        assert_eq!(error.kind, kind);
        assert!(error.message.contains("not JSON"));
        assert!(!format!("{error} {error:?}").contains("MARKER"));
    }
    for body in [format!("{{\"name\": [\"{MARKER}\"]}}"), format!("{{\"payload\": {{\"data\": \"{MARKER}!!\"}}}}")] {
        let server = Server::start(move |_, _| Reply::Text(200, body.clone())).await;
        let error = manager(&server).access(&home(), &secret(), Which::Latest).await.expect_err("another shape");
        assert_eq!(error.kind, ApiErrorKind::Malformed);
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    }
}

#[tokio::test]
async fn reads_are_repeated_and_an_addition_is_not() {
    type Fault = fn() -> Reply;
    let faults: [(Fault, ApiErrorKind); 4] = [
        (|| google_error(503, "UNAVAILABLE", "later"), ApiErrorKind::Unavailable),
        (|| google_error(500, "INTERNAL", "oops"), ApiErrorKind::Internal),
        (|| Reply::Close, ApiErrorKind::Connection),
        (|| Reply::Hang, ApiErrorKind::Timeout),
    ];
    for (fault, kind) in faults {
        let server = Server::start(move |n, _| match n {
            0 | 1 => fault(),
            _ => Reply::ok(accessed(7, MARKER, marker().crc32c())),
        })
        .await;
        let manager = manager(&server);
        let error = manager.add_version(&home(), &secret(), &marker(), &Fence::OPEN).await.expect_err("a lost answer");
        assert_eq!(error.kind, kind);
        assert!(error.is_outcome_unknown());
        assert!(!format!("{error} {error:?}").contains("MARKER"));
        assert_eq!(server.asked().len(), 1, "{kind:?}: sent once");
        manager.access(&home(), &secret(), Which::Latest).await.expect("repeated until answered");
        assert_eq!(server.asked().len(), 3, "{kind:?}: repeated");
    }
}

#[tokio::test]
async fn an_addition_refused_for_the_quota_is_repeated_when_the_server_says() {
    let server = Server::start(|n, _| match n {
        0 => Reply::json(
            429,
            json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down", "details": [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.2s"}]}}),
        ),
        1 => Reply::With(429, &[("retry-after", "0")], "{}".to_owned()),
        _ => Reply::ok(json!({"name": "projects/123/secrets/x/versions/8"})),
    })
    .await;
    let started = std::time::Instant::now();
    let added = manager(&server).add_version(&home(), &secret(), &marker(), &Fence::OPEN).await.expect("added");
    assert_eq!(added, version(8));
    assert!(started.elapsed() >= Duration::from_millis(200), "RetryInfo is heeded");
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[2].json()["payload"]["dataCrc32c"], marker().crc32c().to_string());
    let sent = asked[2].json()["payload"]["data"].as_str().map(str::to_owned);
    assert_eq!(sent, Some(base64::engine::general_purpose::STANDARD.encode(MARKER)));
}

#[tokio::test]
async fn a_wait_past_the_deadline_is_not_begun() {
    let server = Server::start(|_, _| Reply::With(429, &[("retry-after", "60")], "{}".to_owned())).await;
    let error =
        manager(&server).add_version(&home(), &secret(), &marker(), &Fence::OPEN).await.expect_err("over the quota");
    assert_eq!((error.kind, error.is_outcome_unknown()), (ApiErrorKind::TooManyRequests, false));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn nobody_there() {
    // Taken and not listened at: a port that is free is soon another test's.
    let taken = tokio::net::TcpSocket::new_v4().expect("a socket");
    taken.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let url = format!("http://{}", taken.local_addr().expect("bound"));
    let endpoint = Endpoint::instead(&url).expect("a loopback endpoint");
    let manager = SecretManager::new(endpoint, Resolved::none("test")).with_call_deadline(Duration::from_secs(5));
    let started = std::time::Instant::now();
    let error = manager.add_version(&home(), &secret(), &marker(), &Fence::OPEN).await.expect_err("nobody listens");
    assert_eq!((error.kind, error.is_outcome_unknown()), (ApiErrorKind::Unreachable, false));
    assert!(started.elapsed() < Duration::from_secs(3), "a stranger is given up early");
}

#[tokio::test]
async fn a_disable_whose_answer_was_lost_is_found_to_be_done() {
    for (state, done) in [("DISABLED", true), ("ENABLED", false)] {
        let server = Server::start(move |n, asked| match (n, asked.target.contains(":disable")) {
            (0, true) => Reply::Close,
            (_, true) => google_error(400, "FAILED_PRECONDITION", "etag mismatch"),
            (_, false) => Reply::ok(listed(7, state)),
        })
        .await;
        let result = manager(&server).disable(&home(), &secret(), version(7), "\"e\"", &Fence::OPEN).await;
        assert_eq!(result.is_ok(), done, "{state}: {result:?}");
        assert_eq!(server.asked()[0].json()["etag"], "\"e\"");
    }
    // Refused at once: somebody else changed it.
    let server = Server::start(|_, _| google_error(400, "FAILED_PRECONDITION", "etag mismatch")).await;
    let error = manager(&server)
        .disable(&home(), &secret(), version(7), "\"e\"", &Fence::OPEN)
        .await
        .expect_err("a stale etag");
    assert_eq!((error.kind, server.asked().len()), (ApiErrorKind::Precondition, 1));
}

#[tokio::test]
async fn versions_are_listed_newest_first_over_all_pages() {
    let server = Server::start(|_, asked| match asked.target.contains("pageToken=next") {
        false => {
            Reply::ok(json!({"versions": [listed(10, "ENABLED"), listed(9, "DISABLED")], "nextPageToken": "next"}))
        }
        // A number is what the real service answers: the client asks for it.
        true => Reply::ok(json!({"versions": [{"name": "projects/1/secrets/x/versions/8", "state": 3,
                                               "createTime": "2026-11-23T10:00:00Z"}]})),
    })
    .await;
    let manager = manager(&server);
    let versions = manager.versions(&home(), &secret(), 10).await.expect("a list").expect("a secret");
    let states: Vec<_> = versions.iter().map(|info| (info.version.get(), info.state)).collect();
    let expected = [(10, VersionState::Enabled), (9, VersionState::Disabled), (8, VersionState::Destroyed)];
    assert_eq!(states, expected);
    assert_eq!(versions[0].created.to_string(), "2026-11-23T10:00:00.5Z");
    let one = manager.versions(&home(), &secret(), 1).await.expect("a list").expect("a secret");
    assert_eq!(one.len(), 1);
    manager.enabled_versions(&home(), &secret()).await.expect("a list");
    assert!(server.asked().iter().any(|asked| asked.target.contains("filter=state%3AENABLED")));

    let server = Server::start(|_, _| google_error(404, "NOT_FOUND", "no")).await;
    assert_eq!(self::manager(&server).versions(&home(), &secret(), 5).await, Ok(None));
}

#[tokio::test]
async fn a_list_that_never_ends_is_an_error() {
    let same = Server::start(|_, _| Reply::ok(json!({"versions": [], "nextPageToken": "next"}))).await;
    let error = manager(&same).versions(&home(), &secret(), 10).await.expect_err("no list");
    assert_eq!(error.to_string(), "listSecretVersions acme_account_secret: unreadable answer: the list does not end");
    assert_eq!(same.asked().len(), 2);
}

#[tokio::test]
async fn nobody_is_followed_to_another_server() {
    let elsewhere =
        Server::start(|_, _| Reply::ok(json!({"name": "projects/1/secrets/acme_account_secret/versions/8"}))).await;
    let to: &'static str = elsewhere.url().leak();
    let headers: &'static [(&str, &str)] = vec![("location", to)].leak();
    for code in [301, 302, 303, 307, 308] {
        let server = Server::start(move |_, _| Reply::With(code, headers, String::new())).await;
        let manager = manager(&server);
        let added = manager.add_version(&home(), &secret(), &marker(), &Fence::OPEN).await.expect_err("not added");
        let read = manager.access(&home(), &secret(), Which::Latest).await.expect_err("not read");
        for error in [added, read] {
            assert_eq!(error.kind, ApiErrorKind::Malformed, "{code}: {error}");
        }
        assert_eq!((server.asked().len(), elsewhere.asked().len()), (2, 0), "{code}: {:?}", elsewhere.lines());
    }
}

#[tokio::test]
async fn a_secret_is_created_like_another() {
    let server = Server::start(|_, asked| match asked.method {
        http::Method::GET => Reply::ok(json!({
            "name": "projects/1/secrets/x", "labels": {"team": "blue"}, "annotations": {"note": MARKER}, "etag": "\"e\"",
            "replication": {"userManaged": {"replicas": [{"location": "europe-west1"}]}}, "versionDestroyTtl": "86400s",
        })),
        _ => google_error(409, "ALREADY_EXISTS", "there"),
    })
    .await;
    let manager = manager(&server);
    let settings = manager.settings(&home(), &secret()).await.expect("an answer").expect("a secret");
    assert!(!format!("{settings:?}").contains("MARKER"));
    let error = manager.create(&home(), &secret(), &settings, &Fence::OPEN).await.expect_err("it is there");
    assert_eq!(error.kind, ApiErrorKind::AlreadyExists);
    let asked = &server.asked()[1];
    assert!(asked.target.contains("secretId=acme_account_secret"));
    assert_eq!(
        asked.json(),
        json!({"labels": {"team": "blue"}, "versionDestroyTtl": "86400s",
               "replication": {"userManaged": {"replicas": [{"location": "europe-west1"}]}}})
    );
}

#[tokio::test]
async fn a_policy_set_meanwhile_is_not_lost() {
    let reads = std::sync::atomic::AtomicU32::new(0);
    let server = Server::start(move |_, asked| {
        if asked.target.contains(":setIamPolicy") {
            return match asked.json()["policy"]["etag"].as_str() {
                Some("Mg==") => Reply::ok(json!({})),
                _ => google_error(409, "ABORTED", "concurrent policy change"),
            };
        }
        match reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Reply::ok(json!({"etag": "MQ=="})),
            _ => Reply::ok(json!({"etag": "Mg==", "bindings": [{"role": "own", "members": ["user:a"]}]})),
        }
    })
    .await;
    let wanted = google_cloud_iam_v1::model::Binding::new().set_role("reader").set_members(["user:eso"]);
    let policy = Policy(google_cloud_iam_v1::model::Policy::new().set_bindings([wanted]));
    manager(&server).set_policy(&home(), &secret(), &policy, &Fence::OPEN).await.expect("set");
    let asked = server.asked();
    assert_eq!(asked.len(), 4, "read, conflict, read, set");
    assert!(asked[0].target.contains("requestedPolicyVersion=3"), "{}", asked[0].target);
    assert_eq!(
        asked[3].json()["policy"]["bindings"],
        json!([{"role": "own", "members": ["user:a"]}, {"role": "reader", "members": ["user:eso"]}])
    );
}

#[tokio::test]
async fn permissions_are_what_the_server_confirms() {
    let server = Server::start(|_, _| Reply::ok(json!({"permissions": ["secretmanager.versions.access"]}))).await;
    let wanted = ["secretmanager.versions.access", "secretmanager.versions.add"];
    let held = manager(&server).test_permissions(&home(), &secret(), &wanted).await.expect("an answer");
    assert_eq!(held, ["secretmanager.versions.access"]);
    assert_eq!(server.asked()[0].json()["permissions"], json!(wanted));
}

#[tokio::test]
async fn calls_can_run_in_tasks_of_their_own() {
    let server = Server::start(|_, _| Reply::ok(accessed(7, MARKER, marker().crc32c()))).await;
    let manager = manager(&server);
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let manager = manager.clone();
            tokio::spawn(async move { manager.access(&home(), &secret(), Which::Latest).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("an answer");
    }
}

/// A refusal for the quota, with the pause that the server asks for.
fn slow_down() -> Reply {
    Reply::With(429, &[("retry-after", "0")], "{}".to_owned())
}

#[tokio::test]
async fn each_attempt_of_a_write_asks_first_and_a_read_never_does() {
    use std::sync::atomic::Ordering;
    let server = Server::start(|n, asked| match n {
        _ if asked.target.ends_with(":access") => Reply::ok(accessed(7, MARKER, marker().crc32c())),
        0 | 1 => slow_down(),
        _ => Reply::ok(json!({"name": "projects/123/secrets/x/versions/8"})),
    })
    .await;
    let (fence, asked) = fence(usize::MAX);
    let manager = manager(&server);
    manager.add_version(&home(), &secret(), &marker(), &fence).await.expect("added");
    assert_eq!((asked.load(Ordering::SeqCst), server.asked().len()), (3, 3), "one question, one request");
    manager.access(&home(), &secret(), Which::Latest).await.expect("read");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_waited_is_not_sent_when_the_lock_was_lost_meanwhile() {
    // Certainly not done before: nothing was sent. Perhaps done: that is not known.
    type Fault = fn() -> Reply;
    let settings = SecretSettings::of(model::Secret::default());
    for (fault, unknown) in [(slow_down as Fault, false), (|| Reply::Close, true)] {
        let server = Server::start(move |_, _| fault()).await;
        let manager = manager(&server);
        let mut errors = Vec::new();
        let lets_one = || fence(1).0;
        errors.push(manager.disable(&home(), &secret(), version(7), "\"e\"", &lets_one()).await.expect_err("lost"));
        if !unknown {
            // These are not repeated after an answer that was lost.
            errors.push(manager.add_version(&home(), &secret(), &marker(), &lets_one()).await.expect_err("lost"));
            errors.push(manager.create(&home(), &secret(), &settings, &lets_one()).await.expect_err("lost"));
        }
        for error in &errors {
            assert_eq!((error.kind, error.is_outcome_unknown()), (ApiErrorKind::Fenced { sent: unknown }, unknown));
            assert_eq!(error.message, "somebody has it");
        }
        assert_eq!(server.asked().len(), errors.len(), "one request each");
    }
    let server = Server::start(|_, _| panic!("nothing is sent")).await;
    let error = manager(&server).add_version(&home(), &secret(), &marker(), &fence(0).0).await.expect_err("lost");
    assert_eq!(error.kind, ApiErrorKind::Fenced { sent: false });
}
