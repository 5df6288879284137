//! `config list`: what is used and where it came from, and gcloud's configuration read as gcloud reads it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::output::{shown, snapshot};
use crate::world::{Ran, World, finish};

/// The value and the source of a setting, such as `acme, argument`.
fn setting(config: &Value, name: &str) -> String {
    let settings = config["settings"].as_array().expect("a list");
    let found = settings.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {config:#}"));
    let text = |field: &str| found[field].as_str().expect("text").to_owned();
    format!("{}, {} {}", text("value"), text("source"), text("from")).trim_end().to_owned()
}

/// The binary, with gcloud's files in a directory of the test's own and without the sandbox's variables for gcloud.
fn with_gcloud(world: &World, directory: &Path, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = world.command(args);
    let own = world.environment().keys().filter(|name| name.starts_with("CLOUDSDK_"));
    own.for_each(|name| {
        command.env_remove(name);
    });
    command.env("CLOUDSDK_CONFIG", directory).envs(variables.iter().copied());
    finish(command.stdin(Stdio::null()).spawn().expect("it starts"))
}

/// Each run of blanks between columns as three.
fn with_narrow_columns(text: &str) -> String {
    let line =
        |line: &str| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("   ");
    text.lines().map(|one| line(one) + "\n").collect()
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("written");
}

#[test]
fn every_setting_is_shown_with_its_source() {
    let world = World::start(&["--seed=7"]);
    for output in ["human", "json", "yaml", "name"] {
        let ran = world.run(&["config", "list", "acme", "-o", output]).code(0);
        // The columns are as wide as the name of the temporary directory.
        let narrow = with_narrow_columns(&shown(&ran));
        snapshot(&format!("config-{output}"), &if output == "human" { narrow } else { shown(&ran) });
    }
    assert_eq!(world.writes(), [] as [&str; 0]);
}

#[test]
fn flags_win_over_the_settings_file_and_the_store_over_gcloud() {
    let world = World::start(&["--seed=7"]);
    let file = world.home().join("settings.yaml");
    let text = "protectedContexts: ['sandbox-*']\nprimarySecret: '{account}_account_secret'\nexternalSecrets: [admin-secrets]\n";
    std::fs::write(&file, text).expect("written");
    let file = file.display().to_string();
    let list = |more: &[&str]| {
        let args = [&["config", "list", "-o", "json", "--settings", &file] as &[&str], more].concat();
        world.run(&args).code(0).json()
    };
    let config = list(&[]);
    assert_eq!(setting(&config, "account"), "acme, kubeconfig context sandbox-acme");
    assert_eq!(setting(&config, "primary-secret"), format!("acme_account_secret, settings {file}"));
    assert_eq!(setting(&config, "external-secrets"), format!("admin-secrets, settings {file}"));
    assert_eq!(setting(&config, "protected"), format!("true, settings {file}"));
    assert_eq!(setting(&config, "settings-file"), format!("{file}, flag --settings"));
    assert_eq!(setting(&config, "project"), "sandbox-project, secretStore SecretStore/secret-manager");
    let config = list(&[
        "initech",
        "--context=sandbox-globex",
        "--external-secret=backend-secrets",
        "--project=sandbox-project",
        "--as=bob",
        "--timeout=30s",
    ]);
    assert_eq!(setting(&config, "account"), "initech, argument");
    assert_eq!(setting(&config, "context"), "sandbox-globex, flag --context");
    assert_eq!(setting(&config, "external-secrets"), "backend-secrets, flag --external-secret");
    assert_eq!(setting(&config, "project"), "sandbox-project, flag --project");
    assert_eq!(setting(&config, "as"), "bob, flag --as");
    assert_eq!(setting(&config, "timeout"), "30s, flag --timeout");
    assert_eq!(setting(&list(&["-n", "globex"]), "account"), "globex, flag --namespace");
}

#[test]
fn what_cannot_be_found_out_is_said_and_the_rest_printed() {
    let world = World::start(&["--seed=7"]);
    let ran = world.run(&["config", "list", "acme", "--server", "http://127.0.0.1:9", "-o", "json"]).code(0);
    assert_eq!(setting(&ran.json(), "project"), "sandbox-project, environment CLOUDSDK_CORE_PROJECT");
    ran.says("the SecretStore, which decides on the project, could not be asked: ");
    let ran = world.run(&["config", "list", "acme", "--context", "nope", "-o", "json"]).code(1);
    let config = ran.json();
    assert_eq!(setting(&config, "context"), ", unknown context \"nope\" does not exist");
    assert_eq!(setting(&config, "primary-secret"), "acme_account_secret, default");
    ran.says("error: context \"nope\" does not exist\nhint: the contexts are: ");
    for (name, args) in [
        ("default-namespace", &["config", "list", "default"] as &[&str]),
        ("two-accounts", &["config", "list", "acme", "globex"]),
        ("unknown-configuration", &["config", "list", "acme", "--configuration", "nope"]),
        ("no-configuration", &["secret", "verify", "acme", "--configuration", "../x"]),
    ] {
        let ran = world.run(args);
        assert!(ran.code == 1 || ran.code == 2, "{ran:?}");
        snapshot(&format!("config-error-{name}"), &shown(&ran));
    }
}

#[needs(gcloud)]
#[test]
fn gclouds_configuration_is_read_as_gcloud_reads_it() {
    let world = World::start(&["--seed=7"]);
    let directory = world.home().join("gcloud-of-the-test");
    let endpoint = world.environment()["CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"].clone();
    write(&directory, "active_config", "work");
    let work = format!(
        "[core]\nproject = work-project\naccount: ann@example.com\n\n[auth]\nimpersonate_service_account = a@p.iam.gserviceaccount.com\n\
         access_token_file = /nowhere/token\n[api_endpoint_overrides]\nsecretmanager = {endpoint}\n"
    );
    write(&directory, "configurations/config_work", &work);
    let other = format!(
        "[core]\nproject = other-project\n[api_endpoint_overrides]\nsecretmanager = {endpoint}\n\
         [proxy]\ntype = http\naddress = proxy.example\nport = 3128\nusername = ann\npassword = MARK\n"
    );
    write(&directory, "configurations/config_other", &other);
    write(&directory, "configurations/config_default", "[core]\nproject = default-project\n");
    let to_here = ("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", endpoint.as_str());
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case; 8] = [
        (&[], &[]),
        (&[], &["--configuration=other"]),
        (&[("CLOUDSDK_ACTIVE_CONFIG_NAME", "other")], &[]),
        (&[("CLOUDSDK_ACTIVE_CONFIG_NAME", "other")], &["--configuration=work"]),
        (&[to_here], &["--configuration=default"]),
        (&[to_here, ("CLOUDSDK_ACTIVE_CONFIG_NAME", "NONE")], &[]),
        (&[("CLOUDSDK_CORE_PROJECT", "env-project"), ("CLOUDSDK_CORE_ACCOUNT", "bob@example.com")], &[]),
        (
            &[
                ("CLOUDSDK_CORE_PROJECT", ""),
                ("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "b@p.iam.gserviceaccount.com"),
            ],
            &[],
        ),
    ];
    for (variables, flags) in cases {
        let mut gcloud = Command::new("gcloud");
        gcloud.args(["config", "list", "--format=json"]).args(flags).env_clear();
        gcloud.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", world.home());
        gcloud.env("CLOUDSDK_CONFIG", &directory).envs(variables.iter().copied());
        let said = gcloud.stdin(Stdio::null()).output().expect("gcloud runs");
        let said: Value = serde_json::from_slice(&said.stdout).expect("JSON");
        let args = [&["config", "list", "acme", "-o", "json"] as &[&str], flags].concat();
        let ran = with_gcloud(&world, &directory, variables, &args).code(0);
        assert!(!format!("{ran:?}").contains("MARK"), "a password is shown");
        let config = ran.json();
        for (name, property) in [
            ("gcloud-project", "/core/project"),
            ("gcloud-account", "/core/account"),
            ("access-token-file", "/auth/access_token_file"),
            ("impersonate-service-account", "/auth/impersonate_service_account"),
        ] {
            let theirs = said.pointer(property).and_then(Value::as_str).unwrap_or_default();
            let ours = setting(&config, name);
            assert_eq!(ours.split(", ").next(), Some(theirs), "{name} under {variables:?} {flags:?}: {ours}");
        }
        let theirs = said.pointer("/api_endpoint_overrides/secretmanager").and_then(Value::as_str).unwrap_or_default();
        assert!(setting(&config, "secret-manager-endpoint").starts_with(theirs), "{config:#}");
    }
    let config = with_gcloud(&world, &directory, &[], &["config", "list", "acme", "-o", "json"]).json();
    assert_eq!(setting(&config, "gcloud-configuration"), "work, gcloudActive");
    assert_eq!(setting(&config, "gcloud-project"), "work-project, gcloud work");
    let args = ["config", "list", "acme", "--configuration", "nope"];
    with_gcloud(&world, &directory, &[], &args).code(1).says("hint: the configurations are: default, other, work");
}

/// A proxy that notes what it is asked for, and refuses: the head of its first request.
fn proxy() -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut reader = BufReader::new(stream.try_clone().expect("a clone"));
        let mut head = String::new();
        while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
        let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        head
    });
    (port, heard)
}

