//! The query of a URL.

/// Its parameters. Pairs are divided by `&` alone: `$alt=json;enum-encoding=int` is one of them.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The first of this name.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A text, empty when it is not there.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or("")
    }

    /// Whether it is there and says yes.
    pub fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), Some("true" | "1"))
    }

    /// A number; none when it is none.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(|value| value.parse().ok())
    }
}

pub fn parameter(query: &str, name: &str) -> Option<String> {
    Query::parse(query).get(name).map(str::to_owned)
}

/// Takes the percent signs out. What is no UTF-8 afterwards names nothing that exists.
pub fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = "%24alt=json%3Benum-encoding%3Dint&pageToken=&filter=labels.owner%3Ddeep+desk&etag=%22162b%22";
        let cases = [
            ("$alt", Some("json;enum-encoding=int")),
            ("pageToken", Some("")),
            ("filter", Some("labels.owner=deep desk")),
            ("etag", Some("\"162b\"")),
            ("pageSize", None),
        ];
        for (name, expected) in cases {
            assert_eq!(parameter(query, name).as_deref(), expected, "{name}");
        }
    }
}
