//! The machines, as a list or a grid: all of them in the order that the person chose, or those that they search for. One of them is
//! selected, or the person chooses several.

mod arrangement;
mod choice;
mod groups;
mod item;
mod pointer;
mod row;
mod section;
mod tile;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use adw::prelude::*;
use gtk::gdk;
use relm4::prelude::*;
use uuid::Uuid;

use self::arrangement::{arranged, grouped};
use self::choice::{Choice, Reach};
use self::section::Section;
use crate::i18n::gettext;
use crate::machines::Summary;
use crate::sort_by::SortBy;
use crate::view_as::ViewAs;

/// The list.
pub(crate) struct MachineList {
    machines: Vec<Summary>,
    selected: Option<Uuid>,
    sort: SortBy,
    view: ViewAs,
    /// What the person chooses to do one thing with.
    choice: Rc<RefCell<Choice>>,
    /// What the person searches for.
    query: String,
    /// What running machines' screens show.
    pictures: HashMap<Uuid, gdk::Texture>,
    /// Where the sections are, one below the other.
    place: gtk::Box,
    /// What is dropped here is in no group. Seen where no other place says so, as long as there is a drag.
    ungrouped: gtk::Label,
    sections: Vec<Section>,
    /// Groups whose machines are hidden.
    closed: BTreeSet<String>,
    /// The list is being changed by us: what it then selects is not the person's choice.
    changing: Rc<Cell<bool>>,
}

/// What the list is told.
#[derive(Debug)]
pub(crate) enum ListMsg {
    /// These are the machines; this one is selected.
    Show(Vec<Summary>, Option<Uuid>),
    /// Its screen shows this.
    Picture(Uuid, Option<gdk::Texture>),
    /// In this order.
    Sort(SortBy),
    /// In this shape.
    View(ViewAs),
    /// The person searches for this.
    Search(String),
    /// Let the person search.
    BeginSearch,
    /// They have found what they searched for, or not.
    EndSearch,
    /// The person goes to the first that was found.
    OpenFirst,
    /// The person selected this machine.
    Selected(Uuid),
    /// The person opened this machine.
    Activated(Uuid),
    /// The person wants to see this group's machines, or not.
    Opened(String, bool),
    /// The person begins or ends choosing several.
    Choosing(bool),
    /// All that are to be seen.
    ChooseAll,
    /// This one, or all as far as this.
    Choose(Uuid, Reach),
    /// The person drags machines, or not any more.
    Dragging(bool),
    /// The person drags machines into this group, or out of theirs.
    Dropped(Vec<Uuid>, Option<String>),
}

/// What the list tells.
#[derive(Debug)]
pub(crate) enum ListOutput {
    /// This machine is selected.
    Selected(Uuid),
    /// Go to its page.
    Activated(Uuid),
    /// These are chosen; none while the person does not choose.
    Chosen(Option<Vec<Uuid>>),
    /// The person wants these in this group, or in none.
    Grouped(Vec<Uuid>, Option<String>),
}

#[relm4::component(pub(crate))]
impl Component for MachineList {
    type Init = (SortBy, ViewAs);
    type Input = ListMsg;
    type Output = ListOutput;
    type CommandOutput = ();

    view! {
        adw::ToolbarView {
            #[name = "search_bar"]
            add_top_bar = &gtk::SearchBar {
                connect_entry: &entry,
                connect_search_mode_enabled_notify[sender] => move |bar| {
                    if !bar.is_search_mode() {
                        sender.input(ListMsg::EndSearch);
                    }
                },

                #[wrap(Some)]
                #[name = "entry"]
                set_child = &gtk::SearchEntry {
                    set_placeholder_text: Some(&gettext("Search Machines")),
                    update_property: &[gtk::accessible::Property::Label(&gettext("Search Machines"))],
                    set_search_delay: 0,
                    connect_search_changed[sender] => move |entry| sender.input(ListMsg::Search(entry.text().into())),
                    connect_activate => ListMsg::OpenFirst,
                },
            },
            #[wrap(Some)]
            set_content = &gtk::Stack {
                add_named[Some("list")] = &gtk::ScrolledWindow {
                    set_hscrollbar_policy: gtk::PolicyType::Never,
                    set_vexpand: true,
                    #[wrap(Some)]
                    set_child = &gtk::Box {
                        set_orientation: gtk::Orientation::Vertical,
                        append: &model.place,
                        append: &model.ungrouped,
                    },
                },
                add_named[Some("none")] = &adw::StatusPage {
                    set_icon_name: Some("system-search-symbolic"),
                    set_title: &gettext("No Results"),
                    set_description: Some(&gettext("No machine’s name or system has these words.")),
                    add_css_class: "compact",
                },
                #[watch]
                set_visible_child_name: if model.sections.is_empty() && !model.query.is_empty() { "none" } else { "list" },
            },
        }
    }

