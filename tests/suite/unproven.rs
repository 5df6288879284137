//! Two accounts that look alike: pods that a pin left on an older value, and pods whose Secrets were written again as they were.
//! Nothing tells them apart, and one command is right for both.

use std::time::Duration;

use serde_json::json;

use crate::world::{World, external_secret, primary};

/// `another-value-of-more-than-32-characters`.
const ANOTHER: &str = "YW5vdGhlci12YWx1ZS1vZi1tb3JlLXRoYW4tMzItY2hhcmFjdGVycw==";
const NAMES: [&str; 2] = ["admin-secrets", "backend-secrets"];

/// Pins the primary's version in both ExternalSecrets, or takes the pin away; they sync often.
fn pin(world: &World, version: Option<&str>) {
    for name in NAMES {
        let path = external_secret("globex", name);
        let mut data = world.sent("GET", &path, None)["spec"]["data"].take();
        let items = data.as_array_mut().expect("a list");
        for item in items.iter_mut().filter(|item| item["remoteRef"]["key"] == primary("globex").as_str()) {
            let reference = item["remoteRef"].as_object_mut().expect("an object");
            match version {
                Some(version) => drop(reference.insert("version".to_owned(), json!(version))),
                None => drop(reference.remove("version")),
            }
        }
        world.patch(&path, json!({"spec": {"data": data, "refreshInterval": "1s"}}));
    }
}

/// All consumers' pods are unproven; the one command that is named puts it right.
fn unproven_and_put_right(world: &World) {
    let verified = world.run(&["secret", "verify", "globex", "-o", "json"]).code(3).json();
    for consumer in verified["consumers"].as_array().expect("a list") {
        // None of those that are not on the newest version is shown to be on another.
        assert_eq!(
            (&consumer["unproven"], &consumer["older"]),
            (&consumer["desired"], &consumer["desired"]),
            "{consumer}"
        );
    }
    world.run(&["secret", "verify", "globex"]).code(3).says("hint: kubectl deepdesk secret restart globex");
    world.run(&["secret", "restart", "globex", "--yes"]).code(0);
    world.run(&["secret", "verify", "globex"]).code(0);
    let newest = world.holdings("globex")["backend-secrets/SECRET_KEY"].clone();
    let running = world.pods("globex").into_iter().filter(|pod| pod["ended"].is_null());
    for pod in running.filter(|pod| !pod["holds"]["SECRET_KEY"].is_null()) {
        assert_eq!(pod["holds"]["SECRET_KEY"], newest.as_str(), "{pod}");
    }
}

#[test]
fn pods_that_a_pin_left_on_an_older_value_are_unproven_and_restarted() {
    let world = World::start(&["--accounts=2"]);
    pin(&world, Some("3"));
    // The back-compat holds what is in use, so that whoever adds a version by hand loses nothing.
    world.add(&primary("globex"), ANOTHER);
    std::thread::sleep(Duration::from_millis(2100));
    world.copied_by_hand("globex");
    assert_eq!(world.holdings("globex")["backend-secrets/SECRET_KEY"], "primary v3");
    std::thread::sleep(Duration::from_millis(1100));
    pin(&world, None);
    world.until("the newest is copied", |world| {
        let held = world.holdings("globex");
        NAMES.iter().all(|name| held[&format!("{name}/SECRET_KEY")] == "primary v4")
    });
    world.set(&primary("globex"), 3, "disable");
    unproven_and_put_right(&world);
}

#[test]
fn pods_whose_secrets_were_written_again_as_they_were_are_unproven_and_restarted() {
    let world = World::start(&["--accounts=2"]);
    std::thread::sleep(Duration::from_millis(1100));
    for name in NAMES {
        let labels = json!({"metadata": {"labels": {"touched": "once"}}});
        world.patch(&format!("/api/v1/namespaces/globex/secrets/{name}"), labels);
    }
    unproven_and_put_right(&world);
}
