//! What is seen of one account, as facts: no values, no judgement. `state` and `check` draw the conclusions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::copies::{Copy, Door, NotLookedAt};
use super::named::{ReaderName, Word};
use super::names::{AccountName, ObjectName, ProjectId, SecretHome, SecretId, VersionId, WorkloadRef};
use super::older::Older;

/// Which of the values seen. Equal tags mean equal bytes, different tags different bytes; a tag says nothing else of
/// them. The values themselves stay beside the observation, with whoever made it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ValueTag(pub u16);

/// State of a secret version, as Secret Manager names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VersionState {
    /// Can be accessed.
    Enabled,
    /// Cannot be accessed, can be enabled again.
    Disabled,
    /// The value is gone for good.
    Destroyed,
}

/// One version of a secret.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its number.
    pub id: VersionId,
    pub state: VersionState,
    /// Its value, where it was read.
    pub value: Option<ValueTag>,
    /// When it was created, by Google's clock; none where the metadata was not asked for.
    pub created: Option<Timestamp>,
}

/// A Secret Manager secret: its versions that were looked at, newest first. The newest is found by number.
#[derive(Clone, Debug)]
pub struct SecretView {
    pub secret: SecretId,
    /// The versions seen, newest first. Empty when the secret has none or does not exist.
    pub versions: Vec<Version>,
    /// Whether the secret itself exists.
    pub exists: bool,
    /// Its labels, where they were read: only to see who else manages it.
    pub labels: Vec<(String, String)>,
    /// What else was set for it, where that was read.
    pub conditions: Conditions,
}

/// What somebody set for a secret beside its versions' states, as far as it was read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Conditions {
    /// Aliases, each with the version that it names.
    pub aliases: Vec<(String, VersionId)>,
    /// The versions that will be destroyed by themselves, each with when.
    pub scheduled: Vec<(VersionId, Timestamp)>,
}

impl SecretView {
    /// The newest version, whatever its state.
    pub fn newest(&self) -> Option<&Version> {
        self.versions.first()
    }

    /// The version with this number, if it was looked at.
    pub fn version(&self, id: VersionId) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// The version just before the newest one, if it was looked at.
    pub fn predecessor(&self) -> Option<&Version> {
        self.newest().and_then(|newest| newest.id.previous()).and_then(|id| self.version(id))
    }

    /// The value of the newest version, when that is enabled.
    pub fn value(&self) -> Option<ValueTag> {
        self.newest().filter(|newest| newest.state == VersionState::Enabled).and_then(|newest| newest.value)
    }
}

/// Which of the account's two secrets.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The secret in use.
    Primary,
    /// The second value, for reading old data.
    BackCompat,
}

impl Source {
    /// The word for people and for `holds`: `primary`, `back-compat`.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Primary => "primary",
            Source::BackCompat => "back-compat",
        }
    }
}

/// How a key's bytes follow from the secret's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Derivation {
    /// They are the value.
    Exact,
    /// A template builds a longer text around the value: the value stands inside.
    Within,
    /// They are computed from the value in a way that this program does not follow.
    Opaque,
    /// The same, and the bytes show which value it is: it stands in them, and no other does.
    Shown,
}

impl Derivation {
    /// The less comparable of the two.
    pub fn max_with(self, other: Derivation) -> Derivation {
        match (self, other) {
            (Derivation::Opaque, _) | (_, Derivation::Opaque) => Derivation::Opaque,
            (Derivation::Shown, _) | (_, Derivation::Shown) => Derivation::Shown,
            (Derivation::Within, _) | (_, Derivation::Within) => Derivation::Within,
            (Derivation::Exact, Derivation::Exact) => Derivation::Exact,
        }
    }
}

/// What a key of a Kubernetes Secret was found to hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// This known value.
    Value(ValueTag),
    /// Bytes that are no known value.
    Unknown,
    /// The key, or the whole Secret, is not there.
    Missing,
}

/// A key of a Kubernetes Secret that an ExternalSecret fills from one of the two secrets.
#[derive(Clone, Debug)]
pub struct KeyView {
    /// The key in the Kubernetes Secret; in parentheses, which no key has, what stands for keys that nobody knows beforehand.
    pub key: String,
    /// Which secret it comes from.
    pub source: Source,
    /// How its bytes follow from the value.
    pub derivation: Derivation,
    /// The version that the ExternalSecret pins, if it does: a new version then never arrives.
    pub pinned: Option<String>,
    /// The JSON property that is taken out of the value, if one is.
    pub property: Option<String>,
    /// What it holds now.
    pub found: Found,
}

