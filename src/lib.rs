//! The map of the house; ARCHITECTURE.md draws it.

pub mod access;
pub mod check;
pub mod cli;
pub mod clients;
pub mod commands;
pub mod completion;
pub mod domain;
pub mod error;
pub mod execute;
pub mod guard;
pub mod lock;
pub mod observe;
pub mod plan;
pub mod present;
pub mod request;
pub mod run;
pub mod sandbox;
pub mod settings;
