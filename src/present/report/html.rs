//! The page: its head, what all accounts share, a section an account.

use super::facts::{self, list, row};
use super::style::{HASH, STYLE};
use super::{AccountReport, KnownValues, Report, between, deed, esc, length, moment, outcome};
use deepdesk_protocol::hint::quoted;

/// By what a page is known to be one of these, so that it may be replaced by a later one. Near its beginning.
pub const MARK: &str = r#"<meta name="generator" content="kubectl-deepdesk report"/>"#;

/// The report as one HTML page that needs nothing else. Also well-formed as XML, and without the known values.
pub fn page(report: &Report, known: &KnownValues) -> String {
    known.hidden_in_page(&written(report))
}

fn written(report: &Report) -> String {
    let title = title(report);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n{MARK}\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{HASH}'; base-uri 'none'; form-action 'none'\"/>\n\
         <meta name=\"referrer\" content=\"no-referrer\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        esc(&title)
    );
    let dry_run = report.accounts.iter().any(|account| account.result.dry_run);
    out.push_str(&format!("<h1>{}{}</h1>\n", esc(&title), badge(report.exit_code, dry_run)));
    match report.accounts.as_slice() {
        [one] => {
            out.push_str(&format!("<p class=\"lead\">{}</p>\n", esc(&facts::versions(&one.result))));
            out.push_str(&format!(
                "<section class=\"account\">\n{}",
                list(&run(report).into_iter().chain(facts::of(one)).collect::<Vec<_>>())
            ));
            out.push_str(&rest(report));
            out.push_str(&facts::sections(one));
            out.push_str("</section>\n");
        }
        several => {
            out.push_str(&list(&run(report)));
            out.push_str(&overview(several));
            out.push_str(&rest(report));
            for (number, account) in several.iter().enumerate() {
                out.push_str(&section(number, account));
            }
        }
    }
    out.push_str(&format!(
        "<footer>Written by {} at {}. Times of events, syncs and pods are those at which the program saw them, by the clock of the machine it ran on. Versions are named by number; no secret value is in this page.</footer>\n</body>\n</html>\n",
        esc(&report.program),
        moment(report.ended)
    ));
    out
}

fn title(report: &Report) -> String {
    match report.accounts.as_slice() {
        [] => format!("kubectl deepdesk {}", report.command),
        [one] => format!("{} of {}", deed(one.result.kind), one.result.account),
        several => format!("{} of {} accounts", deed(several[0].result.kind), several.len()),
    }
}

/// What is the same for all accounts.
fn run(report: &Report) -> Vec<(&'static str, String)> {
    let credentials = if report.credentials.is_empty() { "not known" } else { &report.credentials };
    vec![
        ("Command", format!("<code>kubectl deepdesk {}</code>", esc(&call(report)))),
        ("Operator", esc(&report.operator)),
        ("Google credentials", esc(credentials)),
        ("Began", moment(report.started)),
        ("Ended", format!("{}, after {}", moment(report.ended), length(between(report.started, report.ended)))),
        ("Exit code", report.exit_code.to_string()),
    ]
}

/// What belongs to no account.
fn rest(report: &Report) -> String {
    let mut out = report.problem.as_ref().map(facts::problem).unwrap_or_default();
    if !report.not_begun.is_empty() {
        let names = esc(&report.not_begun.join(", "));
        out.push_str(&format!(
            "<div class=\"outcome warn\"><p>Not begun, since an earlier account did not end well: {names}</p></div>\n"
        ));
    }
    out
}

fn overview(accounts: &[AccountReport]) -> String {
    if accounts.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for (number, AccountReport { result, trail, .. }) in accounts.iter().enumerate() {
        let (word, class) = outcome(result.exit_code, result.dry_run);
        rows.push_str(&row(&[
            ("tight", &format!("<a href=\"#account-{number}\">{}</a>", esc(&result.account))),
            (&format!("tight {class}"), word),
            ("number", &result.exit_code.to_string()),
            ("", &esc(&facts::versions(result))),
            ("tight", &esc(&result.state)),
            ("", &esc(&facts::interruption(result, trail))),
        ]));
    }
    format!(
        "<table><thead><tr><th>Account</th><th>Outcome</th><th class=\"number\">Code</th><th>Versions</th><th>State</th><th>Interruption</th></tr></thead><tbody>\n{rows}</tbody></table>\n"
    )
}

fn section(number: usize, account: &AccountReport) -> String {
    let result = &account.result;
    format!(
        "<section class=\"account\" id=\"account-{number}\">\n<h2>{}{}</h2>\n<p class=\"lead\">{}</p>\n{}{}</section>\n",
        esc(&result.account),
        badge(result.exit_code, result.dry_run),
        esc(&facts::versions(result)),
        list(&facts::times(account).into_iter().chain(facts::of(account)).collect::<Vec<_>>()),
        facts::sections(account)
    )
}

fn badge(exit_code: u8, dry_run: bool) -> String {
    let (word, class) = outcome(exit_code, dry_run);
    format!(" <span class=\"badge {class}\">{word}</span>")
}

/// The call as it can be typed again.
fn call(report: &Report) -> String {
    match report.arguments.as_slice() {
        [] => report.command.clone(),
        words => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    }
}
