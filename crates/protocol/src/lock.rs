//! Whether a Lease keeps others from an account. Pure: what the API server has of it, its own time, and whether the holder's process is
//! known to be gone.

use crate::hint::{Command, Hint};
use jiff::Timestamp;
use serde::Serialize;

use crate::problem::{Problem, Reason};

/// How long a Lease may live on before the way to end it by hand is told, in seconds: ours live for 20.
const LONG: i64 = 120;

/// What the API server has of a Lease.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeaseView {
    /// Who holds it; none where it was released.
    pub holder: Option<String>,
    /// Since when, by the holder's clock: for people.
    pub since: Option<Timestamp>,
    /// How long it lives without being written, in seconds.
    pub life: i64,
    /// When it was last written, by the API server's clock; none where nothing tells.
    pub written: Option<Timestamp>,
    /// Whether the process that holds it is on this machine, and gone.
    pub process_is_gone: bool,
    /// On what machine its holder is; none where nothing tells.
    pub machine: Option<String>,
    /// At which step, and since when; none where nothing tells.
    pub step: Option<(String, Option<Timestamp>)>,
}

/// Who is at work on an account, as its Lease says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AtWork {
    /// The Lease's holder: who, and by which run.
    pub held_by: String,
    /// On what machine; empty where nothing tells.
    pub machine: String,
    /// Since when, by the holder's clock; null where nothing tells.
    pub since: Option<Timestamp>,
    /// At which step; empty where nothing tells.
    pub step: String,
    /// Since when at that step.
    pub step_since: Option<Timestamp>,
    /// How many seconds ago it gave its last sign of life, by the API server's clock; null where nothing tells.
    pub last_sign_seconds: Option<i64>,
}

impl AtWork {
    /// In words, as of `now`: who, since when, at which step, on what machine.
    pub fn in_words(&self, now: Timestamp) -> String {
        let ago = |since: Timestamp| crate::facts::account::age(since, now);
        let since = self.since.map(|since| {
            let at = since.round(jiff::Unit::Second).unwrap_or(since);
            format!(" since {at} ({} ago)", ago(since))
        });
        let step = match (self.step.as_str(), self.step_since) {
            ("", _) => String::new(),
            (step, Some(since)) => format!(", at the step {step} for {}", ago(since)),
            (step, None) => format!(", at the step {step}"),
        };
        let machine = if self.machine.is_empty() { String::new() } else { format!(", on {}", self.machine) };
        format!("{} is at work{}{step}{machine}", self.held_by, since.unwrap_or_default())
    }
}

/// Whether it may be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Judgement {
    /// Nobody holds it any more.
    Free,
    /// Somebody does.
    Held {
        /// Seconds since it was last written; none where nothing tells.
        age: Option<i64>,
        /// Seconds until it ends by itself; none where it does not.
        left: Option<i64>,
    },
}

impl LeaseView {
    /// Whether nobody holds it, whatever the time is.
    pub fn is_open(&self) -> bool {
        self.holder.is_none() || self.process_is_gone
    }
}

/// Judges a Lease at `server`, the API server's time: clocks of laptops differ, so nobody's own time is trusted.
pub fn judge(lease: &LeaseView, server: Timestamp) -> Judgement {
    if lease.is_open() {
        return Judgement::Free;
    }
    // Without a recorded time the age is unknown, and an unknown Lease is a held one.
    let age = lease.written.map(|written| server.duration_since(written).as_secs());
    // Both times are whole seconds: one more makes sure.
    let left = age.map(|age| lease.life.saturating_add(1).saturating_sub(age));
    match left {
        Some(left) if left <= 0 => Judgement::Free,
        _ => Judgement::Held { age, left },
    }
}

/// Who is at work by this Lease at `server`, the API server's time; none where it is free.
pub fn at_work(lease: &LeaseView, server: Timestamp) -> Option<AtWork> {
    let Judgement::Held { age, .. } = judge(lease, server) else { return None };
    let held_by = lease.holder.clone()?;
    let (step, step_since) = lease.step.clone().unwrap_or_default();
    // What is noted beside; else as `user@machine (run)` has it.
    let named = || {
        let name = held_by.split(['(', ')']).map(str::trim).find(|part| part.contains('@')).unwrap_or_default();
        name.rsplit_once('@').map(|(_, machine)| machine.to_owned())
    };
    let machine = lease.machine.clone().or_else(named).unwrap_or_default();
    Some(AtWork { machine, since: lease.since, step, step_since, last_sign_seconds: age, held_by })
}

