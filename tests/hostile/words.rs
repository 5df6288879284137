//! Lines that are being typed: whatever stands in them, and in the files that they are completed from.

use std::time::{Duration, Instant};

use deepdesk_protocol::facts::names::acts;
use kubectl_deepdesk::cli::Shell;
use kubectl_deepdesk::completion::{Asked, unguarded};
use kubectl_deepdesk::environment::Environment;
use proptest::prelude::*;
use proptest::sample::select;

use crate::input::holds;

const WORDS: [&str; 46] = [
    "",
    "-",
    "--",
    "---",
    "-n",
    "-nacme",
    "-A",
    "-o",
    "-ojson",
    "-l",
    "secret",
    "rotate",
    "status",
    "verify",
    "cluster",
    "use",
    "account",
    "list",
    "config",
    "completion",
    "install",
    "sandbox",
    "run",
    "shell",
    "--fault",
    "reset=",
    "--context",
    "--context=",
    "=",
    ":",
    "--kubeconfig",
    "/",
    "~/",
    "~",
    "../",
    "acme",
    "a b",
    "'",
    "\"a",
    "\\",
    "--project",
    "--workload",
    "deployment/",
    "--only",
    "--as",
    "--dry-run",
];

/// Names in a kubeconfig that a shell or a terminal would act upon.
const KUBECONFIG: &str = "current-context: a\ncontexts:\n- {name: a, context: {cluster: one, namespace: acme, user: me}}\n\
    - {name: \"$(touch x)\", context: {cluster: \"one\\e[2J\"}}\n- {name: \"two\\nlines\\t\", context: {cluster: one, namespace: \"g\\u202e\"}}\n\
    clusters: [{name: one, cluster: {server: 'https://127.0.0.1:9'}}]\nusers: [{name: \"`me`\", user: {}}]\n";

#[test]
fn a_line_may_be_anything() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("config"), KUBECONFIG).expect("written");
    let path = |name: &str| home.path().join(name).to_str().expect("text").to_owned();
    let word = prop_oneof![8 => select(&WORDS[..]).prop_map(str::to_owned), 1 => any::<String>()];
    let shell = select(&[None, Some(Shell::Bash), Some(Shell::Zsh), Some(Shell::Fish), Some(Shell::PowerShell)][..]);
    let number = prop_oneof![6 => (0usize..8).prop_map(|n| n.to_string()), 1 => select(&["", "-1", "x", "18446744073709551615"][..]).prop_map(str::to_owned)];
    let strategy = (prop::collection::vec(word, 0..7), shell, number.clone(), number, any::<bool>());
    holds("lines to complete", 300, strategy, |(words, shell, index, point, spaced)| {
        let line = words.join(if spaced { " " } else { "" });
        let environment = Environment::from_iter([
            ("HOME", path("")),
            ("KUBECONFIG", path("config")),
            ("KUBECACHEDIR", path("cache")),
            ("_DEEPDESK_LINE", format!("kubectl-deepdesk {line}")),
            ("_DEEPDESK_POINT", point.clone()),
            ("_DEEPDESK_INDEX", index.clone()),
            ("_CLAP_COMPLETE_INDEX", index),
            ("_DEEPDESK_COLUMNS", point),
        ]);
        let asked = match shell {
            None => Asked::Kubectl(words),
            Some(shell) => Asked::Words(shell, std::iter::once("kubectl-deepdesk".to_owned()).chain(words).collect()),
        };
        let began = Instant::now();
        let said = unguarded(&asked, &environment, began);
        assert!(!said.chars().any(|c| acts(c) && !matches!(c, '\n' | '\t')), "{asked:?}: {said:?}");
        if shell.is_none() {
            let last = said.strip_suffix('\n').and_then(|said| said.lines().last()).unwrap_or_default();
            assert!([":0", ":4", ":6"].contains(&last), "{asked:?}: {said:?}");
            assert!(!said.contains("$(touch"), "{said:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{asked:?}");
    });
}
