//! The log viewer: the ends of a machine's logs, to read, search and hand on as a report.

use std::cell::Cell;
use std::rc::Rc;

use adw::prelude::*;
use library::logs::Source;
use relm4::prelude::*;
use uuid::Uuid;

use crate::i18n::{gettext, gettext_f};
use crate::machines::{self, LogText};
use crate::reasons::reason;
use crate::words;

/// The dialog.
pub(crate) struct LogsDialog {
    uuid: Uuid,
    name: String,
    /// The logs, as they were when they were read last.
    logs: Vec<LogText>,
    /// Which of them is shown.
    shown: usize,
    query: String,
    /// The end is in sight until the person goes elsewhere: a long text is laid out piece by piece.
    at_end: Rc<Cell<bool>>,
    reading: bool,
    reporting: bool,
}

/// What the dialog is told.
#[derive(Debug)]
pub(crate) enum LogsMsg {
    /// Read the logs again.
    Refresh,
    /// Show this one.
    Choose(u32),
    /// Mark this.
    Search(String),
    /// Go to the next mark.
    Next,
    /// Put a report on the clipboard.
    Report,
    /// The dialog is closed.
    Closed,
}

/// What commands find out.
#[derive(Debug)]
pub(crate) enum Found {
    /// The logs.
    Logs(Result<Vec<LogText>, String>),
    /// A report.
    Report(Result<String, String>),
}

#[relm4::component(pub(crate))]
impl Component for LogsDialog {
    type Init = (Uuid, String);
    type Input = LogsMsg;
    type Output = ();
    type CommandOutput = Found;

    view! {
        #[root]
        adw::Dialog {
            set_title: &gettext_f("Logs of {name}", &[("name", &model.name)]),
            set_content_width: 760,
            set_content_height: 560,
            connect_closed => LogsMsg::Closed,

            #[wrap(Some)]
            #[name = "toasts"]
            set_child = &adw::ToastOverlay {
                adw::ToolbarView {
                    add_top_bar = &adw::HeaderBar {
                        pack_start = &gtk::Button {
                            set_icon_name: "view-refresh-symbolic",
                            set_tooltip_text: Some(&gettext("Read Again")),
                            #[watch]
                            set_sensitive: !model.reading,
                            connect_clicked => LogsMsg::Refresh,
                        },
                        #[name = "search"]
                        pack_start = &gtk::ToggleButton {
                            set_icon_name: "system-search-symbolic",
                            set_tooltip_text: Some(&gettext("Search (Ctrl+F)")),
                        },
                        pack_end = &gtk::Button {
                            set_label: &gettext("Copy _Report"),
                            set_use_underline: true,
                            set_tooltip_text: Some(&gettext("Copy What Helpers Ask For: This Computer, the Machine, Its Logs")),
                            #[watch]
                            set_sensitive: !model.reporting,
                            connect_clicked => LogsMsg::Report,
                        },
                    },
                    #[name = "search_bar"]
                    add_top_bar = &gtk::SearchBar {
                        connect_entry: &entry,

                        #[wrap(Some)]
                        #[name = "entry"]
                        set_child = &gtk::SearchEntry {
                            set_placeholder_text: Some(&gettext("Search in the Log")),
                            set_hexpand: true,
                            update_property: &[gtk::accessible::Property::Label(&gettext("Search in the Log"))],
                            connect_search_changed[sender] => move |entry| sender.input(LogsMsg::Search(entry.text().into())),
                            connect_activate => LogsMsg::Next,
                            connect_next_match => LogsMsg::Next,
                        },
                    },
                    add_top_bar = &gtk::Box {
                        set_margin_start: 12,
                        set_margin_end: 12,
                        set_margin_bottom: 6,
                        set_spacing: 12,

                        #[name = "chooser"]
                        gtk::DropDown {
                            set_hexpand: true,
                            set_tooltip_text: Some(&gettext("Which Log")),
                            update_property: &[gtk::accessible::Property::Label(&gettext("Which Log"))],
                            connect_selected_notify[sender] => move |chooser| {
                                sender.input(LogsMsg::Choose(chooser.selected()));
                            },
                        },
                    },

                    #[wrap(Some)]
                    #[name = "stack"]
                    set_content = &gtk::Stack {
                        #[name = "scrolled"]
                        add_named[Some("text")] = &gtk::ScrolledWindow {
                            set_vexpand: true,

                            #[name = "text"]
                            gtk::TextView {
                                set_editable: false,
                                set_cursor_visible: false,
                                set_monospace: true,
                                set_wrap_mode: gtk::WrapMode::WordChar,
                                set_left_margin: 12,
                                set_right_margin: 12,
                                set_top_margin: 6,
                                set_bottom_margin: 12,
                                update_property: &[gtk::accessible::Property::Label(&gettext("Log"))],
                            },
                        },
                        add_named[Some("none")] = &adw::StatusPage {
                            set_icon_name: Some("text-x-generic-symbolic"),
                            set_title: &gettext("No Logs Yet"),
                            set_description: Some(&gettext("A machine writes logs from its first start on.")),
                        },
                    },
                },
            },
        }
    }

