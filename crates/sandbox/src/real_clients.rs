//! The real gcloud and kubectl against the sandbox. Where a machine has none of them, that test is ignored.

use std::process::{Output, Stdio};
use std::time::Duration;

use needs::needs;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use super::{Options, Sandbox, controllers};

struct Running {
    sandbox: Sandbox,
    /// Removed when the test ends.
    directory: tempfile::TempDir,
}

async fn start() -> Running {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        accounts: 3,
        sync_delay: Duration::from_millis(20),
        pod_start: Duration::from_millis(20),
        faults: Vec::new(),
        seed: Some(1),
        directory: directory.path().to_owned(),
    };
    Running { sandbox: Sandbox::start(options).await.unwrap(), directory }
}

impl Running {
    /// A program with nothing of this machine's environment but the path.
    fn command(&self, line: &str) -> Command {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", self.directory.path())
            .envs(self.sandbox.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a program to its end. Answers with its exit code, standard output and standard error.
    async fn run(&self, line: &str, input: &str) -> (i32, String, String) {
        let mut child = self.command(line).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let Output { status, stdout, stderr } = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap_or(-1), text(stdout), text(stderr))
    }

    /// Runs a program that has to succeed. Answers with its standard output.
    async fn ok(&self, line: &str, input: &str) -> String {
        let (code, stdout, stderr) = self.run(line, input).await;
        assert_eq!(code, 0, "{line}: {stdout}{stderr}");
        stdout
    }
}

#[needs(gcloud)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gcloud_works_through_the_life_of_a_secret() {
    let running = start().await;
    let make = "gcloud secrets create x --replication-policy=automatic --labels=owner=deepdesk --set-annotations=a=b";
    running.ok(make, "").await;
    let name = running.ok("gcloud secrets describe x --format=value(name,labels.owner,annotations.a)", "").await;
    assert!(name.starts_with("projects/") && name.ends_with("/secrets/x\tdeepdesk\tb\n"), "{name}");
    let listed = running.ok("gcloud secrets list --filter=labels.owner=deepdesk --format=value(name)", "").await;
    assert_eq!(listed, "x\n");
    for value in ["one", "two"] {
        running.ok("gcloud secrets versions add x --data-file=-", value).await;
    }
    assert_eq!(running.ok("gcloud secrets versions access latest --secret=x", "").await, "two");
    assert_eq!(running.ok("gcloud secrets versions access 1 --secret=x", "").await, "one");

    let etag = running.ok("gcloud secrets versions describe 1 --secret=x --format=value(etag)", "").await;
    let (code, _, wrong) = running.run("gcloud secrets versions disable 1 --secret=x --etag=\"0\"", "").await;
    assert!(code == 1 && wrong.contains("FAILED_PRECONDITION"), "{wrong}");
    running.ok(&format!("gcloud secrets versions disable 1 --secret=x --etag={}", etag.trim()), "").await;
    let (code, _, disabled) = running.run("gcloud secrets versions access 1 --secret=x", "").await;
    assert!(code == 1 && disabled.contains("is in DISABLED state"), "{disabled}");
    let versions = "gcloud secrets versions list x --format=value(name,state)";
    assert_eq!(running.ok(versions, "").await, "2\tenabled\n1\tdisabled\n");
    running.ok("gcloud secrets versions enable 1 --secret=x", "").await;
    running.ok("gcloud secrets versions destroy 1 --secret=x --quiet", "").await;
    assert_eq!(running.ok(versions, "").await, "2\tenabled\n1\tdestroyed\n");
    assert_eq!(running.ok(&format!("{versions} --filter=state=enabled"), "").await, "2\tenabled\n");

    running.ok("gcloud secrets update x --update-labels=team=a --update-annotations=c=d", "").await;
    let labels =
        running.ok("gcloud secrets describe x --format=value(labels.owner,labels.team,annotations.c)", "").await;
    assert_eq!(labels, "deepdesk\ta\td\n");
    running.ok("gcloud secrets update x --update-version-aliases=stable=2", "").await;
    assert_eq!(running.ok("gcloud secrets versions access stable --secret=x", "").await, "two");
    assert_eq!(running.ok("gcloud secrets get-iam-policy x --format=value(etag)", "").await, "ACAB\n");
    let bind = "gcloud secrets add-iam-policy-binding x --member=user:a@b.c --role=roles/secretmanager.viewer";
    running.ok(bind, "").await;
    let policy = running.ok("gcloud secrets get-iam-policy x --format=value(bindings[0].members[0])", "").await;
    assert_eq!(policy, "user:a@b.c\n");

    let regional = "--location=europe-west1";
    running.ok(&format!("gcloud secrets create r {regional}"), "").await;
    running.ok(&format!("gcloud secrets versions add r {regional} --data-file=-"), "there").await;
    let there = format!("gcloud secrets versions access latest --secret=r {regional}");
    assert_eq!(running.ok(&there, "").await, "there");

