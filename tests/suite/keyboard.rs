//! The person at the keyboard at 3 a.m., with kubectl's and gcloud's habits: what is asked, who is at work, one cause with one hint, several
//! accounts, nothing to do, and what people type.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::output::Terminal;
use crate::world::{Ran, World, external_secret, finish, lease, primary};

/// Protects the contexts of the sandbox, with these lines more in the settings.
fn protect(world: &World, more: &str) {
    let directory = world.home().join(".config").join("kubectl-deepdesk");
    std::fs::create_dir_all(&directory).expect("made");
    std::fs::write(directory.join("settings.yaml"), format!("protectedContexts: ['sandbox-*']\n{more}"))
        .expect("written");
}

/// Puts somebody else at work on an account, as our Lease tells it.
fn at_work(world: &World, account: &str) {
    let now = format!("{:.6}", jiff::Timestamp::now());
    let held = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "deepdesk-rotation", "namespace": account, "annotations": {
            "deepdesk.com/holder-machine": "00000001 bastion",
            "deepdesk.com/holder-step": format!("00000001 restart {now}"),
        }},
        "spec": {"holderIdentity": "ann@laptop (00000001)", "leaseDurationSeconds": 600, "acquireTime": now, "renewTime": now},
    });
    world.sent("POST", lease(account).trim_end_matches("/deepdesk-rotation"), Some(held));
}

fn pin(world: &World, account: &str) {
    let path = external_secret(account, "admin-secrets");
    let mut object = world.sent("GET", &path, None);
    object["spec"]["data"][0]["remoteRef"]["version"] = "3".into();
    world.patch(&path, json!({"spec": {"data": object["spec"]["data"]}}));
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|one| one.as_str().expect("text")).collect()
}

// 1. The first day

#[test]
fn check_over_all_accounts_groups_them_by_what_stands_in_the_way() {
    let world = World::start(&["--seed=7", "--accounts=8"]);
    pin(&world, "globex");
    pin(&world, "account-004");
    world.set(&primary("account-005"), 2, "enable");
    let ran = world.run(&["check", "-A", "-o", "json"]).code(3);
    let list = ran.json();
    assert_eq!((&list["kind"], &list["exitCode"]), (&json!("List"), &json!(3)));
    assert_eq!(list["items"].as_array().map(Vec::len), Some(8));
    assert_eq!(texts(&list["ready"]), ["account-006", "account-007", "account-008", "acme", "initech"]);
    let groups = list["groups"].as_array().expect("groups");
    let refused: Vec<&Value> = groups.iter().filter(|group| group["result"] == "fail").collect();
    assert_eq!(refused.len(), 2, "{groups:#?}");
    assert_eq!(
        (&refused[0]["id"], texts(&refused[0]["accounts"])),
        (&json!("DD-ES-PINNED"), vec!["account-004", "globex"])
    );
    assert_eq!(texts(&refused[1]["accounts"]), ["account-005"]);
    assert_eq!(
        texts(&refused[1]["command"])[..6],
        ["kubectl", "deepdesk", "secret", "rotate", "account-005", "--adopt"],
        "its one way on"
    );
    assert_eq!(texts(&refused[0]["command"])[..3], ["kubectl", "deepdesk", "check"]);
    let told = world.run(&["check", "-A"]).code(3).stdout;
    assert!(told.starts_with("5 of 8 accounts ready to rotate\n"), "{told}");
    assert!(
        told.contains("refuses: 2: an ExternalSecret pins a version [DD-ES-PINNED]\n    account-004 globex\n"),
        "{told}"
    );
    // What is hinted at can be typed.
    let command: Vec<&str> = texts(&refused[0]["command"])[2..].to_vec();
    world.run(&command).code(3);
    assert_eq!(world.writes(), [] as [&str; 0]);
    let labelled = world.run(&["check", "-l", "account in (acme,globex)", "-o", "json"]).code(3).json();
    assert_eq!(labelled["items"].as_array().map(Vec::len), Some(2));
}

// 2. Questions

