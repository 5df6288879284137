//! What the program's decisions rest on, asked of Kubernetes and External Secrets directly, without the program.

use std::time::Duration;

use serde_json::{Value, json};

use crate::account::{Account, After, value};
use crate::world::{annotation, kubelet, until};

const SYNC: &str = "force-sync";

fn status(account: &Account, name: &str) -> Value {
    account.get("externalsecret", name)["status"].clone()
}

/// Whether External Secrets reads Secret Manager again after this; times are whole seconds.
fn copies_after(account: &Account, name: &str, change: impl FnOnce()) -> bool {
    let before = status(account, name)["refreshTime"].clone();
    std::thread::sleep(Duration::from_millis(1100));
    change();
    for _ in 0..30 {
        if status(account, name)["refreshTime"] != before {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

#[needs(kubectl)]
#[test]
fn any_change_of_metadata_is_a_forced_sync_and_the_same_value_again_is_none() {
    let account = Account::with(After::Globex, "what-forces", |object| {
        if object["kind"] == "ExternalSecret" && object["metadata"]["name"] == "admin-secrets" {
            object["spec"]["refreshPolicy"] = "OnChange".into();
        }
    });
    let annotate = |name: &str, key: &str, token: &str| account.patch("externalsecret", name, &annotation(key, token));
    for name in ["backend-secrets", "admin-secrets"] {
        assert!(copies_after(&account, name, || annotate(name, SYNC, "1")), "{name}: a new token");
        assert!(!copies_after(&account, name, || annotate(name, SYNC, "1")), "{name}: the same token");
        assert!(copies_after(&account, name, || annotate(name, "any", "1")), "{name}: any annotation");
        let label = json!({"metadata": {"labels": {"any": "1"}}});
        assert!(copies_after(&account, name, || account.patch("externalsecret", name, &label)), "{name}: any label");
    }
}

#[needs(kubectl)]
#[test]
fn the_status_says_which_metadata_a_sync_has_seen() {
    let account = Account::new(After::Globex, "seen-metadata");
    let seen = || status(&account, "backend-secrets")["syncedResourceVersion"].as_str().expect("text").to_owned();
    let before = seen();
    account.patch("externalsecret", "backend-secrets", &annotation(SYNC, "1"));
    until("it is copied", || seen() != before);
    let generation = account.get("externalsecret", "backend-secrets")["metadata"]["generation"].to_string();
    let now = seen();
    let (number, hash) = now.split_once('-').expect("generation and hash");
    assert_eq!(number, generation, "{now}");
    // Which hash it is matters to nobody else: the sandbox takes another one.
    let is_theirs = hash.len() == 56 || account.world.kind == crate::world::Kind::Sandbox;
    assert!(is_theirs && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "SHA3-224: {now}");
    // Without a template, the Secret carries what the ExternalSecret does.
    assert_eq!(account.get("secret", "backend-secrets")["metadata"]["annotations"][SYNC], "1");
}

#[needs(kubectl)]
#[test]
fn a_template_keeps_annotations_from_the_secret() {
    let account = Account::new(After::Initech, "template-metadata");
    assert!(copies_after(&account, "backend-secrets", || {
        account.patch("externalsecret", "backend-secrets", &annotation(SYNC, "1"));
    }));
    let annotations = account.get("secret", "backend-secrets")["metadata"]["annotations"].clone();
    assert!(annotations.get(SYNC).is_none(), "{annotations}");
}

#[needs(kubectl)]
#[test]
fn a_failed_sync_keeps_the_secret_and_the_time_of_the_last_good_one() {
    let account = Account::new(After::Globex, "failed-sync");
    let before = status(&account, "backend-secrets")["refreshTime"].clone();
    std::thread::sleep(Duration::from_millis(1100));
    account.set(&account.primary(), 3, "disable");
    account.patch("externalsecret", "backend-secrets", &annotation(SYNC, "1"));
    until("it fails", || status(&account, "backend-secrets")["conditions"][0]["status"] == "False");
    let now = status(&account, "backend-secrets");
    assert_eq!(now["conditions"][0]["reason"], "SecretSyncedError");
    // The cause stands in an Event alone.
    assert_eq!(now["conditions"][0]["message"], "could not get secret data from provider");
    assert_eq!(now["refreshTime"], before);
    until("an Event names the secret", || {
        let events = account.world.get(&["events", "-n", &account.name]);
        events["items"].as_array().expect("a list").iter().any(|event| {
            event["reason"] == "UpdateFailed"
                && event["message"].as_str().is_some_and(|said| said.contains(&account.primary()))
        })
    });
    account.set(&account.primary(), 3, "enable");
    account.until_healthy();
    assert_eq!(account.holdings()["backend-secrets/SECRET_KEY"], "primary v3");
}

#[needs(kubectl)]
#[test]
fn ready_is_said_of_external_secrets_that_write_nothing() {
    let account = Account::new(After::Globex, "writes-nothing");
    for (name, policy, reason) in [("merges", "Merge", "SecretMissing"), ("none", "None", "SecretSynced")] {
        let mut object = account.get("externalsecret", "backend-secrets");
        object["metadata"] = json!({"name": name});
        object["status"].take();
        object["spec"]["target"] = json!({"name": format!("of-{name}"), "creationPolicy": policy});
        account.create(object);
        until("it is Ready", || status(&account, name)["conditions"][0]["status"] == "True");
        assert_eq!(status(&account, name)["conditions"][0]["reason"], reason, "{policy}");
        let secret = format!("of-{name}");
        assert!(account.world.try_kubectl(&["get", "secret", &secret, "-n", &account.name], None).is_err());
    }
}

#[needs(kubectl)]
#[test]
fn a_rollout_is_over_for_kubectl_while_old_pods_still_run() {
    let account = Account::new(After::Globex, "old-pods-run");
    account.pods_from_now(kubelet::TERMINATE, "5s");
    let pods =
        || account.pods().into_iter().filter(|pod| pod.owner == "backend").map(|pod| pod.name).collect::<Vec<_>>();
    let before = pods();
    account.add(&account.primary(), &value("a new one"));
    account.patch("externalsecret", "backend-secrets", &annotation(SYNC, "1"));
    until("it is copied", || account.holdings()["backend-secrets/SECRET_KEY"] == "primary v4");
    let kubectl = |verb: &str| account.world.kubectl(&["rollout", verb, "deployment/backend", "-n", &account.name]);
    kubectl("restart");
    assert!(kubectl("status").contains("successfully rolled out"));
    let now = account.pods();
    let old: Vec<_> = now.iter().filter(|pod| before.contains(&pod.name)).collect();
    assert!(!old.is_empty(), "{before:?} {now:?}");
    assert!(old.iter().all(|pod| pod.holds["SECRET_KEY"] == "primary v3"), "{old:?}");
}

#[needs(kubectl)]
#[test]
fn kubectl_does_not_restart_what_is_paused() {
    let account = Account::new(After::Globex, "kubectl-paused");
    account.patch("deployment", "backend", &json!({"spec": {"paused": true}}));
    let restart = ["rollout", "restart", "deployment/backend", "-n", &account.name];
    let said = account.world.try_kubectl(&restart, None).expect_err("paused");
    assert!(said.contains("can't restart paused deployment"), "{said}");
    // The API itself takes the patch, and nothing rolls.
    let template = json!({"spec": {"template": {"metadata": {"annotations": {"any": "1"}}}}});
    account.patch("deployment", "backend", &template);
    until("it is observed", || {
        let backend = account.get("deployment", "backend");
        backend["status"]["observedGeneration"] == backend["metadata"]["generation"]
    });
    assert_eq!(account.get("deployment", "backend")["status"]["updatedReplicas"].as_u64().unwrap_or(0), 0);
}
