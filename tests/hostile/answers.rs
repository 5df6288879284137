//! Answers of Secret Manager, of the API server and of whoever answers in their place, read by the real clients.

use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deepdesk_protocol::facts::names::{SecretHome, SecretId, VersionId};
use deepdesk_protocol::facts::payload::Payload;
use kubectl_deepdesk::clients::cluster::Cluster;
use kubectl_deepdesk::clients::credentials::Resolved;
use kubectl_deepdesk::clients::endpoint::Endpoint;
use kubectl_deepdesk::clients::error::ApiError;
use kubectl_deepdesk::clients::fence::Fence;
use kubectl_deepdesk::clients::kubeconfig::{self, KubeFlags, StdinUse};
use kubectl_deepdesk::clients::secret_manager::{Access, SecretManager, Which};
use kubectl_deepdesk::environment::Environment;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::http::pass_request;
use crate::input::{MARKER, anything, holds, is_one_clear_line, nearly, nearly_json};

/// An answer: a status, some headers, a body.
#[derive(Clone, Debug)]
struct Answer(u16, Vec<(&'static str, String)>, Vec<u8>);

/// Answers every request on a port of loopback with the same answer, until another one is set.
struct Server {
    url: String,
    answer: Arc<Mutex<Answer>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let answer = Arc::new(Mutex::new(Answer(200, Vec::new(), Vec::new())));
        let shared = answer.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(client, &shared));
            }
        });
        Server { url, answer }
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().expect("nobody panicked") = answer;
    }
}

/// None: the other end has left.
fn serve(mut client: std::net::TcpStream, answer: &Mutex<Answer>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    loop {
        pass_request(&mut reader)?;
        let Answer(status, headers, body) = answer.lock().ok()?.clone();
        let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        // In one piece: two would wait for each other's acknowledgement, 40 ms each time.
        client.write_all(&[head.as_bytes(), b"\r\n", &body].concat()).ok()?;
    }
}

