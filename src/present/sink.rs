//! A stream that may fail: the failure is remembered, and nothing stops for it.

use std::io::{self, Write};

use crate::known::KnownValues;

/// A stream that takes whole texts and never gives an error back. No text for people passes it with a value in it.
pub(super) struct Sink<W> {
    inner: W,
    known: KnownValues,
    failed: Option<io::Error>,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(inner: W, known: KnownValues) -> Sink<W> {
        Sink { inner, known, failed: None }
    }

    /// Writes a text for people, without the values.
    pub(super) fn put(&mut self, text: &str) {
        let hidden = self.known.hidden_in(text).into_owned();
        self.put_hidden(&hidden);
    }

    /// Writes what has no values in it any more: JSON or YAML, whose texts were looked through one by one, since it would
    /// be none any more otherwise. In one piece, so that two processes on one terminal do not mix within a line.
    pub(super) fn put_hidden(&mut self, text: &str) {
        // After a failure the reader is gone or has lost a piece: more would only look like the whole.
        if self.failed.is_some() || text.is_empty() {
            return;
        }
        let written = self.inner.write_all(text.as_bytes()).and_then(|()| self.inner.flush());
        self.failed = written.err();
    }

    /// The first failure, if there was one.
    pub(super) fn failed(&self) -> Option<&io::Error> {
        self.failed.as_ref()
    }
}
