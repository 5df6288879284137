//! What the other commands saw of an account, kept for completion to show beside its name: a state, a version, an age.

use super::cache::{Cache, Note, Word};
use super::line::Line;
use crate::clients::kubeconfig::{Chosen, KubeTarget};
use crate::environment::Environment;
use deepdesk_protocol::result::AccountResult;

/// Names a question to the cache: which cluster, as whom, what.
pub fn key(chosen: &Chosen, line: &Line, what: &str) -> String {
    let groups = line.flags("as-group").join(",");
    let acting = [line.flag("as").unwrap_or_default(), &groups, line.flag("as-uid").unwrap_or_default()];
    [&[chosen.server.as_str(), &chosen.context, &chosen.cluster, &chosen.user] as &[&str], &acting, &[what]]
        .concat()
        .join("\n")
}

/// An account is the same one for everybody who sees it, so the identity is no part of its note's key.
fn note_key(server: &str, account: &str) -> String {
    format!("account\n{}\n{account}", server.trim_end_matches('/'))
}

/// Keeps what a command saw of an account.
pub fn keep(environment: &Environment, target: &KubeTarget, result: &AccountResult) {
    if result.state.is_empty() || result.dry_run {
        return;
    }
    let cache = Cache::of(environment);
    let primary = result.primary.as_ref();
    let newest = primary.and_then(|primary| primary.versions.first());
    let note = Note {
        state: result.state.clone(),
        version: primary.map(|primary| primary.latest.clone()).unwrap_or_default(),
        created: newest.and_then(|version| version.created).map(|created| created.as_second()),
        seen: cache.seconds(),
    };
    cache.keep_note(&note_key(&target.server, &result.account), &note);
}

/// The account, with what was last seen of it.
pub fn beside(Word(account, listed): Word, cache: &Cache, chosen: &Chosen) -> Word {
    match cache.note(&note_key(&chosen.server, &account)) {
        Some(note) => Word(account, shown(&note, cache.seconds())),
        None => Word(account, listed),
    }
}

fn shown(note: &Note, now: i64) -> String {
    let mut text = note.state.clone();
    if !note.version.is_empty() {
        text.push_str(&format!(", v{}", note.version));
    }
    if let Some(created) = note.created {
        text.push_str(&format!(" from {} ago", age(now.saturating_sub(created))));
    }
    text.push_str(&format!("; seen {} ago", age(now.saturating_sub(note.seen))));
    text
}

/// As kubectl shows ages.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_short_line() {
        let note =
            |version: &str, created| Note { state: "Stable".into(), version: version.into(), created, seen: 1000 };
        let cases = [
            (note("8", Some(1000 - 3 * 86_400)), 1060, "Stable, v8 from 3d ago; seen 60s ago"),
            (note("8", None), 1000 + 7200, "Stable, v8; seen 2h ago"),
            (note("", None), 900, "Stable; seen 0s ago"),
        ];
        for (note, now, expected) in cases {
            assert_eq!(shown(&note, now), expected);
        }
    }
}
