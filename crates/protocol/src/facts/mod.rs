//! What is known of an account and of the call: names, versions, values, what was observed.

pub mod account;
pub mod copies;
pub mod named;
pub mod names;
pub mod observation;
pub mod older;
pub mod payload;
pub mod reencryption;
pub mod restart_note;
pub mod run_marks;
pub mod shape;
