//! Machines that stand together: a list of rows or a grid of tiles, under their group's name if they have one.
//!
//! Rows and tiles have their machine's identity as their widget's name, so that a signal tells which it is of.

use std::collections::HashMap;

use adw::prelude::*;
use gtk::{gdk, glib};
use relm4::factory::{DynamicIndex, FactoryComponent, FactoryVecDeque};
use uuid::Uuid;

use super::ListMsg;
use super::choice::Choice;
use super::item::{Item, ItemMsg, ShowsItem};
use super::pointer::{self, machine};
use super::row::Row;
use super::tile::Tile;
use crate::i18n::gettext;
use crate::machines::Summary;
use crate::view_as::ViewAs;

/// The machines.
pub(super) struct Section {
    group: Option<Group>,
    items: Items,
}

/// A group's name, under which its machines are shown or hidden.
struct Group {
    name: String,
    expander: gtk::Expander,
}

enum Items {
    Rows(FactoryVecDeque<Row>),
    Tiles(FactoryVecDeque<Tile>),
}

impl Section {
    /// Without machines yet. `tell` hears what the person selects and opens.
    pub(super) fn new(group: Option<String>, view: ViewAs, tell: impl Fn(ListMsg) + Clone + 'static) -> Self {
        let items = Items::new(group.as_deref(), view, tell.clone());
        let (dropped, into) = (tell.clone(), group.clone());
        let group = group.map(|name| {
            let label = gtk::Label::builder().label(name.as_str()).ellipsize(gtk::pango::EllipsizeMode::End);
            let label = label.css_classes(["heading"]).build();
            let expander = gtk::Expander::builder().label_widget(&label).child(items.widget()).expanded(true);
            let expander = expander.css_classes(["machine-group"]).build();
            expander.update_property(&[gtk::accessible::Property::Label(&name)]);
            let group = name.clone();
            expander.connect_expanded_notify(move |expander| {
                tell(ListMsg::Opened(group.clone(), expander.is_expanded()));
            });
            Group { name, expander }
        });
        let section = Self { group, items };
        pointer::take(section.widget(), into, dropped);
        section
    }

    /// Its group's name.
    pub(super) fn group(&self) -> Option<&str> {
        self.group.as_ref().map(|group| group.name.as_str())
    }

    /// Shows or hides the machines of a group.
    pub(super) fn set_open(&self, open: bool) {
        self.group.iter().for_each(|group| group.expander.set_expanded(open));
    }

    /// What goes into the window.
    pub(super) fn widget(&self) -> &gtk::Widget {
        self.group.as_ref().map_or(self.items.widget(), |group| group.expander.upcast_ref())
    }

    /// Shows these machines. If they are those that were there, their widgets stay, and so does the keyboard's focus; else it answers
    /// true.
    pub(super) fn show(
        &mut self,
        machines: Vec<Summary>,
        pictures: &HashMap<Uuid, gdk::Texture>,
        choice: &Choice,
    ) -> bool {
        // While the person chooses, marks say what is chosen, and nothing else looks like it.
        let mode = if choice.is_on() { gtk::SelectionMode::None } else { gtk::SelectionMode::Browse };
        match &mut self.items {
            Items::Rows(rows) => {
                if rows.widget().selection_mode() != mode {
                    rows.widget().set_selection_mode(mode);
                }
                fill(rows, machines, pictures, choice)
            }
            Items::Tiles(tiles) => {
                if tiles.widget().selection_mode() != mode {
                    tiles.widget().set_selection_mode(mode);
                }
                fill(tiles, machines, pictures, choice)
            }
        }
    }

    /// All machines, in order.
    pub(super) fn machines(&self) -> Vec<Uuid> {
        match &self.items {
            Items::Rows(rows) => rows.iter().map(|row| row.item().uuid()).collect(),
            Items::Tiles(tiles) => tiles.iter().map(|tile| tile.item().uuid()).collect(),
        }
    }

    /// Are they to be seen?
    pub(super) fn is_open(&self) -> bool {
        self.group.as_ref().is_none_or(|group| group.expander.is_expanded())
    }

    /// A machine's screen, where it is one of these.
    pub(super) fn show_picture(&self, uuid: Uuid, picture: Option<gdk::Texture>) {
        match &self.items {
            Items::Rows(rows) => picture_of(rows, uuid, picture),
            Items::Tiles(tiles) => picture_of(tiles, uuid, picture),
        }
    }

    /// Selects this machine, or none where it is not one of these.
    pub(super) fn select(&self, uuid: Option<Uuid>) {
        match &self.items {
            Items::Rows(rows) => {
                let list = rows.widget();
                let row = self.place(uuid).and_then(|index| list.row_at_index(index));
                if list.selected_row() != row {
                    list.select_row(row.as_ref());
                }
            }
            Items::Tiles(tiles) => {
                let grid = tiles.widget();
                match self.place(uuid).and_then(|index| grid.child_at_index(index)) {
                    Some(tile) if !tile.is_selected() => grid.select_child(&tile),
                    Some(_) => {}
                    None => grid.selected_children().iter().for_each(|tile| grid.unselect_child(tile)),
                }
            }
        }
    }

    /// Gives this machine the keyboard's focus, if it is one of these.
    pub(super) fn focus(&self, uuid: Option<Uuid>) {
        let index = self.place(uuid);
        let widget: Option<gtk::Widget> = match &self.items {
            Items::Rows(rows) => index.and_then(|index| rows.widget().row_at_index(index)).and_upcast(),
            Items::Tiles(tiles) => index.and_then(|index| tiles.widget().child_at_index(index)).and_upcast(),
        };
        if let Some(widget) = widget {
            widget.grab_focus();
        }
    }

