//! How readers come to another value: restarted, evicted, left by name; and what is waited for meanwhile.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Ran, World, back_compat, finish, lease, primary, workload};

const PODS: &str = "/api/v1/namespaces/globex/pods";
const SETS: &str = "/apis/apps/v1/namespaces/globex/replicasets";
const BUDGETS: &str = "/apis/policy/v1/namespaces/globex/poddisruptionbudgets";
const QUOTAS: &str = "/api/v1/namespaces/globex/resourcequotas";
const ROTATE: [&str; 4] = ["secret", "rotate", "globex", "--yes"];
const FINALIZE: [&str; 5] = ["secret", "finalize", "globex", "--yes", "--reencrypted"];

fn spec() -> Value {
    json!({"containers": [{"name": "main", "image": "main:1", "envFrom": [{"secretRef": {"name": "backend-secrets"}}]}]})
}

/// Two pods of a Rollout, which nobody here knows how to restart.
fn rollout(world: &World) {
    let owner = json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "checkout",
        "uid": "11111111-2222-3333-4444-555555555555", "controller": true}]);
    let labels = json!({"app": "checkout"});
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "checkout-5df7", "ownerReferences": owner},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec()}}});
    world.sent("POST", SETS, Some(set));
    world.until("the Rollout's pods run", |world| ready(world, "checkout").len() == 2);
}

fn bare_pod(world: &World, name: &str) {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec()});
    world.sent("POST", PODS, Some(pod));
    world.until("it runs", |world| ready(world, name).len() == 1);
}

/// The names of the pods that serve and whose name begins like this.
fn ready(world: &World, prefix: &str) -> Vec<String> {
    let pods = world.pods("globex").into_iter().filter(|pod| pod["ended"].is_null() && !pod["ready"].is_null());
    let names = pods.map(|pod| pod["name"].as_str().expect("text").to_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}

/// `kind/name pod standing movedBy left` of the readers that are no consumers'.
fn readers(ran: &Ran) -> Vec<String> {
    let own = |reader: &&Value| reader["kind"] != "Deployment";
    let told = |reader: &Value| {
        let word = |field: &str| reader[field].as_str().unwrap_or("-").to_owned();
        let left = if reader["left"] == true { " left" } else { "" };
        format!("{}/{} {} {}{left}", word("kind"), word("name"), word("standing"), word("movedBy"))
    };
    ran.json()["readers"].as_array().expect("a list").iter().filter(own).map(told).collect()
}

fn generation(world: &World, name: &str) -> i64 {
    let deployment = world.sent("GET", &workload("globex", &format!("deployments/{name}")), None);
    deployment["metadata"]["generation"].as_i64().expect("a number")
}

#[test]
fn what_nothing_moves_is_refused_before_the_first_write_and_evicted_by_name() {
    let world = World::start(&["--accounts=2"]);
    rollout(&world);
    let (before, writes) = (world.state("globex"), world.writes());
    let checked = world.run(&["check", "globex", "--only", "DD-OTHER-READERS"]).code(0);
    assert!(checked.stdout.contains("of Rollout/checkout") && !checked.stdout.contains("nothing reads"), "{checked:?}");
    let refused = world.run(&ROTATE).code(4).says("DD-UNMOVED-READERS").says("Rollout/checkout");
    refused.says("secret rotate globex --evict rollout/checkout").says("--leave rollout/checkout");
    assert_eq!((world.state("globex"), world.writes()), (before, writes), "nothing was changed");
    let old = ready(&world, "checkout");
    let rotated = world.run(&[&ROTATE[..], &["--evict", "rollout/checkout", "-o", "json"]].concat()).code(0);
    world.rotated("globex", 3, 4);
    assert_eq!(readers(&rotated), ["Rollout/checkout new eviction", "Rollout/checkout new eviction"]);
    let new = ready(&world, "checkout");
    assert!(new.len() == 2 && new.iter().all(|name| !old.contains(name)), "{old:?} {new:?}");
    world.run(&["secret", "verify", "globex"]).code(0);
}

#[test]
fn an_eviction_waits_for_the_disruption_budget_and_the_same_command_goes_on() {
    let world = World::start(&["--accounts=2"]);
    rollout(&world);
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "checkout"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "checkout"}}}});
    world.sent("POST", BUDGETS, Some(budget));
    let old = ready(&world, "checkout");
    let evict = [&ROTATE[..], &["--evict", "ro/checkout", "--timeout", "6s"]].concat();
    world.run(&evict).code(5).says("disruption budget").says("rollout/checkout");
    assert_eq!(ready(&world, "checkout"), old, "the budget holds");
    assert!(world.versions(&primary("globex")).ends_with("3:ENABLED 4:ENABLED"), "not committed");
    let restarted = generation(&world, "backend");
    world.patch(&format!("{BUDGETS}/checkout"), json!({"spec": {"minAvailable": 1}}));
    world.run(&[&ROTATE[..], &["--evict", "rollout/checkout"]].concat()).code(0);
    world.rotated("globex", 3, 4);
    assert!(ready(&world, "checkout").iter().all(|name| !old.contains(name)));
    assert_eq!(generation(&world, "backend"), restarted, "what is new is not restarted once more");
}

