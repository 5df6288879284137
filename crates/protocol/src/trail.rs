//! What was seen to move during a run, each with its time: for evidence. Nothing decides by it.
//!
//! Times are those of the look that saw it, by this machine's clock: a pod is older, and was gone earlier, by what lay
//! between two looks. Only a pod's creation is the API server's.

use jiff::Timestamp;
use serde::Serialize;

use crate::event::{Event, StepName};
use crate::facts::names::{ObjectName, VersionId, WorkloadRef};
use crate::facts::observation::{Consumer, Observation, PodView};
use crate::state::{self, Standing};

/// What was told and seen of one account.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Trail {
    /// What was told.
    pub events: Vec<Event>,
    /// The syncs that were asked for.
    pub syncs: Vec<SyncLife>,
    /// The consumers' pods, in the order in which they were first seen.
    pub pods: Vec<PodLife>,
    /// When pods on the old and on the new value served side by side.
    pub interruptions: Vec<Span>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Span {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; none when that was not seen.
    pub to: Option<Timestamp>,
}

/// A sync of one ExternalSecret, from the first request for it to the bytes that are right.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncLife {
    /// The ExternalSecret.
    pub external_secret: ObjectName,
    /// The Kubernetes Secret it writes.
    pub target: ObjectName,
    /// The step that waited for it.
    pub step: StepName,
    /// When it was asked for; again when it brought other bytes than the right ones.
    pub asked: Vec<Timestamp>,
    /// When the bytes were found right; none when they were not.
    pub arrived: Option<Timestamp>,
}

/// A pod of a consumer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodLife {
    pub name: String,
    pub workload: WorkloadRef,
    /// The version of the primary that it is proven to have started with; none when nothing proves one.
    #[serde(serialize_with = "number")]
    pub version: Option<VersionId>,
    /// Whether it was there when the run first looked.
    pub was_there: bool,
    /// When it was created, by the API server's clock.
    pub created: Option<Timestamp>,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was first seen ready.
    pub ready: Option<Timestamp>,
    /// When it was first seen on its way out.
    pub leaving: Option<Timestamp>,
    /// When it was not seen any more.
    pub gone: Option<Timestamp>,
    /// The restart that made it: a StatefulSet's pods have one name after the other.
    #[serde(skip)]
    pub restart: Option<String>,
}

/// As results have it.
fn number<S: serde::Serializer>(version: &Option<VersionId>, serializer: S) -> Result<S::Ok, S::Error> {
    match version {
        Some(version) => serializer.collect_str(&version.get()),
        None => serializer.serialize_none(),
    }
}

/// How much a look took in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// Everything: dates and bytes tell what a pod without our annotation started with.
    Whole,
    /// The consumers alone, with Secrets as they were at an earlier look.
    Consumers,
}

impl Trail {
    /// Takes in the pods that a look found.
    pub fn saw(&mut self, at: Timestamp, now: &Observation, look: Look) {
        let first = self.pods.is_empty();
        let mut there = Vec::new();
        for (consumer, pod) in now.pods() {
            let known = self.pods.iter().position(|life| life.is(consumer, pod));
            let index = known.unwrap_or_else(|| {
                self.pods.push(PodLife::new(at, consumer, pod, first));
                self.pods.len() - 1
            });
            let life = &mut self.pods[index];
            life.ready = life.ready.or(pod.ready.then_some(at));
            life.leaving = life.leaving.or(pod.terminating.then_some(at));
            life.gone = None;
            let by_dates =
                || (look == Look::Whole && state::standing(now, consumer, pod) == Standing::OnNewest).then_some(());
            life.version =
                life.version.or(pod.version).or_else(|| by_dates().and(now.primary.newest()).map(|newest| newest.id));
            there.push(index);
        }
        let gone =
            self.pods.iter_mut().enumerate().filter(|(index, life)| life.gone.is_none() && !there.contains(index));
        gone.for_each(|(_, life)| life.gone = Some(at));
    }

