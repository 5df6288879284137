//! Completes a word of the command line, for kubectl and for the shells: one engine, one table of words, and for each
//! who asks a way to read the line and to write the answer.
//!
//! Never an error, a prompt or standard input, and never longer than the budget: somebody has just pressed TAB.

mod cache;
mod candidates;
pub mod install;
mod kubectl;
mod line;
mod live;
mod notes;
mod shells;

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clap::CommandFactory as _;

use self::cache::{Cache, Word};
use self::line::Line;
use crate::cli::{Cli, Shell, habits};
use crate::clients::kubeconfig::{self, KubeFlags, Named};
use crate::environment::Environment;
use deepdesk_protocol::facts::names::{acts, printable};

pub use self::notes::keep as keep_note;
pub use self::shells::script;

/// How long a TAB may take, from the start of the process, when the cluster has to be asked.
const BUDGET: Duration = Duration::from_millis(300);

/// The name by which kubectl looks for whom to ask.
pub const HELPER: &str = "kubectl_complete-deepdesk";

/// Somebody who wants words.
#[derive(Debug, Eq, PartialEq)]
pub enum Asked {
    /// kubectl, by the helper's name: the words after the plugin's name.
    Kubectl(Vec<String>),
    /// A shell that completes the program itself: the words with the program's name.
    Words(Shell, Vec<String>),
    /// A shell that wants its script.
    Script(Shell),
}

/// Whether words are asked for: by the name that the program was started under, or by the variable `COMPLETE`.
pub fn asked(arguments: impl IntoIterator<Item = OsString>, complete: Option<OsString>) -> Option<Asked> {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_default();
    let text = |word: OsString| word.to_string_lossy().into_owned();
    if Path::new(&name).file_name().and_then(|name| name.to_str()).is_some_and(is_helper) {
        return Some(Asked::Kubectl(arguments.map(text).collect()));
    }
    let shell = Shell::of(complete?.to_str()?)?;
    match arguments.next() {
        None => Some(Asked::Script(shell)),
        Some(dashes) if dashes == "--" => Some(Asked::Words(shell, arguments.map(text).collect())),
        // The variable is somebody else's: this is a run like any other.
        Some(_) => None,
    }
}

fn is_helper(name: &str) -> bool {
    name.strip_suffix(".exe").unwrap_or(name) == HELPER
}

/// The answer, as whoever asks reads it.
pub fn answer(asked: &Asked, environment: Environment, started: Instant) -> String {
    // Whatever breaks in here must not show on a line that is being typed.
    std::panic::set_hook(Box::new(|_| {}));
    let answer = || unguarded(asked, &environment, started);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(answer)).unwrap_or_else(|_| match asked {
        Asked::Kubectl(_) => kubectl::NOTHING.to_owned(),
        Asked::Words(..) | Asked::Script(_) => String::new(),
    })
}

/// The answer, without the net under it: for whoever looks for what breaks.
pub fn unguarded(asked: &Asked, environment: &Environment, started: Instant) -> String {
    let deadline = started + BUDGET;
    match asked {
        Asked::Kubectl(words) => kubectl::answer(words, environment, deadline),
        Asked::Words(shell, words) => shells::answer(*shell, words, environment, deadline),
        Asked::Script(shell) => script(*shell),
    }
}

/// What is asked of the words' sources.
struct Context {
    line: Line,
    environment: Environment,
    deadline: Instant,
    /// Whether the words are for the sandbox's own cluster, which is not up yet.
    sandbox: bool,
    /// Set when the word is a path.
    files: AtomicBool,
    named: OnceLock<Option<Named>>,
}

impl Context {
    /// The kubeconfig, read once.
    fn named(&self) -> Option<&Named> {
        let read = || kubeconfig::named(&self.flags(), &self.environment).ok();
        self.named.get_or_init(|| read().filter(|_| !self.sandbox)).as_ref()
    }

    /// The connection flags typed so far.
    fn flags(&self) -> KubeFlags {
        let text = |name: &str| self.line.flag(name).map(str::to_owned);
        let path = |name: &str| text(name).map(std::path::PathBuf::from);
        KubeFlags {
            kubeconfig: path("kubeconfig"),
            context: text("context"),
            cluster: text("cluster"),
            user: text("user"),
            namespace: text("namespace"),
            impersonate: text("as"),
            impersonate_groups: self.line.flags("as-group").to_vec(),
            impersonate_uid: text("as-uid"),
            server: text("server"),
            token: text("token"),
            tls_server_name: text("tls-server-name"),
            certificate_authority: path("certificate-authority"),
            client_certificate: path("client-certificate"),
            client_key: path("client-key"),
            insecure_skip_tls_verify: self.line.has("insecure-skip-tls-verify"),
            request_timeout: None,
        }
    }

    /// The user's cache; none for an identity that is not in the kubeconfig: it has no name to keep its answers under.
    fn cache(&self) -> Cache {
        match self.line.flag("token").or(self.line.flag("client-certificate")) {
            Some(_) => Cache::none(),
            None => Cache::of(&self.environment),
        }
    }
}

