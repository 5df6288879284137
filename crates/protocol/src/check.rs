//! The hazards as data: what is looked at, under which stable id, how grave it is for which command, and what to do.
//!
//! Pure. Ids never change their meaning.

pub mod catalogue;
mod consumers;
pub mod explanations;
mod external_secrets;
pub mod other_readers;
mod secrets;

pub use external_secrets::prints_one;

use crate::facts::copies::NotLookedAt;
use crate::facts::observation::{Observation, VersionState};
use crate::hint::Hint;
use crate::plan::{self, Want};
use crate::result::{CheckResult, Verdict};
use crate::state::{self, State};

/// The command that asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// `secret rotate`.
    Rotate,
    /// `secret sync`.
    Sync,
    /// `secret verify`.
    Verify,
    /// `secret restart`.
    Restart,
    /// `secret rollback`.
    Rollback,
    /// `secret finalize`.
    Finalize,
    /// `secret rescue`.
    Rescue,
}

impl Purpose {
    /// The command's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Rotate => "rotate",
            Purpose::Sync => "sync",
            Purpose::Verify => "verify",
            Purpose::Restart => "restart",
            Purpose::Rollback => "rollback",
            Purpose::Finalize => "finalize",
            Purpose::Rescue => "rescue",
        }
    }
}

/// What a check is given.
pub struct Seen<'a> {
    /// Which command asks.
    pub purpose: Purpose,
    /// What the operator wants.
    pub want: &'a Want,
    pub now: &'a Observation,
}

/// How grave a finding is for one command.
#[derive(Clone, Copy)]
enum Grave {
    /// It stops the command.
    Fail,
    /// It is told.
    Warn,
    /// It is not looked at.
    No,
}
use Grave::{Fail, No, Warn};

/// A finding: what, and what to do.
struct Finding(String, Vec<Hint>);

pub struct Check {
    /// Stable id.
    pub id: &'static str,
    /// How grave for rotate, sync, verify, restart, rollback, finalize and rescue, in this order.
    grave: [Grave; 7],
    look: fn(&Seen) -> Vec<Finding>,
}

/// Id of the check on rollouts.
pub const HEALTHY: &str = "DD-HEALTHY";
/// Id of the check on what the pods started with.
pub const PODS_CURRENT: &str = "DD-PODS-CURRENT";

/// Id of the check on what a restart does not reach.
pub const OTHER_READERS: &str = "DD-OTHER-READERS";

