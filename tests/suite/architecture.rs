//! The arrows of ARCHITECTURE.md, held: who imports whom, and who sees a value's bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each module of `src` may import of the others, and of the crates of the protocol and the sandbox. `commands` may import
/// all, and only `main` imports it.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("environment", &[]),
    ("known", &[PROTOCOL]),
    ("setting", &[PROTOCOL]),
    ("present", &[PROTOCOL, "known", "setting"]),
    ("clients", &[PROTOCOL, "environment", "known", "setting"]),
    ("settings", &[PROTOCOL, "environment", "setting"]),
    ("cli", &[PROTOCOL, "environment", "setting"]),
    ("request", &[PROTOCOL, "cli", "clients", "environment", "known", "setting", "settings"]),
    ("error", &[PROTOCOL, "clients"]),
    ("access", &[PROTOCOL, "clients"]),
    ("lock", &[PROTOCOL, "clients"]),
    ("observe", &[PROTOCOL, "clients", "environment", "known", "lock", "request", "setting"]),
    ("run", &[PROTOCOL, "clients", "lock", "present", "request"]),
    ("execute", &[PROTOCOL, "clients", "lock", "observe", "run"]),
    ("guard", &[]),
    ("completion", &[PROTOCOL, "cli", "clients", "environment", "request", SANDBOX, "setting"]),
    ("main", &[PROTOCOL, "cli", "commands", "completion", "environment", "guard", "run"]),
];

const PROTOCOL: &str = "deepdesk_protocol";
const SANDBOX: &str = "deepdesk_sandbox";

/// The same within that crate: facts first, and nothing flows back. `result`, `status` and `trail` are what is told of a run.
const PROTOCOL_MAY_IMPORT: &[(&str, &[&str])] = &[
    ("facts", &[]),
    ("hint", &["facts"]),
    ("problem", &["facts", "hint"]),
    ("event", &["facts"]),
    ("fleet", &["facts", "hint", "problem", "state"]),
    ("happening", &["event", "facts", "problem", "step"]),
    ("effects", &["facts", "step"]),
    ("invariants", &[]),
    ("explain", &["facts", "hint", "problem", "step"]),
    ("record", &["facts"]),
    ("lock", &["facts", "hint", "problem"]),
    ("state", &["facts", "in_use"]),
    ("in_use", &["facts", "state"]),
    ("live", &["facts", "in_use", "state"]),
    ("step", &["event", "facts", "record", "state"]),
    ("trail", &["event", "facts", "state"]),
    ("status", &["facts", "hint", "state"]),
    ("checkup", &["check", "hint", "problem", "result"]),
    ("result", &["event", "facts", "hint", "live", "lock", "problem", "state", "status"]),
    ("plan", &["event", "facts", "hint", "in_use", "problem", "result", "state", "status", "step"]),
    ("check", &["checkup", "facts", "hint", "in_use", "plan", "problem", "result", "state"]),
];

/// Files that may look at secret bytes, and how often: to upload a value, to take a JSON value's properties apart, and
/// to hand a token on, of a credential plugin or of gcloud; and to take note of what must not be shown, where a value's
/// hashes are made and where a cluster's token is at hand; and to tell what a person gave in a value's place. Values are
/// compared and checked in their own file.
const MAY_EXPOSE: &[(&str, usize)] = &[
    // Of which form a value is, so that a new one has it.
    ("crates/protocol/src/facts/shape.rs", 1),
    ("src/clients/credentials/providers.rs", 1),
    ("src/clients/kubeconfig.rs", 3),
    ("src/clients/kubeconfig/exec.rs", 3),
    ("src/clients/secret_manager.rs", 1),
    ("src/commands/value/hand.rs", 2),
    ("src/known.rs", 1),
    // Which known value stands in bytes that are made in a way that is not followed.
    ("src/observe/shown.rs", 5),
    ("src/observe/vault.rs", 3),
];

/// The plugin's sources and the protocol's. The sandbox holds no payload of ours and keeps no rule of the protocol.
fn sources() -> Vec<(PathBuf, String)> {
    sources_below(&["src", "crates/protocol/src"])
}

fn sources_below(places: &[&str]) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = places.iter().map(|place| root.join(place)).collect();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("readable");
                found.push((path.strip_prefix(root).expect("below").to_owned(), text));
            }
        }
    }
    found.retain(|(path, _)| !is_test(path));
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// The table for a file, and the top-level module that the file belongs to.
fn module(path: &Path) -> (&'static [(&'static str, &'static [&'static str])], String) {
    let (table, below) = match path.strip_prefix("src") {
        Ok(below) => (MAY_IMPORT, below),
        Err(_) => (PROTOCOL_MAY_IMPORT, path.strip_prefix("crates/protocol/src").expect("below a src")),
    };
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    (table, first.trim_end_matches(".rs").to_owned())
}

/// The code without comments and without tests: a test may look wherever it must. A test module in the file is its last
/// item; one in a file of its own (`mod tests;`) may be named anywhere, and ends nothing.
fn code(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]\n") {
        kept.push_str(before);
        let declaration = after.lines().find(|line| !line.starts_with("#[")).unwrap_or_default();
        if declaration.trim_end().ends_with('{') && declaration.contains("mod ") {
            rest = "";
            break;
        }
        rest = after;
    }
    kept.push_str(rest);
    kept.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Whether the whole file is for tests.
