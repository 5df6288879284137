//! The query of a URL.

/// Its parameters. Pairs are divided by `&` alone: `$alt=json;enum-encoding=int` is one of them.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(query: &str) -> Self {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
        };
        Self(query.split('&').filter(|part| !part.is_empty()).map(pair).collect())
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
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair =
            tail.split_first_chunk().and_then(|([high, low], after)| Some((digit(high)? << 4 | digit(low)?, after)));
        let (byte, after) = pair.filter(|_| *first == b'%').unwrap_or((*first, tail));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
