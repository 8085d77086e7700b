//! `cargo xtask translations`: the app's words for translators, in gettext's files.
//!
//! `po/dormer.pot` has every sentence of the app, its menu entry and its description; `po/LINGUAS` names the languages, each with its
//! `po/LANGUAGE.po`. Sentences in Rust are found by [`extract`], all others by gettext's own `xgettext`. `--check`, which is one of the
//! checks of `cargo xtask test`, wants the template to be what the sources say, and every language to be complete and right.
//!
//! A build without these files speaks English. [`compile`] puts them where the app finds them: in `share/locale` beside the folder of
//! its program.

mod extract;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{
    packages::{self, Purpose},
    workspace,
};

/// Files with sentences that are not Rust.
const OTHERS: [&str; 3] = [
    "data/io.github.dormer_vm.Dormer.desktop",
    "data/io.github.dormer_vm.Dormer.metainfo.xml",
    "data/resources/shortcuts.ui",
];

/// `cargo xtask translations`' options.
#[derive(Args, Debug, Clone)]
pub(crate) struct TranslationsArgs {
    /// Change nothing; say what is missing or wrong
    #[arg(long)]
    check: bool,
}

/// `cargo xtask translations`.
pub(crate) fn main(args: &TranslationsArgs) -> ExitCode {
    let done = packages::install(&[Purpose::Build], true).and_then(|()| if args.check { check() } else { update() });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the template anew, and gives every language its new sentences.
fn update() -> Result<()> {
    fs::write(folder().join("dormer.pot"), template()?)?;
    for language in languages()? {
        let file = translation(&language);
        if !file.exists() {
            let arguments = ["--no-translator", "--no-wrap", "--locale", &language, "--input", "po/dormer.pot"];
            gettext_tool("msginit", &[&arguments[..], &["--output-file", &shown(&file)]].concat())?;
        }
        gettext_tool(
            "msgmerge",
            &["--update", "--backup=none", "--no-wrap", "--quiet", "--previous", &shown(&file), "po/dormer.pot"],
        )?;
        let told = gettext_tool("msgfmt", &["--statistics", "--output-file=/dev/null", &shown(&file)])?;
        println!("{language}: {}", told.trim());
    }
    Ok(())
}

/// Is the template what the sources say, and is every language complete? Placeholders and mnemonics must be the same in each.
///
/// # Errors
/// What is missing or wrong.
pub(crate) fn check() -> Result<()> {
    let there = fs::read_to_string(folder().join("dormer.pot")).context("there is no po/dormer.pot")?;
    ensure!(
        there == template()?,
        "po/dormer.pot is not what the sources say: `cargo xtask translations` makes it anew"
    );
    let mut wrong = Vec::new();
    for language in languages()? {
        let file = shown(&translation(&language));
        let arguments = ["--check", "--check-accelerators=_", "--statistics", "--output-file=/dev/null", &file];
        let told = gettext_tool("msgfmt", &arguments)?;
        println!("{language}: {}", told.trim());
        if told.contains("untranslated") || told.contains("fuzzy") {
            wrong.push(language);
        }
    }
    ensure!(wrong.is_empty(), "not all sentences are translated: {}", wrong.join(", "));
    Ok(())
}

/// Puts the translations where a program in a folder of `target` finds them.
///
/// # Errors
/// A file is wrong, or gettext is missing.
pub(crate) fn compile(target: &Path) -> Result<()> {
    for language in languages()? {
        let messages = target.join("share/locale").join(&language).join("LC_MESSAGES");
        fs::create_dir_all(&messages)?;
        let output = format!("--output-file={}", messages.join("dormer.mo").display());
        gettext_tool("msgfmt", &[&output, &shown(&translation(&language))])?;
    }
    Ok(())
}

/// The template, as text.
fn template() -> Result<String> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("dormer.pot");
    fs::write(&file, extract::template(&workspace::root())?)?;
    let output = format!("--output={}", file.display());
    let arguments = ["--join-existing", "--from-code=UTF-8", "--add-location=file", "--no-wrap", &output];
    gettext_tool("xgettext", &[&arguments[..], &OTHERS].concat())?;
    let text = fs::read_to_string(&file)?;
    // When it was made is in the repository's history, and would make every template another one.
    Ok(text.lines().filter(|line| !line.starts_with("\"POT-Creation-Date:")).map(|line| format!("{line}\n")).collect())
}

/// The languages that there are.
fn languages() -> Result<Vec<String>> {
    let text = fs::read_to_string(folder().join("LINGUAS")).context("there is no po/LINGUAS")?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
}

fn folder() -> PathBuf {
    workspace::root().join("po")
}

fn translation(language: &str) -> PathBuf {
    folder().join(format!("{language}.po"))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a tool of gettext in the repository; what it said.
fn gettext_tool(tool: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(tool);
    command.args(arguments).current_dir(workspace::root()).env("LC_ALL", "C.UTF-8");
    let output = command.output().with_context(|| format!("cannot run {tool}: install gettext"))?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("{tool}: {}", told.trim());
    }
    Ok(told)
}