    fn init((uuid, name): (Uuid, String), root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let model = Self {
            uuid,
            name,
            logs: Vec::new(),
            shown: 0,
            query: String::new(),
            at_end: Rc::default(),
            reading: false,
            reporting: false,
        };
        let widgets = view_output!();
        let mark = gtk::TextTag::builder().name(MARK).background("#f9f06b").foreground("#000000").build();
        widgets.text.buffer().tag_table().add(&mark);
        widgets.search_bar.set_key_capture_widget(Some(&root));
        let bar = &widgets.search_bar;
        bar.bind_property("search-mode-enabled", &widgets.search, "active").bidirectional().sync_create().build();
        let keys = gtk::ShortcutController::new();
        let bar = bar.downgrade();
        let open = gtk::CallbackAction::new(move |_, _| {
            bar.upgrade().inspect(|bar| bar.set_search_mode(true));
            gtk::glib::Propagation::Stop
        });
        keys.add_shortcut(gtk::Shortcut::new(gtk::ShortcutTrigger::parse_string("<Ctrl>f"), Some(open)));
        root.add_controller(keys);
        follow_end(&widgets.scrolled, &model.at_end);
        sender.input(LogsMsg::Refresh);
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: LogsMsg,
        sender: ComponentSender<Self>,
        _root: &Self::Root,
    ) {
        let uuid = self.uuid;
        match message {
            LogsMsg::Refresh => {
                self.reading = true;
                sender.spawn_oneshot_command(move || Found::Logs(machines::logs(uuid).map_err(|error| reason(&error))));
            }
            LogsMsg::Choose(index) => {
                let index = index as usize;
                if index != self.shown && index < self.logs.len() {
                    self.shown = index;
                    self.show(widgets);
                }
            }
            LogsMsg::Search(query) => {
                self.query = query;
                self.mark(widgets);
                self.at_end.set(self.at_end.get() && self.query.is_empty());
                go_to_next(&widgets.text, &self.query, false);
            }
            LogsMsg::Next => {
                self.at_end.set(false);
                go_to_next(&widgets.text, &self.query, true);
            }
            LogsMsg::Report => {
                self.reporting = true;
                sender.spawn_oneshot_command(move || {
                    Found::Report(machines::report(uuid).map_err(|error| reason(&error)))
                });
            }
            LogsMsg::Closed => drop(sender.output(())),
        }
        self.update_view(widgets, sender);
    }

    fn update_cmd_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        found: Found,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match found {
            Found::Logs(Ok(logs)) => {
                self.reading = false;
                self.take(logs, widgets);
            }
            Found::Logs(Err(why)) => {
                self.reading = false;
                toast(&widgets.toasts, &words::sentence(&why));
            }
            Found::Report(report) => {
                self.reporting = false;
                match report {
                    Ok(report) => {
                        root.clipboard().set(&report);
                        toast(&widgets.toasts, &gettext("The report is on the clipboard"));
                    }
                    Err(why) => toast(&widgets.toasts, &words::sentence(&why)),
                }
            }
        }
        self.update_view(widgets, sender);
    }
}

/// The tag of what was searched for and found.
const MARK: &str = "found";
/// Most places that are marked.
const MARKS: usize = 2000;

impl LogsDialog {
    /// The logs as they are now; the one that was shown stays.
    fn take(&mut self, logs: Vec<LogText>, widgets: &LogsDialogWidgets) {
        let was = self.logs.get(self.shown).map(|log| log.source.clone());
        self.shown = logs.iter().position(|log| Some(&log.source) == was.as_ref()).unwrap_or(0);
        let same = logs.len() == self.logs.len() && logs.iter().zip(&self.logs).all(|(a, b)| a.source == b.source);
        self.logs = logs;
        if !same {
            let names: Vec<_> = self.logs.iter().map(|log| title(&log.source)).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            widgets.chooser.set_model(Some(&gtk::StringList::new(&names)));
        }
        widgets.chooser.set_sensitive(!self.logs.is_empty());
        widgets.stack.set_visible_child_name(if self.logs.is_empty() { "none" } else { "text" });
        widgets.chooser.set_selected(u32::try_from(self.shown).unwrap_or(0));
        self.show(widgets);
    }

