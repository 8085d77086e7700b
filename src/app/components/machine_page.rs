//! A machine's page: what its screen shows, what one can do with it, and what it is made of.

use std::collections::HashMap;

use adw::prelude::*;
use api::machine::DriveKind;
use gtk::{gdk, gio};
use library::State;
use library::kvm::KvmState;
use relm4::prelude::*;

use super::activity::{Activity, ActivityMsg};
use crate::actions::section;
use crate::i18n::{gettext, gettext_f};
use crate::machines::Summary;
use crate::{reasons, words};

/// The page.
pub(crate) struct MachinePage {
    summary: Option<Summary>,
    picture: Option<gdk::Texture>,
    kvm: KvmState,
    /// Systems' names by their ids.
    names: HashMap<String, String>,
    activity: Controller<Activity>,
}

/// What the page is told.
#[derive(Debug)]
pub(crate) enum PageMsg {
    /// Show this machine.
    Show(Summary),
    /// Its screen shows this.
    Picture(Option<gdk::Texture>),
    /// Can this computer run it?
    Kvm(KvmState),
    /// Systems' names by their ids.
    Names(HashMap<String, String>),
}

#[relm4::component(pub(crate))]
impl SimpleComponent for MachinePage {
    type Init = ();
    type Input = PageMsg;
    type Output = ();

    view! {
        adw::NavigationPage {
            #[watch]
            set_title: model.name(),

            adw::ToolbarView {
                add_top_bar = &adw::HeaderBar {
                    pack_end = &gtk::MenuButton {
                        set_icon_name: "view-more-symbolic",
                        set_tooltip_text: Some(&gettext("Machine Menu")),
                        set_menu_model: Some(&menu()),
                    },
                    pack_end = &gtk::Button {
                        set_icon_name: "emblem-system-symbolic",
                        set_tooltip_text: Some(&gettext("Settings")),
                        set_action_name: Some("win.settings"),
                    },
                },
                add_top_bar = &adw::Banner {
                    #[watch]
                    set_title: &reasons::kvm(&model.kvm),
                    #[watch]
                    set_revealed: model.kvm != KvmState::Ready,
                    set_button_label: Some(&gettext("What to Do")),
                    set_action_name: Some("win.kvm-advice"),
                },

                gtk::ScrolledWindow {
                    set_hscrollbar_policy: gtk::PolicyType::Never,

                    adw::Clamp {
                        set_maximum_size: 640,
                        set_margin_all: 18,

                        gtk::Box {
                            set_orientation: gtk::Orientation::Vertical,
                            set_spacing: 24,

                            gtk::Overlay {
                                add_css_class: "screen",
                                set_overflow: gtk::Overflow::Hidden,

                                gtk::Picture {
                                    set_height_request: 260,
                                    set_content_fit: gtk::ContentFit::Contain,
                                    set_can_shrink: true,
                                    #[watch]
                                    set_paintable: model.picture.as_ref(),
                                    #[watch]
                                    set_alternative_text: Some(&model.picture_text()),
                                },
                                add_overlay = &gtk::Box {
                                    set_orientation: gtk::Orientation::Vertical,
                                    set_spacing: 12,
                                    set_halign: gtk::Align::Center,
                                    set_valign: gtk::Align::Center,
                                    set_can_target: false,
                                    #[watch]
                                    set_visible: model.picture.is_none(),

                                    gtk::Image {
                                        set_icon_name: Some("video-display-symbolic"),
                                        set_pixel_size: 64,
                                        set_accessible_role: gtk::AccessibleRole::Presentation,
                                    },
                                    gtk::Label {
                                        #[watch]
                                        set_label: &model.state(),
                                        add_css_class: "heading",
                                    },
                                },
                            },

                            gtk::Box {
                                set_spacing: 12,
                                set_halign: gtk::Align::Center,

                                gtk::Button {
                                    #[watch]
                                    set_label: &model.open_label(),
                                    set_action_name: Some("win.open"),
                                    add_css_class: "pill",
                                    add_css_class: "suggested-action",
                                },
                                gtk::Button {
                                    #[watch]
                                    set_label: &model.pause_label(),
                                    #[watch]
                                    set_visible: model.is_live(),
                                    #[watch]
                                    set_action_name: Some(if model.is_paused() { "win.resume" } else { "win.pause" }),
                                    add_css_class: "pill",
                                },
                            },

                            append: model.activity.widget(),

                            adw::PreferencesGroup {
                                set_title: &gettext("Notes"),
                                #[watch]
                                set_visible: model.has_notes(),

                                gtk::Label {
                                    #[watch]
                                    set_label: &model.fact(|machine| machine.notes.clone()),
                                    set_wrap: true,
                                    set_wrap_mode: gtk::pango::WrapMode::WordChar,
                                    set_xalign: 0.0,
                                    set_selectable: true,
                                },
                            },

                            adw::PreferencesGroup {
                                set_title: &gettext("Hardware"),

                                adw::ActionRow {
                                    set_title: &gettext("System"),
                                    add_css_class: "property",
                                    set_use_markup: false,
                                    #[watch]
                                    set_subtitle: &model.fact(|machine| words::system(machine, &model.names)),
                                },
                                adw::ActionRow {
                                    set_title: &gettext("Firmware"),
                                    add_css_class: "property",
                                    #[watch]
                                    set_subtitle: &model.fact(|machine| words::firmware(machine.firmware)),
                                },
                                adw::ActionRow {
                                    set_title: &gettext("Processors"),
                                    add_css_class: "property",
                                    #[watch]
                                    set_subtitle: &model.fact(|machine| machine.processors.to_string()),
                                },
                                adw::ActionRow {
                                    set_title: &gettext("Memory"),
                                    add_css_class: "property",
                                    #[watch]
                                    set_subtitle: &model.fact(|machine| words::memory(machine.memory)),
                                },
                                adw::ActionRow {
                                    set_title: &gettext("Disks"),
                                    add_css_class: "property",
                                    set_use_markup: false,
                                    #[watch]
                                    set_subtitle: &model.fact(|machine| words::drives(machine, DriveKind::Disk)),
                                },
                                adw::ActionRow {
                                    set_title: &gettext("CD"),
                                    add_css_class: "property",
                                    set_use_markup: false,
                                    #[watch]
                                    set_subtitle: &model.fact(|machine| words::drives(machine, DriveKind::Cd)),
                                },
                                adw::ActionRow {
                                    set_title: &gettext("Network"),
                                    add_css_class: "property",
                                    #[watch]
                                    set_subtitle: &model.fact(words::network),
                                },
                            },
                        },
                    },
                },
            },
        }
    }

