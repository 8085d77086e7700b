//! The header bar in full screen: it comes when the pointer touches the top edge or the keyboard goes there, and goes when neither
//! needs it any more.

use std::cell::Cell;
use std::rc::Rc;

use adw::prelude::*;
use gtk::glib;

/// How near the top edge the pointer shows the header bar.
const EDGE: f64 = 2.0;

/// A console's header bar.
pub(super) struct Bar {
    window: glib::WeakRef<adw::ApplicationWindow>,
    toolbars: glib::WeakRef<adw::ToolbarView>,
    header: glib::WeakRef<adw::HeaderBar>,
    /// The pointer is at the bar.
    near: Cell<bool>,
    /// The keyboard goes to the bar as soon as it is there.
    awaited: Cell<bool>,
}

/// Shows and hides the header bar from now on.
pub(super) fn install(
    window: &adw::ApplicationWindow,
    toolbars: &adw::ToolbarView,
    header: &adw::HeaderBar,
) -> Rc<Bar> {
    let bar = Rc::new(Bar {
        window: window.downgrade(),
        toolbars: toolbars.downgrade(),
        header: header.downgrade(),
        near: Cell::new(false),
        awaited: Cell::new(false),
    });
    let changed = Rc::clone(&bar);
    window.connect_fullscreened_notify(move |_| {
        changed.near.set(false);
        changed.awaited.set(false);
        changed.update();
    });
    // A menu has the focus in a button of the bar.
    let focused = Rc::clone(&bar);
    window.connect_focus_widget_notify(move |_| focused.update());
    let mapped = Rc::clone(&bar);
    header.connect_map(move |_| {
        let bar = Rc::clone(&mapped);
        // Once all of it is there.
        glib::idle_add_local_once(move || {
            if bar.awaited.get() {
                bar.focus();
            }
        });
    });
    // On the window: where nobody composes windows, GTK draws a frame around it, and the top edge is not the view's.
    let motion = gtk::EventControllerMotion::new();
    motion.set_propagation_phase(gtk::PropagationPhase::Capture);
    let moved = Rc::clone(&bar);
    motion.connect_motion(move |_, _, y| moved.pointer(y));
    window.add_controller(motion);
    bar
}

impl Bar {
    /// Gives the keyboard to the bar.
    pub(super) fn enter(&self) {
        self.awaited.set(true);
        self.update();
        self.focus();
    }

    /// To its first button, so that Tab goes on to all others.
    fn focus(&self) {
        if let Some(header) = self.header.upgrade()
            && header.child_focus(gtk::DirectionType::TabForward)
        {
            self.awaited.set(false);
        }
    }

    fn pointer(&self, y: f64) {
        let height = self.header.upgrade().map_or(0.0, |header| f64::from(header.height()));
        // Once there, it may go a little way below.
        let near = if self.near.get() { y <= height * 1.5 } else { y <= EDGE };
        if self.near.replace(near) != near {
            self.update();
        }
    }

    fn update(&self) {
        let (Some(window), Some(toolbars), Some(header)) =
            (self.window.upgrade(), self.toolbars.upgrade(), self.header.upgrade())
        else {
            return;
        };
        let focus = gtk::prelude::RootExt::focus(&window).is_some_and(|widget| widget.is_ancestor(&header));
        toolbars.set_reveal_top_bars(!window.is_fullscreen() || self.near.get() || self.awaited.get() || focus);
    }
}
