//! What people do by hand: each act that is possible, at any moment.

use deepdesk_protocol::facts::observation::Source;

use super::world::{Number, Record, State, Value, World};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// A version with a value that was nowhere before.
    AddNew(Source),
    /// A version with a value that is or was in one of the two secrets.
    AddOld(Source, Value),
    Enable(Source, Number),
    Disable(Source, Number),
    Destroy(Source, Number),
    DeleteBackCompat,
    DeleteLease,
    /// Somebody edits the record.
    Record(Record),
    /// `kubectl rollout restart`, or a pod that starts by itself: what a restart of ours noted stays on the template.
    Restart(usize),
    /// `kubectl annotate externalsecret … force-sync=…`, or a scheduled sync.
    Sync,
    Pin(Number),
    Unpin,
}

/// What hands may do.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// How many of the newest versions of each secret they touch.
    pub versions: Number,
    /// Whether they edit the record, and do not only delete it.
    pub edits: bool,
    /// Whether a pod starts by itself.
    pub one_pod: bool,
}

/// Every act, with what comes of it.
pub fn acts(world: &World, reach: Reach, by_pattern: bool, mut each: impl FnMut(Act, World)) {
    let mut act = |act: Act, after: World| {
        if after != *world {
            each(act, after);
        }
    };
    for source in [Source::Primary, Source::BackCompat] {
        let add = |value: Value| {
            let mut after = *world;
            after.add(source, value);
            after
        };
        act(Act::AddNew(source), add(world.unused()));
        let mut known: Vec<Value> = world.primary.all().chain(world.back_compat.all()).map(|(_, v)| v.value).collect();
        known.sort_unstable();
        known.dedup();
        let newest = world.secret(source).value();
        known.iter().filter(|value| ![0, newest].contains(value)).for_each(|value| {
            act(Act::AddOld(source, *value), add(*value));
        });
        let of = world.secret(source);
        for (number, version) in of.all().filter(|(number, _)| number + reach.versions > of.len()) {
            let change = |state| {
                let mut after = *world;
                after.secret_mut(source).change(number, state);
                after
            };
            match version.state {
                State::Enabled => act(Act::Disable(source, number), change(State::Disabled)),
                State::Disabled => act(Act::Enable(source, number), change(State::Enabled)),
                State::Destroyed => {}
            }
            act(Act::Destroy(source, number), change(State::Destroyed));
        }
    }
    act(Act::DeleteBackCompat, World { back_compat: Default::default(), ..*world });
    // A run at work has lost its lock with it, and stops before its next write.
    act(Act::DeleteLease, World { record: Record::default(), run: None, ..*world });
    if reach.edits {
        let (record, newest) = (world.record, world.primary.len());
        let edited = [
            Record { begun: newest, back: false, ..record },
            Record { begun: newest, back: true, ..record },
            Record { begun: 0, back: false, ..record },
            Record { last: (newest.saturating_sub(1), newest), ..record },
            Record { last: (0, 0), ..record },
            Record { announced: world.back_compat.len(), ..record },
            Record { finalizing: world.back_compat.len().saturating_sub(1), ..record },
        ];
        edited.into_iter().for_each(|record| act(Act::Record(record), World { record, ..*world }));
    }
    for pods in if reach.one_pod { 1..=2 } else { 2..=2 } {
        let mut after = *world;
        after.restart(pods);
        act(Act::Restart(pods), after);
    }
    let mut after = *world;
    after.sync(by_pattern);
    act(Act::Sync, after);
    let newest = world.primary.len();
    for pinned in [newest, newest.saturating_sub(1)] {
        if pinned != 0 {
            act(Act::Pin(pinned), repinned(world, pinned, by_pattern));
        }
    }
    if world.pinned != 0 {
        act(Act::Unpin, repinned(world, 0, by_pattern));
    }
}

/// Somebody edits the ExternalSecret, which syncs it.
pub fn repinned(world: &World, pinned: Number, by_pattern: bool) -> World {
    let mut after = World { pinned, ..*world };
    after.sync(by_pattern);
    after
}