    /// A sync was asked for.
    pub fn asked(&mut self, at: Timestamp, step: StepName, external_secret: &ObjectName, target: &ObjectName) {
        match self.sync(step, external_secret) {
            Some(life) if life.arrived.is_none() => life.asked.push(at),
            Some(_) | None => self.syncs.push(SyncLife {
                external_secret: external_secret.clone(),
                target: target.clone(),
                step,
                asked: vec![at],
                arrived: None,
            }),
        }
    }

    /// The bytes that it was asked for are there.
    pub fn arrived(&mut self, at: Timestamp, step: StepName, external_secret: &ObjectName) {
        if let Some(life) = self.sync(step, external_secret) {
            life.arrived = life.arrived.or(Some(at));
        }
    }

    fn sync(&mut self, step: StepName, external_secret: &ObjectName) -> Option<&mut SyncLife> {
        self.syncs.iter_mut().rev().find(|life| life.step == step && life.external_secret == *external_secret)
    }

    /// Pods on the old and on the new value serve side by side, from a moment that may have been told before.
    pub fn interrupted(&mut self, span: Span) {
        match self.interruptions.last_mut().filter(|last| last.from == span.from) {
            Some(last) => *last = span,
            None => self.interruptions.push(span),
        }
    }
}

impl PodLife {
    fn new(at: Timestamp, consumer: &Consumer, pod: &PodView, was_there: bool) -> PodLife {
        PodLife {
            name: pod.name.clone(),
            workload: consumer.workload.clone(),
            version: None,
            was_there,
            created: pod.created,
            first_seen: at,
            ready: None,
            leaving: None,
            gone: None,
            restart: pod.restart.clone(),
        }
    }

