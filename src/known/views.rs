//! A text as it stands, and as what it may encode. Each byte knows which part of the text it comes from.

use std::ops::Range;

use deepdesk_protocol::facts::names::acts;
use zeroize::Zeroize as _;

/// A byte, and where in the text it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) byte: u8,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Seen {
    fn is(&self, byte: u8) -> bool {
        self.byte == byte
    }
}

/// What is left out before bytes are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// White space and controls: a value may be broken into lines or groups.
    Solid,
    /// All but letters, digits and what is not ASCII: it may be listed with commas or quotes between its parts.
    Bare,
}

impl Form {
    pub(super) const ALL: [Form; 2] = [Form::Solid, Form::Bare];

    fn keeps(self, byte: u8) -> bool {
        match self {
            Form::Solid => !byte.is_ascii_whitespace() && !byte.is_ascii_control(),
            Form::Bare => byte.is_ascii_alphanumeric() || !byte.is_ascii(),
        }
    }

    /// A value in this form; wiped, since most of it is still there.
    pub(super) fn of(self, bytes: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
        // In the text a character that shows nothing is left out as well, and so it is here.
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.chars().any(is_nothing));
        let mut kept = zeroize::Zeroizing::new(Vec::with_capacity(bytes.len()));
        match text {
            None => kept.extend(bytes.iter().copied().filter(|byte| self.keeps(*byte))),
            Some(text) => {
                for c in text.chars().filter(|c| !is_nothing(*c)) {
                    kept.extend(c.encode_utf8(&mut [0; 4]).bytes().filter(|byte| self.keeps(*byte)));
                }
            }
        }
        kept
    }
}

/// What acts, and the sign that stands for it where a text was made printable.
fn is_nothing(c: char) -> bool {
    acts(c) || c == char::REPLACEMENT_CHARACTER
}

/// The least digits of base64 that a piece has.
const LEAST_BASE64: usize = (super::PIECE * 8).div_ceil(6);
/// The most characters between two digits of hexadecimal, or two numbers of a list.
const WIDEST_GAP: usize = 4;
const ESCAPE: u8 = 0x1b;

/// A text, or what a part of it encodes.
pub(super) struct View(Vec<Seen>);

/// What it holds may be a value, decoded.
impl Drop for View {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|seen| seen.byte.zeroize());
    }
}

