//! `secret status`: each state, who is selected, each form, what it costs, what it says of what it cannot see.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::output::{FIELDS, Terminal, shown, snapshot};
use crate::world::{World, back_compat, by_the_program, external_secret, primary};

fn status(world: &World, account: &str) -> Value {
    world.run(&["secret", "status", account, "-o", "json"]).code(0).json()
}

/// The state, what is due, and its commands without their common beginning.
fn brief(world: &World, account: &str) -> String {
    let seen = status(world, account);
    let commands = seen["due"]["commands"].as_array().cloned().unwrap_or_default();
    let commands: Vec<String> =
        commands.iter().map(|line| line.as_str().expect("text").replace("kubectl deepdesk secret ", "")).collect();
    format!("{} {} [{}]", seen["state"].as_str().expect("text"), seen["due"]["action"], commands.join(", "))
}

#[test]
fn each_state_is_told_with_the_command_for_it() {
    let world = World::start(&["--seed=7"]);
    assert_eq!(brief(&world, "acme"), "Stable null []");
    world.fault("rollout-stuck", Some("backend"));
    world.run(&["secret", "rotate", "acme", "--yes", "--timeout", "1s"]).code(5);
    assert_eq!(brief(&world, "acme"), "Rotating \"rotate\" [rotate acme, rollback acme]");
    let seen = status(&world, "acme");
    assert_eq!(seen["backCompat"]["live"], true);
    assert!(seen["neededBecause"].as_str().expect("text").contains("from v7 to v8 is not committed"), "{seen}");
    world.heal("rollout-stuck");
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    assert_eq!(brief(&world, "acme"), "AwaitingReencryption \"finalize\" [finalize acme]");
    let seen = status(&world, "acme");
    let last = &seen["lastRotation"];
    assert_eq!((&last["from"], &last["to"]), (&"v7".into(), &"v8".into()));
    assert!(last["by"].as_str().expect("text").contains('@'), "{last}");
    let times = ["/lastRotation/at", "/inUseSince", "/liveSince"].map(|at| seen.pointer(at).expect("there").clone());
    for time in &times {
        time.as_str().expect("text").parse::<jiff::Timestamp>().expect("a time");
    }
    world.set(&primary("acme"), 8, "disable");
    let way = "gcloud secrets versions enable 8 --secret=acme_account_secret --project=sandbox-project";
    assert_eq!(brief(&world, "acme"), format!("Blocked \"repair\" [{way}]"));
    // A value by hand that External Secrets does not copy.
    let gone = "sync-failing";
    world.fault(gone, Some("backend-secrets"));
    world.sync("globex", "backend-secrets");
    world.until("it fails", |world| brief(world, "globex").starts_with("Stable \"verify\""));
    world.add(&primary("globex"), "c29tZXRoaW5nIGVsc2UgdGhhdCBpcyBsb25nIGVub3VnaCB0byBiZSBhIGtleQ==");
    world.set(&primary("globex"), 3, "disable");
    world.add(&back_compat("globex"), &world.value(&primary("globex"), "latest").expect("enabled"));
    // What was in use is in the cluster alone, and a sync would write over it.
    assert_eq!(brief(&world, "globex"), "Blocked \"repair\" [rotate globex --adopt]");
}

#[test]
fn forms_are_as_they_were() {
    let world = World::start(&["--seed=7"]);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    for output in ["human", "wide", "json", "yaml", "name"] {
        let ran = world.run(&["secret", "status", "acme", "-o", output]).code(0);
        snapshot(&format!("status-{output}"), &without_ages(&shown(&ran)));
        let ran = world.run(&["secret", "status", "-A", "-o", output]).code(0);
        snapshot(&format!("status-all-{output}"), &without_ages(&shown(&ran)));
    }
    let two = world.run(&["secret", "status", "acme", "globex", "-o", "json"]).code(0).json();
    assert_eq!((&two["kind"], two["items"].as_array().map(Vec::len)), (&"List".into(), Some(2)));
    let one = world.run(&["secret", "status", "-l", "account=globex", "-o", "json"]).code(0).json();
    assert_eq!((&one["kind"], &one["items"][0]["account"]), (&"List".into(), &"globex".into()));
    // What every result has, a status has too.
    for field in FIELDS {
        assert!(one["items"][0].get(field).is_some(), "{field}");
    }
    let mut terminal = Terminal::open(&world, &["secret", "status", "-A"]);
    terminal.until("finalize acme");
    let screen = terminal.ends(0);
    snapshot("status-terminal", &without_ages(screen.split("exit 0").next().expect("text")));
}