#[test]
fn a_yes_alone_is_too_little_where_something_is_given_up() {
    let world = World::start(&["--seed=7"]);
    let before = world.log().len();
    let cases: [&[&str]; 5] = [
        &["secret", "rotate", "acme", "--abandon-older", "--yes"],
        &["secret", "finalize", "acme", "--destroy", "--reencrypted", "--yes"],
        &["secret", "finalize", "acme", "--retired", "primary/3", "--reencrypted", "-y"],
        &["secret", "rotate", "acme", "--yes=globex"],
        &["secret", "rotate", "acme", "globex", "--abandon-older", "--yes=acme"],
    ];
    for args in cases {
        let ran = world.run(args).code(2);
        assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    }
    assert_eq!(world.log().len(), before, "nothing was read");
    world.run(&["secret", "rotate", "acme", "--abandon-older", "--yes=acme"]).code(0);
    world.run(&["secret", "rotate", "globex", "--abandon-older", "--yes", "--dry-run"]).code(0);
}

#[test]
fn a_protected_context_wants_the_name_of_every_change() {
    let world = World::start(&["--seed=7"]);
    protect(&world, "");
    let before = world.log().len();
    for verb in ["rotate", "sync", "restart", "rollback"] {
        world.run(&["secret", verb, "acme", "--yes"]).code(2).says("this context is protected");
    }
    assert_eq!(world.log().len(), before, "nothing was read");
    for verb in ["sync", "restart"] {
        world.run(&["secret", verb, "acme"]).code(2).says("--yes=acme");
        world.run(&["secret", verb, "acme", "--dry-run"]).code(0);
        world.run(&["secret", verb, "acme", "--yes=acme"]).code(0);
    }
    let mut terminal = Terminal::open(&world, &["secret", "sync", "acme"]);
    terminal.until("Type the account's name");
    terminal.types("y\r");
    terminal.ends(1);
    // Of several accounts it is the context that is named.
    world.run(&["secret", "sync", "acme", "globex", "--yes=acme"]).code(2);
    world.run(&["secret", "sync", "acme", "globex", "--yes=sandbox-acme"]).code(0);
    protect(&world, "allowUnattended: true\n");
    world.run(&["secret", "sync", "acme", "--yes"]).code(0);
    world.run(&["secret", "sync", "acme"]).code(2);
}

#[test]
fn a_list_is_filtered_by_what_is_typed() {
    let world = World::start(&["--seed=7"]);
    let copy = world.home().join("kubeconfig");
    let text = std::fs::read_to_string(&world.environment()["KUBECONFIG"]).expect("readable");
    std::fs::write(&copy, text.replace("namespace: acme", "namespace: default")).expect("written");
    let copy = copy.display().to_string();
    let mut terminal = Terminal::open(&world, &["secret", "verify", "--kubeconfig", &copy]);
    terminal.until("initech");
    terminal.types("glo");
    std::thread::sleep(Duration::from_millis(200));
    terminal.types("\r");
    let shown = terminal.ends(0);
    assert!(shown.contains("globex: all on primary v3"), "{shown}");
}

#[test]
fn a_restart_of_pods_that_nothing_proves_is_asked_about() {
    let world = World::start(&["--seed=7"]);
    world.run(&["secret", "sync", "acme"]).code(0);
    // Only a write that came after the pods began leaves them unproven, in whole seconds.
    let mut touched = 0;
    world.until("pods are unproven", |world| {
        touched += 1;
        let labels = json!({"metadata": {"labels": {"touched": format!("t{touched}")}}});
        world.patch("/api/v1/namespaces/acme/secrets/admin-secrets", labels);
        let seen = world.run(&["secret", "verify", "acme", "-o", "json"]).json();
        let consumers = seen["consumers"].as_array().cloned().unwrap_or_default();
        consumers.iter().any(|consumer| consumer["unproven"].as_u64().unwrap_or(0) > 0)
    });
    let before = world.writes();
    world.run(&["secret", "restart", "acme"]).code(2).says("pass --yes to confirm");
    let mut terminal = Terminal::open(&world, &["secret", "restart", "acme"]);
    terminal.until("not shown to have started with any version");
    terminal.types("n\r");
    terminal.ends(1);
    assert_eq!(world.writes(), before);
    world.run(&["secret", "restart", "acme", "--yes"]).code(0);
}

// 3. Who is at work

