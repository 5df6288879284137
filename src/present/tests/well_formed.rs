//! Reads a page as strictly as XML is read: no tag left open, no quote missing, nothing that is neither text nor tag.

/// The tags of a page in order, each with its attributes; fails the test when the page is not well-formed.
#[track_caller]
pub fn tags(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let body = page.strip_prefix("<!DOCTYPE html>\n").expect("a doctype");
    let (mut open, mut found, mut rest) = (Vec::<String>::new(), Vec::new(), body);
    while let Some(at) = rest.find('<') {
        text(&rest[..at], open.last().is_some_and(|tag| tag == "style"));
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        match (tag.strip_prefix('/'), tag.strip_suffix('/')) {
            (Some(name), _) => assert_eq!(open.pop().as_deref(), Some(name), "before {:.80}", rest),
            (None, Some(whole)) => found.push(parts(whole)),
            (None, None) => {
                found.push(parts(tag));
                open.push(found.last().expect("just pushed").0.clone());
            }
        }
    }
    assert_eq!((rest, open), ("\n", Vec::new()), "all is closed at the end");
    found
}

#[track_caller]
fn text(text: &str, is_style: bool) {
    let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'));
    assert_eq!(bad, None, "in {text:?}");
    let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
    let wild = text.match_indices('&').find(|(at, _)| !known.iter().any(|known| text[*at..].starts_with(known)));
    assert!(wild.is_none() || is_style, "in {text:?}");
    assert!(!text.contains('>') || is_style, "in {text:?}");
}

/// A tag's name and its attributes.
#[track_caller]
fn parts(tag: &str) -> (String, Vec<(String, String)>) {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{tag}");
    let mut attributes = Vec::new();
    while !rest.trim().is_empty() {
        let (name, after) = rest.trim_start().split_once("=\"").unwrap_or_else(|| panic!("no value: {tag}"));
        let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("no quote: {tag}"));
        text(value, false);
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name:?} in {tag}");
        attributes.push((name.to_owned(), value.to_owned()));
        rest = after;
    }
    (name.to_owned(), attributes)
}

/// Fails the test when the page could fetch, run or send anything.
#[track_caller]
pub fn needs_nothing(page: &str) {
    const KNOWN: &[&str] = &[
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "h3",
        "p",
        "span",
        "section",
        "dl",
        "dt",
        "dd",
        "div",
        "strong",
        "code",
        "ul",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "br",
        "a",
        "figure",
        "figcaption",
        "svg",
        "g",
        "text",
        "rect",
        "line",
        "footer",
    ];
    for (tag, attributes) in tags(page) {
        assert!(KNOWN.contains(&tag.as_str()), "{tag}");
        for (name, value) in attributes {
            assert!(
                !name.starts_with("on") && !["src", "style", "srcset", "action"].contains(&name.as_str()),
                "{name}"
            );
            assert!(name != "href" || value.starts_with('#'), "{name}={value}");
        }
    }
    assert!(
        !page.contains("url(") && !page.contains("@import") && !page.contains("http://") && !page.contains("https://")
    );
    assert!(page.contains("default-src 'none'"), "no policy");
}
