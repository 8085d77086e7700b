//! `cargo xtask`: what a developer or a test machine does with this repository beyond compiling it.
//!
//! Each subcommand is a module; this file only reads the command line. Exit status: what the command run by
//! `host` returned, 1 for failed tests or an error of ours (125 for one of the test host's own).

mod cargo;
mod host;
mod packages;
mod run;
mod test;
mod translations;
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
    /// Build Dormer and open it; with no display, do the demo
    Run(run::RunArgs),
    /// Install a real system in the real app on a display of its own; pictures in target/demo/
    Demo(run::DemoArgs),
    /// Run all tests; ends with `N passed, N failed, N skipped`
    Test(test::TestArgs),
    /// Run a command in the test host: an emulated PC with KVM (AMD-V) that shares this root file system
    Host(host::HostArgs),
    /// Install the Debian packages that the other tasks need
    Packages(packages::PackagesArgs),
    /// Make the template of translations anew, and give every language its new sentences
    Translations(translations::TranslationsArgs),
    /// The test host's first process. Only the test host starts this.
    #[command(hide = true)]
    HostInit,
}

fn main() -> ExitCode {
    match Cli::parse().task {
        Task::Run(args) => run::main(&args),
        Task::Demo(args) => run::demo(&args),
        Task::Test(args) => test::main(&args),
        Task::Host(args) => host::main(&args),
        Task::Packages(args) => packages::main(&args),
        Task::Translations(args) => translations::main(&args),
        Task::HostInit => host::init::main(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(line: &str) -> host::HostArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().task {
            Task::Host(args) => args,
            _ => panic!("{line} is not host"),
        }
    }

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn host_passes_the_command_on_untouched() {
        let args = host("xtask host --exact --writable /a --writable /b --timeout 5 -- sh --exact -c x");
        assert!(args.exact);
        assert_eq!(args.writable.len(), 2);
        assert_eq!((args.cpus, args.memory, args.timeout), (2, 4096, 5));
        assert_eq!(args.command, ["sh", "--exact", "-c", "x"]);
        assert_eq!(host("xtask host --timeout 5 --timeout 6 ls -l").timeout, 6);
        assert_eq!(host("xtask host ls -l").command, ["ls", "-l"]);
    }

    #[test]
    fn host_defaults_are_in_one_place() {
        let (ours, theirs) = (host::HostArgs::new(vec!["ls".into()]), host("xtask host ls"));
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    #[test]
    fn impossible_hosts_are_refused() {
        for line in ["xtask host", "xtask host --cpus 0 ls", "xtask host --memory 1 ls"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