/// When External Secrets copies by itself, and whether a forced sync does anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refresh {
    /// Every so many seconds, and when its metadata changes.
    Periodic {
        /// Seconds between two syncs.
        seconds: u64,
    },
    /// Only when its metadata changes.
    OnChange,
    /// Once. A forced sync does nothing, in silence.
    CreatedOnce,
    /// `Periodic` with interval 0: a forced sync does nothing, in silence.
    Never,
}

/// The `Ready` condition of an ExternalSecret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ready {
    /// `True`, with its reason: `SecretSynced`, but also `SecretDeleted` and `SecretMissing`.
    True {
        /// The condition's reason.
        reason: String,
    },
    /// `False`: the reason, and the cause in the controller's own words (its Events where they say more).
    False {
        /// The condition's reason.
        reason: String,
        /// The condition's message or the newest Event.
        message: String,
    },
    /// No such condition yet.
    Unknown,
}

/// An ExternalSecret that reads one of the two secrets.
#[derive(Clone, Debug)]
pub struct ExternalSecretView {
    pub name: ObjectName,
    /// Its UID: Events are found by it.
    pub uid: String,
    /// The Kubernetes Secret that it writes.
    pub target: ObjectName,
    /// Where its store reads from, when the store says so.
    pub home: Option<SecretHome>,
    /// What is wrong with its store, if anything: missing, not ready, another controller's, namespace denied.
    pub store_problem: Option<String>,
    /// Its `Ready` condition.
    pub ready: Ready,
    /// Its last successful sync.
    pub refreshed: Option<Timestamp>,
    /// When it syncs.
    pub refresh: Refresh,
    /// The keys it fills from the two secrets, sorted by key.
    pub keys: Vec<KeyView>,
    /// Whether it fetches the back-compat by a name that must exist (not by `find`).
    pub needs_back_compat: bool,
    /// Whether its target is immutable (`target.immutable`, or the Kubernetes Secret itself): new bytes never arrive.
    pub immutable: bool,
    /// The ClusterExternalSecret that owns it and wipes foreign annotations, if one does.
    pub owner: Option<String>,
    /// What in its target's definition this program cannot follow (a generic manifest, `creationPolicy: None`).
    pub unusual_target: Option<String>,
    /// On which way of its first opaque key from the secret this program cannot follow it (`a template over all keys at once`).
    pub not_followed: Option<String>,
    /// The known values that it cannot copy, each as the value of that secret: a property is missing in them, or they do not decode.
    pub cannot_copy: Vec<(Source, ValueTag)>,
    /// When its Kubernetes Secret was last written, data or metadata, by the API server's clock.
    pub written: Option<Timestamp>,
    /// The resource version of that Secret: each write gives it another.
    pub resource_version: Option<String>,
    /// When that Secret was created, by the API server's clock: it never held what was there before.
    pub target_created: Option<Timestamp>,
}

impl ExternalSecretView {
    /// Whether it fills a key from this secret, and could fill all of them where that secret had this value.
    pub fn can_copy(&self, source: Source, value: ValueTag) -> bool {
        self.keys.iter().any(|key| key.source == source) && !self.cannot_copy.contains(&(source, value))
    }

    /// Whether every key that it fills from this secret holds this value. Opaque keys cannot be told and count as holding it:
    /// preflight refuses them where it matters.
    pub fn holds(&self, source: Source, value: ValueTag) -> bool {
        let mut keys = self.keys.iter().filter(|key| key.source == source);
        keys.all(|key| key.derivation == Derivation::Opaque || key.found == Found::Value(value))
    }

    /// Whether it fetches both secrets, and the bytes of what it fills without being followed show one alone: the key of the other.
    pub fn unprinted(&self) -> Option<&KeyView> {
        let is_shown = |key: &&KeyView| key.derivation == Derivation::Shown && matches!(key.found, Found::Value(_));
        let beside = |lacking: &KeyView| {
            self.keys.iter().filter(is_shown).any(|key| key.key == lacking.key && key.source != lacking.source)
        };
        let lacks = |key: &&KeyView| {
            key.found == Found::Missing && matches!(key.derivation, Derivation::Opaque | Derivation::Shown)
        };
        self.keys.iter().filter(lacks).find(|key| beside(key))
    }
}