#[test]
fn what_is_left_by_name_is_on_record_and_finalize_wants_the_name() {
    let world = World::start(&["--accounts=2"]);
    bare_pod(&world, "import-1");
    world.run(&ROTATE).code(4).says("pod import-1").says("--leave pod/import-1");
    let left = world.run(&[&ROTATE[..], &["--leave", "pod/import-1", "-o", "json"]].concat()).code(0);
    assert_eq!(readers(&left), ["Pod/import-1 unproven - left"].map(str::to_owned));
    let record = world.sent("GET", &lease("globex"), None);
    assert_eq!(record["metadata"]["annotations"]["deepdesk.com/readers-left"], "pod/import-1");
    let versions = world.versions(&back_compat("globex"));
    let refused = world.run(&FINALIZE).code(4).says("DD-OLD-READERS").says("pod import-1");
    refused.says("was left by name").says("secret finalize globex --leave pod/import-1");
    assert_eq!(world.versions(&back_compat("globex")), versions);
    // Only its own name will do, typed with this command: that it is on record as left says what was agreed to then.
    world.run(&[&FINALIZE[..], &["--leave", "pod/import-2"]].concat()).code(4).says("pod import-1");
    world.run(&[&FINALIZE[..], &["--leave", "pod/import-1"]].concat()).code(0);
    world.run(&["secret", "rotate", "globex", "--yes", "--evict=pod/a", "--leave=pod/a"]).code(2).says("pod/a");
    world.run(&["secret", "rotate", "globex", "--yes", "--leave=import-1"]).code(2).says("KIND/NAME");
}

#[test]
fn a_finalization_evicts_what_is_on_the_newest_value_and_never_what_still_writes_with_an_older_one() {
    let world = World::start(&["--accounts=2"]);
    rollout(&world);
    let evict = ["--evict", "rollout/checkout", "-o", "json"];
    world.run(&[&ROTATE[..], &["--leave", "rollout/checkout"]].concat()).code(0);
    let (old, versions) = (ready(&world, "checkout"), world.versions(&back_compat("globex")));
    // What they write until they are gone would be lost with the value.
    world.run(&[&FINALIZE[..], &evict].concat()).code(4).says("DD-OLD-READERS").says("of Rollout/checkout");
    assert_eq!((ready(&world, "checkout"), world.versions(&back_compat("globex"))), (old.clone(), versions));
    world.run(&["secret", "restart", "globex", "--yes", "--evict", "rollout/checkout"]).code(0);
    let new = ready(&world, "checkout");
    assert!(new.len() == 2 && new.iter().all(|name| !old.contains(name)), "{old:?} {new:?}");
    let ended = world.run(&[&FINALIZE[..], &evict].concat()).code(0);
    assert_eq!(readers(&ended), ["Rollout/checkout new eviction", "Rollout/checkout new eviction"]);
    // They are to read what the back-compat has now.
    let newest = ready(&world, "checkout");
    assert!(newest.len() == 2 && newest.iter().all(|name| !new.contains(name)), "{new:?} {newest:?}");
}

#[test]
fn what_appears_after_the_preflight_keeps_the_previous_version_in_use() {
    let world = World::start(&["--accounts=2"]);
    let mut child = world.spawn(&ROTATE);
    world.request_or_end(&mut child, |entry| entry["operation"] == "addSecretVersion").expect("it comes");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late-1"}, "spec": spec()});
    world.sent("POST", PODS, Some(pod));
    finish(child).code(5).says("pod late-1").says("--leave pod/late-1");
    assert!(world.versions(&primary("globex")).ends_with("3:ENABLED 4:ENABLED"), "not committed");
    let restarted = generation(&world, "backend");
    world.sent("DELETE", &format!("{PODS}/late-1?gracePeriodSeconds=0"), None);
    world.until("it is gone", |world| ready(world, "late-1").is_empty());
    world.run(&ROTATE).code(0);
    world.rotated("globex", 3, 4);
    assert_eq!(generation(&world, "backend"), restarted, "what is new is not restarted once more");
}

