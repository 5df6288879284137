//! Each fault of the sandbox: the program comes through it, or says clearly what is wrong and goes on once it is healed.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::world::{CONSUMERS, Ran, World, back_compat, finish, primary, workload};

const ROTATE: [&str; 4] = ["secret", "rotate", "acme", "--yes"];

/// A rotation in a world with these faults, from their start on.
fn under(faults: &[&str], more: &[&str]) -> (World, Ran) {
    let flags: Vec<String> =
        faults.iter().map(|fault| format!("--fault={fault}")).chain(["--accounts=1".to_owned()]).collect();
    let world = World::start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let ran = world.run(&[&ROTATE[..], more].concat());
    (world, ran)
}

/// The program comes through these faults as if they were not there.
#[track_caller]
fn comes_through(faults: &[&str]) -> World {
    let (world, ran) = under(faults, &[]);
    ran.code(0);
    world.rotated("acme", 7, 8);
    world
}

/// How many pods of a consumer were ever made.
fn pods_of(world: &World, consumer: &str) -> usize {
    world.pods("acme").iter().filter(|pod| pod["owner"] == consumer).count()
}

#[test]
fn while_latest_lags_no_pod_is_restarted_on_the_old_value() {
    let world = comes_through(&["stale-latest=2s"]);
    for pod in world.pods("acme") {
        // Those of before have no back-compat yet.
        let restarted = !pod["holds"]["SECRET_KEY_BACK_COMPAT"].is_null();
        assert!(!restarted || pod["holds"]["SECRET_KEY"] == "primary v8", "{pod}");
    }
    assert_eq!(pods_of(&world, "worker"), 2, "restarted more than once");
}

#[test]
fn an_answer_that_is_lost_adds_no_second_version() {
    for operation in [
        "addSecretVersion",
        "createSecret",
        "setIamPolicy",
        "disableSecretVersion",
        "create/leases",
        "patch/externalsecrets",
        "patch/deployments",
    ] {
        let world = comes_through(&[&format!("lost-answer={operation}")]);
        assert!(world.log().iter().any(|entry| entry["outcome"] == "answer lost"), "{operation}");
        assert_eq!(world.versions(&back_compat("acme")), "1:ENABLED", "{operation}");
    }
}

#[test]
fn the_answer_to_the_new_version_is_lost() {
    // The first addition is the back-compat's; this one is the primary's.
    let world = World::start(&["--accounts=2"]);
    world.fault("lost-answer", Some("addSecretVersion"));
    world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
    world.rotated("globex", 3, 4);
}

#[test]
fn a_connection_that_breaks_before_the_effect_is_no_more_than_a_try() {
    for operation in [
        "getSecret",
        "accessSecretVersion",
        "list/pods",
        "createSecret",
        "patch/externalsecrets",
        "patch/deployments",
        "disableSecretVersion",
        "update/leases",
    ] {
        let world = comes_through(&[&format!("reset={operation}")]);
        assert!(world.log().iter().any(|entry| entry["outcome"] == "reset"), "{operation}");
    }
    // Whether an addition had its effect cannot be told at once: it is looked for, and never added blindly.
    let (world, ran) = under(&["reset=addSecretVersion"], &[]);
    if ran.code != 0 {
        ran.code(5).says("the same command goes on from here");
        world.run(&ROTATE).code(0);
    }
    world.rotated("acme", 7, 8);
}

#[test]
fn a_request_that_hangs_ends_within_its_limit() {
    for operation in ["list/pods", "get/secrets", "patch/deployments", "patch/externalsecrets", "update/leases"] {
        let world = World::start(&["--accounts=1"]);
        world.fault("hang", Some(operation));
        let ran = world.run(&[&ROTATE[..], &["--request-timeout=1s"]].concat());
        assert!(world.log().iter().any(|entry| entry["outcome"] == "hung"), "{operation}");
        // The limit is for a request with its repeats: the run ends, and the same command goes on.
        if ran.code != 0 {
            assert!([1, 5].contains(&ran.code), "{operation}: {}", ran.stderr);
            ran.says("no answer in time");
            world.run(&ROTATE).code(0);
        }
        world.rotated("acme", 7, 8);
    }
}

