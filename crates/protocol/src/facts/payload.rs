//! The bytes of a secret version, and the one place that compares them.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

/// Bytes of a version. Not `Clone`, `Display` or `Serialize`; `Debug` prints a redaction; wiped when dropped.
pub struct Payload(SecretSlice<u8>);

impl Payload {
    /// Takes the bytes over. The caller's own copies are the caller's to wipe.
    pub fn new(bytes: Vec<u8>) -> Payload {
        Payload(SecretSlice::from(bytes))
    }

    /// The same bytes once more, wiped on their own: a value that was read becomes the one to write.
    pub fn copy(&self) -> Payload {
        Payload::new(self.0.expose_secret().to_vec())
    }

    /// Whether both hold the same bytes. Takes the same time wherever they differ.
    pub fn same_as(&self, other: &Payload) -> bool {
        let (a, b) = (self.0.expose_secret(), other.0.expose_secret());
        a.len() == b.len() && a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }

    /// Whether these bytes stand somewhere inside `whole`; an empty payload stands nowhere.
    ///
    /// For the keys of a template that builds the value into a longer text.
    pub fn is_within(&self, whole: &Payload) -> bool {
        let (part, whole) = (self.0.expose_secret(), whole.0.expose_secret());
        !part.is_empty() && part.len() <= whole.len() && whole.windows(part.len()).any(|window| window == part)
    }

    /// Where these bytes end in `whole` when they stand in it at `at`; none when they do not.
    pub fn end_in(&self, whole: &Payload, at: usize) -> Option<usize> {
        let (part, whole) = (self.0.expose_secret(), whole.0.expose_secret());
        whole.get(at..)?.starts_with(part).then_some(at + part.len())
    }

    /// Where a text ends in these bytes when it stands in them at `at`; none when it does not.
    pub fn end_of(&self, text: &str, at: usize) -> Option<usize> {
        self.0.expose_secret().get(at..)?.starts_with(text.as_bytes()).then_some(at + text.len())
    }

    /// `text` with `instead` wherever these bytes stand in it as they are, however short they are.
    pub fn replaced_in(&self, text: Zeroizing<Vec<u8>>, instead: &str) -> Zeroizing<Vec<u8>> {
        replaced(&text, self.0.expose_secret(), instead.as_bytes()).unwrap_or(text)
    }

    /// How many bytes it has.
    pub fn length(&self) -> usize {
        self.0.expose_secret().len()
    }

    /// CRC32C (Castagnoli) of the bytes, as Secret Manager wants it beside an upload: a non-negative `int64`.
    pub fn crc32c(&self) -> i64 {
        i64::from(crc32c::crc32c(self.0.expose_secret()))
    }

    /// The bytes themselves, for the places that need them: the upload, the rules for a new value, what is known of them.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

/// None where `part` does not stand in `text`.
fn replaced(text: &[u8], part: &[u8], instead: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if part.is_empty() || !text.windows(part.len()).any(|window| window == part) {
        return None;
    }
    let mut made = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(part) {
            Some(after) => {
                made.extend_from_slice(instead);
                rest = after;
            }
            None => {
                made.push(*first);
                rest = after;
            }
        }
    }
    Some(Zeroizing::new(made))
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payload(redacted)")
    }
}

/// Why a new value cannot be taken. Never says anything of the value but its length.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// Fewer characters than a key may have.
    #[error("the new value is {0} characters long; at least {MINIMUM_LENGTH} are needed")]
    TooShort(usize),
    /// More bytes than a secret version may have: 64 KiB, by Secret Manager's quotas page.
    #[error("the new value is larger than the 64 KiB that a secret version may have")]
    TooLarge,
    /// Bytes that no environment variable can carry.
    #[error("the new value is not UTF-8 text, and an environment variable cannot carry it")]
    NotText,
    /// White space at an end: most often a newline that an editor or `echo` added.
    #[error("the new value begins or ends with white space (a newline at the end? use `printf %s`, not `echo`)")]
    WhiteSpaceAtEnd,
    /// Control characters inside.
    #[error("the new value contains control characters")]
    ControlCharacters,
}

/// The least number of characters that a new value may have.
pub const MINIMUM_LENGTH: usize = 32;
/// The most bytes that Secret Manager stores in a version.
pub const MAXIMUM_BYTES: usize = 64 * 1024;

