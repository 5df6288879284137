//! The map of the house; ARCHITECTURE.md draws it.

pub mod check;
pub mod clients;
pub mod domain;
pub mod error;
pub mod plan;
pub mod present;
pub mod sandbox;
