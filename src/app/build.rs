//! Rebuilds the app when a resource that is compiled into it changes.

fn main() {
    println!("cargo::rerun-if-changed=../../data/resources");
    for variable in ["DORMER_APP_ID", "DORMER_LOCALEDIR"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
}
