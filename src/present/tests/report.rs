//! The report: a small one with fixed times as a snapshot, and one in which every text is hostile.

use super::fixtures::{check, event, observation, rotated, rotation, stopped};
use super::well_formed::{needs_nothing, tags};
use crate::known::KnownValues;
use crate::present::report::{self, AccountReport, JSON_MARK, MARK, Report};
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::names::VersionId;
use deepdesk_protocol::facts::observation::{Observation, PodView};
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::{AccountResult, StepResult, Verdict};
use deepdesk_protocol::trail::{Look, Span, Trail};

fn page(report: &Report) -> String {
    report::page(report, &KnownValues::default())
}

fn json(report: &Report) -> String {
    report::json(report, &KnownValues::default())
}

fn at(seconds: f64) -> jiff::Timestamp {
    event(seconds, StepName::Preflight, StepState::Started, "").time
}

fn pod(name: &str, version: u64, ready: bool, terminating: bool) -> PodView {
    PodView {
        name: name.to_owned(),
        version: VersionId::new(version),
        back_compat: VersionId::new(1),
        restart: Some(version.to_string()),
        compared: Default::default(),
        created: None,
        started: None,
        ready,
        trouble: None,
        terminating,
        place: Default::default(),
    }
}

fn seen(pods: &[PodView]) -> Observation {
    let mut now = observation();
    now.consumers.truncate(1);
    now.consumers[0].pods = pods.to_vec();
    now
}

/// Two syncs, and a pod that takes another one's place.
fn trail() -> Trail {
    let (old, new) = ("admin-3229c48601-6g9td", "admin-0845fdc1b6-wnmw8");
    let mut trail = Trail { events: rotation(), ..Trail::default() };
    for (step, from, to) in [(StepName::Stage, 1.0, 1.0), (StepName::Sync, 1.4, 5.6)] {
        for name in ["admin-secrets", "backend-secrets"] {
            let name = name.parse().expect("a name");
            trail.asked(at(from), step, &name, &name);
            trail.arrived(at(to), step, &name);
        }
    }
    trail.saw(at(0.1), &seen(&[pod(old, 7, true, false)]), Look::Consumers);
    trail.saw(at(6.0), &seen(&[pod(old, 7, true, false), pod(new, 8, false, false)]), Look::Consumers);
    trail.saw(at(9.0), &seen(&[pod(old, 7, true, true), pod(new, 8, true, false)]), Look::Consumers);
    trail.saw(at(19.9), &seen(&[pod(new, 8, true, false)]), Look::Consumers);
    trail.interrupted(Span { from: at(9.0), to: Some(at(19.9)) });
    trail
}

fn steps(mut result: AccountResult) -> AccountResult {
    let step = |name, state, from: f64, to: f64, detail: &str| StepResult {
        name,
        state,
        started: at(from),
        seconds: to - from,
        detail: detail.to_owned(),
    };
    result.steps = vec![
        step(StepName::Preflight, StepState::Done, 0.0, 0.8, "2 ExternalSecrets, 3 consumers with 5 pods"),
        step(StepName::Preserve, StepState::Skipped, 1.0, 1.0, "back-compat v1 already holds primary v7"),
        step(StepName::Sync, StepState::Done, 1.4, 5.6, "4 keys compared: all hold what they should"),
        step(StepName::Restart, StepState::Done, 5.7, 19.9, "5 pods on primary v8, no old pod left"),
    ];
    result
}

fn report(accounts: Vec<AccountReport>, problem: Option<Problem>) -> Report {
    Report {
        program: "kubectl-deepdesk 1.2.3".to_owned(),
        command: "secret rotate".to_owned(),
        arguments: Vec::new(),
        operator: "ann@laptop".to_owned(),
        credentials: "ann@example.com: application default credentials".to_owned(),
        started: at(0.0),
        ended: at(20.7),
        exit_code: accounts.iter().map(|account| account.result.exit_code).max().unwrap_or(1),
        problem,
        accounts,
        not_begun: Vec::new(),
    }
}

fn account(result: AccountResult, problem: Option<Problem>) -> AccountReport {
    AccountReport { result: steps(result), problem, trail: trail(), started: at(0.0), ended: at(20.7) }
}

fn stuck() -> Problem {
    Problem::new(Reason::RolloutStuck, "the rollout of deployment/admin is stuck")
        .with_exit(Exit::Incomplete)
        .now("v8 is the newest version of acme_account_secret, and v7 is still enabled: no value is lost")
        .hint("the same command goes on from here: kubectl deepdesk secret rotate acme")
}

/// Without the style, which is one long literal.
fn shown(page: &str) -> String {
    let (before, rest) = page.split_once("<style>").expect("a style");
    let (_, after) = rest.split_once("</style>").expect("it ends");
    let policy = regex::Regex::new("sha256-[A-Za-z0-9+/=]+").expect("a pattern");
    policy.replace(&format!("{before}<style/>{after}"), "[hash]").into_owned()
}

