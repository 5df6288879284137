//! The map of the house; ARCHITECTURE.md draws it.

pub mod domain;
