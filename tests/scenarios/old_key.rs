//! What becomes of the older value: rolled back to, retired, or never lacking, in two phases.

use crate::account::{Account, After, CONSUMERS};
use crate::world::{kubelet, until};

/// Fails the test unless every running pod holds one of these as its key, and one of those as its second one. A value that
/// two versions have goes by either's name.
#[track_caller]
fn every_pod_holds(account: &Account, keys: &[&str], older: &[&str]) {
    let pods = account.pods();
    for consumer in CONSUMERS {
        let own: Vec<_> = pods.iter().filter(|pod| pod.owner == consumer).collect();
        assert!(!own.is_empty(), "no pod of {consumer}: {pods:?}");
        for pod in own {
            let held = |key: &str| pod.holds.get(key).map(String::as_str).unwrap_or_default();
            assert!(keys.contains(&held("SECRET_KEY")), "{pod:?}");
            assert!(older.contains(&held("SECRET_KEY_BACK_COMPAT")), "{pod:?}");
        }
    }
}

/// Fails the test unless a rollback from v4 has ended: the value of v3 is in use as v5, that of v4 can be read.
#[track_caller]
fn rolled_back(account: &Account, in_use: &str, abandoned: &str) {
    assert_eq!(account.value(&account.primary(), "latest").as_deref(), Some(in_use));
    assert_eq!(account.value(&account.back_compat(), "latest").as_deref(), Some(abandoned));
    let versions = account.versions(&account.primary());
    assert!(versions.ends_with("3:DISABLED 4:DISABLED 5:ENABLED"), "{versions}");
    every_pod_holds(account, &["primary v3", "primary v5", "back-compat v1"], &["primary v4", "back-compat v2"]);
    let verified = account.run("verify", &["-o", "json"]).code(0).json();
    assert_eq!(verified["state"], "AwaitingReencryption");
    assert_eq!(account.lock_holder(), None);
}

fn values(account: &Account) -> (String, String) {
    let latest = |secret: String| account.value(&secret, "latest").expect("it is enabled");
    (latest(account.primary()), latest(account.back_compat()))
}

#[needs(kubectl)]
#[test]
fn a_complete_rotation_is_rolled_back_and_its_repetition_changes_nothing() {
    let account = Account::new(After::Globex, "rolled-back");
    account.run("rotate", &["--yes"]).code(0);
    let (abandoned, kept) = values(&account);
    account.run("rollback", &["--yes"]).code(0);
    rolled_back(&account, &kept, &abandoned);
    account.run("rollback", &["--yes"]).code(0);
    rolled_back(&account, &kept, &abandoned);
}

#[needs(kubectl)]
#[test]
fn a_rotation_whose_pods_never_become_ready_is_rolled_back() {
    let account = Account::impatient(After::Globex, "back-from-stuck");
    account.pods_from_now(kubelet::READY, "never");
    account.run("rotate", &["--yes"]).code(5).says("or go back to the value of v3");
    let (abandoned, kept) = values(&account);
    // On the older value they come up. Those of the stuck rollout are still there.
    account.pods_from_now(kubelet::READY, "true");
    account.run("rollback", &["--yes"]).code(0);
    rolled_back(&account, &kept, &abandoned);
}

#[needs(kubectl)]
#[test]
fn the_older_value_is_retired_from_every_pod() {
    let account = Account::new(After::Globex, "finalized");
    account.run("rotate", &["--yes"]).code(0);
    account.run("finalize", &["--yes"]).code(2).says("--reencrypted");
    account.run("finalize", &["--yes", "--reencrypted"]).code(0);
    assert!(account.versions(&account.back_compat()).ends_with("1:DISABLED 2:ENABLED"));
    assert_eq!(account.value(&account.back_compat(), "latest"), account.value(&account.primary(), "latest"));
    let one = &["primary v4", "back-compat v2"];
    every_pod_holds(&account, one, one);
    assert_eq!(account.run("status", &["-o", "json"]).code(0).json()["state"], "Stable");
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(5);
}

#[needs(kubectl)]
#[test]
fn while_a_job_of_before_runs_nothing_is_retired() {
    let account = Account::new(After::Globex, "with-a-job");
    let container = serde_json::json!({"name": "export", "image": "export", "envFrom": [{"secretRef": {"name": "backend-secrets"}}]});
    account.create(serde_json::json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "export"},
        "spec": {"template": {"metadata": {"annotations": {kubelet::RUN: "10m"}}, "spec": {"restartPolicy": "Never", "containers": [container]}}},
    }));
    until("it runs", || account.get("job", "export")["status"]["active"] == 1);
    account.run("rotate", &["--yes"]).code(0);
    account.run("finalize", &["--yes", "--reencrypted"]).code(4).says("DD-OLD-READERS").says("job export");
    assert_eq!(account.versions(&account.back_compat()), "1:ENABLED");
}

#[needs(kubectl)]
#[test]
fn in_two_phases_every_pod_reads_the_next_value_before_any_writes_with_it() {
    for (after, name) in [(After::Acme, "two-phase-first"), (After::Globex, "two-phase")] {
        let account = Account::new(after, name);
        let result = account.run("rotate", &["--yes", "--strategy", "two-phase", "-o", "json"]).code(0).json();
        let steps: Vec<&str> =
            result["steps"].as_array().expect("a list").iter().filter_map(|step| step["name"].as_str()).collect();
        let at =
            |name: &str| steps.iter().rposition(|step| *step == name).unwrap_or_else(|| panic!("{name}: {steps:?}"));
        assert!(at("prepare") < at("preserve") && at("stage") < at("introduce"), "{steps:?}");
        account.rotated(4);
        account.run("verify", &[]).code(0);
    }
}
