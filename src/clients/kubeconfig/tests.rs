//! Kubeconfigs, flags and credential plugins as an operator has them.

mod classes;
mod plugins;

use std::path::{Path, PathBuf};

use base64::Engine;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;

const MARKER: &str = "MARKER-s3cr3t";

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// A kubeconfig with these contexts `(name, server, user)`, the first of them current.
    fn kubeconfig(&self, name: &str, contexts: &[(&str, &str, Value)]) -> PathBuf {
        let of = |f: &dyn Fn(&(&str, &str, Value)) -> Value| contexts.iter().map(f).collect::<Vec<_>>();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": contexts.first().map(|(name, ..)| name),
            "contexts": of(&|(name, ..)| json!({"name": name, "context":
                {"cluster": format!("{name}-cluster"), "user": format!("{name}-user"), "namespace": "acme"}})),
            "clusters": of(&|(name, server, _)| json!({"name": format!("{name}-cluster"), "cluster": {"server": server}})),
            "users": of(&|(name, _, user)| json!({"name": format!("{name}-user"), "user": user})),
        });
        self.write(name, &config.to_string())
    }
}

fn kubeconfig_env(paths: &[PathBuf]) -> Environment {
    let list = std::env::join_paths(paths).expect("paths").into_string().expect("text");
    [("KUBECONFIG", list)].into_iter().collect()
}

#[test]
fn on_windows_the_home_is_the_one_that_has_a_kubeconfig_as_for_kubectl() {
    let place = Home::new();
    let at = |name: &str| place.path(name).to_str().expect("text").to_owned();
    for home in ["home", "drive", "profile"] {
        std::fs::create_dir(place.path(home)).expect("a directory");
    }
    // Of the drive's two variables the path comes last.
    let (drive, path) = (at(""), "drive".to_owned());
    let env = |home: &str| {
        let named = [
            ("Home", at(home)),
            ("HOMEDRIVE", drive.clone()),
            ("HomePath", path.clone()),
            ("UserProfile", at("profile")),
        ];
        let named: Vec<(&str, &str)> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Environment::of_windows(&named)
    };
    let found = |home: &str| files::paths(&KubeFlags::default(), &env(home)).value;
    let config = |home: &str| vec![place.path(home).join(".kube").join("config")];
    assert_eq!(found("home"), config("home"), "none has one: HOME first");
    assert_eq!(found("missing"), config("profile"), "HOME is not there: the profile before the drive");
    place.write("profile/.kube/config", "");
    assert_eq!(found("home"), config("profile"), "the one that has one");
    place.write("drive/.kube/config", "");
    assert_eq!(found("home"), config("drive"), "the drive before the profile");
    place.write("home/.kube/config", "");
    assert_eq!(found("home"), config("home"), "HOME before both");
}

fn flags(path: &Path) -> KubeFlags {
    KubeFlags { kubeconfig: Some(path.to_owned()), ..KubeFlags::default() }
}

async fn loaded(flags: &KubeFlags) -> Result<KubeTarget, ConfigError> {
    load(flags, &Environment::default(), StdinUse::OursOrNoTerminal).await
}

fn token(target: &KubeTarget) -> Option<&str> {
    target.config.auth_info.token.as_ref().map(|token| token.expose_secret())
}

fn plugin(script: &str) -> Value {
    json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh", "args": ["-c", script],
                    "interactiveMode": "IfAvailable"}})
}

#[tokio::test]
async fn files_are_merged_in_order_and_missing_ones_skipped() {
    let home = Home::new();
    let first = home.kubeconfig("first", &[("a", "https://a1", json!({"token": "t"}))]);
    let second = home.kubeconfig("second", &[("b", "https://b", json!({})), ("a", "https://a2", json!({}))]);
    let empty = home.write("empty", "current-context: \"\"\n");
    let env = kubeconfig_env(&[home.path("missing"), empty, first, second]);
    let load = |flags| {
        let env = env.clone();
        async move { load(&flags, &env, StdinUse::OursOrNoTerminal).await }
    };
    let current = load(KubeFlags::default()).await.expect("the current context");
    assert_eq!((current.context.as_deref(), current.server.as_str()), (Some("a"), "https://a1/"));
    assert_eq!((current.cluster.as_deref(), current.namespace.as_deref()), (Some("a-cluster"), Some("acme")));
    assert_eq!(token(&current), Some("t"));
    let other = KubeFlags { context: Some("b".to_owned()), namespace: Some("globex".to_owned()), ..Default::default() };
    let other = load(other).await.expect("the other context");
    assert_eq!((other.server.as_str(), other.namespace.as_deref()), ("https://b/", Some("globex")));
    let mixed = KubeFlags { cluster: Some("b-cluster".to_owned()), ..KubeFlags::default() };
    let mixed = load(mixed).await.expect("another cluster with the same user");
    assert_eq!((mixed.server.as_str(), token(&mixed)), ("https://b/", Some("t")));

    let entries = contexts(&KubeFlags::default(), &env).expect("contexts");
    let entries: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.current)).collect();
    assert_eq!(entries, [("a", true), ("b", false)]);

    let error =
        load(KubeFlags { context: Some("c".to_owned()), ..Default::default() }).await.expect_err("no such context");
    assert!(error.message.starts_with("context \"c\" does not exist; KUBECONFIG names "), "{error}");
    assert!(error.message.ends_with("missing, which does not exist"), "{error}");
    assert_eq!(error.hint.as_deref(), Some("the contexts are: a, b"));
    for flags in [
        KubeFlags { user: Some("c".to_owned()), ..Default::default() },
        KubeFlags { cluster: Some("c".to_owned()), ..Default::default() },
    ] {
        assert!(load(flags).await.expect_err("no such entry").message.contains("\"c\" does not exist"));
    }
}

