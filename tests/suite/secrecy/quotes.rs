//! Servers, controllers and people that quote a value in what they say: it is taken out, whoever said it and however it
//! was written.

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::evidence::Evidence;
use super::{GIVEN, REPORT, every_value, manner, observe};
use crate::proxy::Proxy;
use crate::world::{World, external_secret, finish, primary};

/// The value in the forms in which a server may quote it, and the half of it.
fn quotes(value: &str) -> Vec<String> {
    let hex = |upper: bool| -> String {
        value.bytes().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
    };
    let half = value.char_indices().nth(20).map_or(value.len(), |(at, _)| at);
    let groups: Vec<String> = value.chars().collect::<Vec<_>>().chunks(4).map(|group| group.iter().collect()).collect();
    vec![
        value.to_owned(),
        STANDARD.encode(value),
        STANDARD.encode(json!({"data": {"SECRET_KEY": value}}).to_string()),
        hex(false),
        hex(true),
        format!("{:?}", value.as_bytes()),
        json!(value).to_string(),
        value.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        value.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        value.bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        format!("starts with {}", &value[..half]),
        groups.join(" "),
    ]
}

/// How Google refuses.
fn refusal(code: u16, status: &str, message: &str) -> (String, Vec<u8>) {
    let detail = json!({"@type": "type.googleapis.com/google.rpc.DebugInfo", "detail": message});
    let body = json!({"error": {"code": code, "status": status, "message": message, "details": [detail]}});
    (format!("HTTP/1.1 {code} No\r\ncontent-type: application/json"), body.to_string().into_bytes())
}

#[test]
fn a_value_that_was_just_sent_is_not_shown_when_it_is_quoted() {
    for at in 0..quotes(GIVEN).len() {
        // Given by the operator, and made by the run.
        let given = at % 2 == 0;
        let world = World::start(&[]);
        let upstream = world.environment()["DEEPDESK_SANDBOX_URL"].trim_end_matches('/').to_owned();
        let held = format!("{upstream}/v1/projects/sandbox-project/secrets/{}/versions/latest:access", primary("acme"));
        let proxy = Proxy::start(&upstream, move |asked, _, _| {
            asked.lines().next()?.contains(&format!("{}:addVersion", primary("acme"))).then_some(())?;
            let held = ureq::get(&held).call().ok()?.body_mut().read_to_string().ok()?;
            let held: Value = serde_json::from_str(&held).ok()?;
            let value = String::from_utf8(STANDARD.decode(held["payload"]["data"].as_str()?).ok()?).ok()?;
            Some(refusal(400, "INVALID_ARGUMENT", &format!("invalid payload {}", quotes(&value)[at])))
        });
        let mut args = vec!["secret", "rotate", "acme", "--yes", "--timeout", "5s"];
        args.extend(if given { &["--value-from", "-"] as &[&str] } else { &[] });
        args.extend(REPORT.iter().copied().chain(manner(at)));
        let mut evidence = Evidence::default();
        let mut command = world.command(&args);
        command.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", format!("{}/", proxy.url));
        let ran = observe(&mut evidence, &mut command, world.home(), &args.join(" "));
        assert!(ran.code != 0 && proxy.changed() > 0, "{}", ran.stderr);
        let told = ran.stderr.contains("[redacted]") || ran.stdout.contains("[redacted]");
        assert!(told, "the text was not told: {}{}", ran.stdout, ran.stderr);
        evidence.cluster(&world);
        evidence.holds_none_of(&every_value(&world));
    }
}