#[test]
fn what_ends_by_itself_is_told_and_stops_nothing_but_a_finalization() {
    let world = World::start(&["--accounts=2"]);
    let mut spec = spec();
    spec["restartPolicy"] = "Never".into();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "step-1"}, "spec": spec});
    world.sent("POST", PODS, Some(pod));
    world.until("it runs", |world| ready(world, "step-1").len() == 1);
    let rotated = world.run(&[&ROTATE[..], &["-o", "json"]].concat()).code(0);
    assert_eq!(readers(&rotated), ["Pod/step-1 unproven end"].map(str::to_owned));
    world.run(&FINALIZE).code(4).says("pod step-1");
}

#[test]
fn a_full_quota_is_told_by_name_and_waited_for() {
    let world = World::start(&["--accounts=2"]);
    // Four that read nothing, and a quota that has no room for one more.
    let fillers: Vec<String> = (0..4).map(|at| format!("filler-{at}")).collect();
    for name in &fillers {
        let idle = json!({"containers": [{"name": "main", "image": "main:1"}]});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": idle});
        world.sent("POST", PODS, Some(pod));
    }
    world.until("they run", |world| ready(world, "filler").len() == 4);
    let pods = world.sent("GET", PODS, None)["items"].as_array().expect("a list").len().to_string();
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "compute"}, "spec": {"hard": {"pods": pods}}});
    world.sent("POST", QUOTAS, Some(quota));
    let child = world.spawn(&[&ROTATE[..], &["--progress", "plain"]].concat());
    world.until("the controller says so", |world| {
        let backend = world.sent("GET", &workload("globex", "deployments/backend"), None);
        let conditions = backend["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "ReplicaFailure")
    });
    std::thread::sleep(Duration::from_millis(1500));
    for name in &fillers {
        world.sent("DELETE", &format!("{PODS}/{name}?gracePeriodSeconds=0"), None);
    }
    let ran = finish(child).code(0).says("ReplicaFailure").says("exceeded quota: compute");
    assert!(!ran.stderr.contains("is stuck"), "{}", ran.stderr);
    world.rotated("globex", 3, 4);
}

#[test]
fn a_repeated_command_waits_for_the_rollout_and_begins_no_other() {
    let world = World::start(&["--accounts=2"]);
    // The new pods never become ready: the first run gives up, and nothing but the wait is left.
    let backend = workload("globex", "deployments/backend");
    world.patch(
        "/api/v1/namespaces/globex",
        json!({"metadata": {"annotations": {"control-plane.deepdesk.com/ready": "never"}}}),
    );
    for _ in 0..2 {
        world.run(&[&ROTATE[..], &["--timeout", "4s"]].concat()).code(5).says("gave up after 4s");
    }
    let template =
        |world: &World| world.sent("GET", &backend, None)["spec"]["template"]["metadata"]["annotations"].clone();
    let (sent, generation) = (template(&world), generation(&world, "backend"));
    world.patch(
        "/api/v1/namespaces/globex",
        json!({"metadata": {"annotations": {"control-plane.deepdesk.com/ready": null}}}),
    );
    for name in starting(&world) {
        world.sent("DELETE", &format!("{PODS}/{name}?gracePeriodSeconds=0"), None);
    }
    world.run(&ROTATE).code(0);
    assert_eq!((template(&world), self::generation(&world, "backend")), (sent, generation), "one rollout and no more");
    world.settled("globex", 3, 4);
}

/// The pods that have not become ready.
fn starting(world: &World) -> Vec<String> {
    let pods = world.pods("globex").into_iter().filter(|pod| pod["ended"].is_null() && pod["ready"].is_null());
    pods.map(|pod| pod["name"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn one_workload_alone_is_restarted_where_it_is_named() {
    let world = World::start(&["--accounts=2"]);
    let before = (generation(&world, "admin"), generation(&world, "backend"));
    world.run(&["secret", "restart", "globex", "--yes", "--only", "deploy/backend"]).code(0);
    assert_eq!(generation(&world, "admin"), before.0);
    assert!(generation(&world, "backend") > before.1);
    world.run(&["secret", "restart", "globex", "--yes", "--only", "deployment/none"]).code(2).says("deployment/none");
}

#[test]
fn what_a_restart_costs_is_told_before_it() {
    let world = World::start(&["--accounts=2"]);
    let labels = json!({"matchLabels": {"app": "backend"}});
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "calm"}, "spec": {"minAvailable": 1, "selector": labels}});
    world.sent("POST", BUDGETS, Some(budget));
    world.patch(
        &workload("globex", "deployments/admin"),
        json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}),
    );
    let shown = world.run(&["secret", "rotate", "globex", "--dry-run"]).code(0);
    let all = format!("{}{}", shown.stdout, shown.stderr);
    assert!(
        all.contains("PodDisruptionBudget calm") && all.contains("deployment/admin has the strategy Recreate"),
        "{all}"
    );
}
