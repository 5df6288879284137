//! `secret rollback`: back to the value of before, in one command, from a complete rotation and from the middle of one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::world::{CONSUMERS, World, back_compat, external_secret, primary};

const ROTATE: [&str; 4] = ["secret", "rotate", "acme", "--yes"];
const ROLL_BACK: [&str; 4] = ["secret", "rollback", "acme", "--yes"];

/// Fails the test unless the two values are exchanged: in Secret Manager, in the Kubernetes Secrets, and in every pod that
/// runs. The abandoned value must be the back-compat, and the one brought back the only one enabled in the primary.
#[track_caller]
pub fn rolled_back(world: &World, account: &str, abandoned: &str, brought_back: &str) {
    assert!(abandoned != brought_back);
    assert_eq!(world.value(&primary(account), "latest").as_deref(), Some(brought_back), "{account}: the primary");
    assert_eq!(world.value(&back_compat(account), "latest").as_deref(), Some(abandoned), "{account}: the back-compat");
    let versions = world.versions(&primary(account));
    assert_eq!(versions.matches("ENABLED").count(), 1, "{account}: {versions}");
    let held = world.sent("GET", &format!("/api/v1/namespaces/{account}/secrets"), None);
    for name in ["admin-secrets", "backend-secrets"] {
        let secret = held["items"].as_array().expect("a list").iter().find(|one| one["metadata"]["name"] == name);
        let data = &secret.expect("it is there")["data"];
        assert_eq!(data["SECRET_KEY"], brought_back, "{account}: {name}");
        assert_eq!(data["SECRET_KEY_BACK_COMPAT"], abandoned, "{account}: {name}");
    }
    let newest = versions.rsplit_once(' ').expect("several").1.trim_end_matches(":ENABLED");
    let running: Vec<Value> = world.pods(account).into_iter().filter(|pod| pod["ended"].is_null()).collect();
    for consumer in CONSUMERS {
        let own: Vec<&Value> = running.iter().filter(|pod| pod["owner"] == consumer).collect();
        assert!(!own.is_empty(), "{account}: no pod of {consumer}");
        for pod in own {
            let (key, old) = (&pod["holds"]["SECRET_KEY"], &pod["holds"]["SECRET_KEY_BACK_COMPAT"]);
            // The sandbox names a value by one of the versions that have it.
            assert!(key != old && key != "unknown" && old != "unknown", "{account}: {pod}");
        }
    }
    let verified = world.run(&["secret", "verify", account, "-o", "json"]).code(0).json();
    assert_eq!(verified["state"], "AwaitingReencryption");
    assert_eq!(verified["primary"]["latest"], newest);
    assert_eq!(world.lock_holder(account), None);
}

/// What two keys in use are: the primary's and the back-compat's.
fn values(world: &World) -> (String, String) {
    let latest = |secret: &str| world.value(secret, "latest").expect("it is enabled");
    (latest(&primary("acme")), latest(&back_compat("acme")))
}

#[test]
fn a_complete_rotation_is_rolled_back_once() {
    let world = World::start(&["--accounts=1"]);
    world.run(&ROTATE).code(0);
    let (abandoned, kept) = values(&world);
    let result = world.run(&[&ROLL_BACK[..], &["-o", "json"]].concat()).code(0).json();
    assert_eq!(
        (&result["kind"], &result["previous"], &result["version"]),
        (&json!("SecretRollback"), &json!("8"), &json!("9"))
    );
    assert_eq!(result["state"], "AwaitingReencryption");
    rolled_back(&world, "acme", &abandoned, &kept);
    assert!(world.versions(&primary("acme")).ends_with("7:DISABLED 8:DISABLED 9:ENABLED"));
    // The same command again wants the same, and not its opposite.
    world.run(&ROLL_BACK).code(0);
    rolled_back(&world, "acme", &abandoned, &kept);
    assert!(world.versions(&primary("acme")).ends_with("9:ENABLED"));
    // A rotation now would be a third key.
    world.run(&ROTATE).code(4).says("a third key");
    // Forward again, when asked by name.
    world.run(&[&ROLL_BACK[..], &["--again"]].concat()).code(0);
    rolled_back(&world, "acme", &kept, &abandoned);
    assert!(world.versions(&primary("acme")).ends_with("9:DISABLED 10:ENABLED"));
}

#[test]
fn after_a_leak_it_is_said_where_the_value_can_still_be_read() {
    let world = World::start(&["--accounts=1"]);
    let ran = world.run(&["secret", "rotate", "acme", "--yes", "--compromised"]).code(0);
    assert!(ran.stdout.contains("exposed: acme_account_secret v7 is disabled and not destroyed"), "{}", ran.stdout);
    ran.says("as intended");
    world.rotated("acme", 7, 8);
    let result = world.run(&["secret", "rollback", "acme", "--yes", "-o", "json"]).code(0).json();
    assert_eq!(result.get("exposed"), None);
    for pause in [&["--soak=1s"] as &[&str], &["--strategy=two-phase"]] {
        world.run(&[&["secret", "rotate", "acme", "--yes", "--compromised"], pause].concat()).code(2);
    }
}

#[test]
fn a_rotation_whose_pods_do_not_come_up_is_rolled_back() {
    let world = World::start(&["--accounts=1"]);
    world.fault("rollout-stuck", Some("backend"));
    world.run(&ROTATE).code(5).says("kubectl deepdesk secret rollback acme");
    let (abandoned, kept) = values(&world);
    // What kept the new pods from coming up was the new value.
    world.heal("rollout-stuck");
    world.run(&ROLL_BACK).code(0);
    rolled_back(&world, "acme", &abandoned, &kept);
    assert!(world.versions(&primary("acme")).ends_with("7:DISABLED 8:DISABLED 9:ENABLED"));
}

