use super::*;

/// `a b* | c | d DoneBefore`: to do in order, half-way ones with a star; done before; left out with why.
fn brief(fleet: &Fleet) -> String {
    let members =
        fleet.members.iter().map(|member| format!("{}{}", member.account, if member.half_way { "*" } else { "" }));
    let done = fleet.done.iter().map(|(account, _)| account.to_string());
    let left = fleet.left_out.iter().map(|left| format!("{} {}", left.account, left.why.word()));
    let joined = |names: Vec<String>| names.join(" ");
    format!("{} | {} | {}", joined(members.collect()), joined(done.collect()), left.collect::<Vec<_>>().join(", "))
}

fn refused(account: &str, state: State, reason: Reason) -> Candidate {
    let refusal = Some(Problem::new(reason, "no"));
    Candidate { seen: Seen::Looked { state, refusal }, ..candidate(account) }
}

fn seen(account: &str, seen: Seen) -> Candidate {
    Candidate { seen, ..candidate(account) }
}

#[test]
fn who_is_in_a_run_follows_from_what_is_seen_and_on_record() {
    let rotate = || choice(Verb::Rotate);
    let skip = |names: &[&str]| Choice { skip: names.iter().map(|given| name(given)).collect(), ..rotate() };
    let older = || Choice { older_than: Some(Duration::from_secs(500)), ..rotate() };
    let aged = |account: &str, since: Option<i64>| Candidate { in_use_since: since.map(at), ..candidate(account) };
    let appeared = |account: &str, second| Candidate { appeared: Some(at(second)), ..candidate(account) };
    let young = |candidate: Candidate| Candidate { in_use_since: Some(at(-5)), ..candidate };
    let waits = State::AwaitingReencryption;
    let by_this = |account: &str| Candidate { seen: looked(waits), ..marked(account, Verb::Rotate, -60, None) };
    let rows = [
        ("in the order given", rotate(), vec![candidate("b"), candidate("a")], "b a |  | "),
        ("named twice", rotate(), vec![candidate("b"), candidate("a"), candidate("b")], "b a |  | "),
        (
            "half-way first",
            rotate(),
            vec![candidate("a"), seen("b", looked(rotating())), candidate("c")],
            "b* a c |  | ",
        ),
        (
            "resumed: done, half-way, and open",
            rotate(),
            vec![
                candidate("a"),
                marked("b", Verb::Rotate, -60, Some(-20)),
                marked("c", Verb::Rotate, -60, None),
                marked("d", Verb::Rotate, -60, Some(-30)),
            ],
            "c* a | d b | ",
        ),
        ("another command's mark", rotate(), vec![marked("a", Verb::Finalize, -60, Some(-20))], "a |  | "),
        ("committed, and its end not recorded", rotate(), vec![by_this("a"), candidate("b")], "a* b |  | "),
        ("another run's", rotate(), vec![seen("a", looked(waits)), candidate("b")], "b |  | a AwaitingReencryption"),
        (
            "another run's, refused",
            rotate(),
            vec![refused("a", waits, Reason::AwaitingReencryption)],
            " |  | a AwaitingReencryption",
        ),
        ("which is what finalize is for", choice(Verb::Finalize), vec![seen("a", looked(waits))], "a |  | "),
        (
            "refused",
            rotate(),
            vec![refused("a", State::Stable, Reason::CheckFailed), candidate("b")],
            "b |  | a CheckFailed",
        ),
        (
            "held by somebody, who may be done by then",
            rotate(),
            vec![refused("a", State::Stable, Reason::Locked)],
            "a |  | ",
        ),
        (
            "not seen",
            rotate(),
            vec![seen("a", Seen::NotSeen(Problem::new(Reason::Forbidden, "no")))],
            " |  | a Forbidden",
        ),
        (
            "gone since the run began",
            rotate(),
            vec![seen("a", Seen::Gone), marked("b", Verb::Rotate, -60, None)],
            "b* |  | a Gone",
        ),
        (
            "appeared since the run began",
            rotate(),
            vec![appeared("a", -59), appeared("c", -60), marked("b", Verb::Rotate, -60, None)],
            "b* c |  | a AppearedLater",
        ),
        ("appeared before a new run", rotate(), vec![appeared("a", -1)], "a |  | "),
        (
            "nobody knows when it appeared",
            rotate(),
            vec![Candidate { appeared: None, ..candidate("a") }, marked("b", Verb::Rotate, -60, None)],
            "b* a |  | ",
        ),
        ("skipped", skip(&["a"]), vec![candidate("a"), candidate("b")], "b |  | a Skipped"),
        ("skipped, and not there", skip(&["a"]), vec![seen("a", Seen::Gone), candidate("b")], "b |  | a Skipped"),
        ("skipped, and done before", skip(&["a"]), vec![marked("a", Verb::Rotate, -60, Some(-20))], " | a | "),
        ("a name of --skip that is gone", skip(&["x"]), vec![marked("a", Verb::Rotate, -60, None)], "a* |  | "),
        ("young ones are not selected", older(), vec![aged("a", Some(-501)), aged("b", Some(-500))], "a |  | "),
        ("of unknown age", older(), vec![aged("a", None)], " |  | a AgeUnknown"),
        (
            "the run's own are young",
            older(),
            vec![
                young(marked("a", Verb::Rotate, -60, Some(-20))),
                young(marked("b", Verb::Rotate, -60, None)),
                aged("c", Some(-900)),
            ],
            "b* c | a | ",
        ),
        (
            "a look that failed has no age",
            older(),
            vec![Candidate { in_use_since: None, ..seen("a", Seen::NotSeen(Problem::new(Reason::Timeout, "no"))) }],
            " |  | a Timeout",
        ),
    ];
    for (what, choice, candidates, wanted) in rows {
        let fleet =
            fleet(&choice, &Limits::default(), candidates, at(0)).unwrap_or_else(|problem| panic!("{what}: {problem}"));
        assert_eq!(brief(&fleet), wanted, "{what}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_in_one_line_and_changes_nothing() {
    let with = |change: fn(&mut Choice)| {
        let mut choice = choice(Verb::Finalize);
        change(&mut choice);
        choice
    };
    let rows = [
        (
            "destroyed without a name",
            with(|choice| choice.destroys = true),
            vec![candidate("a")],
            (Exit::Usage, "--destroy takes accounts by name only: it destroys versions for good"),
        ),
        (
            "a slip in a name that is skipped",
            with(|choice| choice.skip = vec![name("acmee")]),
            vec![candidate("acme")],
            (Exit::Usage, "--skip names what was not selected: acmee"),
        ),
        (
            "a slip in a name",
            with(|choice| choice.selected = false),
            vec![seen("acmee", Seen::Gone), candidate("globex")],
            (Exit::Failed, "there is no account acmee; nothing was begun"),
        ),
    ];
    for (what, choice, candidates, wanted) in rows {
        let problem = fleet(&choice, &Limits::default(), candidates, at(0)).expect_err(what);
        assert_eq!((problem.exit, problem.message.as_str()), wanted, "{what}");
        assert!(!problem.hints.is_empty(), "{what}");
    }
    let named = Choice { destroys: true, selected: false, ..choice(Verb::Finalize) };
    assert!(fleet(&named, &Limits::default(), vec![candidate("a")], at(0)).is_ok());
}

#[test]
fn a_run_began_when_its_accounts_or_its_id_say() {
    let made = |second| RunId::made(at(second), 7);
    let begun = |run: Run, candidates| {
        let fleet =
            fleet(&Choice { run, ..choice(Verb::Rotate) }, &Limits::default(), candidates, at(0)).expect("a run");
        (fleet.began, fleet.resumed)
    };
    let nightly = || Run::Given(run_id("nightly"));
    let rows = [
        ("a new one", Run::Made(made(0)), ready(2), (at(0), false)),
        ("a new one that was named", nightly(), ready(2), (at(0), false)),
        (
            "by its accounts",
            nightly(),
            vec![marked("a", Verb::Rotate, -60, None), marked("b", Verb::Rotate, -90, Some(-10))],
            (at(-90), true),
        ),
        ("by its id, where it died before the first account", Run::Given(made(-30)), ready(2), (at(-30), true)),
        ("by a clock that is ahead", Run::Given(made(30)), ready(2), (at(0), true)),
    ];
    for (what, run, candidates, wanted) in rows {
        assert_eq!(begun(run, candidates), wanted, "{what}");
    }
}

/// Between the plan and a lane's turn another process may have been at work.
#[test]
fn a_lane_looks_again_before_it_sets_out() {
    let fleet = decided(&Limits::default(), ready(1));
    let of = |candidate: Candidate| candidate.marks;
    let rows = [
        ("ready", RunMarks::default(), Some(State::Stable), None),
        ("begun by this run", of(marked("a", Verb::Rotate, 0, None)), Some(State::AwaitingReencryption), None),
        (
            "rotated by another",
            RunMarks::default(),
            Some(State::AwaitingReencryption),
            Some(Passed::AwaitsReencryption),
        ),
        (
            "done by this run",
            of(marked("a", Verb::Rotate, 0, Some(5))),
            Some(State::Stable),
            Some(Passed::DoneBefore { at: at(5) }),
        ),
        (
            "done, and gone since",
            of(marked("a", Verb::Rotate, 0, Some(5))),
            None,
            Some(Passed::DoneBefore { at: at(5) }),
        ),
        ("gone", RunMarks::default(), None, Some(Passed::Gone)),
    ];
    for (what, marks, state, wanted) in rows {
        assert_eq!(fleet.passes_over(&marks, state), wanted, "{what}");
    }
}