#[tokio::test]
async fn without_a_kubeconfig_there_is_a_hint() {
    let home = Home::new();
    let env: Environment = [("HOME", home.path("").to_str().expect("text"))].into_iter().collect();
    let error = load(&KubeFlags::default(), &env, StdinUse::OursOrNoTerminal).await.expect_err("nothing there");
    assert!(error.hint.is_some_and(|hint| hint.contains("get-credentials")));
    assert!(loaded(&flags(&home.path("missing"))).await.expect_err("named, and missing").message.contains("no such"));
    let broken = home.write("broken", &format!("users:\n- name: x\n  user: {{token: [{MARKER}]}}\n"));
    let error = loaded(&flags(&broken)).await.expect_err("not a kubeconfig");
    assert!(error.message.contains("is not valid (line 3)"), "{error}");
    assert!(!format!("{error} {error:?}").contains("MARKER"));
}

#[tokio::test]
async fn flags_come_before_the_file() {
    let home = Home::new();
    let user = json!({"tokenFile": "/nowhere", "as": "file-user", "as-groups": ["g"]});
    let path = home.kubeconfig("config", &[("a", "https://a", user)]);
    let flags = KubeFlags {
        server: Some("https://other:6443/k8s/c-1".to_owned()),
        token: Some(MARKER.to_owned()),
        impersonate: Some("jane".to_owned()),
        insecure_skip_tls_verify: true,
        tls_server_name: Some("inner".to_owned()),
        request_timeout: Some(Duration::from_secs(3)),
        ..flags(&path)
    };
    let target = loaded(&flags).await.expect("a target");
    assert_eq!((target.server.as_str(), token(&target)), ("https://other:6443/k8s/c-1", Some(MARKER)));
    let auth = &target.config.auth_info;
    assert_eq!((auth.impersonate.as_deref(), auth.token_file.as_deref()), (Some("jane"), None));
    assert_eq!(auth.impersonate_groups.as_deref(), Some(&["g".to_owned()][..]));
    assert!(target.config.accept_invalid_certs && !target.config.default_retry);
    assert_eq!(target.config.tls_server_name.as_deref(), Some("inner"));
    for shown in [format!("{flags:?}"), format!("{target:?}")] {
        assert!(!shown.contains("MARKER"), "{shown}");
    }
    let group =
        KubeFlags { impersonate_groups: vec!["x".to_owned()], server: flags.server.clone(), ..Default::default() };
    assert!(loaded(&group).await.expect_err("a group without a user").message.contains("--as"));
    let bad = home.write("ca", "not a certificate");
    let authority = KubeFlags { certificate_authority: Some(bad), ..super::tests::flags(&path) };
    assert!(loaded(&authority).await.expect_err("not a certificate").message.contains("PEM"));
}

#[tokio::test]
async fn plain_http_is_for_this_machine_and_without_credentials() {
    let home = Home::new();
    let ran = home.path("ran");
    let user = plugin(&format!("touch {}", ran.display()));
    let path = home.kubeconfig("config", &[("a", "http://127.0.0.1:1", user)]);
    let target = loaded(&flags(&path)).await.expect("a target");
    assert!(target.renewal.is_none() && !ran.exists(), "the plugin is not run");
    let with_token = KubeFlags { token: Some(MARKER.to_owned()), impersonate: Some("jane".to_owned()), ..flags(&path) };
    let target = loaded(&with_token).await.expect("a target");
    assert_eq!((token(&target), target.config.auth_info.impersonate.as_deref()), (None, Some("jane")));
    for (server, expected) in [
        ("http://10.0.0.1:8080", Err(())),
        ("ftp://x", Err(())),
        ("127.0.0.1:8001", Ok("http://127.0.0.1:8001/")),
        ("example.com", Ok("https://example.com/")),
    ] {
        let flags = KubeFlags { server: Some(server.to_owned()), ..KubeFlags::default() };
        assert_eq!(loaded(&flags).await.map(|target| target.server).as_deref().map_err(|_| ()), expected, "{server}");
    }
}

