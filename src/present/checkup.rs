//! What `check` found, for people: a line a check under its group's title, and a verdict at the end.

use super::Whole;
use super::text::{Paint, printable, wrap};
use super::wording::counted;
use deepdesk_protocol::checkup::{Answer, Asked, Checkup, CheckupList, Groups};
use deepdesk_protocol::hint;
use deepdesk_protocol::result::API_VERSION;

/// Several of them as one object.
pub(super) fn list(items: &[Checkup], groups: Option<Groups>, whole: &Whole<'_>) -> CheckupList {
    CheckupList {
        api_version: API_VERSION,
        kind: "List",
        exit_code: whole.exit_code,
        reason: whole.reason(items.iter().map(|item| item.reason.as_str())),
        problem: whole.problem.map(Into::into),
        groups,
        items: items.to_vec(),
    }
}

/// All of them as text. On a terminal signs mark the lines, elsewhere words; `short` leaves out what passed.
pub(super) fn render(checkups: &[Checkup], several: bool, paint: Paint, terminal: bool, short: bool) -> String {
    let blocks = checkups.iter().map(|checkup| one(checkup, several, paint, terminal, short));
    blocks.collect::<Vec<_>>().join("\n")
}

/// Many accounts by what stands in the way, each group with its command.
pub(super) fn render_groups(groups: &Groups, checkups: &[Checkup], paint: Paint, width: Option<usize>) -> String {
    let purpose = checkups.first().map(|checkup| checkup.purpose).unwrap_or_default();
    let (ready, all) = (groups.ready.len(), checkups.len());
    let line = format!("{ready} of {} ready to {purpose}", counted(all, "account"));
    let mut out = format!("{}\n", if ready == all { paint.good(&line) } else { paint.bad(&line) });
    for answer in [Answer::Fail, Answer::Skipped, Answer::Warn] {
        for group in groups.groups.iter().filter(|group| group.result == answer) {
            let mark = match answer {
                Answer::Warn => paint.warn("warns:"),
                Answer::Fail => paint.bad("refuses:"),
                Answer::Skipped | Answer::Pass => paint.dim("not asked:"),
            };
            let text = format!("{}: {} [{}]", group.accounts.len(), group.what, group.id);
            out.push_str(&format!("\n{mark} {}\n", wrap(&printable(&text), 4, width)));
            let left = group.accounts.len().saturating_sub(NAMED);
            let named = group.accounts[..group.accounts.len() - left].join(" ");
            let more = if left > 0 { format!(" (and {left} more: -o json names them)") } else { String::new() };
            out.push_str(&format!("    {}\n", wrap(&format!("{}{more}", printable(&named)), 4, width)));
            out.push_str(&format!("    {} {}\n", paint.info("hint:"), group.command));
        }
    }
    out
}

/// The most accounts that a group names in text.
const NAMED: usize = 20;

fn one(checkup: &Checkup, several: bool, paint: Paint, terminal: bool, short: bool) -> String {
    let shown: Vec<&Asked> = checkup.checks.iter().filter(|asked| !short || asked.result != Answer::Pass).collect();
    let mut out = String::new();
    if several {
        out.push_str(&format!("{}\n\n", paint.strong(&format!("== {} ==", checkup.account))));
    }
    for (index, asked) in shown.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| shown.get(before));
        if !short && before.is_none_or(|before| before.group != asked.group) {
            if before.is_some() {
                out.push('\n');
            }
            out.push_str(&format!("{}\n", paint.strong(asked.group_title)));
        }
        if short && asked.result == Answer::Skipped {
            let same = |other: &&&Asked| other.result == Answer::Skipped && other.message == asked.message;
            if shown[..index].iter().any(|other| same(&other)) {
                continue;
            }
            let ids: Vec<&str> = shown.iter().filter(same).map(|other| other.id).collect();
            let mark = paint.dim(if terminal { "- skipped:" } else { "skip" });
            out.push_str(&format!(
                "{mark} {} {}\n",
                printable(&asked.message),
                paint.dim(&format!("[{}]", ids.join(", ")))
            ));
            continue;
        }
        out.push_str(&line(asked, paint, terminal));
        // Several findings in a row may have one remedy.
        let next = shown.get(index + 1).filter(|next| next.id == asked.id && next.hints == asked.hints);
        if !asked.hints.is_empty() && next.is_none() {
            out.push_str(&format!("    {} {}\n", paint.info("hint:"), hint::in_one_line(&asked.hints)));
        }
    }
    if !shown.is_empty() {
        out.push('\n');
    }
    out.push_str(&verdict(checkup, paint));
    out
}

