//! What an account's section says in words and tables.

use super::{AccountReport, between, esc, length, moment, outcome, timeline};
use crate::present::human;
use deepdesk_protocol::event::StepState;
use deepdesk_protocol::facts::observation::VersionState;
use deepdesk_protocol::hint;
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{AccountResult, Verdict};
use deepdesk_protocol::trail::Trail;

/// Versions of the primary that are listed; the JSON has all that were looked at.
const SHOWN: usize = 4;

/// A list of names and of what they are; both are HTML already.
pub(super) fn list(facts: &[(&str, String)]) -> String {
    let items: String = facts.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>\n")).collect();
    format!("<dl>\n{items}</dl>\n")
}

/// A row of a table: the class and the HTML of each cell.
pub(super) fn row(cells: &[(&str, &str)]) -> String {
    let cell = |(class, html): &(&str, &str)| match *class {
        "" => format!("<td>{html}</td>"),
        class => format!("<td class=\"{class}\">{html}</td>"),
    };
    format!("<tr>{}</tr>\n", cells.iter().map(cell).collect::<String>())
}

fn table(title: &str, heads: &[&str], rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
    format!("<h3>{title}</h3>\n<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table>\n")
}

/// `primary v7 → v8, v7 disabled`.
pub(super) fn versions(result: &AccountResult) -> String {
    match result.primary {
        Some(_) => human::versions(result),
        None => "nothing was seen of its secrets".to_owned(),
    }
}

/// When an account was worked on, where there are several.
pub(super) fn times(account: &AccountReport) -> Vec<(&'static str, String)> {
    let took = length(between(account.started, account.ended));
    vec![("Began", moment(account.started)), ("Ended", format!("{}, after {took}", moment(account.ended)))]
}

/// What there is to know of the account in one glance.
pub(super) fn of(AccountReport { result, trail, .. }: &AccountReport) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut fact = |name, value: &str| {
        if !value.is_empty() {
            facts.push((name, esc(value)));
        }
    };
    fact("Namespace", &result.namespace);
    fact("Context", &result.context);
    fact("Project", &result.project);
    if let Some(primary) = &result.primary {
        let state = |state| match state {
            VersionState::Enabled => "enabled",
            VersionState::Disabled => "disabled",
            VersionState::Destroyed => "destroyed",
        };
        let versions = primary.versions.iter();
        let mut seen: Vec<String> =
            versions.map(|version| format!("v{} {}", version.version, state(version.state))).take(SHOWN).collect();
        let older = primary.versions.len() - seen.len();
        seen.extend((older > 0).then(|| format!("and {older} older")));
        fact("Primary", &format!("{}: {}", primary.secret, seen.join(", ")));
    }
    if let Some(view) = &result.back_compat {
        let holds = if view.latest.is_empty() {
            "no version".to_owned()
        } else {
            format!("v{} holds {}", view.latest, view.holds)
        };
        let live = if view.live { ", which data may still need" } else { "" };
        fact("Back-compat", &format!("{}: {holds}{live}", view.secret));
    }
    fact("State at the end", &result.state);
    fact("Interruption", &interruption(result, trail));
    facts
}

/// How long pods on the old and on the new value served side by side; empty where nothing was restarted.
pub(super) fn interruption(result: &AccountResult, trail: &Trail) -> String {
    match (result.interruption_seconds, trail.interruptions.last()) {
        (_, Some(span)) if span.to.is_none() => {
            format!("since {}, and not over when the run ended", moment(span.from))
        }
        (Some(seconds), _) => format!("{} in which pods on the old and on the new value both served", length(seconds)),
        (None, _) => String::new(),
    }
}

/// Everything below the facts.
pub(super) fn sections(account: &AccountReport) -> String {
    let AccountReport { result, problem, trail, .. } = account;
    [
        ended(result, problem.as_ref()),
        timeline::timeline(account),
        steps(result),
        warnings(trail),
        checks(result),
        places(result),
        consumers(result),
        pods(trail),
    ]
    .concat()
}

