//! What comes from outside and may be anything: files, objects, answers, lines that are being typed. Each property is
//! tried with made-up input: never a panic, never a hang, never a value in a message, and one clear line.
//!
//! `PROPTEST_CASES=20000 cargo test --test hostile` is the long run; what it finds gets a test of its own beside the code.

#[path = "../shared/http.rs"]
mod http;

mod answers;
mod files;
mod input;
mod names;
mod objects;
mod words;
