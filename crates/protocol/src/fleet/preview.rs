//! What the question, and `--dry-run`, show of a run before it begins: waves, accounts by state, writes, times, interruptions.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::lanes::{Ended, Lanes, Next, Writes};
use super::member::{Fleet, Member};
use super::outcome::NotBegunResult;
use crate::facts::names::RunId;

/// External Secrets' queue.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    /// How many objects it works on at a time: one by default.
    pub workers: u32,
    /// How long a sync takes, measured; none where nobody knows.
    pub sync: Option<Duration>,
}

/// A run before it begins.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    pub run: RunId,
    /// `rotate`, `sync`, `verify`, `restart` or `finalize`.
    pub command: &'static str,
    /// Whether another process began it.
    pub resumed: bool,
    /// The accounts to do.
    pub accounts: usize,
    /// Those that were done in this run before.
    pub done_before: usize,
    /// Accounts under way at most.
    pub max_concurrency: usize,
    /// How many may end badly before no further one begins; null where nothing is changed.
    pub max_failures: Option<usize>,
    /// How many may then have ended badly at most: those under way end.
    pub most_failures: Option<usize>,
    /// The moment after which none begins.
    pub until: Option<Timestamp>,
    /// The waves with accounts that are to do.
    pub waves: Vec<WavePreview>,
    /// The accounts to do by their present states, in the order of their words.
    pub states: Vec<StateCount>,
    /// Accounts that are not begun, with why.
    pub not_begun: Vec<NotBegunResult>,
    /// Writes to Secret Manager.
    pub writes: u64,
    /// How long they take by the quota alone, in seconds.
    pub quota_seconds: u64,
    /// Syncs that External Secrets is asked for.
    pub syncs: u64,
    /// How long they take by its queue alone, in seconds; null where nobody knows how long one takes.
    pub sync_seconds: Option<u64>,
    /// How long the accounts take by waves, pauses and lanes alone, by the last rotations, in seconds; null where there were none.
    pub lane_seconds: Option<u64>,
    /// The longest of these, in seconds; null where nobody knows how long an account takes.
    pub estimate_seconds: Option<u64>,
    /// How many accounts begin before `until`, by that; null where nobody knows.
    pub begin_in_time: Option<usize>,
    /// In how many accounts at most pods on the old and the new value serve side by side at the same time.
    pub interrupted_at_once: usize,
}

/// A wave before it begins.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WavePreview {
    /// Which, counted from one.
    pub wave: usize,
    /// Whether the next one waits for it.
    pub gated: bool,
    /// How many of its accounts were done before.
    pub done_before: usize,
    /// Its accounts that are to do, in order.
    pub accounts: Vec<String>,
}

/// How many accounts are in a state.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateCount {
    pub state: String,
    /// How many.
    pub accounts: usize,
}

/// What is shown of a run.
pub fn preview(fleet: &Fleet, queue: Queue) -> Preview {
    let sum = |of: fn(&Member) -> u32| fleet.members.iter().map(|member| u64::from(of(member))).sum::<u64>();
    let (writes, syncs) = (sum(|member| member.cost.writes), sum(|member| member.cost.syncs));
    let sync_seconds = match (queue.sync, syncs) {
        (_, 0) => Some(0),
        (sync, syncs) => sync.map(|sync| whole(sync.as_secs_f64() * as_f64(syncs) / f64::from(queue.workers.max(1)))),
    };
    let quota_seconds = (writes * 60).div_ceil(u64::from(fleet.limits.max_writes.max(1)));
    let played = play(fleet);
    let lane_seconds = played.as_ref().map(|played| whole(played.took.as_secs_f64()));
    let longest = |lanes: u64| lanes.max(quota_seconds).max(sync_seconds.unwrap_or_default());
    let waves = waves(fleet);
    Preview {
        run: fleet.run.clone(),
        command: fleet.verb.as_str(),
        resumed: fleet.resumed,
        accounts: fleet.members.len(),
        done_before: fleet.done.len(),
        max_concurrency: fleet.limits.concurrency,
        max_failures: fleet.limits.max_failures,
        most_failures: fleet.limits.max_failures.map(|most| (most + fleet.limits.concurrency).min(fleet.members.len())),
        until: fleet.limits.until,
        interrupted_at_once: interrupted_at_once(fleet, &waves),
        waves: waves.into_iter().map(|(preview, _)| preview).collect(),
        states: states(fleet),
        not_begun: fleet.left_out.iter().map(NotBegunResult::left_out).collect(),
        writes,
        quota_seconds,
        syncs,
        sync_seconds,
        lane_seconds,
        estimate_seconds: lane_seconds.map(longest),
        begin_in_time: played.map(|played| played.begun),
    }
}

