//! The filters of lists, as far as gcloud and the plugin write them: `state:ENABLED`, `labels.owner=deepdesk name:old OR name:new`.
//!
//! Terms, side by side or joined by `AND`, in alternatives joined by `OR`. What it does not know it refuses.

use crate::google::ApiError;

/// Alternatives, each of terms that hold together. One without terms lets everything through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter(Vec<Vec<Term>>);

/// A field and what it has to be.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Term {
    /// For example `state` or `labels.owner`.
    field: String,
    /// `:` is "has" (for a name: contains), `=` is equality, `!=` its opposite.
    operator: &'static str,
    /// What to compare with, in lower case; `*` is "is there at all".
    value: String,
}

impl Filter {
    /// Reads a filter; an empty one lets everything through.
    pub fn parse(text: &str) -> Result<Filter, ApiError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let alternatives = words.split(|word| *word == "OR").map(|words| {
            let groups = words.split(|word| *word == "AND");
            let are_joined = words.is_empty() || groups.clone().all(|group| !group.is_empty());
            are_joined.then(|| groups.flatten().map(|word| term(word)).collect::<Option<Vec<Term>>>())?
        });
        let alternatives: Option<Vec<Vec<Term>>> = alternatives.collect();
        let alternatives = alternatives.filter(|all| all.len() == 1 || all.iter().all(|terms| !terms.is_empty()));
        alternatives.map(Filter).ok_or_else(|| ApiError::invalid(format!("Invalid filter: {text}")))
    }

    /// Whether it lets something through. `lookup` answers with the value of a field, and none when it has no such field.
    pub fn accepts(&self, lookup: &dyn Fn(&str) -> Option<String>) -> bool {
        self.0.iter().any(|terms| terms.iter().all(|term| term.accepts(lookup)))
    }
}

impl Term {
    fn accepts(&self, lookup: &dyn Fn(&str) -> Option<String>) -> bool {
        let found = lookup(&self.field).map(|found| found.to_lowercase());
        match (self.operator, found) {
            ("!=", found) => found.as_ref() != Some(&self.value),
            (_, None) => false,
            (_, Some(_)) if self.value == "*" => true,
            // A name is text: `name:acme` asks whether it contains that. The others have to be it.
            (":", Some(found)) if self.field == "name" => found.contains(&self.value),
            (_, Some(found)) => found == self.value,
        }
    }
}

fn term(word: &str) -> Option<Term> {
    if word.contains(['(', ')']) || matches!(word, "NOT" | "-") {
        return None;
    }
    let operator = ["!=", ":", "="].into_iter().filter_map(|one| word.find(one).map(|at| (at, one))).min();
    // A word alone is a part of the name.
    let (field, operator, value) = match operator {
        Some((at, operator)) => (&word[..at], operator, &word[at + operator.len()..]),
        None => ("name", ":", word),
    };
    let value = value.replace('"', "").to_lowercase();
    (!field.is_empty() && !value.is_empty()).then(|| Term { field: field.to_owned(), operator, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_let_through_what_they_say() {
        let lookup = |field: &str| match field {
            "name" => Some("projects/1/secrets/acme_account_secret".to_owned()),
            "state" => Some("ENABLED".to_owned()),
            "labels.owner" => Some("deepdesk".to_owned()),
            _ => None,
        };
        let cases = [
            ("", Some(true)),
            ("state:ENABLED", Some(true)),
            ("state=enabled", Some(true)),
            ("state:DISABLED", Some(false)),
            ("state:DISABLED OR state:ENABLED", Some(true)),
            ("state!=DESTROYED", Some(true)),
            ("name:acme", Some(true)),
            ("name:globex", Some(false)),
            ("acme", Some(true)),
            ("labels.owner=deepdesk AND name:acme", Some(true)),
            ("labels.owner=deepdesk name:globex", Some(false)),
            ("labels.owner:*", Some(true)),
            ("labels.team:*", Some(false)),
            ("labels.team=a OR name:acme AND state:ENABLED", Some(true)),
            ("labels.team=a AND state:ENABLED OR name:globex", Some(false)),
            ("labels.owner=\"deepdesk\"", Some(true)),
            ("state:", None),
            ("(state:ENABLED", None),
            ("AND", None),
            ("name:acme OR", None),
            ("name:acme AND AND state:ENABLED", None),
            ("NOT state:DESTROYED", None),
            ("=x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Filter::parse(text).ok().map(|filter| filter.accepts(&lookup)), expected, "{text}");
        }
    }
}
