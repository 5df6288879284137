use std::collections::BTreeMap;

use super::*;

/// Plays a script, and tells each answer to "what next?". `?` asks until nobody begins; `+30` lets seconds pass, `-30` sets the clock back;
/// `a:ok` ends the account `a` so; `^C` interrupts; `w0` is what the limiter lets through from here on.
fn play(fleet: Fleet, script: &str) -> String {
    let (mut lanes, mut turns, mut second) = (Lanes::new(fleet), BTreeMap::new(), 0);
    let (mut writes, mut told) = (Writes::PLENTY, Vec::new());
    for act in script.split_whitespace() {
        match (act, act.split_once(':')) {
            ("?", _) => told.push(ask(&mut lanes, &mut turns, at(second), writes)),
            ("^C", _) => lanes.interrupt(),
            (_, Some((account, how))) => {
                let turn = turns.remove(account).unwrap_or_else(|| panic!("{account} is not under way: {told:?}"));
                lanes.ended(turn, ended(how, second), at(second));
            }
            _ if act.starts_with('w') => {
                writes = Writes { left: act[1..].parse().expect("a number"), more: at(second + 7) };
            }
            _ => second += act.parse::<i64>().expect("seconds"),
        }
    }
    told.join("; ")
}

fn ask(lanes: &mut Lanes, turns: &mut BTreeMap<String, Turn>, now: Timestamp, writes: Writes) -> String {
    let mut told = Vec::new();
    loop {
        match lanes.next(now, writes) {
            Next::Begin(turn) => {
                told.push(format!("{}{}", turn.account(), turn.wave()));
                turns.insert(turn.account().to_string(), turn);
            }
            Next::Wait { until, why } => {
                told.push(format!("{why:?}"));
                told.extend(until.map(|until| format!("until {}", until.duration_since(at(0)).as_secs())));
                return told.join(" ");
            }
            Next::Over(stop) => {
                told.push(stop.map_or_else(|| "over".to_owned(), |stop| format!("over:{stop:?}")));
                return told.join(" ");
            }
        }
    }
}

fn ended(how: &str, second: i64) -> Ended {
    match how {
        "ok" => Ended::Proven,
        "bad" => Ended::Badly(Exit::Incomplete, Reason::RolloutStuck),
        "held" => Ended::Passed(Passed::Held),
        "gone" => Ended::Passed(Passed::Gone),
        "rotated" => Ended::Passed(Passed::AwaitsReencryption),
        "done" => Ended::Passed(Passed::DoneBefore { at: at(second) }),
        "stopped" => Ended::Interrupted,
        _ => panic!("{how}"),
    }
}

