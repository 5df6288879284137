//! `secret finalize --reencrypted-by`: a command of the application's own speaks first, as a Job, and nothing changes before
//! it has said that nothing is left. However it ends, nothing of it stays.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::finalize::finalized;
use crate::world::{Ran, World, by_the_program, finish, primary};

const JOBS: &str = "/apis/batch/v1/namespaces/acme/jobs";
const PODS: &str = "/api/v1/namespaces/acme/pods";

/// A world whose account awaits re-encryption, with items under both keys.
fn rotated() -> World {
    let world = World::start(&["--accounts=1"]);
    data(&world, 200);
    world.until("items under the older key", |world| items(world) > 3);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    data(&world, 0);
    world
}

fn url(world: &World, path: &str) -> String {
    format!("{}/sandbox/v1/data/{path}", world.environment()["DEEPDESK_SANDBOX_URL"].trim_end_matches('/'))
}

fn data(world: &World, per_second: u32) {
    let body = json!({"perSecond": per_second}).to_string();
    ureq::post(url(world, "acme")).send(body).expect("the sandbox takes it");
}

fn items(world: &World) -> u64 {
    world.ask("data/acme")["items"].as_u64().expect("a number")
}

/// How many items are under another key than the newest.
fn left(world: &World) -> u64 {
    let data = world.ask("data/acme");
    let keys = data["keys"].as_array().expect("a list").iter();
    keys.filter(|key| key["key"] != "primary v8").map(|key| key["items"].as_u64().expect("a number")).sum()
}

fn finalize<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["secret", "finalize", "acme", "--yes", "--reencrypted-by", command];
    args.extend(more);
    args
}

/// Fails the test unless no Job of ours and no pod of one is left.
#[track_caller]
fn nothing_is_left_of_it(world: &World) {
    let jobs = world.sent("GET", JOBS, None);
    assert_eq!(jobs["items"].as_array().map(Vec::len), Some(0), "{jobs}");
    world.until("the end of the Job's pods", |world| {
        let pods = world.sent("GET", &format!("{PODS}?labelSelector=deepdesk.com/reencryption"), None);
        pods["items"].as_array().is_some_and(Vec::is_empty)
    });
}

/// Runs it, and fails the test unless it changed nothing at all and left nothing behind.
#[track_caller]
fn changes_nothing(world: &World, args: &[&str]) -> Ran {
    let (before, writes) = (world.state("acme"), world.writes().len());
    let ran = world.run(args);
    nothing_is_left_of_it(world);
    assert_eq!(world.state("acme"), before);
    let allowed = ["create/jobs", "delete/jobs", "create/leases", "update/leases"];
    let written = world.writes().split_off(writes);
    assert!(written.iter().all(|write| allowed.contains(&write.as_str())), "{written:?}");
    ran
}