/// JSON that is nearly right, its text damaged, or a page of something else. Statuses that are repeated take the time of
/// a whole call, and have tests of their own.
fn answer(objects: Vec<Value>) -> impl Strategy<Value = Answer> {
    const PAGES: [&str; 3] = [
        "<html><title>Log in</title>MARKER-s3cr3t-qZ8vT1nK</html>",
        "{\"error\": {\"code\": 403, \"status\": \"PERMISSION_DENIED\", \"message\": \"no\\u001b[2J\", \"details\": [{\"@type\": \"x\"}]}}",
        "{\"kind\": \"Status\", \"code\": 403, \"reason\": \"Forbidden\", \"message\": \"no\\u009b\", \"details\": {\"retryAfterSeconds\": 18446744073709551615}}",
    ];
    let status = prop_oneof![8 => Just(200u16), 4 => select(&[201, 204, 206, 400, 401, 403, 404, 409, 410, 412, 418][..]), 1 => Just(429)];
    let body = prop_oneof![
        6 => prop::sample::select(objects).prop_flat_map(nearly_json).prop_map(|value| value.to_string().into_bytes()),
        1 => anything().prop_map(|value| value.to_string().into_bytes()),
        2 => nearly(&PAGES).prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ];
    let headers = prop::collection::vec(
        prop_oneof![
            // Never less than a call may take: it is not waited for.
            select(
                &["18446744073709551615", "99999999999", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"][..]
            )
            .prop_map(|value| ("retry-after", value.to_owned())),
            select(&["Thu, 01 Jan 1970 00:00:00 GMT", "x", "Mon, 23 Nov 2026 10:00:00 GMT"][..])
                .prop_map(|value| ("date", value.to_owned())),
            select(&["text/html", "application/json", "application/json; charset=utf-16", "\u{7f}"][..])
                .prop_map(|value| ("content-type", value.to_owned())),
            select(&["gzip", "br", "x"][..]).prop_map(|value| ("content-encoding", value.to_owned())),
        ],
        0..2,
    );
    (status, headers, body).prop_map(|(status, mut headers, body)| {
        // Without it the client would try again at once, until the call's time is over.
        if status == 429 && !headers.iter().any(|(name, _)| *name == "retry-after") {
            headers.push(("retry-after", "18446744073709551615".to_owned()));
        }
        Answer(status, headers, body)
    })
}

fn told<T>(answer: Result<T, ApiError>) -> Option<T> {
    answer.map_err(|error| is_one_clear_line(&error.to_string())).ok()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn secret_manager_may_answer_anything() {
    let (server, runtime) = (Server::start(), runtime());
    let endpoint = Endpoint::instead(&server.url).expect("a loopback endpoint");
    let data = "TUFSS0VSLXMzY3IzdC1xWjh2VDFuSw==";
    let home = SecretHome { project: "acme-prod".parse().expect("a project"), location: None };
    let secret: SecretId = "acme_account_secret".parse().expect("an id");
    let name = "projects/1/secrets/acme_account_secret/versions/7";
    let listed = json!({"name": name, "state": "ENABLED", "createTime": "2026-11-23T10:00:00.5Z", "etag": "\"e\"", "replicationStatus": {"automatic": {}}});
    let objects = vec![
        json!({"name": name, "payload": {"data": data, "dataCrc32c": Payload::new(MARKER.into()).crc32c().to_string()}}),
        listed.clone(),
        json!({"versions": [listed.clone(), listed], "nextPageToken": "", "totalSize": 2}),
        json!({"name": "projects/1/secrets/x", "replication": {"automatic": {}}, "labels": {"a": "b"}, "createTime": "2026-11-23T10:00:00Z", "etag": "e",
               "ttl": "3600s", "versionAliases": {"a": "3"}, "topics": [{"name": "projects/p/topics/t"}]}),
        json!({"version": 3, "etag": "BwX=", "bindings": [{"role": "r", "members": ["user:a@b.c"], "condition": {"title": "t", "expression": "x"}}]}),
    ];
    holds("Secret Manager's answers", 900, (answer(objects), 0..7u8), |(answer, what)| {
        server.answers(answer);
        runtime.block_on(async {
            // A new one each time: it keeps to a quota of ten reads a second.
            let manager = SecretManager::new(endpoint.clone(), Resolved::none("test"));
            let manager = manager.with_call_deadline(Duration::from_millis(200));
            let seven = VersionId::new(7).expect("a number");
            match what {
                0 => {
                    if let Some(Access::Enabled { payload, .. }) =
                        told(manager.access(&home, &secret, Which::Latest).await)
                    {
                        assert!(!format!("{payload:?}").contains(MARKER));
                    }
                }
                1 => drop(told(manager.version(&home, &secret, Which::Number(seven)).await)),
                2 => drop(told(manager.versions(&home, &secret, 25).await)),
                3 => drop(told(manager.settings(&home, &secret).await)),
                4 => drop(told(manager.add_version(&home, &secret, &Payload::new(MARKER.into()), &Fence::OPEN).await)),
                5 => drop(told(manager.disable(&home, &secret, seven, "\"e\"", &Fence::OPEN).await)),
                _ => drop(told(manager.policy(&home, &secret).await)),
            }
        });
    });
}

#[test]
fn the_api_server_may_answer_anything() {
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::core::v1::Pod;
    let (server, runtime, home) = (Server::start(), runtime(), tempfile::tempdir().expect("a directory"));
    let path = home.path().join("config");
    std::fs::write(
        &path,
        json!({"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url}}]})
        .to_string(),
    )
    .expect("written");
    let flags = KubeFlags { kubeconfig: Some(path), ..KubeFlags::default() };
    let cluster = runtime.block_on(async {
        let target =
            kubeconfig::load(&flags, &Environment::default(), StdinUse::OursOrNoTerminal).await.expect("a target");
        Cluster::connect(&target, &"acme".parse().expect("a name")).expect("a client").once(Duration::from_millis(1500))
    });
    let metadata = json!({"name": "x", "namespace": "acme", "uid": "u", "resourceVersion": "1", "generation": 1, "creationTimestamp": "2026-11-23T10:00:00Z",
                          "annotations": {"a": "b"}, "managedFields": [{"manager": "m", "time": "2026-11-23T10:00:00Z"}]});
    let list =
        |item: Value| json!({"kind": "List", "metadata": {"resourceVersion": "1", "continue": ""}, "items": [item]});
    let objects = vec![
        json!({"kind": "Secret", "metadata": metadata, "data": {"KEY": "TUFSS0VSLXMzY3IzdC1xWjh2VDFuSw=="}}),
        list(
            json!({"metadata": metadata, "spec": {"containers": [{"name": "c"}]}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
        ),
        list(
            json!({"metadata": metadata, "spec": {"replicas": 2, "selector": {}, "template": {"metadata": {}, "spec": {"containers": []}}}, "status": {"replicas": 2}}),
        ),
        list(
            json!({"metadata": metadata, "involvedObject": {"uid": "u"}, "reason": "r", "message": "m", "count": 3, "lastTimestamp": "2026-11-23T10:00:00Z"}),
        ),
        json!({"metadata": metadata, "spec": {"holderIdentity": "h", "leaseDurationSeconds": 60, "renewTime": "2026-11-23T10:00:00.000000Z"}}),
        json!({"metadata": {}, "status": {"allowed": true, "userInfo": {"username": "u"}}}),
        json!({"kind": "APIGroup", "versions": [{"version": "v1"}]}),
    ];
    holds("the API server's answers", 900, (answer(objects), 0..8u8), |(answer, what)| {
        server.answers(answer);
        runtime.block_on(async {
            match what {
                0 => {
                    if let Some(secret) = told(cluster.secret("x").await) {
                        assert!(!format!("{secret:?}").contains(MARKER));
                    }
                }
                1 => drop(told(cluster.list::<Pod>().await)),
                2 => drop(told(cluster.list::<Deployment>().await)),
                3 => drop(told(cluster.events_about("u").await)),
                4 => drop(told(cluster.lease("x").await)),
                5 => drop(told(cluster.whoami().await)),
                6 => drop(told(cluster.server_time().await)),
                _ => drop(told(cluster.external_secrets().await)),
            }
        });
    });
}