/// How far the rollout of a consumer is, judged from its spec and status alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rollout {
    /// All pods are of the newest template and available.
    Complete,
    /// Under way.
    Progressing {
        /// New pods that are available.
        available: u32,
        /// Pods wanted.
        desired: u32,
    },
    /// The controller gave up, or says why it cannot go on.
    Stuck {
        /// Its own words.
        reason: String,
    },
}

/// One pod of a consumer. Pods that have ended are not listed.
#[derive(Clone, Debug)]
pub struct PodView {
    pub name: String,
    /// The version that its annotation names: written by a restart of ours, after the bytes were compared.
    pub version: Option<VersionId>,
    /// The version of the back-compat that its annotation names beside it; none where there was none at that restart.
    pub back_compat: Option<VersionId>,
    /// The id of the restart that made it, from its annotation.
    pub restart: Option<String>,
    /// The resource version that each Secret had when its bytes were compared before that restart, from its annotation.
    pub compared: BTreeMap<ObjectName, String>,
    /// When it was created, by the API server's clock.
    pub created: Option<Timestamp>,
    /// When the last of its containers started, by its node's clock and in whole seconds; none while one has not. Until then
    /// it may still read its Secrets.
    pub started: Option<Timestamp>,
    /// Whether it is ready to serve.
    pub ready: bool,
    /// Why it is not, in the kubelet's words (`CrashLoopBackOff: …`), when it says so.
    pub trouble: Option<String>,
    /// Whether it is on its way out; it may still write.
    pub terminating: bool,
    /// Where it is, and what keeps it there.
    pub place: PodPlace,
}

/// Where a pod is, and what keeps it there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PodPlace {
    /// Its node, once it has one.
    pub node: Option<String>,
    /// What keeps it, in words, where it should have ended by now, or where its node does not answer.
    pub kept: Option<String>,
}

/// A pod whose node has not answered for so long that the pod does not count as running. Nobody can ask the node whether it still does.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LostPod {
    pub pod: String,
    pub node: String,
    /// What it belongs to: `DaemonSet/spooler`; null when it belongs to nobody.
    pub owner: Option<String>,
    /// Since when it runs, by the API server's clock.
    pub since: Option<Timestamp>,
    /// Why it does not count, in words.
    pub why: String,
}

/// A workload whose pods read a Kubernetes Secret that carries one of the two values.
#[derive(Clone, Debug)]
pub struct Consumer {
    pub workload: WorkloadRef,
    /// Why it is one, in words: `container api: envFrom admin-secrets`.
    pub reasons: Vec<String>,
    /// The Kubernetes Secrets it reads.
    pub secrets: Vec<ObjectName>,
    /// Whether its pods see the back-compat value too.
    pub reads_back_compat: bool,
    /// Pods wanted.
    pub desired: u32,
    /// Whether its rollouts are paused: a restart would do nothing.
    pub paused: bool,
    /// An update strategy under which a restart does not replace all pods (`OnDelete`, a partition), if so.
    pub holds_back: Option<String>,
    /// How far its rollout is.
    pub rollout: Rollout,
    /// The version that its pod template's annotation names.
    pub version: Option<VersionId>,
    /// The restart id in its pod template's annotation.
    pub restart: Option<String>,
    /// Its running pods, old and new.
    pub pods: Vec<PodView>,
    /// A controller that restarts it when a Secret changes (Reloader), if its annotations say so.
    pub reloader: Option<String>,
    /// A controller that owns its manifest (Flux, Argo CD), if labels or annotations say so.
    pub gitops: Option<GitOps>,
    /// What else concerns how it is moved to another value.
    pub moving: Moving,
}

/// What concerns how a consumer is moved to another value.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Moving {
    /// What the operator says of it.
    pub word: Word,
    /// What its rollout waits for, in the controller's words or by name; a rollout may get over each.
    pub waits_for: Vec<String>,
    /// The resource version that each Secret had when its bytes were compared before the last restart of ours, from its template.
    pub compared: BTreeMap<ObjectName, String>,
    /// Whether its pods alone read the Secrets, by what a webhook puts into them, and not its template.
    pub injected: bool,
    /// What a restart of it costs, or what it has to wait for, in words.
    pub costs: Vec<String>,
    /// The labels of its pod template.
    pub labels: BTreeMap<String, String>,
    /// Whether its rollout makes new pods before it ends old ones.
    pub surges: bool,
}