#[test]
fn who_is_at_work_is_told_where_one_looks_and_nobody_is_told_to_finish_it() {
    let world = World::start(&["--seed=7"]);
    at_work(&world, "globex");
    let told = |ran: &Ran| format!("{}{}", ran.stdout, ran.stderr);
    for args in [
        &["secret", "status", "globex"] as &[&str],
        &["secret", "status", "-A"],
        &["secret", "verify", "globex"],
        &["account", "list", "-o", "human"],
        &["check", "globex"],
    ] {
        let said = told(&world.run(args));
        for part in ["ann@laptop (00000001) is at work", "since 20", "at the step restart", "on bastion"] {
            assert!(said.contains(part), "{args:?}: {part}:\n{said}");
        }
    }
    let status = world.run(&["secret", "status", "globex", "-o", "json"]).code(0).json();
    assert_eq!(status["atWork"]["machine"], "bastion");
    assert_eq!(status["atWork"]["step"], "restart");
    // A change is refused before anybody is asked, and for that reason alone.
    let mut terminal = Terminal::open(&world, &["secret", "rotate", "globex"]);
    let shown = terminal.until("[end]");
    assert!(shown.contains("exit 4") && !shown.contains("Plan for"), "{shown}");
    terminal.ends(4);

    // In the middle of somebody's rotation nobody else is told to end it.
    world.set(&primary("globex"), 2, "enable");
    for args in [
        &["secret", "status", "globex"] as &[&str],
        &["secret", "verify", "globex"],
        &["secret", "rotate", "globex", "--yes"],
        &["check", "globex"],
    ] {
        let said = told(&world.run(args));
        assert!(!said.contains("finish") && !said.contains("--adopt"), "{args:?}:\n{said}");
    }
    let status = world.run(&["secret", "status", "globex", "-o", "json"]).json();
    assert_eq!(status["due"], Value::Null);
}

#[test]
fn a_run_notes_its_step_and_machine_for_others() {
    let world = World::start(&["--seed=7", "--fault=pod-slow-to-stop=60s"]);
    let child = world.spawn(&["secret", "rotate", "acme", "--yes"]);
    world.until("the restart", |world| {
        let status = world.run(&["secret", "status", "acme", "-o", "json"]).json();
        status["atWork"]["step"] == "restart"
    });
    let status = world.run(&["secret", "status", "acme", "-o", "json"]).json();
    let machine = status["atWork"]["machine"].as_str().expect("text");
    assert!(
        !machine.is_empty() && status["atWork"]["heldBy"].as_str().is_some_and(|by| by.contains(machine)),
        "{status:#}"
    );
    assert_eq!(status["due"], Value::Null, "it is theirs to end");
    world.heal("pod-slow-to-stop");
    finish(child);
    let status = world.run(&["secret", "status", "acme", "-o", "json"]).json();
    assert_eq!(status["atWork"], Value::Null);
}