impl View {
    /// The text as it stands. Escape characters stay, also where they were made printable; other characters that show
    /// nothing are left out.
    pub(super) fn of(text: &str) -> View {
        let mut seen = Vec::with_capacity(text.len());
        for (from, c) in text.char_indices() {
            let to = from + c.len_utf8();
            match c {
                '\u{1b}' | '\u{9b}' | char::REPLACEMENT_CHARACTER => seen.push(Seen { byte: ESCAPE, from, to }),
                c if acts(c) && !c.is_ascii_whitespace() => {}
                c => seen.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| Seen { byte, from, to })),
            }
        }
        View(seen)
    }

    /// Bytes as they stand, text or not.
    pub(super) fn of_bytes(bytes: &[u8]) -> View {
        View(bytes.iter().enumerate().map(|(from, byte)| Seen { byte: *byte, from, to: from + 1 }).collect())
    }

    /// Where these bytes stand in it, in the text that it comes from.
    pub(super) fn places_of(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let is_it = |window: &&[Seen]| window.iter().zip(bytes).all(|(seen, byte)| seen.byte == *byte);
        let windows = self.0.windows(bytes.len().max(1)).filter(is_it);
        windows.map(|window| window[0].from..window[window.len() - 1].to).collect()
    }

    pub(super) fn in_form(&self, form: Form) -> Vec<Seen> {
        self.0.iter().copied().filter(|seen| form.keeps(seen.byte)).collect()
    }

    /// All that the text, or a part of it, may encode.
    pub(super) fn decoded(&self) -> Vec<View> {
        let mut views: Vec<View> = self.unescaped().into_iter().collect();
        views.extend(self.hexadecimal());
        views.extend(self.base64());
        views.extend(self.numbers());
        views
    }

    /// Escapes of JSON, C, shells, URLs, HTML, quoted-printable and terminals in place of what they stand for. None where
    /// there is none.
    fn unescaped(&self) -> Option<View> {
        let mut made = Vec::with_capacity(self.0.len());
        let mut found = false;
        let mut at = 0;
        while at < self.0.len() {
            let rest = &self.0[at..];
            let Some((bytes, length)) = escape(rest) else {
                made.push(rest[0]);
                at += 1;
                continue;
            };
            let (from, to) = (rest[0].from, rest[length - 1].to);
            made.extend(bytes.into_iter().map(|byte| Seen { byte, from, to }));
            found = true;
            at += length;
        }
        found.then_some(View(made))
    }

    /// What runs of hexadecimal digits encode, with separators between them or not, from either digit on.
    fn hexadecimal(&self) -> Vec<View> {
        let mut runs = Runs::new(2 * super::PIECE);
        let mut at = 0;
        while let Some(seen) = self.0.get(at) {
            let next = |n: usize| self.0.get(at + n).map_or(0, |seen| seen.byte);
            let is_prefix = matches!((seen.byte, next(1)), (b'0' | b'\\', b'x' | b'X')) && next(2).is_ascii_hexdigit();
            match char::from(seen.byte).to_digit(16) {
                _ if is_prefix => at += 1,
                Some(digit) => runs.push(digit, *seen),
                None => runs.part(b" \t\r\n:,;-_'\"[]{}()".contains(&seen.byte)),
            }
            at += 1;
        }
        let decode = |run: &[Digit]| -> View {
            let pairs = run.chunks_exact(2);
            View(pairs.map(|pair| seen(pair[0].value << 4 | pair[1].value, &pair[0], &pair[1])).collect())
        };
        runs.end().iter().flat_map(|run| [decode(run), decode(&run[1..])]).collect()
    }

    /// What runs of base64 encode, of either alphabet and broken into lines or not, from each of four digits on.
    fn base64(&self) -> Vec<View> {
        let mut runs = Runs::new(LEAST_BASE64);
        for seen in &self.0 {
            match base64_digit(seen.byte) {
                Some(digit) => runs.push(digit, *seen),
                None => runs.part(seen.byte.is_ascii_whitespace()),
            }
        }
        let runs = runs.end();
        runs.iter().flat_map(|run| (0..4).map(|skipped| from_base64(&run[skipped..]))).collect()
    }

    /// What lists of numbers encode: bytes as `Debug` prints them.
    fn numbers(&self) -> Vec<View> {
        let mut runs = Runs::new(super::PIECE);
        let mut at = 0;
        while let Some(first) = self.0.get(at) {
            let length = self.0[at..].iter().take_while(|seen| seen.byte.is_ascii_digit()).count();
            if length == 0 {
                runs.part(b" \t\r\n,;[]()".contains(&first.byte));
                at += 1;
                continue;
            }
            let digits = &self.0[at..at + length];
            let number = digits.iter().take(4).fold(0, |number, seen| number * 10 + u32::from(seen.byte - b'0'));
            match number <= 255 {
                true => runs.push(number, Seen { to: digits[length - 1].to, ..*first }),
                false => runs.part(false),
            }
            at += length;
        }
        let decode = |run: &Vec<Digit>| View(run.iter().map(|digit| seen(digit.value, digit, digit)).collect());
        runs.end().iter().map(decode).collect()
    }
}

/// A digit of an encoding.
#[derive(Clone, Copy, Debug)]
struct Digit {
    value: u32,
    from: usize,
    to: usize,
}

fn seen(value: u32, first: &Digit, last: &Digit) -> Seen {
    Seen { byte: (value & 0xff) as u8, from: first.from, to: last.to }
}

/// Digits that stand together.
struct Runs {
    least: usize,
    open: Vec<Digit>,
    gap: usize,
    done: Vec<Vec<Digit>>,
}

impl Runs {
    fn new(least: usize) -> Runs {
        Runs { least, open: Vec::new(), gap: 0, done: Vec::new() }
    }

    fn push(&mut self, value: u32, seen: Seen) {
        self.gap = 0;
        self.open.push(Digit { value, from: seen.from, to: seen.to });
    }

    /// Something that is no digit: what may stand between two, or not.
    fn part(&mut self, is_separator: bool) {
        self.gap += 1;
        if !is_separator || self.gap > WIDEST_GAP {
            self.close();
        }
    }

    fn close(&mut self) {
        let run = std::mem::take(&mut self.open);
        if run.len() >= self.least {
            self.done.push(run);
        }
    }