#[test]
fn a_rollback_that_was_begun_is_finished_by_either_command() {
    for command in ["rollback", "rotate"] {
        let world = World::start(&["--accounts=1"]);
        world.run(&ROTATE).code(0);
        let (abandoned, kept) = values(&world);
        world.fault("rollout-stuck", Some("worker"));
        world.run(&ROLL_BACK).code(5).says("the same command goes on from here: kubectl deepdesk secret rollback acme");
        world.heal("rollout-stuck");
        world.run(&["secret", command, "acme", "--yes"]).code(0);
        rolled_back(&world, "acme", &abandoned, &kept);
        assert!(world.versions(&primary("acme")).ends_with("9:ENABLED"), "{command}");
    }
}

#[test]
fn without_another_value_nothing_is_rolled_back() {
    let world = World::start(&["--accounts=2"]);
    for account in ["acme", "globex"] {
        let before = world.state(account);
        world.run(&["secret", "rollback", account, "--yes"]).code(4).says("there is nothing to go back to");
        assert_eq!(world.state(account), before, "{account}");
    }
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_dry_run_shows_the_exchange_and_changes_nothing() {
    let world = World::start(&["--accounts=1"]);
    world.run(&ROTATE).code(0);
    let (before, writes) = (world.state("acme"), world.writes());
    let shown = world.run(&["secret", "rollback", "acme", "--dry-run"]).code(0);
    shown.says("with the value of back-compat v1");
    world.run(&["secret", "rollback", "acme"]).code(2).says("pass --yes");
    assert_eq!((world.state("acme"), world.writes()), (before, writes));
}

#[test]
fn pods_that_start_by_themselves_during_the_exchange_are_counted() {
    let world = World::start(&["--accounts=1"]);
    world.run(&ROTATE).code(0);
    let (abandoned, kept) = values(&world);
    world.fault("sync-slow", Some("500ms"));
    world.fault("pod-churn", Some("100ms"));
    let child = world.spawn(&ROLL_BACK);
    world.until("the exchange", |world| world.versions(&back_compat("acme")).contains('2'));
    world.heal("pod-churn");
    world.heal("sync-slow");
    crate::world::finish(child).code(0).says("started during the exchange");
    rolled_back(&world, "acme", &abandoned, &kept);
}

/// An account whose value is JSON, of which every ExternalSecret takes the property `key`.
fn with_property() -> World {
    let world = World::start(&["--accounts=2"]);
    let value = STANDARD.encode(r#"{"key":"0123456789012345678901234567890123456789","note":1}"#);
    world.takes_a_property(&value);
    world
}

/// What globex's pods get as their key.
fn held(world: &World) -> String {
    let secret = world.sent("GET", "/api/v1/namespaces/globex/secrets/backend-secrets", None);
    let bytes = STANDARD.decode(secret["data"]["SECRET_KEY"].as_str().expect("a key")).expect("base64");
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_rollback_goes_back_to_a_value_of_which_a_property_is_taken() {
    let world = with_property();
    let new = br#"{"key":"9876543210987654321098765432109876543210"}"#;
    world.run_with_input(&["secret", "rotate", "globex", "--yes", "--value-from", "-"], new).code(0);
    world.run(&["secret", "rollback", "globex", "--yes"]).code(0);
    assert_eq!(held(&world), "0123456789012345678901234567890123456789");
    assert_eq!(world.value(&primary("globex"), "6"), world.value(&back_compat("globex"), "2"));
    world.run(&["secret", "verify", "globex"]).code(0);
}

#[test]
fn a_rollback_leaves_a_rotation_whose_value_cannot_be_copied() {
    let world = with_property();
    let without = br#"{"another":"9876543210987654321098765432109876543210"}"#;
    let rotate = ["secret", "rotate", "globex", "--yes", "--value-from", "-"];
    let (writes, before) = (world.writes(), world.versions(&primary("globex")));
    world.run_with_input(&rotate, without).code(4).says("property key of the value, and the new value has none");
    assert_eq!((world.writes(), world.versions(&primary("globex"))), (writes, before));
    // By hand it gets there all the same, and nothing is copied any more.
    world.add(&primary("globex"), &STANDARD.encode(without));
    for name in ["admin-secrets", "backend-secrets"] {
        world.sync("globex", name);
    }
    let fails = |world: &World| {
        let ready = |name| {
            world.sent("GET", &external_secret("globex", name), None)["status"]["conditions"][0]["status"].clone()
        };
        ready("admin-secrets") == "False" && ready("backend-secrets") == "False"
    };
    world.until("the failure shows", fails);
    // Rotating is no way on, and what is says so.
    world
        .run(&["secret", "rotate", "globex", "--yes"])
        .code(4)
        .says("cannot copy the newest version")
        .says("secret rollback globex");
    let shown = world.run(&["secret", "rollback", "globex", "--dry-run"]).code(0);
    shown.says("no pod ever had v5").says("disable v5 of globex_account_secret");
    world.run(&["secret", "rollback", "globex", "--yes"]).code(0);
    assert!(world.versions(&primary("globex")).ends_with("4:DISABLED 5:DISABLED 6:ENABLED"));
    assert_eq!(world.versions(&back_compat("globex")), "1:DISABLED 2:ENABLED");
    assert_eq!(held(&world), "0123456789012345678901234567890123456789");
    world.run(&["secret", "verify", "globex"]).code(0);
    world.run(&["secret", "status", "globex"]).code(0);
    let again = world.run(&["secret", "rollback", "globex", "--yes"]).code(4);
    again.says("nothing to go back to");
    world.run_with_input(&rotate, br#"{"key":"abcdefghijklmnopqrstuvwxyzabcdefghijklmnop"}"#).code(0);
}