#[test]
fn a_lost_connection_is_told_while_it_lasts() {
    let world = World::start(&["--seed=7"]);
    let watch = world
        .command(&["secret", "status", "acme", "--watch"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let id = watch.id().to_string();
    std::thread::sleep(Duration::from_secs(3));
    world.fault("unavailable", Some("100000"));
    std::thread::sleep(Duration::from_secs(22));
    world.heal("unavailable");
    std::thread::sleep(Duration::from_secs(14));
    world.tool("kill", &["-INT", &id]);
    let ran = finish(watch).code(130);
    assert!(ran.stderr.contains("no connection for "), "{}", ran.stderr);
    assert!(ran.stderr.contains("the connection is restored"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("Unknown"), "what was seen stays: {}", ran.stdout);
}

// 4. One cause, one hint

#[test]
fn a_namespace_that_does_not_exist_is_one_line_with_the_nearest_name() {
    let world = World::start(&["--seed=7"]);
    for args in [
        &["secret", "verify", "acem"] as &[&str],
        &["secret", "status", "acem"],
        &["secret", "rotate", "acem", "--yes"],
        &["secret", "finalize", "acem", "--yes", "--reencrypted"],
        &["secret", "sync", "acem"],
        &["secret", "restart", "acem", "--yes"],
        &["check", "acem"],
    ] {
        let ran = world.run(&[args, &["--progress", "none"]].concat()).code(1);
        assert_eq!(ran.stdout, "", "{args:?}");
        assert_eq!(ran.stderr, "error: namespace \"acem\" does not exist\nhint: did you mean acme?\n", "{args:?}");
        let result = world.run(&[args, &["-o", "json", "--progress", "none"]].concat()).code(1).json();
        assert_eq!((&result["reason"], &result["exitCode"]), (&json!("NoSuchNamespace"), &json!(1)), "{args:?}");
        assert_eq!(result["checks"], json!([]), "nothing passes: {args:?}");
    }
    assert_eq!(world.writes(), [] as [&str; 0]);
}

// 5. Several accounts

#[test]
fn of_several_accounts_each_is_told_of_whatever_came_of_it() {
    let world = World::start(&["--seed=7"]);
    pin(&world, "globex");
    let args = ["secret", "rotate", "acme", "globex", "initech", "--yes", "--progress", "none"];
    let list = world.run(&[&args[..], &["-o", "json", "--dry-run"]].concat()).json();
    assert_eq!((&list["kind"], &list["exitCode"]), (&json!("List"), &json!(4)), "nothing was done");
    let ran = world.run(&[&args[..], &["-o", "json"]].concat()).code(5);
    let list = ran.json();
    let told: Vec<(&str, u64, &str)> = list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| {
            let text = |field: &str| item[field].as_str().expect("text");
            (text("account"), item["exitCode"].as_u64().expect("a number"), text("reason"))
        })
        .collect();
    assert_eq!(told, [("acme", 0, ""), ("globex", 4, "CheckFailed"), ("initech", 4, "NotBegun")]);
    assert_eq!((&list["exitCode"], &list["reason"]), (&json!(5), &json!("CheckFailed")));
    assert!(list["problem"]["message"].as_str().is_some_and(|line| line.contains("DD-ES-PINNED")), "{list:#}");
    assert_eq!(list["items"][0]["problem"], Value::Null);
    assert!(ran.stderr.contains("now: not started: initech"), "{}", ran.stderr);
    let text = world.run(&["secret", "rotate", "globex", "initech", "--yes", "--progress", "none"]).code(4);
    assert!(text.stdout.contains("not started: initech") && text.stderr.contains("not started: initech"), "{text:?}");
}

#[test]
fn json_is_an_object_or_a_list_by_the_form_of_the_call() {
    let world = World::start(&["--seed=7"]);
    let kind = |args: &[&str]| {
        let ran = world.run(&[args, &["-o", "json"]].concat());
        let result: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {ran:?}"));
        assert_eq!(result["exitCode"], ran.code, "{args:?}");
        assert_eq!(result["reason"].as_str().expect("text").is_empty(), ran.code == 0, "{args:?}");
        assert!(result.get("problem").is_some(), "{args:?}: {result:#}");
        (result["kind"].as_str().expect("text").to_owned(), result["items"].as_array().map(Vec::len))
    };
    let list = |count| ("List".to_owned(), Some(count));
    let one = |kind: &str| (kind.to_owned(), None);
    assert_eq!(kind(&["secret", "verify", "acme"]), one("SecretVerification"));
    assert_eq!(kind(&["secret", "verify"]), one("SecretVerification"));
    assert_eq!(kind(&["secret", "verify", "acme", "acme"]), list(1));
    assert_eq!(kind(&["secret", "verify", "-l", "account=acme"]), list(1));
    assert_eq!(kind(&["secret", "verify", "-l", "account=none"]), list(0));
    assert_eq!(kind(&["secret", "verify", "-A"]), list(3));
    assert_eq!(kind(&["secret", "status", "acme", "globex"]), list(2));
    assert_eq!(kind(&["check", "-l", "account=acme"]), list(1));
    // Also where nothing could be begun.
    for nowhere in [["--context", "nope"], ["--server", "http://127.0.0.1:9"]] {
        assert_eq!(kind(&[&["secret", "verify", "acme"], &nowhere[..]].concat()), one("SecretVerification"));
        assert_eq!(kind(&[&["secret", "rotate", "acme", "globex", "--yes"], &nowhere[..]].concat()), list(2));
        assert_eq!(kind(&[&["secret", "status", "acme"], &nowhere[..]].concat()), one("SecretStatus"));
        assert_eq!(kind(&[&["secret", "status", "-A"], &nowhere[..]].concat()), list(0));
        assert_eq!(kind(&[&["account", "list"], &nowhere[..]].concat()), ("AccountList".to_owned(), Some(0)));
        assert_eq!(kind(&[&["config", "list", "acme"], &nowhere[..]].concat()), one("Config"));
    }
    assert_eq!(kind(&["cluster", "list"]).0, "ContextList");
    assert_eq!(kind(&["cluster", "list", "--kubeconfig", "/nowhere"]), ("ContextList".to_owned(), Some(0)));
    assert_eq!(kind(&["config", "list", "acme", "globex"]), one("Usage"));
    assert_eq!(kind(&["config", "list", "acme", "--configuration", "nope"]), one("Config"));
    assert_eq!(kind(&["check", "--explain", "DD-NONE"]), one("CheckExplanation"));
    assert_eq!(kind(&["secret", "rotate", "acme", "--abandon-older", "--yes"]), one("SecretRotation"));
    assert_eq!(kind(&["secret", "rotate", "acme", "--yess"]), one("Usage"));
    assert_eq!(kind(&["check", "acme", "--only", "DD-NONE"]), one("Check"));
}

// 6. Nothing to do is said so

#[test]
fn nothing_to_do_is_said_so() {
    let world = World::start(&["--seed=7"]);
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    let verified = world.run(&["secret", "verify", "acme"]).code(0);
    assert!(verified.stdout.contains("what v7 held"), "{}", verified.stdout);
    assert!(!verified.stdout.contains("holds back-compat v1"), "{}", verified.stdout);
    let result = world.run(&["secret", "verify", "acme", "-o", "json"]).code(0).json();
    assert_eq!(
        (&result["backCompat"]["holds"], &result["backCompat"]["sameAs"]),
        (&json!("back-compat v1"), &json!("primary v7"))
    );
    let finalize = ["secret", "finalize", "acme", "--yes", "--reencrypted"];
    let first = world.run(&finalize).code(0);
    assert!(first.stdout.starts_with("acme finalized"), "{}", first.stdout);
    let again = world.run(&finalize).code(0);
    assert!(again.stdout.starts_with("acme: nothing to do"), "{}", again.stdout);
    assert_eq!(world.run(&[&finalize[..], &["-o", "json"]].concat()).code(0).json()["nothingToDo"], true);
}

#[test]
fn an_interrupt_at_the_question_says_that_nothing_was_changed() {
    let world = World::start(&["--seed=7"]);
    let mut terminal = Terminal::open(&world, &["secret", "rotate", "acme"]);
    terminal.until("Rotate acme?");
    terminal.types("\u{3}");
    let shown = terminal.ends(130);
    assert!(shown.contains("nothing was changed"), "{shown}");
    assert!(!shown.contains("incomplete") && !shown.contains("stopping at the next safe point"), "{shown}");
    assert_eq!(world.writes(), [] as [&str; 0]);
}

#[test]
fn a_crash_on_the_new_value_says_its_last_words() {
    let world = World::start(&["--seed=7", "--fault=rollout-stuck=backend"]);
    let ran = world.run(&["secret", "rotate", "acme", "--yes", "--timeout", "3s", "--progress", "none"]).code(5);
    assert!(ran.stderr.contains("ended with exit code 1; its log ends with: the sandbox was told"), "{}", ran.stderr);
}

// 7. Habits

#[test]
fn flags_may_stand_before_the_command_and_help_is_a_word() {
    let world = World::start(&["--seed=7"]);
    let before = world.run(&["-n", "globex", "-o", "json", "secret", "verify"]).code(0).json();
    assert_eq!(before["account"], "globex");
    world.run(&["--context", "nope", "secret", "verify", "acme"]).code(1).says("nope");
    let help = world.run(&["secret", "rotate", "--help"]).code(0).stdout;
    assert_eq!(world.run(&["help", "secret", "rotate"]).code(0).stdout, help);
    assert_eq!(world.run(&["secret", "help", "rotate"]).code(0).stdout, help);
    assert_eq!(world.run(&["help"]).code(0).stdout, world.run(&["--help"]).code(0).stdout);
    world.run(&["rotate", "acme"]).code(2).says("secret rotate");
    world.run(&["secret", "check", "acme"]).code(2).says("deepdesk check`?");
}

#[test]
fn every_check_is_listed_and_explained() {
    let world = World::start(&["--seed=7"]);
    let before = world.log().len();
    let list = world.run(&["check", "--list", "-o", "json"]).code(0).json();
    let items = list["items"].as_array().expect("a list").clone();
    assert!(items.len() > 35, "{}", items.len());
    let table = world.run(&["check", "--list"]).code(0).stdout;
    for item in items {
        let id = item["id"].as_str().expect("text");
        assert!(table.contains(id));
        let told = world.run(&["check", "--explain", id]).code(0).stdout;
        assert!(told.starts_with(id) && told.len() > 150, "{told}");
    }
    world.run(&["check", "--explain", "DD-ES-PINED"]).code(2).says("DD-ES-PINNED");
    assert_eq!(world.log().len(), before, "nothing was asked");
}

#[test]
fn a_server_dry_run_says_so() {
    let world = World::start(&["--seed=7"]);
    for verb in ["rotate", "sync", "restart"] {
        let client = world.run(&["secret", verb, "acme", "--dry-run", "--progress", "none"]).code(0).stdout;
        assert!(client.contains("(dry run)"), "{verb}: {client}");
        let server = world.run(&["secret", verb, "acme", "--dry-run=server", "--progress", "none"]).code(0).stdout;
        assert!(server.contains("(server dry run: the API server has nothing against"), "{verb}: {server}");
    }
}

#[test]
fn ages_agree_between_forms_and_tables_fit_the_window() {
    let world = World::start(&["--seed=7"]);
    world.run(&["secret", "rotate", "acme", "--yes", "--soak", "3s"]).code(0);
    let record = world.run(&["secret", "status", "acme", "-o", "json"]).code(0).json();
    assert_eq!(record["inUseSince"], record["lastRotation"]["at"]);
    let wide = world.run(&["secret", "status", "acme", "-o", "wide"]).code(0).stdout;
    let human = world.run(&["secret", "status", "acme"]).code(0).stdout;
    let list = world.run(&["account", "list", "-o", "human"]).code(0).stdout;
    let seconds = |text: &str, at: usize| {
        let row = text.lines().find(|line| line.starts_with("acme")).expect("a row");
        let cell = row.split_whitespace().nth(at).expect("a cell");
        cell.strip_suffix('s').and_then(|cell| cell.parse::<i64>().ok()).unwrap_or_else(|| panic!("{cell} in {row}"))
    };
    let list_age = list.lines().find(|line| line.starts_with("acme")).expect("a row").split_whitespace().count() - 1;
    let ages = [seconds(&wide, 3), seconds(&human, 3), seconds(&list, list_age)];
    assert!(ages.iter().max().zip(ages.iter().min()).is_some_and(|(max, min)| max - min <= 2), "{ages:?}");
    for text in [&human, &list] {
        let table = text.lines().take_while(|line| !line.is_empty());
        assert!(table.clone().all(|line| line.chars().count() <= 80), "{text}");
    }
}

#[needs(kubectl)]
#[test]
fn the_operator_is_who_the_system_and_the_api_server_say() {
    let world = World::start(&["--seed=7"]);
    // USER says `tester`, as anybody may make it say.
    let report = world.home().join("report.html");
    let report_arg = report.display().to_string();
    let args =
        ["secret", "rotate", "acme", "--yes", "--strategy", "two-phase", "--report", &report_arg, "--token", "t0k3n"];
    world.run(&args).code(0);
    let status = world.run(&["secret", "status", "acme", "-o", "json"]).code(0).json();
    let by = status["lastRotation"]["by"].as_str().expect("text");
    assert!(!by.contains("tester"), "{by}");
    let me = world.tool("id", &["-un"]).stdout.trim().to_owned();
    assert!(by.contains(&format!("{me}@")), "{by}");
    let whom = world.tool("kubectl", &["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    assert!(whom.code != 0 || by.contains(whom.stdout.trim()), "{by} {whom:?}");
    let page = std::fs::read_to_string(&report).expect("a page");
    assert!(page.contains("--strategy two-phase") && page.contains("(not shown)"), "the flags that were given");
    assert!(!page.contains("t0k3n"));
    let json = std::fs::read_to_string(report.with_extension("json")).expect("JSON");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(texts(&json["arguments"])[..5], ["secret", "rotate", "acme", "--yes", "--strategy"]);
    assert!(json["operator"].as_str().is_some_and(|operator| operator.contains(&me)), "{}", json["operator"]);
}

#[needs(bash)]
#[test]
fn the_sandboxs_shell_shows_that_one_is_in_it() {
    let world = World::start(&["--seed=7"]);
    let shell = Terminal::in_shell(&world, "bash", &["sandbox", "shell", "--accounts", "1"]);
    let mut shell = shell;
    shell.until("(sandbox)");
    shell.types("echo in:${DEEPDESK_SANDBOX_URL%:*}; exit\r");
    let shown = shell.until("in:http://127.0.0.1");
    assert!(shown.contains("this shell talks to a sandbox"), "{shown}");
}
