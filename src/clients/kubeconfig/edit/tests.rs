//! What a change leaves as it was: tables of texts.

use serde_json::json;

use super::*;

const HAND_WRITTEN: &str = "\
# mine, do not touch
apiVersion: v1   # the only one
kind: Config
unknown-field: {a: [1, 2]}   # kept
current-context: 'prod'
contexts:
  # the dangerous one
  - name: \"prod\"
    context: {cluster: c, user: u}
  - context:
      user: u # who
      cluster: c

      # a comment before the extension
      extensions: []
    name: test
clusters: [] # none yet
users:
";

fn changed(text: &str, change: Change) -> String {
    edit(text, &[change]).unwrap_or_else(|why| panic!("{why}:\n{text}"))
}

fn current(name: &str) -> Change {
    Change::CurrentContext(name.to_owned())
}

fn namespace(context: &str, namespace: &str) -> Change {
    Change::Namespace { context: context.to_owned(), namespace: namespace.to_owned() }
}

fn cluster(name: &str, server: &str) -> Change {
    let entry = json!({"cluster": {"server": server}, "name": name});
    Change::Entry { section: "clusters", name: name.to_owned(), entry }
}

/// The lines that are in one of the texts alone: `-old`, `+new`.
fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let begin = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let end = old[begin..].iter().rev().zip(new[begin..].iter().rev()).take_while(|(a, b)| a == b).count();
    let gone = old[begin..old.len() - end].iter().map(|line| format!("-{line}"));
    gone.chain(new[begin..new.len() - end].iter().map(|line| format!("+{line}"))).collect()
}

#[test]
fn one_thing_changes_and_the_rest_stays() {
    let cases: [(Change, &[&str]); 6] = [
        (current("test"), &["-current-context: 'prod'", "+current-context: 'test'"]),
        (current("it's"), &["-current-context: 'prod'", "+current-context: 'it''s'"]),
        (
            namespace("prod", "acme"),
            &["-    context: {cluster: c, user: u}", "+    context: {\"namespace\": \"acme\", cluster: c, user: u}"],
        ),
        (namespace("test", "acme"), &["+      namespace: acme"]),
        (namespace("test", "123"), &["+      namespace: \"123\""]),
        (
            cluster("new", "https://192.0.2.1"),
            &[
                "-clusters: [] # none yet",
                "+clusters: # none yet",
                "+- cluster:",
                "+    server: https://192.0.2.1",
                "+  name: new",
            ],
        ),
    ];
    for (change, lines) in cases {
        let new = changed(HAND_WRITTEN, change.clone());
        assert_eq!(difference(HAND_WRITTEN, &new), lines, "{change:?}\n{new}");
    }
    assert_eq!(changed(HAND_WRITTEN, current("prod")), HAND_WRITTEN);
}