    fn is(&self, consumer: &Consumer, pod: &PodView) -> bool {
        self.name == pod.name
            && self.workload == consumer.workload
            && self.created == pod.created
            && self.restart == pod.restart
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::names::SecretHome;
    use crate::facts::observation::{Rollout, SecretView};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).expect("a time")
    }

    fn version(number: u64) -> Option<VersionId> {
        VersionId::new(number)
    }

    fn pod(name: &str, restart: &str, version: Option<VersionId>, ready: bool, terminating: bool) -> PodView {
        let restart = Some(restart.to_owned());
        PodView {
            name: name.to_owned(),
            version,
            back_compat: VersionId::new(1),
            restart,
            compared: Default::default(),
            created: Some(at(0)),
            ready,
            started: None,
            trouble: None,
            terminating,
            place: Default::default(),
        }
    }

    fn seen(pods: Vec<PodView>) -> Observation {
        let secret = |id: &str| SecretView {
            secret: id.parse().expect("an id"),
            exists: true,
            versions: Vec::new(),
            labels: Vec::new(),
            conditions: Default::default(),
        };
        let home = SecretHome { project: "p".parse().expect("a project"), location: None };
        let account = "acme".parse().expect("an account");
        let mut now = Observation::of_secrets(account, home, secret("a"), secret("b"));
        now.consumers = vec![Consumer {
            workload: "statefulset/db".parse().expect("a workload"),
            reasons: Vec::new(),
            secrets: Vec::new(),
            reads_back_compat: true,
            desired: 1,
            paused: false,
            holds_back: None,
            rollout: Rollout::Complete,
            version: None,
            restart: None,
            pods,
            reloader: None,
            gitops: None,
            moving: Default::default(),
        }];
        now
    }

    #[test]
    fn a_pod_lives_from_its_first_look_to_the_first_without_it() {
        let mut trail = Trail::default();
        let old = |leaving| pod("db-0", "1", version(7), true, leaving);
        let new = |ready| pod("db-0", "2", version(8), ready, false);
        for (second, pods) in [(1, vec![old(false)]), (2, vec![old(true)]), (3, vec![new(false)]), (5, vec![new(true)])]
        {
            trail.saw(at(second), &seen(pods), Look::Consumers);
        }
        let told: Vec<String> = trail
            .pods
            .iter()
            .map(|life| {
                let second = |time: Option<Timestamp>| time.map(|time| time.duration_since(at(0)).as_secs());
                format!(
                    "{} {:?} there {} seen {} ready {:?} leaving {:?} gone {:?}",
                    life.name,
                    life.version.map(VersionId::get),
                    life.was_there,
                    life.first_seen.duration_since(at(0)).as_secs(),
                    second(life.ready),
                    second(life.leaving),
                    second(life.gone)
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "db-0 Some(7) there true seen 1 ready Some(1) leaving Some(2) gone Some(3)",
                "db-0 Some(8) there false seen 3 ready Some(5) leaving None gone None"
            ]
        );
    }

    /// A pod that notes nothing has the newest version where the dates of a whole look prove so.
    #[test]
    fn a_pod_without_a_note_is_told_by_dates_of_a_whole_look() {
        let told = |look, written: i64| {
            let mut now = crate::plan::tests::seen("D E2", "D E2", (2, Some(2)), 0);
            now.external_secrets[0].written = Some(at(written));
            now.consumers[0].version = None;
            now.consumers[0].pods[0].created = Some(at(50));
            let mut trail = Trail::default();
            trail.saw(at(60), &now, look);
            trail.pods[0].version
        };
        assert_eq!(told(Look::Whole, 40), version(2));
        assert_eq!(told(Look::Whole, 55), None, "the Secret was written since");
        assert_eq!(told(Look::Consumers, 40), None, "the Secrets are those of an earlier look");
    }

    #[test]
    fn a_sync_that_brought_other_bytes_is_asked_for_again() {
        let (name, mut trail) = ("admin-secrets".parse::<ObjectName>().expect("a name"), Trail::default());
        trail.asked(at(1), StepName::Stage, &name, &name);
        trail.arrived(at(2), StepName::Stage, &name);
        trail.arrived(at(3), StepName::Stage, &name);
        trail.asked(at(4), StepName::Sync, &name, &name);
        trail.asked(at(5), StepName::Sync, &name, &name);
        let told: Vec<(StepName, usize, Option<Timestamp>)> =
            trail.syncs.iter().map(|life| (life.step, life.asked.len(), life.arrived)).collect();
        assert_eq!(told, [(StepName::Stage, 1, Some(at(2))), (StepName::Sync, 2, None)]);
    }

    /// A sync has one life in a step for each time that its bytes came.
    #[test]
    fn each_external_secret_has_its_own_life_in_each_step() {
        let name = |name: &str| name.parse::<ObjectName>().expect("a fit name");
        let (admin, backend) = (name("admin-secrets"), name("backend-secrets"));
        let mut trail = Trail::default();
        trail.asked(at(1), StepName::Stage, &admin, &admin);
        trail.asked(at(2), StepName::Stage, &backend, &backend);
        trail.asked(at(3), StepName::Sync, &admin, &admin);
        trail.asked(at(4), StepName::Sync, &admin, &admin);
        trail.arrived(at(5), StepName::Sync, &admin);
        trail.arrived(at(6), StepName::Sync, &admin);
        trail.asked(at(7), StepName::Sync, &admin, &admin);
        trail.arrived(at(8), StepName::Sync, &backend);
        let lives = trail.syncs.iter().map(|life| {
            let asked: Vec<i64> = life.asked.iter().map(|asked| asked.as_second() - at(0).as_second()).collect();
            let arrived = life.arrived.map(|arrived| arrived.as_second() - at(0).as_second());
            (life.step.as_str(), life.external_secret.as_str(), asked, arrived)
        });
        let expected = [
            ("stage", "admin-secrets", vec![1], None),
            ("stage", "backend-secrets", vec![2], None),
            ("sync", "admin-secrets", vec![3, 4], Some(5)),
            ("sync", "admin-secrets", vec![7], None),
        ];
        assert_eq!(lives.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_time_side_by_side_is_told_once_and_grows() {
        let mut trail = Trail::default();
        for (from, to) in [(1, 2), (1, 4), (6, 7)] {
            trail.interrupted(Span { from: at(from), to: Some(at(to)) });
        }
        let spans = trail.interruptions.iter().map(|span| (span.from, span.to)).collect::<Vec<_>>();
        assert_eq!(spans, [(at(1), Some(at(4))), (at(6), Some(at(7)))]);
    }
}
