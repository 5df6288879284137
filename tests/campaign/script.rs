//! What a seed means: the world, the commands, and what strikes them at which request. Drawn before anything runs, so the
//! same seed strikes the same requests.

use serde_json::{Value, json};

use crate::random::Random;

/// What a command is after.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Goal {
    Rotate,
    TwoPhase,
    RollBack,
    Finalize,
    /// With the application's own word that nothing is left, from a Job.
    FinalizeByJob,
    Restart,
    Sync,
}

impl Goal {
    /// The command's arguments.
    pub fn command(self, account: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Goal::Rotate => &["rotate", "--yes"],
            Goal::TwoPhase => &["rotate", "--strategy=two-phase", "--yes"],
            Goal::RollBack => &["rollback", "--yes"],
            Goal::Finalize => &["finalize", "--yes", "--reencrypted"],
            Goal::FinalizeByJob => &["finalize", "--yes", "--reencrypted-by", "reencrypt"],
            Goal::Restart => &["restart", "--yes"],
            Goal::Sync => &["sync"],
        };
        let mut all = vec!["secret".to_owned(), words[0].to_owned(), account.to_owned()];
        all.extend(words[1..].iter().map(|word| (*word).to_owned()));
        all
    }

    /// Whether it brings a value into use that was not there before.
    pub fn is_rotation(self) -> bool {
        matches!(self, Goal::Rotate | Goal::TwoPhase)
    }

    /// Whether somebody says that nothing is encrypted under an older value any more.
    pub fn retires(self) -> bool {
        matches!(self, Goal::Finalize | Goal::FinalizeByJob)
    }

    /// Whether it changes which value is in use.
    pub fn changes_value(self) -> bool {
        self.is_rotation() || self == Goal::RollBack
    }
}

/// What is done to a program whose request waits.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum How {
    /// kill -9.
    Kill,
    /// Ctrl-C, and the request goes on.
    Interrupt,
    /// Ctrl-C, and once more.
    InterruptTwice,
    /// SIGTERM, and the request goes on.
    Terminate,
    /// It is stopped for a moment and continued.
    Pause,
    /// Somebody deletes its lock, and the request goes on.
    Unlock,
}

/// At which request: the n-th, of one operation or of all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct At {
    pub n: usize,
    pub operation: Option<&'static str>,
}

/// What happens to a program's requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Strike {
    /// A fault begins at this request; where it does not end by itself, so many requests later.
    Fault { at: At, name: &'static str, value: Option<String>, lasts: Option<usize> },
    /// A scheduled sync at this request.
    Sync { at: At, external_secret: &'static str },
}

/// One operator's run of a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    pub strikes: Vec<Strike>,
    /// Where a request waits, whether after its effect, and what is done then.
    pub stop: Option<(At, bool, How)>,
    /// More flags, which change what is shown and not what is done.
    pub show: Vec<&'static str>,
    /// It starts that many milliseconds after the others of its wave.
    pub after: usize,
}

/// One thing that is wanted, and how it is tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chapter {
    pub goal: Goal,
    /// Those of one wave run at once.
    pub waves: Vec<Vec<Attempt>>,
    /// Whether every fault is healed before the next wave.
    pub heal_between: bool,
    /// Whether it is brought to its end before the next chapter.
    pub finish: bool,
}

/// All that a seed means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Script {
    pub seed: u64,
    pub account: &'static str,
    /// Faults that are there from the start.
    pub world: Vec<String>,
    pub chapters: Vec<Chapter>,
}

/// Operations worth striking, with how often a rotation does them.
const OPERATIONS: &[(&str, usize)] = &[
    ("addSecretVersion", 2),
    ("disableSecretVersion", 1),
    ("createSecret", 1),
    ("setIamPolicy", 1),
    ("create/leases", 1),
    ("update/leases", 12),
    ("patch/externalsecrets", 4),
    ("patch/deployments", 3),
    ("accessSecretVersion", 14),
    ("getSecretVersion", 2),
    ("get/secrets", 10),
    ("list/pods", 8),
    ("list/deployments", 4),
    ("get/externalsecrets", 6),
    ("create/events", 1),
];
/// Writes that nobody may repeat without a look whether the first one arrived: an answer of theirs that is lost is struck on
/// purpose, because a rotation sends three of them among all its requests.
const WRITES: &[(&str, usize)] = &[("addSecretVersion", 2), ("disableSecretVersion", 1), ("createSecret", 1)];
/// About as many requests as a rotation sends.
const REQUESTS: usize = 190;

