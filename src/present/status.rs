//! The states of accounts: a row each, what is due below, and how both change while they are watched.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::human::{Detail, pods};
use super::table::Table;
use super::text::{Paint, cut, printable, wrap};
use super::wording::counted;
use deepdesk_protocol::facts::account::age;
use deepdesk_protocol::hint::Command;
use deepdesk_protocol::problem::Reason;
use deepdesk_protocol::result::AccountResult;
use deepdesk_protocol::status::{Due, StatusResult};

/// The most accounts that one line of what is due names.
const NAMED: usize = 20;

/// The table, and below it why, and what is due with the commands for it.
pub(super) fn render(
    results: &[AccountResult],
    now: Timestamp,
    width: Option<usize>,
    paint: Paint,
    detail: Detail,
) -> String {
    // What does not exist is no account: the problem says so.
    let real = |result: &&AccountResult| result.reason != Reason::NoSuchNamespace.as_str();
    let results: Vec<AccountResult> = results.iter().filter(real).cloned().collect();
    let results = results.as_slice();
    if results.is_empty() {
        return String::new();
    }
    let mut out = fitting(table(results, now, detail), detail, width).render_with(None, paint);
    if let [one] = results {
        out.push_str(&more(one, now, width));
    }
    let at_work = at_work(results, now, width, paint);
    if !at_work.is_empty() {
        out.push('\n');
        out.push_str(&at_work);
    }
    let due = due(results, width, paint);
    if !due.is_empty() {
        out.push('\n');
        out.push_str(&due);
    }
    out
}

fn table(results: &[AccountResult], now: Timestamp, detail: Detail) -> Table {
    let mut titles = vec!["NAME", "STATE", "PRIMARY", "AGE", "BACK-COMPAT", "PODS", "DUE"];
    if detail == Detail::Wide {
        titles.splice(6..6, ["LAST-ROTATION", "BY", "FROM", "TO", "PROJECT"]);
        titles.insert(5, "LIVE");
        titles.push("REASON");
    }
    let mut table = Table::new(&titles);
    for result in results {
        table.push(cells(result, now, detail));
        if !is_fine(result) {
            table.mark();
        }
    }
    table
}

/// What a narrow window can do without, the first one first: `-o wide` has it.
const DISPENSABLE: [&str; 4] = ["BACK-COMPAT", "PODS", "PRIMARY", "AGE"];

/// The table in the window; whoever asks for more gets all of it.
fn fitting(table: Table, detail: Detail, width: Option<usize>) -> Table {
    match detail {
        Detail::Short => table.fitted(width, &DISPENSABLE),
        Detail::Wide => table,
    }
}

/// Who is at work on which account, a line each.
fn at_work(results: &[AccountResult], now: Timestamp, width: Option<usize>, paint: Paint) -> String {
    let at_work = results.iter().filter_map(|result| Some((&result.account, result.at_work.as_ref()?)));
    let lines = at_work.map(|(account, at_work)| {
        let text = format!("{account}: {}", at_work.in_words(now));
        format!("{} {}\n", paint.strong("at work:"), wrap(&printable(&text), 9, width))
    });
    lines.collect()
}

fn is_fine(result: &AccountResult) -> bool {
    matches!(result.state.as_str(), "Stable" | "AwaitingReencryption" | "Rotating")
}

fn cells(result: &AccountResult, now: Timestamp, detail: Detail) -> Vec<String> {
    let status = result.status.clone().unwrap_or_default();
    let seen = result.primary.is_some();
    let number = |latest: Option<&String>| {
        latest.filter(|latest| !latest.is_empty()).map(|latest| format!("v{latest}")).unwrap_or_default()
    };
    let old = |since: Option<Timestamp>, unknown: bool| match since {
        Some(since) => age(since, now),
        None if unknown => "unknown".to_owned(),
        None => String::new(),
    };
    let live = result.back_compat.as_ref().is_some_and(|kept| kept.live);
    let (ready, all) = pods(result);
    let last = status.last_rotation.as_ref();
    let mut cells = vec![
        result.account.clone(),
        result.state.clone(),
        number(result.primary.as_ref().map(|primary| &primary.latest)),
        old(status.in_use_since, result.primary.as_ref().is_some_and(|primary| !primary.latest.is_empty())),
        number(result.back_compat.as_ref().map(|kept| &kept.latest)),
        if seen { format!("{ready}/{all}") } else { String::new() },
        status.due.as_ref().map(|due| due.action.to_owned()).unwrap_or_default(),
    ];
    if detail == Detail::Wide {
        let of = |field: fn(&deepdesk_protocol::facts::observation::LastRotation) -> &String| {
            last.map(|last| field(last).clone()).unwrap_or_default()
        };
        let ago = last.and_then(|last| last.at.parse().ok()).map(|at| age(at, now)).unwrap_or_default();
        let record = [ago, of(|last| &last.by), of(|last| &last.from), of(|last| &last.to), result.project.clone()];
        cells.splice(6..6, record);
        cells.insert(5, old(status.live_since, live));
        cells.push(why(result, &status));
    }
    cells
}

