//! What a seed means: the account, what people do to it by hand, and how somebody who knows nothing goes on from there.
//! Drawn before anything runs.

use crate::random::Random;

/// One of a secret's versions, told by where it stands, since numbers are known only when it comes to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// The newest.
    Newest,
    /// The one before the newest.
    Previous,
    /// Any, so many places down from the newest.
    Down(usize),
}

/// What a version or the back-compat is filled with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filling {
    /// A value that was nowhere before.
    New,
    /// The value of the primary's version.
    Of(Which),
    /// Nothing yet: the secret is created, and may be read.
    Nothing,
    /// Text that is no key, so that the mapping does not fail.
    Placeholder,
}

/// The account's ExternalSecrets and Deployments that an act is done to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum On {
    All,
    /// The n-th: admin, backend, worker; ExternalSecrets are two.
    One(usize),
}

/// A command of ours in the midst of all that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Own {
    Rotate,
    TwoPhase,
    RollBack,
    /// The data is saved again before it.
    Finalize,
    Sync,
    Restart,
    /// A rotation that is killed at its n-th request, or at the n-th of an operation, before its effect or after it.
    Killed {
        n: usize,
        operation: Option<&'static str>,
        after: bool,
    },
}

/// One thing that somebody does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// `gcloud secrets versions add` on the primary.
    Add(Filling),
    /// `gcloud secrets versions disable`, of the primary's ENABLED versions.
    Disable(Which),
    /// `gcloud secrets versions enable`, of the primary's DISABLED versions.
    Enable(Which),
    /// `gcloud secrets versions destroy`, of the primary's versions that are not the newest.
    Destroy(Which),
    /// `gcloud secrets versions disable|enable|destroy`, of the back-compat's.
    ChangeBackCompat(&'static str, Which),
    /// `gcloud secrets delete`, of the back-compat.
    DeleteBackCompat,
    /// What somebody does to the lock.
    Lease(Tamper),
    /// The ExternalSecret's `remoteRef.version` of the primary is set to the version before the newest.
    Pin(On),
    /// And taken away again.
    Unpin,
    /// The back-compat is created as the runbook does where it is not there, and gets a version.
    BackCompat(Filling),
    /// `kubectl annotate externalsecret … force-sync=…`.
    Annotate(On),
    /// External Secrets' interval is over.
    Interval(On),
    /// `kubectl rollout restart`.
    Restart(On),
    /// One of our commands.
    Own(Own),
}

/// What is done to the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tamper {
    /// `kubectl delete lease`.
    Delete,
    /// All that it records is taken out.
    Forget,
    /// Every number that it records is one more.
    Count,
}

/// An act that comes while a command of ours runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Meanwhile {
    /// The how-manieth command that changes something, from 0.
    pub run: usize,
    /// At its how-manieth request.
    pub at: usize,
    pub act: Act,
}

/// All that a seed means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Script {
    pub seed: u64,
    pub account: &'static str,
    /// Whether the pods of the start are hours older than all that comes.
    pub old_pods: bool,
    pub acts: Vec<Act>,
    /// What comes while our commands run.
    pub meanwhile: Vec<Meanwhile>,
    /// Whether the follower begins with `status`, and not with `rotate`.
    pub asks_first: bool,
}

/// Operations of a rotation at which it may be killed, with how often it does them.
const OPERATIONS: &[(&str, usize)] = &[
    ("addSecretVersion", 2),
    ("disableSecretVersion", 1),
    ("createSecret", 1),
    ("setIamPolicy", 1),
    ("update/leases", 6),
    ("patch/externalsecrets", 4),
    ("patch/deployments", 3),
];
/// About as many requests as a rotation sends.
const REQUESTS: usize = 190;

fn which(random: &mut Random) -> Which {
    match random.within(0, 9) {
        0..4 => Which::Newest,
        4..8 => Which::Previous,
        _ => Which::Down(random.within(2, 5)),
    }
}

fn on(random: &mut Random) -> On {
    if random.percent(40) { On::All } else { On::One(random.within(0, 2)) }
}

fn killed(random: &mut Random) -> Own {
    let after = random.percent(50);
    match random.percent(60) {
        true => {
            let (operation, most) = random.of(OPERATIONS);
            Own::Killed { n: random.within(1, most), operation: Some(operation), after }
        }
        false => Own::Killed { n: random.within(30, REQUESTS), operation: None, after },
    }
}

fn own(random: &mut Random) -> Act {
    Act::Own(match random.within(0, 99) {
        0..30 => Own::Rotate,
        30..40 => Own::TwoPhase,
        40..52 => Own::RollBack,
        52..62 => Own::Finalize,
        62..68 => Own::Sync,
        68..74 => Own::Restart,
        _ => killed(random),
    })
}

fn back_compat(random: &mut Random) -> Act {
    Act::BackCompat(match random.within(0, 99) {
        0..42 => Filling::Of(Which::Newest),
        42..86 => Filling::Of(Which::Previous),
        86..93 => Filling::Nothing,
        _ => Filling::Placeholder,
    })
}