/// The words that fit.
#[derive(Debug, Default, Eq, PartialEq)]
struct Answer {
    words: Vec<Word>,
    /// Whether they are paths, which shells complete better themselves.
    files: bool,
}

/// Completes the word at `target` of the words that follow the program's name.
fn complete(words: &[String], target: usize, environment: &Environment, deadline: Instant) -> Answer {
    complete_in(words, target, environment, deadline, false)
}

fn complete_in(words: &[String], target: usize, environment: &Environment, deadline: Instant, sandbox: bool) -> Answer {
    let command = Cli::command();
    let (words, target) = &in_order(&command, words, target);
    let target = *target;
    let line = Line::read(&command, words, target);
    let dashes = words.iter().take(target).position(|word| word == "--");
    if let Some(dashes) = dashes.filter(|_| line.command == ["sandbox", "run"]) {
        // What follows is a command line of this program again.
        return complete_in(&words[dashes + 1..], target - dashes - 1, environment, deadline, true);
    }
    let place = line.command.iter().try_fold(&command, |command, name| command.find_subcommand(name));
    if place.is_some_and(|command| command.has_subcommands()) && !line.arguments.is_empty() {
        // There is no such command, and so nothing that could follow it.
        return Answer::default();
    }
    // To the engine such a flag would take the next word.
    let kept = |at: &usize| !line.bare.contains(at);
    let target_of_engine = (0..target).filter(kept).count() + 1;
    let arguments = (0..words.len()).filter(kept).map(|at| OsString::from(&words[at]));
    let arguments: Vec<OsString> = std::iter::once(OsString::from("kubectl-deepdesk")).chain(arguments).collect();
    let context = Arc::new(Context {
        line,
        environment: environment.clone(),
        deadline,
        sandbox,
        files: AtomicBool::new(false),
        named: OnceLock::new(),
    });
    let mut command = candidates::attach(command, &context);
    let here = std::env::current_dir().ok();
    let found = clap_complete::engine::complete(&mut command, arguments, target_of_engine, here.as_deref());
    let wants_flags = words.get(target).is_some_and(|word| word.starts_with('-'));
    let words = found.unwrap_or_default().into_iter().filter_map(|candidate| {
        let value = candidate.get_value().to_str()?.to_owned();
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        let note = help.lines().next().unwrap_or_default().replace('\t', " ");
        // As kubectl: flags are many, and only shown to who asks for them. A name from a file or a server must steer
        // neither the terminal nor the shell's reading of the answer, which is by lines.
        let shown = (wants_flags || !value.starts_with('-')) && !value.chars().any(acts);
        shown.then(|| Word(value, printable(&note)))
    });
    Answer { words: words.collect(), files: context.files.load(Ordering::Relaxed) }
}