#[test]
fn nothing_is_finalized_before_the_application_says_that_nothing_is_left() {
    let world = rotated();
    let in_use = world.value(&primary("acme"), "latest").expect("enabled");
    let rows = left(&world);
    assert!(rows > 0);
    let ran = changes_nothing(&world, &finalize("rows-left", &["-o", "json"])).code(4);
    let words = format!("{rows} rows are left under an older key");
    let ran = ran
        .says("re-encryption is not shown to be done: `rows-left` exited with 1")
        .says(&format!("the command wrote: {words}"));
    let ran = ran.says("nothing was changed: every older value can still be read");
    // Streamed as it came, with the account and the step before it.
    assert!(ran.stderr.contains(&format!("acme  reencrypt output   {words}")), "{}", ran.stderr);
    let result = ran.json();
    assert_eq!((&result["reason"], &result["state"]), (&json!("ReencryptionNotDone"), &json!("AwaitingReencryption")));
    let evidence = &result["evidence"];
    assert_eq!(
        (&evidence["kind"], &evidence["command"], &evidence["exitCode"]),
        (&json!("job"), &json!("rows-left"), &json!(1))
    );
    // The application saves everything again, and says so.
    let result =
        world.run(&finalize("reencrypt", &["-o", "json"])).code(0).says("0 rows are left under an older key").json();
    let evidence = &result["evidence"];
    assert_eq!((&evidence["exitCode"], &evidence["workload"]), (&json!(0), &json!("deployment/admin")));
    assert!(evidence["job"].as_str().is_some_and(|job| job.starts_with("deepdesk-reencryption-")), "{evidence}");
    assert!(evidence["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{evidence}");
    let steps: Vec<&Value> = result["steps"].as_array().expect("a list").iter().map(|step| &step["name"]).collect();
    let at = |name: &str| steps.iter().position(|step| *step == name).expect("the step is there");
    assert!(at("lock") < at("reencrypt") && at("reencrypt") < at("preserve"), "{steps:?}");
    nothing_is_left_of_it(&world);
    finalized(&world, "acme", &in_use);
    let data = world.ask("data/acme");
    assert_eq!((left(&world), &data["now"]["unreadableToSome"]), (0, &json!(0)), "{data}");
    // Where nothing is to be done nothing has to be shown.
    let writes = world.writes().len();
    world.run(&finalize("false", &[])).code(0);
    assert_eq!(world.writes().len(), writes);
}

#[test]
fn the_job_is_the_consumers_pod_without_what_serves() {
    let world = rotated();
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "backend"},
        "spec": {"selector": {"account": "acme"}, "ports": [{"port": 80}]}});
    world.sent("POST", "/api/v1/namespaces/acme/services", Some(service));
    let mut child = world.spawn(&finalize("sleep 2", &["--reencrypted-by-workload", "deploy/backend"]));
    world.until("the Job's pod", |world| {
        let pods = world.sent("GET", &format!("{PODS}?labelSelector=deepdesk.com/reencryption"), None);
        pods["items"][0]["status"]["phase"] == "Running"
    });
    let job = world.sent("GET", JOBS, None)["items"][0].clone();
    let annotations = &job["metadata"]["annotations"];
    assert!(annotations["deepdesk.com/operator"].is_string() && annotations["deepdesk.com/run"].is_string(), "{job}");
    let spec = &job["spec"];
    let limits = ["backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"].map(|field| spec[field].as_i64());
    assert_eq!(limits, [Some(0), Some(3600), Some(3600)]);
    let pod = world.sent("GET", &format!("{PODS}?labelSelector=deepdesk.com/reencryption"), None)["items"][0].clone();
    let labels = &pod["metadata"]["labels"];
    assert_eq!(
        (&labels["app"], &labels["account"]),
        (&Value::Null, &Value::Null),
        "the Deployment's and the Service's"
    );
    let container = &pod["spec"]["containers"][0];
    assert_eq!(
        (&container["image"], &container["command"]),
        (&json!("deepdesk/backend:4.12.0"), &json!(["sleep", "2"]))
    );
    // While it runs, and it alone, others are told who is at work.
    world.run(&["secret", "rotate", "acme", "--yes"]).code(4);
    assert!(child.try_wait().expect("a child").is_none());
    finish(child).code(0);
    nothing_is_left_of_it(&world);
}

#[test]
fn a_dry_run_shows_the_job_and_has_the_server_judge_it() {
    let world = rotated();
    let dry = |how: &'static str| vec!["secret", "finalize", "acme", how, "--reencrypted-by", "run 'two words'"];
    let before = world.writes().len();
    let ran = world.run(&dry("--dry-run")).code(0);
    ran.says("1  reencrypt  running `run 'two words'` as job deepdesk-reencryption-")
        .says("made from deployment/admin (container admin): it has to exit with 0");
    world.run(&dry("--dry-run=server")).code(0);
    let judged = |entry: &Value| {
        entry["operation"] == "dry-run-create/jobs"
            && entry["path"].as_str().is_some_and(|path| path.contains("dryRun=All"))
    };
    assert_eq!(world.log().iter().filter(|entry| judged(entry)).count(), 1);
    assert_eq!(world.writes().len(), before);
    nothing_is_left_of_it(&world);
}

#[test]
fn a_job_that_cannot_start_or_end_is_given_up_and_taken_away() {
    let world = rotated();
    world.fault("job-not-starting", None);
    let ran = changes_nothing(&world, &finalize("true", &["--timeout", "2s"])).code(1);
    let ran = ran.says("cannot start: ImagePullBackOff: Back-off pulling image \"deepdesk/admin:4.12.0\"");
    ran.says("made from deployment/admin (container admin)");
    world.heal("job-not-starting");
    world.fault("job-hanging", None);
    let begun = Instant::now();
    let ran = changes_nothing(&world, &finalize("true", &["--reencryption-timeout", "2s"])).code(4);
    ran.says("`true` did not end within 2s").says("--reencryption-timeout 4h");
    assert!(begun.elapsed() < Duration::from_secs(30), "the Job's own deadline ends it");
    world.heal("job-hanging");
    world.fault("job-failing", None);
    changes_nothing(&world, &finalize("true", &[])).code(4).says("`true` exited with 1");
    world.heal("job-failing");
    changes_nothing(&world, &finalize("manage.py rows_left", &[])).code(4).says("manage.py: command not found");
    changes_nothing(&world, &finalize("sleep 20", &["--reencrypted-by-workload", "web"])).code(2);
    changes_nothing(&world, &finalize("true", &["--reencrypted-by-workload", "deploy/web"]))
        .code(1)
        .says("reads neither value");
    changes_nothing(&world, &finalize("true", &["--reencrypted-container", "x"])).code(1).says("has no container x");
    changes_nothing(&world, &finalize("open 'quote", &[])).code(2).says("a quote in it has no end");
    changes_nothing(&world, &finalize("true", &["--reencrypted"])).code(2).says("cannot be used with");
}

