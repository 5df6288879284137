//! The seconds in which both slots may hold the older value (docs/protocol.md, Going back): which pods start meanwhile.
//!
//! With two slots no order spares them. It only serves a warning: the restart looks for itself, and fails where this does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::Progress;
use crate::clients::cluster::pulse::{Pulse, Watched};
use crate::observe::look_at_consumers;
use crate::run::Run;
use deepdesk_protocol::facts::names::VersionId;
use deepdesk_protocol::facts::observation::{Observation, PodView};
use deepdesk_protocol::happening::Happening;
use deepdesk_protocol::trail::Look;

/// What was seen of pods since the first write that any sync may spread.
pub(super) struct Narrow {
    known: Observation,
    /// Pods that had started, and so had read their Secrets, before that, and when.
    before: BTreeMap<String, Timestamp>,
    /// The others, also those that are gone again, and those whose containers were started again.
    started: BTreeSet<String>,
    pulse: Pulse,
}

impl Narrow {
    /// Right before that write; or where another run did it, when it goes on: `opened` is when the version was created, by
    /// Google's clock.
    pub(super) async fn begin(run: &Run<'_>, progress: &mut Progress, opened: Option<Timestamp>) -> Narrow {
        // The watch first, so that no pod comes and goes between the look and the watch.
        let pulse = run.cluster.pulse(&[Watched::Pods]);
        if let Ok(now) = look_at_consumers(run.request, run.cluster, &progress.seen.now).await {
            run.teller.saw(&now, Look::Consumers);
            progress.seen.now = now;
        }
        let known = progress.seen.now.clone();
        // One that is not ready may still be to read a file; one that crashes reads its Secrets again each time. The time of
        // a start is cut to a second.
        let in_time =
            |started: &Timestamp| opened.is_none_or(|opened| *started + SignedDuration::from_secs(1) <= opened);
        let started = |pod: &PodView| Some((pod.name.clone(), pod.started.filter(in_time)?));
        let before = pods(&known).filter(|pod| pod.ready).filter_map(started).collect();
        Narrow { known, before, started: BTreeSet::new(), pulse }
    }

    /// Looks at each change of pods; ends never, and may be dropped at any moment.
    pub(super) async fn watch(&mut self, run: &Run<'_>) -> std::convert::Infallible {
        loop {
            self.pulse.changed().await;
            self.look(run).await;
        }
    }

    /// Which pods started since; none when none did.
    pub(super) async fn told(mut self, run: &Run<'_>, other: VersionId) -> Option<Happening> {
        self.look(run).await;
        let pods: Vec<String> = self.started.into_iter().collect();
        (!pods.is_empty()).then_some(Happening::StartedMeanwhile { pods, cannot_read: other })
    }

    async fn look(&mut self, run: &Run<'_>) {
        if let Ok(now) = look_at_consumers(run.request, run.cluster, &self.known).await {
            run.teller.saw(&now, Look::Consumers);
            let as_before =
                |pod: &&PodView| pod.started.is_some() && self.before.get(&pod.name) == pod.started.as_ref();
            self.started.extend(pods(&now).filter(|pod| !as_before(pod)).map(|pod| pod.name.clone()));
        }
    }
}

fn pods(now: &Observation) -> impl Iterator<Item = &PodView> {
    now.pods().map(|(_, pod)| pod)
}