    fn init(_: (), _root: Self::Root, _sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let activity = Activity::builder().launch(()).detach();
        let model = Self { summary: None, picture: None, kvm: KvmState::Ready, names: HashMap::new(), activity };
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update(&mut self, message: PageMsg, _sender: ComponentSender<Self>) {
        match message {
            PageMsg::Show(summary) => {
                let other = self.summary.as_ref().map(Summary::uuid) != Some(summary.uuid());
                if other || !summary.is_live() {
                    self.picture = None;
                }
                let runs = matches!(summary.state, State::Live(..)).then(|| summary.uuid());
                // While the app ends it may have gone.
                drop(self.activity.sender().send(ActivityMsg::Show(runs)));
                self.summary = Some(summary);
            }
            PageMsg::Picture(picture) => self.picture = picture,
            PageMsg::Kvm(state) => self.kvm = state,
            PageMsg::Names(names) => self.names = names,
        }
    }
}

impl MachinePage {
    fn name(&self) -> &str {
        self.summary.as_ref().map_or("Dormer", Summary::name)
    }

    fn is_live(&self) -> bool {
        self.summary.as_ref().is_some_and(Summary::is_live)
    }

    fn is_paused(&self) -> bool {
        self.summary.as_ref().is_some_and(Summary::is_paused)
    }

    fn state(&self) -> String {
        self.summary.as_ref().map_or_else(String::new, |summary| words::state(summary.state))
    }

    fn fact(&self, say: impl Fn(&api::machine::Machine) -> String) -> String {
        self.summary.as_ref().map_or_else(String::new, |summary| say(&summary.entry.machine))
    }

    fn has_notes(&self) -> bool {
        self.summary.as_ref().is_some_and(|summary| !summary.entry.machine.notes.trim().is_empty())
    }

    fn open_label(&self) -> String {
        if self.is_live() { gettext("Show Console") } else { gettext("Start") }
    }

    fn pause_label(&self) -> String {
        if self.is_paused() { gettext("Resume") } else { gettext("Pause") }
    }

    fn picture_text(&self) -> String {
        gettext_f("Screen of {name}: {state}", &[("name", self.name()), ("state", &self.state())])
    }
}

fn menu() -> gio::Menu {
    let menu = gio::Menu::new();
    section(&menu, &[(gettext("_Pause"), "win.pause"), (gettext("Res_ume"), "win.resume")]);
    section(
        &menu,
        &[
            (gettext("Press Power _Button"), "win.power-button"),
            (gettext("_Reset…"), "win.reset"),
            (gettext("Power _Off…"), "win.power-off"),
        ],
    );
    section(
        &menu,
        &[
            (gettext("_Settings"), "win.settings"),
            (gettext("Serial C_onsole"), "win.serial"),
            (gettext("Show _Logs"), "win.show-log"),
        ],
    );
    section(
        &menu,
        &[
            (gettext("Re_name…"), "win.rename"),
            (gettext("Move to _Group…"), "win.group"),
            (gettext("_Create Launcher"), "win.create-launcher"),
        ],
    );
    section(&menu, &[(gettext("Open _Folder"), "win.open-folder"), (gettext("_Move to Folder…"), "win.move")]);
    section(&menu, &[(gettext("_Delete…"), "win.delete")]);
    menu
}
