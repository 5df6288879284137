//! The ways to Google and to the cluster, as people have them: kubeconfigs, refusals with their causes, secrets with conditions of
//! their own, values given by hand.

use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD as STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::proxy::Proxy;
use crate::world::{Ran, World, back_compat, finish, primary};

const SECRETS: &str = "/v1/projects/sandbox-project/secrets";

/// The binary, with Secret Manager behind the proxy.
fn through(world: &World, proxy: &Proxy, args: &[&str]) -> Ran {
    let mut command = world.command(args);
    command.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", format!("{}/", proxy.url));
    finish(command.stdin(std::process::Stdio::null()).spawn().expect("the program starts"))
}

fn refusal(status: &str, code: u16, message: &str, detail: Value) -> Option<(String, Vec<u8>)> {
    let error = json!({"error": {"code": code, "status": status, "message": message, "details": [detail]}});
    let head = format!("HTTP/1.1 {code} No\r\ncontent-type: application/json");
    Some((head, error.to_string().into_bytes()))
}

#[test]
fn what_google_refuses_for_another_reason_than_a_right_is_told_with_what_helps() {
    let world = World::start(&["--accounts=1"]);
    for (reason, metadata, message, word, helps) in [
        (
            "SERVICE_DISABLED",
            json!({"service": "secretmanager.googleapis.com", "consumer": "projects/698"}),
            "is disabled",
            "ApiDisabled",
            "gcloud services enable secretmanager.googleapis.com --project=698",
        ),
        (
            "BILLING_DISABLED",
            json!({}),
            "This API method requires billing to be enabled. Please enable billing on project #698 by",
            "BillingDisabled",
            "gcloud billing projects link 698",
        ),
        (
            "SECURITY_POLICY_VIOLATED",
            json!({"uid": "eYhDkfYCu-d"}),
            "Request is prohibited by organization's policy.",
            "PerimeterDenied",
            "perimeter",
        ),
        (
            "USER_PROJECT_DENIED",
            json!({"consumer": "projects/old-sandbox"}),
            "Caller does not have required permission",
            "QuotaProjectDenied",
            "serviceusage.services.use on old-sandbox",
        ),
        (
            "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            json!({}),
            "Request had insufficient authentication scopes.",
            "InsufficientScopes",
            "cloud-platform",
        ),
    ] {
        let message = message.to_owned();
        let detail = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": metadata});
        let proxy = Proxy::start(&world.environment()["DEEPDESK_SANDBOX_URL"], move |asked, _, _| {
            asked.contains(SECRETS).then(|| refusal("PERMISSION_DENIED", 403, &message, detail.clone())).flatten()
        });
        let ran = through(&world, &proxy, &["secret", "verify", "acme", "-o", "json"]).code(1);
        let problem = &ran.json()["problem"];
        assert_eq!(ran.json()["reason"], word, "{problem}");
        let ran = through(&world, &proxy, &["secret", "verify", "acme"]).code(1).says(helps);
        assert!(!ran.stderr.contains("permissions.md") && !ran.stderr.contains("login"), "{reason}: {}", ran.stderr);
        let checked = through(&world, &proxy, &["check", "acme", "-o", "short", "--only", "secret-manager"]).code(3);
        let line = checked.stdout.lines().find(|line| line.contains("DD-SM-API") || line.contains("it answers"));
        assert!(line.is_some() && checked.stdout.contains(helps), "{reason}: {}", checked.stdout);
    }
}

