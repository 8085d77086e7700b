//! `--check-kvm`: can KVM make a machine here? One line of JSON says, for `library`, which may not ask KVM itself.

use std::fs::File;
use std::io::ErrorKind;
use std::process::ExitCode;

use serde_json::json;

/// Tries, with a machine of one processor that is gone at once, and prints `{"ok":true}` or the error with its case: `missing`,
/// `permission`, `busy`, `extension` or `other`.
pub(crate) fn kvm() -> ExitCode {
    let failed = |case: &str, error: String| {
        println!("{}", json!({ "error": error, "case": case }));
        ExitCode::FAILURE
    };
    // The one place where this program opens a path: before it has met a guest, an image or a message.
    let file = match File::options().read(true).write(true).open("/dev/kvm") {
        Ok(file) => file,
        Err(error) => {
            let case = match error.kind() {
                ErrorKind::NotFound => "missing",
                ErrorKind::PermissionDenied => "permission",
                _ => "other",
            };
            return failed(case, format!("/dev/kvm: {error}"));
        }
    };
    match machine::check_kvm(file) {
        Ok(()) => {
            println!("{}", json!({ "ok": true }));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let case = match error {
                machine::KvmError::Busy => "busy",
                machine::KvmError::ApiVersion(_) | machine::KvmError::Missing(_) => "extension",
                machine::KvmError::Call { .. } => "other",
            };
            failed(case, error.to_string())
        }
    }
}