#[test]
fn every_form_that_kubectl_and_gcloud_write() {
    let cases = [
        ("an empty value", "current-context:\nkind: Config\n", current("a"), "current-context: a\nkind: Config\n"),
        ("empty quotes", "current-context: \"\"\n", current("a"), "current-context: \"a\"\n"),
        ("no such key", "kind: Config\n# end\n", current("a"), "kind: Config\ncurrent-context: a\n# end\n"),
        ("no line end", "kind: Config", current("a"), "kind: Config\ncurrent-context: a"),
        ("only a comment", "# mine\n", current("a"), "# mine\ncurrent-context: a\n"),
        ("nothing", "", cluster("a", "s"), "clusters:\n- cluster:\n    server: s\n  name: a\n"),
        ("a start mark", "---\nkind: Config\n", current("a"), "---\nkind: Config\ncurrent-context: a\n"),
        ("an end mark", "kind: Config\n...\n", current("a"), "kind: Config\ncurrent-context: a\n...\n"),
        ("carriage returns", "kind: Config\r\n", current("a"), "kind: Config\r\ncurrent-context: a\r\n"),
        (
            "null, as kubectl has it",
            "clusters: null\nkind: Config\n",
            cluster("a", "s"),
            "clusters:\n- cluster:\n    server: s\n  name: a\nkind: Config\n",
        ),
        (
            "JSON",
            "{\"contexts\":[{\"name\":\"a\",\"context\":{\"cluster\":\"c\"}}],\"current-context\":\"\"}",
            namespace("a", "ns"),
            "{\"contexts\":[{\"name\":\"a\",\"context\":{\"namespace\": \"ns\", \"cluster\":\"c\"}}],\"current-context\":\"\"}",
        ),
        (
            "JSON with a list",
            "{\"clusters\":[{\"name\":\"a\"}]}",
            cluster("b", "s"),
            "{\"clusters\":[{\"name\":\"a\"}, {\"cluster\":{\"server\":\"s\"},\"name\":\"b\"}]}",
        ),
        (
            "indented dashes, blanks after them",
            "clusters:\n  -   name: a\n      cluster: {server: s}\nusers: []\n",
            cluster("b", "s"),
            "clusters:\n  -   name: a\n      cluster: {server: s}\n  - cluster:\n      server: s\n    name: b\nusers: []\n",
        ),
        (
            "an entry that is there",
            "clusters:\n- cluster:\n    server: old # was\n  name: a # first\n- name: z\nkind: Config\n",
            cluster("a", "s"),
            "clusters:\n- cluster:\n    server: s\n  name: a # first\n- name: z\nkind: Config\n",
        ),
        (
            "an entry that is there as wanted, otherwise written",
            "clusters:\n- name: a # first\n  cluster: {server: 's'}\n",
            cluster("a", "s"),
            "clusters:\n- name: a # first\n  cluster: {server: 's'}\n",
        ),
        (
            "a block scalar at the end",
            "contexts:\n- name: a\n  context:\n    cluster: |\n      c\n\nkind: Config\n",
            namespace("a", "ns"),
            "contexts:\n- name: a\n  context:\n    cluster: |\n      c\n    namespace: ns\n\nkind: Config\n",
        ),
        (
            "an alias",
            "x: &n one\ncontexts:\n- name: a\n  context:\n    namespace: *n\n",
            namespace("a", "two"),
            "x: &n one\ncontexts:\n- name: a\n  context:\n    namespace: two\n",
        ),
    ];
    for (name, text, change, expected) in cases {
        assert_eq!(changed(text, change), expected, "{name}");
    }
}

#[test]
fn what_cannot_be_changed_alone_is_refused() {
    let shared = "x: &c {cluster: c}\ncontexts:\n- name: a\n  context: *c\n- name: b\n  context: *c\n";
    let cases = [
        ("a shared mapping", shared, namespace("a", "ns")),
        ("two documents", "kind: Config\n---\nkind: Config\n", current("a")),
        ("not YAML", "clusters: {{{", current("a")),
        ("a list", "- a\n", current("a")),
        ("a tag", "current-context: !x a\n", current("b")),
        ("a mapping as a name", "current-context: {a: b}\n", current("b")),
        ("a context without content", "contexts:\n- name: a\n  context:\n", namespace("a", "ns")),
        ("no such context", "contexts: []\n", namespace("a", "ns")),
        (
            "a merge",
            "b: &b {namespace: x}\ncontexts:\n- name: a\n  context:\n    <<: *b\n    cluster: c\n",
            namespace("a", "ns"),
        ),
    ];
    for (name, text, change) in cases {
        if name == "a merge" {
            // Either is right: refused, or changed in the one place.
            if let Ok(new) = edit(text, &[change]) {
                assert!(difference(text, &new) == ["+    namespace: ns"], "{new}");
            }
            continue;
        }
        assert!(edit(text, &[change]).is_err(), "{name}");
    }
    // A shared value that is one of an anchor's own.
    let anchored = "current-context: &a one\nother: *a\n";
    assert!(edit(anchored, &[current("two")]).is_err());
}

#[test]
fn an_error_quotes_nothing_of_the_file() {
    for text in ["users: [token: MARKER", "token: \"MARKER", "- MARKER\n", "a: MARKER\na: MARKER\n"] {
        if let Err(why) = edit(text, &[current("a")]) {
            assert!(!why.contains("MARKER"), "{why}");
        }
    }
}