#[test]
fn a_value_that_the_cluster_quotes_is_not_shown() {
    let world = World::start(&[]);
    let value = STANDARD.decode(world.value(&primary("acme"), "latest").expect("a value")).expect("base64");
    let value = String::from_utf8(value).expect("text");
    let mut evidence = Evidence::default();
    let mut told = 0;
    for (n, quote) in quotes(&value).into_iter().enumerate() {
        let quoted = quote.clone();
        let proxy = Proxy::start(&world.environment()["DEEPDESK_SANDBOX_URL"], move |_, head, body| {
            let mut answer: Value = serde_json::from_slice(body).ok()?;
            quoting(&mut answer, "", &quoted);
            Some((head.to_owned(), answer.to_string().into_bytes()))
        });
        world.fault("sync-failing", Some("backend-secrets"));
        world.sync("acme", "backend-secrets");
        world.until("the failure shows", |world| {
            world.sent("GET", &external_secret("acme", "backend-secrets"), None)["status"]["conditions"][0]["status"]
                != "True"
        });
        for (m, command) in [
            &["secret", "verify", "acme"] as &[&str],
            &["secret", "sync", "acme", "--timeout=1s"],
            &["secret", "rotate", "acme", "--yes", "--timeout=1s"],
        ]
        .into_iter()
        .enumerate()
        {
            let args = [command, &REPORT, &manner(n + m), &["--server", &proxy.url]].concat();
            let ran = observe(&mut evidence, &mut world.command(&args), world.home(), &args.join(" "));
            told += usize::from(ran.stderr.contains("[redacted]") || ran.stdout.contains("[redacted]"));
        }
        world.heal("sync-failing");
    }
    // The refusal of a webhook, with the object that it was sent.
    let webhook = Proxy::start(&world.environment()["DEEPDESK_SANDBOX_URL"], {
        let value = value.clone();
        move |asked, _, _| {
            let first = asked.lines().next()?;
            (first.contains("/secrets/") && first.starts_with("GET")).then_some(())?;
            let message =
                format!("admission webhook denied: {{\"SECRET_KEY\":\"{}\"}} {value}", STANDARD.encode(&value));
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden",
                "code": 403, "message": message});
            Some((
                "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json".to_owned(),
                status.to_string().into_bytes(),
            ))
        }
    });
    let args = ["secret", "verify", "acme", "--server", &webhook.url];
    let ran = observe(&mut evidence, &mut world.command(&args), world.home(), "webhook");
    assert!(told > 6 && webhook.changed() > 0, "{told} {}", ran.stderr);
    evidence.cluster(&world);
    evidence.holds_none_of(&every_value(&world));
}

/// Puts the quote behind whatever a person or a controller says in an object.
fn quoting(value: &mut Value, key: &str, quote: &str) {
    match value {
        Value::String(text) if matches!(key, "message" | "note") => text.push_str(&format!(": {quote}")),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::Array(items) => items.iter_mut().for_each(|item| quoting(item, key, quote)),
        Value::Object(fields) => fields.iter_mut().for_each(|(key, field)| quoting(field, key, quote)),
    }
}

#[cfg(unix)]
#[test]
fn what_a_plugin_writes_is_in_no_output_and_in_no_report() {
    const TOKEN: &str = "ya29.SUPERSECRETTOKENofAPlugin0123456789";
    let world = World::start(&[]);
    let place = tempfile::tempdir().expect("a directory");
    let kubeconfig = place.path().join("kubeconfig");
    let mut evidence = Evidence::default();
    for (n, script) in [
        format!("echo DEBUG access_token={TOKEN} >&2; exit 1"),
        format!("echo {TOKEN}; exit 3"),
        format!("echo {TOKEN}"),
        format!("printf %s {TOKEN} | base64 >&2; exit 1"),
    ]
    .into_iter()
    .enumerate()
    {
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "acme"}}],
            "users": [{"name": "u", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
                "args": ["-c", script], "interactiveMode": "Never"}}}]});
        std::fs::write(&kubeconfig, config.to_string()).expect("written");
        for (m, command) in
            [&["secret", "verify", "acme"] as &[&str], &["secret", "rotate", "acme", "--yes"]].iter().enumerate()
        {
            let path = kubeconfig.display().to_string();
            let args = [command, &REPORT as &[&str], &manner(n + m), &["--kubeconfig", &path]].concat();
            let mut run = world.command(&args);
            let ran = finish(run.current_dir(world.home()).stdin(Stdio::null()).spawn().expect("the program starts"));
            assert_eq!(ran.code, 1, "{}", ran.stderr);
            assert!(ran.stderr.contains("the credential plugin `sh`"), "{}", ran.stderr);
            assert!(ran.stderr.contains("kubectl version"), "{}", ran.stderr);
            evidence.streams(script.as_str(), &ran);
            evidence.files("HOME", world.home());
        }
        for command in
            [&["check", "acme"] as &[&str], &["config", "list"], &["account", "list"], &["secret", "status", "acme"]]
        {
            let path = kubeconfig.display().to_string();
            let args = [command, &["--kubeconfig", &path]].concat();
            evidence.streams(&args.join(" "), &world.run(&args));
        }
    }
    assert!(evidence.has("report.html") && evidence.has("report.json"));
    evidence.holds_none_of(&[TOKEN.as_bytes().to_vec()]);
}