/// Ages in seconds differ from run to run, and with them the widths of columns.
fn without_ages(text: &str) -> String {
    let is_age = |word: &str| {
        let number = word.trim_start_matches('(').strip_suffix('s').unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let line = |line: &str| {
        let words = line.split_whitespace().map(|word| if is_age(word) { "[age]" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn accounts_are_selected() {
    let world = World::start(&["--seed=7"]);
    let names = |args: &[&str]| {
        let ran = world.run(&[&["secret", "status", "-o", "name"], args].concat()).code(0);
        ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&[]), "acme");
    assert_eq!(names(&["globex", "acme", "globex"]), "globex acme");
    assert_eq!(names(&["-A"]), "acme globex initech");
    assert_eq!(names(&["-l", "account in (globex,initech)"]), "globex initech");
    assert_eq!(names(&["-A", "-l", "account!=acme"]), "globex initech");
    // The sandbox's versions are 30 days old.
    assert_eq!(names(&["-A", "--older-than", "29d"]), "acme globex initech");
    assert_eq!(names(&["-A", "--older-than", "5w"]), "");
    world.run(&["secret", "status", "-l", "account=nobody"]).code(0).says("no account's namespace matches the labels");
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    assert_eq!(names(&["-A", "--older-than", "1h"]), "globex initech");
    let due = world.run(&["secret", "status", "globex", "--older-than", "1d"]).code(0);
    assert!(due.stdout.contains("kubectl deepdesk secret rotate globex"), "{}", due.stdout);
}

#[test]
fn the_exit_code_tells_whether_all_is_well() {
    let world = World::start(&["--seed=7"]);
    world.run(&["secret", "status", "-A", "--exit-code"]).code(0);
    world.run(&["secret", "status", "-A", "--exit-code", "--older-than", "1d"]).code(3);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    let ran = world.run(&["secret", "status", "-A", "--exit-code", "-o", "json"]).code(3).json();
    let codes: Vec<&Value> = ran["items"].as_array().expect("a list").iter().map(|item| &item["exitCode"]).collect();
    assert_eq!(codes, [3, 0, 0]);
    world.run(&["secret", "status", "globex", "--exit-code"]).code(0);
    world.run(&["secret", "status", "-A"]).code(0);
}

#[test]
fn wrong_input_is_refused_in_one_line() {
    let world = World::start(&["--seed=7"]);
    for (code, says, args) in [
        (2, "cannot be used with", &["-A", "acme"] as &[&str]),
        (2, "cannot be used with", &["-l", "a=b", "-n", "acme"]),
        (2, "cannot be used with", &["--watch", "--exit-code"]),
        (2, "not an age such as 90d", &["--older-than", "soon"]),
        (2, "is not a label selector", &["-l", "a in (", "-o", "name"]),
        (2, "never an account", &["kube-system"]),
    ] {
        let ran = world.run(&[&["secret", "status"], args].concat()).code(code).says(says);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
}

#[test]
fn what_cannot_be_seen_is_said() {
    let world = World::start(&["--seed=7"]);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    world.fault("denied", Some("secretmanager.versions.access"));
    let ran = world.run(&["secret", "status", "-A", "-o", "json"]).code(1).says("secretmanager.versions.access");
    let ran = ran.says("2 more accounts could not be seen").json();
    let acme = &ran["items"][0];
    assert_eq!((&acme["state"], &acme["reason"]), (&"Unknown".into(), &"Forbidden".into()));
    // What the cluster says is said all the same.
    assert_eq!(acme["lastRotation"]["to"], "v8");
    let human = world.run(&["secret", "status", "-A"]).code(1);
    assert!(human.stdout.contains("Unknown"), "{}", human.stdout);
    world.heal("denied");
    // Without the right to list versions nothing is missing but ages that no rotation recorded.
    world.fault("denied", Some("secretmanager.versions.list"));
    let ran = world.run(&["secret", "status", "-A", "-o", "json"]).code(0).says("the age of 2 accounts is not known");
    let since: Vec<bool> =
        ran.json()["items"].as_array().expect("a list").iter().map(|item| item["inUseSince"].is_null()).collect();
    assert_eq!(since, [false, true, true]);
}

#[test]
fn who_may_not_list_all_namespaces_asks_each() {
    let world = World::start(&["--seed=7"]);
    let server = crate::accounts::guarded(&world, "/api/v1/pods");
    let ran = world.run(&["secret", "status", "-A", "-o", "name", "--server", &server]).code(0);
    assert_eq!(ran.stdout, "acme\nglobex\ninitech\n");
    let server = crate::accounts::guarded(&world, "/apis/external-secrets.io/v1/externalsecrets");
    let args = ["secret", "status", "-A", "-o", "name", "--server", &server, "--context", "sandbox-globex"];
    let ran = world.run(&args).code(0).says("only globex was looked at");
    assert_eq!(ran.stdout, "globex\n");
    world.run(&[&args as &[&str], &["--exit-code"]].concat()).code(3);
}

/// Requests of the program since then: of Secret Manager by class, of the cluster all.
fn spent(world: &World, after: usize) -> (usize, usize, usize) {
    let log = world.log_after(after);
    let own: Vec<&Value> = log.iter().filter(|entry| by_the_program(entry)).collect();
    let of =
        |class: &str| own.iter().filter(|entry| entry["api"] == "secret-manager" && entry["class"] == class).count();
    assert_eq!(own.iter().filter(|entry| entry["class"] == "write").count(), 0, "it changes nothing");
    let cluster = own.iter().filter(|entry| entry["api"] == "kubernetes").count();
    (of("metadata-read"), of("access"), cluster)
}

#[test]
fn one_account_costs_accesses_one_date_and_a_look_at_what_its_secrets_do_by_themselves() {
    let world = World::start(&["--seed=7"]);
    let after = world.log().len();
    world.run(&["secret", "status", "globex"]).code(0);
    let (metadata, accesses, _) = spent(&world, after);
    assert!(metadata <= 3 && accesses <= 5, "{metadata} reads of metadata, {accesses} accesses");
    world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
    let after = world.log().len();
    world.run(&["secret", "status", "globex"]).code(0);
    assert!(spent(&world, after).0 <= 2, "the record of the rotation tells the age");
}

#[test]
fn five_hundred_accounts_stay_within_the_quota() {
    let world = World::start(&["--accounts=500"]);
    // While thousands of pods start, the cluster's own work is what takes the time.
    let up = Instant::now();
    while !pods(&world).iter().all(|pod| pod["status"]["phase"] == "Running") {
        assert!(up.elapsed() < Duration::from_secs(300), "pods that never start");
        std::thread::sleep(Duration::from_millis(500));
    }
    let after = world.log().len();
    let started = Instant::now();
    let all = world.run(&["secret", "status", "-A", "-o", "json"]).code(0).json();
    let took = started.elapsed();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(500));
    let (metadata, accesses, cluster) = spent(&world, after);
    println!("500 accounts in {took:.1?}: {metadata} reads of metadata, {accesses} accesses, {cluster} of the cluster");
    // All of it within one minute's quota, whatever the minute.
    assert!(metadata <= 60 && accesses <= 2_500, "{metadata} reads of metadata, {accesses} accesses");
    // Two Secrets an account, by name; all else in pages of 500.
    assert!(cluster <= 2 * 500 + 60, "{cluster}");
    // Nothing waits for a quota, which would be a minute: it takes about as long as the same requests one after another,
    // sent by this test to the same machine, on which other tests come and go.
    let paced = one_after_another(&world, 100).mul_f64((accesses + 2 * 500) as f64 / 100.0) + lists(&world);
    println!("the same requests one after another: {paced:.1?}");
    assert!(took < paced * 5, "{took:?} against {paced:?}");
}

/// The time of so many accesses, one after another.
fn one_after_another(world: &World, count: usize) -> Duration {
    let started = Instant::now();
    for number in 0..count {
        assert!(world.value(&primary(&format!("account-{:03}", number + 4)), "latest").is_some());
    }
    started.elapsed()
}

/// The time of the lists of all namespaces, one page after another.
fn lists(world: &World) -> Duration {
    let started = Instant::now();
    pods(world);
    for kind in ["apps/v1/deployments", "apps/v1/replicasets", "external-secrets.io/v1/externalsecrets"] {
        all(world, &format!("/apis/{kind}"));
    }
    started.elapsed()
}

fn pods(world: &World) -> Vec<Value> {
    all(world, "/api/v1/pods")
}

/// All objects below this path, in pages of 500.
fn all(world: &World, path: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let page = world.sent("GET", &format!("{path}?limit=500&continue={next}"), None);
        found.extend(page["items"].as_array().into_iter().flatten().cloned());
        next = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        if next.is_empty() {
            return found;
        }
    }
}

#[test]
fn a_watch_tells_what_is_new_and_ends_by_ctrl_c() {
    let world = World::start(&["--seed=7"]);
    let mut child = world.spawn(&["secret", "status", "globex", "acme", "--watch"]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    assert!(line().starts_with("NAME "), "the titles come first");
    assert!(line().starts_with("globex ") && line().starts_with("acme "), "then a row each");
    world.patch(&external_secret("acme", "admin-secrets"), serde_json::json!({"metadata": {"labels": {"a": "b"}}}));
    // The changed label had the Secret written again, and nothing shows any more what its pods started with.
    world.run(&["secret", "restart", "acme", "--yes"]).code(0);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    // On the way other states may be seen; acme's alone.
    let mut last = line();
    while !last.contains("AwaitingReencryption") {
        assert!(last.starts_with("acme ") || last.starts_with("at work: acme"), "{last}");
        last = line();
    }
    // What fails on the way is a state too, and passes.
    world.fault("denied", Some("secretmanager.versions.access"));
    while !line().contains("Unknown") {}
    world.heal("denied");
    while !line().contains("AwaitingReencryption") {}
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let mut terminal = Terminal::open(&world, &["secret", "status", "acme", "--watch"]);
    terminal.until("AwaitingReencryption");
    world.set(&primary("acme"), 8, "disable");
    let shown = terminal.until("Blocked");
    assert!(!shown.contains("AwaitingReencryption"), "the row is redrawn in its place:\n{shown}");
    terminal.types("\u{3}");
    terminal.ends(130);
}
