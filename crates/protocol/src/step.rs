//! What a rotation has to do, as data: each step fully decided, so that the executor chooses nothing.

use std::fmt;
use std::ops::Range;

use crate::event::StepName;
use crate::facts::names::{ObjectName, SecretId, VersionId, WorkloadRef};
use crate::facts::observation::{Announcement, Begun, Observation, Source, ValueTag};
use crate::facts::older::VersionSet;
use crate::record::Aim;
use crate::state::{self, State};

/// Where the bytes of a value that is stored are taken from. They are in hand already: nothing is read for it again but the
/// version that the plan enables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    Primary(VersionId),
    /// A version of the back-compat.
    BackCompat(VersionId),
    /// A key of a Kubernetes Secret: no version that is enabled has its value.
    Copy {
        /// The Kubernetes Secret.
        secret: ObjectName,
        key: String,
        value: ValueTag,
    },
}

impl Origin {
    /// Its value, where it is known.
    pub fn value(&self, now: &Observation) -> Option<ValueTag> {
        let of = |source, version| now.secret(source).version(version).and_then(|version| version.value);
        match self {
            Origin::Primary(version) => of(Source::Primary, *version),
            Origin::BackCompat(version) => of(Source::BackCompat, *version),
            Origin::Copy { value, .. } => Some(*value),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Primary(version) => write!(f, "{version}"),
            Origin::BackCompat(version) => write!(f, "back-compat {version}"),
            Origin::Copy { secret, key, .. } => write!(f, "what Kubernetes Secret {secret}, key {key}, holds"),
        }
    }
}

/// A value that is to be rescued, by where it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RescueFrom {
    /// `primary/N`, `back-compat/N`.
    Version(Source, VersionId),
    /// `secret/NAME:KEY`.
    Copy {
        /// The Kubernetes Secret.
        secret: ObjectName,
        key: String,
    },
}

/// One effect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Disable these versions of the primary, older than the one in use: nothing needs them (`--abandon-older`), or a
    /// newer one has the same value.
    DisableOlder {
        /// The primary.
        secret: SecretId,
        /// The versions, newest first.
        versions: Vec<VersionId>,
    },
    /// Enable a version that is disabled, so that its value can be stored.
    Enable {
        /// The primary or the back-compat.
        secret: SecretId,
        version: VersionId,
    },
    /// Create the back-compat with the settings and the IAM policy of the primary.
    CreateBackCompat {
        /// The back-compat.
        secret: SecretId,
        /// The primary.
        like: SecretId,
    },
    /// Add this value to the back-compat, and read it back by number.
    StoreBackCompat {
        /// The back-compat.
        secret: SecretId,
        /// Whose value it gets.
        value_of: Origin,
    },
    /// Have the back-compat copied into the cluster, and compare bytes.
    Stage {
        /// The ExternalSecrets that read it.
        external_secrets: Vec<ObjectName>,
        /// Whose value must arrive.
        value_of: Origin,
    },
    /// Add a version to the primary, and read it back by number.
    AddVersion {
        /// The primary.
        secret: SecretId,
        /// Whose value it gets; none for a new one.
        value_of: Option<Origin>,
        /// The number that it will get: the next one. Another number means that someone else added one meanwhile.
        expect: VersionId,
    },
    /// Add the next value to the back-compat, so that every pod can read it before it comes into use (`two-phase`).
    Announce {
        /// The back-compat.
        secret: SecretId,
        /// The number that it will get.
        expect: VersionId,
    },
    /// Have the announced value copied into the cluster, and compare bytes.
    Spread {
        /// The ExternalSecrets that read the back-compat.
        external_secrets: Vec<ObjectName>,
        /// The version of the back-compat that must arrive.
        version: VersionId,
    },
    /// Restart these consumers, still on the value in use, so that every pod can read the announced one.
    Prepare {
        /// The consumers.
        workloads: Vec<WorkloadRef>,
        /// The version of the primary in use.
        version: VersionId,
    },
    /// Have both values copied into the cluster, and compare bytes.
    Sync {
        /// The ExternalSecrets that read either.
        external_secrets: Vec<ObjectName>,
        /// The version of the primary that must arrive.
        version: VersionId,
    },
    /// Restart these consumers at the same moment, and wait until their old pods are gone.
    Restart {
        /// The consumers.
        workloads: Vec<WorkloadRef>,
        /// The version that their pods will have.
        version: VersionId,
    },
    /// Look at every Secret and every pod once more.
    Verify {
        /// The version that all must have.
        version: VersionId,
    },
    /// Disable the versions of the back-compat that hold an older value than the newest: the mark of a finalization.
    RetireOlder {
        /// The back-compat.
        secret: SecretId,
        /// The versions, newest first.
        versions: Vec<VersionId>,
    },
    /// Destroy versions that are disabled, for good (`--destroy`).
    Destroy {
        /// The primary or the back-compat.
        secret: SecretId,
        /// The versions, newest first.
        versions: Vec<VersionId>,
    },
    /// Disable the version that was in use before: the commit mark.
    DisablePrevious {
        /// The primary.
        secret: SecretId,
        version: VersionId,
    },
}

