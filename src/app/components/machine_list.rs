//! The sidebar: all machines in the order that the person chose, or those that they search for.

use std::collections::HashMap;

use adw::prelude::*;
use gtk::gdk;
use relm4::factory::{DynamicIndex, FactoryComponent, FactorySender, FactoryVecDeque};
use relm4::prelude::*;
use uuid::Uuid;

use crate::i18n::{gettext, gettext_f};
use crate::machines::Summary;
use crate::sort_by::SortBy;
use crate::words;

/// The list.
pub(crate) struct MachineList {
    machines: Vec<Summary>,
    selected: Option<Uuid>,
    sort: SortBy,
    /// What the person searches for.
    query: String,
    /// What running machines' screens show.
    pictures: HashMap<Uuid, gdk::Texture>,
    rows: FactoryVecDeque<Row>,
    /// The list is being changed by us: what it then selects is not the person's choice.
    changing: std::rc::Rc<std::cell::Cell<bool>>,
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
    /// The person searches for this.
    Search(String),
    /// Let the person search.
    BeginSearch,
    /// The person goes to the first that was found.
    OpenFirst,
    /// The person selected a row.
    Selected(i32),
    /// The person opened a row.
    Activated(i32),
}

/// What the list tells.
#[derive(Debug)]
pub(crate) enum ListOutput {
    /// This machine is selected.
    Selected(Uuid),
    /// Go to its page.
    Activated(Uuid),
}

#[relm4::component(pub(crate))]
impl Component for MachineList {
    type Init = SortBy;
    type Input = ListMsg;
    type Output = ListOutput;
    type CommandOutput = ();

