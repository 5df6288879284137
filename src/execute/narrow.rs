//! The seconds in which both slots may hold the older value (protocol.md, Going back): which pods start meanwhile.
//!
//! With two slots no order spares them. It only serves a warning: the restart looks for itself, and fails where this does.

use std::collections::BTreeSet;

use super::{Progress, counted};
use crate::clients::cluster::pulse::{Pulse, Watched};
use crate::domain::names::VersionId;
use crate::domain::observation::{Observation, PodView};
use crate::domain::trail::Look;
use crate::observe::look_at_consumers;
use crate::run::Run;

/// What was seen of pods since the first write that any sync may spread.
pub(super) struct Narrow {
    known: Observation,
    /// Pods that had started, and so had read their Secrets, before that.
    before: BTreeSet<String>,
    /// The others, also those that are gone again.
    started: BTreeSet<String>,
    pulse: Pulse,
}

impl Narrow {
    /// Right before that write.
    pub(super) async fn begin(run: &Run<'_>, progress: &mut Progress) -> Narrow {
        // The watch first, so that no pod comes and goes between the look and the watch.
        let pulse = run.cluster.pulse(&[Watched::Pods]);
        if let Ok(now) = look_at_consumers(run.request, run.cluster, &progress.seen.now).await {
            run.teller.saw(&now, Look::Consumers);
            progress.seen.now = now;
        }
        let known = progress.seen.now.clone();
        // One that is not ready may still be to read its Secrets; one that crashes reads them again each time.
        let before = pods(&known).filter(|pod| pod.ready).map(|pod| pod.name.clone()).collect();
        Narrow { known, before, started: BTreeSet::new(), pulse }
    }

    /// Looks at each change of pods; ends never, and may be dropped at any moment.
    pub(super) async fn watch(&mut self, run: &Run<'_>) -> std::convert::Infallible {
        loop {
            self.pulse.changed().await;
            self.look(run).await;
        }
    }

    /// Which pods started since, in words; none when none did.
    pub(super) async fn told(mut self, run: &Run<'_>, other: VersionId) -> Option<String> {
        self.look(run).await;
        let started: Vec<String> = self.started.into_iter().collect();
        (!started.is_empty()).then(|| {
            format!(
                "{} started during the exchange and may not read what is written under {other} until this restart replaces them: {}",
                counted(started.len(), "pod"),
                started.join(", ")
            )
        })
    }

    async fn look(&mut self, run: &Run<'_>) {
        if let Ok(now) = look_at_consumers(run.request, run.cluster, &self.known).await {
            run.teller.saw(&now, Look::Consumers);
            let since = pods(&now).map(|pod| &pod.name).filter(|name| !self.before.contains(*name));
            self.started.extend(since.cloned());
        }
    }
}

fn pods(now: &Observation) -> impl Iterator<Item = &PodView> {
    now.consumers.iter().flat_map(|consumer| &consumer.pods)
}