impl Consumer {
    /// Whether the operator leaves it as it is.
    pub fn is_left(&self) -> bool {
        self.moving.word == Word::Leave
    }

    /// Whether its rollout is over. Of one whose pods are evicted the pods tell: its controller may count what will never come, or does
    /// not replace any by itself.
    pub fn is_rolled_out(&self) -> bool {
        match self.moving.word {
            Word::Evict => {
                self.pods.iter().all(|pod| pod.ready && !pod.terminating)
                    && (self.desired == 0 || !self.pods.is_empty())
            }
            Word::None | Word::Leave => self.rollout == Rollout::Complete,
        }
    }
}

/// Who keeps a workload's manifest as it is in git.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GitOps {
    /// Flux: leaves fields alone that its own field manager wrote.
    Flux,
    ArgoCd,
}

/// Something else that reads one of the Kubernetes Secrets and that a restart does not reach.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherReader {
    /// `CronJob`, `Job`, `ReplicaSet`, or `Pod` for a running pod of anything else.
    pub kind: String,
    pub name: String,
    /// What it belongs to, as far up as could be seen: `Rollout/payments (ReplicaSet payments-7f9c)`; null when it belongs to nobody.
    pub owner: Option<String>,
    /// Whether pods of it run now, on the value they started with.
    pub running: bool,
    /// Whether what runs ends by itself, as a Job does.
    pub ends: bool,
    /// When the oldest that runs was created, by the API server's clock; null when none runs, or nobody said.
    pub since: Option<Timestamp>,
    /// Why it is one, in words: `container checkout: envFrom backend-secrets`.
    pub reasons: Vec<String>,
    /// The Kubernetes Secrets it reads.
    pub secrets: Vec<ObjectName>,
    /// The names that it goes by: its own, and those of what owns it, the nearest first.
    #[serde(skip)]
    pub names: Vec<ReaderName>,
    /// What the operator says of it.
    #[serde(skip)]
    pub word: Word,
    /// Whether it is ready to serve.
    #[serde(skip)]
    pub ready: bool,
    /// Whether it is on its way out.
    #[serde(skip)]
    pub terminating: bool,
    /// What keeps it, where it should have ended by now, or its node does not answer.
    #[serde(skip)]
    pub kept: Option<String>,
}

impl OtherReader {
    /// What stands behind its owner's name where that owner is gone; no name has a parenthesis.
    pub const GONE: &str = "(gone";

    /// Whether it runs and does not end by itself.
    pub fn stays(&self) -> bool {
        self.running && !self.ends
    }

    /// Whether its pods are evicted: the operator says so, and it does not end by itself.
    pub fn is_evicted(&self) -> bool {
        self.word == Word::Evict && self.stays()
    }

    /// Whether its owner makes it again when it is deleted.
    pub fn is_made_again(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| !owner.contains(OtherReader::GONE))
    }

    /// Its name for people: `pod/payments-7f9c-x of Rollout/payments (ReplicaSet payments-7f9c)`.
    pub fn named(&self) -> String {
        let of = self.owner.as_ref().map(|owner| format!(" of {owner}")).unwrap_or_default();
        format!("{}/{}{of}", self.kind.to_lowercase(), self.name)
    }
}

/// A value that a two-phase rotation stored before it comes into use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Announcement {
    /// The version of the back-compat that holds it.
    pub version: VersionId,
    /// Whether it is being given up: its withdrawal looks like the second phase of the rotation.
    pub called_off: bool,
}

/// A change of the value in use that did not get to record its end: its process died, or its lock was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Begun {
    /// The version of the primary that it set out for.
    pub to: VersionId,
    /// Whether it is a rollback: it brings the back-compat's value to the primary first, and stores the abandoned one after.
    /// Nothing that can be observed tells that from a version that somebody enabled.
    pub back: bool,
    /// Whether it replaces a value that has leaked (`--compromised`).
    pub compromised: bool,
}