    view! {
        adw::ToolbarView {
            #[name = "search_bar"]
            add_top_bar = &gtk::SearchBar {
                connect_entry: &entry,
                // Back to where the person was.
                connect_search_mode_enabled_notify[list] => move |bar| {
                    if let (false, Some(row)) = (bar.is_search_mode(), list.selected_row()) {
                        row.grab_focus();
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

                    #[local_ref]
                    list -> gtk::ListBox {
                        add_css_class: "navigation-sidebar",
                        set_selection_mode: gtk::SelectionMode::Browse,
                        update_property: &[gtk::accessible::Property::Label(&gettext("Machines"))],
                        connect_row_selected[sender, changing] => move |_, row| {
                            if let (Some(row), false) = (row, changing.get()) {
                                sender.input(ListMsg::Selected(row.index()));
                            }
                        },
                        connect_row_activated[sender] => move |_, row| sender.input(ListMsg::Activated(row.index())),
                    },
                },
                add_named[Some("none")] = &adw::StatusPage {
                    set_icon_name: Some("system-search-symbolic"),
                    set_title: &gettext("No Results"),
                    set_description: Some(&gettext("No machine’s name or system has these words.")),
                    add_css_class: "compact",
                },
                #[watch]
                set_visible_child_name: if model.rows.is_empty() && !model.query.is_empty() { "none" } else { "list" },
            },
        }
    }

    fn init(sort: SortBy, _root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let rows = FactoryVecDeque::builder().launch(gtk::ListBox::default()).detach();
        let changing = std::rc::Rc::new(std::cell::Cell::new(false));
        let model = Self {
            machines: Vec::new(),
            selected: None,
            sort,
            query: String::new(),
            pictures: HashMap::new(),
            rows,
            changing: changing.clone(),
        };
        let list = model.rows.widget();
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
        let uuid = |rows: &FactoryVecDeque<Row>, index: i32| {
            usize::try_from(index).ok().and_then(|index| rows.get(index)).map(|row| row.summary.uuid())
        };
        let told = match message {
            ListMsg::Show(machines, selected) => {
                let live = |uuid: &Uuid| machines.iter().any(|machine| machine.uuid() == *uuid && machine.is_live());
                self.pictures.retain(|uuid, _| live(uuid));
                self.machines = machines;
                self.selected = selected;
                None
            }
            ListMsg::Picture(uuid, picture) => return self.show_picture(uuid, picture),
            ListMsg::Sort(sort) => {
                self.sort = sort;
                None
            }
            ListMsg::Search(query) => {
                self.query = query;
                None
            }
            ListMsg::BeginSearch => None,
            ListMsg::OpenFirst => uuid(&self.rows, 0).map(ListOutput::Activated),
            ListMsg::Selected(index) => uuid(&self.rows, index).map(ListOutput::Selected),
            ListMsg::Activated(index) => uuid(&self.rows, index).map(ListOutput::Activated),
        };
        if let Some(ListOutput::Selected(uuid) | ListOutput::Activated(uuid)) = &told {
            self.selected = Some(*uuid);
        }
        self.arrange();
        if let Some(told) = told {
            // The window may be closing: nobody listens.
            drop(sender.output(told));
        }
    }

    /// A machine's screen, in its row.
    fn show_picture(&mut self, uuid: Uuid, picture: Option<gdk::Texture>) {
        match &picture {
            Some(picture) => self.pictures.insert(uuid, picture.clone()),
            None => self.pictures.remove(&uuid),
        };
        if let Some(index) = self.rows.iter().position(|row| row.summary.uuid() == uuid) {
            self.rows.send(index, RowMsg::Picture(picture));
        }
    }

    /// The rows, as the machines, the order and the search are now.
    fn arrange(&mut self) {
        let machines = arranged(&self.machines, self.sort, &self.query);
        self.changing.set(true);
        let same = machines.len() == self.rows.len()
            && machines.iter().zip(self.rows.iter()).all(|(new, row)| new.uuid() == row.summary.uuid());
        let index = machines.iter().position(|machine| Some(machine.uuid()) == self.selected);
        let mut focus = false;
        if same {
            // Rows stay, so that the keyboard's focus does too.
            for (index, machine) in machines.into_iter().enumerate() {
                if self.rows.get(index).is_some_and(|row| row.summary != machine) {
                    self.rows.send(index, RowMsg::Show(machine));
                }
            }
        } else {
            focus = self.rows.widget().focus_child().is_some();
            let mut rows = self.rows.guard();
            rows.clear();
            for machine in machines {
                let picture = self.pictures.get(&machine.uuid()).cloned();
                rows.push_back((machine, picture));
            }
        }
        let list = self.rows.widget();
        let row = index.and_then(|index| list.row_at_index(index as i32));
        if list.selected_row() != row {
            list.select_row(row.as_ref());
        }
        if let (true, Some(row)) = (focus, row) {
            row.grab_focus();
        }
        self.changing.set(false);
    }
}

/// Those of the machines (which are in the order of their names) that have all the query's words, in this order.
fn arranged(machines: &[Summary], sort: SortBy, query: &str) -> Vec<Summary> {
    let query = query.to_lowercase();
    let found = |summary: &&Summary| {
        let name = summary.name().to_lowercase();
        let machine = &summary.entry.machine;
        let id = machine.os.as_deref().unwrap_or_default();
        let system = machine.system.as_deref().unwrap_or_default().to_lowercase();
        query.split_whitespace().all(|word| [name.as_str(), id, &system].iter().any(|text| text.contains(word)))
    };
    let mut found: Vec<_> = machines.iter().filter(found).cloned().collect();
    if sort == SortBy::LastUsed {
        found.sort_by_key(|summary| std::cmp::Reverse(summary.last_start));
    }
    found
}

/// A machine's row.
struct Row {
    summary: Summary,
    /// What its screen shows, if it runs.
    picture: Option<gdk::Texture>,
}

/// What a row is told.
#[derive(Debug)]
enum RowMsg {
    /// The machine, as it is now.
    Show(Summary),
    /// Its screen shows this.
    Picture(Option<gdk::Texture>),
}

impl Row {
    fn icon(&self) -> &'static str {
        match (self.summary.is_live(), self.summary.is_paused()) {
            (false, _) => "computer-symbolic",
            (true, false) => "media-playback-start-symbolic",
            (true, true) => "media-playback-pause-symbolic",
        }
    }

    fn spoken(&self) -> String {
        gettext_f("{name}, {state}", &[("name", self.summary.name()), ("state", &words::state(self.summary.state))])
    }
}

#[relm4::factory]
impl FactoryComponent for Row {
    type Init = (Summary, Option<gdk::Texture>);
    type Input = RowMsg;
    type Output = ();
    type CommandOutput = ();
    type ParentWidget = gtk::ListBox;