#[tokio::test]
async fn the_plugin_runs_once_and_without_our_input() {
    let home = Home::new();
    let ran = home.path("ran");
    // Prints what it was told and given, as a token, so that the test can look at it.
    let script = format!(
        r#"input=$(cat); echo x >> {}; told=$(printf %s "$KUBERNETES_EXEC_INFO" | base64 | tr -d '\n')
        printf '{{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":
        {{"token":"%s|%s|%s","expirationTimestamp":"2030-01-01T00:00:00Z"}}}}' "$input" "$told" "$EXTRA""#,
        ran.display()
    );
    let mut user = plugin(&script);
    user["exec"]["apiVersion"] = json!("client.authentication.k8s.io/v1beta1");
    user["exec"]["env"] = json!([{"name": "EXTRA", "value": "yes"}]);
    user["exec"]["provideClusterInfo"] = json!(true);
    let path = home.kubeconfig("config", &[("a", "https://127.0.0.1:1", user)]);
    let target = loaded(&flags(&path)).await.expect("a target");
    let account = "acme".parse().expect("an account");
    crate::clients::cluster::Cluster::connect(&target, &account).expect("a client");
    assert_eq!(std::fs::read_to_string(&ran).expect("it ran").lines().count(), 1, "also with a client");
    let said: Vec<_> = token(&target).expect("a token").split('|').map(str::to_owned).collect();
    assert_eq!((said[0].as_str(), said[2].as_str()), ("", "yes"));
    let told = base64::engine::general_purpose::STANDARD.decode(&said[1]).expect("base64");
    let told: Value = serde_json::from_slice(&told).expect("JSON");
    assert_eq!(told["apiVersion"], "client.authentication.k8s.io/v1beta1");
    assert_eq!(told["spec"]["interactive"], false);
    assert_eq!(told["spec"]["cluster"]["server"], "https://127.0.0.1:1");
    assert_eq!(target.expires.map(|at| at.to_string()).as_deref(), Some("2030-01-01T00:00:00Z"));
}

#[tokio::test]
async fn a_plugin_may_give_out_a_certificate() {
    let home = Home::new();
    let script = r#"echo '{"apiVersion":"client.authentication.k8s.io/v1","status":
        {"clientCertificateData":"CERT","clientKeyData":"MARKER-s3cr3t"}}'"#;
    let path = home.kubeconfig("config", &[("a", "https://127.0.0.1:1", plugin(script))]);
    let target = loaded(&flags(&path)).await.expect("a target");
    let auth = &target.config.auth_info;
    assert_eq!(auth.client_certificate_data.as_deref(), Some("Q0VSVA=="));
    assert!(auth.client_key_data.is_some() && auth.exec.is_none());
    // Not a certificate at all: the client cannot be made, and the error shows nothing of it.
    let account = "acme".parse().expect("an account");
    let error = crate::clients::cluster::Cluster::connect(&target, &account).expect_err("not a certificate");
    assert!(!format!("{error} {error:?} {target:?}").contains("MARKER"));
}

#[tokio::test]
async fn of_what_a_plugin_writes_nothing_is_shown() {
    let home = Home::new();
    let v1 = "client.authentication.k8s.io/v1";
    for (script, expected) in [
        (format!("echo {MARKER}; echo access_token={MARKER} >&2; exit 7"), "failed (exit status: 7)"),
        (format!("printf '{{\\n' >&2; printf '\"token\": \"{MARKER}\"' >&2; exit 1"), "failed (exit status: 1)"),
        (format!("echo {MARKER}"), "not an ExecCredential"),
        (format!("echo '{{\"apiVersion\":\"v2\",\"status\":{{\"token\":\"{MARKER}\"}}}}'"), "another version"),
        (
            format!("echo '{{\"apiVersion\":\"{v1}\",\"status\":{{\"token\":[\"{MARKER}\"]}}}}'"),
            "not an ExecCredential",
        ),
        (format!("echo '{{\"apiVersion\":\"{v1}\",\"status\":{{}}}}'"), "neither a token nor"),
        (format!("echo '{{\"apiVersion\":\"{v1}\"}}'"), "no credential"),
        (
            format!(
                "echo '{{\"apiVersion\":\"{v1}\",\"status\":{{\"token\":\"{MARKER}\",\"expirationTimestamp\":\"soon\"}}}}'"
            ),
            "not a time",
        ),
        (
            format!(
                "echo '{{\"apiVersion\":\"{v1}\",\"status\":{{\"clientKeyData\":\"{MARKER}\",\"clientCertificateData\":\"\"}}}}'"
            ),
            "without its certificate",
        ),
    ] {
        let path = home.kubeconfig("config", &[("a", "https://127.0.0.1:1", plugin(&script))]);
        let error = loaded(&flags(&path)).await.expect_err("no credential");
        assert!(error.message.contains(expected), "{error}");
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
        assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("kubectl version")), "{error:?}");
    }
}