fn waves(fleet: &Fleet) -> Vec<(WavePreview, &[Member])> {
    let (mut done, mut members) = (fleet.done.len(), fleet.members.as_slice());
    let sizes = fleet.limits.waves.iter().map(|size| (*size, true)).chain([(usize::MAX, false)]);
    let mut waves = Vec::new();
    for (wave, (size, gated)) in sizes.enumerate() {
        let done_before = done.min(size);
        done -= done_before;
        let (of, rest) = members.split_at((size - done_before).min(members.len()));
        members = rest;
        if !of.is_empty() {
            let accounts = of.iter().map(|member| member.account.to_string()).collect();
            waves.push((WavePreview { wave: wave + 1, gated, done_before, accounts }, of));
        }
    }
    waves
}

fn states(fleet: &Fleet) -> Vec<StateCount> {
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for member in &fleet.members {
        *states.entry(member.state.to_string()).or_default() += 1;
    }
    states.into_iter().map(|(state, accounts)| StateCount { state, accounts }).collect()
}

fn interrupted_at_once(fleet: &Fleet, waves: &[(WavePreview, &[Member])]) -> usize {
    let of = |members: &[Member]| members.iter().filter(|member| member.cost.interrupts).count();
    waves.iter().map(|(_, members)| of(members)).max().unwrap_or_default().min(fleet.limits.concurrency)
}

struct Played {
    took: Duration,
    begun: usize,
}

/// Plays the run with accounts that take what the last ones took, those of which nobody knows as long as the median. The same lanes decide as
/// in the run itself. None where nobody knows any.
fn play(fleet: &Fleet) -> Option<Played> {
    let mut known: Vec<Duration> = fleet.members.iter().filter_map(|member| member.cost.takes).collect();
    known.sort();
    let median = *known.get(known.len() / 2)?;
    let (mut lanes, mut now) = (Lanes::new(fleet.clone()), fleet.decided);
    let takes = fleet.members.iter().map(|member| member.cost.takes.unwrap_or(median)).collect::<Vec<_>>();
    let mut ends = BinaryHeap::new();
    let (mut turns, mut begun) = (BTreeMap::new(), 0);
    loop {
        match lanes.next(now, Writes::PLENTY) {
            Next::Begin(turn) => {
                ends.push(Reverse((after(now, takes[begun]), begun)));
                turns.insert(begun, turn);
                begun += 1;
            }
            Next::Wait { until: Some(until), .. } if turns.is_empty() => now = until,
            Next::Wait { .. } => {
                let Reverse((at, which)) = ends.pop()?;
                now = now.max(at);
                lanes.ended(turns.remove(&which)?, Ended::Proven, now);
            }
            Next::Over(_) => break,
        }
    }
    Some(Played { took: Duration::try_from(now.duration_since(fleet.decided)).unwrap_or_default(), begun })
}

fn after(now: Timestamp, takes: Duration) -> Timestamp {
    let takes = SignedDuration::try_from(takes).unwrap_or(SignedDuration::MAX);
    now.checked_add(takes).unwrap_or(Timestamp::MAX)
}

fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Whole seconds, rounded up.
fn whole(seconds: f64) -> u64 {
    seconds.ceil() as u64
}