fn act(random: &mut Random) -> Act {
    match random.within(0, 99) {
        0..22 => Act::Add(Filling::New),
        22..32 => Act::Add(Filling::Of(if random.percent(60) { Which::Previous } else { which(random) })),
        32..46 => Act::Disable(which(random)),
        46..55 => Act::Enable(which(random)),
        55..69 => back_compat(random),
        69..77 => Act::Annotate(on(random)),
        77..81 => Act::Interval(on(random)),
        81..93 => Act::Restart(on(random)),
        _ => own(random),
    }
}

/// What is rarer, and worse.
fn tampering(random: &mut Random) -> Act {
    match random.within(0, 99) {
        0..20 => Act::Destroy(which(random)),
        20..34 => Act::ChangeBackCompat("disable", which(random)),
        34..44 => Act::ChangeBackCompat("enable", which(random)),
        44..52 => Act::ChangeBackCompat("destroy", which(random)),
        52..58 => Act::DeleteBackCompat,
        58..76 => Act::Lease(random.of(&[Tamper::Delete, Tamper::Delete, Tamper::Forget, Tamper::Count])),
        76..90 => Act::Pin(on(random)),
        _ => Act::Unpin,
    }
}

/// What somebody else does while a command of ours runs.
fn meanwhile(random: &mut Random) -> Meanwhile {
    let act = loop {
        match if random.percent(30) { tampering(random) } else { act(random) } {
            Act::Own(_) => {}
            act => break act,
        }
    };
    Meanwhile { run: random.weighed(&[(60, 0), (25, 1), (15, 2)]), at: random.within(1, REQUESTS), act }
}

/// An act that by itself makes an account another one: what comes after it has something to go on.
fn change(random: &mut Random) -> Act {
    match random.within(0, 99) {
        0..45 => Act::Add(Filling::New),
        45..58 => Act::Add(Filling::Of(Which::Previous)),
        58..76 => Act::Disable(which(random)),
        _ => back_compat(random),
    }
}

/// The runbook, done by hand up to some place, perhaps with a slip or after one.
fn runbook(random: &mut Random) -> Vec<Act> {
    let mut all = vec![
        Act::Add(Filling::New),
        Act::Disable(Which::Previous),
        Act::BackCompat(Filling::Nothing),
        Act::BackCompat(Filling::Of(Which::Previous)),
        Act::Annotate(On::One(0)),
        Act::Annotate(On::One(1)),
        Act::Restart(On::One(0)),
        Act::Restart(On::One(1)),
    ];
    match random.within(0, 9) {
        // The new value goes where the old one belongs.
        0 | 1 => all[3] = Act::BackCompat(Filling::Of(Which::Newest)),
        // One is left out.
        2 | 3 => {
            all.remove(random.within(1, 6));
        }
        // Two in the wrong order.
        4 | 5 => {
            let at = random.within(0, 6);
            all.swap(at, at + 1);
        }
        // A first try, that was disabled at once.
        6 => all.splice(0..0, [Act::Add(Filling::New), Act::Disable(Which::Newest)]).for_each(drop),
        // External Secrets does not wait.
        7 => all.insert(random.within(1, 7), Act::Interval(On::All)),
        _ => {}
    }
    all.truncate(random.within(1, all.len()));
    all
}

impl Script {
    /// What this seed means.
    pub fn of(seed: u64) -> Script {
        let mut random = Random::new(seed);
        let random = &mut random;
        let account = random.weighed(&[(50, "acme"), (35, "globex"), (15, "initech")]);
        let mut acts = match random.percent(30) {
            true => runbook(random),
            false => {
                let many = random.weighed(&[(8, 1), (24, 2), (28, 3), (22, 4), (18, 5)]);
                let mut acts = vec![change(random)];
                acts.extend((1..many).map(|_| if random.percent(15) { tampering(random) } else { act(random) }));
                acts
            }
        };
        // An account that this program has rotated already.
        if random.percent(40) {
            let before = if random.percent(70) { Own::Rotate } else { killed(random) };
            acts.insert(0, Act::Own(before));
        }
        let many = random.weighed(&[(50, 0), (30, 1), (20, 2)]);
        let meanwhile = (0..many).map(|_| meanwhile(random)).collect();
        let (old_pods, asks_first) = (random.percent(50), random.percent(50));
        Script { seed, account, old_pods, acts, meanwhile, asks_first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_one_script_and_every_act_is_drawn() {
        assert_eq!(Script::of(7), Script::of(7));
        let all = |seed| {
            let script = Script::of(seed);
            script.acts.into_iter().chain(script.meanwhile.into_iter().map(|meanwhile| meanwhile.act))
        };
        let mut kinds: Vec<String> = (1..400)
            .flat_map(all)
            .map(|act| format!("{act:?}").split(['(', ' ']).next().unwrap_or_default().to_owned())
            .collect();
        kinds.sort();
        kinds.dedup();
        let first = ["Add", "Annotate", "BackCompat", "ChangeBackCompat", "DeleteBackCompat", "Destroy", "Disable"];
        let rest = ["Enable", "Interval", "Lease", "Own", "Pin", "Restart", "Unpin"];
        assert_eq!(kinds, [first, rest].concat());
    }
}
