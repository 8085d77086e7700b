//! The Debian packages that building, running and testing Dormer need, and how they come onto this machine.
//!
//! Says what is missing and asks; `--yes`, or no terminal to ask on, means yes. On a system without apt it names what
//! is needed and goes on: the build says what is really missing there.

mod list;
mod sources;

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write, stdin, stdout},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::host::{self, Engines};
pub(crate) use list::Purpose;
use list::{Origin, PACKAGES, Package};
use sources::Release;

/// `cargo xtask packages`'s options.
#[derive(Args, Debug, Clone)]
pub(crate) struct PackagesArgs {
    /// Install without asking
    #[arg(long, short)]
    yes: bool,
}

/// `cargo xtask packages`: everything that any other task would install.
pub(crate) fn main(args: &PackagesArgs) -> ExitCode {
    match install(&Purpose::all(), args.yes) {
        Ok(()) => {
            println!("All packages are installed.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Sees to it that the packages for these purposes are installed. The test host's are left out where this machine
/// has KVM of its own.
///
/// # Errors
/// The person said no, there is no way to become root, or apt failed.
pub(crate) fn install(purposes: &[Purpose], yes: bool) -> Result<()> {
    let host_is_needed = host::where_engines_run() == Engines::TestHost;
    let wanted = || {
        PACKAGES.iter().filter(|package| {
            purposes.contains(&package.purpose) && (package.purpose != Purpose::TestHost || host_is_needed)
        })
    };
    let Some(installed) = installed_packages() else {
        let names: Vec<_> = wanted().map(|package| package.name).collect();
        println!("This system has no dpkg. Needed are what Debian 13 calls: {}", names.join(" "));
        return Ok(());
    };
    let release = Release::of(&sources::read(Path::new("/etc/apt")));
    let missing: Vec<_> = wanted().filter(|package| !is_there(package, &installed)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    println!("Packages that are needed and not installed:\n  {}", names.join(" "));
    if release != Release::Own && missing.iter().any(|package| package.from == Origin::Trixie) {
        println!(
            "This is Debian 12, whose GTK is too old: Debian 13 is added as a source, pinned so that nothing else moves; \
             libc6 and some libraries move with GTK."
        );
    }
    ensure!(yes || agreed()?, "not installed; nothing was changed");

    let root = Root::find()?;
    if let Release::Bookworm(source) = &release {
        root.write("/etc/apt/sources.list.d/dormer-trixie.sources", &sources::trixie_source(source))?;
        root.write("/etc/apt/preferences.d/dormer-trixie", sources::TRIXIE_PREFERENCES)?;
    }
    root.apt(&["update"]).context("apt-get update failed")?;
    let on_bookworm = release != Release::Own;
    let group = |from: Origin| missing.iter().filter(move |package| (package.from, on_bookworm) == (from, true));
    let from_trixie: Vec<_> = group(Origin::Trixie).map(|package| package.name).collect();
    let own: Vec<_> = names.iter().filter(|name| !from_trixie.contains(name)).copied().collect();
    for (release, names) in [(Some("trixie"), from_trixie), (None, own)] {
        let (kernel, names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| *name == list::KERNEL);
        root.install(release, &names)?;
        // Alone and last: its hooks want to make an initramfs and a boot menu, which fails in containers. The test host
        // needs neither.
        if let Err(error) = root.install(release, &kernel) {
            ensure!(host::has_kernel(), error);
            eprintln!("warning: {error:#}; the kernel is there, so the test host can run");
        }
    }
    let installed = installed_packages().unwrap_or_default();
    let missing: Vec<_> = missing.iter().filter(|p| !is_there(p, &installed)).map(|p| p.name).collect();
    ensure!(missing.is_empty(), "apt did not install {}, or not a version that is new enough", missing.join(" "));
    Ok(())
}

/// Installed packages and their versions; `None` where there is no dpkg.
fn installed_packages() -> Option<BTreeMap<String, String>> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status} ${Version}\\n"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    Some(parse_installed(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_installed(list: &str) -> BTreeMap<String, String> {
    list.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (name, status, version) = (words.next()?, words.next()?, words.next()?);
            (status == "installed").then(|| (name.to_owned(), version.to_owned()))
        })
        .collect()
}

fn is_there(package: &Package, installed: &BTreeMap<String, String>) -> bool {
    if package.name == list::KERNEL && host::has_kernel() {
        // Any Debian kernel with its modules will do.
        return true;
    }
    let Some(version) = installed.get(package.name) else { return false };
    package.at_least.is_none_or(|least| {
        let compared = Command::new("dpkg").args(["--compare-versions", version, "ge", least]).status();
        compared.is_ok_and(|status| status.success())
    })
}

fn agreed() -> Result<bool> {
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return Ok(true);
    }
    print!("Install them with apt-get now? [Y/n] ");
    stdout().flush()?;
    let mut answer = String::new();
    ensure!(stdin().read_line(&mut answer)? > 0, "no answer");
    Ok(matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"))
}

/// How to do something as root here.
struct Root {
    sudo: bool,
}

impl Root {
    fn find() -> Result<Self> {
        if rustix::process::geteuid().is_root() {
            return Ok(Self { sudo: false });
        }
        let sudo = Command::new("sudo").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        match sudo {
            Ok(status) if status.success() => Ok(Self { sudo: true }),
            _ => bail!("installing packages needs root, and there is no sudo: run `cargo xtask packages` as root"),
        }
    }

    fn command(&self, program: &str) -> Command {
        if !self.sudo {
            return Command::new(program);
        }
        let mut command = Command::new("sudo");
        command.arg(program);
        command
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let failed = || format!("cannot write {path}");
        let tee = self.command("tee").arg(path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut tee = tee.with_context(failed)?;
        tee.stdin.take().with_context(failed)?.write_all(text.as_bytes()).with_context(failed)?;
        ensure!(tee.wait()?.success(), failed());
        Ok(())
    }

    fn install(&self, release: Option<&str>, names: &[&str]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
        if let Some(release) = release {
            arguments.extend(["--target-release", release]);
        }
        arguments.extend(names);
        self.apt(&arguments).with_context(|| format!("apt-get could not install {}", names.join(" ")))
    }

    fn apt(&self, arguments: &[&str]) -> Result<()> {
        let status = self
            .command("env")
            .args(["DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none", "apt-get", "--quiet"])
            .args(["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"])
            .args(["-o", "Dpkg::Options::=--force-confold"])
            // Lists of files are of no use here, and can fail while a mirror syncs.
            .args(["-o", "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false"])
            .args(arguments)
            .stdin(Stdio::null())
            .status()
            .context("cannot run apt-get")?;
        ensure!(status.success(), "apt-get ended with {status}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_packages_count() {
        let installed =
            parse_installed("gcc installed 4:12.2\ngdb config-files 13\nbad half-configured 1\nnone not-installed \n");
        assert_eq!(installed.into_iter().collect::<Vec<_>>(), [("gcc".to_owned(), "4:12.2".to_owned())]);
    }

    #[test]
    fn old_versions_are_missing() {
        let gtk = PACKAGES.iter().find(|package| package.name == "libgtk-4-dev").unwrap();
        let with = |version: &str| BTreeMap::from([("libgtk-4-dev".to_owned(), version.to_owned())]);
        assert!(!is_there(gtk, &BTreeMap::new()));
        if Command::new("dpkg").arg("--version").output().is_ok() {
            assert!(!is_there(gtk, &with("4.8.3+ds-2+deb12u1")));
            assert!(is_there(gtk, &with("4.18.6+ds-2")));
        }
    }
}
