//! `cargo xtask test`: installs what is missing, then formatting, lints, unit tests, documentation tests and the
//! end-to-end tests, and one closing line: `N passed, N failed, N skipped`.
//!
//! Which test runs where:
//! - tests of the crates that use KVM ([`ON_KVM`]), and those in `tests/e2e/`, run where engines run: on this
//!   machine's KVM, or each executable in a test host of its own;
//! - all others run here.
//!
//! One runs at a time, but for media, which are built beside, and for those in exact test hosts, which come last: such a host is one
//! thread, and however busy the machine is does not show in it, so as many run side by side as there are processors and there is memory.
//!
//! What an end-to-end test may rely on: working directory and `CARGO_MANIFEST_DIR` are its package's folder;
//! `DORMER_BIN_DIR` has the built programs; `DORMER_TEST_OUT` is a writable folder that stays (`target/test-out`);
//! `DORMER_TEST_FULL` is `1` or empty; `DORMER_TEST_HOST` is set in a test host, where it is root and every other
//! folder forgets what is written to it. It runs one test at a time. What it wants of the test host stands in
//! `tests/Cargo.toml` (see [`crate::cargo::Wishes`]). A test that cannot run prints `skipped: REASON` and returns.

mod lanes;
pub(crate) mod place;
pub(crate) mod tally;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use clap::Args;

use crate::{
    cargo::{self, DORMER, PROGRAMS, TestExecutable, Wishes, build_tests, cargo},
    host::{Engines, where_engines_run},
    packages::{self, Purpose},
    translations, workspace,
};
use place::{Counted, Run, Show};
use tally::Tally;

/// The crates whose own tests run guests.
const ON_KVM: [&str; 3] = ["dormer-kvm", "dormer-machine", "dormer-vm"];

/// The test that builds what guests boot.
const MEDIA: &str = "media";

/// `cargo xtask test`'s options.
#[derive(Args, Debug, Clone)]
pub(crate) struct TestArgs {
    /// The long tests too
    #[arg(long)]
    full: bool,
    /// Install packages without asking
    #[arg(long, short)]
    yes: bool,
    /// Only these test targets (say `boot`) or packages (say `dormer-kvm`), and no other checks
    #[arg(value_name = "TARGET")]
    only: Vec<String>,
}

/// `cargo xtask test`.
pub(crate) fn main(args: &TestArgs) -> ExitCode {
    let mut session = Session { args, tally: Tally::default(), failures: Vec::new(), last_words: String::new() };
    if let Err(error) = session.run() {
        eprintln!("error: {error:#}");
        session.tally += Tally::check(false);
        session.failures.push(format!("{error:#}"));
    }
    if !session.last_words.is_empty() {
        heading("what failed, and the end of what it said");
        println!("{}", session.last_words);
    }
    println!();
    for failure in &session.failures {
        println!("FAILED: {failure}");
    }
    println!("{}", session.tally);
    if session.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Session<'a> {
    args: &'a TestArgs,
    tally: Tally,
    failures: Vec<String>,
    /// What the tests that failed said last. It is shown again at the end, where people look.
    last_words: String,
}

