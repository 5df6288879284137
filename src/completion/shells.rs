//! The shells that complete the program itself: their scripts, how they hand a line over, how they read the answer.

use std::time::Instant;

use clap_complete::env::{EnvCompleter, Fish, Powershell, Zsh};

use super::cache::Word;
use super::{Answer, complete};
use crate::cli::Shell;
use crate::environment::Environment;

/// The program, as the scripts call it: found on PATH, so that a script outlives the place where it was made.
const PROGRAM: &str = "kubectl-deepdesk";

/// Ours: clap's does not put together again what bash takes apart at `=` and `:`, and shows no descriptions.
const BASH: &str = include_str!("scripts/kubectl-deepdesk.bash");

/// The second line of each script, by which `completion install` knows its own.
pub(super) const MARK: &str = "# Written by `kubectl deepdesk completion`: write it again instead of editing it.\n";

/// The script that makes a shell ask this program.
pub fn script(shell: Shell) -> String {
    let of_clap = |shell: &dyn EnvCompleter| {
        let mut text = Vec::new();
        let written = shell.write_registration("COMPLETE", PROGRAM, PROGRAM, PROGRAM, &mut text);
        written.expect("a vector takes everything");
        format!("{}\n", String::from_utf8(text).expect("written as text").trim())
    };
    match shell {
        Shell::Bash => BASH.to_owned(),
        Shell::Zsh => for_autoload(&of_clap(&Zsh)),
        Shell::Fish => format!("# fish completion for kubectl-deepdesk\n{MARK}{}", of_clap(&Fish)),
        Shell::PowerShell => {
            format!("# PowerShell completion for kubectl-deepdesk\n{MARK}{}", of_clap(&Powershell))
        }
    }
}

/// clap's script for zsh registers a function when it is sourced. Found through `fpath` it is run as the completion
/// itself, and has to complete at that first call already.
fn for_autoload(script: &str) -> String {
    let (tag, body) = script.split_once('\n').unwrap_or_default();
    let function = "_clap_dynamic_completer_kubectl_deepdesk";
    let register = format!("compdef {function} {PROGRAM}");
    let body = body.trim_end().strip_suffix(&register).unwrap_or(body).trim_end();
    format!(
        "{tag}\n{MARK}{body}\n\n{register}\nif [[ \"${{funcstack[1]}}\" == _{PROGRAM} ]]; then\n    {function}\nfi\n"
    )
}

/// The answer to a shell. The first of the words is the program's name.
pub(super) fn answer(shell: Shell, words: &[String], environment: &Environment, deadline: Instant) -> String {
    let number = |name: &str| environment.get(name).and_then(|text| text.parse::<usize>().ok());
    let plain = |word: &String| unquoted(word, environment);
    match shell {
        Shell::Bash => {
            let line = environment.get("_DEEPDESK_LINE").unwrap_or_default();
            let point = number("_DEEPDESK_POINT").unwrap_or(line.len());
            let Some(index) = number("_DEEPDESK_INDEX") else { return String::new() };
            let (words, target) = rejoined(words, index, line, point);
            let Some(typed) = words.get(target).cloned() else { return String::new() };
            let earlier: Vec<String> = words.iter().take(target).skip(1).map(plain).chain([typed.clone()]).collect();
            let Some(target) = target.checked_sub(1) else { return String::new() };
            let found = complete(&earlier, target, environment, deadline);
            let word = environment.get("_DEEPDESK_WORD").unwrap_or_default();
            let columns = number("_DEEPDESK_COLUMNS").unwrap_or(80);
            // 37 and 42 put one word after the other into the line.
            let listed = !matches!(environment.get("_DEEPDESK_TYPE"), Some("37" | "42"));
            for_bash(&found, typed.strip_suffix(word).unwrap_or_default(), listed, columns)
        }
        Shell::Zsh => {
            let Some(target) = number("_CLAP_COMPLETE_INDEX").filter(|index| *index > 0) else { return String::new() };
            let typed = words.get(target).cloned().unwrap_or_default();
            let mut words: Vec<String> = words.iter().take(target).skip(1).map(plain).collect();
            words.push(typed);
            let found = complete(&words, target - 1, environment, deadline);
            let escaped = |text: &str| text.replace('\\', "\\\\");
            let shown = found.words.iter().map(|Word(word, note)| match note.is_empty() {
                true => escaped(word).replace(':', "\\:"),
                false => format!("{}:{}", escaped(word).replace(':', "\\:"), escaped(note)),
            });
            shown.collect::<Vec<_>>().join("\n")
        }
        Shell::Fish | Shell::PowerShell => {
            let Some(target) = words.len().checked_sub(2) else { return String::new() };
            let words: Vec<String> = words.iter().skip(1).map(plain).collect();
            let found = complete(&words, target, environment, deadline);
            // fish quotes what it inserts by itself.
            let quoted = |word: &str| match shell == Shell::PowerShell {
                true => for_powershell(word),
                false => word.to_owned(),
            };
            let shown = found.words.iter().map(|Word(word, note)| match note.is_empty() {
                true => format!("{}\n", quoted(word)),
                false => format!("{}\t{note}\n", quoted(word)),
            });
            shown.collect()
        }
    }
}

