//! Restarts that take their time, or do not come to an end.

use std::time::Duration;

use serde_json::json;

use crate::account::{Account, After, CONSUMERS};
use crate::world::{kubelet, until};

#[needs(kubectl)]
#[test]
fn old_pods_that_end_slowly_are_waited_for() {
    let account = Account::new(After::Globex, "slow-ends");
    account.pods_from_now(kubelet::TERMINATE, "4s");
    let begun = std::time::Instant::now();
    account.run("rotate", &["--yes"]).code(0);
    assert!(begun.elapsed() > Duration::from_secs(4), "old pods were still there: {:?}", begun.elapsed());
    account.rotated(4);
}

#[needs(kubectl)]
#[test]
fn a_rollout_that_is_stuck_ends_the_run_and_the_same_command_goes_on() {
    let account = Account::impatient(After::Globex, "stuck");
    account.pods_from_now(kubelet::READY, "never");
    account.run("rotate", &["--yes"]).code(5).says("hint:");
    // The old value is still enabled: the old pods serve with it.
    assert!(account.versions(&account.primary()).ends_with("3:ENABLED 4:ENABLED"));
    account.run("verify", &[]).code(3);
    account.pods_from_now(kubelet::READY, "true");
    // What does not become ready is replaced by the operator, as a fixed image would be.
    account.world.kubectl(&["delete", "pods", "--all", "-n", &account.name, "--wait=false"]);
    account.until_healthy();
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
}

#[needs(kubectl)]
#[test]
fn pods_that_crash_on_the_new_value() {
    let account = Account::impatient(After::Globex, "crashing");
    account.pods_from_now(kubelet::START, "crash");
    account.run("restart", &["--yes"]).code(5).says("hint:");
    account.pods_from_now(kubelet::START, "100ms");
    account.world.kubectl(&["delete", "pods", "--all", "-n", &account.name, "--wait=false"]);
    account.until_healthy();
    account.run("restart", &["--yes"]).code(0);
    account.run("verify", &[]).code(0);
}

#[needs(kubectl)]
#[test]
fn a_workload_that_is_scaled_to_zero() {
    let account = Account::new(After::Globex, "scaled-down");
    account.patch("deployment", "backend", &json!({"spec": {"replicas": 0}}));
    until("its pods are gone", || !account.pods().iter().any(|pod| pod.owner == "backend"));
    account.run("rotate", &["--yes"]).code(0);
    account.patch("deployment", "backend", &json!({"spec": {"replicas": 2}}));
    account.until_healthy();
    account.rotated(4);
    for consumer in CONSUMERS {
        account.every_pod_holds(consumer, "SECRET_KEY", "primary v4");
    }
    account.run("verify", &[]).code(0);
}
