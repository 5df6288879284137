//! What people type who come from kubectl and gcloud: global flags before the command, `help`, a command without its group. Made into what
//! clap knows, or into a tip.

use std::ffi::OsString;

use clap::Command;

/// The words as clap knows them: flags that stand before the command go behind it, and `help COMMAND` is `COMMAND --help`.
pub fn ordered(root: &Command, words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.into_iter();
    let program = words.next().into_iter();
    let Typed { mut path, flags, rest, helps, .. } = typed(root, words);
    match helps {
        true => path.push("--help".into()),
        false => path.extend(flags.into_iter().chain(rest)),
    }
    program.chain(path).collect()
}

/// A line's words (without the program's name), as far as they lead to a command.
pub struct Typed<'c> {
    /// The commands' names.
    pub path: Vec<OsString>,
    /// The command that they lead to.
    pub command: &'c Command,
    /// Flags of the commands below it that stand before those, with their values.
    pub flags: Vec<OsString>,
    /// Whether the value of the last one is still to come.
    pub awaits_value: bool,
    /// What follows.
    pub rest: Vec<OsString>,
    helps: bool,
}

/// Reads the words up to what is neither a command nor a flag of one further down.
pub fn typed(root: &Command, words: impl IntoIterator<Item = OsString>) -> Typed<'_> {
    let rest = words.into_iter().collect();
    let mut read =
        Typed { path: Vec::new(), command: root, flags: Vec::new(), awaits_value: false, rest, helps: false };
    while read.command.has_subcommands() && !read.rest.is_empty() {
        let at = read.command;
        let word = read.rest[0].to_string_lossy().into_owned();
        if word == "help" && at.find_subcommand("help").is_none() {
            read.helps = true;
            read.rest.remove(0);
            continue;
        }
        if let Some(next) = at.find_subcommand(&word) {
            read.path.push(read.rest.remove(0));
            read.command = next;
            continue;
        }
        // What this command takes itself stays where it is, and what is no flag is for clap to complain about.
        if !word.starts_with('-') || word == "--" || word == "-" || takes(at, &word).is_some() || own(&word) {
            break;
        }
        let Some(value) = below(at, &word) else { break };
        read.flags.push(read.rest.remove(0));
        read.awaits_value = value && read.rest.is_empty();
        if value && !read.rest.is_empty() {
            read.flags.push(read.rest.remove(0));
        }
    }
    read
}

/// Flags that every command has.
fn own(word: &str) -> bool {
    matches!(word, "-h" | "--help" | "-V" | "--version")
}

/// Whether a command takes this flag: then whether the next word is its value.
fn takes(command: &Command, word: &str) -> Option<bool> {
    let (name, inline) = match word.split_once('=') {
        Some((name, _)) => (name, true),
        None => (word, false),
    };
    command.get_arguments().find_map(|argument| {
        let long = name.strip_prefix("--").is_some_and(|long| {
            argument.get_long() == Some(long)
                || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&long))
        });
        let short = name.strip_prefix('-').filter(|rest| !rest.starts_with('-')).and_then(|rest| rest.chars().next());
        let is_short = short.is_some() && argument.get_short() == short;
        // `-nacme` has its value in it.
        let joined = is_short && name.chars().count() > 2;
        let wants = argument.get_action().takes_values() && !argument.is_require_equals_set();
        (long || is_short).then_some(wants && !inline && !joined)
    })
}

/// The same of the commands below, however deep.
fn below(command: &Command, word: &str) -> Option<bool> {
    command.get_subcommands().find_map(|next| takes(next, word).or_else(|| below(next, word)))
}

/// The names that lead from here to the first command that takes this flag.
pub fn way_to(flag: &str, from: &Command) -> Option<Vec<String>> {
    from.get_subcommands().find_map(|next| {
        let rest = if takes(next, flag).is_some() { Some(Vec::new()) } else { way_to(flag, next) };
        rest.map(|rest| std::iter::once(next.get_name().to_owned()).chain(rest).collect())
    })
}

