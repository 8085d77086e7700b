//! Dormer, the app.

fn main() {}
