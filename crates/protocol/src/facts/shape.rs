//! The form of a value: how it is written and how long it is, so that a new one can take its place.
//!
//! An application that decodes its key (Fernet's 32 bytes, hexadecimal digits) does not start with one of another form. Pure, and
//! says nothing of a value but its form: what of it is told is in `Form`'s words, and its characters are not.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose;
use zeroize::Zeroizing;

use super::payload::{MAXIMUM_BYTES, MINIMUM_LENGTH, Payload};

/// The most characters that may be asked for.
pub const MOST_CHARACTERS: usize = 4096;
/// Fewer bits than this can be guessed, with much effort.
pub const FEWEST_BITS: u32 = 128;
/// Fewer hexadecimal digits, or bytes in base64, are most likely a word.
const FEWEST_DIGITS: usize = 16;
const FEWEST_BYTES: usize = 8;

const LETTERS_AND_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const STANDARD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const LOWER_HEX: &str = "0123456789abcdef";
const UPPER_HEX: &str = "0123456789ABCDEF";

/// The two alphabets of base64 (RFC 4648).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// With `+` and `/`.
    Standard,
    /// With `-` and `_`.
    UrlSafe,
}

impl Dialect {
    fn in_words(self) -> &'static str {
        match self {
            Dialect::Standard => "base64",
            Dialect::UrlSafe => "url-safe base64",
        }
    }
}

/// The characters that a value is drawn from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alphabet(Cow<'static, str>);

impl FromStr for Alphabet {
    type Err = String;

    /// By name, or the characters themselves.
    fn from_str(given: &str) -> Result<Alphabet, String> {
        let named = match given {
            "alphanumeric" => LETTERS_AND_DIGITS,
            "hex" => LOWER_HEX,
            "base64" => STANDARD,
            "base64url" => URL_SAFE,
            _ => return own_alphabet(given),
        };
        Ok(Alphabet(Cow::Borrowed(named)))
    }
}

fn own_alphabet(given: &str) -> Result<Alphabet, String> {
    const NAMES: &str = "an alphabet is alphanumeric, hex, base64, base64url, or the characters themselves";
    if let Some(unfit) = given.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(format!("{NAMES}: visible ASCII characters, and {unfit:?} is none"));
    }
    let twice = given.char_indices().find(|(at, c)| given[..*at].contains(*c));
    match twice {
        Some((_, c)) => Err(format!("{NAMES}: each once, and {c:?} stands there twice")),
        None if given.len() < 2 => Err(format!("{NAMES}: two at least")),
        None => Ok(Alphabet(Cow::Owned(given.to_owned()))),
    }
}

/// What a value of a form is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A Fernet key: 32 bytes in url-safe base64, with padding.
    Fernet,
    /// Hexadecimal digits.
    Hex,
    /// So many bytes in base64.
    Base64(usize, Dialect),
    LettersAndDigits,
    /// Characters that the operator names.
    Named,
}

/// The form of a value that is made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Form {
    kind: Kind,
    alphabet: Cow<'static, str>,
    /// Characters that are drawn.
    drawn: usize,
    /// `=` behind them.
    padding: usize,
    /// Bits of the last character that stand for nothing, and are zero, as strict decoders want it: 0, 2 or 4.
    spare_bits: u32,
    /// Whether all of it is encoded, because what copies it decodes it.
    encoded: Option<Dialect>,
    /// Whether it is that of the value before.
    kept: bool,
}

impl Form {
    /// That of a value: Fernet, hexadecimal digits or base64, else letters and digits, as many as it has and 32 at least.
    /// White space at its ends is no part of it: most often it is a newline that an editor added.
    pub fn of(value: &Payload) -> Form {
        let text = text(value).unwrap_or_default().trim();
        hex(text).or_else(|| base64(text)).unwrap_or_else(|| {
            let drawn = length(value);
            let spare_bits = if drawn == text.len() { spare_bits(text, drawn) } else { 0 };
            Form { spare_bits, ..Form::plain(Kind::LettersAndDigits, LETTERS_AND_DIGITS, drawn) }
        })
    }

    /// What the operator asks for: so many characters (else as many as the value before, 32 at least) of this alphabet, else letters
    /// and digits.
    pub fn asked(length: Option<usize>, alphabet: Option<Alphabet>, before: &Payload) -> Form {
        let drawn = length.unwrap_or_else(|| self::length(before));
        match alphabet {
            None => Form { kept: false, ..Form::plain(Kind::LettersAndDigits, LETTERS_AND_DIGITS, drawn) },
            Some(Alphabet(characters)) => {
                Form { kept: false, alphabet: characters, ..Form::plain(Kind::Named, LETTERS_AND_DIGITS, drawn) }
            }
        }
    }

