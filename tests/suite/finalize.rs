//! `secret finalize`: the older value goes, once nothing needs it, and nothing goes before that.

use serde_json::{Value, json};

use crate::world::{CONSUMERS, World, back_compat, primary, workload};

const ROTATE: [&str; 4] = ["secret", "rotate", "acme", "--yes"];
const FINALIZE: [&str; 5] = ["secret", "finalize", "acme", "--yes=acme", "--reencrypted"];

/// A world whose account awaits re-encryption.
fn rotated() -> World {
    let world = World::start(&["--accounts=1"]);
    world.run(&ROTATE).code(0);
    world
}

/// Fails the test unless one value is left in every place that a pod or an operator reads.
#[track_caller]
pub fn finalized(world: &World, account: &str, in_use: &str) {
    assert_eq!(world.value(&primary(account), "latest").as_deref(), Some(in_use));
    assert_eq!(world.value(&back_compat(account), "latest").as_deref(), Some(in_use));
    assert_eq!(world.versions(&back_compat(account)), "1:DISABLED 2:ENABLED");
    let running: Vec<Value> = world.pods(account).into_iter().filter(|pod| pod["ended"].is_null()).collect();
    for consumer in CONSUMERS {
        let own: Vec<&Value> = running.iter().filter(|pod| pod["owner"] == consumer).collect();
        assert!(!own.is_empty(), "no pod of {consumer}");
        for pod in own {
            assert_eq!(pod["holds"]["SECRET_KEY_BACK_COMPAT"], pod["holds"]["SECRET_KEY"], "{pod}");
        }
    }
    let verified = world.run(&["secret", "verify", account, "-o", "json"]).code(0).json();
    assert_eq!(verified["state"], "Stable");
}

#[test]
fn the_older_value_goes_and_another_rotation_may_come() {
    let world = rotated();
    let in_use = world.value(&primary("acme"), "latest").expect("enabled");
    let record = |world: &World| {
        world.sent("GET", &crate::world::lease("acme"), None)["metadata"]["annotations"]["deepdesk.com/last-rotation-to"]
            .clone()
    };
    let before = record(&world);
    let result = world.run(&[&FINALIZE[..], &["-o", "json"]].concat()).code(0).json();
    assert_eq!((&result["kind"], &result["state"]), (&json!("SecretFinalization"), &json!("Stable")));
    assert_eq!(result.get("interruptionSeconds"), None, "all pods write under one value");
    assert_eq!(result["evidence"], json!({"kind": "word"}));
    finalized(&world, "acme", &in_use);
    assert_eq!(world.lock_holder("acme"), None);
    assert_eq!(world.versions(&primary("acme")).matches("DESTROYED").count(), 0);
    assert_eq!(record(&world), before, "a finalization is no rotation");
    // Again: nothing to do, and no question.
    let writes = world.writes().len();
    world.run(&["secret", "finalize", "acme"]).code(0);
    assert_eq!(world.writes().len(), writes);
    world.run(&ROTATE).code(0);
    world.rotated("acme", 8, 9);
}

#[test]
fn while_anything_may_write_under_the_older_value_it_is_refused() {
    let refused = |world: &World, says: &str| {
        let before = world.state("acme");
        world.run(&FINALIZE).code(4).says(says);
        assert_eq!(world.state("acme"), before);
    };
    // In the middle of a rotation.
    let world = World::start(&["--accounts=1"]);
    world.fault("rollout-stuck", Some("backend"));
    world.run(&ROTATE).code(5);
    refused(&world, "is under way and not committed");
    // A job that started before, and one of which nobody knows.
    let world = World::start(&["--accounts=1"]);
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "export"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [
            {"name": "export", "image": "export", "envFrom": [{"secretRef": {"name": "backend-secrets"}}]}]}}},
    });
    world.sent("POST", "/apis/batch/v1/namespaces/acme/jobs", Some(job));
    let path = "/apis/batch/v1/namespaces/acme/jobs/export";
    world.until("the job", |world| world.sent("GET", path, None)["status"]["active"] == 1);
    world.run(&ROTATE).code(0);
    refused(&world, "job export runs, and nothing shows that it started on the newest version");
    world.sent("DELETE", &format!("{path}?propagationPolicy=Background"), None);
    // Its pod may still write while it ends.
    world.until("the end of its pod", |world| {
        !world.pods("acme").iter().any(|pod| pod["owner"] == "export" && pod["ended"].is_null())
    });
    world.run(&FINALIZE).code(0);
    // A pod on an older version: somebody set the template back, and so took its annotation away.
    let world = rotated();
    let running = |world: &World| {
        let pods = world.pods("acme").into_iter();
        pods.filter(|pod| pod["owner"] == "worker" && pod["ended"].is_null())
            .map(|pod| pod["name"].clone())
            .collect::<Vec<Value>>()
    };
    let before = running(&world);
    let annotations = json!({"deepdesk.com/primary-version": "7"});
    world.patch(
        &workload("acme", "deployments/worker"),
        json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}),
    );
    world.until("the rollout", |world| {
        let now = running(world);
        now.len() == 1 && now != before
    });
    // It began after the last write, so it has what is there; once the Secret was written again nothing shows that any more.
    let forced = json!({"metadata": {"annotations": {"force-sync": "once-more"}}});
    world.patch(&crate::world::external_secret("acme", "backend-secrets"), forced);
    world.until("it is unproven", |world| world.run(&["secret", "verify", "acme"]).code == 3);
    refused(&world, "DD-PODS-CURRENT");
}