    view! {
        #[root]
        gtk::ListBoxRow {
            #[watch]
            update_property: &[gtk::accessible::Property::Label(&self.spoken())],

            gtk::Box {
                set_spacing: 12,
                add_css_class: "machine-row",
                #[watch]
                set_class_active: ("running", self.summary.is_live()),

                gtk::Overlay {
                    set_hexpand: false,
                    set_valign: gtk::Align::Center,
                    set_overflow: gtk::Overflow::Hidden,
                    add_css_class: "thumbnail",
                    #[watch]
                    set_class_active: ("screen", self.picture.is_some()),

                    // It alone has a size: all rows are alike, whatever a screen's shape.
                    gtk::Box {
                        set_size_request: (48, 36),
                    },
                    add_overlay = &gtk::Image {
                        #[watch]
                        set_icon_name: Some(self.icon()),
                        #[watch]
                        set_visible: self.picture.is_none(),
                        set_accessible_role: gtk::AccessibleRole::Presentation,
                        add_css_class: "state",
                    },
                    add_overlay = &gtk::Picture {
                        #[watch]
                        set_paintable: self.picture.as_ref(),
                        #[watch]
                        set_visible: self.picture.is_some(),
                        set_content_fit: gtk::ContentFit::Contain,
                        set_accessible_role: gtk::AccessibleRole::Presentation,
                    },
                },
                gtk::Box {
                    set_orientation: gtk::Orientation::Vertical,
                    set_hexpand: true,
                    set_valign: gtk::Align::Center,
                    set_spacing: 2,

                    gtk::Label {
                        #[watch]
                        set_label: self.summary.name(),
                        set_xalign: 0.0,
                        set_ellipsize: gtk::pango::EllipsizeMode::End,
                        add_css_class: "title",
                    },
                    gtk::Label {
                        #[watch]
                        set_label: &words::state(self.summary.state),
                        set_xalign: 0.0,
                        add_css_class: "caption",
                        add_css_class: "state",
                        #[watch]
                        set_class_active: ("dim-label", !self.summary.is_live()),
                    },
                },
            },
        }
    }

    fn init_model((summary, picture): Self::Init, _: &DynamicIndex, _: FactorySender<Self>) -> Self {
        Self { summary, picture }
    }

    fn update(&mut self, message: RowMsg, _: FactorySender<Self>) {
        match message {
            RowMsg::Show(summary) => {
                if !summary.is_live() {
                    self.picture = None;
                }
                self.summary = summary;
            }
            RowMsg::Picture(picture) => self.picture = picture.filter(|_| self.summary.is_live()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use api::machine::{Firmware, Host, Profile, Wants};
    use library::{Library, NewMachine, State};

    use super::*;

    #[test]
    fn machines_are_sorted_and_searched() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path());
        let host = Host { processors: 2, memory: 4096 };
        let summary = |(name, os, started): (&str, Option<&str>, Option<u64>)| {
            let mut new = NewMachine::new(name, Profile::Linux, Firmware::Bios, Wants::default(), host);
            new.os = os.map(ToOwned::to_owned);
            let last_start = started.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            Summary { entry: library.create(&new).unwrap(), state: State::Stopped, last_start }
        };
        let machines = [
            ("Alpha", Some("debian13"), None),
            ("Beta", None, Some(5)),
            ("Gamma", Some("win11"), Some(9)),
            ("Ärger", None, None),
        ]
        .map(summary);
        let names = |sort, query: &str| {
            arranged(&machines, sort, query).iter().map(|machine| machine.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(SortBy::Name, ""), ["Alpha", "Beta", "Gamma", "Ärger"]);
        assert_eq!(names(SortBy::LastUsed, " "), ["Gamma", "Beta", "Alpha", "Ärger"]);
        assert_eq!(names(SortBy::Name, "ÄR"), ["Ärger"]);
        assert_eq!(names(SortBy::Name, "debian al"), ["Alpha"]);
        assert_eq!(names(SortBy::LastUsed, "a m"), ["Gamma"]);
        assert!(names(SortBy::Name, "win alpha").is_empty());
    }
}