/// The words with the flags that stand before the command behind it, as the program itself takes them; and where the one that is
/// being completed stands then.
fn in_order(root: &clap::Command, words: &[String], target: usize) -> (Vec<String>, usize) {
    let (before, rest) = words.split_at(target.min(words.len()));
    let read = habits::typed(root, before.iter().map(OsString::from));
    if read.flags.is_empty() {
        return (words.to_vec(), target);
    }
    let text = |words: &[OsString]| words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    let mut ordered = text(&read.path);
    let last = read.flags.last().map(|flag| flag.to_string_lossy()).unwrap_or_default();
    if read.awaits_value {
        // Any command that has the flag will do.
        ordered.extend(habits::way_to(&last, read.command).unwrap_or_default());
    }
    // Where a command's name is next, the engine knows none of the flags yet.
    if read.awaits_value || !read.command.has_subcommands() {
        ordered.extend(text(&read.flags));
    }
    ordered.extend(text(&read.rest));
    let target = ordered.len();
    (ordered.into_iter().chain(rest.iter().cloned()).collect(), target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(home: &Path, typed: &str) -> Vec<String> {
        let words: Vec<String> = typed.split(' ').map(str::to_owned).collect();
        let kubeconfig = home.join("config");
        let environment =
            Environment::from_iter([("HOME", home.to_str().unwrap()), ("KUBECONFIG", kubeconfig.to_str().unwrap())]);
        let answer = complete(&words, words.len() - 1, &environment, Instant::now() + BUDGET);
        answer.words.into_iter().map(|word| word.0).collect()
    }

    /// Nobody listens on port 9 of loopback.
    const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        clusters: [{name: one, cluster: {server: 'https://127.0.0.1:9'}}, {name: two, cluster: {server: 'https://127.0.0.1:9'}}]\n\
        contexts:\n- {name: a, context: {cluster: one, namespace: acme, user: me}}\n\
        - {name: b, context: {cluster: two, namespace: globex, user: me}}\n\
        - {name: gke_p-1_l_c, context: {cluster: one, namespace: kube-system}}\nusers: [{name: me, user: {}}]\n";

    #[test]
    fn words_are_completed_without_a_cluster() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config"), KUBECONFIG).unwrap();
        let cases: [(&str, &[&str]); 28] = [
            ("se", &["secret"]),
            ("secret ro", &["rotate", "rollback"]),
            ("secret rotate ", &["acme"]),
            ("secret status -A --older-than 90d -o w", &["wide"]),
            ("secret status -l a=b ", &["acme"]),
            ("secret rotate --context b ", &["globex"]),
            ("secret rotate --context=b ", &["globex"]),
            ("secret rotate --cluster two ", &["globex"]),
            ("secret rotate --dry-run ", &["acme"]),
            ("secret rotate --dry-run=s", &["--dry-run=server"]),
            ("secret rotate acme ", &[]),
            ("secret rotate --context ", &["a", "b", "gke_p-1_l_c"]),
            ("secret rotate --context=", &["--context=a", "--context=b", "--context=gke_p-1_l_c"]),
            ("secret rotate --cluster ", &["one", "two"]),
            ("secret rotate --user ", &["me"]),
            ("secret rotate -n ", &["acme", "kube-system"]),
            ("secret rotate --project ", &["p-1"]),
            ("secret rotate -o j", &["json"]),
            ("secret rotate --back", &["--back-compat-unmapped", "--back-compat-secret"]),
            ("secret rotate --nonsense ", &["acme"]),
            ("--context b secret rotate ", &["globex"]),
            ("--context b secr", &["secret"]),
            ("-q --context b secret rot", &["rotate"]),
            ("--context ", &["a", "b", "gke_p-1_l_c"]),
            ("--context b -n ", &["globex"]),
            ("sandbox run -- secret rotate ", &["acme", "globex", "initech"]),
            ("sandbox run --fault reset -- sec", &["secret"]),
            ("sandbox start --fault stale-s", &[]),
        ];
        for (typed, expected) in cases {
            let mut found = completed(home.path(), typed);
            found.sort();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(found, expected, "{typed}");
        }
        assert!(completed(home.path(), "sandbox start --fault hold").contains(&"hold-answer".to_owned()));
        assert!(completed(home.path(), "secret rotate ").iter().all(|word| !word.starts_with('-')));
        assert!(completed(home.path(), "").contains(&"completion".to_owned()));
    }

    #[test]
    fn a_name_from_a_file_steers_neither_terminal_nor_shell() {
        let home = tempfile::tempdir().unwrap();
        let names = ["fine", "a\\e[2Jb", "two\\nlines", "rtl\\u202e", "c1\\x9b2J", "tab\\there", "$(touch x)", "`x`;y"];
        let contexts =
            names.map(|name| format!("- {{name: \"{name}\", context: {{cluster: \"c\\u202ex\"}}}}\n")).concat();
        std::fs::write(home.path().join("config"), format!("contexts:\n{contexts}")).unwrap();
        let environment = Environment::from_iter([("KUBECONFIG", home.path().join("config").to_str().unwrap())]);
        let answered = |asked: Asked| unguarded(&asked, &environment, Instant::now());
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let by_kubectl = answered(Asked::Kubectl(words(&["cluster", "use", ""])));
        assert_eq!(by_kubectl, "fine\tcluster c\u{fffd}x\n:4\n");
        let line = words(&["kubectl-deepdesk", "cluster", "use", ""]);
        let by_powershell = answered(Asked::Words(Shell::PowerShell, line.clone()));
        assert_eq!(by_powershell.matches('\n').count(), 3, "{by_powershell:?}");
        assert!(by_powershell.contains("'$(touch x)'\t") && by_powershell.contains("'`x`;y'\t"), "{by_powershell:?}");
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let said = answered(Asked::Words(shell, line.clone()));
            assert!(!said.chars().any(|c| acts(c) && !matches!(c, '\n' | '\t')), "{shell:?}: {said:?}");
        }
    }

    #[test]
    fn checks_have_words() {
        let context = Context {
            line: Line::default(),
            environment: Environment::default(),
            deadline: Instant::now(),
            sandbox: false,
            files: AtomicBool::new(false),
            named: OnceLock::new(),
        };
        let words = candidates::words(candidates::Source::Checks, &context);
        for given in ["DD-ES-PINNED", "DD-K8S-ACCESS", "external-secrets"] {
            assert!(words.iter().any(|Word(word, says)| word == given && !says.is_empty()), "{given}: {words:?}");
        }
    }

    #[test]
    fn who_asks_is_told_by_name_and_variable() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let cases = [
            ("/bin/kubectl_complete-deepdesk|secret|", None, Some(Asked::Kubectl(words(&["secret", ""])))),
            ("kubectl_complete-deepdesk.exe", None, Some(Asked::Kubectl(Vec::new()))),
            ("kubectl-deepdesk|secret", None, None),
            ("kubectl-deepdesk", Some("/bin/zsh"), Some(Asked::Script(Shell::Zsh))),
            ("kubectl-deepdesk|--|x|y", Some("bash"), Some(Asked::Words(Shell::Bash, words(&["x", "y"])))),
            ("kubectl-deepdesk|secret|rotate", Some("bash"), None),
            ("kubectl-deepdesk|--|x", Some("1"), None),
        ];
        for (typed, variable, expected) in cases {
            assert_eq!(asked(typed.split('|').map(OsString::from), variable.map(OsString::from)), expected, "{typed}");
        }
    }
}
