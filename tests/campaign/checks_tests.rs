//! Made-up histories: what holds is found to hold, and one wrong thing is found.

use super::*;
use crate::record::Version;

/// `7+0 8-1`: version 7 is enabled and holds value 0, version 8 is disabled and holds value 1; `x` is destroyed.
fn versions(text: &str) -> Vec<Version> {
    text.split_whitespace()
        .map(|version| {
            let mark = version.find(['+', '-', 'x']).expect("a state");
            let state = match &version[mark..=mark] {
                "+" => State::Enabled,
                "-" => State::Disabled,
                _ => State::Destroyed,
            };
            Version { number: version[..mark].parse().unwrap(), state, value: version[mark + 1..].parse().ok() }
        })
        .collect()
}

fn secrets(primary: &str, back_compat: &str) -> Secrets {
    Secrets { primary: versions(primary), back_compat: versions(back_compat) }
}

/// A line of a history: `1 add 7+0 | 1+0`, `1 lock`, `1 free`, `pod admin 0/1`, `pod admin 0`.
fn event(line: &str) -> Event {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["pod", owner, held] => {
            let (primary, back_compat) = held.split_once('/').unwrap_or((held, ""));
            Event::Started {
                uid: String::new(),
                owner: (*owner).to_owned(),
                primary: primary.parse().ok(),
                back_compat: back_compat.parse().ok(),
            }
        }
        [door, "lock"] => Event::Lock { door: door.parse().unwrap(), holder: Some((*door).to_owned()) },
        [door, "free"] => Event::Lock { door: door.parse().unwrap(), holder: None },
        [door, "patch"] => Event::Wrote { door: door.parse().unwrap(), operation: "patch/deployments".to_owned() },
        [door, "add", ..] => {
            let (primary, back_compat) = line.split_once("add").unwrap().1.split_once('|').unwrap();
            let now = secrets(primary, back_compat);
            Event::Stored { door: door.parse().unwrap(), operation: "addSecretVersion".to_owned(), now }
        }
        _ => panic!("{line}"),
    }
}

fn history(lines: &[&str]) -> Vec<Event> {
    lines.iter().map(|line| event(line)).collect()
}

/// A rotation from 0 to 1 and its rollback, as they should be.
const WHOLE: &[&str] = &[
    "0 add 7+0 |",
    "pod admin 0",
    "1 lock",
    "1 add 7+0 | 1+0",
    "pod worker 0/0",
    "1 add 7+0 8+1 | 1+0",
    "pod admin 1/0",
    "1 add 7-0 8+1 | 1+0",
    "1 free",
    "2 lock",
    "2 add 7-0 8+1 9+0 | 1+0",
    "pod backend 0/0",
    "2 add 7-0 8+1 9+0 | 1+0 2+1",
    "pod admin 0/1",
    "2 add 7-0 8-1 9+0 | 1+0 2+1",
    "2 free",
];

fn span(goal: Goal, from: usize, to: usize) -> Span {
    Span { goal, from, to, finished: true, unlocked: false }
}

#[test]
fn a_rotation_and_a_rollback_as_they_should_be_violate_nothing() {
    let (events, none) = (history(WHOLE), BTreeSet::new());
    assert_eq!(nothing_is_lost(&events, &none), []);
    assert_eq!(reads_before_writes(&events, &none), (Vec::new(), 1));
    assert_eq!(one_operator(&events), (Vec::new(), 0));
    assert_eq!(one_new_version(&events, &[span(Goal::Rotate, 2, 9), span(Goal::RollBack, 9, 16)]), []);
    assert_eq!(never_three_keys(&events, &none), []);
}

#[test]
fn a_value_that_is_lost_is_found_also_for_a_moment() {
    let none = BTreeSet::new();
    // Committed before the back-compat held the value.
    let early = ["0 add 7+0 |", "pod admin 0", "1 add 7-0 8+1 |", "1 add 7-0 8+1 | 1+0"];
    assert_eq!(nothing_is_lost(&history(&early), &none).len(), 1);
    let destroyed = ["0 add 6-5 7+0 |", "1 add 6x 7+0 |"];
    assert_eq!(nothing_is_lost(&history(&destroyed), &none).len(), 1);
    // The operator said that nothing needs it; but a pod that starts with it all the same does.
    let retired = ["0 add 7-0 8+1 | 1+0", "pod admin 0/0", "pod admin 1/0", "3 add 7-0 8+1 | 1-0 2+1"];
    assert_eq!(nothing_is_lost(&history(&retired), &none).len(), 1);
    assert_eq!(nothing_is_lost(&history(&retired), &BTreeSet::from([3])), []);
    let again = [&retired[..], &["pod worker 0/0"]].concat();
    assert_eq!(nothing_is_lost(&history(&again), &BTreeSet::from([3])).len(), 1);
}

#[test]
fn a_pod_that_writes_what_it_cannot_read_back_is_found() {
    let none = BTreeSet::new();
    let found = |lines: &[&str]| reads_before_writes(&history(lines), &none).0.len();
    let begun = ["0 add 7+0 |", "pod admin 0", "1 add 7+0 8+1 | 1+0"];
    for (pod, wrong) in
        [("pod admin 1/0", 0), ("pod admin 1", 1), ("pod admin 1/1", 1), ("pod admin 0", 0), ("pod web 1", 0)]
    {
        assert_eq!(found(&[&begun[..], &[pod]].concat()), wrong, "{pod}");
    }
    // On the way forward both slots never hold the new value.
    assert_eq!(found(&["0 add 7+0 | 1+0", "pod admin 0/0", "1 add 7+0 8+1 | 1+0 2+1", "pod admin 1/1"]), 1);
}