fn is_test(path: &Path) -> bool {
    let names = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    names.into_iter().any(|name| matches!(name.as_str(), "tests" | "tests.rs" | "testing.rs"))
}

/// The modules named in `crate::NAME`, also in groups: `use crate::{a, b::c}`.
fn imports(code: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let roots = ["crate::", "kubectl_deepdesk::"];
    let mut found = BTreeSet::new();
    for after in roots.iter().flat_map(|root| code.split(root).skip(1)) {
        match after.strip_prefix('{') {
            None => found.extend([name(after)]),
            Some(group) => {
                let group = group.split('}').next().unwrap_or_default();
                found.extend(group.split(',').map(|part| name(part.trim())));
            }
        }
    }
    // The macro that makes a command, which stands at the root.
    found.remove("command");
    found.remove("");
    let packages = [PROTOCOL, SANDBOX].into_iter().filter(|package| code.contains(&format!("{package}::")));
    found.extend(packages.map(str::to_owned));
    found
}

#[test]
fn nobody_imports_against_the_arrows() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let (table, module) = module(&path);
        if matches!(module.as_str(), "lib" | "commands") {
            continue;
        }
        let of = |(name, _): &&(&str, &[&str])| *name == module;
        let (_, may) = table.iter().find(of).unwrap_or_else(|| panic!("{module} is not in the table"));
        for import in imports(&code(&text)) {
            if import != module && !may.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The rows of a table of docs/protocol.md that begin with a mark (`I4`, `R5`): the mark, and the file that keeps it.
fn marks() -> Vec<(String, String)> {
    let page = std::fs::read_to_string("docs/protocol.md").expect("docs/protocol.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")).map(|row| row.split(" | ").collect::<Vec<_>>());
    let marks = rows.filter(|row| row.len() == 4 && is_mark(row[0]));
    marks.map(|row| (row[0].to_owned(), row[1].split('`').nth(1).unwrap_or_default().to_owned())).collect()
}

fn is_mark(word: &str) -> bool {
    word.len() == 2 && word.starts_with(['I', 'R']) && word.ends_with(|c: char| c.is_ascii_digit())
}

/// The marks that a file's comments carry.
fn marked(text: &str) -> BTreeSet<String> {
    let comments = text.lines().filter_map(|line| line.split_once("//")).map(|(_, comment)| comment);
    let words = comments.flat_map(|comment| comment.split(|c: char| !c.is_ascii_alphanumeric()));
    words.filter(|word| is_mark(word)).map(str::to_owned).collect()
}

#[test]
fn each_mark_of_the_protocol_stands_where_it_is_kept() {
    let marks = marks();
    let named: Vec<&str> = marks.iter().map(|(mark, _)| mark.as_str()).collect();
    let all = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "R1", "R2", "R3", "R4", "R5", "R6", "R7"];
    assert_eq!(named, all, "the table of docs/protocol.md");
    for (mark, file) in &marks {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{mark}: {file}: {error}"));
        assert!(marked(&text).contains(mark), "{file} does not carry {mark}");
    }
    for (path, text) in &sources() {
        let unknown: Vec<String> = marked(text).into_iter().filter(|mark| !all.contains(&mark.as_str())).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?} is no mark of docs/protocol.md", path.display());
    }
}

#[test]
fn each_document_that_a_comment_names_exists() {
    for (path, text) in sources_below(&["src", "crates/protocol/src", "crates/sandbox/src"]) {
        let comments = text.lines().filter_map(|line| line.split_once("//")).map(|(_, comment)| comment);
        let words =
            comments.flat_map(|comment| comment.split(|c: char| !(c.is_ascii_alphanumeric() || "./-_".contains(c))));
        for document in words.map(|word| word.trim_matches('.')).filter(|word| word.ends_with(".md")) {
            assert!(Path::new(document).is_file(), "{} names {document}", path.display());
        }
    }
}

#[test]
fn the_table_would_notice() {
    let group = imports(&code(
        "use crate::{clients::error, domain};\n// crate::commands\nfn f() { crate::present::x() }\nuse deepdesk_protocol::state;",
    ));
    assert_eq!(group.into_iter().collect::<Vec<_>>(), ["clients", "deepdesk_protocol", "domain", "present"]);
    assert!(!code("use a;\n#[cfg(test)]\nmod tests {\n use crate::clients; }").contains("clients"));
    assert!(code("#[cfg(test)]\nmod tests;\nuse crate::clients;").contains("clients"));
}

#[test]
fn the_bytes_of_a_value_are_seen_in_few_places() {
    let mut found = BTreeMap::new();
    for (path, text) in sources() {
        let path = path.to_string_lossy().replace('\\', "/");
        let times = code(&text).matches(".expose()").count() + code(&text).matches("expose_secret()").count();
        if times > 0 && path != "crates/protocol/src/facts/payload.rs" {
            found.insert(path, times);
        }
    }
    let allowed: BTreeMap<String, usize> =
        MAY_EXPOSE.iter().map(|(path, times)| ((*path).to_owned(), *times)).collect();
    assert_eq!(found, allowed);
}
