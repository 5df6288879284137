//! What the record of an account says of runs over accounts: which of them changed it, and which of those came to their end. So a run is
//! resumed without a journal: what is done is read from the accounts.

use std::fmt;

use jiff::Timestamp;

use super::names::RunId;

/// What a run does with each of its accounts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Verb {
    /// `secret rotate`.
    Rotate,
    /// `secret sync`.
    Sync,
    /// `secret verify`.
    Verify,
    /// `secret restart`.
    Restart,
    /// `secret finalize`.
    Finalize,
}

impl Verb {
    pub const ALL: [Verb; 5] = [Verb::Rotate, Verb::Sync, Verb::Verify, Verb::Restart, Verb::Finalize];

    /// The command's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Rotate => "rotate",
            Verb::Sync => "sync",
            Verb::Verify => "verify",
            Verb::Restart => "restart",
            Verb::Finalize => "finalize",
        }
    }

    /// Whether it changes nothing.
    pub fn only_reads(self) -> bool {
        self == Verb::Verify
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// That a run changed the account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunMark {
    /// What it did. The same id with another command is another run.
    pub verb: Verb,
    pub run: RunId,
    /// When the run began, not the account: by that is told who appeared later. By the API server's clock.
    pub began: Timestamp,
    /// When the account was done; none while it is not.
    pub done: Option<Timestamp>,
}

/// The marks of an account, the newest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RunMarks(Vec<RunMark>);

impl RunMarks {
    /// How many are kept. A run that is resumed after so many others changed the account would not know that it is done.
    pub const MOST: usize = 8;

    pub fn of(&self, verb: Verb, run: &RunId) -> Option<&RunMark> {
        self.0.iter().find(|mark| mark.verb == verb && mark.run == *run)
    }

    /// Puts a mark first. What is done stays done, and a run does not begin twice.
    pub fn put(&mut self, mark: RunMark) {
        let known = self.0.iter().position(|known| known.verb == mark.verb && known.run == mark.run);
        let known = known.map(|at| self.0.remove(at));
        let (began, done) = known.map_or((mark.began, None), |known| (known.began.min(mark.began), known.done));
        self.0.insert(0, RunMark { began, done: done.or(mark.done), ..mark });
        self.0.truncate(RunMarks::MOST);
    }

    /// Reads `rotate/nightly-28/2026-11-30T02:00:00Z/2026-11-30T02:04:11Z,…`, `-` in place of an end that did not come. What is not such a
    /// mark is none: then the account is not done, and is looked at.
    pub fn read(text: &str) -> RunMarks {
        RunMarks(text.split(',').filter_map(mark).take(RunMarks::MOST).collect())
    }

    /// How it is written.
    pub fn write(&self) -> String {
        let written = self.0.iter().map(|mark| {
            let done = mark.done.map_or_else(|| "-".to_owned(), |done| done.to_string());
            format!("{}/{}/{}/{done}", mark.verb, mark.run, mark.began)
        });
        written.collect::<Vec<_>>().join(",")
    }
}

fn mark(text: &str) -> Option<RunMark> {
    let [verb, run, began, done] = text.split('/').collect::<Vec<_>>().try_into().ok()?;
    let verb = Verb::ALL.into_iter().find(|known| known.as_str() == verb && !known.only_reads())?;
    let done = if done == "-" { None } else { Some(done.parse().ok()?) };
    Some(RunMark { verb, run: run.parse().ok()?, began: began.parse().ok()?, done })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(verb: Verb, run: &str, began: i64, done: Option<i64>) -> RunMark {
        let at = |second| Timestamp::from_second(second).expect("a time");
        RunMark { verb, run: run.parse().expect("a fit id"), began: at(began), done: done.map(at) }
    }

    #[test]
    fn what_is_written_is_read_back_and_what_is_none_is_not_done() {
        let mut marks = RunMarks::default();
        marks.put(mark(Verb::Rotate, "a", 10, None));
        marks.put(mark(Verb::Finalize, "a", 20, Some(30)));
        assert_eq!(
            marks.write(),
            "finalize/a/1970-01-01T00:00:20Z/1970-01-01T00:00:30Z,rotate/a/1970-01-01T00:00:10Z/-"
        );
        assert_eq!(RunMarks::read(&marks.write()), marks);
        let run: RunId = "a".parse().expect("a fit id");
        assert_eq!(
            marks.of(Verb::Rotate, &run).map(|mark| mark.done),
            Some(None),
            "another command's end is not its own"
        );
        for broken in
            ["", "rotate/a", "rotate/a/soon/-", "rotate/a/1970-01-01T00:00:10Z/yes", "verify/a/1970-01-01T00:00:10Z/-"]
        {
            assert_eq!(RunMarks::read(broken), RunMarks::default(), "{broken}");
        }
    }

    #[test]
    fn what_is_done_stays_done_and_the_oldest_marks_go() {
        let mut marks = RunMarks::default();
        marks.put(mark(Verb::Rotate, "a", 10, None));
        marks.put(mark(Verb::Rotate, "b", 20, None));
        marks.put(mark(Verb::Rotate, "a", 15, Some(40)));
        marks.put(mark(Verb::Rotate, "a", 50, None));
        let run = "a".parse().expect("a fit id");
        assert_eq!(marks.of(Verb::Rotate, &run), Some(&mark(Verb::Rotate, "a", 10, Some(40))));
        for other in 0..RunMarks::MOST {
            assert!(marks.0.len() <= RunMarks::MOST);
            marks.put(mark(Verb::Sync, &format!("other-{other}"), 60, None));
        }
        assert_eq!((marks.0.len(), marks.of(Verb::Rotate, &run)), (RunMarks::MOST, None));
    }
}