impl Step {
    /// The step of docs/protocol.md that it belongs to.
    pub fn name(&self) -> StepName {
        match self {
            Step::DisableOlder { .. } => StepName::Abandon,
            Step::Enable { .. } | Step::CreateBackCompat { .. } | Step::StoreBackCompat { .. } => StepName::Preserve,
            Step::Stage { .. } => StepName::Stage,
            Step::Announce { .. } => StepName::Announce,
            Step::Spread { .. } => StepName::Spread,
            Step::Prepare { .. } => StepName::Prepare,
            Step::AddVersion { .. } => StepName::Introduce,
            Step::Sync { .. } => StepName::Sync,
            Step::Restart { .. } => StepName::Restart,
            Step::Verify { .. } => StepName::Verify,
            Step::RetireOlder { .. } | Step::DisablePrevious { .. } => StepName::Commit,
            Step::Destroy { .. } => StepName::Destroy,
        }
    }
}

/// A step of the plan: to do, or already there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Planned {
    Do(Step),
    /// Its result is already there, with the reason in words.
    Skip(StepName, String),
}

impl Planned {
    /// The step of docs/protocol.md that it belongs to.
    pub fn name(&self) -> StepName {
        match self {
            Planned::Do(step) => step.name(),
            Planned::Skip(name, _) => *name,
        }
    }
}

/// Which way a plan goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// To a value of its own.
    Forward,
    /// To the value that the back-compat holds.
    Back,
    /// Nowhere: the value in use stays, the older one goes.
    Retire,
    /// Nowhere: the value in use stays, and a value that no pod can read becomes the back-compat.
    Rescue,
}

/// A rotation, a rollback or a finalization, decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// Which of the two.
    pub way: Way,
    /// The state that it starts from.
    pub state: State,
    /// The version in use before.
    pub from: VersionId,
    /// The version in use after.
    pub to: VersionId,
    /// The value that is announced before it comes into use (`two-phase`), if one is. Recorded before the first write, and
    /// until the end: it cannot be observed.
    pub announces: Option<Announcement>,
    /// The version of the back-compat whose value is retired, by a finalization. Recorded like that: once the value in use is stored
    /// over it, nothing tells it from one that somebody displaced.
    pub retires: Option<VersionId>,
    /// The versions that are on record as retired once it came to its end.
    pub retired: VersionSet,
    /// The enabled versions that stay in no slot: what is asked about, and on record once the answer was yes (R3).
    pub answered: VersionSet,
    /// All steps in order, the skipped ones too.
    pub steps: Vec<Planned>,
}