#[test]
fn a_member_that_may_not_be_bound_anew_does_not_strand_the_account() {
    let world = World::start(&["--accounts=1"]);
    let bindings = json!([{"role": "roles/secretmanager.secretAccessor",
        "members": ["user:old-contractor@elsewhere.example", "serviceAccount:external-secrets@sandbox-project.iam.gserviceaccount.com"]}]);
    let set = format!("{SECRETS}/{}:setIamPolicy", primary("acme"));
    world.sent("POST", &set, Some(json!({"policy": {"bindings": bindings}})));
    let proxy = Proxy::answering(&world.environment()["DEEPDESK_SANDBOX_URL"], |asked, body| {
        let names = |name: &str| body.windows(name.len()).any(|part| part == name.as_bytes());
        let detail = json!({"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [{"type": "orgpolicy"}]});
        let refused = asked.contains("back_compat:setIamPolicy") && names("old-contractor");
        let words = "One or more users named in the policy do not belong to a permitted customer.";
        refused.then(|| refusal("FAILED_PRECONDITION", 400, words, detail)).flatten()
    });
    let ran = through(&world, &proxy, &["secret", "rotate", "acme", "--yes"]).code(0);
    ran.says("user:old-contractor@elsewhere.example (roles/secretmanager.secretAccessor)");
    world.rotated("acme", 7, 8);
}

#[test]
fn where_nobody_can_be_bound_the_way_out_is_named() {
    let world = World::start(&["--accounts=1"]);
    let bindings = json!([{"role": "roles/secretmanager.secretAccessor", "members": ["user:gone@elsewhere.example"]}]);
    let set = format!("{SECRETS}/{}:setIamPolicy", primary("acme"));
    world.sent("POST", &set, Some(json!({"policy": {"bindings": bindings}})));
    let proxy = Proxy::answering(&world.environment()["DEEPDESK_SANDBOX_URL"], |asked, _| {
        let detail = json!({"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": []});
        asked
            .contains("back_compat:setIamPolicy")
            .then(|| refusal("FAILED_PRECONDITION", 400, "not permitted", detail))
            .flatten()
    });
    let ran = through(&world, &proxy, &["secret", "rotate", "acme", "--yes"]).code(5);
    ran.says("user:gone@elsewhere.example")
        .says("gcloud secrets add-iam-policy-binding")
        .says("gcloud secrets delete acme_account_secret_back_compat");
    assert_eq!(world.versions(&primary("acme")).split(' ').next_back(), Some("7:ENABLED"), "nothing was introduced");
}

/// Kubernetes drops the Events of one object after 25 of them, and 30 syncs are asked for until then.
#[test]
#[ignore = "waits for 90 s until a lag is taken for a refusal: cargo xtask waits"]
fn a_refusal_whose_events_are_used_up_is_told_in_external_secrets_own_words() {
    let world = World::start(&["--accounts=1", "--fault=external-secrets-denied"]);
    let begun = std::time::Instant::now();
    let ran = world.run(&["secret", "rotate", "acme", "--yes", "--timeout", "3m"]).code(5).says("PermissionDenied");
    assert!(begun.elapsed().as_secs() < 150, "it was told only at the end: {:?}", begun.elapsed());
    let ran = ran.says("let External Secrets read acme_account_secret_back_compat");
    assert!(!ran.stderr.contains("check that External Secrets is running"), "{}", ran.stderr);
}

#[test]
fn what_a_secret_does_by_itself_is_told_before_the_first_write() {
    let world = World::start(&["--accounts=1"]);
    let patch = |mask: &str, body: Value| {
        world.sent("PATCH", &format!("{SECRETS}/{}?updateMask={mask}", primary("acme")), Some(body))
    };
    world.run(&["check", "acme", "-o", "short", "--only", "secret-manager"]).code(0);
    patch("ttl", json!({"ttl": "604800s"}));
    patch("versionAliases", json!({"versionAliases": {"prod": "7"}}));
    let checked = world.run(&["check", "acme", "-o", "short"]);
    for words in [
        "expires and is deleted on 20",
        "--remove-expiration",
        "aliases of secret acme_account_secret keep",
        "prod (7)",
    ] {
        assert!(checked.stdout.contains(words), "{words}: {}", checked.stdout);
    }
    world.run(&["secret", "rotate", "acme", "--dry-run"]).code(0).says("DD-EXPIRY").says("DD-ALIASES");
    assert_eq!(world.writes(), Vec::<String>::new());
    world.run(&["secret", "status", "acme"]).code(0).says("acme_account_secret expires and is deleted on 20");
}

#[test]
fn what_somebody_else_will_do_to_a_secret_is_told_before_the_first_write() {
    let world = World::start(&["--accounts=1"]);
    let patch = |mask: &str, body: Value| {
        world.sent("PATCH", &format!("{SECRETS}/{}?updateMask={mask}", primary("acme")), Some(body))
    };
    // A version that somebody destroys goes only after this time.
    patch("versionDestroyTtl", json!({"versionDestroyTtl": "86400s"}));
    world.set(&primary("acme"), 6, "destroy");
    patch("topics", json!({"topics": [{"name": "projects/sandbox-project/topics/rotate"}]}));
    let in_a_week = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 7)).to_string();
    patch("rotation", json!({"rotation": {"nextRotationTime": in_a_week, "rotationPeriod": "2592000s"}}));
    let told = |ran: &Ran| {
        for words in [
            "version 6 of secret acme_account_secret is to be destroyed on 20",
            "gcloud secrets versions disable 6 --secret=acme_account_secret",
            "has a rotation schedule",
            "its topics (rotate) are notified",
            "--remove-rotation-schedule",
        ] {
            assert!(format!("{}{}", ran.stdout, ran.stderr).contains(words), "{words}: {ran:?}");
        }
    };
    told(&world.run(&["check", "acme", "-o", "short"]));
    let before = world.writes();
    told(&world.run(&["secret", "rotate", "acme", "--dry-run"]).code(0));
    assert_eq!(world.writes(), before);
}