/// Faults that may be there from the start, as flags. Those that are healed last are at the end.
fn world_fault(random: &mut Random) -> String {
    let milliseconds = |random: &mut Random, low, high| format!("{}ms", random.within(low, high));
    match random.within(0, 12) {
        0 => format!("stale-latest={}", milliseconds(random, 50, 900)),
        1 => format!("external-secrets-denied={}", milliseconds(random, 100, 700)),
        2 => format!("watch-closed={}", milliseconds(random, 20, 200)),
        3 => format!("watch-expired={}", random.within(1, 4)),
        4 => format!("sync-slow={}", milliseconds(random, 20, 200)),
        5 => format!("pod-slow-to-stop={}", milliseconds(random, 200, 900)),
        6 => "old-value-pod".to_owned(),
        7 => "reloader".to_owned(),
        8 => "gitops".to_owned(),
        9 => format!("scheduled-sync={}", milliseconds(random, 60, 400)),
        10 => format!("pod-churn={}", milliseconds(random, 150, 900)),
        11 => format!("clock-skew={}{}", random.of(&["", "-"]), random.within(30, 900)),
        _ => "etag-mismatch".to_owned(),
    }
}

fn at(random: &mut Random) -> At {
    match random.percent(55) {
        true => {
            let (operation, most) = random.of(OPERATIONS);
            At { n: random.within(1, most), operation: Some(operation) }
        }
        false => At { n: random.within(1, REQUESTS), operation: None },
    }
}

/// One request that gets no answer.
fn unanswered(random: &mut Random, name: &'static str) -> Strike {
    if random.percent(50) {
        let (operation, most) = random.of(WRITES);
        let at = At { n: random.within(1, most), operation: Some(operation) };
        return Strike::Fault { at, name, value: Some(operation.to_owned()), lasts: None };
    }
    // The next of this operation, or the next that changes something.
    let value = random.percent(60).then(|| random.of(OPERATIONS).0.to_owned());
    Strike::Fault { at: at(random), name, value, lasts: None }
}

fn strike(random: &mut Random) -> Strike {
    let at = at(random);
    let number = |random: &mut Random, most| Some(random.within(1, most).to_string());
    let consumer =
        |random: &mut Random| random.percent(60).then(|| random.of(&["admin", "backend", "worker"]).to_owned());
    let external =
        |random: &mut Random| random.percent(60).then(|| random.of(&["admin-secrets", "backend-secrets"]).to_owned());
    let lasts = Some(random.within(3, 40));
    let (name, value, lasts) = match random.within(0, 21) {
        0 => return unanswered(random, "hang"),
        1 | 2 => return unanswered(random, "lost-answer"),
        3 => return unanswered(random, "reset"),
        4 => ("hold", number(random, 30), None),
        5 => ("hold-answer", number(random, 30), None),
        6 => ("conflict", number(random, 3), None),
        7 => ("too-many-requests", number(random, 6), None),
        8 => ("too-many-requests-retry-after", Some("1".to_owned()), None),
        9 => ("unavailable", number(random, 6), None),
        10 => ("internal-error", number(random, 6), None),
        11 => {
            let right = random.of(&[
                "patch/deployments",
                "patch/externalsecrets",
                "list/pods",
                "update/leases",
                "watch/*",
                "get/secrets",
            ]);
            ("forbidden", Some(right.to_owned()), lasts)
        }
        12 => {
            let right = random.of(&[
                "versions.add",
                "versions.disable",
                "versions.access",
                "secrets.create",
                "secrets.setIamPolicy",
            ]);
            ("denied", Some(format!("secretmanager.{right}")), lasts)
        }
        13 => ("etag-mismatch", None, lasts),
        14 => ("sync-failing", external(random), lasts),
        15 => ("rollout-stuck", consumer(random), lasts),
        16 => ("old-value-pod", None, lasts),
        17 => ("external-secrets-api", Some(random.of(&["none", "v1beta1"]).to_owned()), Some(random.within(1, 6))),
        18 => ("external-secrets-denied", None, lasts),
        19 => ("test-permissions-denied", None, lasts),
        _ => return Strike::Sync { at, external_secret: random.of(&["admin-secrets", "backend-secrets"]) },
    };
    Strike::Fault { at, name, value, lasts }
}

