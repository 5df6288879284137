//! Tokens that a file gives out, time limits, and what an error says of where it was.

use super::*;

/// A server that takes one token and tells which it was asked with.
async fn taking(token: &'static str) -> Server {
    Server::start(move |_, asked| match asked.header("authorization") {
        Some(given) if given == format!("Bearer {token}") => Reply::ok(named("x")),
        _ => status(401, "Unauthorized", "Unauthorized"),
    })
    .await
}

/// A target with the token file's token; over plain http `load` gives out none.
async fn with_token_file(server: &Server, path: &std::path::Path) -> KubeTarget {
    let mut target = target(server).await;
    target.renewal = Some(Renewal::TokenFile(path.to_owned()));
    target.config.auth_info.token = Some(secrecy::SecretString::from("old"));
    target
}

#[tokio::test]
async fn a_token_that_was_replaced_in_its_file_is_read_again() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "new\n").expect("a file");
    let server = taking("new").await;
    // The one that was read before is refused: the kubelet has replaced it.
    let target = with_token_file(&server, file.path()).await;
    connect(&target).lease("x").await.expect("the new one is taken");
    // It is known to be a minute old.
    let aged = KubeTarget { expires: Some(Timestamp::now()), ..target.clone() };
    let asked = server.asked().len();
    let cluster = connect(&aged);
    cluster.lease("x").await.expect("an answer");
    assert_eq!(server.asked().len(), asked + 1, "not tried with the old one");
    // Taken away: the last one goes on.
    drop(file);
    let gone = KubeTarget { expires: Some(Timestamp::now()), ..target.clone() };
    let mut gone = gone;
    gone.config.auth_info.token = Some(secrecy::SecretString::from("new"));
    connect(&gone).lease("x").await.expect("the last one goes on");
    let refused = connect(&target).lease("x").await.expect_err("refused for good");
    assert_eq!((refused.service, refused.kind), (Service::Kubernetes, ApiErrorKind::Unauthenticated));
}

#[tokio::test]
async fn what_was_not_answered_names_the_server_and_the_context() {
    let refusing = Server::start(|_, _| status(401, "Unauthorized", "no")).await;
    let mut target = target(&refusing).await;
    target.context = Some("prod".to_owned());
    let place = format!("{} (context prod)", target.server.trim_end_matches('/'));
    let refused = connect(&target).lease("x").await.expect_err("refused");
    assert_eq!(refused.message, format!("{place}: no"));

    let silent = Server::start(|_, _| Reply::Text(502, "<html>".to_owned())).await;
    let other = KubeTarget { context: Some("prod".to_owned()), ..super::target(&silent).await };
    let error = connect(&other).lease("x").await.expect_err("a proxy's page");
    assert!(error.message.contains("(context prod): answered 502"), "{error}");

    let nobody = KubeFlags { server: Some("http://127.0.0.1:9".to_owned()), ..KubeFlags::default() };
    let nobody = load(&nobody, &Environment::default(), StdinUse::OursOrNoTerminal).await.expect("a target");
    let error = connect(&nobody).lease("x").await.expect_err("nobody is there");
    assert!(error.message.starts_with("http://127.0.0.1:9: "), "{error}");

    let forbidden = Server::start(|_, _| status(403, "Forbidden", "leases is forbidden")).await;
    let error = cluster(&forbidden).await.lease("x").await.expect_err("forbidden");
    assert_eq!(error.message, "leases is forbidden", "its own words say it");
}

#[tokio::test]
async fn the_time_limit_of_the_call_bounds_a_request_with_its_repeats() {
    let server = Server::start(|_, _| status(503, "ServiceUnavailable", "no")).await;
    let flags = KubeFlags {
        server: Some(server.url()),
        request_timeout: Some(Duration::from_millis(700)),
        ..KubeFlags::default()
    };
    let target = load(&flags, &Environment::default(), StdinUse::OursOrNoTerminal).await.expect("a target");
    let began = std::time::Instant::now();
    let cluster = Cluster::connect(&target, &"acme".parse().expect("an account")).expect("a client");
    cluster.lease("x").await.expect_err("not available");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(server.asked().len() > 1, "within it, it is repeated");
}

#[tokio::test]
async fn a_plugin_that_a_person_has_to_answer_may_take_longer_than_a_request() {
    let server = taking("new").await;
    let script = "sleep 1; echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"new\"}}'";
    let mut target = target(&server).await;
    target.config.auth_info.token = Some(secrecy::SecretString::from("old"));
    target.renewal = Some(Renewal::Plugin(Box::new(Plugin::of_shell(script))));
    // Each request has 300 ms here.
    connect(&target).lease("x").await.expect("it was waited for");
}
