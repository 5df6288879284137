//! The values that a run knows, so that no text that comes from outside shows one: whole or in pieces, as it is or encoded.
//!
//! Kept are keyed hashes of pieces, not the values: these can be held until the last byte is written, when the values
//! are wiped already. A text is looked through as it stands and as what it may encode: escapes, hexadecimal, base64 and
//! lists of numbers, also within one another. So no form of a value has to be thought of beforehand, nor where in a
//! longer text an encoded one begins.

mod places;
mod views;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use base64::Engine as _;
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

pub use self::places::{INSIDE, places};
use self::views::{Form, View};
use deepdesk_protocol::facts::payload::Payload;

/// What stands where a value stood.
pub const INSTEAD: &str = "[redacted]";

/// How many bytes of a value a text must have in a row for them to be taken out. What is shorter stands in many a text by
/// chance: a port, a `true`. What is cut off, or split by something that is no separator, leaves less than this.
pub const PIECE: usize = 8;

/// How deep encodings are followed: a Secret's base64, in the JSON of a text, which is escaped in a message.
const DEPTH: usize = 3;

/// Words of our own output. A value that has one of them in it must not take it out of a command in a hint, or of a
/// field that scripts read.
const OURS: [&str; 34] = [
    "AwaitingReencryption",
    "ClusterExternalSecret",
    "ClusterSecretStore",
    "Configuration",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "ExternalSecret",
    "FailedPrecondition",
    "Interrupted",
    "MalformedAnswer",
    "ReplicaSet",
    "SecretFinalization",
    "SecretRestart",
    "SecretRollback",
    "SecretRotation",
    "SecretStatus",
    "SecretStore",
    "SecretSync",
    "SecretVerification",
    "StatefulSet",
    "TooManyRequests",
    "Unauthenticated",
    "deepdesk.com",
    "deployment",
    "external-secrets.io",
    "externalsecret",
    "kubectl deepdesk secret finalize",
    "kubectl deepdesk secret restart",
    "kubectl deepdesk secret rollback",
    "kubectl deepdesk secret rotate",
    "kubectl deepdesk secret verify",
    "namespace",
    "statefulset",
];

/// The values that must not be shown. A clone is another handle on the same ones.
#[derive(Clone)]
pub struct KnownValues(Arc<RwLock<Pieces>>);

#[derive(Default)]
struct Pieces {
    key: RandomState,
    hidden: HashSet<u64>,
    /// Of names that are shown anyway: what a value has in common with one says nothing of the value.
    public: HashSet<u64>,
    /// Those names themselves: whole, they are readable also where a value contains them.
    names: BTreeSet<String>,
}

impl fmt::Debug for KnownValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownValues")
    }
}

impl Default for KnownValues {
    fn default() -> KnownValues {
        let known = KnownValues(Arc::default());
        OURS.iter().for_each(|word| known.publish(word));
        known
    }
}

impl KnownValues {
    /// Takes note of a value. Of a JSON object its properties are hidden, not their names.
    pub fn keep(&self, value: &Payload) {
        self.hide_bytes(value.expose());
    }

    /// Takes note of a token or another credential.
    pub fn keep_credential(&self, text: &str) {
        self.hide_bytes(text.as_bytes());
    }

    /// Takes note of a name that is shown as it is, whatever a value has in common with it.
    pub fn publish(&self, name: &str) {
        let mut pieces = self.write();
        let found: Vec<u64> = hashes(&pieces.key, name.as_bytes()).collect();
        pieces.public.extend(found);
        if name.len() >= PIECE {
            pieces.names.insert(name.to_owned());
        }
    }

