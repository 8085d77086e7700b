//! One machine in one sandboxed process: sockets, threads, main.

fn main() {}
