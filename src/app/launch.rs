//! How the program begins: `dormer --machine UUID` is what a machine's launcher runs, and a second `dormer` hands over to the first.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use gtk::prelude::*;
use gtk::{gio, glib};
use uuid::Uuid;

use crate::i18n::gettext;

/// The option.
const MACHINE: &str = "machine";
/// When a process that only hands over gets its last event.
const LAST: Duration = Duration::from_millis(20);

/// How this process was run.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    /// With a machine to show: its first activation is not for the list.
    pub(crate) machine: Cell<bool>,
    /// With what is none.
    pub(crate) failed: Cell<bool>,
}

/// Adds the option. What comes back is filled when the application runs.
pub(crate) fn listen(application: &adw::Application) -> Rc<Launch> {
    application.add_main_option(
        MACHINE,
        glib::Char::from(0),
        glib::OptionFlags::NONE,
        glib::OptionArg::String,
        &gettext("Show this machine; start it if it is off"),
        Some("UUID"),
    );
    let launch = Rc::new(Launch::default());
    let here = Rc::clone(&launch);
    application.connect_handle_local_options(move |application, options| {
        let uuid = options.lookup::<String>(MACHINE).ok().flatten();
        let fail = |why: &str| {
            eprintln!("dormer: {why}");
            // relm4 keeps the application's own exit status to itself (0.11).
            here.failed.set(true);
            end();
            ControlFlow::Break(glib::ExitCode::FAILURE)
        };
        if let Some(uuid) = uuid.as_deref().filter(|uuid| Uuid::parse_str(uuid).is_err()) {
            return fail(&format!("“{uuid}” is no machine’s UUID: “dormerctl show NAME --json” says it"));
        }
        if let Err(error) = application.register(None::<&gio::Cancellable>) {
            return fail(error.message());
        }
        if application.is_remote() {
            end();
        }
        let Some(uuid) = uuid else { return ControlFlow::Continue(()) };
        application.activate_action("open", Some(&uuid.to_variant()));
        if application.is_remote() {
            return ControlFlow::Break(glib::ExitCode::SUCCESS);
        }
        here.machine.set(true);
        ControlFlow::Continue(())
    });
    launch
}

/// This process has nothing to do but to end. relm4 waits for one more event when an application has run (0.11): without windows
/// there would never be one.
fn end() {
    glib::timeout_add_local(LAST, || glib::ControlFlow::Continue);
}
