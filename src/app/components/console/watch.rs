//! Calls from the main loop when a socket is ready.

use std::os::fd::AsFd;

use gtk::gio;
use gtk::glib;
use gtk::prelude::*;

/// The main loop calls as long as this lives.
#[derive(Debug)]
pub(super) struct Watch(glib::Source);

impl Watch {
    /// Calls while the socket is readable, or writable, until it answers [`glib::ControlFlow::Break`]. What has a higher priority comes
    /// first: an engine that never stops talking keeps nothing waiting that comes before it.
    pub(super) fn new(
        socket: impl AsFd,
        condition: glib::IOCondition,
        priority: glib::Priority,
        call: impl Fn() -> glib::ControlFlow + 'static,
    ) -> Option<Self> {
        let descriptor = socket.as_fd().try_clone_to_owned();
        let Some(socket) = descriptor.ok().and_then(|descriptor| gio::Socket::from_fd(descriptor).ok()) else {
            tracing::error!("a connection cannot be watched");
            return None;
        };
        let source = SocketExtManual::create_source(
            &socket,
            condition,
            None::<&gio::Cancellable>,
            Some("console"),
            priority,
            move |_, _| call(),
        );
        source.attach(None);
        Some(Self(source))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.destroy();
    }
}
