//! The sandbox's temporary directory: gone with the sandbox, or, where that was killed, with the next one.

use std::fs::File;
use std::path::Path;

use tempfile::TempDir;

use deepdesk_protocol::problem::{Problem, Reason};

const PREFIX: &str = "deepdesk-sandbox-";
/// The file whose lock says that somebody uses the directory. The system lets go of it with the process, however that ends.
const HELD: &str = "held";

/// A directory of a sandbox.
pub struct Directory {
    // Closed before the directory goes: Windows lets nobody remove what holds an open file.
    _held: File,
    directory: TempDir,
}

impl Directory {
    /// Makes one, and takes away what killed ones left.
    pub fn new() -> Result<Directory, Problem> {
        sweep(&std::env::temp_dir());
        Directory::made().map_err(|error| Problem::new(Reason::Sandbox, format!("no temporary directory: {error}")))
    }

    fn made() -> std::io::Result<Directory> {
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        // Locked before it has its name: until then nobody takes the directory for one that is left.
        let making = directory.path().join("making");
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
fn sweep(place: &Path) {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        // Not what a link leads to: anybody may put one into a shared directory.
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let held = entry.path().join(HELD);
        let is_left = || File::open(&held).is_ok_and(|file| file.try_lock().is_ok());
        if is_directory && is_left() {
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
        sweep(place.path());
        assert_eq!([&left, &in_use, &being_made, &foreign].map(|path| path.exists()), [false, true, true, true]);
        drop(file);
        sweep(place.path());
        assert!(!in_use.exists());
    }
}