    fn init((sort, view): Self::Init, _root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let changing = Rc::new(Cell::new(false));
        let place = gtk::Box::builder().orientation(gtk::Orientation::Vertical).build();
        let choice = Rc::new(RefCell::new(Choice::default()));
        let ungrouped = gtk::Label::builder().label(gettext("No group")).visible(false);
        let ungrouped = ungrouped.css_classes(["dim-label", "no-group"]).build();
        let input = sender.input_sender().clone();
        pointer::take(&ungrouped, None, move |message| input.emit(message));
        let input = sender.input_sender().clone();
        pointer::listen(&place, move |message| input.emit(message));
        let dragged = Rc::clone(&choice);
        let (input, begun) = (sender.input_sender().clone(), ListMsg::Dragging);
        pointer::drag(
            &place,
            move |on| input.emit(begun(on)),
            move |uuid| {
                let choice = dragged.borrow();
                choice.chosen().filter(|_| choice.of(uuid) == Some(true)).unwrap_or_else(|| vec![uuid])
            },
        );
        let model = Self {
            choice,
            ungrouped,
            machines: Vec::new(),
            selected: None,
            sort,
            view,
            query: String::new(),
            pictures: HashMap::new(),
            place,
            sections: Vec::new(),
            closed: groups::closed(),
            changing,
        };
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: ListMsg,
        sender: ComponentSender<Self>,
        _root: &Self::Root,
    ) {
        if let ListMsg::BeginSearch = message {
            widgets.search_bar.set_search_mode(true);
            widgets.entry.grab_focus();
        }
        self.take(message, &sender);
        self.update_view(widgets, sender);
    }
}

impl MachineList {
    /// The bar to search in, for the button that opens it.
    pub(crate) fn search_bar(list: &Controller<Self>) -> gtk::SearchBar {
        list.widgets().search_bar.clone()
    }