    /// Shows the chosen log, from its end.
    fn show(&self, widgets: &LogsDialogWidgets) {
        let text = self.logs.get(self.shown).map_or("", |log| log.text.as_str());
        let buffer = widgets.text.buffer();
        buffer.set_text(text);
        self.mark(widgets);
        buffer.place_cursor(&buffer.end_iter());
        self.at_end.set(true);
        to_end(&widgets.scrolled.vadjustment());
    }

    /// Marks what is searched for.
    fn mark(&self, widgets: &LogsDialogWidgets) {
        let buffer = widgets.text.buffer();
        let (mut at, end) = buffer.bounds();
        buffer.remove_tag_by_name(MARK, &at, &end);
        if self.query.is_empty() {
            return;
        }
        for _ in 0..MARKS {
            let Some((from, to)) = at.forward_search(&self.query, FLAGS, None) else { break };
            buffer.apply_tag_by_name(MARK, &from, &to);
            at = to;
        }
    }
}

/// Keeps the end in sight while the text is laid out, until the person scrolls, presses a key or searches.
fn follow_end(scrolled: &gtk::ScrolledWindow, at_end: &Rc<Cell<bool>>) {
    let follow = || {
        let at_end = Rc::clone(at_end);
        move |adjustment: &gtk::Adjustment| {
            if at_end.get() {
                to_end(adjustment);
            }
        }
    };
    scrolled.vadjustment().connect_changed(follow());
    // GTK itself goes back to the line that was on top.
    scrolled.vadjustment().connect_value_changed(follow());
    let elsewhere = || {
        let at_end = Rc::clone(at_end);
        move || at_end.set(false)
    };
    let scroll = gtk::EventControllerScroll::new(gtk::EventControllerScrollFlags::VERTICAL);
    let gone = elsewhere();
    scroll.connect_scroll(move |_, _, _| {
        gone();
        gtk::glib::Propagation::Proceed
    });
    let keys = gtk::EventControllerKey::new();
    let gone = elsewhere();
    keys.connect_key_pressed(move |_, _, _, _| {
        gone();
        gtk::glib::Propagation::Proceed
    });
    // The scrollbar's too.
    let click = gtk::GestureClick::builder().button(0).build();
    let gone = elsewhere();
    click.connect_pressed(move |_, _, _, _| gone());
    for controller in [scroll.upcast::<gtk::EventController>(), keys.upcast(), click.upcast()] {
        controller.set_propagation_phase(gtk::PropagationPhase::Capture);
        scrolled.add_controller(controller);
    }
}

fn to_end(adjustment: &gtk::Adjustment) {
    adjustment.set_value(adjustment.upper() - adjustment.page_size());
}

const FLAGS: gtk::TextSearchFlags = gtk::TextSearchFlags::CASE_INSENSITIVE;

/// Selects the next place that has the query and scrolls there; after the last comes the first again.
fn go_to_next(text: &gtk::TextView, query: &str, onward: bool) {
    let buffer = text.buffer();
    if query.is_empty() {
        return;
    }
    let from = buffer.selection_bounds().map(|(start, end)| if onward { end } else { start });
    let from = from.unwrap_or_else(|| buffer.start_iter());
    let found = from.forward_search(query, FLAGS, None);
    if let Some((start, end)) = found.or_else(|| buffer.start_iter().forward_search(query, FLAGS, None)) {
        buffer.select_range(&start, &end);
        text.scroll_to_iter(&mut start.clone(), 0.1, false, 0.0, 0.0);
    }
}

/// A log's name in the list.
fn title(source: &Source) -> String {
    match source {
        Source::Engine => gettext("Engine"),
        Source::Serial => gettext("Serial Port"),
        Source::Firmware => gettext("Firmware"),
        Source::Network(card) => gettext_f("Network ({card})", &[("card", card)]),
    }
}

fn toast(toasts: &adw::ToastOverlay, text: &str) {
    toasts.add_toast(adw::Toast::new(&gtk::glib::markup_escape_text(text)));
}
