//! Answers of credential plugins in every form that kubectl takes, and files with tokens.

use super::*;

async fn answered(answer: &str) -> Result<KubeTarget, ConfigError> {
    let home = Home::new();
    let file = home.write("answer", answer);
    let path = home.kubeconfig("config", &[("a", "https://127.0.0.1:1", plugin(&format!("cat {}", file.display())))]);
    loaded(&flags(&path)).await
}

#[tokio::test]
async fn an_answer_is_read_in_each_form_that_kubectl_takes() {
    let v1 = "client.authentication.k8s.io/v1";
    let whole = |status: &str| format!("{{\"apiVersion\":\"{v1}\",\"kind\":\"ExecCredential\",\"status\":{status}}}");
    let token = whole("{\"token\":\"t\"}");
    for (case, answer, expires) in [
        (
            "empty certificate fields beside a token",
            whole("{\"token\":\"t\",\"clientCertificateData\":\"\",\"clientKeyData\":\"\"}"),
            None,
        ),
        (
            "null beside a token",
            whole("{\"token\":\"t\",\"clientCertificateData\":null,\"expirationTimestamp\":null}"),
            None,
        ),
        ("YAML", format!("apiVersion: {v1}\nkind: ExecCredential\nstatus:\n  token: t\n"), None),
        (
            "YAML with a time, quoted or not",
            format!("apiVersion: {v1}\nstatus:\n  token: t\n  expirationTimestamp: 2040-01-01T00:00:00Z\n"),
            Some("2040-01-01T00:00:00Z"),
        ),
        (
            "a zone",
            whole("{\"token\":\"t\",\"expirationTimestamp\":\"2040-01-01T02:00:00+02:00\"}"),
            Some("2040-01-01T00:00:00Z"),
        ),
        ("an empty time", whole("{\"token\":\"t\",\"expirationTimestamp\":\"\"}"), None),
        ("Go's zero time", whole("{\"token\":\"t\",\"expirationTimestamp\":\"0001-01-01T00:00:00Z\"}"), None),
        ("a byte order mark", format!("\u{feff}{token}"), None),
        ("fields that nobody knows", whole("{\"token\":\"t\",\"more\":[1]}"), None),
        ("a key twice", whole("{\"token\":\"no\",\"token\":\"t\"}"), None),
        ("tabs and lines", token.replace(',', ",\n\t"), None),
    ] {
        let target = answered(&answer).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(super::token(&target), Some("t"), "{case}");
        assert_eq!(target.expires.map(|at| at.to_string()).as_deref(), expires, "{case}");
    }
}

#[tokio::test]
async fn a_program_has_time_and_the_environment_may_give_it_more_or_less() {
    let home = Home::new();
    let path = home.kubeconfig("config", &[("a", "https://127.0.0.1:1", plugin("exec sleep 30"))]);
    let with = |time: &str| {
        let env: Environment = [("DEEPDESK_CREDENTIALS_TIMEOUT", time)].into_iter().collect();
        let flags = flags(&path);
        async move { load(&flags, &env, StdinUse::OursOrNoTerminal).await.expect_err("it hangs") }
    };
    let error = with("1s").await;
    assert!(error.message.contains("did not finish in 1 seconds") && error.message.contains("context a"), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("DEEPDESK_CREDENTIALS_TIMEOUT=")));
    assert!(with("much").await.message.contains("is not a time"));
    let usual = Plugin::of_shell("true").limit();
    assert!(usual >= Duration::from_secs(60), "{usual:?}");
}

