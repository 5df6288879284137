//! A stream that may fail: the failure is remembered, and nothing stops for it.

use std::io::{self, Write};

/// A stream that takes whole texts and never gives an error back.
pub(super) struct Sink<W> {
    inner: W,
    failed: Option<io::Error>,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(inner: W) -> Sink<W> {
        Sink { inner, failed: None }
    }

    /// Writes in one piece, so that two processes on one terminal do not mix within a line.
    pub(super) fn put(&mut self, text: &str) {
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
