//! The report for programs. Its shape is a contract: add, never change.

use jiff::Timestamp;
use serde::Serialize;

use super::{AccountReport, Report};
use crate::known::KnownValues;
use crate::present::machine;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{API_VERSION, AccountResult};
use deepdesk_protocol::trail::Trail;

/// By what JSON is known to be a report. Near its beginning.
pub const JSON_MARK: &str = "\"kind\": \"Report\"";

/// `kind: Report`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    api_version: &'static str,
    kind: &'static str,
    program: &'a str,
    command: &'a str,
    arguments: &'a [String],
    operator: &'a str,
    credentials: &'a str,
    started: Timestamp,
    ended: Timestamp,
    exit_code: u8,
    /// What went wrong outside of any account; empty and absent when nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Told<'a>>,
    accounts: Vec<Account<'a>>,
    not_begun: &'a [String],
}

/// A problem, as `--progress json` tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    reason: &'a str,
    message: &'a str,
    exit_code: u8,
    now: &'a [String],
    hints: &'a [Hint],
}

#[derive(Serialize)]
struct Account<'a> {
    started: Timestamp,
    ended: Timestamp,
    /// What `-o json` prints.
    result: &'a AccountResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Told<'a>>,
    /// `events` (as `--progress json` prints them), `syncs`, `pods`, `interruptions`.
    #[serde(flatten)]
    trail: &'a Trail,
}

/// The report as JSON, without the known values.
pub fn json(report: &Report, known: &KnownValues) -> String {
    let whole = Whole {
        api_version: API_VERSION,
        kind: "Report",
        program: &report.program,
        command: &report.command,
        arguments: &report.arguments,
        operator: &report.operator,
        credentials: &report.credentials,
        started: report.started,
        ended: report.ended,
        exit_code: report.exit_code,
        problem: report.problem.as_ref().map(told),
        accounts: report.accounts.iter().map(account).collect(),
        not_begun: &report.not_begun,
    };
    machine::json(&whole, known)
}

fn account(account: &AccountReport) -> Account<'_> {
    let AccountReport { result, problem, trail, started, ended } = account;
    Account { started: *started, ended: *ended, result, problem: problem.as_ref().map(told), trail }
}

fn told(problem: &Problem) -> Told<'_> {
    Told {
        reason: problem.reason.as_str(),
        message: &problem.message,
        exit_code: problem.exit.code(),
        now: &problem.now,
        hints: &problem.hints,
    }
}
