//! What an application's command wrote, made fit to be shown: nothing that acts on a terminal, and no secret value.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use zeroize::Zeroizing;

use super::Seen;
use crate::clients::cluster::Cluster;
use crate::clients::error::ApiError;
use crate::known::{INSTEAD, KnownValues};
use deepdesk_protocol::facts::names::{ObjectName, printable};
use deepdesk_protocol::facts::payload::Payload;

/// The most characters of a line that are shown.
const LONGEST: usize = 4096;

/// The values that must not be shown: the account's, and all that stands beside them in the Kubernetes Secrets.
#[derive(Debug)]
pub struct Redaction {
    known: KnownValues,
    /// Replaced as a whole as well, the longest first, however short they are: what an application prints is no text of
    /// ours, in which that would hide a version or a port.
    whole: Vec<Payload>,
}

/// The Kubernetes Secrets that the consumers read, as they were when their values were taken note of.
pub type Versions = BTreeMap<ObjectName, String>;

impl Redaction {
    /// All values that were seen, and all that the Kubernetes Secrets hold beside them. With the Secrets' versions.
    pub async fn of(seen: &Seen, cluster: &Cluster) -> Result<(Redaction, Versions), ApiError> {
        let redaction = Redaction::new(seen.vault.all().iter().map(Payload::copy));
        let mut versions = Versions::new();
        let targets = seen.readers.iter().map(|reader| async {
            Ok::<_, ApiError>((reader.target.clone(), cluster.secret(reader.target.as_str()).await?))
        });
        for (name, target) in try_join_all(targets).await? {
            let Some(target) = target else { continue };
            versions.insert(name, target.resource_version);
            // What is shorter beside the account's values is no secret: a port or a `true`.
            target.data.values().for_each(|value| redaction.known.keep(value));
        }
        Ok((redaction, versions))
    }

    fn new(values: impl IntoIterator<Item = Payload>) -> Redaction {
        let known = KnownValues::default();
        let mut whole: Vec<Payload> = values.into_iter().inspect(|value| known.keep(value)).collect();
        whole.sort_by_key(|value| std::cmp::Reverse(value.length()));
        Redaction { known, whole }
    }

    /// The lines to show for one that was written; a carriage return ends a line here, and empty ones are left out.
    pub fn lines(&self, written: &[u8]) -> Vec<String> {
        let lines = written.split(|byte| *byte == b'\r').map(|line| self.line(line));
        lines.filter(|line| !line.is_empty()).collect()
    }

    fn line(&self, written: &[u8]) -> String {
        // Escapes go first: what stands between two halves of a value would hide it.
        let plain = without_escapes(written);
        let hidden = self.whole.iter().fold(plain, |line, value| value.replaced_in(line, INSTEAD));
        let shown = printable(self.known.hidden_in(&String::from_utf8_lossy(&hidden)).trim_end());
        match shown.char_indices().nth(LONGEST) {
            Some((at, _)) => format!("{}…", &shown[..at]),
            None => shown,
        }
    }
}

/// The bytes without escape sequences and control characters; a tab becomes a blank.
fn without_escapes(written: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(written.len()));
    let mut rest = written.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            0x1b => skip_escape(&mut rest),
            b'\t' => kept.push(b' '),
            byte if byte.is_ascii_control() => {}
            byte => kept.push(byte),
        }
    }
    kept
}

/// Skips what belongs to an escape (ECMA-48).
fn skip_escape(rest: &mut impl Iterator<Item = u8>) {
    match rest.next() {
        // A control sequence, up to its final byte.
        Some(b'[') => {
            rest.find(|byte| (0x40..=0x7e).contains(byte));
        }
        // A string for the terminal, such as a title or a link, up to its end.
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let mut escaped = false;
            let _ = rest.find(|byte| {
                let ends = *byte == 0x07 || (escaped && *byte == b'\\');
                escaped = *byte == 0x1b;
                ends
            });
        }
        // With intermediate bytes before the final one.
        Some(0x20..=0x2f) => {
            rest.find(|byte| !(0x20..=0x2f).contains(byte));
        }
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction(values: &[&str]) -> Redaction {
        Redaction::new(values.iter().map(|value| Payload::new(value.as_bytes().to_vec())))
    }

    #[test]
    fn a_line_shows_no_value_and_does_nothing_to_a_terminal() {
        let redaction =
            redaction(&["s3cr3t-key-of-acme", "postgres://u:s3cr3t-key-of-acme@h/acme", "{\"k\":\"in-the-json-1\"}"]);
        let cases: [(&[u8], &[&str]); 12] = [
            (b"12 rows left", &["12 rows left"]),
            (b"key s3cr3t-key-of-acme.", &["key [redacted]."]),
            (b"url postgres://u:s3cr3t-key-of-acme@h/acme", &["url [redacted]"]),
            (b"part in-the-json-1", &["part [redacted]"]),
            (b"s3cr3t-\x1b[31mkey-of\x1b[0m-acme", &["[redacted]"]),
            (b"\x1b]0;title\x07\x1b[2J\x1b[1;1Hhello\x1b(B", &["hello"]),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", &["link"]),
            (b"10%\r20%\r\r", &["10%", "20%"]),
            (b"a\tb\x08\x00c", &["a bc"]),
            (b"", &[]),
            (b"\xff ok", &["\u{fffd} ok"]),
            ("\u{9b}31m".as_bytes(), &["\u{fffd}31m"]),
        ];
        for (written, shown) in cases {
            assert_eq!(redaction.lines(written), shown, "{written:?}");
        }
    }

    #[test]
    fn a_long_line_is_cut_after_its_values_are_gone() {
        let value = "v".repeat(LONGEST + 10);
        assert_eq!(redaction(&[&value]).lines(value.as_bytes()), [INSTEAD]);
        let long = redaction(&[]).lines("é".repeat(LONGEST + 10).as_bytes());
        assert_eq!(long, [format!("{}…", "é".repeat(LONGEST))]);
    }
}
