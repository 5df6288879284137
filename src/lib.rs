//! The map of the house; ARCHITECTURE.md draws it.

pub mod check;
pub mod domain;
pub mod plan;
pub mod present;