    fn take(&mut self, message: ListMsg, sender: &ComponentSender<Self>) {
        let before = self.choice.borrow().chosen();
        let told = match message {
            ListMsg::Show(machines, selected) => {
                let live = |uuid: &Uuid| machines.iter().any(|machine| machine.uuid() == *uuid && machine.is_live());
                self.pictures.retain(|uuid, _| live(uuid));
                self.choice.borrow_mut().retain(|uuid| machines.iter().any(|machine| machine.uuid() == uuid));
                self.machines = machines;
                self.selected = selected;
                None
            }
            ListMsg::Picture(uuid, picture) => return self.show_picture(uuid, picture),
            ListMsg::Sort(sort) => {
                self.sort = sort;
                None
            }
            ListMsg::View(view) if view == self.view => return,
            ListMsg::View(view) => {
                self.view = view;
                self.clear();
                self.arrange(sender);
                return self.focus();
            }
            ListMsg::Search(query) => {
                self.query = query;
                None
            }
            ListMsg::BeginSearch => None,
            // Back to where the person was.
            ListMsg::EndSearch => return self.focus(),
            ListMsg::OpenFirst => self.shown().first().copied().map(ListOutput::Activated),
            // What a search finds is shown in any case.
            ListMsg::Opened(..) if !self.query.is_empty() => return,
            ListMsg::Opened(group, open) => {
                if open {
                    self.closed.remove(&group)
                } else {
                    self.closed.insert(group)
                };
                return groups::remember(&self.closed);
            }
            ListMsg::Choosing(true) => {
                self.choice.borrow_mut().begin();
                self.focus();
                None
            }
            ListMsg::Choosing(false) => {
                self.choice.borrow_mut().end();
                None
            }
            ListMsg::ChooseAll => {
                self.choice.borrow_mut().choose_all(&self.shown());
                None
            }
            ListMsg::Choose(uuid, reach) => {
                self.choice.borrow_mut().choose(uuid, reach, &self.shown(), self.selected);
                None
            }
            ListMsg::Dragging(on) => {
                let all_grouped = self.sections.iter().all(|section| section.group().is_some());
                return self.ungrouped.set_visible(on && all_grouped);
            }
            ListMsg::Dropped(machines, group) => Some(ListOutput::Grouped(machines, group)),
            ListMsg::Activated(uuid) if self.choice.borrow().is_on() => {
                self.choice.borrow_mut().choose(uuid, Reach::One, &self.shown(), None);
                None
            }
            ListMsg::Selected(_) if self.choice.borrow().is_on() => return,
            ListMsg::Selected(uuid) if self.selected == Some(uuid) => return,
            ListMsg::Selected(uuid) => Some(ListOutput::Selected(uuid)),
            ListMsg::Activated(uuid) => Some(ListOutput::Activated(uuid)),
        };
        let chosen = self.choice.borrow().chosen();
        if chosen != before {
            drop(sender.output(ListOutput::Chosen(chosen)));
        }
        if let Some(ListOutput::Selected(uuid) | ListOutput::Activated(uuid)) = &told {
            self.selected = Some(*uuid);
        }
        self.arrange(sender);
        if let Some(told) = told {
            // The window may be closing: nobody listens.
            drop(sender.output(told));
        }
    }

    /// A machine's screen, in its row or tile.
    fn show_picture(&mut self, uuid: Uuid, picture: Option<gdk::Texture>) {
        match &picture {
            Some(picture) => self.pictures.insert(uuid, picture.clone()),
            None => self.pictures.remove(&uuid),
        };
        self.sections.iter().for_each(|section| section.show_picture(uuid, picture.clone()));
    }

    /// The rows or tiles, as the machines, the order and the search are now.
    fn arrange(&mut self, sender: &ComponentSender<Self>) {
        let groups = grouped(arranged(&self.machines, self.sort, &self.query));
        let focused = self.place.focus_child().is_some();
        self.changing.set(true);
        let same = groups.len() == self.sections.len()
            && groups.iter().zip(&self.sections).all(|((group, _), section)| group.as_deref() == section.group());
        if !same {
            self.clear();
            self.sections = groups.iter().map(|(group, _)| self.section(group.clone(), sender)).collect();
            self.sections.iter().for_each(|section| self.place.append(section.widget()));
        }
        let mut anew = !same;
        for (section, (group, machines)) in self.sections.iter_mut().zip(groups) {
            section.set_open(!self.query.is_empty() || group.is_none_or(|group| !self.closed.contains(&group)));
            anew |= section.show(machines, &self.pictures, &self.choice.borrow());
            section.select(self.selected);
        }
        if anew && focused {
            self.focus();
        }
        self.changing.set(false);
    }

    /// A section that tells what the person does.
    fn section(&self, group: Option<String>, sender: &ComponentSender<Self>) -> Section {
        let (changing, sender) = (Rc::clone(&self.changing), sender.clone());
        Section::new(group, self.view, move |message| {
            if !changing.get() {
                sender.input(message);
            }
        })
    }

    /// The machines to be seen, in order.
    fn shown(&self) -> Vec<Uuid> {
        self.sections.iter().filter(|section| section.is_open()).flat_map(Section::machines).collect()
    }

    fn clear(&mut self) {
        self.sections.drain(..).for_each(|section| self.place.remove(section.widget()));
    }

    /// Gives the selected machine the keyboard's focus.
    fn focus(&self) {
        self.sections.iter().for_each(|section| section.focus(self.selected));
    }
}