/// A fault of a finalization's Job.
fn job_strike(random: &mut Random) -> Strike {
    let of_the_job = At { n: 1, operation: Some("create/jobs") };
    let at = if random.percent(60) { of_the_job } else { At { n: random.within(30, 70), operation: None } };
    let name = random.of(&["job-failing", "job-hanging", "job-not-starting"]);
    Strike::Fault { at, name, value: None, lasts: Some(random.within(3, 40)) }
}

/// Has the application speak, and strikes its Job.
fn by_job(random: &mut Random, chapter: &mut Chapter) {
    chapter.goal = Goal::FinalizeByJob;
    for attempt in chapter.waves.iter_mut().flatten() {
        if random.percent(40) {
            attempt.strikes.push(job_strike(random));
        }
        if let Some((at, ..)) = attempt.stop.as_mut().filter(|_| random.percent(40)) {
            *at = At { n: 1, operation: Some(random.of(&["create/jobs", "delete/jobs"])) };
        }
    }
}

fn attempt(random: &mut Random) -> Attempt {
    let how = &[
        (60, How::Kill),
        (14, How::Interrupt),
        (6, How::InterruptTwice),
        (6, How::Terminate),
        (8, How::Pause),
        (6, How::Unlock),
    ];
    let strikes = random.weighed(&[(35, 0), (35, 1), (20, 2), (7, 3), (3, 4)]);
    Attempt {
        strikes: (0..strikes).map(|_| strike(random)).collect(),
        stop: random.percent(65).then(|| (at(random), random.percent(50), random.weighed(how))),
        show: random
            .of(&[&["--progress=none"] as &[_], &["--progress=json"], &["-v"], &["-vv", "--progress=plain"]])
            .to_vec(),
        after: random.within(0, 60),
    }
}

fn chapter(random: &mut Random, goal: Goal, finish: bool) -> Chapter {
    let waves = random.weighed(&[(8, 0), (62, 1), (30, 2)]);
    let wave = |random: &mut Random| {
        let operators = random.weighed(&[(68, 1), (25, 2), (7, 3)]);
        (0..operators).map(|_| attempt(random)).collect()
    };
    Chapter { goal, waves: (0..waves).map(|_| wave(random)).collect(), heal_between: random.percent(40), finish }
}

impl Script {
    /// What this seed means.
    pub fn of(seed: u64) -> Script {
        let mut random = Random::new(seed);
        let random = &mut random;
        let account = random.weighed(&[(45, "acme"), (35, "globex"), (20, "initech")]);
        let faults = random.weighed(&[(35, 0), (35, 1), (20, 2), (10, 3)]);
        let mut world: Vec<String> = (0..faults).map(|_| world_fault(random)).collect();
        world.sort();
        world.dedup_by_key(|fault| fault.split('=').next().map(str::to_owned));
        let rotate = |random: &mut Random| random.weighed(&[(70, Goal::Rotate), (30, Goal::TwoPhase)]);
        let first = rotate(random);
        let goals: Vec<(Goal, bool)> = match random.within(0, 99) {
            0..50 => vec![(first, true)],
            50..62 => vec![(first, true), (Goal::RollBack, true)],
            62..72 => vec![(first, false), (Goal::RollBack, true)],
            72..82 => vec![(first, true), (Goal::Finalize, true)],
            82..88 => vec![(first, true), (Goal::Finalize, true), (rotate(random), true)],
            88..94 => vec![(Goal::Restart, true), (first, true)],
            _ => vec![(Goal::Sync, true), (first, true)],
        };
        let mut chapters: Vec<Chapter> =
            goals.into_iter().map(|(goal, finish)| chapter(random, goal, finish)).collect();
        for chapter in chapters.iter_mut().filter(|chapter| chapter.goal == Goal::Finalize) {
            if random.percent(50) {
                by_job(random, chapter);
            }
        }
        Script { seed, account, world, chapters }
    }

