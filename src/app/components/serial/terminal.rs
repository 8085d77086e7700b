//! The terminal of a serial console: what a serial line's other end expects of it, and what a person does with it.

use adw::prelude::*;
use gtk::{gio, glib};
use vte4::prelude::*;

use crate::actions;
use crate::components::shortcuts;
use crate::i18n::gettext;

/// What a guest believes that a serial terminal has.
const COLUMNS: i64 = 80;
const ROWS: i64 = 24;
/// Lines that are kept.
const LINES: i64 = 10_000;
/// Of the font's size.
const STEP: f64 = 1.1;
const SMALLEST: f64 = 0.4;
const LARGEST: f64 = 4.0;

/// Keys of the window's actions; all others are the guest's.
pub(crate) const KEYS: [(&str, &[&str]); 6] = [
    ("win.copy-text", &["<Ctrl><Shift>c"]),
    ("win.paste-text", &["<Ctrl><Shift>v"]),
    ("win.select-all-text", &["<Ctrl><Shift>a"]),
    ("win.zoom-in", &["<Ctrl>plus", "<Ctrl>KP_Add"]),
    ("win.zoom-out", &["<Ctrl>minus", "<Ctrl>KP_Subtract"]),
    ("win.zoom-normal", &["<Ctrl>0", "<Ctrl>KP_0"]),
];

/// A terminal, with its actions in this window, and the menu of both.
pub(super) fn new(window: &adw::ApplicationWindow, menu: &gio::Menu) -> vte4::Terminal {
    let terminal = vte4::Terminal::builder()
        .scrollback_lines(LINES as u32)
        .scroll_on_keystroke(true)
        .audible_bell(false)
        // What a guest calls a link is none here.
        .allow_hyperlink(false)
        // Linux's consoles take DEL.
        .backspace_binding(vte4::EraseBinding::AsciiDelete)
        .input_enabled(false)
        .hexpand(true)
        .vexpand(true)
        .build();
    terminal.set_size(COLUMNS, ROWS);
    terminal.set_context_menu_model(Some(menu));
    follow_style(&terminal);

    let act = |name: &str, act: fn(&vte4::Terminal)| {
        let weak = terminal.downgrade();
        actions::plain(window, name, move || {
            if let Some(terminal) = weak.upgrade() {
                act(&terminal);
            }
        })
    };
    shortcuts::install(window);
    let copy = act("copy-text", |terminal| terminal.copy_clipboard_format(vte4::Format::Text));
    copy.set_enabled(false);
    terminal.connect_selection_changed(move |terminal| copy.set_enabled(terminal.has_selection()));
    act("paste-text", |terminal| terminal.paste_clipboard());
    act("select-all-text", |terminal| terminal.select_all());
    act("clear-text", |terminal| terminal.reset(true, true));
    act("zoom-in", |terminal| terminal.set_font_scale((terminal.font_scale() * STEP).min(LARGEST)));
    act("zoom-out", |terminal| terminal.set_font_scale((terminal.font_scale() / STEP).max(SMALLEST)));
    act("zoom-normal", |terminal| terminal.set_font_scale(1.0));
    terminal
}

/// Light or dark as the app is.
fn follow_style(terminal: &vte4::Terminal) {
    let style = adw::StyleManager::default();
    let weak: glib::WeakRef<vte4::Terminal> = terminal.downgrade();
    let paint = move |style: &adw::StyleManager| {
        if let Some(terminal) = weak.upgrade() {
            let (paper, ink) = if style.is_dark() { (DARK, LIGHT) } else { (LIGHT, DARK) };
            terminal.set_colors(Some(&ink), Some(&paper), &[]);
        }
    };
    paint(&style);
    let handler = style.connect_dark_notify(paint);
    let handler = std::cell::Cell::new(Some(handler));
    terminal.connect_destroy(move |_| {
        if let Some(handler) = handler.take() {
            style.disconnect(handler);
        }
    });
}

/// The colours of libadwaita's views.
const LIGHT: gtk::gdk::RGBA = gtk::gdk::RGBA::new(1.0, 1.0, 1.0, 1.0);
const DARK: gtk::gdk::RGBA = gtk::gdk::RGBA::new(0.114, 0.114, 0.125, 1.0);

/// The window's menu, and the terminal's own.
pub(in crate::components) fn menu() -> gio::Menu {
    let menu = gio::Menu::new();
    actions::section(
        &menu,
        &[
            (gettext("_Copy"), "win.copy-text"),
            (gettext("_Paste"), "win.paste-text"),
            (gettext("Select _All"), "win.select-all-text"),
        ],
    );
    actions::section(
        &menu,
        &[
            (gettext("Zoom _In"), "win.zoom-in"),
            (gettext("Zoom _Out"), "win.zoom-out"),
            (gettext("_Normal Size"), "win.zoom-normal"),
        ],
    );
    actions::section(&menu, &[(gettext("C_lear"), "win.clear-text")]);
    actions::section(&menu, &[shortcuts::item()]);
    menu
}