/// All checks on an observation, in the order in which they are shown.
pub static CHECKS: &[Check] = &[
    Check { id: "DD-PROJECT", grave: [Fail, Fail, Fail, Fail, Fail, Fail, Fail], look: secrets::project },
    Check { id: "DD-LATEST", grave: [Fail, Fail, Fail, Fail, Fail, Fail, Fail], look: secrets::latest_enabled },
    Check { id: "DD-PREDECESSOR", grave: [No, Warn, Fail, Warn, No, Fail, No], look: secrets::predecessor },
    Check { id: "DD-OLDER-ENABLED", grave: [Warn, No, Warn, No, Warn, No, Warn], look: secrets::older_enabled },
    Check { id: "DD-TERRAFORM", grave: [Warn, No, Warn, No, Warn, Warn, Warn], look: secrets::terraform },
    Check { id: "DD-BACK-COMPAT", grave: [Fail, Fail, Fail, Warn, Fail, Fail, No], look: secrets::back_compat_enabled },
    Check {
        id: "DD-ES-EXIST",
        grave: [Fail, Fail, Fail, Warn, Fail, Fail, Fail],
        look: external_secrets::external_secrets_exist,
    },
    Check { id: "DD-ES-STORE", grave: [Fail, Fail, Fail, Warn, Fail, Fail, Fail], look: external_secrets::store },
    Check { id: "DD-ES-READY", grave: [Fail, Warn, Fail, Warn, Fail, Fail, Warn], look: external_secrets::ready },
    Check {
        id: "DD-ES-BACK-COMPAT",
        grave: [No, Warn, Fail, Warn, No, No, No],
        look: external_secrets::back_compat_awaited,
    },
    Check { id: "DD-ES-PINNED", grave: [Fail, Fail, Fail, Warn, Fail, Fail, Fail], look: external_secrets::pinned },
    Check {
        id: "DD-ES-CREATED-ONCE",
        grave: [Fail, Fail, Fail, Warn, Fail, Fail, Fail],
        look: external_secrets::created_once,
    },
    Check {
        id: "DD-ES-INTERVAL-ZERO",
        grave: [Fail, Fail, Fail, Warn, Fail, Fail, Fail],
        look: external_secrets::interval_zero,
    },
    Check {
        id: "DD-ES-IMMUTABLE",
        grave: [Fail, Fail, Fail, Warn, Fail, Fail, Fail],
        look: external_secrets::immutable,
    },
    Check { id: "DD-ES-OWNED", grave: [No, No, Warn, No, No, No, No], look: external_secrets::owned },
    Check {
        id: "DD-ES-TARGET",
        grave: [Fail, Fail, Fail, Warn, Fail, Fail, Fail],
        look: external_secrets::unusual_target,
    },
    Check { id: "DD-ES-OPAQUE", grave: [Fail, Fail, Fail, Warn, Fail, Fail, Fail], look: external_secrets::opaque },
    Check { id: "DD-ES-PROPERTY", grave: [Fail, No, No, No, No, No, No], look: external_secrets::property },
    Check {
        id: "DD-BACK-COMPAT-MAPPED",
        grave: [Fail, No, Fail, No, Fail, No, Fail],
        look: secrets::back_compat_mapped,
    },
    Check { id: "DD-BACK-COMPAT-READ", grave: [Warn, No, Warn, No, Warn, No, Warn], look: secrets::back_compat_read },
    Check { id: "DD-SECRETS-CURRENT", grave: [Fail, No, Fail, Fail, Warn, Fail, No], look: secrets::secrets_current },
    Check { id: "DD-CONSUMERS", grave: [Fail, Warn, Fail, Fail, Fail, Fail, Fail], look: consumers::consumers_exist },
    Check { id: "DD-PAUSED", grave: [Fail, No, Warn, Fail, Fail, Fail, Fail], look: consumers::paused },
    Check { id: "DD-HELD-BACK", grave: [Fail, No, Warn, Fail, Fail, Fail, Fail], look: consumers::held_back },
    Check { id: HEALTHY, grave: [Fail, No, Fail, Warn, Warn, Fail, Warn], look: consumers::healthy },
    Check { id: PODS_CURRENT, grave: [Fail, No, Fail, No, Warn, Fail, No], look: consumers::pods_current },
    Check { id: OTHER_READERS, grave: [Warn, No, Warn, Warn, Warn, Warn, Warn], look: other_readers::other_readers },
    Check { id: "DD-UNMOVED-READERS", grave: [Fail, No, No, No, Fail, No, No], look: other_readers::unmoved_readers },
    Check { id: "DD-OLD-READERS", grave: [No, No, Fail, No, No, Fail, No], look: other_readers::older_readers },
    Check { id: "DD-RELOADER", grave: [Warn, Warn, No, Warn, Warn, Warn, Warn], look: consumers::reloader },
    Check { id: "DD-GITOPS", grave: [Warn, No, No, Warn, Warn, Warn, Warn], look: consumers::gitops },
    Check { id: "DD-COSTS", grave: [Warn, No, No, Warn, Warn, Warn, Warn], look: consumers::costs },
    Check { id: "DD-ONE-POD", grave: [Warn, No, No, Warn, Warn, Warn, Warn], look: consumers::one_pod },
];

/// Whether what this check found has to be put right before values can be judged at all: the wrong project, or an ExternalSecret
/// that cannot bring another value.
pub fn comes_first(id: &str) -> bool {
    const FIRST: [&str; 9] = [
        "DD-PROJECT",
        "DD-ES-EXIST",
        "DD-ES-STORE",
        "DD-ES-PINNED",
        "DD-ES-CREATED-ONCE",
        "DD-ES-INTERVAL-ZERO",
        "DD-ES-IMMUTABLE",
        "DD-ES-TARGET",
        "DD-ES-OPAQUE",
    ];
    id.ends_with("-ACCESS") || FIRST.contains(&id)
}

