//! What somebody who knows nothing makes of a line that recommends something: the command in it.

/// A command that a hint names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hint {
    /// One of ours: the words after `kubectl deepdesk`.
    Ours(Vec<String>),
    /// `gcloud secrets versions enable|disable|destroy N --secret=S`: the verb, the number, the secret.
    Change { verb: String, version: Option<u64>, secret: String },
    /// `gcloud secrets versions add S`: the value in use, where it says nothing else.
    Add { secret: String },
    /// `kubectl annotate externalsecret NAME`; none for all.
    Annotate(Option<String>),
    /// `kubectl edit externalsecret NAME`, where the line says to take `remoteRef.version` out.
    Unpin,
    /// `kubectl rollout restart deployment NAME`; none for all.
    Restart(Option<String>),
    /// `kubectl delete lease`.
    DeleteLease,
    /// Our `secret status`.
    Status,
    /// It only shows something, in words that our operator makes nothing of.
    Look(String),
    /// None of these.
    Unknown(String),
}

/// Every command in a line, in its order.
pub fn commands(line: &str) -> Vec<Hint> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = ["kubectl ", "gcloud "].iter().filter_map(|program| rest.find(program)).min() {
        let here = &rest[at..];
        let end =
            ["; ", ", then ", ", or ", " && "].iter().filter_map(|end| here.find(end)).min().unwrap_or(here.len());
        found.push(hint(here[..end].trim().trim_end_matches(['.', '`'])));
        rest = &here[end..];
    }
    found
}

impl Hint {
    /// Whether it may change something.
    pub fn acts(&self) -> bool {
        match self {
            Hint::Status | Hint::Look(_) | Hint::Unknown(_) => false,
            Hint::Ours(words) => words.get(1).is_none_or(|verb| verb != "verify"),
            _ => true,
        }
    }
}

/// What one command line means.
fn hint(line: &str) -> Hint {
    let words = shell_words::split(line).unwrap_or_default();
    // Each run comes through a door of its own: the same command through another one is no other command.
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with("--server=")).collect();
    let option = |name: &str| {
        let with = format!("{name}=");
        let apart = words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)).copied();
        words.iter().find_map(|word| word.strip_prefix(with.as_str())).or(apart).map(str::to_owned)
    };
    // `deployment/admin`, or `deployment admin`.
    let named = |at: usize| -> Option<String> {
        let kind = words.get(at)?;
        let name = kind.split_once('/').map(|(_, name)| name).or_else(|| words.get(at + 1).copied());
        name.filter(|name| !name.starts_with('-')).map(str::to_owned)
    };
    match words.as_slice() {
        ["kubectl", "deepdesk", "secret", "status", ..] => Hint::Status,
        ["kubectl", "deepdesk", "secret", ..] => Hint::Ours(words[2..].iter().map(|word| (*word).to_owned()).collect()),
        ["kubectl", "deepdesk", ..] => Hint::Look(line.to_owned()),
        ["kubectl", "edit", "externalsecret", ..] => Hint::Unpin,
        ["kubectl", "annotate", ..] => Hint::Annotate(named(2)),
        ["kubectl", "rollout", "restart", ..] => Hint::Restart(named(3)),
        ["kubectl", "rollout", "status", ..] => Hint::Look(line.to_owned()),
        ["kubectl", "delete", "lease" | "leases", ..] => Hint::DeleteLease,
        ["kubectl", "describe" | "get" | "logs" | "events", ..] => Hint::Look(line.to_owned()),
        ["gcloud", "secrets", "versions", "add", secret, ..] => Hint::Add { secret: (*secret).to_owned() },
        ["gcloud", "secrets", "versions", verb @ ("enable" | "disable" | "destroy"), version, ..] => Hint::Change {
            verb: (*verb).to_owned(),
            version: version.parse().ok(),
            secret: option("--secret").unwrap_or_default(),
        },
        ["gcloud", "secrets", "versions" | "list" | "describe" | "get-iam-policy", ..] => Hint::Look(line.to_owned()),
        _ => Hint::Unknown(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_a_hint_is_found() {
        let ours = |words: &str| Hint::Ours(words.split(' ').map(str::to_owned).collect());
        let change = |verb: &str, version, secret: &str| Hint::Change {
            verb: verb.to_owned(),
            version,
            secret: secret.to_owned(),
        };
        let cases = [
            ("if v8 was begun: kubectl deepdesk secret rotate acme --adopt", vec![ours("secret rotate acme --adopt")]),
            (
                "enable it: gcloud secrets versions enable 7 --secret=acme_account_secret --project=p",
                vec![change("enable", Some(7), "acme_account_secret")],
            ),
            (
                "if none reads v8: gcloud secrets versions disable 8 --secret=s --project=p, then rotate again",
                vec![change("disable", Some(8), "s")],
            ),
            ("gcloud secrets versions disable VERSION --secret=s", vec![change("disable", None, "s")]),
            (
                "kubectl annotate externalsecret admin-secrets a=b -n acme",
                vec![Hint::Annotate(Some("admin-secrets".into()))],
            ),
            ("kubectl rollout restart deployment/admin -n acme", vec![Hint::Restart(Some("admin".into()))]),
            (
                "kubectl deepdesk secret sync acme; kubectl deepdesk secret restart acme",
                vec![ours("secret sync acme"), ours("secret restart acme")],
            ),
            ("look: kubectl get pods -n acme", vec![Hint::Look("kubectl get pods -n acme".into())]),
            ("first let the application save everything again", vec![]),
        ];
        for (line, expected) in cases {
            assert_eq!(commands(line), expected, "{line}");
        }
    }
}
