//! Many accounts by what would refuse or warn: for whoever meets a hundred that were rotated by hand for years. Pure.

use serde::Serialize;

use super::{Answer, Asked, Checkup};
use crate::check::{comes_first, explanations};
use crate::command;
use crate::hint::Command;

/// The most accounts that one command names; more are selected.
const NAMED: usize = 20;

/// Accounts for which the same stands in the way, or the same is to be known.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// The check that says so.
    pub id: &'static str,
    /// `fail` where it refuses, `warn` where it is only told.
    pub result: Answer,
    /// What it is, in a few words.
    pub what: String,
    pub accounts: Vec<String>,
    /// The one command that leads on, as a list of words.
    #[serde(serialize_with = "crate::hint::as_words")]
    pub command: Command,
}

/// All of them: how many accounts are ready, and the groups.
#[derive(Clone, Debug, Serialize)]
pub struct Groups {
    /// The accounts that nothing refuses.
    pub ready: Vec<String>,
    /// Those that something refuses, each in the group of what has to be put right first; then what is only told, in which an account
    /// may stand several times.
    pub groups: Vec<Group>,
}

/// Groups the accounts, the largest groups first.
pub fn grouped(checkups: &[Checkup]) -> Groups {
    let ready = checkups.iter().filter(|checkup| in_the_way(checkup).is_none() && checkup.problem.is_none());
    let ready: Vec<String> = ready.map(|checkup| checkup.account.clone()).collect();
    let mut refused: Vec<(Key, Vec<(&Checkup, &Asked)>)> = Vec::new();
    let mut told: Vec<(Key, Vec<(&Checkup, &Asked)>)> = Vec::new();
    for checkup in checkups {
        if let Some(asked) = in_the_way(checkup) {
            put(&mut refused, checkup, asked);
        }
        for asked in checkup.checks.iter().filter(|asked| asked.result == Answer::Warn) {
            put(&mut told, checkup, asked);
        }
    }
    let groups = [refused, told].into_iter().flat_map(|mut groups| {
        groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
        groups.into_iter().map(|(key, members)| group(key, &members))
    });
    Groups { ready, groups: groups.collect() }
}

/// What makes two findings the same: the check, and what it says is wrong.
type Key = (&'static str, String);

fn put<'a>(groups: &mut Vec<(Key, Vec<(&'a Checkup, &'a Asked)>)>, checkup: &'a Checkup, asked: &'a Asked) {
    let key = (asked.id, wrong(asked));
    let at = groups.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        groups.push((key, Vec::new()));
        groups.len() - 1
    });
    let members = &mut groups[at].1;
    // A check may find several things in one account.
    if members.last().is_none_or(|(last, _)| last.account != checkup.account) {
        members.push((checkup, asked));
    }
}

/// What has to be put right first of an account: the cause before what follows from it; what could not be asked comes last.
fn in_the_way(checkup: &Checkup) -> Option<&Asked> {
    let of = |answer| checkup.checks.iter().filter(move |asked| asked.result == answer);
    let first = of(Answer::Fail).find(|asked| comes_first(asked.id));
    first.or_else(|| of(Answer::Fail).next()).or_else(|| of(Answer::Skipped).next())
}

/// What is wrong in a few words: by the plan's own reason, where it is about the plan.
fn wrong(asked: &Asked) -> String {
    if asked.result == Answer::Skipped {
        return format!("\"{}\" could not be asked", asked.title);
    }
    if let Some(reason) = asked.refused {
        let meaning = reason.meaning().trim_end_matches('.');
        let (first, rest) = meaning.split_at(1);
        return format!("{}{rest}", first.to_lowercase());
    }
    explanations::of(asked.id).map_or_else(|| asked.title.to_owned(), |found| found.wrong.to_owned())
}

fn group((id, what): Key, members: &[(&Checkup, &Asked)]) -> Group {
    let accounts: Vec<String> = members.iter().map(|(checkup, _)| checkup.account.clone()).collect();
    let purpose = members.first().map(|(checkup, _)| checkup.purpose).unwrap_or_default();
    Group {
        id,
        result: members.first().map_or(Answer::Skipped, |(_, asked)| asked.result),
        what,
        command: for_all(members, &accounts).unwrap_or_else(|| details(id, purpose, &accounts)),
        accounts,
    }
}

