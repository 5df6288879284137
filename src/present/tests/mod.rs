//! What the presenter writes, stream by stream.

pub(super) mod fixtures;
mod plans;
mod progress;
mod results;
mod streams;
