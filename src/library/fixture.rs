//! A library with a machine in it, and an engine that says what it is told to, for tests.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

use api::machine::{Firmware, Host, Profile, Wants};
use serde_json::{Value, json};

use crate::control::Client;
use crate::{Entry, Library, NewMachine};

/// How long such an engine may take for an answer.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// An engine that greets, takes the negotiation, then answers each line with what `answer` says of it.
pub(crate) fn engine(mut answer: impl FnMut(Value) -> Vec<String> + Send + 'static) -> (Client, JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let thread = std::thread::spawn(move || {
        let mut out = theirs.try_clone().unwrap();
        writeln!(out, r#"{{"QMP":{{"version":{{}},"capabilities":[]}}}}"#).unwrap();
        for line in BufReader::new(theirs).lines().map_while(Result::ok) {
            let request: Value = serde_json::from_str(&line).unwrap();
            let lines = match request["execute"].as_str() {
                Some("qmp_capabilities") => vec![json!({"return": {}, "id": request["id"]}).to_string()],
                _ => answer(request),
            };
            for line in lines {
                if writeln!(out, "{line}").is_err() {
                    return;
                }
            }
        }
    });
    (Client::new(ours, LIMIT).unwrap(), thread)
}

/// A machine that starts by BIOS, with a disk of 25 GiB and an empty CD drive; not made yet.
pub(crate) fn machine(name: &str) -> NewMachine {
    NewMachine::new(name, Profile::Linux, Firmware::Bios, Wants::default(), Host { processors: 2, memory: 2048 })
}

/// A library of its own with the machine “One”; gone with the folder.
pub(crate) fn library_with_one() -> (tempfile::TempDir, Library, Entry) {
    let home = tempfile::tempdir().unwrap();
    let library = Library::at(home.path());
    let entry = library.create(&machine("One")).unwrap();
    (home, library, entry)
}
