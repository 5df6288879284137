//! What `src/observe` would see of the model's world: the same facts, by the same rules.

use deepdesk_protocol::facts::names::{ObjectName, SecretHome, VersionId};
use deepdesk_protocol::facts::observation::{
    Announcement, Begun, Consumer, Derivation, ExternalSecretView, Found, KeyView, Observation, PodView, Ready,
    Refresh, Rollout, SecretView, Source, ValueTag, Version, VersionState,
};
use deepdesk_protocol::state::{self, Blocked, State};

use super::world::{Lease, Number, Pair, Value, Versions, World};

/// All that a look depends on: two worlds with the same view are planned for alike.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct View {
    pub primary: Versions,
    pub back_compat: Versions,
    back_compat_later: bool,
    held: Pair,
    template: Number,
    pods: [(Number, Number, bool); 2],
    lease: Lease,
}

impl View {
    /// Of the world, with the primary's newest version found by number; or, of a program that trusts `latest`, as far as
    /// that shows.
    pub fn of(world: &World, latest: Number) -> View {
        View {
            primary: world.primary.oldest(latest),
            back_compat: world.back_compat,
            back_compat_later: world.back_compat_later,
            held: world.held,
            template: world.template,
            pods: world.pods.map(|pod| (pod.version, pod.back_compat, pod.current)),
            lease: Lease { holder: 0, ..world.lease },
        }
    }

    /// The observation; with the whole history of the back-compat for a finalization, and of an ExternalSecret that finds
    /// the back-compat by name or by a pattern.
    pub fn observation(&self, history: bool, by_pattern: bool) -> Observation {
        let secret = |id: &str, versions: Versions, known: Number| SecretView {
            secret: id.parse().expect("a fit id"),
            versions: (1..=versions.len()).rev().take(usize::from(known)).map(|n| version(versions, n)).collect(),
            exists: versions.len() > 0,
            labels: Vec::new(),
            conditions: Default::default(),
        };
        let account = || "acme".parse().expect("a fit name");
        let home = || SecretHome { project: "p".parse().expect("a fit id"), location: None };
        let of = |primary: Number, back_compat: Number| {
            Observation::of_secrets(
                account(),
                home(),
                secret("acme_account_secret", self.primary, primary),
                secret("acme_account_secret_back_compat", self.back_compat, back_compat),
            )
        };
        // The third value is read where the two newest do not say what is going on.
        let valued = match state::secrets_state(&of(2, 2)) {
            State::Rotating { .. } | State::Blocked(Blocked::UnexplainedPredecessor(_)) => 3,
            State::Stable | State::AwaitingReencryption | State::Drifted | State::Blocked(_) => 2,
        };
        let mut now = of(Number::MAX, if history { Number::MAX } else { 2 });
        now.primary.versions.iter_mut().skip(valued).for_each(|version| version.value = None);
        now.back_compat.versions.iter_mut().skip(2).for_each(|version| version.value = None);
        let second = |second| jiff::Timestamp::from_second(second).ok();
        now.primary.versions.iter_mut().take(1).for_each(|newest| newest.created = second(10));
        let later = if self.back_compat_later { 11 } else { 9 };
        now.back_compat.versions.iter_mut().take(1).for_each(|newest| newest.created = second(later));
        let back = self.lease.back;
        now.begun = id(self.lease.begun).map(|to| Begun { to, back, compromised: false });
        now.finalizing = id(self.lease.finalizing);
        let called_off = self.lease.called_off;
        now.announced = id(self.lease.announced).map(|version| Announcement { version, called_off });
        // Where it maps the back-compat by name, nothing is copied without it.
        let failing = self.back_compat.len() == 0 && !by_pattern;
        let failure = failing.then(|| "could not get secret data from provider".to_owned());
        now.external_secrets = vec![external_secret(self.held, failure, by_pattern)];
        now.consumers = vec![self.consumer()];
        now
    }

    fn consumer(&self) -> Consumer {
        let pods = self.pods.iter().enumerate().map(|(at, (version, back_compat, current))| PodView {
            name: format!("backend-{at}"),
            version: id(*version),
            back_compat: id(*back_compat),
            restart: Some(if *current { "now" } else { "before" }.to_owned()),
            compared: Default::default(),
            created: None,
            started: None,
            ready: true,
            trouble: None,
            terminating: false,
            place: Default::default(),
        });
        let new = self.pods.iter().filter(|(_, _, current)| *current).count();
        Consumer {
            workload: "deployment/backend".parse().expect("a fit name"),
            reasons: Vec::new(),
            secrets: vec![name()],
            reads_back_compat: true,
            desired: 2,
            paused: false,
            holds_back: None,
            rollout: match new {
                2 => Rollout::Complete,
                _ => Rollout::Progressing { available: u32::try_from(new).unwrap_or_default(), desired: 2 },
            },
            version: id(self.template),
            restart: Some("now".to_owned()),
            pods: pods.collect(),
            reloader: None,
            gitops: None,
            moving: Default::default(),
        }
    }
}

/// The model's ExternalSecret while its Kubernetes Secret holds this, with why it fails; without dates.
pub fn external_secret(held: Pair, failure: Option<String>, by_pattern: bool) -> ExternalSecretView {
    let key = |key: &str, source, held: Value| KeyView {
        key: key.to_owned(),
        source,
        derivation: Derivation::Exact,
        pinned: None,
        property: None,
        found: if held == 0 { Found::Missing } else { Found::Value(ValueTag(held.into())) },
    };
    ExternalSecretView {
        name: name(),
        uid: "u".to_owned(),
        target: name(),
        home: None,
        store_problem: None,
        ready: match failure {
            Some(message) => Ready::False { reason: "SecretSyncedError".to_owned(), message },
            None => Ready::True { reason: "SecretSynced".to_owned() },
        },
        refreshed: None,
        refresh: Refresh::Periodic { seconds: 600 },
        keys: vec![key("KEY", Source::Primary, held.primary), key("OLD", Source::BackCompat, held.back_compat)],
        needs_back_compat: !by_pattern,
        immutable: false,
        owner: None,
        unusual_target: None,
        not_followed: None,
        cannot_copy: Vec::new(),
        written: None,
        resource_version: None,
        target_created: None,
    }
}

fn name() -> ObjectName {
    "backend-secrets".parse().expect("a fit name")
}

fn id(number: Number) -> Option<VersionId> {
    VersionId::new(number.into())
}

fn version(versions: Versions, number: Number) -> Version {
    let (value, enabled) = versions.at(number);
    Version {
        id: id(number).expect("numbers begin at one"),
        state: if enabled { VersionState::Enabled } else { VersionState::Disabled },
        value: enabled.then_some(ValueTag(value.into())),
        created: jiff::Timestamp::from_second(0).ok(),
    }
}