fn why(result: &AccountResult, status: &StatusResult) -> String {
    let due = status.due.as_ref().map(|due| due.what.clone());
    // What is due stands below the table as well; why the old value is still there does not.
    let parts = [Some(result.message.clone()), Some(status.needed_because.clone()), due];
    parts.into_iter().flatten().find(|part| !part.is_empty()).unwrap_or_default()
}

/// What a row has no room for.
fn more(result: &AccountResult, now: Timestamp, width: Option<usize>) -> String {
    let Some(status) = &result.status else { return String::new() };
    let mut lines = Vec::new();
    if !status.needed_because.is_empty() {
        let since = match status.live_since {
            Some(since) => {
                let at = since.round(jiff::Unit::Second).unwrap_or(since);
                format!("live since {at} ({} ago)", age(since, now))
            }
            None => "live".to_owned(),
        };
        lines.push(("back-compat", format!("{since}: {}", status.needed_because)));
    }
    if let Some(last) = &status.last_rotation {
        let ago = last.at.parse().ok().map(|at| format!(" ({} ago)", age(at, now))).unwrap_or_default();
        lines.push(("last rotation", format!("{} → {}, by {}, {}{ago}", last.from, last.to, last.by, last.at)));
    }
    let told = |(name, text): &(&str, String)| format!("{name}: {}\n", wrap(&printable(text), name.len() + 2, width));
    let lines: String = lines.iter().map(told).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

/// What is due: accounts for which it is the same thing share its command.
fn due(results: &[AccountResult], width: Option<usize>, paint: Paint) -> String {
    // What they share, and what is due for the first of them alone.
    let mut groups: Vec<(Option<Due>, &Due, Vec<&str>)> = Vec::new();
    for result in results {
        let Some(due) = result.status.as_ref().and_then(|status| status.due.as_ref()) else { continue };
        let shared = shared(due, &result.account);
        match groups.iter_mut().find(|(known, ..)| known.is_some() && *known == shared) {
            Some((.., accounts)) => accounts.push(&result.account),
            None => groups.push((shared, due, vec![&result.account])),
        }
    }
    let mut out = String::new();
    for (shared, own, accounts) in groups {
        let shared = shared.filter(|_| accounts.len() > 1);
        let left = accounts.len().saturating_sub(NAMED);
        let named = &accounts[..accounts.len() - left];
        let names = named.join(" ");
        let is_shared = shared.is_some();
        let due = shared.unwrap_or_else(|| own.clone());
        let more = if left > 0 { format!(" (and {left} more: -o json names them)") } else { String::new() };
        let text = format!("{}{more}: {}", printable(&names), printable(&due.what));
        out.push_str(&format!("{} {}\n", paint.strong("due:"), wrap(&text, 5, width)));
        for command in due.commands {
            let command = match is_shared {
                true => command.for_accounts(named.iter().map(|account| (*account).to_owned())),
                false => command,
            };
            out.push_str(&format!("     {command}\n"));
        }
    }
    out
}

/// What is due with a placeholder for the account, where its commands take several; none where they do not.
fn shared(due: &Due, account: &str) -> Option<Due> {
    let without = |command: &Command| {
        let several = matches!(command.secret_verb(account)?, "rotate" | "sync" | "restart" | "verify" | "finalize");
        several.then(|| command.clone().for_accounts(["ACCOUNTS".to_owned()]))
    };
    let what = match due.action {
        "finalize" => {
            "save every encrypted field again, under the newest version; then retire the old value".to_owned()
        }
        _ => due.what.clone(),
    };
    Some(Due { action: due.action, what, commands: due.commands.iter().map(without).collect::<Option<_>>()? })
}

/// The names of the accounts that could be looked at, as the other commands take them.
pub(super) fn names(results: &[AccountResult]) -> String {
    let seen = results.iter().filter(|result| result.primary.is_some());
    seen.map(|result| format!("{}\n", printable(&result.account))).collect()
}

/// What a watch has shown so far.
#[derive(Default)]
pub(super) struct Watched {
    lines: usize,
    told: BTreeMap<String, String>,
    titled: bool,
}

impl Watched {
    /// The text in place of the one before: cut to the window, since a line that wraps would be counted as one.
    pub(super) fn redrawn(&mut self, text: &str, (columns, rows): (usize, usize), afresh: bool) -> String {
        let all = text.lines().count();
        let most = rows.saturating_sub(2).max(1);
        let mut lines: Vec<String> =
            text.lines().take(if all > most { most - 1 } else { most }).map(|line| cut(line, columns).into()).collect();
        if all > most {
            lines.push(format!("… {}", counted(all - lines.len(), "more line")));
        }
        let up = if self.lines > 0 && !afresh { format!("\u{1b}[{}A", self.lines) } else { String::new() };
        self.lines = lines.len();
        format!("{up}\r\u{1b}[J{}\n", lines.join("\n"))
    }

    /// The places of the results that say something new. An age that has grown is nothing new.
    pub(super) fn news(&mut self, results: &[AccountResult]) -> Vec<usize> {
        let mut new = Vec::new();
        for (at, result) in results.iter().enumerate() {
            let status = result.status.as_ref();
            let latest = |latest: Option<&String>| latest.cloned().unwrap_or_default();
            let said = format!(
                "{}|{}|{}|{}|{:?}|{:?}|{:?}|{:?}",
                result.state,
                result.message,
                latest(result.primary.as_ref().map(|primary| &primary.latest)),
                latest(result.back_compat.as_ref().map(|kept| &kept.latest)),
                pods(result),
                status.and_then(|status| status.last_rotation.as_ref()),
                status.and_then(|status| status.due.as_ref()),
                result.at_work.as_ref().map(|at_work| (&at_work.held_by, &at_work.step)),
            );
            if self.told.insert(result.account.clone(), said.clone()).as_ref() != Some(&said) {
                new.push(at);
            }
        }
        new
    }

    /// The rows of these, after the titles where they were not written yet.
    pub(super) fn rows(&mut self, all: &[AccountResult], new: &[usize], now: Timestamp, detail: Detail) -> String {
        let text = fitting(table(all, now, detail), detail, None).render();
        let mut lines = text.lines();
        let titles = lines.next().filter(|_| !all.is_empty() && !std::mem::replace(&mut self.titled, true));
        let rows: Vec<&str> = lines.collect();
        let shown = titles.into_iter().chain(new.iter().filter_map(|at| rows.get(*at).copied()));
        let rows: String = shown.map(|line| format!("{line}\n")).collect();
        let new: Vec<AccountResult> = new.iter().filter_map(|at| all.get(*at).cloned()).collect();
        format!("{rows}{}", at_work(&new, now, None, Paint(false)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_share_a_command_that_takes_several() {
        let of = |account: &str, action, commands: &[&str]| {
            let line = |verb: &&str| Command::secret(verb, account);
            let due = Due { action, what: format!("{action} it"), commands: commands.iter().map(line).collect() };
            let status = StatusResult { due: Some(due), ..StatusResult::default() };
            AccountResult {
                account: account.to_owned(),
                status: Some(status),
                ..crate::present::tests::fixtures::verified()
            }
        };
        let results = [
            of("acme", "finalize", &["finalize"]),
            of("globex", "sync", &["sync", "restart"]),
            of("initech", "finalize", &["finalize"]),
            of("a", "rotate", &["rotate", "rollback"]),
            of("b", "rotate", &["rotate", "rollback"]),
        ];
        let expected = "\
due: acme initech: save every encrypted field again, under the newest version; then retire the old value
     kubectl deepdesk secret finalize acme initech
due: globex: sync it
     kubectl deepdesk secret sync globex
     kubectl deepdesk secret restart globex
due: a: rotate it
     kubectl deepdesk secret rotate a
     kubectl deepdesk secret rollback a
due: b: rotate it
     kubectl deepdesk secret rotate b
     kubectl deepdesk secret rollback b
";
        assert_eq!(due(&results, None, Paint(false)), expected);
    }
}
