//! Typing a text into the guest, key by key as a person would, for a guest with no clipboard of its own: installers, logins, firmware.
//!
//! The bar over the screen shows how far it is and ends it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use console::us_layout::Press;
use gtk::{gio, glib};

use super::display::Display;
use super::type_dialog;
use super::typed_text::{self, Refusal, TypedText};
use crate::host_key::HostKey;
use crate::i18n::{gettext, gettext_f};

/// Types a text that comes from there. `refused` hears why it cannot be typed.
pub(super) fn begin(
    from: TypedText,
    root: &adw::ApplicationWindow,
    typist: &Rc<Typist>,
    refused: impl Fn(String) + 'static,
) {
    let weak = Rc::downgrade(typist);
    let start = move |presses| {
        if let Some(typist) = weak.upgrade() {
            typist.start(presses);
        }
    };
    match from {
        TypedText::Dialog => type_dialog::present(root, start),
        TypedText::Clipboard => {
            root.clipboard().read_text_async(None::<&gio::Cancellable>, move |text| {
                // No text is an empty one.
                let text = text.ok().flatten().unwrap_or_default();
                match typed_text::keys(&text) {
                    Ok(presses) => start(presses),
                    Err(Refusal::Empty) => refused(gettext("There is no text on the clipboard.")),
                    Err(refusal) => refused(refusal.sentence()),
                }
            });
        }
    }
}

/// From key to key: what firmware and slow installers still follow.
const PACE: Duration = Duration::from_millis(20);

/// Types into a display's guest.
pub(super) struct Typist {
    display: glib::WeakRef<Display>,
    bar: gtk::Box,
    label: gtk::Label,
    progress: gtk::ProgressBar,
    rest: RefCell<VecDeque<Press>>,
    total: Cell<usize>,
    /// The machine does not stand still.
    running: Cell<bool>,
    clock: RefCell<Option<glib::SourceId>>,
}

impl Typist {
    /// For this display.
    pub(super) fn new(display: &Display) -> Rc<Self> {
        let bar = gtk::Box::builder()
            .css_classes(["osd", "screen-message"])
            .spacing(12)
            .margin_bottom(24)
            .halign(gtk::Align::Center)
            .valign(gtk::Align::End)
            .visible(false)
            .build();
        let words = gtk::Box::builder().orientation(gtk::Orientation::Vertical).valign(gtk::Align::Center).spacing(6);
        let words = words.build();
        let label = gtk::Label::new(None);
        words.append(&label);
        let progress = gtk::ProgressBar::new();
        progress.update_property(&[gtk::accessible::Property::Label(&gettext("Typed so far"))]);
        words.append(&progress);
        let stop = gtk::Button::builder()
            .icon_name("media-playback-stop-symbolic")
            .tooltip_text(gettext("Stop Typing"))
            .css_classes(["circular", "flat"])
            .valign(gtk::Align::Center)
            // The keyboard stays the machine's.
            .focus_on_click(false)
            .build();
        bar.append(&words);
        bar.append(&stop);
        let typist = Rc::new(Self {
            display: display.downgrade(),
            bar,
            label,
            progress,
            rest: RefCell::default(),
            total: Cell::new(0),
            running: Cell::new(true),
            clock: RefCell::default(),
        });
        let weak = Rc::downgrade(&typist);
        stop.connect_clicked(move |_| {
            if let Some(typist) = weak.upgrade() {
                typist.stop();
            }
        });
        typist
    }

    /// What is shown over the screen meanwhile.
    pub(super) fn bar(&self) -> &gtk::Box {
        &self.bar
    }

    /// Types this, after what it is typing already.
    pub(super) fn start(self: &Rc<Self>, presses: Vec<Press>) {
        self.total.set(self.total.get() + presses.len());
        self.rest.borrow_mut().extend(presses);
        self.bar.set_visible(true);
        if let Some(display) = self.display.upgrade() {
            display.grab_focus();
        }
        if self.clock.borrow().is_none() {
            let weak = Rc::downgrade(self);
            let clock = glib::timeout_add_local(PACE, move || match weak.upgrade() {
                Some(typist) if typist.step() => glib::ControlFlow::Continue,
                Some(typist) => {
                    // It ends by itself.
                    typist.clock.take();
                    typist.stop();
                    glib::ControlFlow::Break
                }
                None => glib::ControlFlow::Break,
            });
            self.clock.replace(Some(clock));
        }
    }

    /// Types no more.
    pub(super) fn stop(&self) {
        if let Some(clock) = self.clock.take() {
            clock.remove();
        }
        self.rest.borrow_mut().clear();
        self.total.set(0);
        self.bar.set_visible(false);
    }

    /// It says how it is stopped.
    pub(super) fn set_host_key(&self, key: HostKey) {
        self.label.set_label(&gettext_f("Typing… Press {keys} to stop", &[("keys", &key.release())]));
    }

    /// It waits while the machine stands.
    pub(super) fn set_running(&self, running: bool) {
        self.running.set(running);
    }

    /// The next key. Is there another?
    fn step(&self) -> bool {
        let Some(display) = self.display.upgrade().filter(|display| display.absolute().is_some()) else { return false };
        // A guest that has not heard the last one yet is not flooded.
        if !self.running.get() || display.is_behind() {
            return true;
        }
        if let Some(press) = self.rest.borrow_mut().pop_front() {
            display.press(press);
        }
        let rest = self.rest.borrow().len();
        self.progress.set_fraction(1.0 - rest as f64 / self.total.get().max(1) as f64);
        rest > 0
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        self.stop();
    }
}
