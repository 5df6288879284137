//! A file of credentials as it comes from editors, secrets of a pipeline and Windows: read, or what is odd in a plain line.
//!
//! Nothing of what is in it is ever said: it is a key.

use serde_json::Value;
use zeroize::Zeroizing;

/// The file's JSON; an error says what is odd and what to do, and goes behind the file's name.
pub(super) fn read(bytes: &[u8]) -> Result<Value, String> {
    if bytes.is_empty() || bytes.trim_ascii().is_empty() {
        return Err("is empty".to_owned());
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.get(1) == Some(&0) {
        return Err("is UTF-16, as Windows PowerShell's `>` writes it: save it as UTF-8".to_owned());
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err("begins with a byte order mark: save it as UTF-8 without one".to_owned());
    }
    if bytes.starts_with(b"\x30\x82") {
        return Err("is a P12 key: a JSON key is needed".to_owned());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not text: a JSON key is needed".to_owned())?.trim();
    if text.starts_with("-----BEGIN") {
        return Err("is a private key alone: the whole JSON key file is needed".to_owned());
    }
    if text.starts_with("ya29.") || text.starts_with("eyJ") && text.contains('.') {
        return Err("is an access token: name it in gcloud's auth/access_token_file instead".to_owned());
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(json)) => check(Value::Object(json)),
        Ok(Value::String(_)) => Err("is JSON in quotes: it was escaped once too often".to_owned()),
        Ok(_) => Err("is not a JSON object".to_owned()),
        Err(_) if decodes_to_json(text) => Err("is base64: decode it (base64 -d)".to_owned()),
        Err(_) if text.contains("\\\"type\\\"") => Err("has escaped quotes: it was escaped once too often".to_owned()),
        // A line end within the key: a template or a shell has resolved its `\n`.
        Err(_) if text.contains("-----BEGIN") && text.lines().any(|line| line.starts_with("MI")) => {
            Err("is not JSON: the line ends of its private_key are no `\\n` any more".to_owned())
        }
        Err(error) => Err(format!("is not JSON (line {})", error.line())),
    }
}

/// Whether it is the content of a key file, and no file's name: a pipeline's secret that was put into the variable itself.
pub(super) fn is_content(named: &str) -> bool {
    let text = named.trim();
    text.starts_with(['{', '"']) || text.contains('\n') || text.starts_with("-----BEGIN") || decodes_to_json(text)
}

fn check(json: Value) -> Result<Value, String> {
    if let Some(key) = json.get("private_key").and_then(Value::as_str) {
        if key.contains("\\n") {
            return Err("has a private_key with `\\n` as two characters: it was escaped once too often".to_owned());
        }
        if key.starts_with("-----BEGIN") && !key.trim().contains('\n') {
            return Err("has a private_key that has lost its line ends".to_owned());
        }
        if key.contains("BEGIN ENCRYPTED") {
            return Err("has a private_key that is encrypted".to_owned());
        }
    }
    Ok(json)
}

fn decodes_to_json(text: &str) -> bool {
    use base64::Engine as _;
    let mut word = Zeroizing::new(String::with_capacity(text.len()));
    word.extend(text.chars().filter(|c| !c.is_ascii_whitespace()));
    if word.len() < 16 {
        return false;
    }
    let engines = [&base64::engine::general_purpose::STANDARD, &base64::engine::general_purpose::STANDARD_NO_PAD];
    let decoded = engines.iter().find_map(|engine| engine.decode(word.as_bytes()).ok()).map(Zeroizing::new);
    decoded.is_some_and(|bytes| bytes.trim_ascii().starts_with(b"{"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use serde_json::json;

    #[test]
    fn each_odd_encoding_has_a_plain_line_that_shows_nothing_of_it() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIIMARKER\n-----END PRIVATE KEY-----\n";
        let file = json!({"type": "service_account", "private_key": key}).to_string();
        let utf16: Vec<u8> = file.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (vec![], "is empty"),
            (b" \n".to_vec(), "is empty"),
            ([b"\xff\xfe".to_vec(), utf16.clone()].concat(), "UTF-16"),
            (utf16, "UTF-16"),
            ([b"\xef\xbb\xbf", file.as_bytes()].concat(), "byte order mark"),
            (b"\x30\x82\x09MARKER".to_vec(), "P12"),
            (b"{\"a\": \"\xe9MARKER\"}".to_vec(), "not text"),
            (key.as_bytes().to_vec(), "private key alone"),
            (b"ya29.MARKER".to_vec(), "access token"),
            (json!(file).to_string().into_bytes(), "in quotes"),
            (file.replace('"', "\\\"").into_bytes(), "escaped quotes"),
            (base64::engine::general_purpose::STANDARD.encode(&file).into_bytes(), "base64"),
            (file.replace("\\n", "\n").into_bytes(), "line ends of its private_key"),
            (file.replace("\\n", "\\\\n").into_bytes(), "two characters"),
            (file.replace("\\n", " ").into_bytes(), "lost its line ends"),
            (file.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE").into_bytes(), "encrypted"),
            (b"{\n\"a\": MARKER".to_vec(), "(line 2)"),
            (b"[1]".to_vec(), "not a JSON object"),
        ];
        for (bytes, expected) in cases {
            let said = read(&bytes).expect_err(expected);
            assert!(said.contains(expected) && !said.contains("MARKER"), "{expected}: {said}");
        }
        assert!(read(file.as_bytes()).is_ok());
    }

    #[test]
    fn a_key_in_place_of_its_file_is_noticed() {
        let file = "{\"type\": \"service_account\"}";
        for content in [file, &base64::engine::general_purpose::STANDARD.encode(file), "a\nb", "\"{}\""] {
            assert!(is_content(content), "{content}");
        }
        for path in [
            "/home/ann/key.json",
            "key.json",
            "C:\\keys\\k.json",
            "/var/run/secrets/tokens/gcp-ksa/google-application-credentials.json",
        ] {
            assert!(!is_content(path), "{path}");
        }
    }
}
