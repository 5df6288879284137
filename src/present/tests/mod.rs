//! What the presenter writes, stream by stream.

pub(super) mod fixtures;
mod hidden;
mod plans;
mod progress;
mod report;
mod results;
mod streams;
mod well_formed;
