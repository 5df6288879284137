//! `--report`: what was done as a page and as JSON, also when it fails, and nothing else in its place.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::well_formed::needs_nothing;
use crate::world::{Ran, World, by_the_program, finish};

/// The page and the JSON of a run that was told to write `report.html` where it was started.
fn written(world: &World) -> (String, Value) {
    let page = std::fs::read_to_string(world.home().join("report.html")).expect("a page");
    needs_nothing(&page);
    let json = std::fs::read_to_string(world.home().join("report.json")).expect("JSON beside it");
    (page, serde_json::from_str(&json).expect("JSON"))
}

fn run(world: &World, args: &[&str]) -> Ran {
    world.run(&[&["secret"], args, &["--report", "report.html", "-o", "json"]].concat())
}

#[track_caller]
fn seconds(report: &Value, from: &str, to: &str) -> f64 {
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap_or_else(|_| panic!("{text}: {report}"));
    time(to).duration_since(time(from)).as_secs_f64()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("readable");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn each_command_leaves_what_it_printed_and_who_ran_it() {
    let world = World::start(&["--accounts=2"]);
    for (args, titled) in [
        (&["verify", "acme"] as &[&str], "Verification of acme"),
        (&["sync", "acme"], "Sync of acme"),
        (&["restart", "acme", "--yes"], "Restart of acme"),
        (&["rotate", "acme", "--yes"], "Rotation of acme"),
        (&["rollback", "acme", "--yes"], "Rollback of acme"),
        (&["finalize", "acme", "--yes", "--reencrypted"], "Finalization of acme"),
        (&["rotate", "globex", "--yes", "--dry-run"], "Rotation of globex"),
        (&["verify", "acme", "globex"], "Verification of 2 accounts"),
    ] {
        let ran = run(&world, args).code(0).says("the report is in report.html, and as JSON in report.json");
        let (page, report) = written(&world);
        assert_eq!((&report["apiVersion"], &report["kind"]), (&"deepdesk.com/v1".into(), &"Report".into()));
        assert_eq!(report["command"], format!("secret {}", args[0]));
        assert!(report["operator"].as_str().expect("text").contains('@'), "{report}");
        assert_eq!(report["credentials"], "none (plain http on loopback)");
        assert_eq!(report["exitCode"], 0);
        assert!(page.contains(&format!("<h1>{titled}")), "{titled}: {page}");
        let result = ran.json();
        let results = result.get("items").cloned().unwrap_or_else(|| Value::Array(vec![result.clone()]));
        for (account, result) in
            report["accounts"].as_array().expect("a list").iter().zip(results.as_array().expect("a list"))
        {
            assert_eq!(account["result"], *result, "the same as `-o json` printed");
            let checks = result["checks"].as_array().expect("a list");
            assert!(
                !checks.is_empty() && checks.iter().all(|check| page.contains(check["id"].as_str().expect("an id")))
            );
        }
    }
    assert!(!names(world.home()).iter().any(|name| name.contains("deepdesk-report")), "a temporary file is left");
}

#[test]
fn the_timeline_is_what_happened() {
    let world = World::start(&["--accounts=2", "--fault=stale-latest=600ms"]);
    run(&world, &["rotate", "globex", "--yes"]).code(0);
    let (page, report) = written(&world);
    let account = &report["accounts"][0];
    let list = |name: &str| account[name].as_array().unwrap_or_else(|| panic!("{name}: {account}")).clone();
    // The pods: those that the sandbox saw, with their ends and their versions.
    let lives = world.pods("globex");
    let pods = list("pods");
    assert_eq!(pods.len(), 10, "five old, five new");
    for pod in &pods {
        let life = lives.iter().find(|life| life["name"] == pod["name"]).unwrap_or_else(|| panic!("{pod}"));
        let gone = pod["gone"].as_str();
        assert_eq!(gone.is_some(), !life["ended"].is_null(), "{pod} {life}");
        assert_eq!(pod["version"], if gone.is_some() { "3" } else { "4" }, "{pod}");
        assert_eq!(life["holds"]["SECRET_KEY"], format!("primary v{}", pod["version"].as_str().expect("a number")));
        assert_eq!(pod["wasThere"], gone.is_some(), "{pod}");
        let late = |seen: &Value, happened: &Value| {
            seconds(&report, happened.as_str().expect("when"), seen.as_str().expect("when"))
        };
        // Seen after it happened, and soon. The sandbox notes a moment before or after it tells.
        if gone.is_some() {
            assert!((-0.2..5.0).contains(&late(&pod["gone"], &life["ended"])), "{pod} {life}");
        } else {
            assert!((-0.2..5.0).contains(&late(&pod["ready"], &life["ready"])), "{pod} {life}");
        }
        assert!(page.contains(pod["name"].as_str().expect("a name")), "{pod}");
    }
    // The syncs: each ExternalSecret's, asked for again where old bytes came.
    let syncs = list("syncs");
    for name in ["admin-secrets", "backend-secrets"] {
        let of = |sync: &&Value| sync["step"] == "sync" && sync["externalSecret"] == name;
        let sync = syncs.iter().find(of).expect("a sync");
        assert!(sync["arrived"].is_string(), "{sync}");
    }
    assert!(syncs.iter().any(|sync| sync["asked"].as_array().expect("a list").len() > 1), "{syncs:?}");
    // The interruption is the one that the result tells.
    let spans = list("interruptions");
    let all: f64 = spans
        .iter()
        .map(|span| seconds(&report, span["from"].as_str().expect("when"), span["to"].as_str().expect("when")))
        .sum();
    let told = account["result"]["interruptionSeconds"].as_f64().expect("a number");
    assert!((all - told).abs() < 0.01, "{all} {told}");
    assert!(page.contains("class=\"shade\"") && list("events").len() > 10);
}

#[test]
fn a_failure_is_reported_with_what_holds_now() {
    let world = World::start(&["--accounts=1", "--fault=rollout-stuck=backend"]);
    run(&world, &["rotate", "acme", "--yes", "--timeout", "1s"]).code(5);
    let (page, report) = written(&world);
    assert_eq!((&report["exitCode"], &report["accounts"][0]["result"]["exitCode"]), (&5.into(), &5.into()));
    let problem = &report["accounts"][0]["problem"];
    assert!(["RolloutStuck", "RolloutTimeout"].contains(&problem["reason"].as_str().expect("a word")), "{problem}");
    for list in ["now", "hints"] {
        assert!(!problem[list].as_array().expect("a list").is_empty(), "{problem}");
    }
    for text in
        ["incomplete", "no value is lost", "kubectl deepdesk secret rollback acme", "and not over when the run ended"]
    {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    let consumers = report["accounts"][0]["result"]["consumers"].as_array().expect("a list").clone();
    let backend = consumers.iter().find(|consumer| consumer["name"] == "backend").expect("it is one");
    assert_eq!(backend["older"], 2, "the pods of before are still there: {backend}");
    // The next one takes its place, and comes to another end.
    world.heal("rollout-stuck");
    run(&world, &["rollback", "acme", "--yes"]).code(0);
    let (page, report) = written(&world);
    assert!(page.contains("Rollback of acme") && report["exitCode"] == 0);
}

#[test]
fn an_interruption_is_reported() {
    let world = World::start(&["--accounts=2", "--fault=rollout-stuck=worker"]);
    let args = ["secret", "rotate", "acme", "globex", "--yes", "--report", "report.html"];
    let mut child = world.spawn(&args);
    let patched = |entry: &Value| by_the_program(entry) && entry["operation"] == "patch/deployments";
    world.request_or_end(&mut child, patched).expect("it restarts");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    assert_eq!(finish(child).code, 130);
    let (page, report) = written(&world);
    assert_eq!(
        (&report["exitCode"], &report["accounts"][0]["problem"]["reason"]),
        (&130.into(), &"Interrupted".into())
    );
    assert_eq!(report["notBegun"], serde_json::json!(["globex"]));
    assert!(page.contains("interrupted") && page.contains("an earlier account did not end well: globex"), "{page}");
}

#[test]
fn what_fails_before_any_account_is_reported_too() {
    let world = World::start(&["--accounts=1"]);
    run(&world, &["rotate", "acme", "--yes", "--context", "nowhere"]).code(1);
    let (page, report) = written(&world);
    assert_eq!((&report["accounts"], &report["exitCode"]), (&Value::Array(Vec::new()), &1.into()));
    assert!(page.contains("nowhere") && report["problem"]["message"].as_str().expect("a line").contains("nowhere"));
}

#[test]
fn a_file_that_cannot_be_written_stops_it_before_anything_is_changed() {
    let world = World::start(&["--accounts=1"]);
    let (home, before) = (world.home(), world.state("acme"));
    std::fs::create_dir(home.join("directory.html")).expect("made");
    std::fs::create_dir(home.join("beside.json")).expect("made");
    std::fs::write(home.join("notes.html"), "<html>mine</html>").expect("written");
    std::fs::write(home.join("data.json"), "{}").expect("written");
    let files = names(home);
    let mut cases = vec![
        ("directory.html", 2, "is a directory"),
        ("beside.html", 2, "is a directory"),
        ("nowhere/report.html", 2, "the directory nowhere does not exist"),
        ("notes.html", 2, "is not an earlier report"),
        ("data.html", 2, "data.json: exists and is not an earlier report"),
        ("report.json", 2, "names the HTML page"),
        ("notes.html/report.html", 1, "cannot be written"),
    ];
    if cfg!(target_os = "linux") {
        cases.push(("/dev/null", 2, "is not a regular file"));
        cases.push(("/proc/report.html", 1, "cannot be written"));
    }
    for (file, code, says) in cases {
        let ran = world.run(&["secret", "rotate", "acme", "--yes", "--report", file]);
        let first = ran.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("error: --report ") && first.contains(says), "{file}: {}", ran.stderr);
        assert_eq!(ran.code, code, "{file}: {first}");
    }
    assert_eq!(world.state("acme"), before);
    assert!(!world.log().iter().any(by_the_program), "it asked before it looked at the file");
    assert_eq!(names(home), files, "nothing was written");
    assert_eq!(std::fs::read_to_string(home.join("notes.html")).expect("there"), "<html>mine</html>");
}

#[cfg(unix)]
#[test]
fn the_umask_says_who_may_read_it_and_a_link_is_not_followed() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start(&["--accounts=1"]);
    for (umask, mode) in [("022", 0o644), ("077", 0o600)] {
        let verify = format!("umask {umask}; exec kubectl-deepdesk secret verify acme --report report.html");
        world.tool("sh", &["-c", &verify]).code(0);
        for file in ["report.html", "report.json"] {
            let metadata = std::fs::metadata(world.home().join(file)).expect("there");
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file} with umask {umask}");
        }
    }
    std::os::unix::fs::symlink("report.html", world.home().join("latest.html")).expect("linked");
    world.run(&["secret", "verify", "acme", "--report", "latest.html"]).code(2).says("is not a regular file");
}

#[test]
fn a_report_that_cannot_be_written_in_the_end_is_said() {
    let world = World::start(&["--accounts=1", "--fault=stale-latest=2s"]);
    let mut child = world.spawn(&["secret", "rotate", "acme", "--yes", "--report", "report.html"]);
    world.request_or_end(&mut child, |entry| by_the_program(entry) && entry["operation"] == "addSecretVersion");
    std::fs::create_dir(world.home().join("report.html")).expect("made");
    let ran =
        finish(child).code(5).says("error: --report report.html: is a directory").says("was done, as shown above");
    assert!(ran.stdout.contains("acme rotated"), "{}", ran.stdout);
    world.rotated("acme", 7, 8);
}