    running.ok("gcloud secrets delete x --quiet", "").await;
    let (code, _, missing) = running.run("gcloud secrets describe x", "").await;
    assert!(code == 1 && missing.contains("NOT_FOUND"), "{missing}");
    running.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn googles_rust_client_works() {
    use google_cloud_auth::credentials::anonymous;
    use google_cloud_gax::paginator::ItemPaginator as _;
    use google_cloud_secretmanager_v1::client::SecretManagerService;
    use google_cloud_secretmanager_v1::model::{
        Replication, Secret, SecretPayload, replication::Automatic, secret_version::State,
    };

    // The client asks for a TLS provider even where it speaks plain http. Another test may have put one there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let running = start().await;
    let client = SecretManagerService::builder()
        .with_endpoint(running.sandbox.secret_manager_url.as_str())
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await
        .unwrap();
    let parent = "projects/sandbox-project";
    let secret = Secret::new()
        .set_replication(Replication::new().set_automatic(Automatic::new()))
        .set_labels([("owner", "deepdesk")]);
    let made = client.create_secret().set_parent(parent).set_secret_id("x").set_secret(secret).send().await.unwrap();
    assert_eq!(made.labels["owner"], "deepdesk");
    let name = format!("{parent}/secrets/x");
    for value in ["one", "two"] {
        let payload = SecretPayload::new().set_data(value).set_data_crc32c(crc32c::crc32c(value.as_bytes()));
        let added = client.add_secret_version().set_parent(&name).set_payload(payload).send().await.unwrap();
        assert!(added.client_specified_payload_checksum && added.state == State::Enabled);
    }
    let wrong = SecretPayload::new().set_data("three").set_data_crc32c(1_i64);
    let refused = client.add_secret_version().set_parent(&name).set_payload(wrong).send().await.unwrap_err();
    assert_eq!(refused.http_status_code(), Some(400));

    let read = client.access_secret_version().set_name(format!("{name}/versions/latest")).send().await.unwrap();
    let payload = read.payload.unwrap();
    assert!(read.name.ends_with("/secrets/x/versions/2") && payload.data == "two");
    assert_eq!(payload.data_crc32c, Some(i64::from(crc32c::crc32c(b"two"))));

    let first = format!("{name}/versions/1");
    let version = client.get_secret_version().set_name(&first).send().await.unwrap();
    let disable = || client.disable_secret_version().set_name(&first).set_etag(&version.etag);
    assert_eq!(disable().send().await.unwrap().state, State::Disabled);
    let raced = disable().send().await.unwrap_err();
    assert_eq!(raced.status().unwrap().code, google_cloud_gax::error::rpc::Code::FailedPrecondition);
    let disabled = client.access_secret_version().set_name(&first).send().await.unwrap_err();
    assert!(disabled.status().unwrap().message.ends_with("is in DISABLED state."));
    let missing = client.get_secret().set_name(format!("{parent}/secrets/y")).send().await.unwrap_err();
    assert_eq!(missing.status().unwrap().code, google_cloud_gax::error::rpc::Code::NotFound);

    let mut enabled =
        client.list_secret_versions().set_parent(&name).set_filter("state:ENABLED").set_page_size(1).by_item();
    let mut numbers = Vec::new();
    while let Some(version) = enabled.next().await {
        numbers.push(version.unwrap().name.rsplit('/').next().unwrap().to_owned());
    }
    assert_eq!(numbers, ["2"]);
    let ask = ["secretmanager.versions.add", "secretmanager.versions.access"];
    let held = client.test_iam_permissions().set_resource(&name).set_permissions(ask).send().await.unwrap();
    assert_eq!(held.permissions, ask);
    let policy = client.get_iam_policy().set_resource(&name).send().await.unwrap();
    let kept = client.set_iam_policy().set_resource(&name).set_policy(policy).send().await.unwrap();
    assert!(kept.bindings.is_empty() && !kept.etag.is_empty());
    let mask = google_cloud_wkt::FieldMask::default().set_paths(["labels"]);
    let change = Secret::new().set_name(&name).set_labels([("team", "a")]).set_etag(&made.etag);
    let changed = client.update_secret().set_secret(change).set_update_mask(mask).send().await.unwrap();
    assert!(changed.labels["team"] == "a" && changed.etag != made.etag);
    client.delete_secret().set_name(&name).set_etag(&changed.etag).send().await.unwrap();
    running.sandbox.stop().await;
}

#[needs(kubectl)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_works_and_its_watch_ends_with_the_sandbox() {
    let running = start().await;
    running.ok("kubectl get externalsecrets,deploy,pods -A", "").await;
    running.ok("kubectl create -f -", "apiVersion: v1\nkind: Namespace\nmetadata: {name: apart}\n").await;
    let config_map = |name: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: apart}}\ndata: {{a: b}}\n")
    };
    running.ok("kubectl create -f -", &config_map("here")).await;
    assert_eq!(
        running.ok("kubectl -n apart get configmap here -o jsonpath={.metadata.namespace}/{.data.a}", "").await,
        "apart/b"
    );
    running.ok("kubectl -n apart patch configmap here --type=merge -p {\"data\":{\"a\":\"c\"}}", "").await;
    assert_eq!(running.ok("kubectl -n apart get cm here -o jsonpath={.data.a}", "").await, "c");
    running.sandbox.world.faults.add("forbidden=delete/configmaps".parse().unwrap());
    let (code, _, refused) = running.run("kubectl -n apart delete configmap here", "").await;
    assert!(code == 1 && refused.contains("User \"sandbox\" cannot delete resource \"configmaps\""), "{refused}");
    for (verb, allowed) in [("delete", false), ("create", true)] {
        let attributes = json!({ "namespace": "apart", "verb": verb, "resource": "configmaps" });
        let review = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                             "spec": { "resourceAttributes": attributes } });
        let create = "kubectl create --raw /apis/authorization.k8s.io/v1/selfsubjectaccessreviews -f -";
        let seen: Value = serde_json::from_str(&running.ok(create, &review.to_string()).await).unwrap();
        assert_eq!(seen["status"]["allowed"], allowed, "{verb}");
    }

    let mut watch = running.command("kubectl -n apart get configmaps -w -o name").spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("configmap/here"));
    running.ok("kubectl apply -f -", &config_map("there")).await;
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("configmap/there"), "a change streams");
    running.sandbox.stop().await;
    let end = tokio::time::timeout(Duration::from_secs(10), watch.wait()).await;
    assert!(end.is_ok(), "the watch has lost its server");
}