#[test]
fn gclouds_proxy_is_the_way_to_google_and_not_to_the_cluster() {
    let world = World::start(&["--seed=7"]);
    let directory = world.home().join("gcloud-of-the-test");
    let (port, heard) = proxy();
    write(&directory, "token", "not-a-token");
    let configuration = format!(
        "[auth]\naccess_token_file = {}\n[api_endpoint_overrides]\nsecretmanager = https://secretmanager.invalid/\n\
         [proxy]\ntype = http\naddress = 127.0.0.1\nport = {port}\nusername = ann\npassword = M@RK\n",
        directory.join("token").display()
    );
    write(&directory, "active_config", "default");
    write(&directory, "configurations/config_default", &configuration);
    let args = ["config", "list", "acme", "-o", "json"];
    let ran = with_gcloud(&world, &directory, &[("NO_PROXY", "*")], &args).code(0);
    assert_eq!(
        setting(&ran.json(), "google-proxy"),
        format!("http://ann:(not shown)@127.0.0.1:{port}, gcloud default")
    );
    let args = ["check", "acme", "-v", "-o", "short"];
    let ran = with_gcloud(&world, &directory, &[("NO_PROXY", "*")], &args).code(3);
    let head = heard.join().expect("it was asked");
    assert!(head.starts_with("CONNECT secretmanager.invalid:443 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic yw5uok1auks="), "{head}");
    assert!(ran.stdout.contains("[DD-SM-API]") && !ran.stdout.contains("[DD-K8S-API]"), "{}", ran.stdout);
    assert!(!format!("{ran:?}").contains("M@RK") && !format!("{ran:?}").contains("M%40RK"), "{ran:?}");

    let partial = "[proxy]\ntype = http\n";
    write(&directory, "configurations/config_default", partial);
    let ran = with_gcloud(&world, &directory, &[], &["secret", "verify", "acme"]).code(1);
    ran.says("error: gcloud's proxy is set in part: ").says("hint: set all three, or none");
}

#[test]
fn no_token_and_no_password_is_shown() {
    let world = World::start(&["--seed=7"]);
    let kubeconfig = world.home().join("kubeconfig");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:9", "proxy-url": "http://ann:MARK1@127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"token": "MARK2"}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "acme"}}],
    });
    std::fs::write(&kubeconfig, text.to_string()).expect("written");
    let kubeconfig = kubeconfig.display().to_string();
    for output in ["human", "json", "yaml"] {
        let args = ["config", "list", "--kubeconfig", &kubeconfig, "--token", "MARK3", "-v", "-o", output];
        let ran = world.run(&args).code(0);
        assert!(!format!("{ran:?}").contains("MARK"), "{ran:?}");
        if output == "json" {
            assert_eq!(setting(&ran.json(), "kubernetes-credentials"), "token (not shown), flag --token");
            assert_eq!(
                setting(&ran.json(), "kubernetes-proxy"),
                "http://ann:(not shown)@127.0.0.1:9/, kubeconfig cluster k"
            );
        }
    }
}