    /// `text` without the values.
    pub fn hidden_in<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let pieces = self.read();
        if pieces.hidden.is_empty() || text.len() < PIECE {
            return Cow::Borrowed(text);
        }
        // I6: whoever wrote the text, and however it is encoded.
        let mut marks = vec![false; text.len()];
        pieces.look(&View::of(text), DEPTH, &mut marks);
        // Nearly every text: of many accounts there are thousands of names to look for.
        if !marks.contains(&true) {
            return Cow::Borrowed(text);
        }
        for name in &pieces.names {
            text.match_indices(name.as_str()).for_each(|(at, _)| marks[at..at + name.len()].fill(false));
        }
        replaced(text, &marks)
    }

    /// The same for each text of a structure, but the names of its fields: they are ours, and a contract.
    pub fn hide_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(hidden) = self.hidden_in(text) {
                    *text = hidden;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_in(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.hide_in(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The same for a page: its texts and attributes, each by itself, so that no tag goes with a value.
    pub fn hidden_in_page(&self, page: &str) -> String {
        let parts = page.split_inclusive(['<', '>']);
        parts.map(|part| self.hidden_in(part)).collect()
    }

    fn hide_bytes(&self, bytes: &[u8]) {
        if let Some(leaves) = leaves(bytes) {
            return leaves.iter().for_each(|leaf| self.hide_bytes(leaf));
        }
        if self.read().has(bytes) {
            return;
        }
        let mut pieces = self.write();
        let lossy = String::from_utf8_lossy(bytes);
        // A value that is itself an encoding is decoded by External Secrets or by the application.
        let decoded = decoded(bytes);
        let forms = [Some(bytes), Some(lossy.as_bytes()), decoded.as_ref().map(|decoded| decoded.as_slice())];
        for form in forms.into_iter().flatten() {
            let found: Vec<u64> = hashes(&pieces.key, form).collect();
            pieces.hidden.extend(found);
        }
        let Cow::Owned(lossy) = lossy else { return };
        drop(Zeroizing::new(lossy));
    }

    fn read(&self) -> RwLockReadGuard<'_, Pieces> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Pieces> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pieces {
    /// Whether these bytes were taken note of: a token is seen again at each request.
    fn has(&self, bytes: &[u8]) -> bool {
        let mut hashes = hashes(&self.key, bytes).peekable();
        hashes.peek().is_some() && hashes.all(|hash| self.hidden.contains(&hash))
    }

    fn look(&self, view: &View, depth: usize, marks: &mut [bool]) {
        for form in Form::ALL {
            let view = view.in_form(form);
            for window in view.windows(PIECE) {
                let Some(piece) = piece(window.iter().map(|seen| seen.byte)) else { continue };
                let hash = self.key.hash_one(piece);
                if self.hidden.contains(&hash) && !self.public.contains(&hash) {
                    marks[window[0].from..window[PIECE - 1].to].fill(true);
                }
            }
        }
        if depth > 0 {
            view.decoded().iter().for_each(|view| self.look(view, depth - 1, marks));
        }
    }
}

/// The hashes of all pieces of these bytes, forwards and backwards.
fn hashes<'a>(key: &'a RandomState, bytes: &'a [u8]) -> impl Iterator<Item = u64> + 'a {
    Form::ALL.into_iter().flat_map(move |form| {
        let bytes = form.of(bytes);
        let windows = (PIECE..=bytes.len()).map(|end| end - PIECE..end);
        let found: Vec<u64> = windows
            .flat_map(|at| {
                let (ahead, back) = (bytes[at.clone()].iter().copied(), bytes[at].iter().rev().copied());
                [piece(ahead), piece(back)]
            })
            .flatten()
            .map(|piece| key.hash_one(piece))
            .collect();
        found
    })
}

/// A piece as a number; none for a line of dashes or the like, which stands in tables.
fn piece(bytes: impl Iterator<Item = u8>) -> Option<u64> {
    let mut piece = [0; PIECE];
    piece.iter_mut().zip(bytes).for_each(|(at, byte)| *at = byte);
    let is_rule = piece[0].is_ascii_punctuation() && piece.iter().all(|byte| *byte == piece[0]);
    (!is_rule).then(|| u64::from_ne_bytes(piece))
}

/// The texts and numbers in a JSON object or list; none when the bytes are neither.
fn leaves(bytes: &[u8]) -> Option<Vec<Zeroizing<Vec<u8>>>> {
    let inner: Vec<&RawValue> = match bytes.trim_ascii_start().first()? {
        b'{' => serde_json::from_slice::<BTreeMap<String, &RawValue>>(bytes).ok()?.into_values().collect(),
        b'[' => serde_json::from_slice(bytes).ok()?,
        _ => return None,
    };
    let leaf = |raw: &RawValue| match raw.get().starts_with('"') {
        true => serde_json::from_str::<String>(raw.get()).map(|text| Zeroizing::new(text.into_bytes())).ok(),
        false => Some(Zeroizing::new(raw.get().as_bytes().to_vec())),
    };
    Some(inner.into_iter().filter_map(leaf).collect())
}

/// What the bytes are the base64 or hexadecimal of, as a whole.
fn decoded(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    let bytes = bytes.trim_ascii();
    let digits = bytes.iter().map(|byte| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    if let Some(digits) = digits.collect::<Option<Vec<u8>>>().map(Zeroizing::new)
        && digits.len() % 2 == 0
    {
        return Some(Zeroizing::new(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()));
    }
    let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    engines.iter().find_map(|engine| engine.decode(bytes).ok()).map(Zeroizing::new)
}

/// `text` with [`INSTEAD`] for each run of marked bytes. Marks begin and end between characters.
fn replaced<'a>(text: &'a str, marks: &[bool]) -> Cow<'a, str> {
    if !marks.contains(&true) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut hidden = false;
    for (at, c) in text.char_indices() {
        match (marks[at], hidden) {
            (true, false) => shown.push_str(INSTEAD),
            (true, true) => {}
            (false, _) => shown.push(c),
        }
        hidden = marks[at];
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests;
