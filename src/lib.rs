//! The map of the house; ARCHITECTURE.md draws it.

pub mod access;
pub mod check;
pub mod cli;
pub mod clients;
pub mod domain;
pub mod error;
pub mod lock;
pub mod plan;
pub mod present;
pub mod request;
pub mod sandbox;
pub mod settings;