#[test]
fn two_that_write_at_once_are_found() {
    let cases: [(&[&str], usize, usize); 5] = [
        (&["1 add 7+0 |"], 1, 0),
        (&["1 lock", "2 lock", "1 add 7+0 |"], 0, 1),
        (&["1 lock", "0 free", "1 add 7+0 |", "1 add 7+0 |"], 1, 2),
        (&["1 lock", "1 free", "2 lock", "2 add 7+0 |", "2 free", "1 lock", "1 add 7+0 |"], 0, 0),
        (&["1 lock", "2 lock", "1 add 7+0 |", "2 add 7+0 |", "1 add 7+0 |"], 1, 2),
    ];
    for (lines, wrong, late) in cases {
        let (found, all_late) = one_operator(&history(lines));
        assert_eq!((found.len(), all_late), (wrong, late), "{lines:?}");
    }
}

#[test]
fn a_version_too_many_or_too_few_is_found() {
    let two = ["0 add 7+0 |", "1 add 7+0 8+1 | 1+0", "2 add 7+0 8+1 9+2 | 1+0"];
    let found = |lines: &[&str], span: Span| one_new_version(&history(lines), &[span]).len();
    assert_eq!(found(&two, span(Goal::Rotate, 1, 3)), 1);
    assert_eq!(found(&two[..2], span(Goal::Rotate, 1, 2)), 0);
    assert_eq!(found(&two[..1], span(Goal::Rotate, 1, 1)), 1, "none although it was finished");
    assert_eq!(found(&two[..2], span(Goal::RollBack, 1, 2)), 1, "a rollback makes no value");
    assert_eq!(found(&two[..2], span(Goal::Restart, 1, 2)), 2, "a restart adds nothing");
    assert_eq!(found(&two, Span { unlocked: true, ..span(Goal::Rotate, 1, 3) }), 0);
    let preserved_again = ["0 add 7+0 |", "1 add 7+0 8+1 | 1+0 2+0"];
    assert_eq!(found(&preserved_again, span(Goal::Rotate, 1, 2)), 1);
}

#[test]
fn a_third_key_is_found() {
    let third = ["0 add 7+0 |", "pod admin 0", "1 add 7+0 8+1 | 1+0", "pod admin 1/0", "1 add 7-0 8+1 9+2 | 1+0"];
    assert_eq!(never_three_keys(&history(&third), &BTreeSet::new()).len(), 1);
    assert_eq!(never_three_keys(&history(&third[..4]), &BTreeSet::new()), []);
    let finalized = [&third[..4], &["3 add 7-0 8+1 | 1-0 2+1", "1 add 7-0 8+1 9+2 | 1-0 2+1"]].concat();
    assert_eq!(never_three_keys(&history(&finalized), &BTreeSet::from([3])), []);
}

#[test]
fn a_run_that_says_too_early_that_all_is_done_is_found() {
    let place = |name: &str, primary, back_compat| (name.to_owned(), Some(primary), Some(back_compat));
    let right = Success {
        goal: Goal::Rotate,
        now: secrets("7-0 8+1", "1+0"),
        kubernetes: vec![place("admin-secrets", 1, 0), place("backend-secrets", 1, 0)],
        pods: vec![place("admin/a", 1, 0), place("worker/b", 1, 0)],
    };
    assert_eq!(proof(&right), []);
    let mut old_pod = right.clone();
    old_pod.pods.push(place("backend/c", 0, 0));
    let mut behind = right.clone();
    behind.kubernetes[1] = place("backend-secrets", 0, 0);
    let mut no_back_compat = right.clone();
    no_back_compat.pods[0].2 = None;
    let not_committed = Success { now: secrets("7+0 8+1", "1+0"), ..right.clone() };
    let gone = Success { kubernetes: right.kubernetes[..1].to_vec(), ..right.clone() };
    for wrong in [&old_pod, &behind, &no_back_compat, &not_committed, &gone] {
        assert_eq!(proof(wrong).len(), 1, "{wrong:?}");
    }
    // A sync promises nothing of pods.
    assert_eq!(proof(&Success { goal: Goal::Sync, ..old_pod }), []);
}

#[test]
fn an_end_that_is_not_documented_is_found() {
    let events = history(&["0 add 7+0 |", "1 patch", "2 lock", "2 free"]);
    let cases = [
        (2, Some(0), false, "", 0),
        (2, Some(4), false, "", 0),
        (1, Some(5), false, "", 0),
        (1, Some(4), false, "", 1),
        (1, Some(1), false, "", 1),
        (2, Some(101), false, "thread 'main' panicked at src/main.rs", 2),
        (2, Some(2), false, "", 1),
        (2, None, true, "", 0),
        (2, None, false, "", 1),
    ];
    for (door, code, killed, stderr, wrong) in cases {
        assert_eq!(ends_as_documented(door, code, killed, stderr, &events).len(), wrong, "{door} {code:?}");
    }
}

#[test]
fn a_value_that_was_left_somewhere_is_found() {
    let values = BTreeSet::from(["a value".to_owned()]);
    let left = |text: &str| vec![("a file".to_owned(), text.as_bytes().to_vec())];
    assert_eq!(no_leak(&values, &left("it says a value here")).len(), 1);
    assert_eq!(no_leak(&values, &left("it says nothing")), []);
}
