//! Ctrl-C, SIGTERM, a closed terminal, a pipe that nobody reads any more: what holds is said, and nothing is lost.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::world::{CONSUMERS, World, back_compat, finish, primary};

const ROTATE: [&str; 4] = ["secret", "rotate", "acme", "--yes"];

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// A rotation that waits in its sync for so long that what comes of itself is told from what was asked for.
fn waiting(world: &World) -> Child {
    world.fault("sync-slow", Some("15s"));
    let child = world.spawn(&ROTATE);
    world.until("the wait", |world| world.writes().iter().any(|write| write == "patch/externalsecrets"));
    child
}

#[test]
fn every_signal_that_asks_for_an_end_stops_at_a_safe_point() {
    for name in ["-INT", "-TERM", "-HUP"] {
        let world = World::start(&["--accounts=1"]);
        let child = waiting(&world);
        let asked = Instant::now();
        signal(&child, name);
        finish(child).code(130).says("stopping at the next safe point").says("is still the only value in use");
        assert!(asked.elapsed() < Duration::from_secs(12), "{name}: it waited for the sync");
        assert_eq!(world.lock_holder("acme"), None, "{name}: the lock was not released");
        world.heal("sync-slow");
        world.run(&ROTATE).code(0);
        world.rotated("acme", 7, 8);
    }
}

#[test]
fn a_second_one_ends_at_once_and_the_same_command_goes_on() {
    let world = World::start(&["--accounts=1"]);
    // The first asks for a stop, and the request that is under way is waited for: it is never answered.
    world.fault("hang", Some("addSecretVersion"));
    let child = world.spawn(&ROTATE);
    world.until("the hang", |world| world.log().iter().any(|entry| entry["outcome"] == "hung"));
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    signal(&child, "-INT");
    let ran = finish(child).code(130);
    assert!(asked.elapsed() < Duration::from_secs(5), "it did not end at once");
    assert!(!ran.stderr.contains('\u{1b}'), "an escape sequence went into a pipe: {:?}", ran.stderr);
    world.heal("hang");
    world.run(&ROTATE).code(0);
    world.rotated("acme", 7, 8);
}

/// Every command that waits hears it.
#[test]
fn every_wait_hears_it() {
    const WAITS: [(&[&str], &str); 4] = [
        (&["secret", "sync", "acme"], "sync-slow=15s"),
        (&["secret", "restart", "acme", "--yes"], "pod-slow-to-stop=15s"),
        (&["secret", "rollback", "acme", "--yes"], "sync-slow=15s"),
        (&["secret", "finalize", "acme", "--yes", "--reencrypted"], "sync-slow=15s"),
    ];
    for (command, fault) in WAITS {
        let world = World::start(&["--accounts=1"]);
        if command.contains(&"rollback") || command.contains(&"finalize") {
            world.run(&ROTATE).code(0);
        }
        let (name, value) = fault.split_once('=').expect("with a value");
        world.fault(name, Some(value));
        let before = world.log().len();
        let child = world.spawn(command);
        world.until("its wait", |world| {
            let patched =
                |entry: &serde_json::Value| entry["operation"].as_str().is_some_and(|op| op.starts_with("patch/"));
            world.log_after(before).iter().any(patched)
        });
        let asked = Instant::now();
        signal(&child, "-INT");
        finish(child).code(130);
        assert!(asked.elapsed() < Duration::from_secs(12), "{command:?} did not hear it");
        assert_eq!(world.lock_holder("acme"), None, "{command:?}");
        world.heal(name);
        world.run(command).code(0);
    }
}

/// Pauses that were asked for are waits too.
#[test]
fn a_pause_hears_it() {
    for pause in ["--settle=10m", "--soak=10m"] {
        let world = World::start(&["--accounts=1"]);
        let child = world.spawn(&[&ROTATE[..], &[pause]].concat());
        match pause.starts_with("--settle") {
            true => {
                world.until("the sync", |world| world.holdings("acme")["backend-secrets/SECRET_KEY"] == "primary v8")
            }
            false => world.until("the restart", |world| {
                let pods = world.pods("acme");
                let mut running = pods
                    .iter()
                    .filter(|pod| pod["ended"].is_null() && CONSUMERS.iter().any(|name| pod["owner"] == *name));
                running.all(|pod| pod["holds"]["SECRET_KEY"] == "primary v8")
            }),
        }
        signal(&child, "-INT");
        finish(child).code(130).says("v7 is still enabled: no value is lost");
        world.run(&ROTATE).code(0);
        world.rotated("acme", 7, 8);
    }
}

/// Whoever reads along may go: what was begun is finished all the same.
#[test]
fn a_pipe_that_nobody_reads_loses_nothing() {
    for output in ["human", "json", "wide"] {
        let world = World::start(&["--accounts=1"]);
        let in_use = world.value(&primary("acme"), "7").expect("it is enabled");
        let mut child = world.spawn(&[&ROTATE[..], &["-o", output, "-v"]].concat());
        drop(child.stdout.take());
        drop(child.stderr.take());
        let ended = child.wait().expect("it ends");
        assert_eq!(ended.code(), Some(0), "{output}: {ended:?}");
        world.rotated("acme", 7, 8);
        assert_eq!(world.value(&back_compat("acme"), "latest").as_ref(), Some(&in_use));
    }
}
