use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::added;
use crate::tools::{self, Tool};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("needs-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("made");
        Folder(path)
    }

    #[cfg(unix)]
    fn put(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.0.join(name);
        std::fs::write(&file, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_test_is_ignored_for_what_is_missing_and_for_nothing_else() {
    let cases: [(&str, &[&str], &str); 8] = [
        ("kubectl", &["test"], "kubectl is not on PATH"),
        ("kubectl", &["tokio :: test"], "kubectl is not on PATH"),
        ("kubectl", &["doc = r\" words\"", "tokio::test(flavor = \"multi_thread\")"], "kubectl is not on PATH"),
        ("gcloud", &["test"], ""),
        ("gcloud, kubectl", &["test"], "kubectl is not on PATH"),
        ("kubectl, bash_completion,", &["test"], "kubectl is not on PATH, bash-completion is not installed"),
        ("root", &["test"], ""),
        // It has a reason, and a second attribute would be a warning.
        ("kubectl", &["test", "ignore = \"a measurement\""], ""),
    ];
    for (named, attributes, expected) in cases {
        let attributes: Vec<String> = attributes.iter().map(|one| (*one).to_owned()).collect();
        let found = added(named, &attributes, &["kubectl", "bash_completion"]).expect("well-formed");
        assert_eq!(found.unwrap_or_default(), expected, "{named} {attributes:?}");
    }
}

#[test]
fn what_would_not_ignore_a_test_does_not_compile() {
    let refused = |named: &str, attributes: &[&str]| {
        let attributes: Vec<String> = attributes.iter().map(|one| (*one).to_owned()).collect();
        added(named, &attributes, &[]).expect_err("refused")
    };
    assert!(refused("kubetcl", &["test"]).contains("no tool is named `kubetcl`: bash, "));
    for attributes in [&[] as &[&str], &["cfg (test)"], &["doc = \"a test\""], &["rustc_test_marker = \"test\""]] {
        assert!(refused("kubectl", attributes).contains("before `#[test]`"), "{attributes:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_tool_is_there_where_a_folder_of_path_has_a_program_of_its_name() {
    let (one, two) = (Folder::new("one"), Folder::new("two"));
    one.put("kubectl", 0o644);
    two.put("gcloud", 0o755);
    std::fs::create_dir(two.0.join("zsh")).expect("made");
    let path = std::env::join_paths([&one.0, &two.0]).expect("joined");
    let lacks = |path: &OsString| -> Vec<&str> { tools::missing(path).iter().map(|tool| tool.name).collect() };
    let before = lacks(&path);
    assert!(!before.contains(&"gcloud"), "{before:?}");
    for name in ["kubectl", "zsh", "fish", "gcore"] {
        assert!(before.contains(&name), "{name}: {before:?}");
    }
    one.put("kubectl", 0o755);
    assert!(!lacks(&path).contains(&"kubectl"));
    assert!(lacks(&OsString::new()).contains(&"gcloud"));
}

#[test]
fn ci_names_each_tool_that_it_lacks_in_one_line() {
    let of =
        |names: &[&str]| -> Vec<&'static Tool> { tools::all().filter(|tool| names.contains(&tool.name)).collect() };
    let said = tools::refusal(&of(&["kubectl", "bash_completion", "root"])).expect("refused");
    assert!(said.contains("kubectl is not on PATH, bash-completion is not installed: install"), "{said}");
    assert!(!said.contains('\n') && !said.contains("root"), "{said}");
    assert_eq!(tools::refusal(&of(&["root"])), None, "nobody can install that");
}

#[test]
fn where_a_tool_may_appear_is_watched_and_where_cargo_builds_is_not() {
    let folder = Folder::new("watched");
    let (bin, built) = (folder.0.join("bin"), folder.0.join("target/debug"));
    std::fs::create_dir_all(&bin).expect("made");
    std::fs::create_dir_all(&built).expect("made");
    // A folder that is not there would have cargo ask at every build.
    let path = std::env::join_paths([&bin, &built, &folder.0.join("none"), Path::new("relative")]).expect("joined");
    assert_eq!(tools::watched(&path, &built.join("build/needs-1/out")), [bin]);
}
