//! The real bash, zsh and fish at a terminal: somebody types a part of a word and presses TAB.

use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::completion::plugin;
use crate::world::{World, path};

/// A shell at a terminal of 100 columns, without anybody's start-up files.
struct Shell {
    name: &'static str,
    screen: Arc<Mutex<vt100::Parser>>,
    keyboard: Box<dyn std::io::Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Shell {
    fn open(world: &World, name: &'static str, flags: &[&str]) -> Shell {
        let size = PtySize { rows: 40, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut command = CommandBuilder::new(name);
        command.args(flags);
        command.env_clear();
        let others = path();
        let list = std::iter::once(plugin(world.home())).chain(std::env::split_paths(&others).skip(1));
        command.env("PATH", std::env::join_paths(list).expect("joined"));
        command.env("HOME", world.home());
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env("PS1", "> ");
        command.cwd(world.home());
        world.environment().iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).expect("it starts");
        drop(pair.slave);
        let (rows, columns) = (NonZero::new(size.rows).expect("some"), NonZero::new(size.cols).expect("some"));
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 1000)));
        let mut output = pair.master.try_clone_reader().expect("readable");
        let into = screen.clone();
        let keyboard = Arc::new(Mutex::new(pair.master.take_writer().expect("writable")));
        let answers = keyboard.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                into.lock().expect("nobody panicked").process(&buffer[..read]);
                // fish waits for the terminal to say what it is.
                if buffer[..read].windows(3).any(|bytes| bytes == b"\x1b[c") {
                    let _ = answers.lock().expect("nobody panicked").write_all(b"\x1b[?62;c");
                }
            }
        });
        let mut shell = Shell { name, screen, keyboard: Box::new(Keyboard(keyboard)), child, _master: pair.master };
        shell.runs("echo rea''dy", "ready");
        shell
    }

    fn text(&self) -> String {
        self.screen.lock().expect("nobody panicked").screen().contents()
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("it listens");
        self.keyboard.flush().expect("it listens");
    }

    #[track_caller]
    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.text().contains(text) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("{} never showed: {text}\n{}", self.name, self.text());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs a line, and waits for what it prints.
    #[track_caller]
    fn runs(&mut self, line: &str, prints: &str) {
        self.types(&format!("{line}\r"));
        self.until(prints);
    }

    /// Types the beginning of a line and TAB, waits until the line is this, and takes it back.
    #[track_caller]
    fn completes(&mut self, typed: &str, line: &str) {
        self.types(&format!("{typed}\t"));
        self.until(line);
        self.takes_it_back();
    }

    /// Leaves nothing of the line: what is typed next must never become a part of it, and run.
    #[track_caller]
    fn takes_it_back(&mut self) {
        for key in ["\u{3}", "\u{15}"] {
            self.types(key);
            std::thread::sleep(Duration::from_millis(200));
        }
        self.runs("clear; echo cle''ared", "cleared");
    }

    /// The same, where several words are listed.
    #[track_caller]
    fn lists(&mut self, typed: &str, words: &[&str]) {
        self.types(&format!("{typed}\t"));
        std::thread::sleep(Duration::from_millis(500));
        self.types("\t");
        words.iter().for_each(|word| self.until(word));
        self.takes_it_back();
    }
}

/// The same keyboard for the test and for the terminal's own answers.
struct Keyboard(Arc<Mutex<Box<dyn std::io::Write + Send>>>);

impl std::io::Write for Keyboard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panicked").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().expect("nobody panicked").flush()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both ways in each shell: the binary by its own script, and through kubectl's.
fn both_ways(shell: &mut Shell) {
    for program in ["kubectl-deepdesk", "kubectl deepdesk"] {
        shell.completes(&format!("{program} secret rota"), &format!("{program} secret rotate"));
        shell.completes(&format!("{program} secret verify gl"), &format!("{program} secret verify globex"));
        shell.completes(
            &format!("{program} secret verify --context sandbox-in"),
            &format!("{program} secret verify --context sandbox-initech"),
        );
        shell.completes(
            &format!("{program} secret verify --context=sandbox-in"),
            &format!("{program} secret verify --context=sandbox-initech"),
        );
        shell.completes(
            &format!("{program} secret verify --context sandbox-globex --workload deployment/adm"),
            "--workload deployment/admin",
        );
        shell.lists(&format!("{program} secret verify "), &["acme", "globex", "initech", "ExternalSecrets in sync"]);
    }
}

#[needs(bash, bash_completion, kubectl)]
#[test]
fn bash_completes() {
    let world = World::start(&["--seed=7"]);
    let mut shell = Shell::open(&world, "bash", &["--norc", "--noprofile", "-i"]);
    // kubectl's own script needs it.
    let roots = ["/usr/share", "/usr/local/share", "/opt/homebrew/share"];
    let packages = roots.map(|root| format!("{root}/bash-completion/bash_completion"));
    let package = packages.iter().find(|file| std::path::Path::new(file).is_file());
    let package = package.expect("bash-completion was there when this was built");
    shell.runs(&format!("source {package} && echo lo''aded"), "loaded");
    shell.runs("source <(kubectl completion bash) && echo kubectl''-read", "kubectl-read");
    shell.runs("source <(kubectl-deepdesk completion bash) && echo script''-read", "script-read");
    shell.runs("clear; echo cle''ared", "cleared");
    both_ways(&mut shell);
    // A path is completed too, and `~` stays.
    std::fs::write(world.home().join("some config"), "").expect("written");
    shell.completes("kubectl-deepdesk secret verify --kubeconfig ~/some", "~/some\\ config");
}

#[needs(kubectl, zsh)]
#[test]
fn zsh_completes() {
    let world = World::start(&["--seed=7"]);
    let mut shell = Shell::open(&world, "zsh", &["-f", "-i"]);
    shell.runs("autoload -Uz compinit && compinit -u -d ~/dump && echo lo''aded", "loaded");
    shell.runs("source <(kubectl completion zsh) && echo kubectl''-read", "kubectl-read");
    shell.runs("source <(kubectl-deepdesk completion zsh) && echo script''-read", "script-read");
    shell.runs("clear; echo cle''ared", "cleared");
    both_ways(&mut shell);
}

#[needs(zsh)]
#[test]
fn zsh_completes_at_the_first_tab_with_the_script_on_fpath() {
    let world = World::start(&["--seed=7"]);
    // Without a PATH on which it finds zsh, and so a directory of the machine's.
    let mut install = world.command(&["completion", "install", "--shell", "zsh", "--bin-dir", "b"]);
    install.env("PATH", world.home());
    assert!(install.output().expect("it runs").status.success());
    assert!(world.home().join(".local/share/zsh/site-functions/_kubectl-deepdesk").is_file());
    let mut shell = Shell::open(&world, "zsh", &["-f", "-i"]);
    shell.runs("fpath=(~/.local/share/zsh/site-functions $fpath); echo se''t", "set");
    shell.runs("autoload -Uz compinit && compinit -u -d ~/dump && echo lo''aded", "loaded");
    shell.completes("kubectl-deepdesk secret verify gl", "kubectl-deepdesk secret verify globex");
}

#[needs(fish, kubectl)]
#[test]
fn fish_completes() {
    let world = World::start(&["--seed=7"]);
    let mut shell = Shell::open(&world, "fish", &["--no-config", "-i"]);
    shell.runs("kubectl completion fish | source; and echo kubectl''-read", "kubectl-read");
    shell.runs("kubectl-deepdesk completion fish | source; and echo script''-read", "script-read");
    shell.runs("clear; echo cle''ared", "cleared");
    both_ways(&mut shell);
}
