use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// Begins and ends accounts as they are named, in that order, and asks once more.
fn played(fleet: Fleet, ends: &[(&str, Ended)]) -> Lanes {
    let (mut lanes, mut turns) = (Lanes::new(fleet), BTreeMap::new());
    let begin = |lanes: &mut Lanes, turns: &mut BTreeMap<String, Turn>, now| {
        while let Next::Begin(turn) = lanes.next(now, Writes::PLENTY) {
            turns.insert(turn.account().to_string(), turn);
        }
    };
    begin(&mut lanes, &mut turns, at(0));
    for (second, (account, ended)) in (1..).zip(ends) {
        let turn = turns.remove(*account).expect("it is under way");
        lanes.ended(turn, ended.clone(), at(second));
        begin(&mut lanes, &mut turns, at(second));
    }
    lanes
}

fn bad() -> Ended {
    Ended::Badly(Exit::Incomplete, Reason::RolloutStuck)
}

fn unreached() -> Ended {
    Ended::Badly(Exit::Failed, Reason::ConnectionFailed)
}

#[test]
fn the_exit_code_says_how_much_is_done() {
    let not_seen =
        |account: &str| Candidate { seen: Seen::NotSeen(Problem::new(Reason::Timeout, "no")), ..candidate(account) };
    let awaiting = |account: &str| Candidate { seen: looked(State::AwaitingReencryption), ..candidate(account) };
    let done = |account: &str| marked(account, Verb::Rotate, -60, Some(-20));
    let late = |account: &str| Candidate { appeared: Some(at(-1)), ..candidate(account) };
    let wide = || limits("9", "100%", "9");
    let over = || Limits { until: Some(Until(at(-1))), ..wide() };
    let refused = || Ended::Badly(Exit::Refused, Reason::CheckFailed);
    let held = || Ended::Passed(Passed::Held);
    type Row = (&'static str, Limits, Vec<Candidate>, Vec<(&'static str, Ended)>, u8);
    let rows: Vec<Row> = vec![
        ("nobody", wide(), vec![], vec![], 0),
        ("all done", wide(), ready(2), vec![("a", Ended::Proven), ("b", Ended::Proven)], 0),
        ("all done before", wide(), vec![done("a")], vec![], 0),
        ("done, and one is gone", wide(), ready(2), vec![("a", Ended::Proven), ("b", Ended::Passed(Passed::Gone))], 0),
        ("done, and one came later", wide(), vec![done("a"), late("b")], vec![], 0),
        ("done by another process", wide(), ready(1), vec![("a", Ended::Passed(Passed::DoneBefore { at: at(0) }))], 0),
        ("one is not done", wide(), ready(2), vec![("a", Ended::Proven), ("b", bad())], 5),
        ("one is half-way", wide(), ready(1), vec![("a", bad())], 5),
        ("one was refused", wide(), ready(2), vec![("a", Ended::Proven), ("b", refused())], 5),
        ("one is held by another", wide(), ready(2), vec![("a", Ended::Proven), ("b", held())], 5),
        (
            "another run's is not done by this one",
            wide(),
            vec![candidate("a"), awaiting("b")],
            vec![("a", Ended::Proven)],
            5,
        ),
        ("nothing was done", wide(), ready(2), vec![("a", refused()), ("b", refused())], 4),
        ("all are another run's", wide(), vec![awaiting("a")], vec![], 4),
        ("all are held", wide(), ready(1), vec![("a", held())], 4),
        ("too late", over(), ready(2), vec![], 4),
        ("too late for the rest", over(), vec![done("a"), candidate("b")], vec![], 4),
        ("none could be looked at", wide(), vec![not_seen("a")], vec![], 1),
        ("none could be reached", wide(), ready(2), vec![("a", unreached()), ("b", unreached())], 1),
        ("one could not, and one was refused", wide(), ready(2), vec![("a", unreached()), ("b", refused())], 4),
        ("one could not, and one is held", wide(), ready(2), vec![("a", unreached()), ("b", held())], 4),
        ("one could not be looked at", wide(), vec![candidate("a"), not_seen("b")], vec![("a", Ended::Proven)], 5),
        ("interrupted", wide(), ready(2), vec![("a", Ended::Proven), ("b", Ended::Interrupted)], 130),
        ("stopped at once", wide(), ready(2), vec![("a", Ended::Proven)], 130),
    ];
    for (what, limits, candidates, ends, wanted) in rows {
        let lanes = played(decided(&limits, candidates), &ends);
        assert_eq!(lanes.result().exit_code, wanted, "{what}: {:?}", lanes.counts());
        assert_eq!(lanes.problem().map_or(0, |problem| problem.exit.code()), wanted, "{what}");
    }
}