/// The words as they were typed, and which of them is being completed: bash takes words apart at `=`, `:` and `@`.
/// Of the one being completed, only what is before the cursor.
fn rejoined(words: &[String], index: usize, line: &str, point: usize) -> (Vec<String>, usize) {
    let mut joined: Vec<String> = Vec::new();
    let mut target = 0;
    let mut at = 0;
    for (number, word) in words.iter().enumerate().take(index.saturating_add(1)) {
        let rest = line.get(at..).unwrap_or_default();
        let spaces = rest.len() - rest.trim_start().len();
        let begin = at + spaces;
        let ours = line.get(begin..).is_some_and(|rest| rest.starts_with(word.as_str()));
        let end = if ours { begin + word.len() } else { at };
        let shown = match number == index && ours && begin <= point && point <= end {
            true => line.get(begin..point).unwrap_or(word),
            false => word.as_str(),
        };
        match joined.last_mut() {
            Some(last) if ours && spaces == 0 && number > 0 && !(word.is_empty() && ends_apart(line, at)) => {
                last.push_str(shown);
            }
            _ => joined.push(shown.to_owned()),
        }
        target = joined.len() - 1;
        at = end;
    }
    (joined, target)
}

/// Whether white space stands before this place.
fn ends_apart(line: &str, at: usize) -> bool {
    line.get(..at).is_some_and(|before| before.ends_with(char::is_whitespace))
}

/// One line of options, then the words without what bash holds for an earlier one; with descriptions when several are
/// listed, as kubectl shows them. bash inserts what they all begin with, and that ends before the descriptions do.
fn for_bash(found: &Answer, prefix: &str, listed: bool, columns: usize) -> String {
    let short = |word: &String| word.strip_prefix(prefix).unwrap_or(word).to_owned();
    let words: Vec<(String, &str)> = found.words.iter().map(|Word(word, note)| (short(word), note.as_str())).collect();
    let longest = words.iter().map(|(word, _)| word.chars().count()).max().unwrap_or(0);
    let only = words.len() == 1;
    let shown = words.iter().map(|(word, note)| {
        let room = columns.saturating_sub(longest + 6);
        match only || !listed || note.is_empty() || room < 10 {
            true => quoted(word),
            false => format!("{word:<longest$}  ({})", cut(note, room)),
        }
    });
    let open = words.first().is_some_and(|(word, _)| only && word.ends_with(['/', '=']));
    let options = if open { "nospace" } else { "space" };
    std::iter::once(options.to_owned()).chain(shown).map(|line| line + "\n").collect()
}

fn cut(note: &str, room: usize) -> String {
    match note.chars().count() > room {
        true => note.chars().take(room - 1).chain(['…']).collect(),
        false => note.to_owned(),
    }
}

/// As bash reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/:.,-_@=+~%".contains(c);
    word.chars().flat_map(|c| (!plain(c)).then_some('\\').into_iter().chain([c])).collect()
}