/// Runs every check that concerns the command, in the list's order.
pub fn run(seen: &Seen) -> Vec<CheckResult> {
    let concerned = CHECKS.iter().filter_map(|check| {
        let verdict = match check.grave[seen.purpose as usize] {
            Fail => Verdict::Fail,
            Warn => Verdict::Warn,
            No => return None,
        };
        Some((check, verdict))
    });
    let mut found: Vec<CheckResult> =
        concerned.flat_map(|(check, verdict)| results(check, verdict, (check.look)(seen))).collect();
    // That nothing was found says little of where nobody looked.
    let unlooked: Vec<NotLookedAt> =
        seen.now.not_looked_at.iter().filter(|one| one.can_be_looked_at()).cloned().collect();
    if let Some(all) = NotLookedAt::all_in_words(&unlooked) {
        let passed = |check: &&mut CheckResult| check.id == OTHER_READERS && check.result == Verdict::Pass;
        found.iter_mut().filter(passed).for_each(|check| check.message = format!("not checked: {all}"));
    }
    // A cause is told with its one way out. What follows from it is told, and where it would lead is not: it would refuse.
    // A finalization goes first where both slots are taken: what it needs is not refused.
    let goes_first = seen.purpose == Purpose::Finalize && plan::may_restart(seen.now).is_ok();
    if matches!(state::secrets_state(seen.now), State::Blocked(_)) && !goes_first {
        let follows = |check: &&mut CheckResult| CONSEQUENCES.contains(&check.id);
        found.iter_mut().filter(follows).for_each(|check| check.hints.clear());
    }
    found
}

/// The checks that find what a version does which nobody adopted: a Secret or a pod has another.
const CONSEQUENCES: [&str; 4] = ["DD-SECRETS-CURRENT", PODS_CURRENT, HEALTHY, "DD-OLD-READERS"];

/// Whether the command asks this check. Those on the way to an observation are asked by all.
pub fn concerns(id: &str, purpose: Purpose) -> bool {
    match CHECKS.iter().find(|check| check.id == id) {
        Some(check) => !matches!(check.grave[purpose as usize], No),
        // What a secret does by itself concerns who is about to write to it, as the plan does.
        None if [
            catalogue::PLAN_ID,
            catalogue::EXPIRY_ID,
            catalogue::ALIASES_ID,
            catalogue::SCHEDULE_ID,
            catalogue::DESTRUCTION_ID,
        ]
        .contains(&id) =>
        {
            matches!(purpose, Purpose::Rotate | Purpose::Rollback | Purpose::Finalize | Purpose::Rescue)
        }
        None if id == catalogue::LOCK_ID => !matches!(purpose, Purpose::Sync | Purpose::Verify),
        None => true,
    }
}

fn results(check: &Check, verdict: Verdict, findings: Vec<Finding>) -> Vec<CheckResult> {
    let result = |verdict, message, hints| catalogue::result(check.id, verdict, message, hints);
    if findings.is_empty() {
        return vec![result(Verdict::Pass, String::new(), Vec::new())];
    }
    let printable = |text: String| crate::facts::names::printable(&text);
    findings.into_iter().map(|Finding(message, hints)| result(verdict, printable(message), hints)).collect()
}

/// While a rotation or a finalization is under way, what it will put right itself is no finding for it.
fn under_way(seen: &Seen) -> bool {
    let state = state::secrets_state(seen.now);
    match seen.purpose {
        Purpose::Rotate => {
            let adopting = seen.want.adopt && matches!(state, State::Blocked(_));
            let half_way = matches!(state, State::AwaitingReencryption) && plan::half_spread(seen.now);
            adopting || half_way || matches!(state, State::Rotating { .. })
        }
        // Begun: the back-compat has the value in use, and its older versions are not disabled yet.
        Purpose::Finalize => {
            let mut older = seen.now.back_compat.versions.iter().skip(1);
            let is_open = matches!(state, State::Stable | State::Drifted) || state::is_finalizing(seen.now);
            is_open && older.any(|version| version.state == VersionState::Enabled)
        }
        Purpose::Sync | Purpose::Verify | Purpose::Restart | Purpose::Rollback | Purpose::Rescue => false,
    }
}

#[cfg(test)]
#[path = "check/tests/findings.rs"]
mod findings;