/// What may have been meant by words that name no command: the whole command, `secret rotate`.
pub fn meant(root: &Command, words: &[String]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(String::as_str).take_while(|word| !word.starts_with('-')).collect();
    let said = words.first()?;
    let mut all: Vec<Vec<&str>> = Vec::new();
    paths(root, &mut Vec::new(), &mut all);
    // The group is left out (`rotate acme`), or another one stands there (`account rotate acme`).
    let last = |wanted: &str| all.iter().find(|path| path.len() > 1 && path.last() == Some(&wanted));
    let known_group = root.find_subcommand(said).is_some();
    let wanted = if known_group { words.get(1).copied()? } else { said };
    let habits = [
        ("ls", "account list"),
        ("accounts", "account list"),
        ("namespaces", "account list"),
        ("ns", "account use"),
        ("ctx", "cluster use"),
        ("context", "cluster use"),
        ("contexts", "cluster list"),
        ("clusters", "cluster list"),
        ("doctor", "check"),
        ("preflight", "check"),
        ("explain", "check --explain"),
        ("list", "secret status -A"),
        ("get", "secret status"),
        ("describe", "secret verify"),
        ("undo", "secret rollback"),
        ("resume", "secret rotate"),
        ("settings", "config list"),
        ("demo", "sandbox shell"),
    ];
    if let Some(path) = last(wanted) {
        return Some(path.join(" "));
    }
    if let Some(path) = all.iter().find(|path| path.len() == 1 && path[0] == wanted) {
        return Some(path.join(" "));
    }
    if let Some((_, meant)) = habits.iter().find(|(habit, _)| *habit == wanted) {
        return Some((*meant).to_owned());
    }
    let alike = |path: &Vec<&str>| {
        let name = path.last().copied().unwrap_or_default();
        strsim::damerau_levenshtein(name, wanted)
    };
    let nearest = all.iter().min_by_key(|path| alike(path))?;
    (alike(nearest) * 3 <= wanted.len()).then(|| nearest.join(" "))
}

/// Every command that does something, by the words that lead to it.
fn paths<'a>(command: &'a Command, before: &mut Vec<&'a str>, all: &mut Vec<Vec<&'a str>>) {
    for next in command.get_subcommands().filter(|next| !next.is_hide_set()) {
        before.push(next.get_name());
        match next.has_subcommands() {
            true => paths(next, before, all),
            false => all.push(before.clone()),
        }
        before.pop();
    }
}

/// Whether the result is wanted as JSON, by words that could not be parsed.
pub fn wants_json(words: &[String]) -> bool {
    let mut before = "";
    words.iter().take_while(|word| *word != "--").any(|word| {
        let flag = std::mem::replace(&mut before, word.as_str());
        matches!(word.as_str(), "-ojson" | "-o=json" | "--output=json")
            || (word == "json" && matches!(flag, "-o" | "--output"))
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_before_the_command_go_behind_it() {
        let root = super::super::Cli::command();
        for (typed, meant) in [
            ("p secret rotate acme --yes", "p secret rotate acme --yes"),
            ("p --context prod secret rotate acme", "p secret rotate --context prod acme"),
            (
                "p --context=prod -n acme secret --project p verify",
                "p secret verify --context=prod -n acme --project p",
            ),
            ("p -v -q secret status -A", "p secret status -v -q -A"),
            ("p -o json check acme", "p check -o json acme"),
            ("p -ojson check acme", "p check -ojson acme"),
            ("p --kubeconfig f cluster use prod", "p cluster use --kubeconfig f prod"),
            ("p --yes secret rotate acme", "p secret rotate --yes acme"),
            ("p --version", "p --version"),
            ("p --unknown secret rotate", "p --unknown secret rotate"),
            ("p help", "p --help"),
            ("p help secret rotate", "p secret rotate --help"),
            ("p secret help rotate", "p secret rotate --help"),
            ("p secret help", "p secret --help"),
            ("p secret verify help", "p secret verify help"),
            ("p sandbox run -- --context prod help", "p sandbox run -- --context prod help"),
        ] {
            let words = typed.split(' ').map(OsString::from);
            let found: Vec<String> =
                ordered(&root, words).into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
            assert_eq!(found.join(" "), meant, "{typed}");
        }
    }

    #[test]
    fn a_near_miss_gets_the_command_that_was_meant() {
        let root = super::super::Cli::command();
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (typed, wanted) in [
            ("rotate acme", Some("secret rotate")),
            ("status", Some("secret status")),
            ("secrets rotate", None),
            ("secret check acme", Some("check")),
            ("account rotate acme", Some("secret rotate")),
            ("verfy acme", Some("secret verify")),
            ("secret rotat acme", Some("secret rotate")),
            ("get-credentials prod", Some("cluster get-credentials")),
            ("contexts", Some("cluster list")),
            ("xyzzy", None),
        ] {
            assert_eq!(meant(&root, &words(typed)).as_deref(), wanted, "{typed}");
        }
    }

    #[test]
    fn that_json_is_wanted_is_seen_in_words_that_cannot_be_parsed() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (line, wanted) in [
            ("secret rotat acme -o json", true),
            ("secret rotat acme --output=json", true),
            ("secret rotat acme -ojson", true),
            ("secret rotat json", false),
            ("sandbox run -- x -o json", false),
        ] {
            assert_eq!(wants_json(&words(line)), wanted, "{line}");
        }
    }
}
