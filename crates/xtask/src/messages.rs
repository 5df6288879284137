//! docs/messages.md: every sentence that the program may say, with an example and the test that made it appear.

use std::collections::BTreeMap;
use std::path::Path;

use crate::literals::{self, Literal};
use crate::{Done, root, run_with, target};

const PAGE: &str = "docs/messages.md";

/// What is never a message: marks to know other programs' words by, pages of HTML, scripts for shells.
const NO_MESSAGES: [&str; 6] = [
    // The table of docs/output.md.
    "crates/protocol/src/problem/reason.rs",
    "src/present/report/",
    "src/completion/shells.rs",
    "src/cli/habits.rs",
    "src/completion/install/places.rs",
    "src/known.rs",
];

/// Plays the suite, keeps what is said, and writes the page.
pub(crate) fn make() -> Done {
    let said = target().join("said");
    let _ = std::fs::remove_dir_all(&said);
    std::fs::create_dir_all(&said).map_err(|error| error.to_string())?;
    let kept = said.display().to_string();
    // Its figures are not wanted here: what a failing test says is said all the same.
    let played = run_with(&["cargo", "test", "--locked", "--test", "suite"], &[("DEEPDESK_SAID", &kept)]);
    write()?;
    played
}

/// The page from what the last `messages` kept.
pub(crate) fn write() -> Done {
    let (messages, said, tests) = (messages()?, Said::read(&target().join("said"))?, tests()?);
    let mut page = String::new();
    let (mut seen, mut asserted) = (0, 0);
    let mut file = "";
    for message in &messages {
        if message.file != file {
            file = &message.file;
            page.push_str(&format!("\n## {file}\n\n| message | example | test |\n| --- | --- | --- |\n"));
        }
        let example = said.example(&message.text);
        let (example, test) = match example {
            Some((example, test)) => {
                seen += 1;
                (if example == message.text { String::new() } else { code(&example) }, format!("`{test}`"))
            }
            None => match tests.iter().find(|(_, words)| words.iter().any(|words| is_of(words, &message.text))) {
                Some((test, _)) => {
                    asserted += 1;
                    (String::new(), format!("asserted in `{test}`"))
                }
                None => (String::new(), String::new()),
            },
        };
        page.push_str(&format!("| {} | {example} | {test} |\n", code(&message.text)));
    }
    let head = format!(
        "# Every message\n\nMade by `cargo xtask messages`: each sentence in the sources, as they have it (`…` is what a run fills in), an example \
         of it out of the test suite's\nruns, and the test that made it appear. What no run of the suite says and another test asserts has that test's \
         file; what has neither is a\nsentence that no test makes appear yet. `cargo xtask pages` holds the list to the sources. The help texts are in \
         [tests/suite/snapshots](../tests/suite/snapshots)\n(`help-*-80.snap`), a paragraph for each check in `kubectl deepdesk check --explain ID`.\n\n\
         {} messages: {seen} with a test of the suite, {asserted} asserted elsewhere, {} with none yet.\n",
        messages.len(),
        messages.len() - seen - asserted,
    );
    std::fs::write(root().join(PAGE), head + &page).map_err(|error| format!("{PAGE}: {error}"))
}

/// Has the page every message of the sources, and no other?
pub(crate) fn check() -> Done {
    let page = std::fs::read_to_string(root().join(PAGE)).map_err(|error| format!("{PAGE}: {error}"))?;
    let (mut file, mut there) = (String::new(), Vec::new());
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            file = name.to_owned();
        } else if let Some(cell) = line.strip_prefix("| `").filter(|_| !file.is_empty()) {
            let text = cell.split(" | ").next().unwrap_or_default();
            there.push(format!("{file}: `{text}"));
        }
    }
    let wanted: Vec<String> =
        messages()?.iter().map(|message| format!("{}: {}", message.file, code(&message.text))).collect();
    let missing: Vec<&String> = wanted.iter().filter(|message| !there.contains(message)).collect();
    let gone: Vec<&String> = there.iter().filter(|message| !wanted.contains(message)).collect();
    if missing.is_empty() && gone.is_empty() {
        println!("{PAGE} has all {} messages", wanted.len());
        return Ok(());
    }
    for message in &missing {
        println!("not on the page: {message}");
    }
    for message in &gone {
        println!("no longer said: {message}");
    }
    Err(format!(
        "{PAGE} is not what the sources say: cargo xtask messages (plays the suite), or messages-again (from its last run)"
    ))
}

fn messages() -> Result<Vec<Literal>, String> {
    let mut all = Vec::new();
    for folder in ["crates/protocol/src", "src"] {
        all.extend(literals::below(&root(), folder)?);
    }
    all.retain(|each| !NO_MESSAGES.iter().any(|folder| each.file.starts_with(folder)));
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|each| seen.insert(each.clone()));
    Ok(all)
}

/// In a cell of a table.
fn code(text: &str) -> String {
    let shown = text.replace('\n', "⏎").replace('|', "\\|").replace('`', "'");
    format!("`{}`", shown.trim())
}

