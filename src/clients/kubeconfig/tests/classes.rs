//! The classes of odd kubeconfigs: what kubectl makes of each, oldest and newest, and what we do. Differences are data.

use super::*;

/// What is made of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// The server with this port is asked.
    Port(u16),
    /// It names no cluster.
    Nothing,
    /// It is refused.
    Refused,
}

use Outcome::{Nothing, Port, Refused};

struct Class {
    name: &'static str,
    bytes: Vec<u8>,
    kubectl: Outcome,
    /// Ours where it is another, and why.
    ours: Option<(Outcome, &'static str)>,
}

const USUAL: &str = "current-context: a
contexts:
- {name: a, context: {cluster: a, user: a, namespace: acme}}
clusters:
- {name: a, cluster: {server: \"http://127.0.0.1:1\"}}
users:
- {name: a, user: {}}
";

fn classes() -> Vec<Class> {
    let class = |name, text: &str, kubectl| Class { name, bytes: text.as_bytes().to_vec(), kubectl, ours: None };
    let with = |name, from: &str, to: &str, kubectl| class(name, &USUAL.replace(from, to), kubectl);
    let marked =
        |name, mark: &[u8], text: Vec<u8>| Class { name, bytes: [mark, &text].concat(), kubectl: Port(1), ours: None };
    let utf16 = |unit: fn(u16) -> [u8; 2]| USUAL.encode_utf16().flat_map(unit).collect::<Vec<_>>();
    let otherwise = |class: Class, ours, why| Class { ours: Some((ours, why)), ..class };
    let first_server = "{server: \"http://127.0.0.1:1\"}";
    vec![
        class("usual", USUAL, Port(1)),
        class("without kind and version", USUAL, Port(1)),
        class("a key twice, at the top", &format!("{USUAL}kind: Config\napiVersion: v1\nkind: Config\n"), Port(1)),
        with(
            "a key twice, in a cluster",
            first_server,
            "{server: \"http://127.0.0.1:2\", server: \"http://127.0.0.1:1\"}",
            Port(1),
        ),
        class("a section twice", &format!("clusters: []\n{USUAL}"), Port(1)),
        with("a key twice, in a user", "user: {}", "user: {token: a, token: b}", Port(1)),
        otherwise(
            with(
                "a name twice",
                "clusters:\n",
                "clusters:\n- {name: a, cluster: {server: \"http://127.0.0.1:1\"}}\n",
                Refused,
            ),
            Port(1),
            "the first one counts, as it does over several files",
        ),
        otherwise(
            class("two documents", &USUAL.replace("clusters:", "---\nclusters:"), Nothing),
            Refused,
            "the first alone is read by both, and it has no cluster of that name",
        ),
        class("a document's begin and end", &format!("---\n{USUAL}...\n"), Port(1)),
        marked("a byte order mark", b"\xef\xbb\xbf", USUAL.as_bytes().to_vec()),
        marked("UTF-16 of Windows", b"\xff\xfe", utf16(u16::to_le_bytes)),
        marked("UTF-16, the other way round", b"\xfe\xff", utf16(u16::to_be_bytes)),
        class("lines of Windows", &USUAL.replace('\n', "\r\n"), Port(1)),
        class(
            "JSON with tabs",
            "{\"current-context\":\"a\",\n\t\"contexts\":[{\"name\":\"a\",\"context\":{\"cluster\":\"a\"}}],\n\t\"clusters\":[{\"name\":\"a\",\"cluster\":{\"server\":\"http://127.0.0.1:1\"}}]}",
            Port(1),
        ),
        class("empty", "", Nothing),
        class("a comment alone", "# nothing\n", Nothing),
        class("null", "null\n", Nothing),
        with(
            "null in every place",
            "user: {}",
            "user: {token: null, exec: null, auth-provider: null, as-groups: null}",
            Port(1),
        ),
        with("a user without anything", "- {name: a, user: {}}", "- name: a", Port(1)),
        with("anchors and a merge", first_server, "{<<: *s}", Refused),
        class(
            "an anchor and a merge",
            &format!("x: &s {first_server}\n{}", USUAL.replace(first_server, "{<<: *s}")),
            Port(1),
        ),
        with("keys in capitals", "server:", "Server:", Nothing),
        with("fields that nobody knows", "namespace: acme", "namespace: acme, colour: red", Port(1)),
        with("a number for a name", "name: a, cluster", "name: 1, cluster", Refused),
        with(
            "a text for a yes",
            first_server,
            "{server: \"http://127.0.0.1:1\", insecure-skip-tls-verify: \"true\"}",
            Refused,
        ),
        with("a mapping for a list", "clusters:\n- {", "clusters:\n  {", Refused),
        class("of another kind", &format!("apiVersion: v1\nkind: Secret\n{USUAL}"), Refused),
        otherwise(
            class("of another version", &format!("apiVersion: v2\nkind: Config\n{USUAL}"), Refused),
            Port(1),
            "there is none, and what it says is clear",
        ),
        Class { name: "Latin-1", bytes: b"x: \xe9\n".to_vec(), kubectl: Refused, ours: None },
        Class { name: "zeros at the end", bytes: [USUAL.as_bytes(), b"\0\0"].concat(), kubectl: Refused, ours: None },
        with("a current context that is not there", "current-context: a", "current-context: b", Refused),
        otherwise(
            with("a cluster that is not there", "cluster: a,", "cluster: b,", Nothing),
            Refused,
            "kubectl asks localhost:8080 instead; a context is never taken for another one",
        ),
        otherwise(
            with("no current context", "current-context: a\n", "", Nothing),
            Nothing,
            "kubectl asks localhost:8080, we say that no cluster is chosen",
        ),
    ]
}

/// What we make of it.
async fn ours(path: &Path) -> Outcome {
    match loaded(&flags(path)).await {
        Ok(target) => Port(
            target.server.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port"),
        ),
        Err(error) if error.message.contains("no cluster is chosen") || error.message.contains("has no server") => {
            Nothing
        }
        Err(_) => Refused,
    }
}

#[tokio::test]
async fn each_class_is_read_as_kubectl_reads_it_or_as_the_table_says() {
    let home = Home::new();
    for Class { name, bytes, kubectl, ours: other } in classes() {
        let path = home.path("config");
        std::fs::write(&path, &bytes).expect("a file");
        let expected = other.map_or(kubectl, |(outcome, _)| outcome);
        let found = ours(&path).await;
        assert_eq!(found, expected, "{name}");
    }
}

/// `DEEPDESK_KUBECTLS=/path/kubectl.1.27:/path/kubectl.1.33 cargo test --lib oracles -- --ignored`
#[test]
#[ignore = "needs kubectl, oldest and newest, in DEEPDESK_KUBECTLS"]
fn the_oracles_say_what_the_table_says() {
    let kubectls = std::env::var_os("DEEPDESK_KUBECTLS").expect("DEEPDESK_KUBECTLS names them");
    let home = Home::new();
    for kubectl in std::env::split_paths(&kubectls) {
        for Class { name, bytes, kubectl: expected, .. } in classes() {
            let path = home.path("config");
            std::fs::write(&path, &bytes).expect("a file");
            let mut command = std::process::Command::new(&kubectl);
            command.env_clear().env("HOME", home.path("")).arg("--kubeconfig").arg(&path).args(["get", "pods"]);
            let said = command.output().expect("kubectl runs");
            let said = String::from_utf8_lossy(&said.stderr).into_owned();
            let found = match &said {
                said if said.contains("The connection to the server 127.0.0.1:1 was") => Port(1),
                said if said.contains("localhost:8080") => Nothing,
                _ => Refused,
            };
            assert_eq!(found, expected, "{}: {name}: {said}", kubectl.display());
        }
    }
}

/// What kubectl 1.27 and 1.33 did in a pod, with each of these (asked with a private mount namespace that stood in for one).
#[test]
fn in_a_pod_its_own_cluster_is_taken_where_nothing_names_another() {
    let home = Home::new();
    for (name, text) in [("token", "t"), ("namespace", "acme"), ("empty", ""), ("other", USUAL)] {
        home.write(name, text);
    }
    home.write("no-current", &USUAL.replace("current-context: a\n", ""));
    home.write("current-missing", "current-context: z\n");
    let select = |kubeconfig: &str, flags: KubeFlags| {
        let variables = [
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1".to_owned()),
            ("KUBERNETES_SERVICE_PORT", "443".to_owned()),
            ("KUBECONFIG", home.path(kubeconfig).display().to_string()),
        ];
        let env: Environment = variables.into_iter().collect();
        let directory = home.path("");
        let selected = files::select_or(&flags, &env, |env| in_cluster::pod_with(env, &directory));
        selected.map(|selected| (selected.pod.is_some(), selected.cluster.server.unwrap_or_default()))
    };
    let none = KubeFlags::default;
    let named = |text: &str| Some(text.to_owned());
    let pod = Ok((true, "https://10.0.0.1:443".to_owned()));
    for (case, kubeconfig, flags, expected) in [
        ("no file", "missing", none(), Some(&pod)),
        ("an empty file", "empty", none(), Some(&pod)),
        ("no current context", "no-current", none(), Some(&pod)),
        ("a token", "missing", KubeFlags { token: named("x"), ..none() }, Some(&pod)),
        (
            "another user to act as (kubectl asks localhost then)",
            "missing",
            KubeFlags { impersonate: named("x"), ..none() },
            Some(&pod),
        ),
        ("a kubeconfig", "other", none(), Some(&Ok((false, "http://127.0.0.1:1".to_owned())))),
        (
            "a context of it",
            "no-current",
            KubeFlags { context: named("a"), ..none() },
            Some(&Ok((false, "http://127.0.0.1:1".to_owned()))),
        ),
        ("a server", "missing", KubeFlags { server: named("https://x"), ..none() }, Some(&Ok((false, String::new())))),
        ("a context that is not there", "missing", KubeFlags { context: named("x"), ..none() }, None),
        ("a current one that is not there", "current-missing", none(), None),
        ("a user that is not there", "missing", KubeFlags { user: named("x"), ..none() }, None),
        ("a cluster that is not there", "missing", KubeFlags { cluster: named("x"), ..none() }, None),
    ] {
        let found = select(kubeconfig, flags);
        match expected {
            Some(expected) => assert_eq!(&found, expected, "{case}"),
            None => assert!(found.is_err(), "{case}: {found:?}"),
        }
    }
}

#[test]
fn a_variable_that_names_a_file_that_is_not_there_is_told() {
    let home = Home::new();
    let env = kubeconfig_env(&[home.path("gone"), home.write("empty", "")]);
    let error = files::select(&KubeFlags::default(), &env).err().expect("no context");
    assert!(error.message.contains("gone, which does not exist"), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("KUBECONFIG")));
}

#[tokio::test]
async fn one_of_several_files_that_cannot_be_written_is_no_hindrance_to_the_others() {
    let home = Home::new();
    let mine = home.write("mine", USUAL);
    // Nothing can be made below a file, whoever one is.
    home.write("fixed", "");
    let fixed = home.path("fixed/config");
    let env = kubeconfig_env(&[mine.clone(), fixed.clone()]);
    let locked = lock(&KubeFlags::default(), &env).await.expect("locked");
    locked.use_namespace("a", "globex").expect("the file that has the context is written");
    assert!(std::fs::read_to_string(&mine).expect("a file").contains("globex"));
    drop(locked);
    let flags = KubeFlags { kubeconfig: Some(fixed), ..KubeFlags::default() };
    let error = lock(&flags, &env).await.expect("locked").use_context("a").expect_err("cannot be written");
    assert!(error.hint.is_some_and(|hint| hint.contains("--kubeconfig")), "{}", error.message);
}

#[tokio::test]
async fn of_a_key_that_stands_twice_the_one_that_counts_is_changed() {
    let home = Home::new();
    let twice = home.write("twice", &format!("current-context: b\n{USUAL}"));
    let env = kubeconfig_env(std::slice::from_ref(&twice));
    lock(&KubeFlags::default(), &env).await.expect("locked").use_context("c").expect("changed");
    let text = std::fs::read_to_string(&twice).expect("a file");
    assert!(text.starts_with("current-context: b\ncurrent-context: c\n"), "{text}");
}