/// The last rotation, as the Lease's annotations tell it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LastRotation {
    pub by: String,
    /// When, by that operator's clock.
    pub at: String,
    /// From which version.
    pub from: String,
    pub to: String,
}

impl LastRotation {
    /// From which, as a number; none where somebody edited the record.
    pub fn from_version(&self) -> Option<VersionId> {
        number(&self.from)
    }

    /// To which, in the same way.
    pub fn to_version(&self) -> Option<VersionId> {
        number(&self.to)
    }
}

fn number(recorded: &str) -> Option<VersionId> {
    recorded.trim_start_matches('v').parse().ok()
}

/// Everything seen of one account at one moment.
#[derive(Clone, Debug)]
pub struct Observation {
    pub account: AccountName,
    /// Where its secrets live, as its stores say.
    pub home: SecretHome,
    /// The project that was asked for by flag, when one was.
    pub asked_project: Option<ProjectId>,
    pub primary: SecretView,
    pub back_compat: SecretView,
    /// The ExternalSecrets that read one of the two.
    pub external_secrets: Vec<ExternalSecretView>,
    /// ExternalSecrets that were named (by the runbook, a flag or the settings) and are missing or read neither.
    pub missing_external_secrets: Vec<ObjectName>,
    pub consumers: Vec<Consumer>,
    /// Workloads that were named and are missing.
    pub missing_workloads: Vec<WorkloadRef>,
    /// Readers that a restart does not reach.
    pub other_readers: Vec<OtherReader>,
    /// Kubernetes Secrets that hold a value of the account and that something else writes.
    pub copies: Vec<Copy>,
    /// What else brings the values somewhere, or into the two secrets.
    pub doors: Vec<Door>,
    /// The pods that have the primary from Secret Manager itself, past every Kubernetes Secret (a SecretProviderClass volume).
    pub mounting: Vec<OtherReader>,
    /// What nobody looked at.
    pub not_looked_at: Vec<NotLookedAt>,
    /// Pods that do not count as running, since their nodes are gone.
    pub lost_pods: Vec<LostPod>,
    /// Readers that the operator left at an earlier run, as the lock's record says.
    pub left: Vec<ReaderName>,
    /// The last rotation on record.
    pub last_rotation: Option<LastRotation>,
    /// The rotation or rollback that did not get to record its end, as the lock's record says.
    pub begun: Option<Begun>,
    /// The version of the back-compat that a finalization retires which did not get to record its end.
    pub finalizing: Option<VersionId>,
    /// The next value that a two-phase rotation announced, as the lock's record says.
    pub announced: Option<Announcement>,
    /// What the lock's record says of versions that are not in use.
    pub older: Older,
    /// When the last run that restarted pods came to its end, by the API server's clock, as the lock's record says; none while one
    /// is under way.
    pub run_ended: Option<Timestamp>,
    /// What was refused to us, and is not needed to go on with less.
    pub unread: Vec<Unread>,
}

/// What an observation goes without where it may not be read, with the refusal in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unread {
    /// Dates of versions, and versions older than the previous one (metadata of Secret Manager).
    Versions(String),
    /// The record of the lock: the last rotation, one that was begun, a value that was announced.
    Record(String),
}

impl Observation {
    /// That one of the two.
    pub fn secret(&self, source: Source) -> &SecretView {
        match source {
            Source::Primary => &self.primary,
            Source::BackCompat => &self.back_compat,
        }
    }

    /// Which of the two this is.
    pub fn source_of(&self, secret: &SecretId) -> Source {
        if *secret == self.primary.secret { Source::Primary } else { Source::BackCompat }
    }

    /// The values of the two slots.
    pub fn slots(&self) -> [Option<ValueTag>; 2] {
        [self.primary.value(), self.back_compat.value()]
    }

    /// The consumers' pods, each with its consumer.
    pub fn pods(&self) -> impl Iterator<Item = (&Consumer, &PodView)> {
        self.consumers.iter().flat_map(|consumer| consumer.pods.iter().map(move |pod| (consumer, pod)))
    }

    /// The consumers that are moved to another value: all but those that the operator leaves.
    pub fn moved(&self) -> impl Iterator<Item = &Consumer> {
        self.consumers.iter().filter(|consumer| !consumer.is_left())
    }

