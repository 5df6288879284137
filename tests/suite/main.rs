//! The binary against the sandbox, as a user runs it: a process of its own, its exit code, its streams.

mod architecture;
mod budget;
mod check;
mod commands;
mod config;
mod crash;
mod discovery;
mod faults;
mod output;
mod refusals;
mod secrecy;
mod tools;
mod world;
