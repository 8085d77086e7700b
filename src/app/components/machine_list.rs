//! The sidebar: all machines by name.

use adw::prelude::*;
use relm4::factory::{DynamicIndex, FactoryComponent, FactorySender, FactoryVecDeque};
use relm4::prelude::*;
use uuid::Uuid;

use crate::i18n::{gettext, gettext_f};
use crate::machines::Summary;
use crate::words;

/// The list.
pub(crate) struct MachineList {
    rows: FactoryVecDeque<Row>,
    /// The list is being changed by us: what it then selects is not the person's choice.
    changing: std::rc::Rc<std::cell::Cell<bool>>,
}

/// What the list is told.
#[derive(Debug)]
pub(crate) enum ListMsg {
    /// These are the machines; this one is selected.
    Show(Vec<Summary>, Option<Uuid>),
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
impl SimpleComponent for MachineList {
    type Init = ();
    type Input = ListMsg;
    type Output = ListOutput;

    view! {
        gtk::ScrolledWindow {
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
        }
    }

    fn init(_: (), _root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let rows = FactoryVecDeque::builder().launch(gtk::ListBox::default()).detach();
        let changing = std::rc::Rc::new(std::cell::Cell::new(false));
        let model = Self { rows, changing: changing.clone() };
        let list = model.rows.widget();
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update(&mut self, message: ListMsg, sender: ComponentSender<Self>) {
        let uuid = |rows: &FactoryVecDeque<Row>, index: i32| {
            usize::try_from(index).ok().and_then(|index| rows.get(index)).map(|row| row.summary.uuid())
        };
        let told = match message {
            ListMsg::Show(machines, selected) => {
                self.show(machines, selected);
                Ok(())
            }
            ListMsg::Selected(index) => match uuid(&self.rows, index) {
                Some(uuid) => sender.output(ListOutput::Selected(uuid)),
                None => Ok(()),
            },
            ListMsg::Activated(index) => match uuid(&self.rows, index) {
                Some(uuid) => sender.output(ListOutput::Activated(uuid)),
                None => Ok(()),
            },
        };
        // The window is closing: nobody listens.
        drop(told);
    }
}

impl MachineList {
    fn show(&mut self, machines: Vec<Summary>, selected: Option<Uuid>) {
        self.changing.set(true);
        let same = machines.len() == self.rows.len()
            && machines.iter().zip(self.rows.iter()).all(|(new, row)| new.uuid() == row.summary.uuid());
        let index = machines.iter().position(|machine| Some(machine.uuid()) == selected);
        if same {
            // Rows stay, so that the keyboard's focus does too.
            for (index, machine) in machines.into_iter().enumerate() {
                if self.rows.get(index).is_some_and(|row| row.summary != machine) {
                    self.rows.send(index, machine);
                }
            }
        } else {
            let mut rows = self.rows.guard();
            rows.clear();
            for machine in machines {
                rows.push_back(machine);
            }
        }
        let list = self.rows.widget();
        let row = index.and_then(|index| list.row_at_index(index as i32));
        if list.selected_row() != row {
            list.select_row(row.as_ref());
        }
        self.changing.set(false);
    }
}

/// A machine's row.
struct Row {
    summary: Summary,
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
    type Init = Summary;
    type Input = Summary;
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

                gtk::Image {
                    #[watch]
                    set_icon_name: Some(self.icon()),
                    set_accessible_role: gtk::AccessibleRole::Presentation,
                    add_css_class: "state",
                },
                gtk::Box {
                    set_orientation: gtk::Orientation::Vertical,
                    set_hexpand: true,
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

    fn init_model(summary: Summary, _: &DynamicIndex, _: FactorySender<Self>) -> Self {
        Self { summary }
    }

    fn update(&mut self, summary: Summary, _: FactorySender<Self>) {
        self.summary = summary;
    }
}
