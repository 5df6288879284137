//! What the whole order is for: data that one pod wrote, every pod can read. The sandbox's pods write and read, and count.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{World, back_compat, finish, primary};

const ROTATE: [&str; 4] = ["secret", "rotate", "acme", "--yes"];
const TWO_PHASE: [&str; 6] = ["secret", "rotate", "acme", "--yes", "--strategy", "two-phase"];
const ROLL_BACK: [&str; 4] = ["secret", "rollback", "acme", "--yes"];
const FINALIZE: [&str; 5] = ["secret", "finalize", "acme", "--yes", "--reencrypted"];

/// A world whose pods write 20 items a second, and some of them are there.
fn writing() -> World {
    let world = World::start(&["--accounts=1", "--writes=20"]);
    some_more(&world);
    world
}

fn data(world: &World) -> Value {
    world.ask("data/acme")
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Waits until pods have written ten more items.
fn some_more(world: &World) {
    let before = number(&data(world)["items"]);
    world.until("ten more items", |world| number(&data(world)["items"]) >= before + 10);
}

/// Who could not read something that another pod wrote.
fn lacked(world: &World) -> BTreeSet<String> {
    let told = data(world);
    let pods = told["unreadable"]["pods"].as_array().expect("a list");
    pods.iter().map(|pod| pod["name"].as_str().expect("text").to_owned()).collect()
}

/// The pods that the program named, because they started while both slots held the older value.
fn named(told: &str) -> BTreeSet<String> {
    let lines = told.lines().filter(|line| line.contains("started during the exchange"));
    let lists = lines.filter_map(|line| line.rsplit_once("replaces them: "));
    lists.flat_map(|(_, pods)| pods.split(", ").map(|pod| pod.trim().to_owned())).collect()
}

/// Fails the test unless every pod that runs can read every item that is there.
#[track_caller]
fn all_is_readable(world: &World) {
    let told = data(world);
    assert_eq!((&told["now"]["unreadableToSome"], &told["now"]["unreadableToAll"]), (&json!(0), &json!(0)), "{told}");
    assert!(number(&told["items"]) > 0 && number(&told["now"]["pods"]) == 5, "{told}");
}

/// The same, and nothing ever failed.
#[track_caller]
fn nothing_ever_failed(world: &World) {
    all_is_readable(world);
    let told = data(world);
    assert_eq!((&told["unreadable"]["reads"], &told["unreadable"]["pods"]), (&json!(0), &json!([])), "{told}");
}

#[test]
fn rolling_has_a_window_in_which_old_pods_cannot_read_what_new_ones_write() {
    let world = writing();
    // As pods do that finish their requests: long enough for several items.
    world.fault("pod-slow-to-stop", Some("1s"));
    world.run(&ROTATE).code(0);
    some_more(&world);
    let told = data(&world);
    let unreadable = &told["unreadable"];
    println!(
        "rolling: {} items, {} unreadable reads by {} pods within {}s",
        told["items"],
        unreadable["reads"],
        lacked(&world).len(),
        unreadable["seconds"]
    );
    assert!(number(&unreadable["reads"]) > 0 && unreadable["seconds"].as_f64() > Some(0.0), "{told}");
    // Only pods of before, and only what was written under the new value; when they are gone it is over.
    for pod in unreadable["pods"].as_array().expect("a list") {
        assert_eq!(pod["keys"], json!(["primary v8"]), "{told}");
    }
    assert!(unreadable["pods"].as_array().is_some_and(|pods| pods.len() <= 5), "{told}");
    all_is_readable(&world);
}

#[test]
fn two_phase_has_none() {
    for _ in 0..3 {
        let world = writing();
        world.run(&TWO_PHASE).code(0);
        some_more(&world);
        let told = data(&world);
        println!("two-phase: {} items, {} unreadable reads", told["items"], told["unreadable"]["reads"]);
        let keys: Vec<&Value> = told["keys"].as_array().expect("a list").iter().map(|key| &key["key"]).collect();
        assert_eq!(keys, ["primary v7", "primary v8"]);
        nothing_ever_failed(&world);
    }
}

/// Runs an exchange while pods are evicted from the write on that any sync may spread until `arrived`.
fn with_churn(world: &World, command: &[&str], begun: (&str, &str), arrived: impl Fn(&World) -> bool) -> String {
    // So that what starts meanwhile still runs when others write with the other value.
    world.fault("pod-slow-to-stop", Some("1s"));
    let child = world.spawn(command);
    world.until("the narrow interval", |world| world.versions(begun.0).contains(begun.1));
    // Somebody's sync may come before ours.
    world.sync("acme", "backend-secrets");
    world.fault("sync-slow", Some("500ms"));
    world.fault("pod-churn", Some("100ms"));
    world.until("its end", arrived);
    world.heal("pod-churn");
    world.heal("sync-slow");
    finish(child).code(0).says("started during the exchange").stderr
}

/// Whether both Kubernetes Secrets hold this value under this key.
fn both_hold(world: &World, key: &str, value: &str) -> bool {
    let held = world.holdings("acme");
    ["admin-secrets", "backend-secrets"].iter().all(|name| held[&format!("{name}/{key}")] == value)
}

#[test]
fn two_phase_has_none_but_for_the_pods_that_it_names() {
    let world = writing();
    let told = with_churn(&world, &TWO_PHASE, (&back_compat("acme"), "3:"), |world| {
        both_hold(world, "SECRET_KEY", "primary v8")
    });
    nobody_else_lacked_a_key(&world, &told);
    some_more(&world);
    all_is_readable(&world);
}

#[test]
fn who_goes_on_names_the_pods_that_started_before_it_did() {
    let world = writing();
    world.fault("pod-slow-to-stop", Some("1s"));
    // Dies when both slots may hold the older value.
    world.fault("hold-answer", Some("addSecretVersion:3"));
    let mut child = world.spawn(&TWO_PHASE);
    world.until("the narrow interval", |world| world.versions(&back_compat("acme")).contains("3:"));
    child.kill().expect("it can be killed");
    finish(child);
    world.heal("hold-answer");
    for name in ["admin-secrets", "backend-secrets"] {
        world.sync("acme", name);
    }
    world.until("the sync", |world| both_hold(world, "SECRET_KEY_BACK_COMPAT", "primary v7"));
    // Starts are told in whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let before: Vec<String> = world.pods("acme").iter().map(|pod| pod["name"].to_string()).collect();
    world.fault("pod-churn", Some("100ms"));
    world.until("pods that start by themselves", |world| {
        world.pods("acme").iter().filter(|pod| !before.contains(&pod["name"].to_string())).count() > 1
    });
    world.heal("pod-churn");
    let told = world.run(&ROTATE).code(0).says("started during the exchange").stderr;
    nobody_else_lacked_a_key(&world, &told);
    assert!(named(&told).len() < world.pods("acme").len(), "it names all: {told}");
    some_more(&world);
    all_is_readable(&world);
}

#[test]
fn a_rollback_has_none_but_for_the_pods_that_it_names() {
    let world = writing();
    // Complete, and nothing was unreadable so far.
    world.run(&TWO_PHASE).code(0);
    let told = with_churn(&world, &ROLL_BACK, (&primary("acme"), "9:"), |world| {
        both_hold(world, "SECRET_KEY_BACK_COMPAT", "primary v8") && both_hold(world, "SECRET_KEY", "primary v9")
    });
    nobody_else_lacked_a_key(&world, &told);
    some_more(&world);
    all_is_readable(&world);
}

/// Fails the test if a pod could not read something and the program did not name it.
#[track_caller]
fn nobody_else_lacked_a_key(world: &World, told: &str) {
    let (named, lacked) = (named(told), lacked(world));
    println!("{} pods named, {} could not read: {}", named.len(), lacked.len(), data(world)["unreadable"]);
    let others: Vec<&String> = lacked.difference(&named).collect();
    assert!(others.is_empty(), "not named: {others:?}\n{told}\n{:#?}", world.pods("acme"));
    assert!(!lacked.is_empty(), "none met what it could not read: {told}");
    // And each for that reason alone.
    for pod in world.pods("acme").iter().filter(|pod| pod["name"].as_str().is_some_and(|name| lacked.contains(name))) {
        assert_eq!(pod["holds"]["SECRET_KEY"], pod["holds"]["SECRET_KEY_BACK_COMPAT"], "{pod}");
    }
}

#[test]
fn what_was_written_before_a_rollback_and_since_is_readable_after_it() {
    let world = writing();
    world.run(&ROTATE).code(0);
    some_more(&world);
    world.run(&ROLL_BACK).code(0);
    some_more(&world);
    let told = data(&world);
    let keys = told["keys"].as_array().expect("a list");
    // The value that was brought back is the one of before.
    assert_eq!(keys.len(), 2, "{told}");
    assert!(keys.iter().all(|key| number(&key["writes"]) >= 10), "{told}");
    all_is_readable(&world);
}

#[test]
fn finalized_too_early_is_refused_and_all_stays_readable() {
    let world = writing();
    // In the middle of a rotation.
    world.fault("rollout-stuck", Some("backend"));
    world.run(&ROTATE).code(5);
    world.run(&FINALIZE).code(4);
    world.heal("rollout-stuck");
    world.run(&ROTATE).code(0);
    all_is_readable(&world);
    // After it, while data is under the older value, and nobody says that it is not.
    world.run(&["secret", "finalize", "acme", "--yes"]).code(2).says("--reencrypted");
    some_more(&world);
    all_is_readable(&world);
    // In time: the application saved everything again.
    let path = "/sandbox/v1/data/acme/reencrypt";
    world.sent("POST", path, None);
    let failed = number(&data(&world)["unreadable"]["reads"]);
    world.run(&FINALIZE).code(0);
    some_more(&world);
    all_is_readable(&world);
    assert_eq!(number(&data(&world)["unreadable"]["reads"]), failed);
}

#[test]
fn a_second_rotation_without_finalizing_is_refused_with_the_way_out() {
    let world = writing();
    world.run(&ROTATE).code(0);
    for again in [&ROTATE[..], &TWO_PHASE[..]] {
        world.run(again).code(4).says("a third key").says("secret finalize");
    }
    some_more(&world);
    all_is_readable(&world);
}

#[test]
fn a_rehearsal_tells_what_pods_wrote_and_could_not_read() {
    let world = World::start(&["--accounts=1"]);
    let slow = "--fault=pod-slow-to-stop=1s";
    let flags = ["sandbox", "run", "--accounts=1", "--writes=20", "--sync-delay=20ms", "--pod-start=60ms", slow, "--"];
    let rolling = world.run(&[&flags[..], &ROTATE[..]].concat()).code(0).stderr.clone();
    assert!(rolling.contains("that lacked primary v8 failed"), "{rolling}");
    let two_phase = world.run(&[&flags[..], &TWO_PHASE[..]].concat()).code(0).stderr.clone();
    assert!(two_phase.contains("every pod could read every one"), "{two_phase}");
    let silent = world.run(&["sandbox", "run", "--accounts=1", "--", "version"]).code(0);
    assert!(!silent.stderr.contains("items"), "{}", silent.stderr);
    world.run(&["sandbox", "run", "--writes=1001", "--", "version"]).code(2).says("--writes");
    assert_eq!(world.send("GET", "/sandbox/v1/data/nobody", None).0, 404);
    for wrong in [json!({}), json!({"perSecond": -1}), json!({"perSecond": 1001}), json!({"perSecond": "20"})] {
        assert_eq!(world.send("POST", "/sandbox/v1/data/acme", Some(wrong.clone())).0, 400, "{wrong}");
    }
    assert_eq!(world.sent("POST", "/sandbox/v1/data/acme", Some(json!({"perSecond": 20})))["perSecond"], 20);
    some_more(&world);
    nothing_ever_failed(&world);
}
