//! Dormer, the app: the machines on this computer, a page and a console for each.
//!
//! GTK 4 and libadwaita by relm4: a component per window, page and dialog in [`components`]; the screen of a running machine is a plain
//! widget. Machines belong to `library` and its engines, which outlive the app; nothing here blocks the main loop, all of that is done
//! by commands ([`machines`]).
//!
//! Every command is an action (`app.…`, `win.…`) of the application or of an application window, so menus, keys, D-Bus and tests give
//! the same orders.

extern crate gtk4 as gtk;
extern crate libadwaita as adw;

mod actions;
mod choice;
mod components;
mod config;
mod host_key;
mod i18n;
mod launch;
mod machines;
mod meter;
mod preferences;
mod reasons;
mod sort_by;
mod thumbnail;
mod usb;
mod view_as;
mod words;

use std::process::ExitCode;
use std::rc::Rc;

use gtk::prelude::*;
use gtk::{gio, glib};
use relm4::RelmApp;
use tracing_subscriber::EnvFilter;

use crate::components::window::{Window, WindowMsg};

/// The program: returns when its last window is closed. Machines go on running.
pub fn run() -> ExitCode {
    let filter = EnvFilter::try_from_env("DORMER_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    i18n::init();
    glib::set_application_name("Dormer");
    // SVG icons and window titles go by the program's name on X11.
    glib::set_prgname(Some(config::APP_ID));

    let resources = glib::Bytes::from_static(gvdb_macros::include_gresource_from_dir!(
        "/io/github/dormer_vm/Dormer",
        "data/resources"
    ));
    match gio::Resource::from_data(&resources) {
        Ok(resource) => gio::resources_register(&resource),
        Err(error) => tracing::error!("resources: {error}"),
    }

    let application = adw::Application::builder()
        .application_id(config::APP_ID)
        .resource_base_path(config::RESOURCES)
        .flags(gio::ApplicationFlags::HANDLES_OPEN)
        .build();
    // `dormer FILE` offers a new machine with that image, or shows the machine of that file.
    application.connect_open(|application, files, _| {
        application.activate();
        if let Some(file) = files.first() {
            // What is on no path cannot be used: the dialog says so.
            let path = file.path().map_or_else(|| file.uri().to_string(), |path| path.display().to_string());
            application.activate_action("open-file", Some(&path.to_variant()));
        }
    });
    let launch = launch::listen(&application);
    let launched = Rc::clone(&launch);
    application.connect_activate(move |application| {
        // A launcher shows its machine, and no list of others.
        if !launched.machine.take() {
            application.activate_action("show-window", None);
        }
    });

    RelmApp::<WindowMsg>::from_app(application)
        .visible_on_activate(false)
        .with_args(std::env::args().collect())
        .run::<Window>(());
    if launch.failed.get() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