#[test]
fn a_server_that_hangs_for_good_gives_a_clear_error() {
    let world = World::start(&["--accounts=1"]);
    for _ in 0..40 {
        world.fault("hang", Some("list/pods"));
    }
    world.run(&["secret", "verify", "acme", "--request-timeout=1s"]).code(1).says("no answer");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn conflicts_and_refusals_for_now_are_waited_out() {
    for fault in [
        "conflict=1",
        "conflict=2",
        "too-many-requests=5",
        "too-many-requests-retry-after=1",
        "unavailable=3",
        "internal-error=3",
    ] {
        comes_through(&[fault]);
    }
}

#[test]
fn bursts_in_the_middle_of_a_rotation_do_no_harm() {
    for (fault, times) in [("unavailable", "6"), ("internal-error", "6"), ("too-many-requests", "6"), ("conflict", "2")]
    {
        for at in ["createSecret", "addSecretVersion", "patch/deployments"] {
            let world = World::start(&["--accounts=1"]);
            let mut child = world.spawn(&ROTATE);
            world.request_or_end(&mut child, |entry| entry["operation"] == at).expect("it comes");
            world.fault(fault, Some(times));
            let ran = finish(child);
            if ran.code != 0 {
                assert!([4, 5].contains(&ran.code), "{fault} at {at}: {}\n{}", ran.code, ran.stderr);
                world.heal(fault);
                world.run(&ROTATE).code(0);
            }
            world.rotated("acme", 7, 8);
        }
    }
}

#[test]
fn retry_after_is_honoured() {
    // A verification: a rotation begins with questions about rights, which share one path, so that any may be the next.
    let world = World::start(&["--accounts=1", "--fault=too-many-requests-retry-after=1"]);
    world.run(&["secret", "verify", "acme"]).code(0);
    let (log, mut judged) = (world.log(), 0);
    let time = |entry: &Value| entry["time"].as_str().expect("text").parse::<jiff::Timestamp>().expect("a time");
    for refused in log.iter().filter(|entry| entry["status"] == 429) {
        let again = log.iter().find(|entry| {
            entry["n"].as_u64() > refused["n"].as_u64()
                && entry["path"] == refused["path"]
                && entry["operation"] == refused["operation"]
                && entry["status"] != 429
        });
        let again = again.unwrap_or_else(|| panic!("nobody asked again: {refused}"));
        // Of what is asked more than once nothing tells which one is the repetition.
        let asked = log.iter().filter(|entry| entry["path"] == refused["path"] && entry["status"] != 429);
        if asked.count() > 1 {
            continue;
        }
        assert!(time(again).duration_since(time(refused)).as_secs_f64() >= 1.0, "{refused} {again}");
        judged += 1;
    }
    assert!(judged > 0, "requests that were refused");
}

#[test]
fn each_right_that_is_missing_is_named_before_anything_is_written() {
    let world = World::start(&["--accounts=1"]);
    let needed = [
        "get/externalsecrets",
        "list/externalsecrets",
        "patch/externalsecrets",
        "list/secretstores",
        "get/secrets",
        "list/deployments",
        "patch/deployments",
        "list/statefulsets",
        "patch/statefulsets",
        "list/daemonsets",
        "patch/daemonsets",
        "list/replicasets",
        "list/cronjobs",
        "list/jobs",
        "list/pods",
        "get/leases",
        "create/leases",
        "update/leases",
    ];
    for right in needed {
        let (verb, resource) = right.split_once('/').expect("VERB/RESOURCE");
        world.fault("forbidden", Some(right));
        world.run(&ROTATE).code(1).says(&format!("not allowed to {verb} {resource}")).says("DD-K8S-ACCESS");
        world.heal("forbidden");
    }
    assert_eq!(world.writes(), Vec::<String>::new());
    world.run(&ROTATE).code(0);
}

#[test]
fn without_the_rights_that_only_help_it_works_all_the_same() {
    let world = comes_through(&[
        "forbidden=watch/externalsecrets",
        "forbidden=watch/secrets",
        "forbidden=list/secrets",
        "forbidden=watch/deployments",
        "forbidden=watch/pods",
        "forbidden=list/events",
        "forbidden=create/events",
    ]);
    assert_eq!(world.lock_holder("acme"), None);
}

#[test]
fn each_permission_that_is_missing_is_named_before_anything_is_written() {
    for (account, permissions) in [
        (
            "acme",
            &[
                "versions.access",
                "versions.add",
                "versions.disable",
                "versions.get",
                "secrets.get",
                "secrets.getIamPolicy",
            ][..],
        ),
        ("globex", &["versions.access", "versions.add", "versions.disable", "versions.get"]),
    ] {
        let world = World::start(&["--accounts=2"]);
        for permission in permissions {
            let permission = format!("secretmanager.{permission}");
            world.fault("denied", Some(&permission));
            let ran = world.run(&["secret", "rotate", account, "--yes"]).code(1).says(&permission);
            assert!(ran.stderr.contains("nothing was changed") || world.writes().is_empty(), "{}", ran.stderr);
            world.heal("denied");
        }
        assert_eq!(world.writes(), Vec::<String>::new());
    }
}

#[test]
fn a_permission_that_cannot_be_asked_for_shows_at_the_first_write() {
    let (world, ran) = under(&["denied=secretmanager.secrets.create"], &[]);
    ran.code(1).says("secretmanager.secrets.create").says("nothing was changed");
    assert_eq!(world.versions(&primary("acme")).matches("ENABLED").count(), 1);
    assert_eq!(world.lock_holder("acme"), None);
    world.heal("denied");
    world.run(&ROTATE).code(0);
    world.rotated("acme", 7, 8);
}

#[test]
fn the_policy_of_the_new_secret_cannot_be_set() {
    let (world, ran) = under(&["denied=secretmanager.secrets.setIamPolicy"], &[]);
    ran.code(5).says("secretmanager.secrets.setIamPolicy").says("the only value in use");
    world.heal("denied");
    world.run(&ROTATE).code(0);
    world.rotated("acme", 7, 8);
}

#[test]
fn external_secrets_may_read_a_new_secret_a_little_later() {
    comes_through(&["external-secrets-denied=1s"]);
}

#[test]
fn external_secrets_may_never_read_the_new_secret() {
    let (world, ran) = under(&["external-secrets-denied"], &["--timeout=3s"]);
    ran.code(5).says("acme_account_secret_back_compat").says("is still the only value in use");
    assert_eq!(world.versions(&primary("acme")).matches("ENABLED").count(), 1, "the primary was changed");
    world.heal("external-secrets-denied");
    world.run(&ROTATE).code(0);
    world.rotated("acme", 7, 8);
}

#[test]
fn a_sync_that_fails_is_told_in_the_controllers_own_words() {
    for fault in ["sync-failing", "sync-failing=backend-secrets"] {
        let (name, value) = fault.split_once('=').map_or((fault, None), |(name, value)| (name, Some(value)));
        let world = World::start(&["--accounts=1"]);
        world.fault(name, value);
        world
            .run(&ROTATE)
            .code(5)
            .says("is not syncing")
            .says("SecretSyncedError")
            .says("acme/")
            .says("kubectl describe externalsecret");
        assert_eq!(world.versions(&primary("acme")).matches("ENABLED").count(), 1, "the primary was changed");
        world.run(&["secret", "verify", "acme"]).code(3).says("DD-ES-READY");
        world.heal(name);
        // What failed is tried again by and by; this asks at once, as the hint says.
        world.run(&["secret", "sync", "acme", "--yes"]).code(0);
        world.run(&ROTATE).code(0);
        world.rotated("acme", 7, 8);
    }
}

#[test]
fn a_slow_queue_is_waited_for() {
    comes_through(&["sync-slow=700ms"]);
}

#[test]
fn a_rollout_that_is_stuck_ends_the_run_and_the_same_command_goes_on() {
    let world = World::start(&["--accounts=1"]);
    world.fault("rollout-stuck", Some("backend"));
    world
        .run(&ROTATE)
        .code(5)
        .says("deployment/backend")
        .says("ProgressDeadlineExceeded")
        .says("v7 is still enabled")
        .says("the same command goes on from here");
    assert!(world.versions(&primary("acme")).ends_with("7:ENABLED 8:ENABLED"), "committed although a rollout is stuck");
    assert_eq!(world.lock_holder("acme"), None);
    world.heal("rollout-stuck");
    world.run(&ROTATE).code(0);
    world.rotated("acme", 7, 8);
}

#[test]
fn old_pods_that_stop_slowly_are_waited_for() {
    let (world, ran) = under(&["pod-slow-to-stop=1500ms"], &[]);
    ran.code(0);
    // At the moment at which it says that it is done, no old pod is left.
    world.rotated("acme", 7, 8);
    let old = world
        .pods("acme")
        .into_iter()
        .filter(|pod| pod["owner"] != "web" && pod["holds"]["SECRET_KEY"] == "primary v7");
    assert!(old.clone().count() >= 5 && old.into_iter().all(|pod| !pod["ended"].is_null()));
}

#[test]
fn a_pod_that_started_on_an_old_value_is_restarted_again() {
    let world = comes_through(&["old-value-pod"]);
    assert!(CONSUMERS.iter().any(|consumer| pods_of(&world, consumer) > 4), "nothing fell back: the fault did nothing");
}

#[test]
fn reloader_is_told_of_and_does_no_harm() {
    let (world, ran) = under(&["reloader"], &[]);
    ran.code(0).says("DD-RELOADER");
    world.rotated("acme", 7, 8);
}

#[test]
fn a_controller_that_takes_the_annotations_away_does_no_harm() {
    let (world, ran) = under(&["gitops"], &[]);
    ran.code(0);
    world.until("the annotations are gone and the pods are ready", |world| {
        let notes = |name: &str| {
            let workload = world.send("GET", &workload("acme", &format!("deployments/{name}")), None).1;
            workload["spec"]["template"]["metadata"]["annotations"].to_string().contains("deepdesk.com/")
        };
        let here = |pod: &&Value| pod["ended"].is_null();
        !CONSUMERS.iter().any(|name| notes(name))
            && world.pods("acme").iter().filter(here).all(|pod| !pod["ready"].is_null())
    });
    for pod in world.pods("acme").iter().filter(|pod| pod["ended"].is_null() && pod["owner"] != "web") {
        assert_eq!(pod["holds"]["SECRET_KEY"], "primary v8", "{pod}");
    }
}

#[test]
fn a_restart_that_is_taken_back_before_a_pod_is_replaced_is_not_waited_for() {
    // Pods take longer to start than the other controller takes to undo the restart: the old ones stay.
    let world = World::start(&["--pod-start=3s", "--fault=gitops"]);
    let ran = world.run(&[&ROTATE[..], &["--timeout", "90s"]].concat()).code(5);
    let ran = ran.says("something removes the restart annotation from deployment/admin");
    ran.says("hint: find out what writes the pod template: kubectl get deployment/admin");
}

#[test]
fn the_version_changed_just_before_it_is_disabled() {
    let world = comes_through(&["etag-mismatch"]);
    let tries = world.writes().iter().filter(|write| *write == "disableSecretVersion").count();
    assert_eq!(tries, 2);
}

#[test]
fn a_watch_that_ends_costs_time_and_nothing_else() {
    for fault in ["watch-closed=50ms", "watch-expired", "watch-expired=3"] {
        comes_through(&[fault]);
    }
}

#[test]
fn syncs_and_pods_that_come_and_go_by_themselves_do_no_harm() {
    comes_through(&["scheduled-sync=100ms"]);
    let (world, ran) = under(&["pod-churn=400ms"], &["--timeout=30s"]);
    world.heal("pod-churn");
    if ran.code != 0 {
        ran.says("hint:");
        world.until("the pods are back", |world| world.run(&ROTATE).code == 0);
    }
    world.every_pod_could_read("acme", 8);
    assert!(world.versions(&primary("acme")).ends_with("7:DISABLED 8:ENABLED"));
}

#[test]
fn of_two_operators_one_wins_and_the_other_is_told_who() {
    let world = World::start(&["--accounts=1"]);
    world.fault("sync-slow", Some("500ms"));
    let mut first = world.spawn(&ROTATE);
    world.request_or_end(&mut first, |entry| entry["operation"] == "createSecret").expect("it holds the lock by then");
    let second = world.run(&[&ROTATE[..], &["-o", "json"]].concat()).code(4).says(" is at work on this account");
    assert_eq!(second.json()["reason"], "Locked");
    world.run(&["secret", "restart", "acme", "--yes"]).code(4).says(" is at work on this account");
    world.heal("sync-slow");
    finish(first).code(0);
    world.rotated("acme", 7, 8);
}

#[test]
fn two_operators_at_the_same_moment_make_one_version() {
    let world = World::start(&["--accounts=1"]);
    let both = [world.spawn(&ROTATE), world.spawn(&ROTATE)];
    let mut codes = both.map(|child| finish(child).code);
    codes.sort_unstable();
    assert_eq!(codes, [0, 4]);
    world.rotated("acme", 7, 8);
}

#[test]
fn a_lock_that_is_taken_away_stops_the_run_before_its_next_write() {
    let world = World::start(&["--accounts=1"]);
    world.fault("sync-slow", Some("500ms"));
    let mut child = world.spawn(&ROTATE);
    world.request_or_end(&mut child, |entry| entry["operation"] == "patch/externalsecrets").expect("it comes");
    world.sent("DELETE", &crate::world::lease("acme"), None);
    finish(child).code(5).says("the lock on this account was lost");
    assert!(!world.writes().iter().any(|write| write == "disableSecretVersion"));
    world.heal("sync-slow");
    world.run(&ROTATE).code(0);
    world.rotated("acme", 7, 8);
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let world = World::start(&["--accounts=1"]);
    world.fault("hang", Some("addSecretVersion"));
    let mut child = world.spawn(&ROTATE);
    world.request_or_end(&mut child, |entry| entry["outcome"] == "hung").expect("it comes");
    let interrupt =
        |id: u32| assert!(Command::new("kill").args(["-INT", &id.to_string()]).status().expect("kill runs").success());
    interrupt(child.id());
    // The first one waits for the request; only then does the second one count as such.
    std::thread::sleep(Duration::from_millis(300));
    interrupt(child.id());
    finish(child).code(130);
    world.run(&ROTATE).code(0);
    world.rotated("acme", 7, 8);
}