#[needs(gcloud, kubectl)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_reaches_the_cluster_by_the_runbooks_commands() {
    let running = start().await;
    let listed = running.ok("gcloud secrets list --format=value(name)", "").await;
    assert!(
        listed.contains("acme_account_secret\n") && !listed.contains("acme_account_secret_back_compat"),
        "{listed}"
    );
    assert!(listed.contains("globex_account_secret_back_compat\n"), "{listed}");
    let all = running.ok("kubectl get externalsecrets,deploy,pods -A", "").await;
    for part in ["externalsecret.external-secrets.io/admin-secrets", "deployment.apps/backend", "initech"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    running.ok("kubectl wait --for=condition=Ready externalsecret/backend-secrets -n globex --timeout=10s", "").await;

    let new = "a-new-value-of-more-than-32-characters";
    running.ok("gcloud secrets versions add globex_account_secret --data-file=-", new).await;
    let sync = "kubectl annotate externalsecret admin-secrets -n globex force-sync=1 --overwrite";
    running.ok(sync, "").await;
    let template = "go-template={{.data.SECRET_KEY|base64decode}}";
    let read = format!("kubectl get secret admin-secrets -n globex -o {template}");
    let begun = std::time::Instant::now();
    while running.ok(&read, "").await != new {
        assert!(begun.elapsed() < Duration::from_secs(10), "never synced");
    }
    running.ok("kubectl annotate externalsecret backend-secrets -n globex force-sync=1 --overwrite", "").await;
    let holds = |name: &str| {
        let all = controllers::secret_holdings(&running.sandbox.world);
        let all = all.as_array().unwrap().iter();
        let one = all.filter(|one| one["namespace"] == "globex").find(|one| one["name"] == name).unwrap();
        one["keys"]["SECRET_KEY"].clone()
    };
    while holds("backend-secrets") != "primary v4" {
        assert!(begun.elapsed() < Duration::from_secs(10), "never synced");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(holds("admin-secrets"), "primary v4");

    running.ok("kubectl rollout restart deployment/admin deployment/backend -n globex", "").await;
    for name in ["admin", "backend"] {
        let status = format!("kubectl rollout status deployment/{name} -n globex --timeout=20s");
        assert!(running.ok(&status, "").await.contains("successfully rolled out"));
        let pods = format!("kubectl get pods -n globex -l app={name} --field-selector=status.phase=Running -o name");
        // As in a real cluster, `rollout status` does not wait for old pods that are still stopping.
        let begun = std::time::Instant::now();
        while running.ok(&pods, "").await.lines().count() != 2 {
            assert!(begun.elapsed() < Duration::from_secs(10), "the old pods of {name} never went");
        }
    }
    running.ok("gcloud secrets versions disable 3 --secret=globex_account_secret", "").await;
    let versions = "gcloud secrets versions list globex_account_secret --limit=2 --format=value(name,state)";
    assert_eq!(running.ok(versions, "").await, "4\tenabled\n3\tdisabled\n");
    let lives = running.sandbox.world.controllers.lives.describe();
    let running_now = |life: &&Value| {
        let owner = life["owner"].as_str().unwrap_or_default();
        life["namespace"] == "globex" && life["ended"].is_null() && matches!(owner, "admin" | "backend")
    };
    let holding: Vec<&Value> =
        lives.as_array().unwrap().iter().filter(running_now).map(|life| &life["holds"]).collect();
    assert_eq!(holding.len(), 4, "{lives:#}");
    for holds in holding {
        assert_eq!(
            (&holds["SECRET_KEY"], &holds["SECRET_KEY_BACK_COMPAT"]),
            (&json!("primary v4"), &json!("primary v3"))
        );
    }
    running.sandbox.stop().await;
}
