//! Requests are a budget: what a rotation may ask of Secret Manager.

use crate::world::{World, by_the_program};

/// The writes that Secret Manager saw so far, in order.
fn writes(world: &World) -> Vec<String> {
    let log = world.log();
    let own = log.iter().filter(|entry| entry["api"] == "secret-manager" && entry["class"] == "write");
    own.filter(|entry| by_the_program(entry))
        .map(|entry| entry["operation"].as_str().expect("text").to_owned())
        .collect()
}

#[test]
fn a_rotation_writes_no_more_than_it_must() {
    let create = ["createSecret", "setIamPolicy"];
    let rotate = ["addSecretVersion", "addSecretVersion", "disableSecretVersion"];
    // Where the back-compat holds the current value already, it is not added once more.
    let cases = [
        ("acme", [&create[..], &rotate[..]].concat()),
        ("globex", rotate[1..].to_vec()),
        ("initech", rotate[1..].to_vec()),
    ];
    for (account, expected) in cases {
        let world = World::start(&[]);
        world.run(&["secret", "rotate", account, "--yes"]).code(0);
        assert_eq!(writes(&world), expected, "{account}");
    }
}

#[test]
fn after_a_finalization_two_writes_are_enough() {
    let world = World::start(&[]);
    world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
    world.run(&["secret", "finalize", "globex", "--yes", "--reencrypted"]).code(0);
    let before = writes(&world).len();
    world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
    // The back-compat holds the value in use already: the new version, and the commit mark.
    assert_eq!(writes(&world).len() - before, 2, "{:?}", writes(&world));
}

#[test]
fn reads_are_accesses_rather_than_metadata() {
    let world = World::start(&["--accounts=1"]);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    let log = world.log();
    let of = |class: &str| {
        log.iter()
            .filter(|entry| entry["api"] == "secret-manager" && entry["class"] == class && by_the_program(entry))
            .count()
    };
    // Project-wide quotas a minute: 600 metadata reads, 90,000 accesses.
    assert!(of("metadata-read") <= 15, "{}", of("metadata-read"));
    assert!(of("access") > of("metadata-read"));
}

#[test]
fn verify_sync_and_restart_write_nothing_to_secret_manager() {
    let world = World::start(&["--accounts=1"]);
    for command in ["verify", "sync", "restart"] {
        let yes: &[&str] = if command == "restart" { &["--yes"] } else { &[] };
        world.run(&[&["secret", command, "acme"], yes].concat()).code(0);
    }
    assert_eq!(writes(&world), Vec::<String>::new());
}
