//! The values and credentials that this process has met.
//!
//! One for the process, and not handed from one to the next: a value is met by the client that reads or sends it, a text
//! that quotes one may come from anybody's server, and what was not handed on once would be shown.

use std::sync::LazyLock;

pub use crate::known::KnownValues;

static MET: LazyLock<KnownValues> = LazyLock::new(KnownValues::default);

/// All that were met so far. Whoever writes for others hides them.
pub fn values() -> &'static KnownValues {
    &MET
}