/// The parts between what is filled in.
fn parts(template: &str) -> Vec<&str> {
    template.split('…').map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Where a line has the parts in their order: from the first to the end of the last.
fn found(line: &str, template: &str) -> Option<(usize, usize)> {
    let mut range: Option<(usize, usize)> = None;
    for part in parts(template) {
        let from = range.map_or(0, |(_, end)| end);
        let at = from + line[from..].find(part)?;
        range = Some((range.map_or(at, |(start, _)| start), at + part.len()));
    }
    range
}

/// What a test asserts, when it is long enough to be of this message alone.
fn is_of(words: &str, template: &str) -> bool {
    let all: usize = parts(template).iter().map(|part| part.len()).sum();
    words.contains(' ')
        && words.len() >= 12
        && 3 * words.len() >= all
        && (parts(template).iter().any(|part| part.contains(words)) || found(words, template).is_some())
}

/// What runs said, each line once, with the test that came first.
struct Said(BTreeMap<String, String>);

impl Said {
    fn read(folder: &Path) -> Result<Said, String> {
        let entries = std::fs::read_dir(folder)
            .map_err(|error| format!("{}: {error}: cargo xtask messages", folder.display()))?;
        let mut files: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        files.sort();
        let mut lines = BTreeMap::new();
        for file in files {
            let test = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .rsplit_once('-')
                .map_or(String::new(), |(test, _)| test.replace('.', "::"));
            let text = String::from_utf8_lossy(&std::fs::read(&file).map_err(|error| error.to_string())?).into_owned();
            for line in text.lines().filter(|line| line.contains(' ') && line.len() < 2_000) {
                lines.entry(neutral(line.trim())).or_insert_with(|| test.clone());
            }
        }
        Ok(Said(lines))
    }

    /// The shortest line that has it, cut to what is of it.
    fn example(&self, template: &str) -> Option<(String, &str)> {
        // What is too short to be told from others has no example.
        if parts(template).iter().map(|part| part.len()).sum::<usize>() < 8 {
            return None;
        }
        let having = self.0.iter().filter(|(line, _)| found(line, template).is_some());
        let (line, test) = having.min_by_key(|(line, _)| (is_of_a_machine(line), line.len()))?;
        Some((line.clone(), test))
    }
}

/// JSON and YAML: text is what a reader wants to see.
fn is_of_a_machine(line: &str) -> bool {
    let fields = [
        "\"",
        "{",
        "- ",
        "title:",
        "message:",
        "why:",
        "words:",
        "name:",
        "detail:",
        "hint: |",
        "text:",
        "explanation:",
    ];
    fields.iter().any(|field| line.starts_with(field))
}

/// Without what is this machine's: folders, ports, who runs it, times.
fn neutral(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.split(' ') {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/');
        let stands_for = if bare.matches('/').count() >= 2 && bare.starts_with('/') {
            Some("/…")
        } else if bare.contains('@') && !bare.contains("gserviceaccount") && !bare.contains("example") {
            Some("USER@HOST")
        } else if bare.len() >= 19 && bare.as_bytes()[4] == b'-' && bare.as_bytes()[10] == b'T' {
            Some("[time]")
        } else {
            None
        };
        words.push(match stands_for {
            Some(other) => word.replace(bare, other),
            None => word.to_owned(),
        });
    }
    let line = words.join(" ");
    match line.split_once("127.0.0.1:") {
        Some((before, after)) => {
            format!("{before}127.0.0.1:PORT{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line,
    }
}

/// String literals of test sources and snapshots, a file each.
fn tests() -> Result<Vec<(String, Vec<String>)>, String> {
    let mut found = Vec::new();
    for folder in ["crates/protocol/src", "src", "tests"] {
        for file in literals::files(&root(), folder)? {
            let text = std::fs::read_to_string(root().join(&file)).unwrap_or_default();
            let of_tests = match () {
                () if file.ends_with(".snap") => text.lines().map(|line| line.trim().to_owned()).collect(),
                () if !file.ends_with(".rs") => continue,
                () if file.contains("/tests") || file.starts_with("tests/") => literals::all(&text),
                () => text.split_once("#[cfg(test)]\nmod ").map(|(_, tests)| literals::all(tests)).unwrap_or_default(),
            };
            if !of_tests.is_empty() {
                found.push((file, of_tests));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_message_where_it_has_its_parts_in_order() {
        assert!(found("error: namespace \"acmee\" does not exist", "namespace \"…\" does not exist").is_some());
        assert!(found("does not exist: namespace \"acmee\"", "namespace \"…\" does not exist").is_none());
        assert!(is_of("does not exist", "namespace \"…\" does not exist"));
        assert!(!is_of("exist", "namespace \"…\" does not exist"));
        assert!(!is_of(
            "does not exist",
            "the namespace, in which nobody has ever looked for it before, does not exist"
        ));
    }

    #[test]
    fn what_is_this_machines_is_taken_out() {
        assert_eq!(
            neutral("at http://127.0.0.1:4711/x by me@here, in /a/b/c."),
            "at http://127.0.0.1:PORT/x by USER@HOST, in /…."
        );
    }
}
