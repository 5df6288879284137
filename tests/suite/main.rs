//! The binary against the sandbox, as a user runs it: a process of its own, its exit code, its streams.

#[macro_use]
extern crate needs;

#[path = "../shared/exports.rs"]
mod exports;
#[path = "../shared/http.rs"]
mod http;
#[path = "../shared/process.rs"]
mod process;
#[path = "../../src/present/tests/well_formed.rs"]
mod well_formed;

mod accounts;
mod architecture;
mod budget;
mod check;
mod clusters;
mod commands;
mod completion;
mod config;
mod copies;
mod crash;
mod data;
mod degraded;
mod discovery;
mod doors;
mod faults;
mod finalize;
mod interrupts;
mod keyboard;
mod locks;
mod meanwhile;
mod memory;
mod moving;
mod output;
mod pages;
mod payloads;
mod proxy;
mod readers;
mod reencryption;
mod refusals;
mod report;
mod rollback;
mod secrecy;
mod security;
mod servers;
mod shells;
mod shown;
mod status;
mod tools;
mod two_phase;
mod unproven;
mod world;
