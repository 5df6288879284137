//! The words of the program as types: names, versions, values, what is observed, and what follows from it.
//!
//! Pure: imports nothing else of this crate, does no I/O, reads no clock.

pub mod account;
pub mod checkup;
pub mod environment;
pub mod event;
pub mod in_use;
pub mod known;
pub mod names;
pub mod observation;
pub mod payload;
pub mod problem;
pub mod reencryption;
pub mod restart_note;
pub mod result;
pub mod setting;
pub mod state;
pub mod status;
pub mod step;
pub mod trail;