/// Checks a new value against the rules that do not need the old ones.
pub fn check_new_value(value: &Payload) -> Result<(), ValueError> {
    let bytes = value.expose();
    if bytes.len() > MAXIMUM_BYTES {
        return Err(ValueError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ValueError::NotText)?;
    if text.trim() != text {
        return Err(ValueError::WhiteSpaceAtEnd);
    }
    if text.chars().any(char::is_control) {
        return Err(ValueError::ControlCharacters);
    }
    match text.chars().count() {
        length if length < MINIMUM_LENGTH => Err(ValueError::TooShort(length)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_never_shows_its_bytes() {
        let payload = Payload::new(b"s3cr3t".to_vec());
        assert_eq!(format!("{payload:?}"), "Payload(redacted)");
        assert_eq!(format!("{:?}", Some(&payload)), "Some(Payload(redacted))");
    }

    #[test]
    fn equality_is_of_all_bytes() {
        let payload = |text: &str| Payload::new(text.as_bytes().to_vec());
        assert!(payload("abc").same_as(&payload("abc")));
        for other in ["", "ab", "abd", "abcd", "bac"] {
            assert!(!payload("abc").same_as(&payload(other)), "{other:?}");
        }
        assert!(payload("key").is_within(&payload("postgres://u:key@h")));
        assert!(payload("key").is_within(&payload("key")));
        assert!(!payload("key").is_within(&payload("kee")));
        assert!(!payload("key").is_within(&payload("ke")));
        assert!(!payload("").is_within(&payload("anything")));
        assert!(payload("abc").same_as(&payload("abc").copy()) && payload("abc").length() == 3);
    }

    /// A template is followed piece by piece: text, value, text.
    #[test]
    fn a_piece_ends_where_its_bytes_end() {
        let payload = |text: &str| Payload::new(text.as_bytes().to_vec());
        let whole = payload("u:key@h");
        for (part, at, end) in
            [("key", 2, Some(5)), ("u", 0, Some(1)), ("key", 1, None), ("h", 6, Some(7)), ("h", 9, None)]
        {
            assert_eq!(payload(part).end_in(&whole, at), end, "{part} at {at}");
            assert_eq!(whole.end_of(part, at), end, "{part} at {at}");
        }
    }

    /// The check value of CRC32C (Castagnoli).
    #[test]
    fn the_checksum_is_the_one_that_secret_manager_wants() {
        assert_eq!(Payload::new(b"123456789".to_vec()).crc32c(), 0xE306_9283);
    }

    #[test]
    fn a_value_is_replaced_as_it_is() {
        let hidden = |value: &str, text: &str| {
            let text = Zeroizing::new(text.as_bytes().to_vec());
            let made = Payload::new(value.as_bytes().to_vec()).replaced_in(text, "*");
            String::from_utf8(made.to_vec()).expect("text")
        };
        for (value, text, shown) in
            [("abc", "key=abc;abc", "key=*;*"), ("abc", "abc", "*"), ("abc", "a b c", "a b c"), ("", "text", "text")]
        {
            assert_eq!(hidden(value, text), shown);
        }
    }

    #[test]
    fn a_new_value_must_be_fit_for_an_environment_variable() {
        let long = "x".repeat(32);
        let cases = [
            (long.clone(), Ok(())),
            ("x".repeat(31), Err(ValueError::TooShort(31))),
            (format!("{long}\n"), Err(ValueError::WhiteSpaceAtEnd)),
            (format!(" {long}"), Err(ValueError::WhiteSpaceAtEnd)),
            (format!("{long}\0{long}"), Err(ValueError::ControlCharacters)),
            (format!("{long}\n{long}"), Err(ValueError::ControlCharacters)),
            ("x".repeat(MAXIMUM_BYTES), Ok(())),
            ("x".repeat(MAXIMUM_BYTES + 1), Err(ValueError::TooLarge)),
        ];
        for (value, expected) in cases {
            assert_eq!(check_new_value(&Payload::new(value.clone().into_bytes())), expected, "{} bytes", value.len());
        }
        assert_eq!(check_new_value(&Payload::new(vec![0xff; 40])), Err(ValueError::NotText));
    }
}
