//! YAML and JSON as Go's programs read them: of a key that stands twice the last one counts, a byte order mark is passed
//! over, and only the first document is looked at.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;
use zeroize::Zeroizing;

/// Why a text cannot be read. Never in the parser's words: they quote what it stumbled over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unreadable {
    /// In which line, where that is known.
    pub(super) line: Option<usize>,
}

/// The characters of a file: UTF-8, or UTF-16 where its mark says so (Windows PowerShell's `>` writes that). Without the mark.
pub(super) fn characters(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let wide = |pairs: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Zeroizing<Vec<u16>> =
            Zeroizing::new(pairs.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect());
        pairs.len().is_multiple_of(2).then(|| String::from_utf16(&units).ok()).flatten()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => std::str::from_utf8(rest).ok().map(str::to_owned),
        bytes => std::str::from_utf8(bytes).ok().map(str::to_owned),
    }
    .map(Zeroizing::new)
}

/// The first document of a text; none where it has no content.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<Option<T>, Unreadable> {
    // By way of a value: a structure refuses a key that stands twice.
    let Some(value) = value(text)? else { return Ok(None) };
    match serde_json::from_value(value) {
        Ok(read) => Ok(Some(read)),
        // What a value says of itself has no place; the other way round it has one, mostly.
        Err(_) => Err(Unreadable { line: first::<T>(text).and_then(Result::err).and_then(|error| line(&error)) }),
    }
}

/// The same, as any value.
pub(super) fn value(text: &str) -> Result<Option<Value>, Unreadable> {
    // JSON may have tabs where YAML may not.
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(Some(value));
    }
    match first::<Value>(text) {
        None | Some(Ok(Value::Null)) => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(error)) => Err(Unreadable { line: line(&error) }),
    }
}

#[expect(clippy::let_and_return, reason = "what the iterator borrows must outlive it")]
fn first<T: DeserializeOwned>(text: &str) -> Option<Result<T, serde_saphyr::Error>> {
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
    let mut bytes = text.as_bytes();
    let read = serde_saphyr::read_with_options(&mut bytes, options).next();
    read
}

fn line(error: &serde_saphyr::Error) -> Option<usize> {
    error.location().map(|place| usize::try_from(place.line()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_read_as_go_reads_it() {
        let cases = [
            (
                "the last of a key that stands twice",
                "a: 1\nb: {c: 1, c: 2}\na: 3\n",
                Some(json!({"a": 3, "b": {"c": 2}})),
            ),
            ("also in JSON, with tabs", "{\"a\": 1,\n\t\"a\": 2}", Some(json!({"a": 2}))),
            ("the first document alone", "a: 1\n---\nb: 2\n", Some(json!({"a": 1}))),
            ("nothing", "# a comment\n", None),
            ("a merge", "x: &x {c: 1}\na: {<<: *x}\n", Some(json!({"x": {"c": 1}, "a": {"c": 1}}))),
        ];
        for (case, text, expected) in cases {
            assert_eq!(value(text), Ok(expected), "{case}");
        }
        assert_eq!(value("a: 1\nb: [\n").map_err(|error| error.line.is_some()), Err(true));
    }

    #[test]
    fn characters_are_found_behind_each_mark() {
        let utf16 = |unit: fn(u16) -> [u8; 2]| "a: ü".encode_utf16().flat_map(unit).collect::<Vec<_>>();
        let marked = |mark: &[u8], text: &[u8]| [mark, text].concat();
        for bytes in [
            "a: ü".as_bytes().to_vec(),
            marked(b"\xef\xbb\xbf", "a: ü".as_bytes()),
            marked(b"\xff\xfe", &utf16(u16::to_le_bytes)),
            marked(b"\xfe\xff", &utf16(u16::to_be_bytes)),
        ] {
            assert_eq!(characters(&bytes).as_deref().map(String::as_str), Some("a: ü"), "{bytes:?}");
        }
        for bytes in [&b"a: \xe9"[..], b"\xff\xfea", b"\xff\xfe\x00\xd8"] {
            assert_eq!(characters(bytes), None, "{bytes:?}");
        }
    }
}
