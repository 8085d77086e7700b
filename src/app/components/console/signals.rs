//! What the console's widgets tell it, and each other.

use std::rc::Rc;

use adw::prelude::*;
use gtk::{gdk, glib};
use relm4::prelude::*;

use super::display::Display;
use super::messages::ConsoleMsg;
use super::typing::Typist;
use super::window::{ConsoleWindow, ConsoleWindowWidgets};
use super::{commands, fullscreen};
use crate::components::dropped;
use crate::machines::{FIRST_CD, Order};

impl ConsoleWindow {
    /// What widgets tell the component.
    pub(super) fn listen(
        root: &adw::ApplicationWindow,
        widgets: &ConsoleWindowWidgets,
        display: &Display,
        typist: &Rc<Typist>,
        sender: &ComponentSender<Self>,
    ) {
        let input = sender.input_sender().clone();
        display.connect_closure(
            "ended",
            false,
            glib::closure_local!(move |_: Display, why: String| input.emit(ConsoleMsg::Lost(why))),
        );
        let input = sender.input_sender().clone();
        display.connect_closure(
            "picture-size",
            false,
            glib::closure_local!(move |_: Display, width: u32, height: u32| {
                input.emit(ConsoleMsg::PictureSize(width, height));
            }),
        );
        let input = sender.input_sender().clone();
        display.connect_closure(
            "captured",
            false,
            glib::closure_local!(move |_: Display, captured: bool| input.emit(ConsoleMsg::Captured(captured))),
        );

        let bar = fullscreen::install(root, &widgets.toolbars, &widgets.header);
        commands::release_input(root, display, typist, bar);
        let input = sender.input_sender().clone();
        dropped::take(&widgets.toasts, move |path| {
            input.emit(ConsoleMsg::Ask(Order::InsertCd(FIRST_CD.into(), path)));
        });

        // From the header bar Escape leads back to the machine.
        let keys = gtk::EventControllerKey::new();
        let weak = display.downgrade();
        keys.connect_key_pressed(move |_, key, _, _| match weak.upgrade() {
            Some(display) if key == gdk::Key::Escape && display.grab_focus() => glib::Propagation::Stop,
            _ => glib::Propagation::Proceed,
        });
        widgets.header.add_controller(keys);

        // A menu that closes gives the keyboard back to the machine.
        for menu in [&widgets.menu_button, &widgets.sound_button, &widgets.devices_button, &widgets.keys_button] {
            let weak = display.downgrade();
            menu.connect_active_notify(move |menu| {
                let weak = weak.clone();
                if !menu.is_active() {
                    // Once the menu itself has given the focus back to its button.
                    glib::idle_add_local_once(move || {
                        if let Some(display) = weak.upgrade() {
                            display.grab_focus();
                        }
                    });
                }
            });
        }
    }
}
