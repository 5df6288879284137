//! kubeconfigs, gcloud's configuration, the settings file: read, and kubeconfigs changed.

use std::path::Path;

use kubectl_deepdesk::clients::gcloud::Gcloud;
use kubectl_deepdesk::clients::gcloud_proxy::gcloud_proxy;
use kubectl_deepdesk::clients::kubeconfig::{self, Entry, KubeFlags, StdinUse};
use kubectl_deepdesk::environment::Environment;
use kubectl_deepdesk::settings;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::input::{MARKER, holds, is_one_clear_line, nearly};

const KUBECONFIGS: [&str; 4] = [
    // As kubectl writes it.
    "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: LS0tLS1CRUdJTg==\n    server: https://10.0.0.1:6443\n    \
     proxy-url: http://me:MARKER-s3cr3t-qZ8vT1nK@proxy:3128\n  name: one\n- cluster:\n    insecure-skip-tls-verify: true\n    server: \
     127.0.0.1:9\n  name: two\ncontexts:\n- context:\n    cluster: one\n    namespace: acme\n    user: me\n  name: a\n- context:\n    \
     cluster: two\n    user: plugin\n  name: b\ncurrent-context: a\nkind: Config\npreferences: {}\nusers:\n- name: me\n  user:\n    token: \
     MARKER-s3cr3t-qZ8vT1nK\n- name: plugin\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: \
     /nonexistent/plugin\n      args: [MARKER-s3cr3t-qZ8vT1nK]\n      env: [{name: A, value: MARKER-s3cr3t-qZ8vT1nK}]\n",
    // By hand.
    "# mine\ncurrent-context: \"a\" # for now\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters:\n  - {name: c, cluster: \
     {server: 'https://x'}}\nusers:\n  - name: u\n    user: {password: MARKER-s3cr3t-qZ8vT1nK, username: x}\n",
    "{\"apiVersion\":\"v1\",\"kind\":\"Config\",\"current-context\":\"a\",\"contexts\":[{\"name\":\"a\",\"context\":{\"cluster\":\"c\",\
     \"user\":\"u\",\"namespace\":\"n\"}}],\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"http://127.0.0.1:9\"}}],\"users\":\
     [{\"name\":\"u\",\"user\":{\"token\":\"MARKER-s3cr3t-qZ8vT1nK\"}}]}",
    "x: &a {cluster: c, user: u}\r\ncontexts:\r\n- name: a\r\n  context:\r\n    <<: *a\r\ncurrent-context: >-\r\n  a\r\nusers: ~\r\n",
];

fn flags(path: &Path) -> KubeFlags {
    KubeFlags { kubeconfig: Some(path.to_owned()), ..KubeFlags::default() }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn kubeconfigs_are_read_or_refused_in_one_line() {
    let (home, runtime) = (tempfile::tempdir().expect("a directory"), runtime());
    let path = home.path().join("config");
    let flags = flags(&path);
    let contexts = prop::option::of("[ab]");
    holds("kubeconfig, read", 1500, (nearly(&KUBECONFIGS), contexts), |(text, context)| {
        std::fs::write(&path, text).expect("written");
        let flags = KubeFlags { context, ..flags.clone() };
        let environment = Environment::default();
        let told = |error: kubectl_deepdesk::clients::error::ConfigError| {
            is_one_clear_line(&error.to_string());
            error.hint.iter().for_each(|hint| is_one_clear_line(hint));
        };
        kubeconfig::contexts(&flags, &environment).map_err(told).ok();
        kubeconfig::named(&flags, &environment).map_err(told).ok();
        match runtime.block_on(kubeconfig::load(&flags, &environment, StdinUse::Completion)) {
            Ok(target) => {
                assert!(!format!("{target:?}").contains(MARKER));
                assert!(!target.proxy.unwrap_or_default().contains(MARKER));
                // Never in the clear, but to this machine.
                let is_local = ["http://127.", "http://localhost", "http://[::1]"]
                    .iter()
                    .any(|own| target.server.to_ascii_lowercase().starts_with(own));
                assert!(target.server.starts_with("https://") || is_local, "{}", target.server);
            }
            Err(error) => told(error),
        }
    });
}

/// What a kubeconfig says, but for the context in use.
fn rest(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut value: Value = serde_saphyr::from_str(&text).ok()?;
    if value.is_null() {
        value = json!({});
    }
    value.as_object_mut()?.remove("current-context");
    Some(value)
}

#[test]
fn kubeconfigs_change_in_one_thing_or_not_at_all() {
    use std::os::unix::fs::PermissionsExt as _;
    let (home, runtime) = (tempfile::tempdir().expect("a directory"), runtime());
    let path = home.path().join("config");
    let (flags, environment) = (flags(&path), Environment::default());
    let name = prop_oneof![3 => "[a-z]{1,9}", 1 => any::<String>(), 1 => "[-:#&*!|>%@{}\\[\\], ~'\"]{1,6}", 1 => "(yes|no|null|1e3|0x1f|2026-01-01)"];
    holds("kubeconfig, changed", 700, (nearly(&KUBECONFIGS), name, 0..3u8), |(text, name, what)| {
        std::fs::write(&path, &text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("set");
        let before = rest(&path);
        let locked = runtime.block_on(kubeconfig::lock(&flags, &environment)).expect("nobody else locks it");
        let changed = match what {
            0 => locked.use_context(&name),
            1 => locked.use_namespace("a", &name),
            _ => locked
                .put(&Entry { name: name.clone(), cluster: json!({"server": "https://new"}), user: json!({}) })
                .map(|_| ()),
        };
        drop(locked);
        let after = std::fs::read_to_string(&path).expect("text");
        if let Err(error) = changed {
            is_one_clear_line(&error.to_string());
            assert_eq!(after, text, "refused, and changed all the same");
            return;
        }
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        let found = kubeconfig::named(&flags, &environment).map(|named| named.chosen.context);
        match what {
            0 => {
                assert_eq!(rest(&path), before, "more than the context changed:\n{text}\n{after}");
                // What kube does not read as a kubeconfig may be changed, and is not one before or after.
                found.iter().for_each(|found| assert_eq!(*found, name, "{after}"));
            }
            1 => {}
            _ => found.iter().for_each(|found| assert_eq!(*found, name, "{after}")),
        }
    });
    let left: Vec<_> =
        std::fs::read_dir(home.path()).expect("there").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains(".lock")), "{left:?}");
}

const CONFIGURATIONS: [&str; 3] = [
    "[core]\nproject = acme-prod\naccount = a@b.c\n\n[auth]\ndisable_credentials = True\n",
    "[proxy]\ntype = http\naddress = proxy.example.com\nport = 3128\nusername = me\npassword = MARKER-s3cr3t-qZ8vT1nK\n",
    "# x\n; y\n[proxy]\ntype: http_no_tunnel\naddress: [2001:db8::1]\nport: 1\n[api_endpoint_overrides]\nsecretmanager = http://127.0.0.1:8080/\n",
];

#[test]
fn gclouds_files_are_read_or_refused_in_one_line() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(home.path().join("configurations")).expect("made");
    let environment = Environment::from_iter([("CLOUDSDK_CONFIG", home.path().to_str().expect("text"))]);
    let active = prop_oneof![4 => Just("default".to_owned()), 1 => any::<String>(), 1 => "(\\.\\./){1,3}[a-z]{1,4}"];
    holds("gcloud's configuration", 1500, (nearly(&CONFIGURATIONS), active), |(text, active)| {
        std::fs::write(home.path().join("configurations/config_default"), text).expect("written");
        std::fs::write(home.path().join("active_config"), active).expect("written");
        let gcloud = match Gcloud::read(&environment, None) {
            Ok(gcloud) => gcloud,
            Err(error) => return is_one_clear_line(&error.to_string()),
        };
        assert!(!gcloud.configuration().contains('/') && !format!("{gcloud:?}").contains(MARKER));
        match gcloud_proxy(&gcloud) {
            Ok(None) => {}
            Ok(Some(proxy)) => {
                // Set as HTTPS_PROXY: one that cannot be parsed would be passed by, and requests would go without it.
                let url: http::Uri =
                    proxy.value.url().parse().unwrap_or_else(|error| panic!("{error}: {:?}", proxy.value));
                let address = gcloud.property("proxy/address").expect("it has one").value;
                let host = url.host().unwrap_or_default();
                assert_eq!(host.trim_matches(['[', ']']), address.trim_matches(['[', ']']), "{:?}", proxy.value);
                // A user's name is shown, also where a line break was lost and the password has become a part of it.
                let user = gcloud.property("proxy/username").map(|user| user.value).unwrap_or_default();
                assert!(user.contains("MARKER") || !proxy.value.shown().contains("MARKER"));
            }
            Err(error) => is_one_clear_line(&error.to_string()),
        }
    });
}

const SETTINGS: [&str; 2] = [
    "protectedContexts: ['*prod*', gke_*_prod]\nprimarySecret: '{account}-key'\nbackCompatSecret: '{account}-old'\n\
     externalSecrets: [admin-secrets]\nworkloads:\n- deployment/admin\n",
    "# mine\nprotectedContexts:\n  - \"a*b\"\n",
];

#[test]
fn settings_are_read_or_refused_in_one_line() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("settings.yaml");
    holds("settings", 1500, nearly(&SETTINGS), |text| {
        std::fs::write(&path, text).expect("written");
        match settings::read(Some(&path), &Environment::default()) {
            Ok(settings) => drop(settings.protects("gke_p_l_prod")),
            Err(problem) => {
                is_one_clear_line(&problem.message);
                problem.hints.iter().for_each(|hint| is_one_clear_line(&hint.to_string()));
            }
        }
    });
}

