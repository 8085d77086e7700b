//! `cargo xtask`: what a developer or a test machine does with this repository beyond compiling it.
//!
//! Each subcommand is a module; this file only reads the command line. Exit status: what the command run by
//! `host` returned, 1 for failed tests or an error of ours (125 for one of the test host's own).

#[expect(dead_code, reason = "run and test come next")]
mod host;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Run, test and demo Dormer.", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run a command in the test host: an emulated PC with KVM (AMD-V) that shares this root file system.
    Host(host::HostArgs),
    /// The test host's first process. Only the test host starts this.
    #[command(hide = true)]
    HostInit,
}

fn main() -> ExitCode {
    match Cli::parse().task {
        Task::Host(args) => host::main(args),
        Task::HostInit => host::init::main(),
    }
}