    fn end(mut self) -> Vec<Vec<Digit>> {
        self.close();
        self.done
    }
}

fn base64_digit(byte: u8) -> Option<u32> {
    let digit = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(digit))
}

/// Six bits a digit, eight a byte; what is left at the end is no byte.
fn from_base64(run: &[Digit]) -> View {
    let bytes = (0..run.len() * 6 / 8).map(|at| {
        let (first, last) = (at * 8 / 6, (at * 8 + 7) / 6);
        let two = run[first].value << 6 | run[last].value;
        // Of the twelve bits the byte begins at the 0th, 2nd or 4th from the left.
        seen(two >> (4 - at * 8 % 6), &run[first], &run[last])
    });
    View(bytes.collect())
}

/// The escape that the bytes begin with: what it stands for, and its length.
fn escape(rest: &[Seen]) -> Option<(Vec<u8>, usize)> {
    let byte = |at: usize| rest.get(at).map_or(0, |seen| seen.byte);
    let number = |from: usize, digits: usize, radix: u32| -> Option<u32> {
        let digits = rest.get(from..from + digits)?;
        digits.iter().try_fold(0, |number, seen| Some(number * radix + char::from(seen.byte).to_digit(radix)?))
    };
    let one = |number: Option<u32>, length: usize| Some((vec![u8::try_from(number?).ok()?], length));
    match (byte(0), byte(1)) {
        (ESCAPE, b'[') => {
            let end = rest.iter().take(32).skip(2).position(|seen| (0x40..=0x7e).contains(&seen.byte))?;
            Some((Vec::new(), end + 3))
        }
        (b'%', _) => one(number(1, 2, 16), 3),
        (b'=', b'\n') => Some((Vec::new(), 2)),
        (b'=', _) => one(number(1, 2, 16), 3),
        (b'&', _) => entity(rest),
        (b'\\', b'u') if rest.get(2).is_some_and(|seen| seen.is(b'{')) => {
            let digits = rest.iter().skip(3).take(6).take_while(|seen| seen.byte.is_ascii_hexdigit()).count();
            Some((utf8(number(3, digits, 16)?)?, digits + 4))
        }
        (b'\\', b'u') => unit(number(2, 4, 16)?, rest, number),
        (b'\\', b'U') => Some((utf8(number(2, 8, 16)?)?, 10)),
        (b'\\', b'x') => one(number(2, 2, 16), 4),
        (b'\\', b'0'..=b'3') => one(number(1, 3, 8), 4),
        (b'\\', b'n') => Some((vec![b'\n'], 2)),
        (b'\\', b't') => Some((vec![b'\t'], 2)),
        (b'\\', b'r') => Some((vec![b'\r'], 2)),
        (b'\\', b'b' | b'f') => Some((vec![b' '], 2)),
        (b'\\', other) if other.is_ascii_punctuation() => Some((vec![other], 2)),
        _ => None,
    }
}

/// `\uXXXX`, or two of them for one character.
fn unit(unit: u32, rest: &[Seen], number: impl Fn(usize, usize, u32) -> Option<u32>) -> Option<(Vec<u8>, usize)> {
    if !(0xd800..0xdc00).contains(&unit) {
        return Some((utf8(unit)?, 6));
    }
    let is_pair = rest.get(6)?.is(b'\\') && rest.get(7)?.is(b'u');
    let low = number(8, 4, 16).filter(|low| is_pair && (0xdc00..0xe000).contains(low))?;
    Some((utf8(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?, 12))
}

/// A character reference of HTML.
fn entity(rest: &[Seen]) -> Option<(Vec<u8>, usize)> {
    let end = rest.iter().take(12).position(|seen| seen.is(b';'))?;
    let name: String = rest[1..end].iter().map(|seen| char::from(seen.byte)).collect();
    let bytes = match name.as_str() {
        "amp" => vec![b'&'],
        "lt" => vec![b'<'],
        "gt" => vec![b'>'],
        "quot" => vec![b'"'],
        "apos" => vec![b'\''],
        name => {
            let number = name.strip_prefix('#')?;
            utf8(match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            })?
        }
    };
    Some((bytes, end + 1))
}

fn utf8(code: u32) -> Option<Vec<u8>> {
    char::from_u32(code).map(|c| c.to_string().into_bytes())
}