#[test]
fn each_request_says_the_reason_that_gcloud_is_configured_with() {
    let world = World::start(&["--accounts=1"]);
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let heard = reasons.clone();
    let proxy = Proxy::answering(&world.environment()["DEEPDESK_SANDBOX_URL"], move |asked, _| {
        let lines = asked.lines().filter_map(|line| line.split_once(": "));
        let mut said = lines.filter(|(name, _)| name.eq_ignore_ascii_case("x-goog-request-reason"));
        heard.lock().expect("not poisoned").push(said.next().map(|(_, reason)| reason.to_owned()));
        None
    });
    let mut command = world.command(&["secret", "rotate", "acme", "--yes"]);
    command.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", format!("{}/", proxy.url));
    command.env("CLOUDSDK_CORE_REQUEST_REASON", "CHG-4711");
    finish(command.stdin(std::process::Stdio::null()).spawn().expect("the program starts")).code(0);
    let reasons = reasons.lock().expect("not poisoned");
    assert!(reasons.len() > 10, "{reasons:?}");
    assert!(reasons.iter().all(|said| said.as_deref() == Some("CHG-4711")), "{reasons:?}");
}

#[test]
fn a_value_given_by_hand_is_looked_at() {
    let world = World::start(&["--accounts=1"]);
    const KEY: &str = "0123456789abcdefghijABCDEFGHIJ0123456789";
    let rotate = |value: &str, more: &[&str]| {
        let args = [&["secret", "rotate", "acme", "--yes", "--value-from", "-"], more].concat();
        world.run_with_input(&args, value.as_bytes())
    };
    for (value, says) in [
        (format!("\u{feff}{KEY}"), "byte order mark"),
        (format!("{KEY}\u{200b}"), "invisible character"),
        ("[use 'op item get 4jxgyd7z6mvjh5v3 --reveal' to reveal]".to_owned(), "op read"),
        (format!("\"{KEY}\""), "jq -j"),
    ] {
        let ran = rotate(&value, &[]).code(4).says(says);
        assert!(!ran.stderr.contains(KEY), "the value was shown");
    }
    // The value of an older version that somebody enabled again is no new one.
    world.set(&primary("acme"), 3, "enable");
    let older = STANDARD.decode(world.value(&primary("acme"), "3").expect("enabled")).expect("base64");
    let older = String::from_utf8(older).expect("text");
    let ran = rotate(&older, &[]).code(4).says("that of v3 of acme_account_secret").says("--value-as-is");
    assert!(!ran.stderr.contains(&older), "the value was shown");
    world.set(&primary("acme"), 3, "disable");
    rotate(&format!("\"{KEY}\""), &["--value-as-is"]).code(0);
    world.rotated("acme", 7, 8);
}

#[test]
fn odd_kubeconfigs_are_read_and_what_does_not_answer_names_its_context() {
    let world = World::start(&["--accounts=1"]);
    let kubeconfig = |server: &str| {
        let text = format!(
            "kind: Config\ncurrent-context: prod\ncontexts:\n- {{name: prod, context: {{cluster: a, user: a, namespace: acme}}}}\nclusters:\n- {{name: a, cluster: {{server: \"{server}\"}}}}\nusers:\n- {{name: a, user: {{}}}}\nkind: Config\n"
        );
        std::fs::write(world.home().join("odd"), text).expect("a file");
        world.home().join("odd").to_string_lossy().into_owned()
    };
    let odd = kubeconfig(&world.environment()["DEEPDESK_SANDBOX_URL"]);
    world.run(&["secret", "verify", "acme", "--kubeconfig", &odd]).code(0);
    let nobody = kubeconfig("http://127.0.0.1:9");
    world.run(&["secret", "verify", "acme", "--kubeconfig", &nobody]).code(1).says("http://127.0.0.1:9 (context prod)");
    let mut command = world.command(&["secret", "verify", "acme"]);
    let missing = world.home().join("gone").to_string_lossy().into_owned();
    let ran =
        finish(command.env("KUBECONFIG", &missing).stdin(std::process::Stdio::null()).spawn().expect("it starts"));
    ran.code(1).says(&format!("KUBECONFIG names {missing}, which does not exist"));
    assert!(world.send("GET", &format!("{SECRETS}/{}", back_compat("acme")), None).0 >= 400);
}

#[test]
fn a_properties_file_that_gcloud_refuses_is_refused() {
    let world = World::start(&["--accounts=1"]);
    let directory = world.home().join("refused");
    std::fs::create_dir_all(directory.join("configurations")).expect("a directory");
    std::fs::write(directory.join("configurations/config_default"), "[core]\nproject = a\nproject = b\n")
        .expect("a file");
    let mut command = world.command(&["secret", "verify", "acme"]);
    let ran = finish(
        command.env("CLOUDSDK_CONFIG", &directory).stdin(std::process::Stdio::null()).spawn().expect("it starts"),
    );
    ran.code(1).says("line 3: a property stands twice");
}
