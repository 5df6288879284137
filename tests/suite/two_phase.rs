//! `secret rotate --strategy two-phase`: every pod can read the next value before any pod writes with it.

use serde_json::Value;

use crate::world::{CONSUMERS, World, back_compat, by_the_program, finish, primary};

const TWO_PHASE: [&str; 6] = ["secret", "rotate", "acme", "--yes", "--strategy", "two-phase"];

/// Fails the test if a pod of the second phase, one that writes with the new value, ran beside one that could not read it,
/// but for pods that started by themselves while both slots held the older value.
#[track_caller]
fn nobody_lacked_a_key(world: &World, to: u64) {
    let new = format!("primary v{to}");
    let pods: Vec<Value> = world.pods("acme");
    let consumers = pods.iter().filter(|pod| CONSUMERS.iter().any(|consumer| pod["owner"] == *consumer));
    let (writers, others): (Vec<&Value>, Vec<&Value>) = consumers.partition(|pod| pod["holds"]["SECRET_KEY"] == *new);
    let first = writers.iter().filter_map(|pod| pod["started"].as_str()).min().expect("there are new pods");
    for pod in others.iter().filter(|pod| pod["ended"].as_str().is_none_or(|ended| ended > first)) {
        // The sandbox names a value by the version that was there when the pod started.
        let reads = &pod["holds"]["SECRET_KEY_BACK_COMPAT"];
        assert!(*reads == *new || *reads == "back-compat v2", "it ran beside pods that write with {new}: {pod}");
    }
    for pod in writers {
        assert_eq!(pod["holds"]["SECRET_KEY_BACK_COMPAT"], format!("primary v{}", to - 1), "{pod}");
    }
}

#[test]
fn every_pod_reads_the_next_value_before_any_writes_with_it() {
    for (account, from) in [("acme", 7), ("globex", 3)] {
        let world = World::start(&["--accounts=2"]);
        let args = ["secret", "rotate", account, "--yes", "--strategy", "two-phase", "-o", "json"];
        let result = world.run(&args).code(0).json();
        let steps: Vec<&str> =
            result["steps"].as_array().expect("a list").iter().filter_map(|step| step["name"].as_str()).collect();
        let order =
            ["announce", "spread", "prepare", "preserve", "stage", "introduce", "sync", "restart", "verify", "commit"];
        let at =
            |name: &str| steps.iter().rposition(|step| *step == name).unwrap_or_else(|| panic!("{name}: {steps:?}"));
        assert!(order.map(at).is_sorted(), "{steps:?}");
        world.settled(account, from, from + 1);
        if account == "acme" {
            nobody_lacked_a_key(&world, from + 1);
        }
        // Another one would be a third key.
        world.run(&["secret", "rotate", account, "--yes"]).code(4).says("a third key");
    }
}

#[test]
fn one_that_stopped_is_finished_without_naming_the_strategy() {
    for (operation, nth) in
        [("addSecretVersion", 2), ("patch/deployments", 1), ("addSecretVersion", 3), ("addSecretVersion", 4)]
    {
        let world = World::start(&["--accounts=1"]);
        world.fault("hold-answer", Some(&format!("{operation}:{nth}")));
        let mut child = world.spawn(&TWO_PHASE);
        world.request_or_end(&mut child, |entry| entry["outcome"] == "answer held").expect("it comes so far");
        child.kill().expect("it can be killed");
        finish(child);
        world.heal("hold-answer");
        let seen = world.run(&["secret", "verify", "acme", "-o", "json"]).json();
        assert_eq!(seen["state"], "Rotating", "after {operation} {nth}");
        world.run(&["secret", "finalize", "acme", "--yes", "--reencrypted"]).code(4);
        world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
        world.settled("acme", 7, 8);
        nobody_lacked_a_key(&world, 8);
        assert_eq!(world.versions(&primary("acme")).split(' ').count(), 8, "one new version");
    }
}

#[test]
fn before_the_value_is_in_use_it_is_called_off() {
    let world = World::start(&["--accounts=1"]);
    world.fault("rollout-stuck", Some("worker"));
    world.run(&TWO_PHASE).code(5).says("primary v7 is still the only value in use");
    world.heal("rollout-stuck");
    world.run(&["secret", "rollback", "acme", "--yes"]).code(0);
    assert!(world.versions(&primary("acme")).ends_with("7:ENABLED"));
    let in_use = world.value(&primary("acme"), "latest");
    assert_eq!(world.value(&back_compat("acme"), "latest"), in_use);
    assert_eq!(world.holdings("acme")["backend-secrets/SECRET_KEY_BACK_COMPAT"], "primary v7");
    // The record of it is gone too: what comes next is a rotation of its own.
    world.run(&["secret", "restart", "acme", "--yes"]).code(0);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    world.settled("acme", 7, 8);
}

#[test]
fn it_costs_two_writes_more() {
    let world = World::start(&["--accounts=2"]);
    world.run(&["secret", "rotate", "globex", "--yes", "--strategy", "two-phase"]).code(0);
    let writes = world.log().into_iter().filter(|entry| {
        by_the_program(entry)
            && matches!(entry["operation"].as_str(), Some("addSecretVersion" | "disableSecretVersion"))
    });
    assert_eq!(writes.count(), 4);
}
