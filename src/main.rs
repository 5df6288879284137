//! The binary: hands the real arguments, environment and signals in, and the exit code out.

fn main() {}
