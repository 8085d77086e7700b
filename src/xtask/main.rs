//! Run, test, demo, test host.

fn main() {}