/// As PowerShell reads it back. To it, four other characters are single quotes as well.
fn for_powershell(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/\\:.-_=+~%".contains(c);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    let is_quote = |c: &char| matches!(c, '\'' | '\u{2018}'..='\u{201b}');
    let doubled = word.chars().flat_map(|c| std::iter::once(c).chain(Some(c).filter(is_quote)));
    format!("'{}'", doubled.collect::<String>())
}

/// A word as the shell would hand it to the program: without quotes, and `~/` as the home directory.
fn unquoted(word: &str, environment: &Environment) -> String {
    let mut plain = String::new();
    let mut quote = None;
    let mut left = word.chars();
    while let Some(c) = left.next() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => plain.extend(left.next()),
            (c, _) => plain.push(c),
        }
    }
    let home = environment.home().filter(|_| word.starts_with("~/"));
    match (home, plain.strip_prefix("~/")) {
        (Some(home), Some(below)) => home.join(below).to_string_lossy().into_owned(),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bash_takes_apart_is_put_together() {
        let cases = [
            ("k secret ro", "k|secret|ro", "k|secret|ro"),
            ("k secret ", "k|secret|", "k|secret|"),
            ("k --context=a", "k|--context|=|a", "k|--context=a"),
            ("k --context=", "k|--context|=", "k|--context="),
            ("k --context=x:1 a", "k|--context|=|x|:|1|a", "k|--context=x:1|a"),
            ("k --context=x ", "k|--context|=|x|", "k|--context=x|"),
        ];
        for (line, words, expected) in cases {
            let words: Vec<String> = words.split('|').map(str::to_owned).collect();
            let (joined, target) = rejoined(&words, words.len() - 1, line, line.len());
            assert_eq!((joined.join("|").as_str(), target), (expected, joined.len() - 1), "{line}");
        }
        let words = ["k", "secret"].map(str::to_owned);
        assert_eq!(
            rejoined(&words, 1, "k secret", 4),
            (vec!["k".to_owned(), "se".to_owned()], 1),
            "the cursor is inside"
        );
    }

    #[test]
    fn words_are_read_without_quotes() {
        let environment = Environment::from_iter([("HOME", "/h")]);
        let cases =
            [("a", "a"), ("'a b'", "a b"), ("a\\ b", "a b"), ("\"a'b\"", "a'b"), ("~/x", "/h/x"), ("'~/x'", "~/x")];
        for (word, plain) in cases {
            assert_eq!(unquoted(word, &environment), plain, "{word}");
        }
    }

    #[test]
    fn bash_lists_descriptions_and_inserts_none() {
        let answer = |words: &[(&str, &str)]| Answer {
            words: words.iter().map(|(word, note)| Word((*word).to_owned(), (*note).to_owned())).collect(),
            files: false,
        };
        let two = answer(&[("acme", "Stable, v8 from 3d ago"), ("globex", "")]);
        assert_eq!(for_bash(&two, "", true, 80), "space\nacme    (Stable, v8 from 3d ago)\nglobex\n");
        assert_eq!(for_bash(&two, "", true, 22), "space\nacme    (Stable, v…)\nglobex\n");
        assert_eq!(for_bash(&two, "", false, 80), "space\nacme\nglobex\n");
        assert_eq!(for_bash(&answer(&[("--context=a b", "x")]), "--context=", true, 80), "space\na\\ b\n");
        assert_eq!(for_bash(&answer(&[("dir/", "")]), "", true, 80), "nospace\ndir/\n");
    }

    #[test]
    fn powershell_reads_a_word_back_as_it_is() {
        let cases = [
            ("gke_p-1_l_c", "gke_p-1_l_c"),
            ("--context=a b", "'--context=a b'"),
            ("$(calc)", "'$(calc)'"),
            ("it's ‘x’", "'it''s ‘‘x’’'"),
        ];
        for (word, quoted) in cases {
            assert_eq!(for_powershell(word), quoted, "{word}");
        }
    }

    #[test]
    fn every_script_is_marked_and_names_the_program_only() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let script = script(shell);
            assert_eq!(script.lines().nth(1), Some(MARK.trim_end()), "{shell:?}");
            assert!(!script.contains("/target/") && script.ends_with('\n'), "{script}");
        }
    }
}
