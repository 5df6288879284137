//! The smallest program with clap: what starting costs before a program does anything of its own (tests/bench/run).

use clap::{Parser, Subcommand};

/// A program with one command.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the version
    Version,
}

fn main() {
    match Cli::parse().command {
        Command::Version => println!("minimal {}", env!("CARGO_PKG_VERSION")),
    }
}
