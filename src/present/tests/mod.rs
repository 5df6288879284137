//! What the presenter writes, stream by stream.

mod fixtures;
mod plans;
mod progress;
mod results;
mod streams;
