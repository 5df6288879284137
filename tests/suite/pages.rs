//! The pages that people read: how long they are, that links lead somewhere, that what they quote is said by the program, and that
//! a newcomer's questions are answered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const PAGES: [&str; 16] = [
    "README.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "docs/commands.md",
    "docs/credentials.md",
    "docs/decisions.md",
    "docs/messages.md",
    "docs/output.md",
    "docs/performance.md",
    "docs/permissions.md",
    "docs/protocol.md",
    "docs/recovery.md",
    "docs/rehearse.md",
    "docs/testing.md",
    "krew/README.md",
];

fn read(page: &str) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{page}: {error}"))
}

#[test]
fn the_readme_is_read_in_a_few_minutes_and_every_page_is_on_the_list() {
    assert!(read("README.md").lines().count() <= 120);
    let listed: BTreeSet<PathBuf> = PAGES.iter().map(PathBuf::from).collect();
    let docs = std::fs::read_dir("docs").expect("docs").map(|entry| entry.expect("readable").path());
    let missing: Vec<PathBuf> = docs.filter(|page| page.is_file() && !listed.contains(page)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The name that a heading can be linked by.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c)).collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").expect("it is one");
    let mut seen = 0;
    for page in PAGES {
        let text = read(page);
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.starts_with("http") {
                continue;
            }
            let (file, part) = target.split_once('#').unwrap_or((target, ""));
            let from = Path::new(page).parent().expect("a folder");
            let path = if file.is_empty() { PathBuf::from(page) } else { from.join(file) };
            assert!(path.exists(), "{page}: {target}");
            if !part.is_empty() {
                let there = std::fs::read_to_string(&path).expect("readable");
                let mut headings = there.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
                assert!(headings.any(|heading| anchor(heading) == part), "{page}: {target}");
            }
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen} links");
}

/// All of our source, with what a format string fills in, and lines that are continued, taken out.
fn source() -> String {
    fn add(directory: &Path, to: &mut String) {
        for entry in std::fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                add(&path, to);
            } else if path.extension().is_some_and(|end| end == "rs") {
                to.push_str(&std::fs::read_to_string(&path).expect("readable"));
            }
        }
    }
    let mut text = String::new();
    ["src", "crates/protocol/src"].iter().for_each(|directory| add(Path::new(directory), &mut text));
    let continued = regex::Regex::new(r"\\\n\s*").expect("it is one").replace_all(&text, "").into_owned();
    regex::Regex::new(r"\{[^{}]*\}").expect("it is one").replace_all(&continued, "{}").into_owned()
}

/// Pieces of a quoted message between what differs each time: `…`, a version, a number.
fn pieces(message: &str) -> Vec<String> {
    let varies = regex::Regex::new(r"…|(primary )?v\d+|\d+").expect("it is one");
    let pieces = varies.split(message).map(|piece| piece.trim_matches([' ', ':', ',', ';', '[', ']', '-']).to_owned());
    pieces.filter(|piece| piece.len() > 3).collect()
}

#[test]
fn the_page_for_3_a_m_quotes_what_the_program_says() {
    let (source, page) = (source(), read("docs/recovery.md"));
    let row = regex::Regex::new(r"^\| (.*?) \| `(\w+)` \|").expect("it is one");
    let message = regex::Regex::new("`([^`]*)`").expect("it is one");
    let mut rows = 0;
    for line in page.lines() {
        let Some(found) = row.captures(line) else { continue };
        assert!(source.contains(&format!("Reason::{}", &found[2])), "no such reason: {line}");
        for quoted in message.captures_iter(&found[1]) {
            for piece in pieces(&quoted[1]) {
                assert!(source.contains(&piece), "nobody says `{piece}`: {line}");
            }
        }
        rows += 1;
    }
    assert!(rows > 15, "{rows} rows");
}

/// What somebody who knows kubectl and nothing of this project asks, the page that answers it, and words of the answer.
const QUESTIONS: [(&str, &str, &str); 20] = [
    ("What does it change, and why is that dangerous?", "README.md", "database fields are encrypted under it"),
    ("Can I try it without a cluster?", "README.md", "Rehearse a rotation without a cluster and without Google"),
    ("What do I run on the first day?", "README.md", "kubectl deepdesk check -A"),
    ("What happens first: the new value, or the copy of the old one?", "README.md", "before the new value exists"),
    ("In which order are the writes?", "docs/protocol.md", "## Steps of `rotate`"),
    ("Why is the old value stored before the new one is added?", "docs/protocol.md", "**I2, read before write.**"),
    ("When is the previous version disabled?", "docs/protocol.md", "Disabling the version that was in use before"),
    ("What if it dies in the middle?", "docs/recovery.md", "**Run the same command again.**"),
    ("What if two of us run it?", "docs/protocol.md", "**I3, one operator.**"),
    ("How does it know that a pod has the new value?", "docs/protocol.md", "- **R5.**"),
    ("What is back-compat?", "docs/protocol.md", "a second value that the application can decrypt with"),
    ("Why does it refuse a second rotation?", "docs/protocol.md", "**I5, never three keys.**"),
    ("What do I do after the rotation?", "docs/commands.md", "## secret finalize"),
    ("How do I go back?", "docs/commands.md", "## secret rollback"),
    ("Somebody added a version by hand: what now?", "docs/protocol.md", "- **R4.**"),
    ("A rollout is stuck: what now?", "docs/recovery.md", "the rollout of … is stuck"),
    ("Who holds the lock, and when does it end?", "docs/recovery.md", "ends by itself within 21 seconds"),
    ("Which rights does it need?", "docs/permissions.md", "kind: Role"),
    ("Where in the code is a rule kept?", "docs/protocol.md", "git grep -nw I4 -- src crates"),
    (
        "What does exit code 5 mean?",
        "docs/output.md",
        "| 5 | Some steps are done; the same command goes on from there |",
    ),
];

#[test]
fn a_newcomers_twenty_questions_are_answered() {
    for (question, page, words) in QUESTIONS {
        assert!(read(page).contains(words), "{question} {page} does not say: {words}");
    }
    // Each mark leads to the line that keeps its rule: tests/suite/architecture.rs.
}