#[test]
fn what_a_lane_does_next_follows_from_what_is_under_way_and_what_ended() {
    let of = |concurrency: &str, waves: &str, failures: &str| limits(concurrency, waves, failures);
    let open = |concurrency: &str, failures: &str| Limits { waves: None, ..of(concurrency, "", failures) };
    let rows: Vec<(&str, Limits, u8, &str, &str)> = vec![
        ("nobody", Limits::default(), 0, "?", "over"),
        ("one", Limits::default(), 1, "? a:ok ?", "a1 Ends; over"),
        (
            "one, then twice as many, then as many as may be",
            open("4", "0"),
            9,
            "? a:ok ? b:ok ? c:ok ? d:ok ? e:ok ? f:ok g:ok h:ok i:ok ?",
            "a1 Gate(1); b2 c2 Gate(2); Gate(2); d3 e3 f3 g3 Lanes; h3 Lanes; i3 Ends; over",
        ),
        ("lanes refill", of("2", "3", "0"), 5, "? a:ok ? b:ok ?", "a1 b1 Lanes; c1 Gate(1); Gate(1)"),
        (
            "a gate that was passed stays so",
            of("2", "1", "1"),
            5,
            "? a:ok ? b:bad ? c:bad ? d:ok ?",
            "a1 Gate(1); b2 c2 Lanes; d2 Lanes; Stopped(Failures); over:Failures",
        ),
        (
            "the first failure stops",
            of("3", "3", "0"),
            5,
            "? b:bad ? a:ok c:ok ?",
            "a1 b1 c1 Gate(1); Stopped(Failures); over:Failures",
        ),
        (
            "those under way may fail too",
            of("3", "3", "0"),
            5,
            "? a:bad b:bad c:bad ?",
            "a1 b1 c1 Gate(1); over:Failures",
        ),
        (
            "within the budget others begin",
            open("1", "1"),
            4,
            "? a:bad ? b:ok ? c:bad ?",
            "a1 Lanes; b1 Lanes; c1 Lanes; over:Failures",
        ),
        (
            "within the budget a gate stays shut",
            of("3", "1,1", "9"),
            4,
            "? a:ok ? b:bad ?",
            "a1 Gate(1); b2 Gate(2); over:Gate(2)",
        ),
        (
            "the wave itself goes on within the budget",
            of("1", "2", "9"),
            4,
            "? a:bad ? b:ok ?",
            "a1 Lanes; b1 Gate(1); over:Gate(1)",
        ),
        (
            "a wave proves by as many as it has places",
            of("3", "1", "0"),
            4,
            "? a:held ? b:gone ? c:ok ?",
            "a1 Gate(1); b1 Gate(1); c1 Gate(1); d2 Ends",
        ),
        (
            "also by what another process of the run did",
            of("3", "1", "0"),
            4,
            "? a:done ?",
            "a1 Gate(1); b2 c2 d2 Ends",
        ),
        ("nobody was rotated by us", of("3", "1", "0"), 2, "? a:rotated ? b:rotated ?", "a1 Gate(1); b1 Ends; over"),
        (
            "Ctrl-C",
            open("2", "0"),
            4,
            "? a:ok ? ^C ? b:stopped c:ok ?",
            "a1 Gate(1); b2 c2 Lanes; Stopped(Interrupted); over:Interrupted",
        ),
        (
            "an account that was stopped stops the run",
            of("2", "100%", "0"),
            4,
            "? a:stopped ? b:ok ?",
            "a1 b1 Lanes; Stopped(Interrupted); over:Interrupted",
        ),
        ("Ctrl-C with all begun", of("2", "100%", "0"), 2, "? ^C ? a:ok b:ok ?", "a1 b1 Ends; Ends; over"),
        ("no writes left", of("3", "100%", "0"), 3, "? ? w2 ?", "a1 b1 c1 Ends; Ends; Ends"),
        (
            "writes let one begin, alone",
            of("3", "100%", "0"),
            3,
            "w2 ? +7 w3 ? +1 w0 ? a:ok b:ok ?",
            "a1 Writes until 7; b1 c1 Ends; Ends; Ends",
        ),
    ];
    for (what, limits, count, script, wanted) in rows {
        assert_eq!(play(decided(&limits, ready(count)), script), wanted, "{what}");
    }
}

