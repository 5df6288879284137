//! The values under which data may be encrypted (docs/protocol.md, "The live values"), each with why and with what still has it. For
//! whoever reads a result: the planner asks [`in_use`] what it needs of them.

use serde::Serialize;

use crate::facts::names::VersionId;
use crate::facts::observation::{Found, Observation, Source, ValueTag, Version, VersionState};
use crate::in_use;
use crate::state::{self, Standing};

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveValue {
    /// The version that has it, `primary v8`; `unknown` for bytes that no version seen has.
    pub value: String,
    /// Which key pods read it by: `primary`, `backCompat`; null for a value that no pod can read once all is in place.
    pub slot: Option<Source>,
    /// Why data may be encrypted under it.
    pub because: Vec<String>,
    /// What has it: `primary/8`, `back-compat/1`, `secret/NAME:KEY`, `pod/NAME`. A disabled version holds nothing.
    pub held_by: Vec<String>,
}

/// What names a value: its bytes, else a version that cannot be read, else nothing.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Which {
    Tag(ValueTag),
    Version(VersionId),
    Unknown,
}

/// The live values: those of the two slots first, then as they were met.
pub fn live(now: &Observation) -> Vec<LiveValue> {
    let mut found: Vec<(Which, LiveValue)> = Vec::new();
    let slots = now.slots();
    for (slot, source) in slots.iter().zip([Source::Primary, Source::BackCompat]) {
        if let Some(value) = slot {
            let because = match source {
                Source::Primary => "the newest version: data is written under it",
                Source::BackCompat => "the newest version of the back-compat: old data is read with it",
            };
            entry(now, &mut found, Which::Tag(*value), because);
        }
    }
    for source in [Source::Primary, Source::BackCompat] {
        let enabled = now.secret(source).versions.iter().filter(|version| version.state == VersionState::Enabled);
        for version in enabled {
            let which = version.value.map_or_else(|| unread(source, version), Which::Tag);
            held(
                now,
                &mut found,
                which,
                "an enabled version has it",
                format!("{}/{}", source.as_str(), version.id.get()),
            );
        }
    }
    for source in [Source::Primary, Source::BackCompat] {
        for (external, key) in now.keys(source) {
            let which = match key.found {
                Found::Value(value) => Which::Tag(value),
                Found::Unknown => Which::Unknown,
                Found::Missing => continue,
            };
            held(
                now,
                &mut found,
                which,
                "a Kubernetes Secret has it",
                format!("secret/{}:{}", external.target, key.key),
            );
        }
    }
    for (consumer, pod) in now.pods() {
        let name = format!("pod/{}", pod.name);
        if state::standing(now, consumer, pod) == Standing::OnNewest {
            let read = [slots[0], slots[1].filter(|_| consumer.reads_back_compat)];
            for value in read.into_iter().flatten() {
                held(now, &mut found, Which::Tag(value), "a running pod started with it", name.clone());
            }
            continue;
        }
        // Dates may name several: only one alone is shown.
        if let [version] = in_use::may_have_started_with(now, consumer, pod)[..] {
            let value = now.primary.version(version).and_then(|version| version.value);
            let which = value.map_or(Which::Version(version), Which::Tag);
            held(now, &mut found, which, "a running pod is shown to have started with it", name);
        }
    }
    if let Some(version) = now.last_rotation.as_ref().and_then(|last| last.from_version()) {
        let value = now.primary.version(version).and_then(|version| version.value);
        let is_retired = now.older.retired.has(Source::Primary, version);
        // Where the version is disabled the back-compat has its value, by another name.
        if let Some(value) = value.filter(|_| !is_retired) {
            entry(now, &mut found, Which::Tag(value), "the last rotation on record left it");
        }
    }
    found.into_iter().map(|(_, value)| value).collect()
}

fn unread(source: Source, version: &Version) -> Which {
    match source {
        Source::Primary => Which::Version(version.id),
        Source::BackCompat => Which::Unknown,
    }
}

fn held(now: &Observation, found: &mut Vec<(Which, LiveValue)>, which: Which, because: &str, holder: String) {
    let value = entry(now, found, which, because);
    if !value.held_by.contains(&holder) {
        value.held_by.push(holder);
    }
}

fn entry<'a>(
    now: &Observation,
    found: &'a mut Vec<(Which, LiveValue)>,
    which: Which,
    because: &str,
) -> &'a mut LiveValue {
    let at = found.iter().position(|(known, _)| *known == which).unwrap_or_else(|| {
        let (value, slot) = match which {
            Which::Tag(tag) => {
                let slot = now.slots().iter().position(|slot| *slot == Some(tag));
                (now.name_of(tag), slot.map(|at| [Source::Primary, Source::BackCompat][at]))
            }
            Which::Version(version) => (Some(format!("primary {version}")), None),
            Which::Unknown => (None, None),
        };
        let value = value.unwrap_or_else(|| "unknown".to_owned());
        found.push((which, LiveValue { value, slot, because: Vec::new(), held_by: Vec::new() }));
        found.len() - 1
    });
    let value = &mut found[at].1;
    if !value.because.iter().any(|known| known == because) {
        value.because.push(because.to_owned());
    }
    value
}

#[cfg(test)]
#[path = "tests/live.rs"]
mod tests;