/// How it ended, and what is to be done.
fn ended(result: &AccountResult, problem: Option<&Problem>) -> String {
    if let Some(problem) = problem {
        return self::problem(problem);
    }
    let (word, class) = outcome(result.exit_code, result.dry_run);
    let mut lines = vec![format!("<p><strong>{word}</strong>, exit code {}</p>", result.exit_code)];
    if human::is_reencryption_due(result) {
        lines.push(format!(
            "<p>Due: save every encrypted field again, under {}; then retire the old value: <code>kubectl deepdesk secret finalize {}</code></p>",
            esc(&human::newest(result)),
            esc(&result.account)
        ));
    }
    for value in &result.without_slot {
        lines.push(format!("<p>No slot: no pod reads the value of {}, and data may need it</p>", esc(value)));
    }
    for place in &result.exposed {
        lines.push(format!("<p>Exposed: {}</p>", esc(place)));
    }
    format!("<div class=\"outcome {class}\">{}</div>\n", lines.concat())
}

/// Why it did not end well, what holds now, and what to do next.
pub(super) fn problem(problem: &Problem) -> String {
    let (word, class) = outcome(problem.exit.code(), false);
    let items = |title: &str, lines: &[String], tag: (&str, &str)| {
        let items: String = lines.iter().map(|line| format!("<li>{}{}{}</li>", tag.0, esc(line), tag.1)).collect();
        if items.is_empty() { items } else { format!("<p>{title}</p><ul>{items}</ul>") }
    };
    format!(
        "<div class=\"outcome {class}\"><p><strong>{word}</strong>, exit code {}: <code>{}</code></p><p>{}</p>{}{}</div>\n",
        problem.exit.code(),
        esc(problem.reason.as_str()),
        esc(&problem.message),
        items("What holds now:", &problem.now, ("", "")),
        items(
            "What to do next:",
            &problem.hints.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ("<code>", "</code>")
        )
    )
}

fn steps(result: &AccountResult) -> String {
    let mut rows = String::new();
    for step in &result.steps {
        let (word, class) = match step.state {
            StepState::Started | StepState::Waiting | StepState::Output => ("not ended", "bad"),
            StepState::Skipped => ("skipped", "soft"),
            StepState::Done => ("done", "good"),
            StepState::Failed => ("failed", "bad"),
            StepState::Warning => ("warning", "warn"),
        };
        let took = if step.state == StepState::Skipped { String::new() } else { length(step.seconds) };
        rows.push_str(&row(&[
            ("mono", step.name.as_str()),
            (&format!("tight {class}"), word),
            ("mono", &clock(step.started)),
            ("number", &took),
            ("", &esc(&step.detail)),
        ]));
    }
    table("Steps", &["Step", "Outcome", "Began (UTC)", "Took", "Detail"], &rows)
}

fn clock(time: jiff::Timestamp) -> String {
    time.strftime("%H:%M:%S%.3f").to_string()
}

fn warnings(trail: &Trail) -> String {
    let warned = trail.events.iter().filter(|event| event.state == StepState::Warning);
    let rows: String = warned
        .map(|event| row(&[("mono", &clock(event.time)), ("mono", event.step.as_str()), ("", &esc(&event.detail))]))
        .collect();
    table("Warnings", &["At (UTC)", "Step", "What"], &rows)
}

