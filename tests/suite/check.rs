//! `check`: every question that a command asks before its first write, each by itself; it changes nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::output::{shown, snapshot};
use crate::world::{World, external_secret, lease, primary, workload};

/// The ids of the checks with this result.
fn ids(checkup: &Value, result: &str) -> BTreeSet<String> {
    let checks = checkup["checks"].as_array().expect("a list").iter().filter(|check| check["result"] == result);
    checks.map(|check| check["id"].as_str().expect("text").to_owned()).collect()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn a_checkup_is_as_it_was_and_writes_nothing() {
    let world = World::start(&["--seed=7"]);
    let before = world.state("acme");
    for output in ["human", "short", "json", "yaml"] {
        let ran = world.run(&["check", "acme", "-o", output]).code(0);
        snapshot(&format!("check-{output}"), &shown(&ran));
    }
    let ran = world.run(&["check", "acme", "globex", "-o", "short"]).code(0);
    snapshot("check-several", &shown(&ran));
    for purpose in ["sync", "verify", "restart"] {
        let result = world.run(&["check", "globex", "--for", purpose, "-o", "json"]).code(0).json();
        assert_eq!(result["for"], purpose);
    }
    let list = world.run(&["check", "acme", "globex", "initech", "-o", "json"]).code(0).json();
    assert_eq!((&list["kind"], list["items"].as_array().map(Vec::len)), (&json!("List"), Some(3)));
    assert_eq!(world.writes(), [] as [&str; 0]);
    assert_eq!(world.state("acme"), before);
}

#[test]
fn what_is_missing_is_said_with_the_command_to_ask_for() {
    let world = World::start(&[
        "--seed=7",
        "--fault=forbidden=list/pods",
        "--fault=forbidden=watch/pods",
        "--fault=forbidden=patch/deployments",
        "--fault=denied=secretmanager.versions.access",
    ]);
    let ran = world.run(&["check", "acme", "-o", "short"]).code(3);
    snapshot("check-forbidden", &shown(&ran));
    let result = world.run(&["check", "acme", "-o", "json"]).code(3).json();
    assert_eq!(result["reason"], "Forbidden");
    assert_eq!(ids(&result, "fail"), set(&["DD-K8S-ACCESS", "DD-SM-ACCESS"]));
    assert!(ids(&result, "skipped").is_disjoint(&ids(&result, "fail")));
    // What needs none of it was asked all the same.
    assert!(ids(&result, "pass").is_superset(&set(&["DD-ES-PINNED", "DD-ES-STORE", "DD-PROJECT", "DD-LOCK"])));
    let skipped = result["checks"].as_array().expect("a list").iter().filter(|check| check["result"] == "skipped");
    assert!(skipped.into_iter().all(|check| check["message"].as_str().is_some_and(|why| why.starts_with("because "))));
    assert_eq!(world.writes(), [] as [&str; 0]);
}

#[test]
fn a_cluster_that_cannot_be_asked_is_another_failure_than_a_no() {
    let world = World::start(&["--seed=7"]);
    for (name, flags) in [("context", ["--context", "nope"]), ("server", ["--server", "http://127.0.0.1:9"])] {
        let ran = world.run(&[&["check", "acme", "-o", "short"] as &[&str], &flags].concat()).code(1);
        snapshot(&format!("check-unreachable-{name}"), &shown(&ran));
        let result = world.run(&[&["check", "acme", "-o", "json"] as &[&str], &flags].concat()).code(1).json();
        assert_eq!(result["reason"], "NotReachable");
        assert!(ids(&result, "pass").contains("DD-GOOGLE-CREDENTIALS"));
    }
    // Asked alone, the question was answered: no.
    world.run(&["check", "acme", "--context", "nope", "--only", "kubeconfig"]).code(3);
    world.run(&["check", "--context", "nope"]).code(1);
}

#[test]
fn checks_are_chosen_by_id_and_by_group() {
    let world = World::start(&["--seed=7"]);
    let result = world.run(&["check", "acme", "--only", "lock,DD-ES-PINNED", "-o", "json"]).code(0).json();
    assert_eq!(ids(&result, "pass"), set(&["DD-ES-PINNED", "DD-LOCK"]));
    let result =
        world.run(&["check", "acme", "--skip", "consumers", "--skip", "dd-lock,google", "-o", "json"]).code(0).json();
    let groups: BTreeSet<&str> =
        result["checks"].as_array().expect("a list").iter().filter_map(|check| check["group"].as_str()).collect();
    assert!(["consumers", "lock", "google"].iter().all(|left_out| !groups.contains(left_out)), "{groups:?}");
    for (name, args) in [
        ("unknown-id", &["check", "acme", "--only", "DD-ES-PINED"] as &[&str]),
        ("unknown-group", &["check", "acme", "--skip", "xyz"]),
        ("nothing-left", &["check", "acme", "--only", "DD-LOCK", "--for", "sync"]),
        ("default-namespace", &["check", "default"]),
        ("kube-namespace", &["check", "kube-system", "-n", "kube-system"]),
        ("bad-output", &["check", "acme", "-o", "wide"]),
    ] {
        snapshot(&format!("check-error-{name}"), &shown(&world.run(args).code(2)));
    }
}

#[test]
fn warnings_can_be_made_to_fail() {
    let world = World::start(&["--seed=7"]);
    let result = world.run(&["check", "acme", "-o", "json"]).code(0).json();
    assert_eq!(ids(&result, "warn"), set(&["DD-ONE-POD"]));
    let result = world.run(&["check", "acme", "-o", "json", "--fail-on-warnings"]).code(3).json();
    assert_eq!((&result["reason"], &result["exitCode"]), (&json!("CheckWarned"), &json!(3)));
    world.run(&["check", "acme", "--fail-on-warnings", "--skip", "DD-ONE-POD"]).code(0);
}

/// Makes something wrong.
type Wrong = fn(&World);

#[test]
fn what_rotate_refuses_check_says_in_the_same_words() {
    let cases: [(&str, Wrong); 6] = [
        ("DD-ES-CREATED-ONCE", |world| {
            world.patch(&external_secret("acme", "admin-secrets"), json!({"spec": {"refreshPolicy": "CreatedOnce"}}));
        }),
        ("DD-PAUSED", |world| {
            let path = workload("acme", "deployments/backend");
            let paused = world.patch(&path, json!({"spec": {"paused": true}}));
            // Until its controller has seen the change, a second thing is wrong, and it passes by itself.
            world.until("the controller's notice", |world| {
                world.sent("GET", &path, None)["status"]["observedGeneration"] == paused["metadata"]["generation"]
            });
        }),
        ("DD-ES-EXIST", |world| {
            let path = external_secret("acme", "backend-secrets");
            world.sent("DELETE", &path, None);
            world.until("its end", |world| world.send("GET", &path, None).0 == 404);
            let written = "/api/v1/namespaces/acme/secrets/backend-secrets";
            world.until("the end of what it wrote", |world| world.send("GET", written, None).0 == 404);
        }),
        ("DD-LATEST", |world| world.set(&primary("acme"), 7, "disable")),
        ("DD-PLAN", |world| {
            world.set(&primary("acme"), 5, "enable");
            world.set(&primary("acme"), 6, "enable");
        }),
        ("DD-ES-PINNED", |world| {
            let mut object = world.sent("GET", &external_secret("acme", "admin-secrets"), None);
            object["spec"]["data"][0]["remoteRef"]["version"] = "7".into();
            world.patch(&external_secret("acme", "admin-secrets"), json!({"spec": {"data": object["spec"]["data"]}}));
        }),
    ];
    for (id, wrong) in cases {
        let world = World::start(&["--seed=7"]);
        wrong(&world);
        let refused = world.run(&["secret", "rotate", "acme", "--dry-run", "-o", "json", "--progress", "none"]);
        let rotate: Value = serde_json::from_str(&refused.stdout).expect("JSON");
        let result = world.run(&["check", "acme", "-o", "json"]).code(3).json();
        assert!(ids(&result, "fail").contains(id), "{id}: {result:#}");
        for check in rotate["checks"].as_array().expect("a list").iter().filter(|check| check["result"] == "fail") {
            let same = |other: &&Value| ["id", "message", "hint"].iter().all(|field| other[field] == check[field]);
            let found = result["checks"].as_array().expect("a list").iter().find(same);
            assert!(found.is_some(), "{id}: {check} is not in {result:#}");
        }
        if id == "DD-PLAN" {
            let check = result["checks"].as_array().expect("a list").iter().find(|check| check["id"] == id);
            assert_eq!(check.expect("it is there")["message"], rotate["message"]);
        }
    }
}

#[test]
fn who_is_at_work_is_said() {
    let world = World::start(&["--seed=7"]);
    let now = format!("{:.6}", jiff::Timestamp::now());
    let held = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "deepdesk-rotation", "namespace": "acme"},
        "spec": {"holderIdentity": "ann@laptop (00000001)", "leaseDurationSeconds": 60, "acquireTime": now, "renewTime": now},
    });
    let collection = lease("acme");
    world.sent("POST", collection.trim_end_matches("/deepdesk-rotation"), Some(held));
    let result = world.run(&["check", "acme", "-o", "json"]).code(3).json();
    assert_eq!(ids(&result, "fail"), set(&["DD-LOCK"]));
    let lock = result["checks"].as_array().expect("a list").iter().find(|check| check["id"] == "DD-LOCK");
    let lock = lock.expect("it is there");
    assert!(
        lock["message"].as_str().is_some_and(|line| line.starts_with("ann@laptop (00000001) is at work")),
        "{lock}"
    );
    world.run(&["check", "acme", "--for", "verify"]).code(0);
    assert_eq!(world.writes(), [] as [&str; 0]);
}

#[test]
fn a_missing_account_is_told_in_one_line() {
    let world = World::start(&["--seed=7"]);
    let ran = world.run(&["check", "umbrella", "-o", "short"]).code(1);
    snapshot("check-no-such-account", &shown(&ran));
}
