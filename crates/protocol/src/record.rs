//! What a Lease's annotations record of the changes of one account (docs/protocol.md, The record). Pure: annotations in, facts out, and back.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::facts::named::ReaderName;
use crate::facts::names::{SecretId, VersionId};
use crate::facts::observation::{Announcement, Begun, LastRotation};
use crate::facts::older::{Older, VersionSet};
use crate::facts::run_marks::{RunMark, RunMarks};

const LAST: [(&str, Field); 4] = [
    ("deepdesk.com/last-rotation-by", |last| &mut last.by),
    ("deepdesk.com/last-rotation-at", |last| &mut last.at),
    ("deepdesk.com/last-rotation-from", |last| &mut last.from),
    ("deepdesk.com/last-rotation-to", |last| &mut last.to),
];
/// The version that the rotation under this lock set out for, until its end is recorded.
const BEGUN: &str = "deepdesk.com/rotation-begun";
/// That it goes back: a rollback.
const BACK: &str = "deepdesk.com/rotation-goes-back";
/// That it replaces a value that has leaked.
const COMPROMISED: &str = "deepdesk.com/rotation-of-a-leaked-value";
/// The version of the back-compat that a finalization retires, until its end is recorded.
const FINALIZING: &str = "deepdesk.com/finalization-begun";
/// The primary that the record is of: one namespace may have several.
const SECRET: &str = "deepdesk.com/record-of";
/// The version of the back-compat that holds the next value of a two-phase rotation: it cannot be seen that it is not an old one.
const ANNOUNCED: &str = "deepdesk.com/next-value-version";
/// That this value is being given up: what is left of that looks like the second phase of the rotation.
const CALLED_OFF: &str = "deepdesk.com/next-value-called-off";
/// The versions that finalizations, and the operator's words, retired.
const RETIRED: &str = "deepdesk.com/retired-versions";
/// The enabled versions that are in no slot, and that were let be by whoever was asked.
const ANSWERED: &str = "deepdesk.com/versions-asked-about";
/// When the last run that restarted pods came to its end, by the API server's clock; not there while one is under way.
const RUN_ENDED: &str = "deepdesk.com/run-ended";
/// The readers that the last run left as they were, since its operator said so.
const LEFT: &str = "deepdesk.com/readers-left";
/// The runs over accounts that changed this one, the newest first (`RunMarks`).
const RUNS: &str = "deepdesk.com/runs";
type Field = fn(&mut LastRotation) -> &mut String;
/// The annotations of a Lease.
pub type Annotations = BTreeMap<String, String>;

/// What a Lease records beside its holder.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Record {
    /// The last change of the value that was seen to its end.
    pub last: Option<LastRotation>,
    /// The one that did not record its end.
    pub begun: Option<Begun>,
    /// The version of the back-compat that is retired by a finalization which did not record its end.
    pub finalizing: Option<VersionId>,
    /// The next value, where one was announced.
    pub announced: Option<Announcement>,
    /// Versions that are not in use.
    pub older: Older,
    /// When the last run that restarted pods came to its end, by the API server's clock.
    pub run_ended: Option<Timestamp>,
    /// The readers that it left, since its operator said so.
    pub left: Vec<ReaderName>,
}

/// What a change of the values sets out for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Aim {
    /// The primary.
    pub secret: SecretId,
    /// The version that will be in use, and how; none where the one in use stays.
    pub begun: Option<Begun>,
    /// The version of the back-compat that is retired.
    pub finalizing: Option<VersionId>,
    /// The next value, where one is announced.
    pub announced: Option<Announcement>,
    /// The versions that were shown in the question, and are let be (R3).
    pub answered: VersionSet,
}

/// What a change that came to its end leaves on record.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ended {
    /// The last change of the value, where this was one.
    pub last: Option<LastRotation>,
    pub retired: VersionSet,
    pub left: Vec<ReaderName>,
}

