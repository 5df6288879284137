//! Answers that carry a value and are not what they should be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::GIVEN;
use crate::proxy::Proxy;

/// What the proxy does to an answer that carries a value.
#[derive(Clone, Copy, Debug)]
pub enum Harm {
    /// Ends in the middle of the value.
    CutOff,
    /// A list where text should be.
    WrongType,
    /// A character that base64 does not have.
    NotBase64,
    /// The bytes do not fit their checksum.
    OtherChecksum,
    /// A page of some proxy that quotes the answer, with this status.
    PageInstead(u16),
    /// More text behind the JSON.
    Tail,
}

/// Stands between the program and the sandbox, and harms every answer that carries a value.
pub fn harming(upstream: &str, harm: Harm) -> Proxy {
    Proxy::start(upstream, move |_, head, body| {
        let changed = changed(body, harm)?;
        let head = match harm {
            Harm::PageInstead(status) => format!("HTTP/1.1 {status} As It Is\r\ncontent-type: text/html"),
            _ => head.to_owned(),
        };
        Some((head, changed))
    })
}

/// The answer as the harm leaves it; none when it carries no value.
fn changed(body: &[u8], harm: Harm) -> Option<Vec<u8>> {
    let text = String::from_utf8(body.to_vec()).ok()?;
    // Secret Manager's payload, and a key of a Kubernetes Secret.
    let (at, mark) = ["\"data\":\"", "\"data\": \"", "\"SECRET_KEY\":\"", "\"SECRET_KEY\": \""]
        .iter()
        .find_map(|mark| Some((text.find(mark)?, *mark)))?;
    let start = at + mark.len();
    let end = start + text[start..].find('"')?;
    let (before, value, after) = (&text[..start - 1], &text[start..end], &text[end + 1..]);
    let changed = match harm {
        Harm::CutOff => text[..start + value.len() / 2].to_owned(),
        Harm::WrongType => format!("{before}[\"{value}\"]{after}"),
        Harm::NotBase64 => format!("{before}\"{value}~\"{after}"),
        Harm::OtherChecksum => {
            text.replace("\"dataCrc32c\":\"", "\"dataCrc32c\":\"1").replace(value, &STANDARD.encode(GIVEN))
        }
        Harm::PageInstead(_) => format!("<html><body>Could not forward: {text}</body></html>"),
        Harm::Tail => format!("{text} trailing {value}"),
    };
    Some(changed.into_bytes())
}
