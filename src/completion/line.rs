//! What was typed before the word that is being completed: the command, its flags, its arguments.
//!
//! Read leniently: a line that is being typed is hardly ever valid, and clap stops at its first error.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command};

/// What the other words of the line say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Line {
    /// The names of the commands, such as `secret` and `rotate`.
    pub command: Vec<String>,
    /// The values of flags, by the flag's long name.
    flags: BTreeMap<String, Vec<String>>,
    pub arguments: Vec<String>,
    /// Where flags stand without the value that only `=` could give them.
    pub bare: Vec<usize>,
}

impl Line {
    /// The value of a flag; the last one counts.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.get(name)?.last().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All values of a flag.
    pub fn flags(&self, name: &str) -> &[String] {
        self.flags.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a flag was typed.
    pub fn has(&self, name: &str) -> bool {
        self.flags.contains_key(name)
    }

    /// Reads the words (without the program's name), leaving out the one at `target`.
    pub fn read(root: &Command, words: &[String], target: usize) -> Line {
        let mut line = Line::default();
        let mut command = root;
        let mut words = words.iter().enumerate().peekable();
        let mut only_arguments = false;
        while let Some((at, word)) = words.next() {
            if at == target {
                continue;
            }
            if only_arguments {
                line.arguments.push(word.clone());
            } else if word == "--" {
                only_arguments = true;
            } else if let Some((arg, value)) = flag(command, word) {
                let value = match value {
                    Some(value) => Some(value),
                    None if takes_next(arg) => words.next_if(|(at, _)| *at != target).map(|(_, value)| value.clone()),
                    None => {
                        line.bare.extend(takes_value(arg).then_some(at));
                        None
                    }
                };
                let name = arg.get_long().unwrap_or_else(|| arg.get_id().as_str());
                line.flags.entry(name.to_owned()).or_default().extend(value);
            } else if word.starts_with('-') && word != "-" {
                // Unknown: whatever it is, it is no argument.
            } else if let Some(next) = command.find_subcommand(word) {
                line.command.push(next.get_name().to_owned());
                command = next;
            } else {
                line.arguments.push(word.clone());
            }
        }
        line
    }
}

/// The flag that a word is, and the value that it carries itself: `--name=value`, `-nvalue`, `-n=value`.
fn flag<'c>(command: &'c Command, word: &str) -> Option<(&'c Arg, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        return command.get_arguments().find(|arg| arg.get_long() == Some(name)).map(|arg| (arg, value));
    }
    let mut rest = word.strip_prefix('-')?.chars();
    loop {
        let short = rest.next()?;
        let arg = command.get_arguments().find(|arg| arg.get_short() == Some(short))?;
        let left = rest.as_str();
        // One whose value comes after `=` alone lets others follow it.
        let attached = takes_value(arg) && (!arg.is_require_equals_set() || left.starts_with('='));
        if attached || left.is_empty() {
            let value = left.strip_prefix('=').unwrap_or(left);
            return Some((arg, (!left.is_empty()).then(|| value.to_owned())));
        }
    }
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

/// Whether the flag's value is the next word.
fn takes_next(arg: &Arg) -> bool {
    takes_value(arg) && !arg.is_require_equals_set()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn what_was_typed_is_read() {
        let cases: [(&str, usize, &str); 9] = [
            ("secret rotate", 2, "secret rotate | | "),
            ("secret rotate acme -n globex x", 5, "secret rotate | namespace=globex | acme"),
            (
                "secret rotate --context X -n=Y --kubeconfig=F",
                9,
                "secret rotate | context=X kubeconfig=F namespace=Y | ",
            ),
            ("secret rotate -nY -yq acme", 9, "secret rotate | namespace=Y quiet= | acme"),
            ("secret rotate --context", 3, "secret rotate | context= | "),
            ("secret rotate --context ac", 3, "secret rotate | context= | "),
            ("secret rotate --dry-run acme --nonsense", 9, "secret rotate | dry-run= | acme"),
            ("secret rotate -- --context X", 9, "secret rotate | | --context X"),
            ("secret nonsense acme", 9, "secret | | nonsense acme"),
        ];
        for (typed, target, expected) in cases {
            let words: Vec<String> = typed.split(' ').map(str::to_owned).collect();
            let line = Line::read(&crate::cli::Cli::command(), &words, target);
            let flags: Vec<String> =
                line.flags.iter().map(|(name, values)| format!("{name}={}", values.join(","))).collect();
            let seen = format!("{} | {} | {}", line.command.join(" "), flags.join(" "), line.arguments.join(" "));
            assert_eq!(seen.replace("|  |", "| |"), expected, "{typed}");
        }
    }
}
