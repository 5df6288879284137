//! The sandbox's temporary directory: gone with the sandbox, or, where that was killed, with the next one.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use deepdesk_protocol::problem::{Problem, Reason};

const PREFIX: &str = "deepdesk-sandbox-";
/// The file whose lock says that somebody uses the directory. The system lets go of it with the process, however that ends.
const HELD: &str = "held";
/// What it is named until it is locked.
const MAKING: &str = "making";
/// A directory without either of them is left of one that was taken away while a program still wrote there: kubectl its cache, gcloud its log.
/// Not at once: one that is being made has neither, for a moment.
const REMAINS: Duration = Duration::from_secs(600);

/// A directory of a sandbox.
pub struct Directory {
    // Closed before the directory goes: Windows lets nobody remove what holds an open file.
    _held: File,
    directory: TempDir,
}

impl Directory {
    /// Makes one, and takes away what killed ones left.
    pub fn new() -> Result<Directory, Problem> {
        sweep(&std::env::temp_dir(), REMAINS);
        Directory::made().map_err(|error| Problem::new(Reason::Sandbox, format!("no temporary directory: {error}")))
    }

    fn made() -> std::io::Result<Directory> {
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        // Locked before it has its name: until then nobody takes the directory for one that is left.
        let making = directory.path().join(MAKING);
        let held = File::create(&making)?;
        held.lock()?;
        std::fs::rename(&making, directory.path().join(HELD))?;
        Ok(Directory { _held: held, directory })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Takes away directories whose process has ended. A help: what cannot be taken away stays.
fn sweep(place: &Path, remains: Duration) {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        // Not what a link leads to: anybody may put one into a shared directory.
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let held = entry.path().join(HELD);
        let is_left = || File::open(&held).is_ok_and(|file| file.try_lock().is_ok());
        let is_old = || {
            entry
                .metadata()
                .and_then(|found| found.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= remains))
        };
        let remains = || !held.exists() && !entry.path().join(MAKING).exists() && is_old();
        if is_directory && (is_left() || remains()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_one_left_goes_and_what_is_in_use_stays() {
        let place = tempfile::tempdir().unwrap();
        let made = |name: &str, held: bool| {
            let directory = place.path().join(name);
            std::fs::create_dir(&directory).unwrap();
            let file = held.then(|| File::create(directory.join(HELD)).unwrap());
            (directory, file)
        };
        let (left, _) = made("deepdesk-sandbox-left", true);
        let (in_use, file) = made("deepdesk-sandbox-used", true);
        file.as_ref().unwrap().lock().unwrap();
        let (being_made, _) = made("deepdesk-sandbox-made", false);
        let (foreign, _) = made("somebody-elses", true);
        sweep(place.path(), REMAINS);
        assert_eq!([&left, &in_use, &being_made, &foreign].map(|path| path.exists()), [false, true, true, true]);
        drop(file);
        sweep(place.path(), REMAINS);
        assert!(!in_use.exists());
    }

    #[test]
    fn what_a_program_wrote_after_the_end_goes_too_but_not_what_is_being_made() {
        let place = tempfile::tempdir().unwrap();
        let [remains, being_made] =
            ["deepdesk-sandbox-remains", "deepdesk-sandbox-made"].map(|name| place.path().join(name));
        std::fs::create_dir_all(remains.join("kube-cache")).unwrap();
        std::fs::create_dir(&being_made).unwrap();
        File::create(being_made.join(MAKING)).unwrap();
        sweep(place.path(), REMAINS);
        assert!(remains.exists(), "it may be one of which the file is not made yet");
        sweep(place.path(), Duration::ZERO);
        assert_eq!([remains.exists(), being_made.exists()], [false, true]);
    }
}
