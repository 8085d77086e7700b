//! `cargo xtask run`: from a fresh machine to Dormer's window, and `cargo xtask demo`: the same without a display.
//!
//! The demo is the end-to-end test `demo` of package `dormer-tests`: it does with the real app, on a display of its
//! own, what a person would do, and leaves pictures in `target/demo/`.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{
    cargo::{DORMER, TestExecutable, Wishes, build_programs, build_tests, wishes},
    host::{Engines, where_engines_run},
    packages::{self, Purpose},
    test::place::{Run, Show},
    translations, workspace,
};

/// `cargo xtask run`'s options.
#[derive(Args, Debug, Clone)]
pub(crate) struct RunArgs {
    /// Install packages without asking
    #[arg(long, short)]
    yes: bool,
    /// Build with all optimizations
    #[arg(long)]
    release: bool,
    /// For Dormer itself
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// `cargo xtask demo`'s options.
#[derive(Args, Debug, Clone)]
pub(crate) struct DemoArgs {
    /// Install packages without asking
    #[arg(long, short)]
    yes: bool,
}

/// `cargo xtask run`.
pub(crate) fn main(args: &RunArgs) -> ExitCode {
    if !has_display() {
        println!("There is no display (neither WAYLAND_DISPLAY nor DISPLAY is set), so this is the demo.");
        return demo(&DemoArgs { yes: args.yes });
    }
    report(run(args))
}

/// `cargo xtask demo`.
pub(crate) fn demo(args: &DemoArgs) -> ExitCode {
    report(run_demo(args))
}

fn report(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn has_display() -> bool {
    ["WAYLAND_DISPLAY", "DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn run(args: &RunArgs) -> Result<ExitCode> {
    packages::install(&[Purpose::Build, Purpose::Run], args.yes)?;
    let profile = if args.release { "release" } else { "dev" };
    ensure!(build_programs(profile)?, "Dormer does not build");
    if where_engines_run() == Engines::TestHost {
        println!("This computer has no KVM that can run systems: Dormer opens, but machines will not start in it.");
    }
    translations::compile(&workspace::target_dir())?;
    let folder = if args.release { "release" } else { "debug" };
    let dormer = workspace::target_dir().join(folder).join("dormer");
    let status = Command::new(&dormer)
        .args(&args.arguments)
        .status()
        .with_context(|| format!("cannot run {}", dormer.display()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The test of target `media` that builds what the demo installs from.
const INSTALLER: &str = "the_text_installer_is_built";

fn run_demo(args: &DemoArgs) -> Result<ExitCode> {
    packages::install(&Purpose::all(), args.yes)?;
    if !workspace::root().join("tests/e2e/demo.rs").exists() {
        bail!("there is no demo here yet: tests/e2e/demo.rs is missing");
    }
    let wishes = wishes()?.remove("demo").unwrap_or_default();
    ensure!(build_programs("dev")?, "Dormer does not build");
    let tests = build_tests(&[&DORMER[..], &["--test", "media", "--test", "demo"]].concat())?;
    let test = |name| tests.executables.iter().find(|test| test.target == name).context("the demo does not build");
    let output = workspace::target_dir().join("demo");
    let run = |test: &TestExecutable, arguments: &[&str], wishes: &Wishes, place| {
        let arguments = [&["--test-threads=1", "--nocapture"], arguments].concat();
        Run { test, arguments: &arguments, wishes, output: &output, full: false, show: Show::Live }
            .run(place)
            .map(|counted| counted.tally)
    };
    let medium = run(test("media")?, &[INSTALLER], &Wishes::default(), Engines::Here)?;
    ensure!(medium.failed == 0 && medium.passed > 0, "the installer's image was not built ({medium})");
    let tally = run(test("demo")?, &[], &wishes, where_engines_run())?;
    if tally.failed == 0 && tally.passed > 0 {
        println!("Pictures are in {}", output.display());
        Ok(ExitCode::SUCCESS)
    } else {
        bail!("the demo did not come to its end ({tally}); what there is of it is in {}", output.display())
    }
}
