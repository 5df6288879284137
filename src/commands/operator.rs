//! Who runs this, as the system and the API server say: never by a variable that anybody may set.

use crate::clients::cluster::Cluster;
use crate::environment::Environment;
use crate::lock::{self, Operator};
use deepdesk_protocol::facts::names::printable;
use deepdesk_protocol::problem::{Problem, Reason};

/// The user and the machine by name.
pub fn name(environment: &Environment) -> String {
    format!("{}@{}", user(environment), machine(environment))
}

/// The same, with a random word that tells two runs of one person apart.
pub fn operator(environment: &Environment) -> Result<Operator, Problem> {
    let mut random = [0u8; 4];
    getrandom::fill(&mut random).map_err(|error| {
        Problem::new(Reason::NoRandomness, format!("the operating system's random source does not answer: {error}"))
    })?;
    Ok(Operator {
        name: name(environment),
        machine: machine(environment),
        run: format!("{:08x}", u32::from_be_bytes(random)),
        process: lock::this_process(),
    })
}

/// The name with which whoever looks finds the person in the API server's audit log, too: as whom the API server sees them, and at
/// which machine under which name. Where it does not say, the system's word has to do.
pub async fn seen_by(cluster: &Cluster, name: &str) -> String {
    match cluster.whoami().await {
        Ok(Some(whom)) if !whom.is_empty() => format!("{} ({name})", printable(&whom)),
        Ok(_) | Err(_) => name.to_owned(),
    }
}

/// The user's name by the process's user id.
#[cfg(unix)]
fn user(_: &Environment) -> String {
    let uid = rustix::process::getuid().as_raw();
    in_passwd(&std::fs::read_to_string("/etc/passwd").unwrap_or_default(), uid)
        // A directory service has the others.
        .or_else(|| said_by("/usr/bin/id", &["-un"]))
        .unwrap_or_else(|| format!("uid-{uid}"))
}

#[cfg(unix)]
fn in_passwd(file: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(&uid)).then(|| printable(name))
    })
}

#[cfg(not(unix))]
fn user(environment: &Environment) -> String {
    let root = environment.get("SystemRoot").unwrap_or("C:\\Windows");
    said_by(&format!("{root}\\System32\\whoami.exe"), &[])
        .map(|said| said.rsplit('\\').next().unwrap_or_default().to_owned())
        .or_else(|| environment.get("USERNAME").map(str::to_owned))
        .unwrap_or_else(|| "somebody".to_owned())
}

/// The one line that a program of the system says.
fn said_by(program: &str, args: &[&str]) -> Option<String> {
    let mut command = std::process::Command::new(program);
    let output = command.args(args).stdin(std::process::Stdio::null()).output().ok()?;
    let said = printable(String::from_utf8_lossy(&output.stdout).trim());
    (output.status.success() && !said.is_empty() && !said.contains(' ')).then_some(said)
}

fn machine(environment: &Environment) -> String {
    #[cfg(unix)]
    {
        let _ = environment;
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
    #[cfg(not(unix))]
    {
        environment.get("COMPUTERNAME").unwrap_or("somewhere").to_owned()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_users_name_is_the_one_of_the_process_and_not_a_variables() {
        let file =
            "root:x:0:0:root:/root:/bin/sh\n# a comment\nann:x:1000:1000:Ann,,,:/home/ann:/bin/zsh\n:x:7:7::/:/\n";
        for (uid, name) in [(0, Some("root")), (1000, Some("ann")), (7, None), (100, None)] {
            assert_eq!(in_passwd(file, uid).as_deref(), name, "{uid}");
        }
        let said = user(&Environment::default());
        let lied = user(&[("USER", "mallory"), ("LOGNAME", "mallory")].into_iter().collect());
        assert_eq!(said, lied);
        assert_ne!(said, "mallory");
    }
}
