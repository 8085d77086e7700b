//! A shell on a guest's serial port, whoever runs the guest.

use std::time::Duration;

/// A serial port with a Debian of [`crate::media::DEBIAN_DISK`] at its end.
pub trait SerialPort {
    /// For messages: whose it is.
    fn name(&self) -> &str;

    /// Sends a text.
    fn send_serial(&mut self, text: &str);

    /// Waits until an expression (`^` and `$` are ends of lines) is in what was sent behind what was waited for last; what was found, and
    /// its groups.
    fn wait_serial(&mut self, expression: &str, limit: Duration) -> Vec<String>;
}

/// Logs in as root and makes the shell one for [`shell`].
#[track_caller]
pub fn log_in(port: &mut impl SerialPort, limit: Duration) {
    port.wait_serial("login: $", limit);
    port.send_serial("root\n");
    port.wait_serial("Password: $", Duration::from_secs(180));
    port.send_serial("dormer\n");
    port.wait_serial("# $", Duration::from_secs(180));
    port.send_serial(
        "dmesg -n 1; stty -echo; export TERM=dumb; PS1=; PS2=; bind \"set enable-bracketed-paste off\"; echo ready-$((6*7))\n",
    );
    port.wait_serial("ready-42", Duration::from_secs(120));
}

/// Runs a command again and again until its status is 0, for that long by the guest's clock at most; its output then.
#[track_caller]
pub fn shell_until(port: &mut impl SerialPort, command: &str, limit: Duration) -> String {
    let times = limit.as_secs() * 5;
    let again = format!(
        "r=1; for i in $(seq {times}); do if o=$({{ {command}; }} 2>/dev/null); then r=0; break; fi; sleep 0.2; done; \
         [ $r = 0 ] || dmesg | tail -n 30; echo \"$o\"; (exit $r)"
    );
    // The clock by which the answer is waited for need not be the guest's.
    shell(port, &again, limit * 4)
}

/// Runs a command; its output, when its status is 0.
#[track_caller]
pub fn shell(port: &mut impl SerialPort, command: &str, limit: Duration) -> String {
    port.send_serial(&format!("echo output-$((1)); {command}; s=$?; echo; echo status-$s\n"));
    let found = port.wait_serial(r"output-1\r?\n([\s\S]*?)\r?\nstatus-(\d+)", limit);
    let output = found[1].replace('\r', "");
    assert_eq!(found[2], "0", "{}: `{command}` failed: {output}", port.name());
    output.trim().to_owned()
}