#[tokio::test]
async fn a_token_file_comes_before_a_token_and_is_trimmed() {
    let home = Home::new();
    home.write("token", " of-file\n");
    home.write("empty", "\n");
    for (user, expected) in [
        (json!({"tokenFile": "token"}), Ok("of-file")),
        (json!({"tokenFile": "token", "token": "of-config"}), Ok("of-file")),
        (json!({"tokenFile": "missing", "token": "of-config"}), Ok("of-config")),
        (json!({"tokenFile": "", "token": "of-config"}), Ok("of-config")),
        (json!({"tokenFile": "missing"}), Err("missing cannot be read")),
        (json!({"tokenFile": "empty"}), Err("is empty")),
        // Written and empty is not said: the plugin is asked.
        (json!({"token": "", "username": "", "exec": plugin("exit 9")["exec"]}), Err("exit status: 9")),
    ] {
        let path = home.kubeconfig("config", &[("a", "https://127.0.0.1:1", user.clone())]);
        match (loaded(&flags(&path)).await, expected) {
            (Ok(target), Ok(expected)) => {
                assert_eq!(token(&target), Some(expected), "{user}");
                assert_eq!(target.renewal.is_some(), user["tokenFile"] != "", "{user}");
            }
            (Err(error), Err(expected)) => assert!(error.message.contains(expected), "{user}: {error}"),
            (result, expected) => panic!("{user}: {expected:?}, not {:?}", result.map(|target| target.server)),
        }
    }
}

#[tokio::test]
async fn a_certificate_that_a_file_leaves_unchecked_is_told() {
    let home = Home::new();
    let text = |server: &str| {
        format!(
            "current-context: a\ncontexts: [{{name: a, context: {{cluster: c}}}}]\nclusters: [{{name: c, cluster: {{server: \"{server}\", insecure-skip-tls-verify: true}}}}]\n"
        )
    };
    let path = home.write("config", &text("https://10.0.0.1"));
    let warning = loaded(&flags(&path)).await.expect("a target").warning().expect("a warning");
    for part in ["https://10.0.0.1", "context a", "cluster c", "not verified"] {
        assert!(warning.contains(part), "{warning}");
    }
    let said = KubeFlags { insecure_skip_tls_verify: true, ..flags(&path) };
    assert_eq!(loaded(&said).await.expect("a target").warning(), None, "who says it knows it");
    let plain = home.write("plain", &text("http://127.0.0.1:1"));
    assert_eq!(loaded(&flags(&plain)).await.expect("a target").warning(), None, "there is none");
}

#[needs::needs(openssl)]
#[tokio::test]
async fn base64_may_be_wrapped_over_lines_in_every_field() {
    let home = Home::new();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x", "-keyout"])
        .arg(home.path("key"))
        .arg("-out")
        .arg(home.path("certificate"))
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{made:?}");
    let wrapped = |name: &str| {
        let pem = std::fs::read(home.path(name)).expect("a file");
        let word = base64::engine::general_purpose::STANDARD.encode(pem);
        let lines: Vec<&str> =
            word.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("text")).collect();
        lines.join("\n      ")
    };
    for style in ["|", ">-", "|-"] {
        let text = format!(
            "current-context: a\ncontexts:\n- {{name: a, context: {{cluster: c, user: u}}}}\nclusters:\n- name: c\n  cluster:\n    server: https://10.0.0.1\n    certificate-authority-data: {style}\n      {}\nusers:\n- name: u\n  user:\n    client-certificate-data: {style}\n      {}\n    client-key-data: {style}\n      {}\n",
            wrapped("certificate"),
            wrapped("certificate"),
            wrapped("key"),
        );
        let path = home.write("config", &text);
        let target = loaded(&flags(&path)).await.unwrap_or_else(|error| panic!("{style}: {error}"));
        assert_eq!(target.config.root_cert.as_ref().map(Vec::len), Some(1), "{style}");
        crate::clients::cluster::Cluster::connect(&target, &"acme".parse().expect("an account")).expect("a client");
    }
    for field in ["client-certificate-data", "client-key-data"] {
        let path = home.kubeconfig("bad", &[("a", "https://10.0.0.1", json!({field: format!("{MARKER}!")}))]);
        let error = loaded(&flags(&path)).await.expect_err("not base64");
        assert!(error.message.contains(field) && error.message.contains("not base64"), "{error}");
        assert!(!format!("{error:?}").contains("MARKER"));
    }
}
