//! The body of every answer.

use std::io;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};

/// Whole, or a stream for a watch.
pub type Body = BoxBody<Bytes, io::Error>;

/// A body that is sent at once.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// An answer of a line of text.
pub fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut answer = Response::new(whole(format!("{text}\n")));
    *answer.status_mut() = status;
    answer
}