/// A limiter that does not know when must not have it asked all the time.
#[test]
fn who_waits_for_writes_asks_again_a_moment_later() {
    let mut lanes = Lanes::new(decided(&limits("2", "100%", "0"), ready(2)));
    let few = |more| Writes { left: 2, more };
    let first = lanes.next(at(0), few(at(0)));
    assert!(matches!(first, Next::Begin(_)), "alone it need not wait: {first:?}");
    for (more, wanted) in [(Timestamp::MIN, at(5) + jiff::SignedDuration::from_millis(100)), (at(9), at(9))] {
        match lanes.next(at(5), few(more)) {
            Next::Wait { until, why: Waiting::Writes } => assert_eq!(until, Some(wanted)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn pauses_and_the_last_moment_are_kept() {
    let of = |wait: u64, until: Option<i64>| Limits {
        wave_wait: Duration::from_secs(wait),
        until: until.map(|second| Until(at(second))),
        ..limits("2", "1,1", "0")
    };
    let rows: Vec<(&str, Limits, &str, &str)> = vec![
        (
            "a pause",
            of(60, None),
            "? +10 a:ok ? +59 ? +1 ? b:ok ? +60 ?",
            "a1 Gate(1); Pause(1) until 70; Pause(1) until 70; b2 Gate(2); Pause(2) until 130; c3 d3 Ends",
        ),
        (
            "no pause without a gate",
            of(60, None),
            "? a:ok +60 ? b:ok +60 ? c:ok d:ok ?",
            "a1 Gate(1); b2 Gate(2); c3 d3 Ends; over",
        ),
        ("the last moment counts", of(0, Some(10)), "? +10 a:ok ? +1 b:ok ?", "a1 Gate(1); b2 Gate(2); over:Until"),
        (
            "those under way end",
            of(0, Some(10)),
            "? a:ok ? b:ok ? +11 c:ok ? d:ok ?",
            "a1 Gate(1); b2 Gate(2); c3 d3 Ends; Ends; over",
        ),
        ("over before it began", of(0, Some(-1)), "?", "over:Until"),
        (
            "a clock that is set back begins nothing",
            of(0, Some(10)),
            "? +11 a:ok ? -11 ?",
            "a1 Gate(1); over:Until; over:Until",
        ),
        ("nobody waits for a pause that ends too late", of(60, Some(50)), "? a:ok ?", "a1 Gate(1); over:Until"),
    ];
    for (what, limits, script, wanted) in rows {
        assert_eq!(play(decided(&limits, ready(4)), script), wanted, "{what}");
    }
}

/// What an earlier process did counts for gates and pauses, and not for the budget.
#[test]
fn a_run_that_is_resumed_goes_on_in_the_same_wave() {
    let done = |account: &str, second| marked(account, Verb::Rotate, -900, Some(second));
    let half_way = |account: &str| marked(account, Verb::Rotate, -900, None);
    let of =
        |wait: u64, failures: &str| Limits { wave_wait: Duration::from_secs(wait), ..limits("2", "1,2", failures) };
    let rows: Vec<(&str, Limits, Vec<Candidate>, &str, &str)> = vec![
        (
            "in the first gate",
            of(0, "0"),
            vec![half_way("a"), candidate("b"), candidate("c")],
            "? a:ok ?",
            "a1 Gate(1); b2 c2 Ends",
        ),
        (
            "behind it",
            of(0, "0"),
            vec![done("a", -100), candidate("b"), candidate("c"), candidate("d")],
            "? b:ok c:ok ?",
            "b2 c2 Gate(2); d3 Ends",
        ),
        (
            "half-way in a wave",
            of(0, "0"),
            vec![done("a", -100), done("b", -90), candidate("c"), half_way("d"), candidate("e")],
            "? d:ok ?",
            "d2 Gate(2); c3 e3 Ends",
        ),
        (
            "behind all gates",
            of(0, "0"),
            vec![done("a", -100), done("b", -90), done("c", -90), candidate("d"), candidate("e")],
            "?",
            "d3 e3 Ends",
        ),
        (
            "within a pause",
            of(60, "0"),
            vec![done("a", -20), candidate("b"), candidate("c")],
            "? +40 ?",
            "Pause(1) until 40; b2 c2 Ends",
        ),
        ("behind a pause", of(60, "0"), vec![done("a", -61), candidate("b"), candidate("c")], "?", "b2 c2 Ends"),
        (
            "by a clock that was ahead",
            of(60, "0"),
            vec![done("a", 500), candidate("b"), candidate("c")],
            "?",
            "Pause(1) until 60",
        ),
        ("all done", of(60, "0"), vec![done("a", -20), done("b", -20)], "?", "over"),
    ];
    for (what, limits, candidates, script, wanted) in rows {
        assert_eq!(play(decided(&limits, candidates), script), wanted, "{what}");
    }
}

#[test]
fn how_an_account_ended_is_told_by_its_problem() {
    let problem = |reason: Reason| Problem::new(reason, "no");
    let rows = [
        (None, Ended::Proven),
        (
            Some(problem(Reason::RolloutStuck).with_exit(Exit::Incomplete)),
            Ended::Badly(Exit::Incomplete, Reason::RolloutStuck),
        ),
        (Some(problem(Reason::CheckFailed)), Ended::Badly(Exit::Refused, Reason::CheckFailed)),
        (Some(problem(Reason::ConnectionFailed)), Ended::Badly(Exit::Failed, Reason::ConnectionFailed)),
        (Some(problem(Reason::Interrupted)), Ended::Interrupted),
        (Some(problem(Reason::Locked)), Ended::Passed(Passed::Held)),
        (Some(problem(Reason::LockLost)), Ended::Badly(Exit::Incomplete, Reason::LockLost)),
        (Some(problem(Reason::Locked).with_exit(Exit::Incomplete)), Ended::Badly(Exit::Incomplete, Reason::Locked)),
        (Some(problem(Reason::AwaitingReencryption)), Ended::Passed(Passed::AwaitsReencryption)),
        (Some(problem(Reason::NoSuchNamespace)), Ended::Passed(Passed::Gone)),
        (
            Some(problem(Reason::NoSuchNamespace).with_exit(Exit::Incomplete)),
            Ended::Badly(Exit::Incomplete, Reason::NoSuchNamespace),
        ),
    ];
    for (problem, wanted) in rows {
        assert_eq!(Ended::of(problem.as_ref()), wanted, "{problem:?}");
    }
}
