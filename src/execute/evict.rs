//! Evicts the pods that the operator named, one after the other, so that what owns them makes new ones.
//!
//! Chooses by what is there at each look, and remembers little: whoever repeats the command goes on where it stands.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::clients::cluster::{Cluster, Evicted};
use deepdesk_protocol::facts::named::{ReaderName, Word};
use deepdesk_protocol::facts::observation::{Consumer, Observation, OtherReader, PodView};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::state::{self, Standing};

/// How long an owner may take to make a pod in the place of one that went, before the next one is asked to go.
const MADE_AGAIN: Duration = Duration::from_secs(15);
/// How long to wait before a budget is asked again.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The readers that are to be evicted and are not shown to be on the newest version.
pub(super) fn behind(now: &Observation) -> impl Iterator<Item = &OtherReader> {
    let named = now.other_readers.iter().filter(|reader| reader.is_evicted());
    named.filter(|reader| state::standing_of_other(now, reader) != Standing::OnNewest)
}

/// One pod of a group that goes by one name.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    is_old: bool,
    ready: bool,
    leaving: bool,
}

/// Evictions in the course of one restart.
#[derive(Default)]
pub(super) struct Evictions {
    /// How many pods each group had at first, and when the last one of it was asked to go.
    groups: BTreeMap<ReaderName, (usize, Option<Instant>)>,
    /// What keeps a group waiting, in words.
    said: BTreeMap<ReaderName, String>,
}

impl Evictions {
    /// Asks the next pod of each group to go, where that is possible now; returns what is still to be done, in words.
    pub(super) async fn go_on(
        &mut self,
        cluster: &Cluster,
        now: &Observation,
        is_old: impl Fn(&Consumer, &PodView) -> bool,
    ) -> Result<Vec<String>, Problem> {
        let mut open = Vec::new();
        for (name, members) in groups(now, is_old) {
            let (size, asked) = self.groups.entry(name.clone()).or_insert((members.len(), None));
            let old = members.iter().filter(|member| member.is_old).count();
            if old == 0 {
                self.said.remove(&name);
                continue;
            }
            let is_awaited = members.len() < *size && asked.is_some_and(|asked: Instant| asked.elapsed() < MADE_AGAIN);
            if let Some(pod) = next(&members).filter(|_| !is_awaited) {
                match cluster.evict(&pod.name).await? {
                    Evicted::Yes => {
                        *asked = Some(Instant::now());
                        self.said.insert(name.clone(), format!("pod {} is evicted", pod.name));
                    }
                    Evicted::NotNow(why) => {
                        self.said.insert(name.clone(), format!("pod {} is not evicted yet: {why}", pod.name));
                    }
                }
            }
            let said = self.said.get(&name).map(|said| format!(" ({said})")).unwrap_or_default();
            open.push(format!("{name}: {old} old left{said}"));
        }
        Ok(open)
    }
}

/// The pods of each name that is evicted.
fn groups(now: &Observation, is_old: impl Fn(&Consumer, &PodView) -> bool) -> BTreeMap<ReaderName, Vec<Member>> {
    let mut groups: BTreeMap<ReaderName, Vec<Member>> = BTreeMap::new();
    for consumer in now.consumers.iter().filter(|consumer| consumer.moving.word == Word::Evict) {
        let name = ReaderName::from(&consumer.workload);
        let pods = consumer.pods.iter().map(|pod| Member {
            name: pod.name.clone(),
            is_old: is_old(consumer, pod),
            ready: pod.ready,
            leaving: pod.terminating,
        });
        groups.entry(name).or_default().extend(pods);
    }
    let named = now.other_readers.iter().filter(|reader| reader.word == Word::Evict && reader.kind == "Pod");
    for reader in named {
        let Some(name) = reader.names.last() else { continue };
        groups.entry(name.clone()).or_default().push(Member {
            name: reader.name.clone(),
            is_old: state::standing_of_other(now, reader) != Standing::OnNewest,
            ready: reader.ready,
            leaving: reader.terminating,
        });
    }
    groups
}

/// The pod that goes next: one that serves nobody, else any; none while another goes, or a new one does not serve yet.
fn next(members: &[Member]) -> Option<&Member> {
    if members.iter().any(|member| member.leaving || (!member.is_old && !member.ready)) {
        return None;
    }
    let old = members.iter().filter(|member| member.is_old);
    old.min_by_key(|member| (member.ready, member.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pod_goes_at_a_time_and_those_that_serve_nobody_go_first() {
        let member = |name: &str, is_old, ready, leaving| Member { name: name.to_owned(), is_old, ready, leaving };
        let next = |members: &[Member]| super::next(members).map(|member| member.name.clone());
        let old = |name: &str| member(name, true, true, false);
        assert_eq!(next(&[old("a"), old("b")]).as_deref(), Some("a"));
        assert_eq!(next(&[old("a"), member("b", true, false, false)]).as_deref(), Some("b"));
        assert_eq!(next(&[old("a"), member("b", true, true, true)]), None, "another one goes");
        assert_eq!(next(&[old("a"), member("b", false, false, false)]), None, "the new one does not serve yet");
        assert_eq!(next(&[old("a"), member("b", false, true, false)]).as_deref(), Some("a"));
        assert_eq!(next(&[member("b", false, true, false)]), None, "none is old");
    }
}