    /// The faults that the driver may put in force, for a test that none is forgotten.
    #[cfg(test)]
    pub fn known_faults() -> std::collections::BTreeSet<String> {
        let mut random = Random::new(1);
        let name = |fault: String| fault.split('=').next().unwrap_or_default().to_owned();
        let of_world: Vec<String> = (0..2_000).map(|_| name(world_fault(&mut random))).collect();
        let mut strikes: Vec<Strike> = (0..4_000).map(|_| strike(&mut random)).collect();
        strikes.extend((0..100).map(|_| job_strike(&mut random)));
        let of_strikes = strikes.into_iter().filter_map(|strike| match strike {
            Strike::Fault { name, .. } => Some(name.to_owned()),
            Strike::Sync { .. } => None,
        });
        of_strikes.chain(of_world).collect()
    }
}

impl At {
    fn json(&self) -> Value {
        json!({"at": self.n, "operation": self.operation})
    }

    fn later(&self, by: usize) -> At {
        At { n: self.n + by, operation: self.operation }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.operation {
            Some(operation) => write!(f, "{operation}:{}", self.n),
            None => write!(f, "{}", self.n),
        }
    }
}

impl Attempt {
    /// A run that nothing disturbs.
    pub fn plain() -> Attempt {
        Attempt { strikes: Vec::new(), stop: None, show: vec!["--progress=none"], after: 0 }
    }

    /// What its door is told.
    pub fn strikes(&self, account: &str) -> Value {
        let with = |at: &At, more: Value| {
            let mut all = at.json();
            more.as_object().into_iter().flatten().for_each(|(key, value)| all[key] = value.clone());
            all
        };
        let mut all = Vec::new();
        for strike in &self.strikes {
            match strike {
                Strike::Fault { at, name, value, lasts } => {
                    all.push(with(at, json!({"begin": name, "value": value})));
                    all.extend(lasts.map(|lasts| with(&at.later(lasts), json!({"end": name}))));
                }
                Strike::Sync { at, external_secret } => {
                    all.push(with(at, json!({"sync": format!("{account}/{external_secret}")})));
                }
            }
        }
        if let Some((at, after, _)) = &self.stop {
            all.push(with(at, json!({"stop": if *after { "after" } else { "before" }})));
        }
        json!({ "strikes": all })
    }

    /// In one line, for the story of a seed.
    pub fn told(&self) -> String {
        let mut all: Vec<String> = self
            .strikes
            .iter()
            .map(|strike| match strike {
                Strike::Fault { at, name, value, lasts } => {
                    let value = value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
                    let lasts = lasts.map(|lasts| format!(" for {lasts} requests")).unwrap_or_default();
                    format!("{name}{value} at {at}{lasts}")
                }
                Strike::Sync { at, external_secret } => format!("sync of {external_secret} at {at}"),
            })
            .collect();
        all.extend(
            self.stop
                .as_ref()
                .map(|(at, after, how)| format!("{how:?} {} {at}", if *after { "after" } else { "before" })),
        );
        if all.is_empty() { "undisturbed".to_owned() } else { all.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_one_script_and_seeds_differ() {
        assert_eq!(Script::of(7), Script::of(7));
        assert!((1..50).any(|seed| Script::of(seed).chapters != Script::of(seed + 1).chapters));
    }

    #[test]
    fn what_begins_and_does_not_end_by_itself_is_told_to_end() {
        let fault =
            Strike::Fault { at: At { n: 3, operation: None }, name: "sync-failing", value: None, lasts: Some(4) };
        let attempt = Attempt {
            strikes: vec![fault],
            stop: Some((At { n: 2, operation: Some("addSecretVersion") }, true, How::Kill)),
            ..Attempt::plain()
        };
        let told = attempt.strikes("acme");
        assert_eq!(told["strikes"][0]["begin"], "sync-failing");
        assert_eq!((&told["strikes"][1]["at"], &told["strikes"][1]["end"]), (&json!(7), &json!("sync-failing")));
        assert_eq!(
            (&told["strikes"][2]["operation"], &told["strikes"][2]["stop"]),
            (&json!("addSecretVersion"), &json!("after"))
        );
    }
}
