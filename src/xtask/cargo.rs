//! Asking cargo: build things, and learn what came out of it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{host::HostArgs, workspace};

/// The cargo that runs us, in the repository.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.current_dir(workspace::root()).stdin(Stdio::null());
    cargo
}

/// Adds rustfmt and clippy to a toolchain that was installed without them. If that fails, their checks will say so.
pub(crate) fn add_components() {
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let there = cargo().args([command, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            let _ =
                Command::new("rustup").args(["component", "add", component]).current_dir(workspace::root()).status();
        }
    }
}

/// All of Dormer but this program, which would be replaced as it runs. Builds choose from the whole of it, always: the features of a
/// crate are the sum of what the chosen packages want of it, so another choice builds half of everything again.
pub(crate) const DORMER: [&str; 3] = ["--workspace", "--exclude", "dormer-xtask"];

/// What people run, and what the tests run beside it.
pub(crate) const PROGRAMS: [&str; 2] = ["--bins", "--examples"];

/// Builds Dormer's programs; `false` if that failed.
///
/// # Errors
/// Cargo cannot be run.
pub(crate) fn build_programs(profile: &str) -> Result<bool> {
    let built = cargo().args(["build", "--keep-going", "--profile", profile]).args(DORMER).args(PROGRAMS).status();
    Ok(built.context("cannot run cargo")?.success())
}

/// A test executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestExecutable {
    /// Its package.
    pub(crate) package: String,
    /// Its target's name; a library's unit tests have the library's.
    pub(crate) target: String,
    /// The folder it expects to be run in.
    pub(crate) folder: PathBuf,
    /// The target's main file.
    pub(crate) source: PathBuf,
    /// The executable.
    pub(crate) path: PathBuf,
}

impl TestExecutable {
    /// For people: `dormer-tests/boot`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.package, self.target)
    }

    /// Whether it is one of the end-to-end tests, by where its source is.
    pub(crate) fn is_end_to_end(&self) -> bool {
        self.package == "dormer-tests" && self.source.starts_with(self.folder.join("e2e"))
    }
}

/// What came out of building tests.
pub(crate) struct BuiltTests {
    /// The executables there are now.
    pub(crate) executables: Vec<TestExecutable>,
    /// Whether these are all.
    pub(crate) complete: bool,
}

/// Builds with `cargo build` and these arguments, which choose tests and maybe more. Warnings and errors go to the terminal; what does
/// not build does not keep the rest from being built.
///
/// # Errors
/// Cargo cannot be run.
pub(crate) fn build_tests(arguments: &[&str]) -> Result<BuiltTests> {
    let mut cargo = cargo()
        .args(["build", "--keep-going", "--message-format=json-render-diagnostics"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let output = BufReader::new(cargo.stdout.take().context("cargo has no output")?);
    let mut executables = Vec::new();
    for line in output.lines() {
        executables.extend(test_executable(&line?));
    }
    Ok(BuiltTests { executables, complete: cargo.wait()?.success() })
}

/// Reads one message of cargo's (its reference, "JSON messages").
fn test_executable(message: &str) -> Option<TestExecutable> {
    #[derive(Deserialize)]
    struct Artifact {
        manifest_path: PathBuf,
        target: Target,
        profile: Profile,
        executable: Option<PathBuf>,
        package_id: String,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
        src_path: PathBuf,
    }
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    // Other messages lack these fields.
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    Some(TestExecutable {
        package: package_name(&artifact.package_id),
        target: artifact.target.name,
        folder: artifact.manifest_path.parent()?.to_owned(),
        source: artifact.target.src_path,
        path: artifact.executable.filter(|_| artifact.profile.test)?,
    })
}

/// The name in a package id: `path+file:///…/tests#dormer-tests@0.1.0`, or `…/dormer-tests#0.1.0` where both are one.
fn package_name(id: &str) -> String {
    let (location, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => location.rsplit('/').next().unwrap_or(location).to_owned(),
    }
}

/// What a test executable of package `dormer-tests` wants of a test host: the tables
/// `[package.metadata.test-host.TARGET]` of `tests/Cargo.toml`. All keys may be left out.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Wishes {
    /// Time by instructions: for OVMF guests, and for measuring.
    pub(crate) exact: bool,
    /// Processors.
    pub(crate) cpus: Option<u8>,
    /// Memory in MiB.
    pub(crate) memory: Option<u32>,
    /// Seconds until it is stopped.
    pub(crate) timeout: Option<u64>,
    /// A USB stick of so many MiB, empty, which is `TARGET-stick.img` in the output folder.
    pub(crate) usb_stick: Option<u64>,
    /// A disk of so many MiB that is on USB and can do UAS: `TARGET-uas.img` in the output folder.
    pub(crate) usb_disk: Option<u64>,
    /// Other USB devices, as `cargo xtask host --usb` has them; what is written to or read from FILE is in the output folder, called
    /// `TARGET-FILE`. Outputs are made, and empty folders.
    pub(crate) usb: Vec<String>,
    /// QEMU's monitor, as `cargo xtask host --monitor` has it.
    pub(crate) monitor: bool,
    /// A sound card, whose output is `TARGET.wav` in the output folder.
    pub(crate) sound: bool,
    /// Only in `cargo xtask test --full`.
    pub(crate) full: bool,
}

impl Wishes {
    /// The test host's memory in MiB.
    pub(crate) fn memory_mib(&self) -> u32 {
        self.memory.unwrap_or_else(|| HostArgs::new(Vec::new()).memory)
    }

    /// The test host for `target`, running `command`, with its files in `output`.
    ///
    /// # Errors
    /// The USB stick's image could not be made.
    pub(crate) fn host(&self, target: &str, output: &Path, command: Vec<String>) -> Result<HostArgs> {
        let mut host = HostArgs::new(command);
        host.exact = self.exact;
        host.cpus = self.cpus.unwrap_or(host.cpus);
        host.memory = self.memory_mib();
        host.timeout = self.timeout.unwrap_or(host.timeout);
        host.writable.push(output.to_owned());
        let image = |name: &str, size: u64| {
            let image = output.join(format!("{target}-{name}.img"));
            std::fs::File::create(&image)
                .and_then(|file| file.set_len(size << 20))
                .with_context(|| format!("cannot make {}", image.display()))?;
            anyhow::Ok(image)
        };
        if let Some(size) = self.usb_stick {
            host.usb_stick.push(image("stick", size)?);
        }
        if let Some(size) = self.usb_disk {
            let device = format!("uas={}", image("uas", size)?.display());
            host.usb.push(device.parse().map_err(anyhow::Error::msg)?);
        }
        for device in &self.usb {
            let device = match device.split_once('=') {
                Some((kind, file)) => {
                    let file = output.join(format!("{target}-{file}"));
                    if kind == "mtp" {
                        std::fs::create_dir_all(&file).with_context(|| format!("cannot make {}", file.display()))?;
                    }
                    format!("{kind}={}", file.display())
                }
                None => device.clone(),
            };
            host.usb.push(device.parse().map_err(anyhow::Error::msg)?);
        }
        host.monitor = self.monitor;
        if self.sound {
            host.sound = Some(output.join(format!("{target}.wav")));
        }
        Ok(host)
    }
}

/// Reads all wishes, by target.
///
/// # Errors
/// The workspace cannot be read, or a wish is not known.
pub(crate) fn wishes() -> Result<BTreeMap<String, Wishes>> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo metadata failed");
    parse_wishes(&output.stdout)
}

