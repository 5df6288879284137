//! What must be so before anything else happens in the process: no core dump, no logging of values, signals heard.

/// Environment variables that make a crate print requests and answers: `GOOGLE_CLOUD_RUST_LOGGING` wraps the Secret
/// Manager client in a decorator that records payloads. `COMPLETE` is for us alone: a
/// credential plugin that inherits it would complete words as well.
const LEAKY: [&str; 2] = ["GOOGLE_CLOUD_RUST_LOGGING", "COMPLETE"];

/// Forbids core dumps: they would hold the values that are in memory.
pub fn no_core_dump() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // Lowering one's own limit cannot be refused; and if it were, a run without it is what every other tool does.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Also shuts /proc/PID/mem and ptrace to other processes of the same user.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// The environment variables, without those that would make a crate log values. What is not UTF-8 is left out: none of
/// the variables that this program reads may be.
#[expect(unsafe_code, reason = "std::env::remove_var has no safe form; no other thread exists yet")]
pub fn environment() -> Vec<(String, String)> {
    for name in LEAKY {
        // SAFETY: called first thing in `main`, before any thread is started.
        unsafe { std::env::remove_var(name) };
    }
    let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(utf8).collect()
}

/// Sends requests to Google through this proxy: their client reads the process's environment, and nothing else. What
/// was read of it before (`environment`) stays as it was, and with it the proxy for the cluster.
#[expect(unsafe_code, reason = "std::env::set_var has no safe form; no other thread exists yet")]
pub fn proxy_for_google(url: &str) {
    for (name, value) in [
        ("HTTPS_PROXY", url),
        ("https_proxy", url),
        ("NO_PROXY", "127.0.0.1,localhost"),
        ("no_proxy", "127.0.0.1,localhost"),
    ] {
        // SAFETY: called in `main` before any thread is started.
        unsafe { std::env::set_var(name, value) };
    }
}

/// Has Google's client trust the authorities in this file: it, too, reads the process's environment alone. Who names others in
/// `SSL_CERT_FILE` has them trusted as well.
#[expect(unsafe_code, reason = "std::env::set_var has no safe form; no other thread exists yet")]
pub fn authorities_for_google(path: &std::path::Path) {
    let both = std::env::var_os("SSL_CERT_FILE").filter(|own| !own.is_empty()).map(|own| {
        let read = |path: &std::path::Path| std::fs::read(path).unwrap_or_default();
        [read(std::path::Path::new(&own)), b"\n".to_vec(), read(path)].concat()
    });
    let named = match both {
        None => Some(path.to_owned()),
        Some(bundle) => in_memory(&bundle),
    };
    if let Some(named) = named {
        // SAFETY: called in `main` before any thread is started.
        unsafe { std::env::set_var("SSL_CERT_FILE", named) };
    }
}

/// A file that is nowhere on a disk, and gone with the process; none where the system has no such thing.
#[cfg(target_os = "linux")]
fn in_memory(content: &[u8]) -> Option<std::path::PathBuf> {
    use std::io::Write as _;
    use std::os::fd::{AsRawFd as _, IntoRawFd as _};
    let file = rustix::fs::memfd_create("authorities", rustix::fs::MemfdFlags::CLOEXEC).ok()?;
    let mut file = std::fs::File::from(file);
    file.write_all(content).ok()?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // Open for as long as the process lives: it is read when a client is made.
    let _ = file.into_raw_fd();
    Some(path.into())
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_: &[u8]) -> Option<std::path::PathBuf> {
    None
}

/// The program's name in usage lines. kubectl runs a plugin by the path at which it found it: a directory of PATH and
/// the plugin's name. A shell hands on what was typed, which is the bare name for whoever has it on PATH.
pub fn called_as() -> &'static str {
    let path = std::env::args_os().next().map(std::path::PathBuf::from).unwrap_or_default();
    let on_path = |directory: &std::path::Path| {
        std::env::var_os("PATH").is_some_and(|list| std::env::split_paths(&list).any(|one| one == directory))
    };
    match path.is_absolute() && path.parent().is_some_and(on_path) {
        true => "kubectl deepdesk",
        false => "kubectl-deepdesk",
    }
}

/// Writes to standard error; a closed one is no reason to panic, as `eprintln!` would.
pub fn say(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Writes the answer to a shell's question. Always a success: a shell must never be told that a TAB failed.
pub fn answer(text: &str) -> std::process::ExitCode {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
    std::process::ExitCode::SUCCESS
}

/// Ctrl-C, and whatever else says that the terminal or the session ends: SIGTERM and SIGHUP; on Windows Ctrl-Break, the window
/// closed, a logoff, a shutdown. All of them are a reason to stop at a safe point. Windows waits for that for some seconds only.
pub struct Signals {
    #[cfg(unix)]
    kinds: [tokio::signal::unix::Signal; 3],
    #[cfg(windows)]
    kinds: windows::Signals,
}

impl Signals {
    /// Starts to listen. Fails when the system has no room for a handler.
    pub fn new() -> std::io::Result<Signals> {
        #[cfg(unix)]
        let kinds = {
            use tokio::signal::unix::{SignalKind, signal};
            [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]
        };
        #[cfg(windows)]
        let kinds = windows::Signals::new()?;
        Ok(Signals { kinds })
    }

    /// Resolves at the next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate, hangup] = &mut self.kinds;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }
        #[cfg(windows)]
        self.kinds.next().await;
    }
}

#[cfg(windows)]
mod windows {
    use tokio::signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_logoff,
        ctrl_shutdown,
    };

    pub(super) struct Signals {
        c: CtrlC,
        r#break: CtrlBreak,
        close: CtrlClose,
        logoff: CtrlLogoff,
        shutdown: CtrlShutdown,
    }

    impl Signals {
        pub(super) fn new() -> std::io::Result<Signals> {
            Ok(Signals {
                c: ctrl_c()?,
                r#break: ctrl_break()?,
                close: ctrl_close()?,
                logoff: ctrl_logoff()?,
                shutdown: ctrl_shutdown()?,
            })
        }

        pub(super) async fn next(&mut self) {
            tokio::select! {
                _ = self.c.recv() => {}
                _ = self.r#break.recv() => {}
                _ = self.close.recv() => {}
                _ = self.logoff.recv() => {}
                _ = self.shutdown.recv() => {}
            }
        }
    }
}