#[test]
fn an_interrupted_run_takes_its_job_away() {
    let world = rotated();
    let (before, writes) = (world.state("acme"), world.writes().len());
    let child = world.spawn(&finalize("sleep 60", &[]));
    world.until("the Job's pod", |world| {
        world.sent("GET", &format!("{PODS}?labelSelector=deepdesk.com/reencryption"), None)["items"][0]["status"]["phase"] == "Running"
    });
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    finish(child).code(130).says("interrupted").says("nothing was changed");
    nothing_is_left_of_it(&world);
    assert_eq!(world.state("acme"), before);
    assert_eq!(world.writes().split_off(writes).iter().filter(|write| *write == "delete/jobs").count(), 1);
}

#[test]
fn what_a_killed_run_left_behind_is_taken_away_by_the_next() {
    let world = rotated();
    let mut child = world.spawn(&finalize("sleep 60", &[]));
    world.until("the Job's pod", |world| {
        world.sent("GET", &format!("{PODS}?labelSelector=deepdesk.com/reencryption"), None)["items"][0]["status"]["phase"] == "Running"
    });
    child.kill().expect("it runs");
    let _ = child.wait();
    let in_use = world.value(&primary("acme"), "latest").expect("enabled");
    world.run(&finalize("reencrypt", &[])).code(0).says("which an earlier run left behind, is deleted");
    nothing_is_left_of_it(&world);
    finalized(&world, "acme", &in_use);
}

#[test]
fn without_the_rights_nothing_begins_and_without_the_log_it_goes_on() {
    let world = rotated();
    for (verb, resource) in [("create", "jobs"), ("delete", "jobs"), ("get", "jobs")] {
        world.fault("forbidden", Some(&format!("{verb}/{resource}")));
        let ran = changes_nothing(&world, &finalize("true", &[])).code(1);
        let ran = ran.says(&format!("not allowed to {verb} {resource}.batch in namespace acme"));
        ran.says(&format!("kubectl create role deepdesk-{resource} --verb={verb} --resource={resource}.batch -n acme"));
        world.heal("forbidden");
    }
    // Whoever gives a word needs none of them.
    world.fault("forbidden", Some("create/jobs"));
    world.run(&["secret", "finalize", "acme", "--dry-run", "--reencrypted"]).code(0);
    world.heal("forbidden");
    world.fault("forbidden", Some("get/pods/log"));
    world.fault("forbidden", Some("list/services"));
    let ran = world.run(&finalize("echo unseen", &[])).code(0);
    let ran = ran.says("not allowed to get pods/log in namespace acme").says("what the command writes cannot be shown");
    assert!(!ran.stderr.contains("output   unseen"), "{}", ran.stderr);
    nothing_is_left_of_it(&world);
}