#[test]
fn the_word_that_data_was_saved_again_is_not_taken_from_a_yes() {
    let world = rotated();
    let before = world.state("acme");
    world.run(&["secret", "finalize", "acme", "--yes"]).code(2).says("pass --reencrypted if it was");
    world.run(&["secret", "finalize", "acme", "--reencrypted"]).code(2).says("pass --yes");
    let shown = world.run(&["secret", "finalize", "acme", "--dry-run"]).code(0).says("becomes unreadable until");
    assert!(!shown.stderr.contains("exchange"), "{}", shown.stderr);
    world.run(&["secret", "finalize", "acme", "--unused-for", "90d"]).code(2).says("--destroy");
    assert_eq!(world.state("acme"), before);
}

#[test]
fn destroyed_is_what_is_named_and_nothing_else() {
    let world = rotated();
    let in_use = world.value(&primary("acme"), "latest").expect("enabled");
    // Asked for before anything is written.
    world.fault("denied", Some("secretmanager.versions.destroy"));
    let before = world.state("acme");
    world.run(&[&FINALIZE[..], &["--destroy"]].concat()).code(1).says("secretmanager.versions.destroy");
    assert_eq!(world.state("acme"), before);
    world.heal("denied");
    // All versions of the sandbox are younger than that.
    world.run(&[&FINALIZE[..], &["--destroy", "--unused-for", "5000d"]].concat()).code(0);
    finalized(&world, "acme", &in_use);
    assert_eq!(world.versions(&primary("acme")).matches("DESTROYED").count(), 0);
    // That somebody disabled the older ones retires nothing: they are named.
    world.run(&[&FINALIZE[..], &["--destroy"]].concat()).code(0).says("not on record as retired: primary v1 to v6");
    let versions = world.versions(&primary("acme"));
    assert!(versions.ends_with("5:DISABLED 6:DISABLED 7:DESTROYED 8:ENABLED"), "{versions}");
    let named = ["--destroy", "--retired", "primary/1-6", "--keep", "2"];
    let shown = world.run(&[&["secret", "finalize", "acme", "--dry-run"], &named[..]].concat()).code(0);
    shown.says("for good").says("backups");
    world.run(&[&FINALIZE[..], &named[..]].concat()).code(0);
    let versions = world.versions(&primary("acme"));
    assert!(versions.ends_with("4:DESTROYED 5:DISABLED 6:DISABLED 7:DESTROYED 8:ENABLED"), "{versions}");
    // The word is on record.
    world.run(&[&FINALIZE[..], &["--destroy"]].concat()).code(0);
    let versions = world.versions(&primary("acme"));
    assert!(versions.ends_with("6:DESTROYED 7:DESTROYED 8:ENABLED"), "{versions}");
    assert_eq!(world.versions(&back_compat("acme")), "1:DESTROYED 2:ENABLED");
    world.run(&["secret", "verify", "acme"]).code(0);
}

#[test]
fn a_finalization_that_stops_goes_on() {
    let world = rotated();
    let in_use = world.value(&primary("acme"), "latest").expect("enabled");
    world.fault("rollout-stuck", Some("worker"));
    world.run(&FINALIZE).code(5).says("the same command goes on from here: kubectl deepdesk secret finalize acme");
    assert_eq!(world.versions(&back_compat("acme")), "1:ENABLED 2:ENABLED");
    world.heal("rollout-stuck");
    world.run(&FINALIZE).code(0);
    finalized(&world, "acme", &in_use);
}