/// What did not pass, with what was found; then, close together, what did.
fn checks(result: &AccountResult) -> String {
    if result.checks.is_empty() {
        return String::new();
    }
    let of = |verdict| result.checks.iter().filter(move |check| check.result == verdict);
    let mut rows = String::new();
    for check in of(Verdict::Fail).chain(of(Verdict::Warn)) {
        let (word, class) = if check.result == Verdict::Fail { ("fail", "bad") } else { ("warn", "warn") };
        let found = [check.message.as_str(), &hint::in_one_line(&check.hints)]
            .map(esc)
            .into_iter()
            .filter(|text| !text.is_empty());
        rows.push_str(&row(&[
            (&format!("tight {class}"), word),
            ("mono", check.id),
            ("tight", check.name),
            ("", &found.collect::<Vec<_>>().join("<br/>")),
        ]));
    }
    let passed: String = of(Verdict::Pass)
        .map(|check| format!("<li><span class=\"good\">pass</span> <code>{}</code> {}</li>\n", check.id, check.name))
        .collect();
    let table = match rows.as_str() {
        "" => String::new(),
        rows => format!(
            "<table><thead><tr><th>Result</th><th>Id</th><th>Name</th><th>Found</th></tr></thead><tbody>\n{rows}</tbody></table>\n"
        ),
    };
    let passed = if passed.is_empty() { passed } else { format!("<ul class=\"passed\">\n{passed}</ul>\n") };
    let (fails, warns, passes) = (of(Verdict::Fail).count(), of(Verdict::Warn).count(), of(Verdict::Pass).count());
    format!("<h3>Checks: {passes} passed, {warns} warned, {fails} failed</h3>\n{table}{passed}")
}

fn places(result: &AccountResult) -> String {
    let mut rows = String::new();
    for external in &result.external_secrets {
        for key in &external.keys {
            let (word, class) = if key.as_expected { ("as expected", "good") } else { ("not as expected", "bad") };
            let refreshed = external.refreshed.map(moment).unwrap_or_default();
            rows.push_str(&row(&[
                ("mono long", &esc(&format!("{}/{}", external.target, key.key))),
                ("tight", &esc(&key.holds)),
                (&format!("tight {class}"), word),
                ("mono long", &esc(&external.name)),
                ("tight", &refreshed),
            ]));
        }
    }
    table(
        "What the Kubernetes Secrets hold, as last seen",
        &["Secret and key", "Holds", "", "ExternalSecret", "Last refresh"],
        &rows,
    )
}

fn consumers(result: &AccountResult) -> String {
    let mut rows = String::new();
    for consumer in &result.consumers {
        rows.push_str(&row(&[
            ("mono long", &esc(&format!("{}/{}", consumer.kind.to_lowercase(), consumer.name))),
            ("number", &consumer.desired.to_string()),
            ("number", &consumer.on_latest.to_string()),
            ("number", &consumer.older.to_string()),
            ("", &esc(&consumer.reasons.join(", "))),
        ]));
    }
    for reader in &result.other_readers {
        let how = match reader.running {
            true => "not restarted; it runs on the value that it started with",
            false => "not restarted; it takes the newest value when it next starts",
        };
        let name = esc(&reader.named());
        rows.push_str(&row(&[("mono long", &name), ("", ""), ("", ""), ("", ""), ("", how)]));
    }
    table("Who reads them", &["Workload", "Pods", "On newest", "Older", "Why it is one"], &rows)
}

fn pods(trail: &Trail) -> String {
    let mut rows = String::new();
    for pod in timeline::in_order(trail) {
        let time = |time: Option<jiff::Timestamp>| time.map(clock).unwrap_or_default();
        let seen = if pod.was_there { "before".to_owned() } else { clock(pod.first_seen) };
        rows.push_str(&row(&[
            ("mono long", &esc(&pod.name)),
            ("mono long", &esc(&pod.workload.to_string())),
            ("tight", &pod.version.map_or_else(|| "not proven".to_owned(), |version| version.to_string())),
            ("mono", &seen),
            (
                "mono",
                &if pod.was_there && pod.ready == Some(pod.first_seen) { "before".to_owned() } else { time(pod.ready) },
            ),
            ("mono", &time(pod.gone)),
        ]));
    }
    table("Pods", &["Pod", "Of", "Started on", "Seen (UTC)", "Ready", "Gone"], &rows)
}
