//! User-mode network helper over libslirp.

fn main() {}
