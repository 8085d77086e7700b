//! Files that are dropped on the app.

use std::path::PathBuf;

use gtk::gdk;
use gtk::prelude::*;

/// Calls with the first file that is dropped on the widget, which shows that it would take one that hovers over it.
pub(crate) fn take(widget: &impl IsA<gtk::Widget>, take: impl Fn(PathBuf) + 'static) {
    let target = gtk::DropTarget::new(gdk::FileList::static_type(), gdk::DragAction::COPY);
    // Before fields within, which would take a file as text.
    target.set_propagation_phase(gtk::PropagationPhase::Capture);
    let mark = |on: bool| {
        let widget = widget.upcast_ref::<gtk::Widget>().downgrade();
        move || {
            if let Some(widget) = widget.upgrade() {
                if on { widget.add_css_class("drop-here") } else { widget.remove_css_class("drop-here") }
            }
        }
    };
    // A drop is no leaving.
    let dropped = mark(false);
    target.connect_drop(move |_, value, _, _| {
        dropped();
        let path = value.get::<gdk::FileList>().ok().and_then(|files| files.files().first()?.path());
        let taken = path.is_some();
        path.into_iter().for_each(&take);
        taken
    });
    let enter = mark(true);
    target.connect_enter(move |_, _, _| {
        enter();
        gdk::DragAction::COPY
    });
    let leave = mark(false);
    target.connect_leave(move |_| leave());
    widget.add_controller(target);
}
