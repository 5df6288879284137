//! kubectl's plugin completion (1.26 and newer): it runs `kubectl_complete-deepdesk` with the words after the plugin's
//! name, the last of which is being completed, and reads words with their descriptions and a directive.

use std::time::Instant;

use super::cache::Word;
use super::complete;
use crate::environment::Environment;

/// Cobra's `ShellCompDirective`, a set of bits: the shell must not put a space behind the word.
const NO_SPACE: u8 = 2;
/// The shell must not offer files instead.
const NO_FILES: u8 = 4;

/// No words, and no files instead.
pub(super) const NOTHING: &str = ":4\n";

pub(super) fn answer(words: &[String], environment: &Environment, deadline: Instant) -> String {
    let empty = [String::new()];
    let words = if words.is_empty() { empty.as_slice() } else { words };
    let target = words.len() - 1;
    let typed = words[target].as_str();
    let found = complete(words, target, environment, deadline);
    if found.files {
        // The shell knows about `~`, quotes and colours.
        return ":0\n".to_owned();
    }
    // Whoever reads this completes what stands behind `--flag=` alone.
    let prefix = match typed.split_once('=') {
        Some((flag, _)) if flag.starts_with('-') => format!("{flag}="),
        _ => String::new(),
    };
    let mut text = String::new();
    for Word(word, note) in found.words.iter().filter(|word| is_inert(&word.0)) {
        text.push_str(word.strip_prefix(&prefix).unwrap_or(word));
        if !note.is_empty() {
            text.push('\t');
            text.push_str(note);
        }
        text.push('\n');
    }
    let open = matches!(found.words.as_slice(), [Word(word, _)] if word.ends_with(['/', '=']));
    text.push_str(&format!(":{}\n", if open { NO_FILES | NO_SPACE } else { NO_FILES }));
    text
}

/// Whether no shell does anything with the word. Which shell asks is not known here, and kubectl's own script for bash
/// puts words into the line as they are: a context's name must not become a command.
fn is_inert(word: &str) -> bool {
    !word.contains(['$', '`', ';', '|', '&', '<', '>', '(', ')', '{', '}', '"', '\'', '\\', '!', '*', '?', '#'])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_answer_is_cobras() {
        let cases = [
            (
                "secret|ro",
                "rotate\tReplace the secret's value by a new one everywhere, and keep the old one readable\n\
                 rollback\tGo back to the back-compat value, and keep the abandoned one readable\n:4\n",
            ),
            (
                "secret|rotate|--dry-run=s",
                "server\tShow it, and let the API server judge the changes to the cluster\n:4\n",
            ),
            ("secret|rotate|--kubeconfig|", ":0\n"),
            ("secret|rotate|--kubeconfig=", ":0\n"),
            ("nonsense|", ":4\n"),
        ];
        for (typed, expected) in cases {
            let words: Vec<String> = typed.split('|').map(str::to_owned).collect();
            let deadline = Instant::now() + Duration::from_millis(100);
            assert_eq!(answer(&words, &Environment::default(), deadline), expected, "{typed}");
        }
        let first = answer(&[], &Environment::default(), Instant::now());
        assert!(first.contains("secret\t") && first.ends_with("\n:4\n"), "{first}");
        assert!(!first.contains("man\t"), "a hidden command is offered: {first}");
    }
}