#[test]
fn a_job_that_cannot_be_deleted_is_named_with_the_command_that_does() {
    let world = rotated();
    world.fault("hang", Some("delete/jobs"));
    world.run(&finalize("rows-left", &[])).code(4);
    nothing_is_left_of_it(&world);
    // Forbidden only once it runs, or it would not begin.
    let child = world.spawn(&finalize("sleep 2", &[]));
    world.until("the Job", |world| world.sent("GET", JOBS, None)["items"][0]["status"]["active"] == 1);
    world.fault("forbidden", Some("delete/jobs"));
    let ran = finish(child).code(0);
    ran.says("was not deleted").says("delete it: kubectl delete job deepdesk-reencryption-").says("-n acme");
    assert_eq!(world.sent("GET", JOBS, None)["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_the_command_writes_shows_no_value_and_steers_no_terminal() {
    let world = rotated();
    let value = |secret: &str| {
        use base64::Engine as _;
        let read = world.value(secret, "latest").expect("enabled");
        let bytes = base64::engine::general_purpose::STANDARD.decode(&read).expect("base64");
        (String::from_utf8(bytes).expect("text"), read)
    };
    let secrets = [value("acme_account_secret"), value("acme_account_secret_back_compat"), value("acme_database_url")];
    let ran = world.run(&finalize("printenv", &["-v", "-o", "json", "--progress", "json"])).code(0);
    let ran =
        ran.says("SECRET_KEY=[redacted]").says("SECRET_KEY_BACK_COMPAT=[redacted]").says("DATABASE_URL=[redacted]");
    let outputs: Vec<Value> = ran
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["state"] == "output")
        .collect();
    assert_eq!(outputs.len(), 3, "{}", ran.stderr);
    assert!(outputs.iter().all(|line| line["step"] == "reencrypt" && line["account"] == "acme"), "{outputs:?}");
    let world = rotated();
    let escapes = "echo '\u{1b}[2J\u{1b}]0;title\u{7}one\u{1b}[31m two\nthree' '$(SECRET_KEY)'";
    let other = world.run(&finalize(escapes, &[])).code(0);
    // Kubernetes' own references to variables are none here.
    let other = other.says("reencrypt output   one two\n").says("reencrypt output   three $(SECRET_KEY)\n");
    for ran in [&ran, &other] {
        assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
        for (plain, encoded) in &secrets {
            assert!(!ran.stderr.contains(plain) && !ran.stdout.contains(plain));
            assert!(!ran.stderr.contains(encoded) && !ran.stdout.contains(encoded));
        }
    }
}

#[test]
fn a_secret_that_is_written_while_the_pod_starts_leaves_open_what_it_read() {
    let world = rotated();
    world.patch(
        "/api/v1/namespaces/acme",
        json!({"metadata": {"annotations": {"control-plane.deepdesk.com/start": "2s"}}}),
    );
    let child = world.spawn(&finalize("true", &[]));
    world.until("the Job's pod", |world| {
        let pods = world.sent("GET", &format!("{PODS}?labelSelector=deepdesk.com/reencryption"), None);
        pods["items"].as_array().is_some_and(|pods| !pods.is_empty())
    });
    let path = "/api/v1/namespaces/acme/secrets/backend-secrets";
    world.patch(path, json!({"metadata": {"labels": {"touched": "now"}}}));
    finish(child).code(4).says("backend-secrets was written while the pod of job").says("nothing was changed");
    nothing_is_left_of_it(&world);
    assert_eq!(world.versions("acme_account_secret_back_compat"), "1:ENABLED");
}

#[test]
fn a_log_that_breaks_off_is_read_on() {
    let world = rotated();
    world.fault("reset", Some("get/pods/log"));
    let ran = world.run(&finalize("echo once", &[])).code(0);
    assert_eq!(ran.stderr.matches("output   once").count(), 1, "{}", ran.stderr);
    let asked = world.log().into_iter().filter(|entry| by_the_program(entry) && entry["operation"] == "get/pods/log");
    assert!(asked.count() >= 2);
}

#[test]
fn an_answer_that_is_lost_makes_no_second_job() {
    let world = rotated();
    world.fault("lost-answer", Some("create/jobs"));
    world.run(&finalize("echo once", &[])).code(0);
    let created = world.log().into_iter().filter(|entry| by_the_program(entry) && entry["operation"] == "create/jobs");
    assert_eq!(created.count(), 1);
    let runs = world.pods("acme").into_iter().filter(|pod| pod["kind"] == "Job").count();
    assert_eq!(runs, 1);
    nothing_is_left_of_it(&world);
}

#[needs(kubectl)]
#[test]
fn the_real_kubectl_runs_jobs_in_the_sandbox() {
    let world = World::start(&["--accounts=1"]);
    let kubectl = |args: &[&str]| world.tool("kubectl", &[&["-n", "acme"], args].concat());
    kubectl(&["create", "job", "hello", "--image=x", "--", "echo", "one", "two"]).code(0);
    kubectl(&["wait", "--for=condition=complete", "job/hello", "--timeout=60s"]).code(0);
    assert_eq!(kubectl(&["logs", "job/hello"]).code(0).stdout, "one two\n");
    kubectl(&["create", "job", "talks", "--image=x", "--", "echo", "one\ntwo\nthree"]).code(0);
    kubectl(&["wait", "--for=condition=complete", "job/talks", "--timeout=60s"]).code(0);
    assert_eq!(kubectl(&["logs", "-f", "--tail=2", "job/talks"]).code(0).stdout, "two\nthree\n");
    let dated = kubectl(&["logs", "--timestamps", "--tail=1", "job/talks"]).code(0).stdout;
    assert!(dated.trim_end().ends_with("Z three"), "{dated}");
    kubectl(&["create", "job", "fails", "--image=x", "--", "no-such-program"]).code(0);
    kubectl(&["wait", "--for=jsonpath={.status.failed}=1", "job/fails", "--timeout=60s"]).code(0);
    let shown = kubectl(&["get", "jobs"]).code(0).stdout;
    assert!(shown.contains("hello   Complete   1/1"), "{shown}");
    kubectl(&["delete", "job", "hello", "talks", "fails"]).code(0);
    world.until("the end of their pods", |world| {
        let pods = world.sent("GET", &format!("{PODS}?labelSelector=job-name"), None);
        pods["items"].as_array().is_some_and(Vec::is_empty)
    });
}