impl Record {
    /// What is recorded of this primary. A Lease that an older program wrote does not say of which secret it is.
    pub fn read(annotations: &Annotations, primary: &SecretId) -> Record {
        if annotations.get(SECRET).is_some_and(|of| of != primary.as_str()) {
            return Record::default();
        }
        let version = |name| annotations.get(name).and_then(|version| version.parse().ok());
        let noted = |name| annotations.contains_key(name);
        let announced = version(ANNOUNCED).map(|version| Announcement { version, called_off: noted(CALLED_OFF) });
        let begun = version(BEGUN).map(|to| Begun { to, back: noted(BACK), compromised: noted(COMPROMISED) });
        let versions = |name| annotations.get(name).map(|versions| VersionSet::read(versions)).unwrap_or_default();
        let older = Older { is_recorded: noted(SECRET), retired: versions(RETIRED), answered: versions(ANSWERED) };
        let run_ended = annotations.get(RUN_ENDED).and_then(|at| at.parse().ok());
        let left = annotations.get(LEFT).into_iter().flat_map(|left| left.split(','));
        let left = left.filter_map(|name| name.parse().ok()).collect();
        let last = last_rotation(annotations);
        Record { last, begun, finalizing: version(FINALIZING), announced, older, run_ended, left }
    }

    /// Whether all that a change sets out for stands here.
    pub fn tells(&self, aim: &Aim) -> bool {
        let begun = aim.begun.is_none() || self.begun == aim.begun;
        let answered = aim.answered.iter().all(|(source, version)| self.older.answered.has(source, version));
        begun && answered && self.announced == aim.announced && self.finalizing == aim.finalizing
    }
}

fn last_rotation(annotations: &Annotations) -> Option<LastRotation> {
    let mut last = LastRotation { by: String::new(), at: String::new(), from: String::new(), to: String::new() };
    for (name, field) in LAST {
        *field(&mut last) = annotations.get(name)?.clone();
    }
    Some(last)
}

/// Records what a change sets out for.
pub fn set_out(annotations: &mut Annotations, aim: &Aim) {
    // The last rotation of another secret is not this one's.
    if annotations.get(SECRET).is_some_and(|of| of != aim.secret.as_str()) {
        for (name, _) in LAST {
            annotations.remove(name);
        }
        for other in [BEGUN, RETIRED, ANSWERED, LEFT, RUNS] {
            annotations.remove(other);
        }
    }
    annotations.insert(SECRET.to_owned(), aim.secret.to_string());
    let flag = |set: bool| set.then(|| "true".to_owned());
    let number = |version: VersionId| version.get().to_string();
    // What was begun stays on record where the version in use stays: its end was not recorded.
    if let Some(begun) = aim.begun {
        write(annotations, BEGUN, Some(number(begun.to)));
        write(annotations, BACK, flag(begun.back));
        write(annotations, COMPROMISED, flag(begun.compromised));
    }
    write(annotations, FINALIZING, aim.finalizing.map(number));
    write(annotations, ANNOUNCED, aim.announced.map(|announced| number(announced.version)));
    write(annotations, CALLED_OFF, flag(aim.announced.is_some_and(|announced| announced.called_off)));
    add(annotations, ANSWERED, &aim.answered);
}

/// Records that a run is under way that may restart pods.
pub fn run_begins(annotations: &mut Annotations) {
    annotations.remove(RUN_ENDED);
}

/// Records when a run came to its end that restarted pods, and compared what they read (R5).
pub fn run_ends(annotations: &mut Annotations, at: Timestamp) {
    annotations.insert(RUN_ENDED.to_owned(), at.to_string());
}

/// Records that it has come to its end.
pub fn end(annotations: &mut Annotations, ended: Ended) {
    for done in [BEGUN, BACK, COMPROMISED, FINALIZING, ANNOUNCED, CALLED_OFF] {
        annotations.remove(done);
    }
    add(annotations, RETIRED, &ended.retired);
    let left: Vec<String> = ended.left.iter().map(ToString::to_string).collect();
    write(annotations, LEFT, (!left.is_empty()).then(|| left.join(",")));
    if let Some(mut last) = ended.last {
        annotations.extend(LAST.map(|(name, field)| (name.to_owned(), std::mem::take(field(&mut last)))));
    }
}