#[test]
fn protected_contexts_are_those_that_the_pattern_says() {
    holds("patterns of protected contexts", 4000, ("[ab*é]{0,8}", "[abé]{0,8}"), |(pattern, context)| {
        let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
        let model = regex::Regex::new(&format!("^{}$", parts.join(".*"))).expect("a pattern").is_match(&context);
        let settings =
            settings::Settings { protected_contexts: vec![pattern.clone()], ..settings::Settings::default() };
        assert_eq!(settings.protects(&context), model, "{pattern} {context}");
    });
}

/// Nested deeper than any stack: a parser that calls itself must have a limit.
#[test]
fn what_is_nested_without_end_is_refused() {
    let (home, runtime) = (tempfile::tempdir().expect("a directory"), runtime());
    let path = home.path().join("config");
    let deep = 200_000;
    let bomb = (b'a'..b'j').fold("a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, name| {
        let (name, next) = (char::from(name), char::from(name + 1));
        format!("{text}{next}: &{next} [{}]\n", vec![format!("*{name}"); 9].join(","))
    });
    let texts = [
        "[".repeat(deep),
        "{a: ".repeat(deep),
        "- ".repeat(deep),
        "? ".repeat(deep),
        format!("current-context: a\n{bomb}"),
    ];
    for text in texts {
        std::fs::write(&path, &text).expect("written");
        let begin = &text[..20];
        let flags = flags(&path);
        let error = kubeconfig::contexts(&flags, &Environment::default()).map(|_| ()).expect_err(begin);
        is_one_clear_line(&error.to_string());
        let locked = runtime.block_on(kubeconfig::lock(&flags, &Environment::default())).expect("locked");
        is_one_clear_line(&locked.use_context("b").expect_err(begin).to_string());
        drop(locked);
        is_one_clear_line(&settings::read(Some(&path), &Environment::default()).expect_err(begin).message);
        assert_eq!(std::fs::read_to_string(&path).expect("text"), text);
    }
}
