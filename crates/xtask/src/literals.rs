//! The sentences in the program's sources: string literals of more than a word that are no test's, no attribute's and no panic's.

use std::path::Path;

/// A sentence, as the source has it: `{…}` is what a run fills in.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Literal {
    pub file: String,
    pub text: String,
}

/// The files below a folder of the checkout, by their paths in it, in order.
pub(crate) fn files(root: &Path, folder: &str) -> Result<Vec<String>, String> {
    let wrong = |error: std::io::Error| format!("{folder}: {error}");
    let entries = std::fs::read_dir(root.join(folder)).map_err(wrong)?;
    let names: Result<Vec<String>, std::io::Error> =
        entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect();
    let mut found = Vec::new();
    for name in names.map_err(wrong)? {
        let path = format!("{folder}/{name}");
        match root.join(&path).is_dir() {
            true => found.extend(files(root, &path)?),
            false => found.push(path),
        }
    }
    found.sort();
    Ok(found)
}

/// The sentences of the program's own sources below a folder, in the order of files and lines.
pub(crate) fn below(root: &Path, folder: &str) -> Result<Vec<Literal>, String> {
    let mut found = Vec::new();
    for file in files(root, folder)? {
        if !file.ends_with(".rs") || file.contains("/tests/") || file.ends_with("/tests.rs") {
            continue;
        }
        let source = std::fs::read_to_string(root.join(&file)).map_err(|error| format!("{file}: {error}"))?;
        found.extend(sentences(&source).into_iter().map(|text| Literal { file: file.clone(), text }));
    }
    Ok(found)
}

/// What precedes a literal that nobody is meant to read.
const NOT_SAID: [&str; 16] = [
    "expect(",
    "panic!(",
    "unreachable!(",
    "assert!(",
    "debug_assert!(",
    "compile_error!(",
    "include_str!(",
    "concat!(",
    "env!(",
    // Other programs' words, which are looked for.
    "contains(",
    "starts_with(",
    "ends_with(",
    "strip_prefix(",
    "split_once(",
    "find(",
    "expect_err(",
];

fn sentences(source: &str) -> Vec<String> {
    let mut found = all(source.split("#[cfg(test)]\nmod ").next().unwrap_or_default());
    found.retain(|text| is_sentence(text));
    found
}

/// Every literal but a panic's, as `written` writes it.
pub(crate) fn all(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut before = String::new();
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("#[") || rest.starts_with("#![") {
            rest = after_attribute(rest);
        } else if let Some((text, after)) = literal(rest) {
            let said = !NOT_SAID.iter().any(|call| before.ends_with(call));
            if said {
                found.push(written(text));
            }
            before.clear();
            rest = after;
        } else if let Some(after) = character(rest) {
            rest = after;
        } else {
            if !next.is_whitespace() {
                before.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    found
}

/// What follows `#[…]`, brackets within it counted; a literal in it may hold any.
fn after_attribute(text: &str) -> &str {
    let (mut depth, mut rest) = (0, text);
    while let Some(next) = rest.chars().next() {
        if let Some((_, after)) = literal(rest) {
            rest = after;
            continue;
        }
        rest = &rest[next.len_utf8()..];
        match next {
            '[' => depth += 1,
            ']' if depth == 1 => break,
            ']' => depth -= 1,
            _ => {}
        }
    }
    rest
}

/// A string literal at the start: its inside and what follows.
fn literal(text: &str) -> Option<(&str, &str)> {
    let plain = text.strip_prefix('b').unwrap_or(text);
    if let Some(raw) = plain.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let inside = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = inside.find(&end)?;
        return Some((&inside[..length], &inside[length + end.len()..]));
    }
    let inside = plain.strip_prefix('"')?;
    let mut escaped = false;
    for (at, each) in inside.char_indices() {
        match each {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((&inside[..at], &inside[at + 1..])),
            _ => {}
        }
    }
    None
}

/// What follows a character literal; a lifetime is none.
fn character(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('\'')?;
    let length = if inside.starts_with('\\') { inside[2..].find('\'')? + 2 } else { inside.chars().next()?.len_utf8() };
    inside[length..].strip_prefix('\'')
}

/// Lines that are continued are one; what is filled in is `…`.
fn written(text: &str) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        match next {
            '\\' if rest.starts_with('\n') => rest = rest.trim_start(),
            '\\' => {
                let escaped = rest.chars().next().unwrap_or('\\');
                made.push(if escaped == 'n' { '\n' } else { escaped });
                rest = &rest[escaped.len_utf8()..];
            }
            '{' if rest.starts_with('{') => {
                made.push('{');
                rest = &rest[1..];
            }
            '}' if rest.starts_with('}') => {
                made.push('}');
                rest = &rest[1..];
            }
            '{' => {
                made.push('…');
                rest = rest.find('}').map_or("", |end| &rest[end + 1..]);
            }
            other => made.push(other),
        }
    }
    made
}

/// Two words or more, of letters.
fn is_sentence(text: &str) -> bool {
    let word = |word: &&str| word.chars().filter(|c| c.is_alphabetic()).count() >= 2 && !word.contains("::");
    text.split_whitespace().filter(word).count() >= 2 && text.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_found_and_nothing_else() {
        let source = r##"
            // "not this one here"
            #[arg(help = "nor this [one] here")]
            fn a<'a>(x: &'a str) -> char { let _ = format!("the pod {name} is \
                gone"); x.expect("it is there"); '"' }
            const B: &str = r#"a "raw" sentence"#; const C: &str = "word"; 
            #[cfg(test)]
mod tests { fn b() { "a test's sentence"; } }
        "##;
        assert_eq!(sentences(source), ["the pod … is gone", "a \"raw\" sentence"]);
    }
}
