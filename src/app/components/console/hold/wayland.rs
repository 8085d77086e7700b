//! A locked pointer (Wayland's pointer-constraints-unstable-v1 and relative-pointer-unstable-v1), on GDK's own connection.

use std::cell::RefCell;

use gdk4_wayland::prelude::*;
use gtk::glib;
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_registry::WlRegistry;
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle, delegate_noop};
use wayland_protocols::wp::pointer_constraints::zv1::client::zwp_locked_pointer_v1::ZwpLockedPointerV1;
use wayland_protocols::wp::pointer_constraints::zv1::client::zwp_pointer_constraints_v1::{
    Lifetime, ZwpPointerConstraintsV1,
};
use wayland_protocols::wp::relative_pointer::zv1::client::zwp_relative_pointer_manager_v1::ZwpRelativePointerManagerV1;
use wayland_protocols::wp::relative_pointer::zv1::client::zwp_relative_pointer_v1::{self, ZwpRelativePointerV1};

use super::super::watch::Watch;

/// The compositor holds the pointer as long as this lives, and the window has the focus.
#[derive(Debug)]
pub(in super::super) struct Lock {
    connection: Connection,
    lock: ZwpLockedPointerV1,
    relative: ZwpRelativePointerV1,
    managers: (ZwpPointerConstraintsV1, ZwpRelativePointerManagerV1),
    _watch: Option<Watch>,
}

/// How far the pointer went since it was asked last.
#[derive(Debug, Default)]
struct Way(f64, f64);

impl Lock {
    /// Locks the pointer; none where the compositor cannot.
    pub(super) fn new(surface: &gdk4_wayland::WaylandSurface, moved: impl Fn((f64, f64)) + 'static) -> Option<Self> {
        let pointer = surface.display().default_seat()?.pointer()?;
        let pointer = pointer.downcast::<gdk4_wayland::WaylandDevice>().ok()?.wl_pointer()?;
        let surface = surface.wl_surface()?;
        let connection = Connection::from_backend(surface.backend().upgrade()?);
        let (globals, queue) = registry_queue_init::<Way>(&connection)
            .inspect_err(|error| tracing::warn!("what the compositor can is not known: {error}"))
            .ok()?;
        let handle = queue.handle();
        let constraints: ZwpPointerConstraintsV1 = globals.bind(&handle, 1..=1, ()).ok()?;
        let relatives: ZwpRelativePointerManagerV1 = globals.bind(&handle, 1..=1, ()).ok()?;
        let relative = relatives.get_relative_pointer(&pointer, &handle, ());
        let lock = constraints.lock_pointer(&surface, &pointer, None, Lifetime::Persistent, &handle, ());
        let watch = listen(&connection, queue, moved);
        let lock = Self { connection, lock, relative, managers: (constraints, relatives), _watch: watch };
        lock.flush();
        Some(lock)
    }

    fn flush(&self) {
        if let Err(error) = self.connection.flush() {
            // GDK is told the same, and ends the program.
            tracing::warn!("the compositor does not read: {error}");
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.lock.destroy();
        self.relative.destroy();
        self.managers.0.destroy();
        self.managers.1.destroy();
        self.flush();
    }
}

/// GDK reads the connection, for all queues; this one is looked at whenever there was something to read.
fn listen(connection: &Connection, queue: EventQueue<Way>, moved: impl Fn((f64, f64)) + 'static) -> Option<Watch> {
    let queue = RefCell::new(queue);
    Watch::new(connection, glib::IOCondition::IN, glib::Priority::DEFAULT, move || {
        let mut way = Way::default();
        if let Err(error) = queue.borrow_mut().dispatch_pending(&mut way) {
            tracing::warn!("movements of the captured pointer: {error}");
            return glib::ControlFlow::Break;
        }
        if (way.0, way.1) != (0.0, 0.0) {
            moved((way.0, way.1));
        }
        glib::ControlFlow::Continue
    })
}

impl Dispatch<ZwpRelativePointerV1, ()> for Way {
    fn event(
        way: &mut Self,
        _: &ZwpRelativePointerV1,
        event: zwp_relative_pointer_v1::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let zwp_relative_pointer_v1::Event::RelativeMotion { dx_unaccel, dy_unaccel, .. } = event {
            way.0 += dx_unaccel;
            way.1 += dy_unaccel;
        }
    }
}

impl Dispatch<WlRegistry, GlobalListContents> for Way {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: wayland_client::protocol::wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        // What comes and goes later is of no use: managers stay.
    }
}

delegate_noop!(Way: ZwpPointerConstraintsV1);
delegate_noop!(Way: ZwpRelativePointerManagerV1);
// Whether the compositor holds the pointer just now makes no difference: no movement comes while it does not.
delegate_noop!(Way: ignore ZwpLockedPointerV1);
