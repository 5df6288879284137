//! Finds values in text, whole or in pieces, in every form that text is put into.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// A piece of a value this long is a leak; anything shorter may be chance.
pub const WINDOW: usize = 16;

/// Finds values, whole or in pieces, in any of their forms.
pub struct Scanner {
    windows: HashSet<[u8; WINDOW]>,
}

impl Scanner {
    pub fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Scanner {
        let mut windows = HashSet::new();
        for form in values.into_iter().flat_map(forms) {
            windows.extend(form.windows(WINDOW).map(|window| <[u8; WINDOW]>::try_from(window).expect("its length")));
        }
        Scanner { windows }
    }

    pub fn finds(&self, text: &[u8]) -> Option<usize> {
        let known = |window: &[u8]| <[u8; WINDOW]>::try_from(window).is_ok_and(|window| self.windows.contains(&window));
        text.windows(WINDOW).position(known)
    }
}

/// The forms in which a value may be written. Base64 begins at any of three places within the bytes around it, and its
/// end depends on what follows, a line break for one: so its last characters are left out.
pub fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(value);
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent = |all: bool, upper: bool| -> Vec<u8> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let shown = |byte: &u8| match (plain(*byte) && !all, upper) {
            (true, _) => char::from(*byte).to_string(),
            (false, true) => format!("%{byte:02X}"),
            (false, false) => format!("%{byte:02x}"),
        };
        value.iter().map(shown).collect::<String>().into_bytes()
    };
    let json = serde_json::to_string(&text).expect("text");
    let ascii_json: String = text.encode_utf16().map(json_unit).collect();
    let numbers = |between: &str| value.iter().map(u8::to_string).collect::<Vec<_>>().join(between).into_bytes();
    let mut forms = vec![
        value.to_vec(),
        hex.clone().into_bytes(),
        hex.to_uppercase().into_bytes(),
        percent(false, true),
        percent(false, false),
        percent(true, true),
        json.trim_matches('"').as_bytes().to_vec(),
        ascii_json.into_bytes(),
        format!("{text:?}").trim_matches('"').as_bytes().to_vec(),
        value.escape_ascii().to_string().into_bytes(),
        // As `Debug` and JSON print a list of bytes.
        numbers(", "),
        numbers(","),
    ];
    for skipped in 0..3 {
        for engine in [&STANDARD, &URL_SAFE] {
            let mut encoded = engine.encode(&value[skipped..]).into_bytes();
            encoded.truncate(encoded.len() - 4);
            // Twice: a Kubernetes Secret as a payload of Secret Manager, for one.
            for skipped in 0..3 {
                let mut twice = STANDARD.encode(&encoded[skipped..]).into_bytes();
                twice.truncate(twice.len() - 4);
                forms.push(twice);
            }
            forms.push(encoded);
        }
    }
    forms
}

/// As writers of pure ASCII put it.
fn json_unit(unit: u16) -> String {
    match char::from_u32(u32::from(unit)) {
        Some(c @ ('"' | '\\')) => format!("\\{c}"),
        Some(c) if c.is_ascii_graphic() || c == ' ' => c.to_string(),
        _ => format!("\\u{unit:04x}"),
    }
}