fn line(asked: &Asked, paint: Paint, terminal: bool) -> String {
    let mark = |sign: &str, word: &str| if terminal { sign.to_owned() } else { format!("{word:<4}") };
    let (id, message) = (paint.dim(&format!("[{}]", asked.id)), printable(&asked.message));
    match asked.result {
        Answer::Pass if message.is_empty() => format!("{} {} {id}\n", paint.good(&mark("√", "ok")), asked.title),
        // In the place of a word that would say more than was seen.
        Answer::Pass if message.starts_with("not checked: ") => {
            format!("{} {message} {id}\n", paint.dim(if terminal { "-" } else { "-   " }))
        }
        Answer::Pass => format!("{} {}: {message} {id}\n", paint.good(&mark("√", "ok")), asked.title),
        Answer::Warn => format!("{} {message} {id}\n", paint.warn(&mark("‼", "warn"))),
        Answer::Fail => format!("{} {message} {id}\n", paint.bad(&mark("×", "FAIL"))),
        Answer::Skipped => {
            let said = if terminal { "skipped: " } else { "" };
            format!("{} {}: {said}{message} {id}\n", paint.dim(&mark("-", "skip")), asked.title)
        }
    }
}

fn verdict(checkup: &Checkup, paint: Paint) -> String {
    let counted = |answer, one: &str, more: &str| match checkup.count(answer) {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {more}")),
    };
    let counts = [
        counted(Answer::Fail, "failed", "failed"),
        counted(Answer::Warn, "warning", "warnings"),
        counted(Answer::Skipped, "skipped", "skipped"),
        counted(Answer::Pass, "passed", "passed"),
    ];
    let counts = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let of = if checkup.account.is_empty() { String::new() } else { format!("{}: ", checkup.account) };
    let purpose = checkup.purpose;
    match checkup.exit_code {
        0 => format!("{}\n", paint.good(&format!("{of}ready to {purpose}: {counts}"))),
        1 => format!("{}\n", paint.bad(&format!("{of}the cluster could not be asked: {counts}"))),
        _ => format!("{}\n", paint.bad(&format!("{of}not ready to {purpose}: {counts}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_for_terminals_and_words_for_pipes() {
        let asked = |id, result, message: &str, hint: &str| Asked {
            id,
            group: "lock",
            group_title: "lock",
            title: "nobody else is at work",
            result,
            message: message.to_owned(),
            refused: None,
            hints: Some(hint).filter(|hint| !hint.is_empty()).map(Into::into).into_iter().collect(),
        };
        let checkup = Checkup {
            api_version: API_VERSION,
            kind: "Check",
            account: "acme".to_owned(),
            namespace: "acme".to_owned(),
            context: String::new(),
            project: String::new(),
            purpose: "rotate",
            reason: "CheckFailed".to_owned(),
            exit_code: 3,
            problem: None,
            checks: vec![
                asked("DD-A", Answer::Pass, "", ""),
                asked("DD-B", Answer::Fail, "one\u{1b}[2J", "do it"),
                asked("DD-B", Answer::Fail, "two", "do it"),
                asked("DD-C", Answer::Warn, "three", ""),
                asked("DD-D", Answer::Skipped, "because DD-B failed", ""),
            ],
        };
        let end = "\nacme: not ready to rotate: 2 failed, 1 warning, 1 skipped, 1 passed\n";
        let signs = "lock\n√ nobody else is at work [DD-A]\n× one\u{fffd}[2J [DD-B]\n× two [DD-B]\n    hint: do it\n\
                     ‼ three [DD-C]\n- nobody else is at work: skipped: because DD-B failed [DD-D]\n";
        assert_eq!(render(std::slice::from_ref(&checkup), false, Paint(false), true, false), format!("{signs}{end}"));
        let words = "FAIL one\u{fffd}[2J [DD-B]\nFAIL two [DD-B]\n    hint: do it\nwarn three [DD-C]\n\
                     skip because DD-B failed [DD-D]\n";
        assert_eq!(render(&[checkup], false, Paint(false), false, true), format!("{words}{end}"));
    }
}