/// The refusal that a Lease amounts to which somebody holds; `by_hand` is the command that ends it. None where it is free.
pub fn refusal(lease: &LeaseView, server: Timestamp, by_hand: Command) -> Option<Problem> {
    let Judgement::Held { age, left } = judge(lease, server) else { return None };
    let holder = lease.holder.as_deref()?;
    let since = lease.since.map(|time| format!(" since {time}")).unwrap_or_default();
    let step = lease.step.as_ref().map(|(step, _)| format!(", at the step {step}")).unwrap_or_default();
    let machine = lease.machine.as_ref().map(|machine| format!(", on {machine}")).unwrap_or_default();
    let sign = match age {
        Some(age) => format!("last sign of life {age}s ago"),
        None => "nothing tells when it gave its last sign of life".to_owned(),
    };
    let line = format!("{holder} is at work on this account{since}{step}{machine} ({sign})");
    let problem =
        Problem::new(Reason::Locked, line).hint("let them go on; the same command goes on from wherever they stop");
    Some(match left {
        Some(left) if left <= LONG => {
            problem.hint(format!("if that process is gone, its lock ends by itself in {left}s"))
        }
        Some(left) => problem.hint(Hint::to(
            format!("if that process is gone, its lock ends by itself in {left}s; once you are sure that it is gone"),
            by_hand,
        )),
        None => problem.hint(Hint::to(
            format!("it does not end by itself, since it has no age; once you are sure that {holder} is gone"),
            by_hand,
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// Held by alice, written at 1000, living for 20 seconds.
    fn held() -> LeaseView {
        LeaseView {
            holder: Some("alice".to_owned()),
            since: Some(at(900)),
            life: 20,
            written: Some(at(1000)),
            process_is_gone: false,
            machine: None,
            step: None,
        }
    }

    #[test]
    fn who_is_at_work_is_told_with_machine_and_step() {
        let lease = LeaseView { holder: Some("alice@laptop (1a2b)".to_owned()), ..held() };
        let told = |lease: &LeaseView| at_work(lease, at(1005)).map(|at_work| at_work.in_words(at(1010)));
        let since = "since 1970-01-01T00:15:00Z (110s ago)";
        assert_eq!(told(&lease), Some(format!("alice@laptop (1a2b) is at work {since}, on laptop")));
        let step = Some(("restart".to_owned(), Some(at(990))));
        let noted = LeaseView { machine: Some("bastion".to_owned()), step, ..held() };
        assert_eq!(told(&noted), Some(format!("alice is at work {since}, at the step restart for 20s, on bastion")));
        let alone = LeaseView { since: None, ..held() };
        assert_eq!(told(&alone), Some("alice is at work".to_owned()));
        assert_eq!(at_work(&held(), at(1021)), None, "nobody holds it any more");
    }

    #[test]
    fn a_lease_is_held_until_the_servers_clock_is_past_its_life() {
        let of = |age, left| Judgement::Held { age: Some(age), left: Some(left) };
        let rows = [
            ("just written", held(), 1000, of(0, 21)),
            ("near its end", held(), 1020, of(20, 1)),
            ("past it", held(), 1021, Judgement::Free),
            ("long past it", held(), 90_000, Judgement::Free),
            ("written in the future", held(), 940, of(-60, 81)),
            ("released", LeaseView { holder: None, ..held() }, 1000, Judgement::Free),
            ("its process is gone", LeaseView { process_is_gone: true, ..held() }, 1000, Judgement::Free),
            (
                "nothing tells its age",
                LeaseView { written: None, ..held() },
                90_000,
                Judgement::Held { age: None, left: None },
            ),
            ("made to live for ever", LeaseView { life: i64::MAX, ..held() }, 1010, of(10, i64::MAX - 10)),
            ("of no life", LeaseView { life: 0, ..held() }, 1001, Judgement::Free),
        ];
        for (name, lease, now, wanted) in rows {
            assert_eq!(judge(&lease, at(now)), wanted, "{name}");
        }
    }

    #[test]
    fn the_refusal_says_how_it_ends() {
        let by_hand = "kubectl delete lease deepdesk-rotation -n acme";
        let command = || Command::new(by_hand.split(' ').map(str::to_owned).collect());
        let told = |lease: LeaseView, now| {
            let problem = refusal(&lease, at(now), command()).expect("it is held");
            assert_eq!(problem.reason, Reason::Locked);
            format!("{} / {}", problem.message, hint::in_one_line(&problem.hints))
        };
        let soon = told(held(), 1005);
        assert!(
            soon.starts_with("alice is at work on this account since 1970-01-01T00:15:00Z (last sign of life 5s ago)"),
            "{soon}"
        );
        assert!(soon.ends_with("its lock ends by itself in 16s") && !soon.contains(by_hand), "{soon}");
        let late = told(LeaseView { life: 900, ..held() }, 1005);
        assert!(late.contains("in 896s; once you are sure") && late.ends_with(by_hand), "{late}");
        let never = told(LeaseView { written: None, since: None, ..held() }, 1005);
        assert!(never.contains("does not end by itself") && never.ends_with(by_hand), "{never}");
        assert_eq!(refusal(&held(), at(1021), command()), None);
    }
}
