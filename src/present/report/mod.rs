//! The report of a run: one self-contained HTML page, and the same as JSON. For a change ticket, or an auditor.
//!
//! A pure function of what was told, seen and decided. Nothing in the page is fetched, and it has no script. Every text
//! goes through `esc`, since parts of it come from servers.

mod facts;
mod html;
mod json;
mod style;
mod timeline;

use jiff::Timestamp;

use super::text::printable;
use crate::known::KnownValues;
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{AccountResult, Kind};
use deepdesk_protocol::trail::Trail;

pub use html::{MARK, page};
pub use json::{JSON_MARK, json};

/// A run of one command, as a report tells it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The program and its version.
    pub program: String,
    /// The command: `secret rotate`.
    pub command: String,
    /// All words of the call, as they were given; what must not be read is left out.
    pub arguments: Vec<String>,
    /// Who ran it: user and machine.
    pub operator: String,
    /// As whom at Google, and by which credentials; empty when that was not found out.
    pub credentials: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The process's exit code.
    pub exit_code: u8,
    /// What went wrong outside of any account.
    pub problem: Option<Problem>,
    /// The accounts, in the order in which they were worked on.
    pub accounts: Vec<AccountReport>,
    /// Accounts that were asked for and not begun: an earlier one did not end well.
    pub not_begun: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct AccountReport {
    /// The result, as `-o json` prints it.
    pub result: AccountResult,
    /// Why it did not end well, what holds now, and what to do next.
    pub problem: Option<Problem>,
    /// What was told and seen meanwhile.
    pub trail: Trail,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

/// A text as it may stand in a page, between tags or between quotes.
fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No characters, and not allowed in XML, as which a page may be read.
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

/// How it ended: the word, and the class that colours it.
fn outcome(exit_code: u8, dry_run: bool) -> (&'static str, &'static str) {
    match exit_code {
        0 if dry_run => ("dry run", "plain"),
        0 => ("done", "good"),
        3 => ("not as it should be", "bad"),
        4 => ("refused", "warn"),
        5 => ("incomplete", "bad"),
        130 => ("interrupted", "warn"),
        _ => ("failed", "bad"),
    }
}

/// What was to be done, for a title: `Rotation`.
fn deed(kind: Kind) -> &'static str {
    match kind {
        Kind::SecretRotation => "Rotation",
        Kind::SecretSync => "Sync",
        Kind::SecretVerification => "Verification",
        Kind::SecretRestart => "Restart",
        Kind::SecretRollback => "Rollback",
        Kind::SecretFinalization => "Finalization",
        Kind::SecretRescue => "Rescue",
        Kind::SecretStatus => "Status",
    }
}

/// A time for people: UTC, to the second.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A length of time for people: `0.3 s`, `1:30 min`, `2:05:00 h`.
fn length(seconds: f64) -> String {
    let whole = seconds.max(0.0);
    if whole < 99.95 {
        return format!("{whole:.1} s");
    }
    let all = whole.round() as u64;
    match (all / 3600, all / 60 % 60, all % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02} min"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02} h"),
    }
}

/// From one moment to another, in seconds.
fn between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}
