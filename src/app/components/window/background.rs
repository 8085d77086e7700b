//! Work off the main loop, and what calls the window from outside: engines, files, time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::time::Duration;

use gtk::prelude::*;
use gtk::{gio, glib};
use relm4::prelude::*;
use uuid::Uuid;

use super::{Found, Window, WindowMsg};
use crate::components::console::Ending;
use crate::machines;
use crate::reasons::reason;

/// When to look again after a machine that is starting or ending.
const LOOK_AGAIN: Duration = Duration::from_millis(700);

/// Connects a console.
pub(super) fn connect(uuid: Uuid, sender: &ComponentSender<Window>) {
    sender.spawn_oneshot_command(move || {
        Found::Console(uuid, machines::open_console(uuid).map(Box::new).map_err(|error| reason(&error)))
    });
}

/// Connects a console to a machine that is said to run; one that has ended meanwhile is started, as what a person does to it means.
pub(super) fn connect_or_start(uuid: Uuid, sender: &ComponentSender<Window>) {
    sender.spawn_oneshot_command(move || match machines::open_console(uuid) {
        Err(library::Error::NotRunning(_)) => Found::Off(uuid),
        console => Found::Console(uuid, console.map(Box::new).map_err(|error| reason(&error))),
    });
}

/// Listens to a machine's engine until it is gone, unless somebody does.
pub(super) fn watch(watched: &mut HashMap<Uuid, Option<Ending>>, uuid: Uuid, sender: &ComponentSender<Window>) {
    // Who hears of an end twice takes the second for a crash.
    let Entry::Vacant(place) = watched.entry(uuid) else { return };
    place.insert(None);
    sender.spawn_command(move |found| {
        machines::watch(uuid, |happening| found.send(Found::Happened(uuid, happening)).is_ok())
    });
}

/// Refreshes in a moment.
pub(super) fn look_again(sender: &ComponentSender<Window>) {
    let input = sender.input_sender().clone();
    glib::timeout_add_local_once(LOOK_AGAIN, move || input.emit(WindowMsg::Refresh));
}

/// Refreshes when machines come and go, or are started by somebody else.
pub(super) fn monitors(sender: &ComponentSender<Window>) -> Vec<gio::FileMonitor> {
    let monitor = |path: PathBuf| {
        let monitor = gio::File::for_path(&path)
            .monitor_directory(gio::FileMonitorFlags::WATCH_MOVES, None::<&gio::Cancellable>)
            .inspect_err(|error| tracing::warn!("changes in {} are not seen: {error}", path.display()))
            .ok()?;
        let input = sender.input_sender().clone();
        monitor.connect_changed(move |_, _, _, _| input.emit(WindowMsg::Refresh));
        Some(monitor)
    };
    machines::folders().into_iter().filter_map(monitor).collect()
}