#[test]
fn whoever_reads_ends_with_the_worst() {
    let differs = || Ended::Badly(Exit::NotAsItShouldBe, Reason::NotVerified);
    let refused = || Ended::Badly(Exit::Refused, Reason::CheckFailed);
    let rows = [
        ("all well", vec![("a", Ended::Proven), ("b", Ended::Proven), ("c", Ended::Proven)], 0),
        ("one differs", vec![("a", Ended::Proven), ("b", differs()), ("c", Ended::Proven)], 3),
        ("one differs, one cannot be reached", vec![("a", unreached()), ("b", differs()), ("c", Ended::Proven)], 3),
        ("one is refused", vec![("a", Ended::Proven), ("b", differs()), ("c", refused())], 4),
    ];
    for (what, ends, wanted) in rows {
        let fleet = fleet(&choice(Verb::Verify), &limits("1", "1", "0"), ready(3), at(0)).expect("a run");
        let lanes = played(fleet, &ends);
        assert_eq!(lanes.result().exit_code, wanted, "{what}");
        assert_eq!(lanes.result().accounts.len(), 3, "{what}: nothing stops whoever reads");
    }
}

#[test]
fn a_result_names_each_account_and_why_it_is_where_it_is() {
    let mut candidates = ready(6);
    candidates[5].appeared = Some(at(-1));
    candidates.push(marked("m", Verb::Rotate, -60, Some(-20)));
    let fleet = decided(&limits("2", "2", "0"), candidates);
    let lanes = played(fleet, &[("a", Ended::Proven), ("b", bad()), ("c", Ended::Proven)]);
    let result = serde_json::to_value(lanes.result()).expect("it can be written");
    let end = |account: &str, wave, state, code, reason, began: i64, ended: i64| {
        json!({"account": account, "wave": wave, "state": state, "exitCode": code, "reason": reason,
            "began": at(began).to_string(), "ended": at(ended).to_string()})
    };
    let not = |account: &str, reason, message: String, to_do| json!({"account": account, "reason": reason, "message": message, "toDo": to_do});
    let counts = |all: [usize; 9]| {
        let names = [
            "accounts",
            "done",
            "doneBefore",
            "failed",
            "incomplete",
            "interrupted",
            "underWay",
            "notBegun",
            "notInRun",
        ];
        names.iter().zip(all).map(|(name, count)| ((*name).to_owned(), json!(count))).collect::<serde_json::Map<_, _>>()
    };
    let stopped = || "too many accounts did not end well".to_owned();
    let wanted = json!({
        "run": "nightly", "command": "rotate", "began": at(-60).to_string(), "resumed": true, "exitCode": 5,
        "stopped": "TooManyFailures", "message": "1 did not end well, and --max-failures allows 0: b",
        "counts": counts([6, 2, 1, 1, 1, 0, 0, 2, 1]),
        "waves": [
            {"wave": 1, "gated": true, "began": at(0).to_string(), "ended": at(1).to_string(), "proven": true, "counts": counts([1, 1, 0, 0, 0, 0, 0, 0, 0])},
            {"wave": 2, "gated": false, "began": at(1).to_string(), "ended": at(3).to_string(), "proven": false, "counts": counts([2, 1, 0, 1, 1, 0, 0, 0, 0])},
        ],
        "accounts": [
            end("a", 1, "done", 0, "", 0, 1),
            end("b", 2, "incomplete", 5, "RolloutStuck", 1, 2),
            end("c", 2, "done", 0, "", 1, 3),
        ],
        "notBegun": [
            not("f", "AppearedLater", format!("appeared at {}, after the run began", at(-1)), false),
            not("d", "TooManyFailures", stopped(), true),
            not("e", "TooManyFailures", stopped(), true),
        ],
    });
    assert_eq!(result, wanted, "{result:#}");
}

#[test]
fn every_account_is_told_exactly_once_whatever_happened() {
    let limits = limits("3", "1", "1");
    for ends in
        [vec![], vec![("a", Ended::Proven)], vec![("a", bad())], vec![("a", Ended::Proven), ("c", bad()), ("b", bad())]]
    {
        let mut candidates = ready(7);
        candidates.push(marked("m", Verb::Rotate, -60, Some(-20)));
        let lanes = played(decided(&limits, candidates), &ends);
        let (result, counts) = (lanes.result(), lanes.counts());
        let done_before = lanes.fleet().done.len();
        let ended = counts.done + counts.done_before + counts.failed + counts.interrupted + counts.under_way;
        assert_eq!(ended + counts.not_begun, counts.accounts, "{counts:?}");
        assert_eq!(counts.accounts, 8, "{counts:?}");
        assert_eq!(result.accounts.len() + result.not_begun.len() + done_before, 8, "{result:?}");
    }
}

