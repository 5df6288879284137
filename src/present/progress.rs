//! Events as lines: what each says that is new, and how it reads through a pipe and on a terminal.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::text::{Paint, columns, pad, printable, wrap};
use deepdesk_protocol::event::{Event, StepName, StepState};
use deepdesk_protocol::facts::names::AccountName;

/// Columns of the longest name of a step.
const STEP: usize = 9;
/// Columns of the seconds: `9999.9s`.
pub(super) const SECONDS: usize = 7;

/// What was told of the steps so far.
#[derive(Default)]
pub(super) struct Told {
    steps: BTreeMap<(AccountName, StepName), Running>,
    account: usize,
}

/// A step that has begun.
#[derive(Default)]
struct Running {
    since: Option<Timestamp>,
    /// The last wait told, by what it is about: several objects are waited for at once, and take turns.
    waits: BTreeMap<String, String>,
}

/// What an event adds.
pub(super) struct News {
    /// Whether it says anything that was not said.
    pub(super) new: bool,
    /// How long the step took, when it ended and its beginning was told.
    pub(super) took: Option<SignedDuration>,
}

impl Told {
    /// Makes room for this name in the column of accounts.
    pub(super) fn expect(&mut self, account: &AccountName) {
        self.account = self.account.max(columns(account.as_str()));
    }

    /// Takes note of an event.
    pub(super) fn hear(&mut self, event: &Event) -> News {
        self.expect(&event.account);
        let key = (event.account.clone(), event.step);
        match event.state {
            StepState::Started => {
                self.steps.insert(key, Running { since: Some(event.time), waits: BTreeMap::new() });
                News { new: true, took: None }
            }
            StepState::Waiting => {
                let subject = event.detail.split_once(": ").map_or("", |(subject, _)| subject).to_owned();
                let before = self.steps.entry(key).or_default().waits.insert(subject, event.detail.clone());
                News { new: before.as_ref() != Some(&event.detail), took: None }
            }
            StepState::Warning | StepState::Output => News { new: true, took: None },
            StepState::Done | StepState::Failed | StepState::Skipped => {
                let since = self.steps.remove(&key).and_then(|running| running.since);
                News { new: true, took: since.map(|since| event.time.duration_since(since)) }
            }
        }
    }

    /// The line for a pipe: words only, never broken, so that it can be searched.
    pub(super) fn plain(&self, event: &Event, news: &News, paint: Paint) -> String {
        let word = match event.state {
            StepState::Started => pad("started", 7),
            StepState::Skipped => paint.dim(&pad("skipped", 7)),
            StepState::Waiting => pad("waiting", 7),
            StepState::Done => paint.good(&pad("done", 7)),
            StepState::Failed => paint.bad(&pad("failed", 7)),
            StepState::Warning => paint.warn(&pad("warning", 7)),
            StepState::Output => paint.dim(&pad("output", 7)),
        };
        let took = match news.took.filter(|_| event.state != StepState::Skipped) {
            Some(took) => paint.dim(&format!("({})", seconds(took))),
            None => String::new(),
        };
        let detail = printable(&event.detail);
        let gap = if detail.is_empty() || took.is_empty() { "" } else { " " };
        format!("{}{word}  {detail}{gap}{took}", self.step(event)).trim_end().to_owned()
    }

    /// The line that stays on a terminal when a step has ended, or has a warning.
    pub(super) fn ended(&self, event: &Event, news: &News, paint: Paint, width: usize) -> String {
        let mark = match event.state {
            StepState::Done => paint.good("✓"),
            StepState::Skipped => paint.dim("–"),
            StepState::Failed => paint.bad("✗"),
            StepState::Warning => paint.warn("!"),
            StepState::Output => paint.dim("|"),
            StepState::Started | StepState::Waiting => paint.dim("·"),
        };
        let took = news.took.filter(|_| event.state != StepState::Skipped).map(seconds).unwrap_or_default();
        let took = match took.as_str() {
            "" => " ".repeat(SECONDS),
            took => paint.dim(&format!("{took:>SECONDS$}")),
        };
        let step = self.step(event);
        let indent = 2 + columns(&step) + SECONDS + 2;
        let detail = wrap(&printable(&event.detail), indent, Some(width));
        let detail = if event.state == StepState::Skipped { paint.dim(&detail) } else { detail };
        format!("{mark} {step}{took}  {detail}").trim_end().to_owned()
    }

    /// What each line begins with: the account and the step, padded.
    pub(super) fn step(&self, event: &Event) -> String {
        format!("{}  {:<STEP$} ", pad(event.account.as_str(), self.account), event.step.as_str())
    }
}

/// Seconds with one decimal. A clock that was set back meanwhile does not show.
fn seconds(took: SignedDuration) -> String {
    format!("{:.1}s", took.as_secs_f64().max(0.0))
}