fn parse_wishes(metadata: &[u8]) -> Result<BTreeMap<String, Wishes>> {
    let mut metadata: serde_json::Value = serde_json::from_slice(metadata)?;
    let packages = metadata["packages"].as_array_mut().context("cargo metadata lists no packages")?;
    let tests = packages.iter_mut().find(|package| package["name"] == "dormer-tests");
    let table = tests.map(|tests| tests["metadata"]["test-host"].take()).unwrap_or_default();
    if table.is_null() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_value(table).context("[package.metadata.test-host] of tests/Cargo.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_executables_are_found_in_messages() {
        let message = r#"{"reason":"compiler-artifact","package_id":"path+file:///r/tests#dormer-tests@0.1.0",
            "manifest_path":"/r/tests/Cargo.toml","target":{"kind":["test"],"name":"boot","src_path":"/r/tests/e2e/boot.rs"},
            "profile":{"test":true},"executable":"/r/target/debug/deps/boot-1"}"#;
        let test = test_executable(message).unwrap();
        assert_eq!(test.name(), "dormer-tests/boot");
        assert_eq!(test.folder, Path::new("/r/tests"));
        assert!(test.is_end_to_end());
        assert_eq!(test_executable(&message.replace(r#""test":true"#, r#""test":false"#)), None);
        assert_eq!(test_executable(&message.replace(r#""/r/target/debug/deps/boot-1""#, "null")), None);
        assert_eq!(test_executable(r#"{"reason":"build-finished","success":true}"#), None);
        assert!(!test_executable(&message.replace("/e2e/", "/")).unwrap().is_end_to_end());
    }

    #[test]
    fn package_ids_of_both_forms() {
        assert_eq!(package_name("path+file:///r/src/kvm#dormer-kvm@0.1.0"), "dormer-kvm");
        assert_eq!(package_name("path+file:///r/dormer-kvm#0.1.0"), "dormer-kvm");
    }

    #[test]
    fn wishes_are_read_and_checked() {
        let with = |table: &str| {
            parse_wishes(format!(r#"{{"packages":[{{"name":"dormer-tests","metadata":{table}}}]}}"#).as_bytes())
        };
        assert_eq!(with("null").unwrap(), BTreeMap::new());
        let wishes = with(r#"{"test-host":{"boot":{"exact":true,"usb-stick":8}}}"#).unwrap();
        assert_eq!(wishes["boot"], Wishes { exact: true, usb_stick: Some(8), ..Wishes::default() });
        assert!(with(r#"{"test-host":{"boot":{"exakt":true}}}"#).is_err());
    }

    #[test]
    fn wishes_make_a_host() {
        let output = tempfile::tempdir().unwrap();
        let wishes = Wishes { memory: Some(2048), usb_stick: Some(1), sound: true, ..Wishes::default() };
        let host = wishes.host("boot", output.path(), vec!["true".into()]).unwrap();
        assert_eq!((host.memory, host.cpus), (2048, 2));
        assert_eq!(host.usb_stick[0].metadata().unwrap().len(), 1 << 20);
        assert_eq!(host.sound.unwrap(), output.path().join("boot.wav"));
        assert_eq!(host.writable, [output.path()]);
    }
}