#[test]
fn a_version_is_old_by_when_it_left_use() {
    let world = rotated();
    world.run(&FINALIZE).code(0);
    // They came 30 days after one another, the first 210 days ago: the second left use 150 days ago, the third 120.
    let age = "135d";
    let versions = |world: &World| world.versions(&primary("acme"));
    let before = versions(&world);
    // The old name counted otherwise.
    let renamed = world.run(&[&FINALIZE[..], &["--destroy", "--older-than", age]].concat()).code(2);
    renamed.says("--unused-for").says("left use");
    assert_eq!(versions(&world), before);
    let by_age = ["--destroy", "--retired", "primary/1-6", "--unused-for", age];
    world
        .run(&[&FINALIZE[..], &by_age[..], &["--dry-run"]].concat())
        .code(0)
        .says("destroy v2, v1 of acme_account_secret");
    world.run(&[&FINALIZE[..], &by_age[..]].concat()).code(0);
    assert!(versions(&world).starts_with("1:DESTROYED 2:DESTROYED 3:DISABLED 4:DISABLED"), "{}", versions(&world));
    // An age that no date has is not every age.
    let ever = ["--destroy", "--retired", "primary/1-6", "--unused-for", "9000000d"];
    world.run(&[&FINALIZE[..], &ever[..]].concat());
    assert!(versions(&world).starts_with("1:DESTROYED 2:DESTROYED 3:DISABLED"), "{}", versions(&world));
}

#[test]
fn an_age_is_by_the_servers_clock() {
    // A year ahead of this machine: by its clock all of them left use long ago.
    let world = World::start(&["--accounts=1", "--fault=clock-skew=31536000"]);
    world.run(&ROTATE).code(0);
    world.run(&FINALIZE).code(0);
    let versions = |world: &World| world.versions(&primary("acme"));
    world.run(&[&FINALIZE[..], &["--destroy", "--unused-for", "5000d"]].concat()).code(0);
    assert_eq!(versions(&world).matches("DESTROYED").count(), 0);
    world.run(&[&FINALIZE[..], &["--destroy", "--retired", "primary/1-6", "--unused-for", "300d"]].concat()).code(0);
    assert!(versions(&world).ends_with("6:DESTROYED 7:DESTROYED 8:ENABLED"), "{}", versions(&world));
}

#[test]
fn a_destruction_that_is_scheduled_is_shown_and_not_pushed_on() {
    let world = rotated();
    let secret = format!("/v1/projects/sandbox-project/secrets/{}", primary("acme"));
    world.sent(
        "PATCH",
        &format!("{secret}?updateMask=versionDestroyTtl"),
        Some(json!({"versionDestroyTtl": "864000s"})),
    );
    let aliases = json!({"versionAliases": {"stable": "6", "audit": "7"}});
    world.sent("PATCH", &format!("{secret}?updateMask=versionAliases"), Some(aliases));
    world.set(&primary("acme"), 6, "destroy");
    let scheduled =
        |version| world.sent("GET", &format!("{secret}/versions/{version}"), None)["scheduledDestroyTime"].clone();
    let before = scheduled(6);
    assert!(before.is_string());
    let shown = world.run(&["secret", "finalize", "acme", "--dry-run", "--destroy"]).code(0);
    let shown = shown.says("v6 of acme_account_secret is scheduled to be destroyed on");
    let shown = shown.says("alias audit of acme_account_secret names v7").says("for good");
    assert!(!shown.stderr.contains("alias stable"), "{}", shown.stderr);
    world.run(&[&FINALIZE[..], &["--destroy"]].concat()).code(0);
    assert_eq!(scheduled(6), before, "it was pushed on");
    assert!(scheduled(7).is_string(), "the others are scheduled");
    let seventh = scheduled(7);
    world.run(&[&FINALIZE[..], &["--destroy"]].concat()).code(0);
    assert_eq!((scheduled(6), scheduled(7)), (before, seventh), "a repeated command pushed them on");
}

#[test]
fn an_alias_of_a_version_that_is_disabled_is_shown() {
    let world = World::start(&["--accounts=1"]);
    let secret = format!("/v1/projects/sandbox-project/secrets/{}", primary("acme"));
    let aliases = json!({"versionAliases": {"in-use": "7", "first": "1"}});
    world.sent("PATCH", &format!("{secret}?updateMask=versionAliases"), Some(aliases));
    let ran = world.run(&ROTATE).code(0).says("alias in-use of acme_account_secret names v7: this would disable it");
    assert!(!ran.stderr.contains("alias first"), "{}", ran.stderr);
}