    /// Bytes that are no text, in base64. Without a dialect it is written with the characters that both have.
    pub fn of_bytes(count: usize, dialect: Option<Dialect>) -> Form {
        let kind = Kind::Base64(count, dialect.unwrap_or(Dialect::Standard));
        let drawn = (count * 8).div_ceil(6);
        let padding = (4 - drawn % 4) % 4;
        let alphabet = match dialect {
            None => LETTERS_AND_DIGITS,
            Some(Dialect::Standard) => STANDARD,
            Some(Dialect::UrlSafe) => URL_SAFE,
        };
        Form { padding, spare_bits: 2 * padding as u32, ..Form::plain(kind, alphabet, drawn) }
    }

    /// The same, encoded once more: what copies it decodes it, and pods get it in this form.
    pub fn encoded(self, dialect: Dialect) -> Form {
        Form { encoded: Some(dialect), ..self }
    }

    /// The same, so long that no decoder of padded base64 takes it: what copies it decodes where it can, and the value before was
    /// copied as it was.
    pub fn undecodable(self) -> Form {
        let drawn = match (self.drawn + self.padding) % 4 {
            0 if self.padding == 0 && self.drawn < MAXIMUM_BYTES => self.drawn + 1,
            0 if self.padding == 0 => self.drawn - 1,
            _ => self.drawn,
        };
        Form { drawn, spare_bits: 0, ..self }
    }

    fn plain(kind: Kind, alphabet: &'static str, drawn: usize) -> Form {
        Form { kind, alphabet: Cow::Borrowed(alphabet), drawn, padding: 0, spare_bits: 0, encoded: None, kept: true }
    }

    /// The stable word for it.
    pub fn word(&self) -> &'static str {
        match self.kind {
            Kind::Fernet => "fernet",
            Kind::Hex => "hex",
            Kind::Base64(_, Dialect::Standard) => "base64",
            Kind::Base64(_, Dialect::UrlSafe) => "base64url",
            Kind::LettersAndDigits => "alphanumeric",
            Kind::Named => "alphabet",
        }
    }

    /// Whether it is the form of the value before, and not one that was asked for.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// Whether it is encoded, because what copies it decodes it.
    pub fn is_encoded(&self) -> bool {
        self.encoded.is_some()
    }

    /// How many characters a value of it has.
    pub fn characters(&self) -> usize {
        let written = self.drawn + self.padding;
        if self.is_encoded() { written.div_ceil(3) * 4 } else { written }
    }

    /// How many bits of entropy a value of it has, rounded down.
    pub fn bits(&self) -> u32 {
        let of = |choices: usize| (choices as f64).log2();
        let last = of(self.last_characters().len());
        // At most 64 KiB of characters, of 6.5 bits each.
        ((self.drawn - 1) as f64 * of(self.alphabet.len()) + last + 1e-9).floor() as u32
    }

    /// Whether that is too few.
    pub fn is_weak(&self) -> bool {
        self.bits() < FEWEST_BITS
    }

    /// The characters that the last one is drawn from.
    fn last_characters(&self) -> Vec<u8> {
        let stands_alone = |c: &u8| index(*c).is_some_and(|index| index % (1 << self.spare_bits) == 0);
        self.alphabet.bytes().filter(|c| self.spare_bits == 0 || stands_alone(c)).collect()
    }

    /// Makes a value of it out of random bytes that `fill` provides, each character equally likely. Fails as `fill` fails.
    pub fn make<E>(&self, mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Payload, E> {
        // Allocated once at its full size: a vector that grows leaves copies behind that nobody wipes.
        let mut value = Zeroizing::new(Vec::with_capacity(self.drawn + self.padding));
        draw(&mut value, self.alphabet.as_bytes(), self.drawn - 1, &mut fill)?;
        draw(&mut value, &self.last_characters(), 1, &mut fill)?;
        value.extend(std::iter::repeat_n(b'=', self.padding));
        let made = match self.encoded {
            None => value.to_vec(),
            Some(dialect) => {
                let mut encoded = vec![0; self.characters()];
                let engine = match dialect {
                    Dialect::Standard => &general_purpose::STANDARD,
                    Dialect::UrlSafe => &general_purpose::URL_SAFE,
                };
                let length = engine.encode_slice(value.as_slice(), &mut encoded).expect("four for each three");
                encoded.truncate(length);
                encoded
            }
        };
        Ok(Payload::new(made))
    }
}

/// For people: `64 hexadecimal digits`.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = self.drawn + self.padding;
        match self.kind {
            Kind::Fernet => write!(f, "a Fernet key (32 bytes in url-safe base64, {written} characters)")?,
            Kind::Hex => write!(f, "{written} hexadecimal digits")?,
            Kind::Base64(bytes, dialect) => {
                write!(f, "{bytes} bytes in {} ({written} characters", dialect.in_words())?;
                f.write_str(if self.padding == 0 && !written.is_multiple_of(4) { ", without padding)" } else { ")" })?;
            }
            Kind::LettersAndDigits => write!(f, "{written} letters and digits")?,
            Kind::Named => write!(f, "{written} characters of the {} of --alphabet", self.alphabet.len())?,
        }
        match self.encoded {
            Some(dialect) => write!(f, ", encoded in {}, which External Secrets decodes", dialect.in_words()),
            None => Ok(()),
        }
    }
}