#[test]
fn a_report_is_as_it_was() {
    let good = report(vec![account(rotated(), None)], None);
    insta::assert_snapshot!("report-html", shown(&page(&good)));
    insta::assert_snapshot!("report-json", json(&good));
    needs_nothing(&page(&good));
    assert!(page(&good)[..1024].contains(MARK) && json(&good)[..1024].contains(JSON_MARK), "known when seen again");
}

#[test]
fn a_report_of_a_failure_says_what_holds_now_and_what_to_do() {
    let mut two = report(vec![account(rotated(), None), account(stopped(), Some(stuck()))], None);
    two.accounts[1].trail.interruptions = vec![Span { from: at(9.0), to: None }];
    two.not_begun = vec!["initech".to_owned()];
    let page = page(&two);
    needs_nothing(&page);
    for text in [
        "Rotation of 2 accounts",
        "incomplete",
        "RolloutStuck",
        "no value is lost",
        "secret rotate acme</code>",
        "Not begun, since an earlier account did not end well: initech",
        "since 2026-11-23 10:00:09 UTC, and not over when the run ended",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    let bare = self::page(&report(Vec::new(), Some(stuck())));
    needs_nothing(&bare);
    assert!(bare.contains("kubectl deepdesk secret rotate") && bare.contains("RolloutStuck"), "{bare}");
}

#[test]
fn a_report_has_no_known_value_in_it() {
    let value = r#"q3VbZr8m"Kx1TnYc5\HsWd9LpGf2<Jv&Rt7QaEu4'XoBi6NwMhDzCkSyPgUj"#;
    let known = KnownValues::default();
    known.keep(&deepdesk_protocol::facts::payload::Payload::new(value.as_bytes().to_vec()));
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    for text in [value, &hex, &value[..30], &format!("{:?}", value.as_bytes())] {
        let mut result = rotated();
        result.message = text.to_owned();
        result.checks.push(check("DD-X", "x/y", Verdict::Fail, text, text));
        let mut account = account(result, Some(Problem { message: text.to_owned(), ..stuck() }));
        account.trail.events.push(event(3.0, StepName::Sync, StepState::Warning, text));
        let told = self::report(vec![account], Some(stuck().now(text).hint(text)));
        let (page, json) = (report::page(&told, &known), report::json(&told, &known));
        needs_nothing(&page);
        serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
        for written in [page, json] {
            assert!(written.matches("[redacted]").count() > 4, "{written}");
            for piece in ["HsWd9LpGf2", &hex[40..60], "72, 115, 87, 100"] {
                assert!(!written.contains(piece), "{piece} in {written}");
            }
        }
    }
}

#[test]
fn what_servers_say_stays_text() {
    let hostile = "</td><script src=x onload='a()'>\"&amp;\u{1b}[31m\u{202e}\u{0}\u{ffff}<!--";
    let mut result = rotated();
    let texts = [
        &mut result.context,
        &mut result.project,
        &mut result.state,
        &mut result.namespace,
        &mut result.account,
        &mut result.message,
        &mut result.reason,
    ];
    texts.into_iter().for_each(|text| *text = hostile.to_owned());
    result.external_secrets[0].name = hostile.to_owned();
    result.external_secrets[0].keys[0].key = hostile.to_owned();
    result.external_secrets[0].keys[0].holds = hostile.to_owned();
    result.consumers[0].name = hostile.to_owned();
    result.consumers[0].reasons = vec![hostile.into()];
    result.other_readers[0].name = hostile.to_owned();
    result.exposed = vec![hostile.into()];
    result.checks.push(check("DD-X", "x/y", Verdict::Fail, hostile, hostile));
    if let Some(primary) = &mut result.primary {
        primary.secret = hostile.to_owned();
    }
    let mut problem = stuck();
    problem.message = hostile.to_owned();
    problem.now = vec![hostile.into()];
    problem.hints = vec![hostile.into()];
    let mut account = account(result, Some(problem.clone()));
    account.result.steps[0].detail = hostile.to_owned();
    account.trail.events.push(event(3.0, StepName::Sync, StepState::Warning, hostile));
    account.trail.pods.iter_mut().for_each(|pod| pod.name = hostile.to_owned());
    let mut well = account.clone();
    well.problem = None;
    let mut report = report(vec![account, well], Some(problem));
    report.operator = hostile.to_owned();
    report.credentials = hostile.to_owned();
    report.not_begun = vec![hostile.into()];
    for page in [page(&report), {
        report.accounts.truncate(1);
        page(&report)
    }] {
        needs_nothing(&page);
        let titles = tags(&page).into_iter().filter(|(tag, _)| tag == "title").count();
        assert!(titles > 1 && page.matches("&lt;/td&gt;&lt;script").count() > 20, "{page}");
    }
    let written: serde_json::Value = serde_json::from_str(&json(&report)).expect("JSON");
    assert_eq!(written["operator"], hostile, "JSON keeps every character, escaped");
    assert!(!json(&report).contains('\u{1b}'));
}