/// The runs over accounts that changed the account of this primary.
pub fn run_marks(annotations: &Annotations, primary: &SecretId) -> RunMarks {
    let of_another = annotations.get(SECRET).is_some_and(|of| of != primary.as_str());
    annotations.get(RUNS).filter(|_| !of_another).map(|runs| RunMarks::read(runs)).unwrap_or_default()
}

/// Records what a run over accounts does with this one: that it begins, with the write that sets out, or that it is done, with the write of
/// the end. Each stands in the same write as the rest of the record: nobody is done for a run who is not done.
pub fn mark_run(annotations: &mut Annotations, mark: &RunMark) {
    let mut marks = annotations.get(RUNS).map(|runs| RunMarks::read(runs)).unwrap_or_default();
    marks.put(mark.clone());
    annotations.insert(RUNS.to_owned(), marks.write());
}

/// Adds these versions to those that are on record.
fn add(annotations: &mut Annotations, name: &str, versions: &VersionSet) {
    if versions.is_empty() {
        return;
    }
    let mut all = annotations.get(name).map(|known| VersionSet::read(known)).unwrap_or_default();
    all.extend(versions.iter());
    annotations.insert(name.to_owned(), all.write());
}

fn write(annotations: &mut Annotations, name: &str, value: Option<String>) {
    match value {
        Some(value) => annotations.insert(name.to_owned(), value),
        None => annotations.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64) -> VersionId {
        number.to_string().parse().expect("a version")
    }

    fn aim(secret: &str) -> Aim {
        Aim {
            secret: secret.parse().expect("a name"),
            begun: Some(Begun { to: version(8), back: true, compromised: true }),
            finalizing: Some(version(3)),
            announced: Some(Announcement { version: version(2), called_off: true }),
            answered: VersionSet::read("back-compat/1"),
        }
    }

    fn last() -> LastRotation {
        let word = |word: &str| word.to_owned();
        LastRotation { by: word("alice"), at: word("2026-11-30T02:00:00Z"), from: word("v7"), to: word("v8") }
    }

    #[test]
    fn what_is_recorded_is_read_back() {
        let mut annotations = Annotations::from([("other.com/note".to_owned(), "kept".to_owned())]);
        let aim = aim("acme_account_secret");
        set_out(&mut annotations, &aim);
        let read = Record::read(&annotations, &aim.secret);
        assert_eq!((read.begun, read.finalizing, read.announced), (aim.begun, aim.finalizing, aim.announced));
        assert!(read.tells(&aim) && read.last.is_none());
        for other in [
            Aim { begun: Some(Begun { to: version(9), back: true, compromised: true }), ..aim.clone() },
            Aim { finalizing: None, ..aim.clone() },
            Aim { announced: None, ..aim.clone() },
            Aim { answered: VersionSet::read("back-compat/3"), ..aim.clone() },
        ] {
            assert!(!read.tells(&other), "{other:?}");
        }
        let retired = VersionSet::read("primary/7");
        let left: Vec<ReaderName> =
            vec!["rollout/checkout".parse().expect("a name"), "pod/import-1".parse().expect("a name")];
        end(&mut annotations, Ended { last: Some(last()), retired: retired.clone(), left: left.clone() });
        let read = Record::read(&annotations, &aim.secret);
        let older = Older { is_recorded: true, retired, answered: aim.answered };
        assert_eq!(read, Record { last: Some(last()), older, left, ..Record::default() });
        // The next run leaves none.
        end(&mut annotations, Ended::default());
        assert_eq!(Record::read(&annotations, &"acme_account_secret".parse().expect("a name")).left, []);
        assert_eq!(annotations.len(), 8, "the record's own and the other: {annotations:?}");
    }

    #[test]
    fn the_end_of_a_run_is_on_record_until_the_next_begins() {
        let (mut annotations, secret) = (Annotations::new(), "acme_account_secret".parse().expect("a name"));
        let at = Timestamp::from_second(1_000).expect("a time");
        run_ends(&mut annotations, at);
        assert_eq!(Record::read(&annotations, &secret).run_ended, Some(at));
        run_begins(&mut annotations);
        assert_eq!(Record::read(&annotations, &secret), Record::default());
    }

    #[test]
    fn the_runs_over_accounts_outlive_each_change_and_not_the_secret() {
        let mut annotations = Annotations::new();
        let acme = aim("acme_account_secret");
        let began = Timestamp::from_second(1_000).ok();
        let mark = |done| RunMark {
            verb: crate::facts::run_marks::Verb::Rotate,
            run: "nightly".parse().expect("a fit id"),
            began: began.expect("a time"),
            done,
        };
        set_out(&mut annotations, &acme);
        mark_run(&mut annotations, &mark(None));
        assert_eq!(run_marks(&annotations, &acme.secret).of(mark(None).verb, &mark(None).run), Some(&mark(None)));
        end(&mut annotations, Ended { last: Some(last()), ..Ended::default() });
        mark_run(&mut annotations, &mark(began));
        // Another change of the same account, by whomever.
        set_out(&mut annotations, &acme);
        end(&mut annotations, Ended::default());
        assert_eq!(run_marks(&annotations, &acme.secret).of(mark(None).verb, &mark(None).run), Some(&mark(began)));
        let globex = aim("globex_account_secret");
        assert_eq!(run_marks(&annotations, &globex.secret), RunMarks::default());
        set_out(&mut annotations, &globex);
        assert_eq!(run_marks(&annotations, &globex.secret), RunMarks::default());
        assert!(!annotations.contains_key(RUNS));
    }

    #[test]
    fn what_was_begun_stays_on_record_while_the_version_in_use_stays() {
        let mut annotations = Annotations::new();
        let rotation = aim("acme_account_secret");
        set_out(&mut annotations, &rotation);
        let rescue = Aim { begun: None, finalizing: None, announced: None, ..rotation.clone() };
        set_out(&mut annotations, &rescue);
        let read = Record::read(&annotations, &rotation.secret);
        assert_eq!((read.begun, read.finalizing, read.announced), (rotation.begun, None, None));
        assert!(read.tells(&rescue) && !read.tells(&rotation));
        end(&mut annotations, Ended::default());
        let read = Record::read(&annotations, &rotation.secret);
        let older = Older { is_recorded: true, answered: rotation.answered, ..Older::default() };
        assert_eq!(read, Record { older, ..Record::default() });
    }

    #[test]
    fn the_record_of_another_secret_is_neither_read_nor_kept() {
        let mut annotations = Annotations::new();
        let acme = aim("acme_account_secret");
        set_out(&mut annotations, &acme);
        end(&mut annotations, Ended { last: Some(last()), retired: VersionSet::read("primary/7"), left: Vec::new() });
        set_out(&mut annotations, &acme);
        let globex: SecretId = "globex_account_secret".parse().expect("a name");
        assert_eq!(Record::read(&annotations, &globex), Record::default());
        let nothing = Aim {
            secret: globex.clone(),
            begun: None,
            finalizing: None,
            announced: None,
            answered: VersionSet::default(),
        };
        set_out(&mut annotations, &nothing);
        let older = Older { is_recorded: true, ..Older::default() };
        assert_eq!(Record::read(&annotations, &globex), Record { older, ..Record::default() });
        assert_eq!(Record::read(&annotations, &acme.secret), Record::default());
    }

    #[test]
    fn a_lease_of_an_older_program_is_read_and_a_broken_one_says_nothing() {
        let of = |pairs: &[(&str, &str)]| {
            let annotations = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Record::read(&annotations, &"acme_account_secret".parse().expect("a name"))
        };
        assert_eq!(of(&[(BEGUN, "8")]).begun, Some(Begun { to: version(8), back: false, compromised: false }));
        assert_eq!(of(&[(BEGUN, "soon"), (FINALIZING, "-1"), (ANNOUNCED, "")]), Record::default());
        assert_eq!(of(&[(RETIRED, "all"), (ANSWERED, "primary/")]), Record::default());
        assert_eq!(of(&[(RUN_ENDED, "at some time")]), Record::default());
        assert_eq!(of(&[(BACK, "true"), (CALLED_OFF, "true")]), Record::default());
        assert_eq!(of(&[(LAST[0].0, "alice"), (LAST[1].0, "today"), (LAST[2].0, "v1")]).last, None);
    }
}
