//! Dormer, the app.

fn main() -> std::process::ExitCode {
    dormer_app::run()
}
