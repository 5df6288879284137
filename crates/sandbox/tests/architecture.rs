//! Who imports whom in this crate: in one direction, and nothing of the plugin or the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each module of `src` may import. Each names only those above it, so there is no circle.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("body", &[]),
    ("class", &[]),
    ("data", &[]),
    ("faults", &[]),
    ("history", &[]),
    ("lives", &[]),
    ("pod_logs", &[]),
    ("query", &[]),
    ("path", &["query"]),
    ("clock", &["faults"]),
    ("doors", &["faults"]),
    ("google", &["body"]),
    ("options", &["faults"]),
    // The two services: neither is given the world.
    ("cluster", &["body", "clock", "faults", "path", "pod_logs", "query"]),
    ("secret_manager", &["body", "class", "faults", "google", "history", "query"]),
    ("container", &["body", "google", "options"]),
    // What is asked of them.
    ("operation", &["class", "container", "path", "query", "secret_manager"]),
    ("interference", &["body", "class", "cluster", "faults", "google", "operation", "path"]),
    ("log", &["class", "operation"]),
    // All of it, and what acts on it by itself.
    (
        "world",
        &[
            "clock",
            "cluster",
            "data",
            "doors",
            "faults",
            "history",
            "lives",
            "log",
            "options",
            "pod_logs",
            "secret_manager",
        ],
    ),
    ("accounts", &["cluster", "options", "secret_manager", "world"]),
    ("controllers", &["clock", "cluster", "faults", "options", "secret_manager", "world"]),
    ("control", &["body", "cluster", "controllers", "data", "doors", "faults", "google", "query", "world"]),
    (
        "server",
        &[
            "body",
            "class",
            "cluster",
            "container",
            "control",
            "controllers",
            "doors",
            "interference",
            "operation",
            "world",
        ],
    ),
    ("environment", &["options"]),
    ("lib", &["accounts", "controllers", "environment", "faults", "options", "server", "world"]),
];

/// A module by the names on the way to it; none for the root.
type Module = Vec<String>;

/// Each module's code, without comments and tests.
fn modules() -> BTreeMap<Module, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut open, mut found) = (vec![root.clone()], BTreeMap::new());
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                open.push(path);
            } else if path.is_file() && !matches!(name.as_str(), "tests" | "real_clients") {
                let text = std::fs::read_to_string(&path).expect("readable");
                found.insert(module(path.strip_prefix(&root).expect("below")), code(&text));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn module(path: &Path) -> Module {
    let path: PathBuf = path.with_extension("");
    let names = path.iter().map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| !matches!(name.as_str(), "mod" | "lib")).collect()
}

fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The paths in a piece of code, those in braces written out: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut prefixes: Vec<Vec<String>> = vec![Vec::new()];
    let mut path: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter.is_ascii_alphanumeric() || letter == '_' => word.push(letter),
            ':' if letters.peek() == Some(&':') => {
                letters.next();
                path.push(std::mem::take(&mut word));
            }
            _ => {
                let begun = prefixes.last().cloned().unwrap_or_default();
                if letter == '{' {
                    // Only behind `::` a brace goes on with a path.
                    let goes_on = word.is_empty() && !path.is_empty();
                    prefixes.push(if goes_on { [begun, std::mem::take(&mut path)].concat() } else { Vec::new() });
                } else if !(word.is_empty() || begun.is_empty() && path.is_empty()) {
                    found.push([begun, path.clone(), vec![word.clone()]].concat());
                }
                if letter == '}' {
                    prefixes.pop();
                }
                path.clear();
                word.clear();
            }
        }
    }
    found
}

/// The module that a path in this one leads to: the deepest that there is.
fn resolved(modules: &BTreeMap<Module, String>, here: &Module, path: &[String]) -> Option<Module> {
    let mut at = here.clone();
    let mut rest = path;
    match path.first().map(String::as_str) {
        Some("crate") => (at, rest) = (Vec::new(), &path[1..]),
        Some("self") => rest = &path[1..],
        Some("super") => {
            while rest.first().is_some_and(|name| name == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        Some(name) => {
            at.push(name.to_owned());
            modules.get(&at)?;
            rest = &path[1..];
        }
        None => return None,
    }
    for name in rest {
        at.push(name.clone());
        if !modules.contains_key(&at) {
            at.pop();
            break;
        }
    }
    Some(at)
}

fn imports(modules: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let of = |(here, code): (&Module, &String)| {
        let found = paths(code).into_iter().filter_map(|path| resolved(modules, here, &path));
        (here.clone(), found.filter(|module| module != here).collect())
    };
    modules.iter().map(of).collect()
}

/// The modules that stand on a circle of imports.
fn circle(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<&Module> {
    let mut left: BTreeMap<&Module, BTreeSet<&Module>> =
        imports.iter().map(|(module, imported)| (module, imported.iter().collect())).collect();
    loop {
        let done: Vec<&Module> =
            left.iter().filter(|(_, imported)| imported.is_empty()).map(|(module, _)| *module).collect();
        if done.is_empty() {
            return left.into_keys().collect();
        }
        left.retain(|module, _| !done.contains(module));
        left.values_mut().for_each(|imported| imported.retain(|module| !done.contains(module)));
    }
}

#[test]
fn nobody_imports_against_the_arrows() {
    let top = |module: &Module| module.first().map_or("lib", String::as_str).to_owned();
    for (place, (name, may)) in MAY_IMPORT.iter().enumerate() {
        let above = |import: &&str| MAY_IMPORT[..place].iter().any(|(other, _)| other == import);
        assert!(may.iter().all(above), "{name} names one that does not stand above it");
    }
    for (module, imported) in imports(&modules()) {
        let here = top(&module);
        let (_, may) = MAY_IMPORT.iter().find(|(name, _)| *name == here).unwrap_or_else(|| panic!("no row for {here}"));
        for import in imported.iter().map(top) {
            assert!(import == here || may.contains(&import.as_str()), "{module:?} imports {import}");
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    assert_eq!(circle(&imports(&modules())), Vec::<&Module>::new());
}

#[test]
fn the_tests_would_notice() {
    let module = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Module>();
    let of = |sources: &[(&[&str], &str)]| {
        let modules = sources.iter().map(|(names, text)| (module(names), code(text))).collect();
        imports(&modules)
    };
    let sources: &[(&[&str], &str)] = &[
        (&["a"], "use crate::{b::c::D, d};\nfn f() { inner::x() }"),
        (&["a", "inner"], "// crate::d\nuse super::super::b;\n#[cfg(test)]\nmod tests { use crate::d; }"),
        (&["b"], "struct S { a: bool }"),
        (&["b", "c"], "fn g() { crate::a::f() }"),
        (&["d"], ""),
    ];
    let found = of(sources);
    assert_eq!(found[&module(&["a"])], [&["a", "inner"][..], &["b", "c"], &["d"]].map(module).into());
    assert_eq!(found[&module(&["a", "inner"])], [module(&["b"])].into());
    assert_eq!(circle(&found), [&module(&["a"]), &module(&["b", "c"])]);
}

#[test]
fn it_knows_nothing_of_ours() {
    let manifest = std::fs::read_to_string("Cargo.toml").expect("the manifest");
    let dependencies = manifest.split("[dependencies]").nth(1).expect("a section");
    assert!(!dependencies.contains("deepdesk"), "a fake that shares a client's code shares its mistakes");
}
