//! What others do between two requests of a run: take the lock, announce a value, copy an older version.

use serde_json::json;

use crate::world::{World, back_compat, by_the_program, finish, lease, primary};

/// Runs until a request is held by the fault that was set.
#[track_caller]
fn run_until(world: &World, args: &[&str], outcome: &str) -> std::process::Child {
    let before = world.log().len();
    let child = world.spawn(args);
    world.until(outcome, |world| world.log_after(before).iter().any(|entry| entry["outcome"] == outcome));
    child
}

#[track_caller]
fn kill(mut child: std::process::Child) {
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
}

/// How many requests of this operation the program sends before its first one of that.
fn requests_before(world: &World, operation: &str, first: &str) -> usize {
    let log = world.log();
    let sent = log.iter().filter(|entry| by_the_program(entry)).map(|entry| entry["operation"].as_str());
    sent.take_while(|sent| *sent != Some(first)).filter(|sent| *sent == Some(operation)).count()
}

/// The read before a write may take longer than a lock lives: the lock is asked after it.
#[test]
fn a_lock_that_is_lost_while_it_reads_stops_it_before_the_write() {
    const ROTATE: [&str; 4] = ["secret", "rotate", "globex", "--yes"];
    let undisturbed = World::start(&["--accounts=2"]);
    undisturbed.run(&ROTATE).code(0);
    for (write, read) in [("addSecretVersion", "accessSecretVersion"), ("disableSecretVersion", "getSecretVersion")] {
        let nth = requests_before(&undisturbed, read, write);
        let world = World::start(&["--accounts=2"]);
        world.fault("hold", Some(&format!("{read}:{nth}")));
        let child = run_until(&world, &ROTATE, "held");
        let stolen = json!({"spec": {"holderIdentity": "ann@laptop (00000001)"}});
        world.patch(&lease("globex"), stolen);
        let stolen_at = world.log().len();
        world.heal("hold");
        finish(child).code(if write == "addSecretVersion" { 1 } else { 5 }).says("ann@laptop");
        let late = world.log_after(stolen_at).into_iter().filter(|entry| entry["operation"] == write).count();
        assert_eq!(late, 0, "{write} was sent after the lock was lost");
    }
}

/// The announced value is on record alone: whoever looked before it was announced, and takes the lock after it, must not
/// take it for nothing.
#[test]
fn a_value_announced_between_the_look_and_the_lock_stays_on_record() {
    let world = World::start(&["--accounts=1"]);
    world.fault("hold", Some("get/leases:3"));
    let rolling = run_until(&world, &["secret", "rotate", "acme", "--yes"], "held");
    world.fault("hold-answer", Some("addSecretVersion:2"));
    kill(run_until(&world, &["secret", "rotate", "acme", "--yes", "--strategy=two-phase"], "answer held"));
    world.heal("hold-answer");
    world.heal("hold");
    finish(rolling).code(4).says("changed before it was confirmed");
    assert_eq!(world.run(&["secret", "verify", "acme", "-o", "json"]).json()["state"], "Rotating");
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    world.settled("acme", 7, 8);
    assert_eq!(world.versions(&back_compat("acme")), "1:ENABLED 2:ENABLED 3:ENABLED");
}

/// What was given up is not taken up again: nothing says that every pod could read it.
#[test]
fn a_value_that_is_being_given_up_does_not_come_into_use() {
    let world = World::start(&["--accounts=1"]);
    world.fault("hold-answer", Some("addSecretVersion:2"));
    kill(run_until(&world, &["secret", "rotate", "acme", "--yes", "--strategy=two-phase"], "answer held"));
    world.heal("hold-answer");
    world.fault("hold-answer", Some("addSecretVersion:1"));
    kill(run_until(&world, &["secret", "rollback", "acme", "--yes"], "answer held"));
    world.heal("hold-answer");
    // All of it is there but the record of its end.
    for name in ["admin-secrets", "backend-secrets"] {
        world.sync("acme", name);
    }
    world.until("the sync", |world| world.holdings("acme")["backend-secrets/SECRET_KEY_BACK_COMPAT"] == "primary v7");
    let refused = world.run(&["secret", "rotate", "acme", "--yes"]).code(4).says("is being given up");
    assert!(refused.stderr.contains("kubectl deepdesk secret rollback acme"), "{}", refused.stderr);
    world.run(&["secret", "rollback", "acme", "--yes"]).code(0);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    world.settled("acme", 7, 8);
}

/// Out of a rotation that never arrived, the Secrets hold the right bytes before the rollback has added its version, and could
/// get the abandoned value after it, by a `latest` that lags. So that one is let arrive first.
#[test]
fn a_rollback_lets_arrive_what_it_abandons_where_bytes_tell_nothing() {
    const BACK: [&str; 4] = ["secret", "rollback", "acme", "--yes"];
    let world = World::start(&["--accounts=1"]);
    world.fault("stale-latest", Some("2s"));
    world.fault("hold-answer", Some("addSecretVersion:2"));
    kill(run_until(&world, &["secret", "rotate", "acme", "--yes"], "answer held"));
    world.heal("hold-answer");
    assert_eq!(world.holdings("acme")["backend-secrets/SECRET_KEY"], "primary v7");
    let before = world.log().len();
    // Killed on its way there, it knows no more of what arrived than at its start.
    world.fault("hold", Some("patch/externalsecrets:1"));
    kill(run_until(&world, &BACK, "held"));
    world.heal("hold");
    world.fault("pod-churn", Some("200ms"));
    let child = world.spawn(&BACK);
    world.until("the abandoned value", |world| world.holdings("acme")["backend-secrets/SECRET_KEY"] == "primary v8");
    world.heal("pod-churn");
    finish(child).code(0);
    let added = world.log_after(before).into_iter().filter(|entry| entry["operation"] == "addSecretVersion").count();
    assert_eq!(added, 2, "one version each");
    assert!(world.versions(&primary("acme")).ends_with(" 7:DISABLED 8:DISABLED 9:ENABLED"));
    for pod in world.pods("acme") {
        let (key, older) = (&pod["holds"]["SECRET_KEY"], &pod["holds"]["SECRET_KEY_BACK_COMPAT"]);
        assert!(key != "primary v8" || older != "primary v8", "it cannot read what v7 wrote: {pod}");
    }
}
