//! What a build knows about itself. Packagers set these variables; a plain `cargo build` needs none.

/// The application's id.
pub(crate) const APP_ID: &str = match option_env!("DORMER_APP_ID") {
    Some(id) => id,
    None => "io.github.dormer_vm.Dormer",
};
/// Where resources stand in the program.
pub(crate) const RESOURCES: &str = "/io/github/dormer_vm/Dormer";
/// The version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Where translations are; beside the program's folder where nobody has said.
pub(crate) const LOCALEDIR: Option<&str> = option_env!("DORMER_LOCALEDIR");
/// The translations' domain.
pub(crate) const DOMAIN: &str = "dormer";
