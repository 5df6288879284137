//! Several accounts in one table, a row each.

use super::human::{due, is_reencryption_due, newest, pods};
use super::table::Table;
use super::text::Paint;
use super::wording::counted;
use deepdesk_protocol::problem::Reason;
use deepdesk_protocol::result::{AccountResult, Kind};

/// The table (of the pods, how many are on the newest version), how many ended well, and what is due for which.
pub(super) fn render(results: &[AccountResult], width: Option<usize>, paint: Paint) -> String {
    let restarts = results.iter().any(|result| result.interruption_seconds.is_some());
    let mut titles = vec!["NAME", "STATE", "PRIMARY", "PODS", "REASON"];
    if restarts {
        titles.insert(4, "INTERRUPTED");
    }
    let mut table = Table::new(&titles);
    for result in results {
        let (ready, all) = pods(result);
        let mut cells = vec![result.account.clone(), result.state.clone(), primary(result), format!("{ready}/{all}")];
        if restarts {
            cells.push(result.interruption_seconds.map(|seconds| format!("{seconds:.1}s")).unwrap_or_default());
        }
        cells.push(result.reason.clone());
        table.push(cells);
    }
    let mut out = table.fitted(width, &["INTERRUPTED", "PODS"]).render();
    out.push('\n');
    out.push_str(&count(results, paint));
    let waiting: Vec<&str> =
        results.iter().filter(|result| is_reencryption_due(result)).map(|result| result.account.as_str()).collect();
    if !waiting.is_empty() {
        out.push_str(&due("the newest version", &waiting.join(" ")));
    }
    out
}

/// `v7 → v8`, or the version in use.
fn primary(result: &AccountResult) -> String {
    match &result.rotation {
        Some(rotation) if !rotation.version.is_empty() && rotation.version != rotation.previous => {
            format!("v{} → v{}", rotation.previous, rotation.version)
        }
        Some(_) | None => newest(result).strip_prefix("primary ").unwrap_or_default().to_owned(),
    }
}

fn count(results: &[AccountResult], paint: Paint) -> String {
    let well = results.iter().filter(|result| result.exit_code == 0).count();
    let done = match results.first().map(|result| result.kind) {
        Some(Kind::SecretRotation) => "rotated",
        Some(Kind::SecretRollback) => "rolled back",
        Some(Kind::SecretFinalization) => "finalized",
        Some(Kind::SecretRescue) => "rescued",
        Some(Kind::SecretSync) => "synced",
        Some(Kind::SecretVerification) => "all on the newest version",
        Some(Kind::SecretRestart) => "restarted",
        // It has a table of its own.
        Some(Kind::SecretStatus) | None => return String::new(),
    };
    let each = |is: fn(&AccountResult) -> bool| results.iter().all(is);
    let dry_run = match (each(|result| result.dry_run), each(|result| result.judged_by_server)) {
        (true, true) => super::human::BY_SERVER,
        (true, false) => " (dry run)",
        (false, _) => "",
    };
    let all = results.len();
    let text = format!("{well} of {} {done}{dry_run}", counted(all, "account"));
    let mut out = format!("{}\n", if well == all { paint.good(&text) } else { paint.bad(&text) });
    let left: Vec<&str> = results
        .iter()
        .filter(|result| result.reason == Reason::NotBegun.as_str())
        .map(|result| result.account.as_str())
        .collect();
    if !left.is_empty() {
        out.push_str(&format!("not started: {}\n", left.join(" ")));
    }
    out
}