    fn place(&self, uuid: Option<Uuid>) -> Option<i32> {
        let uuid = uuid?;
        let place = match &self.items {
            Items::Rows(rows) => rows.iter().position(|row| row.item().uuid() == uuid),
            Items::Tiles(tiles) => tiles.iter().position(|tile| tile.item().uuid() == uuid),
        };
        place.and_then(|place| i32::try_from(place).ok())
    }
}

impl Items {
    fn new(group: Option<&str>, view: ViewAs, tell: impl Fn(ListMsg) + Clone + 'static) -> Self {
        let all = gettext("Machines");
        let label = gtk::accessible::Property::Label(group.unwrap_or(&all));
        let opened = tell.clone();
        match view {
            ViewAs::List => {
                let list = gtk::ListBox::builder().selection_mode(gtk::SelectionMode::Browse);
                let list = list.css_classes(["navigation-sidebar"]).build();
                list.update_property(&[label]);
                list.connect_keynav_failed(beyond);
                follow_focus(&list, tell.clone());
                list.connect_row_selected(move |_, row| {
                    row.and_then(machine).into_iter().for_each(|uuid| tell(ListMsg::Selected(uuid)));
                });
                list.connect_row_activated(move |_, row| {
                    machine(row).into_iter().for_each(|uuid| opened(ListMsg::Activated(uuid)));
                });
                Items::Rows(FactoryVecDeque::builder().launch(list).detach())
            }
            ViewAs::Grid => {
                let grid = gtk::FlowBox::builder()
                    .selection_mode(gtk::SelectionMode::Browse)
                    .homogeneous(true)
                    .valign(gtk::Align::Start)
                    .max_children_per_line(12)
                    .css_classes(["machine-grid"])
                    .build();
                grid.update_property(&[label]);
                grid.connect_keynav_failed(beyond);
                follow_focus(&grid, tell.clone());
                grid.connect_selected_children_changed(move |grid| {
                    grid.selected_children()
                        .first()
                        .and_then(machine)
                        .into_iter()
                        .for_each(|uuid| tell(ListMsg::Selected(uuid)));
                });
                grid.connect_child_activated(move |_, tile| {
                    machine(tile).into_iter().for_each(|uuid| opened(ListMsg::Activated(uuid)));
                });
                Items::Tiles(FactoryVecDeque::builder().launch(grid).detach())
            }
        }
    }

    fn widget(&self) -> &gtk::Widget {
        match self {
            Self::Rows(rows) => rows.widget().upcast_ref(),
            Self::Tiles(tiles) => tiles.widget().upcast_ref(),
        }
    }
}

/// From the first or last machine on, arrow keys lead to what is above or below.
fn beyond(items: &impl IsA<gtk::Widget>, direction: gtk::DirectionType) -> glib::Propagation {
    let direction = match direction {
        gtk::DirectionType::Up => gtk::DirectionType::TabBackward,
        gtk::DirectionType::Down => gtk::DirectionType::TabForward,
        _ => return glib::Propagation::Proceed,
    };
    let all = items.ancestor(gtk::Viewport::static_type());
    if all.is_some_and(|all| all.child_focus(direction)) { glib::Propagation::Stop } else { glib::Propagation::Proceed }
}

/// The machine that the keyboard's focus comes to from elsewhere is selected, as it is when the focus moves within.
fn follow_focus(items: &(impl IsA<gtk::Widget> + Clone), tell: impl Fn(ListMsg) + Clone + 'static) {
    let focus = gtk::EventControllerFocus::new();
    let weak = items.upcast_ref::<gtk::Widget>().downgrade();
    focus.connect_enter(move |_| {
        let (weak, tell) = (weak.clone(), tell.clone());
        // Once it is where it goes to.
        glib::idle_add_local_once(move || {
            let focused = weak.upgrade().and_then(|items| items.focus_child());
            focused.and_then(|item| machine(&item)).into_iter().for_each(|uuid| tell(ListMsg::Selected(uuid)));
        });
    });
    items.add_controller(focus);
}

/// What shows machines.
trait Shows: FactoryComponent<Index = DynamicIndex, Init = Item, Input = ItemMsg> + ShowsItem {}
impl<W> Shows for W where W: FactoryComponent<Index = DynamicIndex, Init = Item, Input = ItemMsg> + ShowsItem {}

fn fill<W: Shows>(
    widgets: &mut FactoryVecDeque<W>,
    machines: Vec<Summary>,
    pictures: &HashMap<Uuid, gdk::Texture>,
    choice: &Choice,
) -> bool {
    let same = machines.len() == widgets.len()
        && machines.iter().zip(widgets.iter()).all(|(new, widget)| new.uuid() == widget.item().uuid());
    if same {
        for (index, machine) in machines.into_iter().enumerate() {
            let chosen = choice.of(machine.uuid());
            if widgets.get(index).is_some_and(|widget| widget.item().chosen != chosen) {
                widgets.send(index, ItemMsg::Chosen(chosen));
            }
            if widgets.get(index).is_some_and(|widget| widget.item().summary != machine) {
                widgets.send(index, ItemMsg::Show(Box::new(machine)));
            }
        }
    } else {
        let mut widgets = widgets.guard();
        widgets.clear();
        for machine in machines {
            let (picture, chosen) = (pictures.get(&machine.uuid()).cloned(), choice.of(machine.uuid()));
            widgets.push_back(Item { summary: machine, picture, chosen });
        }
    }
    !same
}

fn picture_of<W: Shows>(widgets: &FactoryVecDeque<W>, uuid: Uuid, picture: Option<gdk::Texture>) {
    if let Some(index) = widgets.iter().position(|widget| widget.item().uuid() == uuid) {
        widgets.send(index, ItemMsg::Picture(picture));
    }
}