/// The value as text, where it is some.
fn text(value: &Payload) -> Option<&str> {
    std::str::from_utf8(value.expose()).ok()
}

/// Whether it is one line of text, but for white space at its ends.
pub fn is_line(value: &Payload) -> bool {
    text(value).is_some_and(|text| !text.trim().chars().any(char::is_control))
}

/// Which of the two alphabets of base64 its characters are of, where they show it.
pub fn dialect(value: &Payload) -> Option<Dialect> {
    let text = text(value)?;
    match (text.contains(['+', '/']), text.contains(['-', '_'])) {
        (true, false) => Some(Dialect::Standard),
        (false, true) => Some(Dialect::UrlSafe),
        (true, true) | (false, false) => None,
    }
}

/// How many characters a value has; bytes, where it is no text. As many as may be made.
fn length(value: &Payload) -> usize {
    text(value).map_or(value.length(), |text| text.trim().chars().count()).clamp(MINIMUM_LENGTH, MAXIMUM_BYTES)
}

fn hex(text: &str) -> Option<Form> {
    let all = |fits: fn(&u8) -> bool| text.bytes().all(|c| c.is_ascii_digit() || fits(&c));
    let lower = all(|c| matches!(c, b'a'..=b'f'));
    let upper = all(|c| matches!(c, b'A'..=b'F'));
    // Digits alone are both: a number, and no hexadecimal digits.
    let alphabet = match (lower, upper) {
        (true, false) => LOWER_HEX,
        (false, true) => UPPER_HEX,
        (true, true) | (false, false) => return None,
    };
    let fits = text.len().is_multiple_of(2) && text.len() >= FEWEST_DIGITS;
    fits.then(|| Form::plain(Kind::Hex, alphabet, text.len()))
}

/// Letters and digits alone are taken for what they are: whoever decodes as many of them gets as many bytes. So are words with
/// hyphens between them: an encoder leaves no bit over, and mixes its letters.
fn base64(text: &str) -> Option<Form> {
    let written = text.trim_end_matches('=');
    let padding = text.len() - written.len();
    let has = |characters: [char; 2]| written.contains(characters);
    let dialect = match (has(['+', '/']), has(['-', '_'])) {
        (true, false) => Some(Dialect::Standard),
        (false, true) => Some(Dialect::UrlSafe),
        (false, false) if padding > 0 => None,
        (false, false) | (true, true) => return None,
    };
    let fits = written.bytes().all(|c| index(c).is_some())
        && written.len() % 4 != 1
        && (padding == 0 || (written.len() + padding).is_multiple_of(4) && padding <= 2);
    let bytes = written.len() * 6 / 8;
    let has_no_bit_over = written.len().is_multiple_of(4) || spare_bits(written, written.len()) > 0;
    let mixes = |is_such: fn(&u8) -> bool| written.bytes().any(|c| is_such(&c));
    let is_mixed = mixes(u8::is_ascii_lowercase) && mixes(u8::is_ascii_uppercase);
    if !fits || bytes < FEWEST_BYTES || !has_no_bit_over || (padding == 0 && !is_mixed) {
        return None;
    }
    let form = Form::of_bytes(bytes, dialect);
    let is_fernet = bytes == 32 && padding == 1 && dialect != Some(Dialect::Standard);
    let kind = if is_fernet { Kind::Fernet } else { form.kind };
    Some(Form { kind, padding, ..form })
}

/// The bits that the last of so many characters has to spare as base64, where they are zero in this text.
fn spare_bits(text: &str, length: usize) -> u32 {
    let bits = match length % 4 {
        2 => 4,
        3 => 2,
        _ => return 0,
    };
    let last = text.bytes().next_back().and_then(index);
    let is_strict = text.bytes().all(|c| index(c).is_some()) && last.is_some_and(|index| index % (1 << bits) == 0);
    if is_strict { bits } else { 0 }
}

/// What a character stands for in base64, in either dialect.
fn index(c: u8) -> Option<usize> {
    STANDARD.bytes().position(|own| own == c).or_else(|| URL_SAFE.bytes().position(|own| own == c))
}

/// Draws so many of these characters. Bytes at or above the largest multiple of their number are thrown away, so that each is
/// equally likely.
fn draw<E>(
    value: &mut Vec<u8>,
    characters: &[u8],
    count: usize,
    fill: &mut impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let fair = 256 - 256 % characters.len();
    let mut random = Zeroizing::new([0u8; 64]);
    let end = value.len() + count;
    while value.len() < end {
        fill(random.as_mut_slice())?;
        let missing = end - value.len();
        let drawn = random.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        value.extend(drawn.map(|byte| characters[byte % characters.len()]).take(missing));
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests/shape.rs"]
mod tests;