impl Session<'_> {
    fn run(&mut self) -> Result<()> {
        packages::install(&Purpose::all(), self.args.yes)?;
        let wishes = cargo::wishes()?;
        if self.args.only.is_empty() {
            cargo::add_components();
            self.check("formatting", &["fmt", "--all", "--check"]);
            self.translations();
            self.check("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
        }
        let mut tests = self.build()?;
        // The app's walks look for its words in other languages too.
        translations::compile(&workspace::target_dir())?;
        // What is quick to fail comes first.
        tests.sort_by_key(|test| (test.is_end_to_end(), needs_kvm(test), test.name()));
        let mut jobs: Vec<_> = tests.iter().filter_map(|test| self.job(test, &wishes)).collect();
        let side_by_side = jobs.extract_if(.., |job| job.is_exact()).collect();
        let guests: Vec<_> = jobs.extract_if(.., |job| job.test.is_end_to_end()).collect();
        let media: Vec<_> = jobs.extract_if(.., |job| job.test.target == MEDIA).collect();
        std::thread::scope(|scope| {
            // It waits for archives and disks most of the time, and only guests wait for it.
            let media = scope.spawn(|| media.iter().map(|job| (job.name(), job.run(Show::AtEnd))).collect::<Vec<_>>());
            self.run_in_turn(&jobs);
            for (name, ended) in media.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                self.ended(&name, ended);
            }
        });
        self.run_in_turn(&guests);
        if self.args.only.is_empty() {
            self.documentation()?;
        }
        lanes::run(side_by_side, |name, ended| self.ended(name, ended));
        Ok(())
    }

    fn run_in_turn(&mut self, jobs: &[Job<'_>]) {
        for job in jobs {
            heading(&job.name());
            self.ended(&job.name(), job.run(Show::Live));
        }
    }

    /// Builds the tests that are wanted, and the programs for those that need more than their own crate.
    fn build(&mut self) -> Result<Vec<TestExecutable>> {
        heading("building");
        let began = Instant::now();
        let (packages, targets): (Vec<_>, Vec<_>) =
            self.args.only.iter().map(String::as_str).partition(|name| name.starts_with("dormer-"));
        let mut tests = Vec::new();
        if self.args.only.is_empty() {
            tests.extend(self.built(&[&DORMER[..], &PROGRAMS, &["--tests"]].concat())?);
            tests.extend(self.built(&["--package", "dormer-xtask", "--tests"])?);
        }
        for package in packages {
            tests.extend(self.built(&["--package", package, "--tests"])?);
        }
        if !targets.is_empty() {
            // What they boot is built first.
            let targets = [MEDIA].iter().chain(&targets).flat_map(|&name| ["--test", name]);
            tests.extend(self.built(&DORMER.into_iter().chain(PROGRAMS).chain(targets).collect::<Vec<_>>())?);
        }
        println!("built in {:.0} s", began.elapsed().as_secs_f32());
        Ok(tests)
    }

    /// What builds of the tests; what does not counts as one failure.
    fn built(&mut self, arguments: &[&str]) -> Result<Vec<TestExecutable>> {
        let built = build_tests(arguments)?;
        if !built.complete {
            self.count("building the tests", Tally::check(false));
        }
        Ok(built.executables)
    }

    /// A cargo command that is right or wrong as a whole.
    fn check(&mut self, what: &str, arguments: &[&str]) {
        heading(what);
        let began = Instant::now();
        let passed = cargo().args(arguments).status().is_ok_and(|status| status.success());
        println!("{what}: {:.0} s", began.elapsed().as_secs_f32());
        self.count(what, Tally::check(passed));
    }

    /// Are the translations complete?
    fn translations(&mut self) {
        heading("translations");
        let checked = translations::check();
        if let Err(error) = &checked {
            eprintln!("error: {error:#}");
        }
        self.count("translations", Tally::check(checked.is_ok()));
    }

    /// What is to be done about a test executable; nothing, counted as skipped, if it is only for `--full`.
    fn job<'a>(&mut self, test: &'a TestExecutable, wishes: &BTreeMap<String, Wishes>) -> Option<Job<'a>> {
        let wishes = wishes.get(&test.target).filter(|_| test.is_end_to_end()).cloned().unwrap_or_default();
        if wishes.full && !self.args.full && self.args.only.is_empty() {
            println!("{}: only in --full", test.name());
            self.tally.skipped += 1;
            return None;
        }
        let place = if needs_kvm(test) { where_engines_run() } else { Engines::Here };
        Some(Job { test, wishes, place, full: self.args.full })
    }

    fn ended(&mut self, name: &str, ended: Ended) {
        let Counted { tally, last_words } = ended.counted.unwrap_or_else(|error| {
            eprintln!("error: {name}: {error:#}");
            Counted { tally: Tally::check(false), last_words: format!("{error:#}") }
        });
        if tally.failed > 0 {
            self.last_words += &format!("--- {name}\n{last_words}\n");
        }
        println!("{name}: {tally} in {:.1} s", ended.seconds);
        self.count(name, tally);
    }

    fn documentation(&mut self) -> Result<()> {
        heading("documentation tests");
        // Of what is built already: another choice of packages would build half of it again.
        let output = cargo().arg("test").args(DORMER).args(["--doc", "--no-fail-fast"]).output()?;
        let succeeded = output.status.success();
        if !succeeded {
            println!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        }
        let mut reader = tally::Reader::default();
        reader.feed(&output.stdout);
        self.count("documentation tests", reader.finish(succeeded));
        Ok(())
    }

    fn count(&mut self, what: &str, tally: Tally) {
        self.tally += tally;
        if tally.failed > 0 {
            self.failures.push(what.to_owned());
        }
    }
}

/// A test executable that is to be run.
struct Job<'a> {
    test: &'a TestExecutable,
    wishes: Wishes,
    place: Engines,
    full: bool,
}

/// What became of a job.
struct Ended {
    counted: Result<Counted>,
    seconds: f32,
}

impl Job<'_> {
    /// For people: the test's name, and where it runs if that is not here.
    fn name(&self) -> String {
        match self.place {
            Engines::Here => self.test.name(),
            Engines::TestHost => format!("{} (in the test host)", self.test.name()),
        }
    }

    /// Whether nothing beside it disturbs it.
    fn is_exact(&self) -> bool {
        self.place == Engines::TestHost && self.wishes.exact
    }

    /// Runs it; with [`Show::Live`], what is of no interest unless it fails is shown only then.
    fn run(&self, show: Show) -> Ended {
        let guests = self.test.is_end_to_end();
        // Guests take all there is, so one at a time, with what happens in sight.
        let arguments: &[&str] = if guests { &["--test-threads=1", "--nocapture"] } else { &["--show-output"] };
        let quiet = self.place == Engines::Here && !guests;
        let run = Run {
            test: self.test,
            arguments,
            wishes: &self.wishes,
            output: &output_folder(),
            full: self.full,
            show: if quiet { Show::IfFailed } else { show },
        };
        let began = Instant::now();
        let counted = run.run(self.place);
        Ended { counted, seconds: began.elapsed().as_secs_f32() }
    }
}

fn needs_kvm(test: &TestExecutable) -> bool {
    test.is_end_to_end() || ON_KVM.contains(&test.package.as_str())
}

/// Where tests leave pictures and logs.
fn output_folder() -> PathBuf {
    workspace::target_dir().join("test-out")
}

fn heading(what: &str) {
    println!("\n=== {what}");
}
