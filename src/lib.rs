//! The map of the house; ARCHITECTURE.md draws it.

pub mod access;
pub mod cli;
pub mod clients;
pub mod commands;
pub mod completion;
pub mod environment;
pub mod error;
pub mod execute;
pub mod guard;
pub mod known;
pub mod lock;
pub mod observe;
pub mod present;
pub mod request;
pub mod run;
pub mod setting;
pub mod settings;