    /// The copy that this Kubernetes Secret is, if it is one.
    pub fn copy(&self, secret: &ObjectName) -> Option<&Copy> {
        self.copies.iter().find(|copy| copy.secret == *secret)
    }

    /// The ExternalSecrets that fill one of these Kubernetes Secrets.
    pub fn filling<'a>(&'a self, secrets: &'a [ObjectName]) -> impl Iterator<Item = &'a ExternalSecretView> + Clone {
        self.external_secrets.iter().filter(|external| secrets.contains(&external.target))
    }

    /// The two secrets, with nothing of the cluster yet.
    pub fn of_secrets(
        account: AccountName,
        home: SecretHome,
        primary: SecretView,
        back_compat: SecretView,
    ) -> Observation {
        Observation {
            account,
            home,
            asked_project: None,
            primary,
            back_compat,
            external_secrets: Vec::new(),
            missing_external_secrets: Vec::new(),
            consumers: Vec::new(),
            missing_workloads: Vec::new(),
            other_readers: Vec::new(),
            copies: Vec::new(),
            doors: Vec::new(),
            mounting: Vec::new(),
            not_looked_at: vec![NotLookedAt::other_clusters()],
            lost_pods: Vec::new(),
            left: Vec::new(),
            last_rotation: None,
            begun: None,
            finalizing: None,
            announced: None,
            older: Older::default(),
            run_ended: None,
            unread: Vec::new(),
        }
    }

    /// The version whose value a tag is, for people: `primary v7`, `back-compat v1`; none when no version seen has it.
    pub fn name_of(&self, value: ValueTag) -> Option<String> {
        let named = |source: Source, view: &SecretView| {
            let version = view.versions.iter().find(|version| version.value == Some(value))?;
            Some(format!("{} {}", source.as_str(), version.id))
        };
        named(Source::Primary, &self.primary).or_else(|| named(Source::BackCompat, &self.back_compat))
    }

    /// The same, with these versions given up by the operator's word.
    pub fn without(&self, retired: &[(Source, VersionId)]) -> Observation {
        let mut now = self.clone();
        for (source, view) in [(Source::Primary, &mut now.primary), (Source::BackCompat, &mut now.back_compat)] {
            let named = view.versions.iter_mut().filter(|version| retired.contains(&(source, version.id)));
            named.for_each(|version| {
                version.state = VersionState::Disabled;
                version.value = None;
            });
        }
        now
    }

    /// The newest enabled version of either secret that has this value; none where the cluster alone has it.
    pub fn enabled_with(&self, value: ValueTag) -> Option<(Source, VersionId)> {
        let mut both = [Source::Primary, Source::BackCompat].into_iter();
        both.find_map(|source| Some((source, self.enabled_in(source, value)?)))
    }

    /// The same of one of the two.
    pub fn enabled_in(&self, source: Source, value: ValueTag) -> Option<VersionId> {
        let mut versions = self.secret(source).versions.iter();
        let version = versions.find(|version| version.state == VersionState::Enabled && version.value == Some(value));
        version.map(|version| version.id)
    }

    /// What a key holds, for people and for `holds`: a version's name, `unknown`, or `nothing`.
    pub fn holds(&self, found: Found) -> String {
        match found {
            Found::Value(value) => self.name_of(value).unwrap_or_else(|| "unknown".to_owned()),
            Found::Unknown => "unknown".to_owned(),
            Found::Missing => "nothing".to_owned(),
        }
    }

    /// All keys that come from `source`, with the ExternalSecret that fills them.
    pub fn keys(&self, source: Source) -> impl Iterator<Item = (&ExternalSecretView, &KeyView)> {
        let all =
            self.external_secrets.iter().flat_map(|external| external.keys.iter().map(move |key| (external, key)));
        all.filter(move |(_, key)| key.source == source)
    }

    /// Whether some key that comes from `source` is seen to hold `value`.
    pub fn some_holds(&self, source: Source, value: ValueTag) -> bool {
        self.keys(source).any(|(_, key)| key.found == Found::Value(value))
    }

    /// Whether every key that comes from `source` holds `value`, as far as can be told.
    pub fn all_hold(&self, source: Source, value: ValueTag) -> bool {
        self.external_secrets.iter().all(|external| external.holds(source, value))
    }
}

#[cfg(test)]
#[path = "tests/observation.rs"]
mod tests;