impl Plan {
    /// A plan that announces nothing, retires nothing and asks about nothing.
    pub fn new(way: Way, now: &Observation, from: VersionId, to: VersionId, steps: Vec<Planned>) -> Plan {
        Plan {
            way,
            state: state::state(now),
            from,
            to,
            announces: None,
            retires: None,
            retired: VersionSet::default(),
            answered: VersionSet::default(),
            steps,
        }
    }

    /// What is put on record before the first write.
    pub fn aim(&self, secret: &SecretId, compromised: bool) -> Aim {
        let compromised = compromised && self.way == Way::Forward;
        let begun = Begun { to: self.to, back: self.exchanges(), compromised };
        Aim {
            secret: secret.clone(),
            begun: (self.from != self.to).then_some(begun),
            finalizing: self.retires,
            announced: self.announces,
            answered: self.answered.clone(),
        }
    }

    /// Whether a value is added that was in no version before.
    pub fn adds_new_value(&self) -> bool {
        self.to_do().any(|step| matches!(step, Step::AddVersion { value_of: None, .. } | Step::Announce { .. }))
    }

    /// Whether the primary is exchanged first, and the back-compat after it, or not at all.
    pub fn exchanges(&self) -> bool {
        let at = |name: StepName| self.steps.iter().position(|planned| planned.name() == name);
        let stores = self.to_do().any(|step| step.name() == StepName::Preserve) || self.gives_up();
        stores && at(StepName::Introduce).is_some() && at(StepName::Introduce) < at(StepName::Preserve)
    }

    /// Whether the version in use before is given up: nothing could copy it, and no slot keeps its value.
    pub fn gives_up(&self) -> bool {
        self.to_do().any(|step| matches!(step, Step::DisableOlder { versions, .. } if versions.contains(&self.from)))
    }

    /// The steps, and after them the restart, in which both slots of the cluster may hold the same value, the older one:
    /// pods that start by themselves meanwhile cannot read all that others write. They begin with the write that any sync
    /// may spread, not with the sync that is asked for. None for a plan that keeps two values throughout.
    pub fn narrow(&self) -> Option<Range<usize>> {
        let at = |name: StepName| self.steps.iter().position(|planned| planned.name() == name);
        let introduce = at(StepName::Introduce)?;
        let begins = match (self.announces, self.way) {
            (Some(_), Way::Forward) => {
                self.steps[..introduce].iter().rposition(|planned| planned.name() == StepName::Preserve)?
            }
            (Some(_), _) => return None,
            // No pod ever wrote under what is given up.
            (None, _) if self.exchanges() && !self.gives_up() => introduce,
            (None, _) => return None,
        };
        Some(begins..at(StepName::Restart)?)
    }

    /// Whether versions are destroyed, for good.
    pub fn destroys(&self) -> bool {
        self.to_do().any(|step| matches!(step, Step::Destroy { .. }))
    }

    /// The values that the two slots have after it, where they are known: a new one is not.
    pub fn slots(&self, now: &Observation) -> [Option<ValueTag>; 2] {
        let mut slots = now.slots();
        for step in self.to_do() {
            match step {
                Step::AddVersion { value_of, .. } => slots[0] = value_of.as_ref().and_then(|origin| origin.value(now)),
                Step::StoreBackCompat { value_of, .. } => slots[1] = value_of.value(now),
                _ => {}
            }
        }
        slots
    }

    pub fn restarted(&self) -> Vec<WorkloadRef> {
        let mut restarted: Vec<WorkloadRef> = Vec::new();
        for step in self.to_do() {
            if let Step::Prepare { workloads, .. } | Step::Restart { workloads, .. } = step {
                restarted.extend(
                    workloads.iter().filter(|workload| !restarted.contains(workload)).cloned().collect::<Vec<_>>(),
                );
            }
        }
        restarted
    }

    /// The steps that are still to do.
    pub fn to_do(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter_map(|planned| match planned {
            Planned::Do(step) => Some(step),
            Planned::Skip(..) => None,
        })
    }
}