#[test]
fn why_no_further_account_began_is_said_in_words() {
    let until = Limits { until: Some(Until(at(0))), ..limits("2", "1", "0") };
    let rows = [
        (limits("2", "1,1", "5"), vec![("a", Ended::Proven), ("b", bad())], "wave 2 is not proven: b did not end well"),
        (
            limits("2", "100%", "0"),
            vec![("a", bad()), ("b", bad())],
            "2 did not end well, and --max-failures allows 0: a, b",
        ),
        (until, vec![("a", Ended::Proven)], "no account begins after --until 1970-01-12T13:46:40Z"),
        (limits("2", "100%", "0"), vec![("a", Ended::Interrupted), ("b", Ended::Proven)], "interrupted"),
        (limits("9", "100%", "9"), vec![("a", bad()), ("b", Ended::Proven), ("c", Ended::Passed(Passed::Held))], ""),
    ];
    for (limits, ends, wanted) in rows {
        let lanes = played(decided(&limits, ready(3)), &ends);
        assert_eq!(lanes.result().message, wanted, "{ends:?}");
        let problem = lanes.problem().expect("not all is done");
        let line = if wanted.is_empty() { "2 of 3 accounts are not done" } else { wanted };
        assert_eq!(problem.message, line);
    }
    let over = decided(&Limits { until: Some(Until(at(-1))), ..Limits::default() }, ready(1));
    assert_eq!(over.is_over(at(0)).map(|problem| problem.exit), Some(Exit::Refused));
    assert_eq!(over.is_over(at(-1)), None);
}

#[test]
fn a_preview_adds_up_writes_times_and_interruptions() {
    let queue = Queue { workers: 1, sync: Some(Duration::from_millis(500)) };
    let many = |count: usize, takes: Option<u64>| -> Vec<Candidate> {
        let of = |at: usize| {
            let cost = Cost { takes: takes.map(Duration::from_secs), ..candidate("a").cost };
            Candidate { cost, ..candidate(&format!("a{at:03}")) }
        };
        (0..count).map(of).collect()
    };
    let shown = |limits: &Limits, candidates, queue| preview(&decided(limits, candidates), queue);

    let usual = shown(&Limits::default(), many(500, Some(20)), queue);
    let sizes: Vec<usize> = usual.waves.iter().map(|wave| wave.accounts.len()).collect();
    assert_eq!((sizes, usual.waves[4].gated), (vec![1, 2, 4, 8, 485], false));
    assert_eq!((usual.writes, usual.quota_seconds, usual.syncs, usual.sync_seconds), (1500, 150, 2000, Some(1000)));
    // Four waves, then 485 accounts in ten lanes: 49 rounds.
    assert_eq!((usual.lane_seconds, usual.estimate_seconds), (Some(4 * 20 + 49 * 20), Some(1060)));
    assert_eq!((usual.interrupted_at_once, usual.most_failures), (10, Some(10)));

    let wide = Limits { max_writes: "300".parse().expect("writes"), ..limits("50", "100%", "10%") };
    let shown_wide = shown(&wide, many(500, Some(20)), queue);
    assert_eq!(
        (shown_wide.lane_seconds, shown_wide.quota_seconds, shown_wide.estimate_seconds),
        (Some(200), 300, Some(1000))
    );
    assert_eq!(
        (shown_wide.interrupted_at_once, shown_wide.max_failures, shown_wide.most_failures),
        (50, Some(50), Some(100))
    );

    let unknown = shown(&Limits::default(), many(20, None), Queue { sync: None, ..queue });
    assert_eq!((unknown.lane_seconds, unknown.sync_seconds, unknown.estimate_seconds), (None, None, None));
    assert_eq!((unknown.quota_seconds, unknown.begin_in_time), (6, None));

    let late = Limits { until: Some(Until(at(65))), ..Limits::default() };
    let late = shown(&late, many(500, Some(20)), queue);
    assert_eq!(late.begin_in_time, Some(1 + 2 + 4 + 8));

    let paused = Limits { wave_wait: Duration::from_secs(600), ..limits("10", "1,5", "0") };
    assert_eq!(shown(&paused, many(16, Some(20)), queue).lane_seconds, Some(20 + 600 + 20 + 600 + 20));
}

#[test]
fn a_preview_says_who_is_in_which_state_and_who_is_left_out() {
    let mut candidates = ready(4);
    candidates[1].seen = looked(rotating());
    candidates[2].seen = looked(State::AwaitingReencryption);
    candidates[3].cost.interrupts = false;
    candidates.push(marked("m", Verb::Rotate, -60, Some(-20)));
    let shown = preview(&decided(&limits("9", "2", "0"), candidates), Queue { workers: 1, sync: None });
    let shown = serde_json::to_value(shown).expect("it can be written");
    assert_eq!(shown["states"], json!([{"state": "Rotating", "accounts": 1}, {"state": "Stable", "accounts": 2}]));
    assert_eq!(
        shown["waves"],
        json!([
            {"wave": 1, "gated": true, "doneBefore": 1, "accounts": ["b"]},
            {"wave": 2, "gated": false, "doneBefore": 0, "accounts": ["a", "d"]},
        ])
    );
    assert_eq!(shown["notBegun"][0]["reason"], "AwaitingReencryption");
    assert_eq!(
        (&shown["accounts"], &shown["doneBefore"], &shown["interruptedAtOnce"]),
        (&json!(3), &json!(1), &json!(1))
    );
}