/// The command that each of them is told, where it takes several accounts and says the same for all.
fn for_all(members: &[(&Checkup, &Asked)], accounts: &[String]) -> Option<Command> {
    if accounts.len() > NAMED {
        return None;
    }
    let general = |(checkup, asked): &(&Checkup, &Asked)| {
        let command = asked.hints.iter().find_map(|hint| hint.command())?.clone();
        let own = checkup.account.as_str();
        let takes_several = {
            let words: Vec<&str> = command.words().collect();
            matches!(words.as_slice(), ["kubectl", "deepdesk", "secret", "rotate" | "sync" | "restart" | "verify" | "finalize", account, ..] if *account == own)
        };
        takes_several.then(|| command.for_accounts(["ACCOUNTS".to_owned()]))
    };
    let first = general(members.first()?)?;
    members.iter().all(|member| general(member).as_ref() == Some(&first)).then(|| first.for_accounts(accounts.to_vec()))
}

/// The command that shows what to do in each: it differs, or is done by hand.
fn details(id: &str, purpose: &str, accounts: &[String]) -> Command {
    let named = match accounts.len() {
        ..=NAMED => accounts.to_vec(),
        _ => vec!["-A".to_owned()],
    };
    let command = command!["kubectl", "deepdesk", "check"].with(named).with(["--only", id]);
    let command = if purpose == "rotate" { command } else { command.with(["--for", purpose]) };
    command.with(["-o", "short"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::catalogue;
    use crate::hint::Hint;
    use crate::problem::Reason;

    fn asked(id: &'static str, result: Answer, hint: Option<Command>) -> Asked {
        let entry = catalogue::by_id(id).expect("a check");
        Asked {
            id,
            group: entry.group.0,
            group_title: entry.group.1,
            title: entry.title,
            result,
            message: String::new(),
            hints: hint.map(Hint::from).into_iter().collect(),
            refused: None,
        }
    }

    fn checkup(account: &str, checks: Vec<Asked>) -> Checkup {
        Checkup {
            api_version: "deepdesk.com/v1",
            kind: "Check",
            account: account.to_owned(),
            namespace: account.to_owned(),
            context: String::new(),
            project: String::new(),
            purpose: "rotate",
            reason: String::new(),
            exit_code: 0,
            problem: None,
            checks,
        }
    }

    #[test]
    fn each_refused_account_stands_in_one_group_with_one_command() {
        let adopt = |account: &str| Some(Command::secret("rotate", account).with(["--adopt"]));
        let unexplained = |account: &str| {
            let plan = asked(catalogue::PLAN_ID, Answer::Fail, adopt(account));
            Asked { refused: Some(Reason::UnexplainedVersion), ..plan }
        };
        let edit = || Some(command!["kubectl", "edit", "externalsecret", "x"]);
        let pinned = || asked("DD-ES-PINNED", Answer::Fail, edit());
        let all = [
            checkup("a", vec![asked("DD-ONE-POD", Answer::Warn, None)]),
            checkup("b", vec![unexplained("b")]),
            checkup("c", vec![unexplained("c"), pinned(), pinned(), asked("DD-ONE-POD", Answer::Warn, None)]),
            checkup("d", vec![unexplained("d")]),
        ];
        let Groups { ready, groups } = grouped(&all);
        assert_eq!(ready, ["a"]);
        let told: Vec<String> = groups
            .iter()
            .map(|group| format!("{} {}: {}: {}", group.id, group.accounts.join(" "), group.what, group.command))
            .collect();
        assert_eq!(
            told,
            [
                "DD-PLAN b d: the version before the newest is enabled, and nothing explains it: kubectl deepdesk secret rotate b d --adopt",
                "DD-ES-PINNED c: an ExternalSecret pins a version: kubectl deepdesk check c --only DD-ES-PINNED -o short",
                "DD-ONE-POD a c: a workload has a single pod: kubectl deepdesk check a c --only DD-ONE-POD -o short",
            ]
        );
    }

    #[test]
    fn more_accounts_than_a_line_takes_are_selected() {
        let many: Vec<Checkup> = (0..NAMED + 1)
            .map(|number| checkup(&format!("a{number}"), vec![asked("DD-PAUSED", Answer::Fail, None)]))
            .collect();
        let groups = grouped(&many).groups;
        assert_eq!(groups[0].command.to_string(), "kubectl deepdesk check -A --only DD-PAUSED -o short");
        assert_eq!(groups[0].accounts.len(), NAMED + 1);
    }
}
