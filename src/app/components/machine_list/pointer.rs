//! How several machines are chosen with Ctrl and Shift, and dragged into groups.

use std::cell::RefCell;
use std::rc::Rc;

use adw::prelude::*;
use gtk::{gdk, glib};
use uuid::Uuid;

use super::ListMsg;
use super::choice::Reach;
use crate::i18n::ngettext_f;

/// Machines that are being dragged. A type of its own: no other program and no text field takes them.
#[derive(Clone, Debug, glib::Boxed)]
#[boxed_type(name = "DormerDraggedMachines")]
struct Dragged(Vec<Uuid>);

/// The machine of a row or tile.
pub(super) fn machine(widget: &impl IsA<gtk::Widget>) -> Option<Uuid> {
    Uuid::parse_str(&widget.widget_name()).ok()
}

/// The row or tile at this point.
fn item(place: &gtk::Box, (x, y): (f64, f64)) -> Option<gtk::Widget> {
    let picked = place.pick(x, y, gtk::PickFlags::DEFAULT);
    std::iter::successors(picked, WidgetExt::parent).find(|widget| machine(widget).is_some())
}

/// Listens to clicks with Ctrl and Shift and to Ctrl+A, before lists take them, which know only their own rows.
pub(super) fn listen(place: &gtk::Box, tell: impl Fn(ListMsg) + Clone + 'static) {
    let all = tell.clone();
    let action = gtk::CallbackAction::new(move |_, _| {
        all(ListMsg::ChooseAll);
        glib::Propagation::Stop
    });
    let keys = gtk::ShortcutController::new();
    keys.set_propagation_phase(gtk::PropagationPhase::Capture);
    keys.add_shortcut(gtk::Shortcut::new(gtk::ShortcutTrigger::parse_string("<Ctrl>a"), Some(action)));
    place.add_controller(keys);

    let click = gtk::GestureClick::builder().propagation_phase(gtk::PropagationPhase::Capture).build();
    let weak = place.downgrade();
    click.connect_pressed(move |click, _, x, y| {
        let state = click.current_event_state();
        let reach = if state.contains(gdk::ModifierType::SHIFT_MASK) {
            Reach::Range
        } else if state.contains(gdk::ModifierType::CONTROL_MASK) {
            Reach::One
        } else {
            return;
        };
        let Some(item) = weak.upgrade().and_then(|place| item(&place, (x, y))) else { return };
        if let Some(uuid) = machine(&item) {
            click.set_state(gtk::EventSequenceState::Claimed);
            item.grab_focus();
            tell(ListMsg::Choose(uuid, reach));
        }
    });
    place.add_controller(click);
}

/// Lets machines be dragged; `others` are those that go with one, and `dragging` hears whether there is a drag.
pub(super) fn drag(
    place: &gtk::Box,
    dragging: impl Fn(bool) + Clone + 'static,
    others: impl Fn(Uuid) -> Vec<Uuid> + 'static,
) {
    let source = gtk::DragSource::builder().actions(gdk::DragAction::MOVE).build();
    let weak = place.downgrade();
    let shown = Rc::new(RefCell::new(None));
    let prepared = Rc::clone(&shown);
    source.connect_prepare(move |_, x, y| {
        let item = item(&weak.upgrade()?, (x, y))?;
        let machines = others(machine(&item)?);
        prepared.replace(Some(icon(&item, machines.len())));
        Some(gdk::ContentProvider::for_value(&Dragged(machines).to_value()))
    });
    let begins = dragging.clone();
    source.connect_drag_begin(move |_, drag| {
        if let Ok(surface) = gtk::DragIcon::for_drag(drag).downcast::<gtk::DragIcon>() {
            surface.set_child(shown.take().as_ref());
        }
        begins(true);
    });
    source.connect_drag_end(move |_, _, _| dragging(false));
    place.add_controller(source);
}

/// What hangs on the pointer: the machine's row or tile, or how many there are.
fn icon(item: &gtk::Widget, count: usize) -> gtk::Widget {
    let what: gtk::Widget = match count {
        0 | 1 => gtk::Picture::builder()
            .paintable(&gtk::WidgetPaintable::new(Some(item)))
            .width_request(item.width())
            .height_request(item.height())
            .build()
            .upcast(),
        count => gtk::Label::new(Some(&ngettext_f("{count} machine", "{count} machines", count, &[]))).upcast(),
    };
    let icon = gtk::Box::builder().css_classes(["dragged-machines"]).build();
    icon.append(&what);
    icon.upcast()
}

/// Machines that are dropped here come into this group, or into none.
pub(super) fn take(widget: &impl IsA<gtk::Widget>, group: Option<String>, tell: impl Fn(ListMsg) + 'static) {
    let target = gtk::DropTarget::new(Dragged::static_type(), gdk::DragAction::MOVE);
    let mark = |on: bool| {
        let widget = widget.upcast_ref::<gtk::Widget>().downgrade();
        move || {
            if let Some(widget) = widget.upgrade() {
                if on { widget.add_css_class("drop-here") } else { widget.remove_css_class("drop-here") }
            }
        }
    };
    let enter = mark(true);
    target.connect_enter(move |_, _, _| {
        enter();
        gdk::DragAction::MOVE
    });
    let leave = mark(false);
    target.connect_leave(move |_| leave());
    // A drop is no leaving.
    let dropped = mark(false);
    target.connect_drop(move |_, value, _, _| {
        dropped();
        let machines = value.get::<Dragged>().map(|dragged| dragged.0).unwrap_or_default();
        tell(ListMsg::Dropped(machines, group.clone()));
        true
    });
    widget.add_controller(target);
}
