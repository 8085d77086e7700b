//! Everything from a terminal.

fn main() {}
