//! The rotation protocol: what is observed of an account, what state that is, what may be done next, and what may not.
//!
//! Pure: no I/O, no clock, no runtime; what depends on this crate is held to it by Cargo.

pub mod check;
pub mod checkup;
pub mod event;
pub mod facts;
pub mod in_use;
pub mod plan;
pub mod problem;
pub mod result;
pub mod state;
pub mod status;
pub mod step;
pub mod trail;