#[tokio::test]
async fn a_plugin_that_prints_anything_or_asks_is_ended_soon() {
    let home = Home::new();
    let started = std::time::Instant::now();
    for (script, expected) in [
        // For ever, on either stream.
        ("exec yes MARKER", ""),
        ("exec yes MARKER >&2", "failed (signal: 13 (SIGPIPE))"),
        ("exec head -c 5000 /dev/urandom", "not an ExecCredential"),
        ("head -c 5000 /dev/zero; exit 0", "not an ExecCredential"),
        // There is nobody to answer.
        ("read answer && echo $answer", "failed (exit status: 1)"),
        ("printf '\\033[2J\\n\\033]0;title\\007' >&2; exit 3", "failed (exit status: 3)"),
        ("kill -9 $$", "signal: 9"),
    ] {
        let path = home.kubeconfig("config", &[("a", "https://127.0.0.1:1", plugin(script))]);
        let error = loaded(&flags(&path)).await.expect_err("no credential");
        assert!(error.message.contains(expected) && error.message.chars().count() < 400, "{script}: {error}");
        assert!(!error.message.chars().any(deepdesk_protocol::facts::names::acts), "{script}: {error:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(8), "it waits for what never ends");
}

#[tokio::test]
async fn a_plugin_that_is_missing_old_or_wants_a_terminal() {
    let home = Home::new();
    let with = |changes: Value| {
        let mut user = plugin("exit 1");
        for (key, value) in changes.as_object().expect("an object") {
            user["exec"][key] = value.clone();
        }
        flags(&home.kubeconfig("config", &[("a", "https://127.0.0.1:1", user)]))
    };
    let missing = with(json!({"command": "no-such-plugin", "installHint": "brew install it"}));
    let error = loaded(&missing).await.expect_err("not installed");
    assert!(error.message.contains("`no-such-plugin` is not installed"), "{error}");
    assert_eq!(error.hint.as_deref(), Some("brew install it"));
    let old = loaded(&with(json!({"apiVersion": "client.authentication.k8s.io/v1alpha1"}))).await;
    assert!(old.expect_err("too old").message.contains("v1alpha1"));
    let asks = loaded(&with(json!({"interactiveMode": "Always"}))).await;
    assert!(asks.expect_err("no terminal").message.contains("terminal"));
    let token = KubeFlags { token: Some("t".to_owned()), ..with(json!({})) };
    assert!(loaded(&token).await.is_ok(), "what is at hand is not asked for");
}

#[tokio::test]
async fn a_plugin_that_hangs_is_ended() {
    let plugin = Plugin::of_shell("exec sleep 60").with_limit(Duration::from_millis(200));
    let error = plugin.run().await.expect_err("it hangs");
    assert!(error.message.contains("did not finish"), "{error}");
}

#[tokio::test]
async fn an_auth_provider_of_old_is_refused() {
    let home = Home::new();
    let user = json!({"auth-provider": {"name": "gcp", "config": {"access-token": MARKER, "cmd-path": "/bin/false"}}});
    let path = home.kubeconfig("config", &[("a", "https://127.0.0.1:1", user)]);
    let error = loaded(&flags(&path)).await.expect_err("dropped by kubectl");
    assert!(error.message.contains("gcp") && !format!("{error:?}").contains("MARKER"));
}

#[tokio::test]
async fn a_proxy_is_for_who_is_not_excepted() {
    let load = |variables: &[(&'static str, &'static str)]| {
        let env: Environment = variables.iter().copied().collect();
        let flags = KubeFlags { server: Some("https://10.0.0.1:6443".to_owned()), ..KubeFlags::default() };
        async move { load(&flags, &env, StdinUse::OursOrNoTerminal).await.expect("a target").config.proxy_url }
    };
    assert!(load(&[("HTTPS_PROXY", "http://p:1")]).await.is_some());
    assert!(load(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "10.0.0.0/8,not?valid,")]).await.is_none());
}
