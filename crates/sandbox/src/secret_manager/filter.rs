//! The filters of lists: `state:ENABLED`, `labels.owner=deepdesk AND NOT name:old`.
//!
//! Not all of Google's filter language: terms with `AND`, `OR`, `NOT` and parentheses. What it does not know it refuses.

use crate::google::ApiError;

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Filter {
    /// Lets everything through.
    Any,
    /// A field and what it has to be.
    Term {
        /// For example `state` or `labels.owner`.
        field: String,
        /// `:` is "has" (for text: contains), `=` is equality, `!=` its opposite.
        operator: &'static str,
        /// What to compare with; `*` is "is there at all".
        value: String,
    },
    And(Vec<Filter>),
    Or(Vec<Filter>),
    /// The opposite.
    Not(Box<Filter>),
}

impl Filter {
    /// Reads a filter; an empty one lets everything through.
    pub fn parse(text: &str) -> Result<Filter, ApiError> {
        let tokens = tokens(text);
        if tokens.is_empty() {
            return Ok(Filter::Any);
        }
        let mut rest = tokens.as_slice();
        let filter = either(&mut rest, "").filter(|_| rest.is_empty());
        filter.ok_or_else(|| ApiError::invalid(format!("Invalid filter: {text}")))
    }

    /// Whether it lets something through. `lookup` answers with the value of a field, and none when it has no such field.
    pub fn accepts(&self, lookup: &dyn Fn(&str) -> Option<String>) -> bool {
        match self {
            Filter::Any => true,
            Filter::And(all) => all.iter().all(|filter| filter.accepts(lookup)),
            Filter::Or(some) => some.iter().any(|filter| filter.accepts(lookup)),
            Filter::Not(filter) => !filter.accepts(lookup),
            Filter::Term { field, operator, value } => {
                let found = lookup(field).map(|found| found.to_lowercase());
                let value = value.to_lowercase();
                match (*operator, found) {
                    ("!=", found) => found != Some(value),
                    (_, None) => false,
                    (_, Some(_)) if value == "*" => true,
                    ("=", Some(found)) => found == value,
                    // A name is text: `name:acme` asks whether it contains that. The others have to be it.
                    (_, Some(found)) => {
                        if field == "name" {
                            found.contains(&value)
                        } else {
                            found == value
                        }
                    }
                }
            }
        }
    }
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            '(' | ')' if !quoted => {
                tokens.push(letter.to_string());
                tokens.push(String::new());
            }
            letter if letter.is_whitespace() && !quoted => tokens.push(String::new()),
            letter => {
                if let Some(last) = tokens.last_mut() {
                    last.push(letter);
                }
            }
        }
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

fn either(rest: &mut &[String], field: &str) -> Option<Filter> {
    let mut some = vec![all(rest, field)?];
    while rest.first().is_some_and(|token| token == "OR") {
        *rest = &rest[1..];
        some.push(all(rest, field)?);
    }
    Some(if some.len() == 1 { some.remove(0) } else { Filter::Or(some) })
}

fn all(rest: &mut &[String], field: &str) -> Option<Filter> {
    let mut all = vec![one(rest, field)?];
    while let Some(next) = rest.first() {
        match next.as_str() {
            "AND" => *rest = &rest[1..],
            "OR" | ")" => break,
            // Terms side by side are joined by an AND that is not written.
            _ => {}
        }
        all.push(one(rest, field)?);
    }
    Some(if all.len() == 1 { all.remove(0) } else { Filter::And(all) })
}

/// One term, a negation, or a filter in parentheses; `field` is the one that bare words are about.
fn one(rest: &mut &[String], field: &str) -> Option<Filter> {
    let (token, after) = rest.split_first()?;
    *rest = after;
    match token.as_str() {
        "NOT" | "-" => return Some(Filter::Not(Box::new(one(rest, field)?))),
        "(" => {
            let inner = either(rest, field)?;
            let (closing, after) = rest.split_first()?;
            *rest = after;
            return (closing == ")").then_some(inner);
        }
        ")" | "AND" | "OR" => return None,
        _ => {}
    }
    let Some((at, operator)) = ["!=", ":", "="].iter().filter_map(|o| token.find(o).map(|at| (at, *o))).min() else {
        let field = if field.is_empty() { "name" } else { field };
        return Some(Filter::Term { field: field.to_owned(), operator: ":", value: token.clone() });
    };
    let (name, value) = (&token[..at], &token[at + operator.len()..]);
    if name.is_empty() {
        return None;
    }
    if !value.is_empty() {
        return Some(Filter::Term { field: name.to_owned(), operator, value: value.to_owned() });
    }
    // `state:(ENABLED OR DISABLED)`, and `state : ENABLED` with spaces.
    match rest.first()?.as_str() {
        "(" => {
            *rest = &rest[1..];
            let inner = either(rest, name)?;
            let (closing, after) = rest.split_first()?;
            *rest = after;
            (closing == ")").then_some(inner)
        }
        _ => one(rest, name),
    }
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
            ("state:(DISABLED OR ENABLED)", Some(true)),
            ("NOT state:DESTROYED", Some(true)),
            ("state!=DESTROYED", Some(true)),
            ("name:acme", Some(true)),
            ("name:globex", Some(false)),
            ("acme", Some(true)),
            ("labels.owner=deepdesk AND name:acme", Some(true)),
            ("labels.owner=deepdesk name:globex", Some(false)),
            ("labels.owner:*", Some(true)),
            ("labels.team:*", Some(false)),
            ("labels.team=a OR (name:acme AND state:ENABLED)", Some(true)),
            ("labels.owner=\"deepdesk\"", Some(true)),
            ("state:", None),
            ("(state:ENABLED", None),
            ("AND", None),
            ("=x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Filter::parse(text).ok().map(|filter| filter.accepts(&lookup)), expected, "{text}");
        }
    }
}
