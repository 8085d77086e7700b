//! The window's and the application's actions and keys, and the main menu.

use gtk::gio;
use gtk::prelude::*;
use relm4::prelude::*;
use uuid::Uuid;

use super::{Window, WindowMsg};
use crate::actions;
use crate::choice::Choice;
use crate::components::{preferences, serial};
use crate::i18n::gettext;
use crate::machines::{Order, Summary};
use crate::sort_by::SortBy;
use crate::view_as::ViewAs;

/// What must be so for an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Machine,
    Stopped,
    Live,
    Running,
    Paused,
}

impl Needs {
    /// Is it so for this machine?
    pub(super) fn met(self, summary: &Summary) -> bool {
        match self {
            Self::Machine => true,
            Self::Stopped => !summary.is_live(),
            Self::Live => summary.is_live(),
            Self::Running => summary.is_live() && !summary.is_paused(),
            Self::Paused => summary.is_paused(),
        }
    }
}

/// Adds all actions. What comes back are those of the selected machine.
pub(super) fn add(
    root: &adw::ApplicationWindow,
    sender: &ComponentSender<Window>,
    sort: SortBy,
    view: ViewAs,
) -> Vec<(gio::SimpleAction, Needs)> {
    let say = |message: fn() -> WindowMsg| {
        let sender = sender.clone();
        move || sender.input(message())
    };
    actions::plain(root, "new", say(|| WindowMsg::New(None)));
    actions::plain(root, "help", say(|| WindowMsg::Help));
    actions::plain(root, "about", say(|| WindowMsg::About));
    actions::plain(root, "shortcuts", say(|| WindowMsg::Shortcuts));
    let weak = root.downgrade();
    actions::plain(root, "preferences", move || {
        if let Some(root) = weak.upgrade() {
            preferences::present(&root);
        }
    });
    actions::plain(root, "close", say(|| WindowMsg::Close));
    actions::plain(root, "quit", say(|| WindowMsg::Quit));
    actions::plain(root, "kvm-advice", say(|| WindowMsg::KvmAdvice));
    actions::plain(root, "search", say(|| WindowMsg::Search));
    let sorted = sender.clone();
    actions::choice(root, "sort", sort.word(), move |word| {
        if let Some(sort) = SortBy::from_word(word) {
            sorted.input(WindowMsg::Sort(sort));
        }
    });
    let viewed = sender.clone();
    actions::choice(root, "view", view.word(), move |word| {
        if let Some(view) = ViewAs::from_word(word) {
            viewed.input(WindowMsg::View(view));
        }
    });
    actions::plain(root, "show-broken", say(|| WindowMsg::ShowBroken));

    let application = relm4::main_application();
    actions::plain(&application, "show-window", say(|| WindowMsg::Present));
    actions::plain(&application, "quit", say(|| WindowMsg::Quit));
    let new = sender.clone();
    actions::with_text(&application, "new-from-file", move |path| new.input(WindowMsg::New(Some(path.into()))));
    let file = sender.clone();
    actions::with_text(&application, "open-file", move |path| file.input(WindowMsg::OpenFile(path.into())));
    let show = sender.clone();
    actions::with_text(&application, "show-machine", move |uuid| {
        if let Ok(uuid) = Uuid::parse_str(uuid) {
            show.input(WindowMsg::ShowMachine(uuid));
        }
    });
    let connect = sender.clone();
    let usb = gio::SimpleAction::new("connect-usb", Some(&*<(String, String)>::static_variant_type()));
    usb.connect_activate(move |_, target| {
        let target = target.and_then(gtk::glib::Variant::get::<(String, String)>);
        if let Some((uuid, port)) = target.and_then(|(uuid, port)| Some((Uuid::parse_str(&uuid).ok()?, port))) {
            connect.input(WindowMsg::ConnectUsb(uuid, port));
        }
    });
    application.add_action(&usb);
    // With a place, for D-Bus.
    let moved = sender.clone();
    actions::with_text(root, "move-to", move |place| moved.input(WindowMsg::MoveTo(place.into())));
    // By name, for D-Bus.
    let open = sender.clone();
    actions::with_text(&application, "open", move |uuid| {
        if let Ok(uuid) = Uuid::parse_str(uuid) {
            open.input(WindowMsg::Open(Some(uuid)));
        }
    });
    for (action, keys) in [
        ("win.new", "<Ctrl>n"),
        ("win.search", "<Ctrl>f"),
        ("win.view::list", "<Ctrl>1"),
        ("win.view::grid", "<Ctrl>2"),
        ("win.open", "<Ctrl>Return"),
        ("win.settings", "<Ctrl>comma"),
        ("win.rename", "F2"),
        ("win.delete", "<Ctrl>Delete"),
        ("win.shortcuts", "<Ctrl>question"),
        ("win.help", "F1"),
        ("win.close", "<Ctrl>w"),
        ("win.quit", "<Ctrl>q"),
        // Of consoles. All other keys are the guest's, but with the host key.
        ("win.fullscreen", "F11"),
    ] {
        application.set_accels_for_action(action, &[keys]);
    }
    for (action, keys) in serial::KEYS {
        application.set_accels_for_action(action, keys);
    }

    let of_machine =
        |name: &str, needs: Needs, message: fn() -> WindowMsg| (actions::plain(root, name, say(message)), needs);
    vec![
        of_machine("open", Needs::Machine, || WindowMsg::Open(None)),
        of_machine("pause", Needs::Running, || WindowMsg::AskSelected(Order::Pause)),
        of_machine("resume", Needs::Paused, || WindowMsg::AskSelected(Order::Resume)),
        of_machine("reset", Needs::Live, || WindowMsg::AskSelected(Order::Reset)),
        of_machine("power-button", Needs::Running, || WindowMsg::AskSelected(Order::PowerButton)),
        of_machine("power-off", Needs::Live, || WindowMsg::AskSelected(Order::PowerOff)),
        of_machine("settings", Needs::Machine, || WindowMsg::Settings),
        of_machine("create-launcher", Needs::Machine, || WindowMsg::AskSelected(Order::CreateLauncher)),
        of_machine("open-folder", Needs::Machine, || WindowMsg::OpenFolder),
        of_machine("serial", Needs::Live, || WindowMsg::Serial),
        of_machine("show-log", Needs::Machine, || WindowMsg::ShowLog(None)),
        // Of one that runs it says why not.
        of_machine("rename", Needs::Machine, || WindowMsg::Rename),
        of_machine("group", Needs::Machine, || WindowMsg::AskGroup),
        // As with another name.
        of_machine("move", Needs::Machine, || WindowMsg::AskPlace),
        of_machine("delete", Needs::Stopped, || WindowMsg::Delete),
    ]
}

/// The main menu where there is a list.
pub(super) fn list_menu() -> gio::Menu {
    let menu = gio::Menu::new();
    actions::titled_section(
        &menu,
        &gettext("View As"),
        &[(gettext("_List"), "win.view::list"), (gettext("_Grid"), "win.view::grid")],
    );
    actions::titled_section(
        &menu,
        &gettext("Sort By"),
        &[(gettext("_Name"), "win.sort::name"), (gettext("_Last Used"), "win.sort::last-used")],
    );
    actions::section(&menu, &[(gettext("_Select Machines"), "win.select")]);
    menu.append_section(None, &primary_menu());
    menu
}

/// The main menu.
pub(super) fn primary_menu() -> gio::Menu {
    let menu = gio::Menu::new();
    actions::section(
        &menu,
        &[
            (gettext("_Preferences"), "win.preferences"),
            (gettext("_Keyboard Shortcuts"), "win.shortcuts"),
            (gettext("_Help"), "win.help"),
            (gettext("_About Dormer"), "win.about"),
        ],
    );
    menu
}
