//! Each command on its own, in worlds where all is well.

use serde_json::{Value, json};

use crate::world::{CONSUMERS, PROGRAM, World, external_secret, lease, primary, workload};

/// The accounts of the sandbox, and the version that each has in use.
const ACCOUNTS: [(&str, u64); 3] = [("acme", 7), ("globex", 3), ("initech", 5)];

#[test]
fn rotate_leaves_every_place_on_the_new_version() {
    let world = World::start(&[]);
    for (account, from) in ACCOUNTS {
        let result = world.run(&["secret", "rotate", account, "--yes", "-o", "json"]).code(0).json();
        world.rotated(account, from, from + 1);
        assert_eq!(result["apiVersion"], "deepdesk.com/v1");
        assert_eq!(result["kind"], "SecretRotation");
        assert_eq!(result["account"], account);
        assert_eq!(result["project"], "sandbox-project");
        assert_eq!((&result["state"], &result["reason"]), (&"AwaitingReencryption".into(), &"".into()));
        assert_eq!(result["previous"], from.to_string());
        assert_eq!(result["version"], (from + 1).to_string());
        assert_eq!(result["backCompat"]["holds"], format!("primary v{from}"));
        assert!(result["interruptionSeconds"].is_f64(), "{result}");
        let steps: Vec<&str> = result["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .map(|step| step["name"].as_str().expect("a name"))
            .collect();
        let order =
            ["preflight", "confirm", "lock", "stage", "introduce", "sync", "restart", "verify", "commit", "unlock"];
        let places: Vec<usize> = order
            .iter()
            .map(|name| steps.iter().position(|step| step == name).unwrap_or_else(|| panic!("{name}: {steps:?}")))
            .collect();
        assert!(places.is_sorted(), "{steps:?}");
        for consumer in result["consumers"].as_array().expect("consumers") {
            assert_eq!((&consumer["onLatest"], &consumer["older"]), (&consumer["desired"], &0.into()), "{consumer}");
        }
    }
    // What reads no secret is left alone.
    let untouched = world.pods("acme").into_iter().filter(|pod| pod["owner"] == "web").count();
    assert_eq!(untouched, 1);
}

#[test]
fn the_interruption_ends_with_the_last_old_pod_and_not_with_the_rollouts() {
    let world = World::start(&["--accounts=1"]);
    let seconds = |command: &str| {
        let result = world.run(&["secret", command, "acme", "--yes", "-o", "json"]).code(0).json();
        result["interruptionSeconds"].as_f64().unwrap_or_else(|| panic!("{result}"))
    };
    assert_eq!(seconds("restart"), 0.0, "old and new pods had the same value");
    seconds("rotate");
    // Every old pod is gone before a new one is there, and one of the new ones is slow.
    for (name, start) in [("admin", "60ms"), ("backend", "60ms"), ("worker", "2s")] {
        let template = json!({"metadata": {"annotations": {"control-plane.deepdesk.com/start": start}}});
        let strategy = json!({"type": "Recreate", "rollingUpdate": null});
        let path = workload("acme", &format!("deployments/{name}"));
        world.patch(&path, json!({"spec": {"strategy": strategy, "template": template}}));
    }
    let served = seconds("rollback");
    assert!(served < 0.5, "no old pod was left when the first new one was ready: {served}s");
}

#[test]
fn a_second_rotation_is_refused_until_the_data_is_encrypted_again() {
    let world = World::start(&[]);
    for (account, from) in ACCOUNTS {
        world.run(&["secret", "rotate", account, "--yes"]).code(0);
        let before = world.state(account);
        let writes = world.writes().len();
        let again = world.run(&["secret", "rotate", account, "--yes", "-o", "json"]).code(4).says("a third key");
        assert_eq!(again.json()["reason"], "AwaitingReencryption");
        assert_eq!(again.json()["exitCode"], 4);
        assert_eq!(world.state(account), before);
        assert_eq!(world.writes().len(), writes, "something was written");
        world.rotated(account, from, from + 1);
    }
}

#[test]
fn the_way_that_the_refusal_names_leads_to_the_next_rotation() {
    let world = World::start(&["--accounts=1"]);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(4).says("secret finalize acme");
    world.run(&["secret", "finalize", "acme", "--yes", "--reencrypted"]).code(0);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    let holdings = world.holdings("acme");
    assert_eq!(holdings["backend-secrets/SECRET_KEY"], "primary v9");
    assert_eq!(holdings["backend-secrets/SECRET_KEY_BACK_COMPAT"], "primary v8");
    let last = world.sent("GET", &lease("acme"), None);
    assert_eq!(last["metadata"]["annotations"]["deepdesk.com/last-rotation-to"], "v9");
}

#[test]
fn every_output_form_carries_the_result_alone() {
    let world = World::start(&[]);
    let name = world.run(&["secret", "rotate", "acme", "--yes", "-o", "name"]).code(0);
    assert_eq!(name.stdout, "secretrotation.deepdesk.com/acme\n");
    let yaml = world.run(&["secret", "rotate", "globex", "--yes", "-o", "yaml"]).code(0);
    assert!(
        yaml.stdout.starts_with("apiVersion: deepdesk.com/v1\nkind: SecretRotation\naccount: globex\n"),
        "{}",
        yaml.stdout
    );
    let wide = world.run(&["secret", "rotate", "initech", "--yes", "-o", "wide"]).code(0);
    for expected in ["REASON", "container admin: envFrom admin-secrets", "volume secrets: backend-secrets", "v5 → v6"]
    {
        assert!(wide.stdout.contains(expected), "{expected}: {}", wide.stdout);
    }
    let human = world.run(&["secret", "verify", "acme"]).code(0);
    assert!(human.stdout.contains("v8"), "{}", human.stdout);
}

#[test]
fn progress_as_json_is_one_object_a_line_on_standard_error() {
    let world = World::start(&["--accounts=1"]);
    let ran = world.run(&["secret", "rotate", "acme", "--yes", "-o", "json", "--progress", "json"]).code(0);
    let events: Vec<Value> = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    for field in ["time", "account", "step", "state", "detail"] {
        assert!(events.iter().all(|event| event[field].is_string()), "{field}: {}", ran.stderr);
    }
    let done = |step: &str| events.iter().any(|event| event["step"] == step && event["state"] == "done");
    assert!(
        ["lock", "stage", "introduce", "sync", "restart", "verify", "commit", "unlock"].iter().all(|step| done(step)),
        "{}",
        ran.stderr
    );
    // What an event is about needs no reading of words.
    let find = |step: &str, state: &str| {
        let found = events.iter().find(|event| event["step"] == step && event["state"] == state);
        found.unwrap_or_else(|| panic!("{step} {state}: {}", ran.stderr))
    };
    let introduced = find("introduce", "done");
    assert_eq!((&introduced["secret"], &introduced["versions"]), (&json!("acme_account_secret"), &json!(["8"])));
    assert_eq!(find("sync", "started")["externalSecrets"], json!(["admin-secrets", "backend-secrets"]));
    let restarting = find("restart", "waiting");
    let workloads = json!(["deployment/admin", "deployment/backend", "deployment/worker"]);
    assert_eq!(restarting["workloads"], workloads);
    assert_eq!((&restarting["newPods"], &restarting["oldPods"]), (&json!(0), &json!(5)));
    assert!(ran.json().is_object());
}

#[test]
fn verify_tells_what_is_not_on_the_newest_version() {
    let world = World::start(&[]);
    for (account, version) in ACCOUNTS {
        let writes = world.writes().len();
        let result = world.run(&["secret", "verify", account, "-o", "json"]).code(0).json();
        assert_eq!((&result["kind"], &result["state"]), (&"SecretVerification".into(), &"Stable".into()));
        assert_eq!(result["primary"]["latest"], version.to_string());
        assert_eq!(world.writes().len(), writes, "verify writes");
    }
    // A version that no sync has brought yet.
    world.set(&primary("globex"), 2, "enable");
    world.add(&primary("globex"), "bmV3IHZhbHVlIG5ldyB2YWx1ZSBuZXcgdmFsdWUgbmV3IHZhbHVl");
    let ran = world.run(&["secret", "verify", "globex", "-o", "json"]).code(3).says("primary v3");
    let checks = ran.json()["checks"].as_array().expect("checks").clone();
    let failed: Vec<&Value> =
        checks.iter().filter(|check| check["result"] == "fail").map(|check| &check["id"]).collect();
    for id in ["DD-SECRETS-CURRENT", "DD-PODS-CURRENT"] {
        assert!(failed.iter().any(|failed| **failed == *id), "{id}: {failed:?}");
    }
    // The others are looked at all the same.
    let all = world.run(&["secret", "verify", "globex", "acme", "-o", "json"]).code(3).json();
    assert_eq!(all["items"][1]["exitCode"], 0);
}

#[test]
fn sync_brings_what_is_newest_and_restarts_nothing() {
    let world = World::start(&[]);
    world.add(&primary("globex"), "bmV3IHZhbHVlIG5ldyB2YWx1ZSBuZXcgdmFsdWUgbmV3IHZhbHVl");
    let pods = world.pods("globex").len();
    let result = world.run(&["secret", "sync", "globex", "-o", "json"]).code(0).json();
    assert_eq!(result["kind"], "SecretSync");
    assert_eq!(world.holdings("globex")["admin-secrets/SECRET_KEY"], "primary v4");
    assert_eq!(world.holdings("globex")["backend-secrets/SECRET_KEY"], "primary v4");
    assert_eq!(world.pods("globex").len(), pods);
    // Nothing to bring is well too, and a sync was made all the same.
    let refreshed = |world: &World| {
        world.sent("GET", &external_secret("acme", "admin-secrets"), None)["status"]["syncedResourceVersion"].clone()
    };
    let before = refreshed(&world);
    world.run(&["secret", "sync", "acme"]).code(0);
    assert_ne!(refreshed(&world), before);
}

#[test]
fn restart_replaces_every_pod_of_every_consumer() {
    let world = World::start(&["--accounts=1"]);
    let result = world.run(&["secret", "restart", "acme", "--yes", "-o", "json"]).code(0).json();
    assert_eq!(result["kind"], "SecretRestart");
    for consumer in CONSUMERS {
        let pods: Vec<Value> = world.pods("acme").into_iter().filter(|pod| pod["owner"] == consumer).collect();
        let running = pods.iter().filter(|pod| pod["ended"].is_null()).count();
        assert_eq!(running * 2, pods.len(), "{consumer}: {pods:#?}");
    }
    assert_eq!(world.lock_holder("acme"), None);
    assert_eq!(world.versions(&primary("acme")).matches("ENABLED").count(), 1);
    let restarted = world.sent("GET", &workload("acme", "deployments/admin"), None);
    assert!(restarted.pointer("/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt").is_some());
}

#[test]
fn a_dry_run_changes_nothing() {
    let world = World::start(&["--accounts=1"]);
    let before = world.state("acme");
    for command in ["rotate", "sync", "restart"] {
        for how in ["--dry-run", "--dry-run=client", "--dry-run=server"] {
            let result = world.run(&["secret", command, "acme", how, "-o", "json"]).code(0).json();
            assert_eq!(result["dryRun"], true, "{command} {how}");
            assert_eq!(world.state("acme"), before, "{command} {how}");
        }
    }
    assert_eq!(world.writes(), Vec::<String>::new());
    // The server judges: what it would refuse, the dry run of a server shows.
    world.fault("forbidden", Some("patch/deployments"));
    world.run(&["secret", "rotate", "acme", "--dry-run=server"]).code(1).says("patch deployments");
}

#[test]
fn the_value_may_come_from_a_file_or_from_standard_input() {
    let world = World::start(&[]);
    let (first, second) = ("a value that is given on standard input 1", "a value that is given in a file, 2222222");
    let encoded = |value: &str| world.tool("base64", &["-w0", value]);
    let path = |name: &str| world.home().join(name).to_string_lossy().into_owned();
    for (name, value) in [("first", first), ("second", second)] {
        std::fs::write(world.home().join(name), value).expect("writable");
    }
    world.run_with_input(&["secret", "rotate", "acme", "--yes", "--value-from", "-"], first.as_bytes()).code(0);
    world.run(&["secret", "rotate", "globex", "--yes", "--value-from", &path("second")]).code(0);
    assert_eq!(world.value(&primary("acme"), "8").expect("enabled"), encoded(&path("first")).stdout.trim());
    assert_eq!(world.value(&primary("globex"), "4").expect("enabled"), encoded(&path("second")).stdout.trim());
    world.rotated("acme", 7, 8);
    world.rotated("globex", 3, 4);
}

#[test]
fn a_value_that_is_not_fit_is_refused_before_anything_is_written() {
    let world = World::start(&[]);
    let long = "0123456789012345678901234567890123456789";
    let cases: [(Vec<u8>, &str); 7] = [
        (b"short".to_vec(), "32"),
        (Vec::new(), "32"),
        (format!("{long}\n").into_bytes(), "newline"),
        (format!(" {long}").into_bytes(), "white space"),
        (format!("{long}\t{long}").into_bytes(), "control characters"),
        (format!("{long}\n{long}").into_bytes(), "control characters"),
        (vec![0xff; 40], "text"),
    ];
    for (value, says) in cases {
        let ran = world.run_with_input(&["secret", "rotate", "acme", "--yes", "--value-from", "-"], &value);
        ran.code(4).says(says);
    }
    // The value in use, and the one kept.
    let decoded = |world: &World, secret: &str| {
        let held = world.value(secret, "latest").expect("enabled");
        std::fs::write(world.home().join("held"), held).expect("writable");
        world.tool("base64", &["-d", "held"]).stdout
    };
    for account in ["acme", "globex"] {
        let current = decoded(&world, &primary(account));
        let ran =
            world.run_with_input(&["secret", "rotate", account, "--yes", "--value-from", "-"], current.as_bytes());
        assert!(!ran.stderr.contains(&current), "the value was shown");
        ran.code(4).says("equals the current one");
    }
    assert_eq!(world.writes(), Vec::<String>::new());
    world.run(&["secret", "rotate", "acme", "--yes", "--value-from", "no-such-file"]).code(2).says("no-such-file");
    world.run(&["secret", "rotate", "acme", "--yes", "--length", "31"]).code(2);
    world
        .run_with_input(&["secret", "rotate", "acme", "globex", "--yes", "--value-from", "-"], long.as_bytes())
        .code(2);
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn a_value_is_as_long_as_asked() {
    let world = World::start(&["--accounts=1"]);
    world.run(&["secret", "rotate", "acme", "--yes", "--length", "96"]).code(0);
    // 96 bytes in base64.
    assert_eq!(world.value(&primary("acme"), "8").expect("enabled").len(), 128);
}

#[test]
fn several_accounts_make_a_list() {
    let world = World::start(&[]);
    let result = world.run(&["secret", "rotate", "acme", "globex", "initech", "--yes", "-o", "json"]).code(0).json();
    assert_eq!((&result["apiVersion"], &result["kind"]), (&"deepdesk.com/v1".into(), &"List".into()));
    let accounts: Vec<&Value> =
        result["items"].as_array().expect("items").iter().map(|item| &item["account"]).collect();
    assert_eq!(accounts, ["acme", "globex", "initech"]);
    for (account, from) in ACCOUNTS {
        world.rotated(account, from, from + 1);
    }
    let names = world.run(&["secret", "verify", "acme", "globex", "-o", "name"]).code(0);
    assert_eq!(names.stdout, "secretverification.deepdesk.com/acme\nsecretverification.deepdesk.com/globex\n");
}

#[test]
fn without_a_name_the_contexts_namespace_is_the_account() {
    let world = World::start(&[]);
    assert_eq!(world.run(&["secret", "verify", "-o", "name"]).code(0).stdout, "secretverification.deepdesk.com/acme\n");
    let other = world.run(&["secret", "verify", "--context", "sandbox-globex", "-o", "name"]).code(0);
    assert_eq!(other.stdout, "secretverification.deepdesk.com/globex\n");
    let flag = world.run(&["secret", "verify", "-n", "initech", "-o", "name"]).code(0);
    assert_eq!(flag.stdout, "secretverification.deepdesk.com/initech\n");
    world.run(&["secret", "verify", "acme", "-n", "globex"]).code(2);
    world.run(&["secret", "verify", "--context", "nowhere"]).code(1).says("nowhere");
}

#[test]
fn nobody_to_ask_and_no_yes_is_a_usage_error_and_no_wait() {
    let world = World::start(&["--accounts=1"]);
    for more in [&[][..], &["--quiet"]] {
        let args = [&["secret", "rotate", "acme"][..], more].concat();
        world.run(&args).code(2).says("--yes");
    }
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn version_and_faults_are_told_without_a_world() {
    let run = |args: &[&str]| {
        let output = std::process::Command::new(PROGRAM).args(args).env_clear().output().expect("the program starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(run(&["version"]), format!("kubectl-deepdesk {}\n", env!("CARGO_PKG_VERSION")));
    let faults = run(&["sandbox", "faults"]);
    for fault in ["stale-latest=DURATION", "lost-answer[=OPERATION]", "forbidden=VERB/RESOURCE", "pod-churn=DURATION"] {
        assert!(faults.lines().any(|line| line.starts_with(fault)), "{fault}: {faults}");
    }
}

#[test]
fn a_sandbox_ends_with_its_command_and_hands_on_its_exit_code() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let run = |args: &[&str]| {
        let output = std::process::Command::new(PROGRAM)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .output()
            .expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let quick = ["sandbox", "run", "--accounts=1", "--sync-delay=20ms", "--pod-start=60ms", "--"];
    let (code, stdout) = run(&[&quick[..], &["secret", "rotate", "acme", "--yes", "-o", "name"]].concat());
    assert_eq!((code, stdout.as_str()), (Some(0), "secretrotation.deepdesk.com/acme\n"));
    let (code, _) = run(&[&quick[..], &["secret", "verify", "nobody"]].concat());
    assert_eq!(code, Some(1));
    let (code, _) = run(&["sandbox", "shell", "--accounts=1", "--", "sh", "-c", "exit 7"]);
    assert_eq!(code, Some(7));
    let left: Vec<_> =
        std::fs::read_dir(home.path()).expect("readable").filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_restart_whose_last_look_fails_does_not_say_that_nothing_was_changed() {
    // Found by the campaign (its seed 64).
    let world = World::start(&["--accounts=1"]);
    let mut child = world.spawn(&["secret", "restart", "acme", "--yes", "--request-timeout=2s"]);
    world.request_or_end(&mut child, |entry| entry["operation"] == "patch/deployments").expect("it comes");
    world.fault("denied", Some("secretmanager.versions.access"));
    crate::world::finish(child).code(5).says("the restarts continue in the cluster");
    world.heal("denied");
    world.run(&["secret", "restart", "acme", "--yes"]).code(0);
}

#[test]
fn a_repeated_restart_waits_for_what_is_ending_and_restarts_nothing_new() {
    let world = World::start(&["--accounts=1", "--fault=pod-slow-to-stop=12s"]);
    let restart = ["secret", "restart", "acme", "--yes"];
    let patches = |world: &World| world.writes().iter().filter(|write| *write == "patch/deployments").count();
    let first = world.run(&[&restart[..], &["--timeout=2s"]].concat()).code(5);
    first.says("gave up");
    let sent = patches(&world);
    assert_eq!(sent, CONSUMERS.len());
    world.run(&restart).code(0).says("its pods are changing");
    assert_eq!(patches(&world), sent, "what was new already was restarted once more");
    for consumer in CONSUMERS {
        let pods: Vec<Value> = world.pods("acme").into_iter().filter(|pod| pod["owner"] == consumer).collect();
        let running = pods.iter().filter(|pod| pod["ended"].is_null()).count();
        assert_eq!(running * 2, pods.len(), "{consumer}: {pods:#?}");
    }
    // Once nothing is under way, who asks for a restart gets one.
    world.heal("pod-slow-to-stop");
    world.run(&restart).code(0);
    assert_eq!(patches(&world), 2 * CONSUMERS.len());
    // What an earlier restart began before the Secret was written again began too early.
    world.fault("pod-slow-to-stop", Some("12s"));
    world.run(&[&restart[..], &["--timeout=2s"]].concat()).code(5);
    for name in ["admin-secrets", "backend-secrets"] {
        let forced = json!({"metadata": {"annotations": {"force-sync": "once-more"}}});
        world.patch(&crate::world::external_secret("acme", name), forced);
    }
    let annotated = |world: &World| {
        let secret = world.sent("GET", "/api/v1/namespaces/acme/secrets/backend-secrets", None);
        secret["metadata"]["annotations"]["force-sync"] == "once-more"
    };
    world.until("the Secrets are written again", annotated);
    world.heal("pod-slow-to-stop");
    world.run(&restart).code(0);
    assert_eq!(patches(&world), 4 * CONSUMERS.len());
}
