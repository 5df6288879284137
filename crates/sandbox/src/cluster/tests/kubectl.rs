//! The real kubectl, in every version beside it, against the sandbox. Where a machine has none, they are ignored.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use needs::needs;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{Served, serve};

/// The kubectl that is found first, and those of other versions in its folder (`kubectl.1.27` and so on).
fn kubectls() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file());
    let first = first.expect("kubectl is on PATH");
    let real = first.canonicalize().unwrap();
    let mut all = vec![first];
    for entry in std::fs::read_dir(real.parent().unwrap()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("kubectl.1.") {
            all.push(entry.path());
        }
    }
    all.sort();
    all
}

impl Served {
    /// What it prints on both streams, in one line.
    async fn run(&self, kubectl: &Path, arguments: &str, input: &str) -> String {
        let mut child = Command::new(kubectl)
            .args(arguments.split(' '))
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", self.directory.path())
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8(both).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

const WEB: &str = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "test"},
"spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
"spec": {"containers": [{"name": "web", "image": "web:1"}]}}}}"#;

const EXTERNAL: &str = r#"{"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
"metadata": {"name": "web", "namespace": "test"}, "spec": {"secretStoreRef": {"name": "gcp", "kind": "SecretStore"},
"data": [{"secretKey": "K", "remoteRef": {"key": "k"}}]}}"#;

#[needs(kubectl)]
#[tokio::test]
async fn every_version_reads_and_writes() {
    // Arguments, input, what is printed.
    let cases = [
        ("create namespace test", "", "namespace/test created"),
        ("create namespace test", "", "Error from server (AlreadyExists): namespaces \"test\" already exists"),
        ("-n test create secret generic web --from-literal=K=v", "", "secret/web created"),
        ("apply -f -", WEB, "deployment.apps/web created"),
        ("apply -f -", WEB, "deployment.apps/web unchanged"),
        ("create -f -", EXTERNAL, "externalsecret.external-secrets.io/web created"),
        ("-n test get es", "", "NAME STORETYPE STORE REFRESH INTERVAL STATUS READY web SecretStore gcp 1h"),
        ("-n test get secret web -o jsonpath={.data.K}", "", "dg=="),
        ("-n test get deploy,es -o name", "", "deployment.apps/web externalsecret.external-secrets.io/web"),
        ("-n test get deploy web -o go-template={{.spec.replicas}}", "", "1"),
        ("-n test get deploy -o custom-columns=N:.metadata.name --no-headers", "", "web"),
        ("-n test patch deploy web --type merge -p {\"spec\":{\"paused\":true}}", "", "deployment.apps/web patched"),
        (
            "-n test rollout restart deploy/web",
            "",
            "error: deployments.apps \"web\" can't restart paused deployment (run rollout resume first)",
        ),
        ("-n test rollout resume deploy/web", "", "deployment.apps/web resumed"),
        ("-n test rollout restart deploy/web", "", "deployment.apps/web restarted"),
        ("-n test scale deploy/web --replicas 2", "", "deployment.apps/web scaled"),
        ("-n test annotate es web force-sync=1 --overwrite", "", "externalsecret.external-secrets.io/web annotate"),
        ("-n test label secret web a=b", "", "secret/web labeled"),
        ("-n test get secrets -l a=b -o name", "", "secret/web"),
        ("-n test auth can-i patch deployments.apps", "", "yes"),
        ("-n test wait --for=jsonpath={.spec.replicas}=2 deploy/web", "", "deployment.apps/web condition met"),
        ("-n test events", "", "No events found in test namespace."),
        (
            "-n test delete deploy,es --all",
            "",
            "deployment.apps \"web\" deleted externalsecret.external-secrets.io \"web\" deleted",
        ),
        ("-n test get secret nope", "", "Error from server (NotFound): secrets \"nope\" not found"),
        ("get --raw /readyz", "", "ok"),
        ("delete namespace test", "", "namespace \"test\" deleted"),
    ];
    for kubectl in kubectls() {
        let running = serve(&[]).await;
        for (arguments, input, expected) in cases {
            let seen = running.run(&kubectl, arguments, input).await;
            // Newer versions say `annotated`, and name the namespace of what they delete.
            let seen = seen.replace(" from test namespace", "").replace("annotated", "annotate");
            assert_eq!(seen, expected, "{} {arguments}", kubectl.display());
        }
    }
}

#[needs(kubectl)]
#[tokio::test]
async fn describe_and_wide_tables_name_what_is_there() {
    let kubectl = kubectls().remove(0);
    let running = serve(&[]).await;
    running.run(&kubectl, "create namespace test", "").await;
    running.run(&kubectl, "apply -f -", WEB).await;
    running.run(&kubectl, "-n test run lone --image lone:1", "").await;
    running.run(&kubectl, "-n test create secret generic web --from-literal=K=value", "").await;
    let cases = [
        ("-n test describe deploy web", "Selector: app=web Replicas: 1 desired |"),
        ("-n test describe pod lone", "Service Account: default"),
        ("-n test describe secret web", "Data ==== K: 5 bytes"),
        ("-n test get deploy -o wide", "CONTAINERS IMAGES SELECTOR web 0/1 0 0"),
        ("-n test get pods -o wide", "NOMINATED NODE READINESS GATES lone 0/1 Pending 0"),
        ("-n test get pods --watch --request-timeout 1s", "NAME READY STATUS RESTARTS AGE lone 0/1 Pending"),
        ("api-resources --api-group external-secrets.io -o name", "externalsecrets.external-secrets.io"),
        ("-n test rollout history deploy/web", "deployment.apps/web No rollout history found."),
    ];
    for (arguments, expected) in cases {
        let seen = running.run(&kubectl, arguments, "").await;
        assert!(seen.contains(expected), "{arguments}: {seen}");
    }
}
