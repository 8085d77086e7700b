//! Rebuilds the app when a resource that is compiled into it changes, and compiles the schemas of its preferences with GLib's own tool,
//! which comes with GTK's development files.

use std::path::PathBuf;
use std::process::Command;

/// Where schemas stand.
const DATA: &str = "../../data";
/// Their tool.
const COMPILER: &str = "glib-compile-schemas";

fn main() {
    println!("cargo::rerun-if-changed={DATA}/resources");
    println!("cargo::rerun-if-changed={DATA}/io.github.dormer_vm.Dormer.gschema.xml");
    for variable in ["DORMER_APP_ID", "DORMER_LOCALEDIR"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    match Command::new(COMPILER).arg("--strict").arg("--targetdir").arg(out).arg(DATA).status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{COMPILER}: {status}"),
        Err(error) => panic!("{COMPILER} (Debian: libglib2.0-dev): {error}"),
    }
}
