//! The popover of a console's sound. Its meters move while it is open, and only then.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use api::machine::Sound;
use api::settings::SoundKey;
use audio::Audio;
use gtk::glib;

use super::level::{Level, TROUGH};
use crate::components::console::ConsoleMsg;
use crate::i18n::{gettext, gettext_f};
use crate::words;

/// Width of the popover: the narrowest window has room for it.
const WIDTH: i32 = 300;
/// Time between two looks at the meters.
const LOOK: Duration = Duration::from_millis(50);

/// The popover.
pub(super) struct Panel {
    popover: gtk::Popover,
    mute: gtk::ToggleButton,
    volume: gtk::Scale,
    heard: Rc<Level>,
    hears: Rc<Level>,
    problem: gtk::Label,
    /// The scale is being moved by us: what it then says is not the person's wish.
    showing: Rc<Cell<bool>>,
}

impl Panel {
    pub(super) fn new(audio: &Rc<RefCell<Audio>>, input: &relm4::Sender<ConsoleMsg>) -> Self {
        let mute = gtk::ToggleButton::builder().css_classes(["flat"]).tooltip_text(gettext("Mute")).build();
        mute.set_action_name(Some("win.mute"));
        let volume = gtk::Scale::with_range(gtk::Orientation::Horizontal, 0.0, 100.0, 5.0);
        volume.set_hexpand(true);
        volume.update_property(&[gtk::accessible::Property::Label(&gettext("Volume"))]);
        let picture = gtk::Image::from_icon_name("audio-input-microphone-symbolic");
        let name = gtk::Label::builder().label(gettext("Microphone")).hexpand(true).xalign(0.0).build();
        let microphone = gtk::Switch::builder().valign(gtk::Align::Center).action_name("win.microphone").build();
        microphone.update_property(&[gtk::accessible::Property::Label(&gettext("Microphone"))]);
        microphone.set_margin_end(TROUGH);
        let problem = gtk::Label::builder().wrap(true).xalign(0.0).max_width_chars(30).build();
        problem.set_wrap_mode(gtk::pango::WrapMode::WordChar);
        problem.set_margin_top(6);
        problem.set_visible(false);
        let heard = Rc::new(Level::new(&gettext("How loud the machine is")));
        let hears = Rc::new(Level::new(&gettext("How loud the microphone is")));

        let grid = gtk::Grid::builder().column_spacing(12).row_spacing(6).build();
        let line = gtk::Box::builder().spacing(12).margin_top(6).build();
        name.set_margin_start(TROUGH);
        line.append(&name);
        line.append(&microphone);
        picture.set_margin_top(6);
        grid.attach(&mute, 0, 0, 1, 1);
        grid.attach(&volume, 1, 0, 1, 1);
        grid.attach(heard.widget(), 1, 1, 1, 1);
        grid.attach(&picture, 0, 2, 1, 1);
        grid.attach(&line, 1, 2, 1, 1);
        grid.attach(hears.widget(), 1, 3, 1, 1);
        grid.attach(&problem, 0, 4, 2, 1);
        let popover = gtk::Popover::builder().child(&grid).width_request(WIDTH).build();

        let showing = Rc::new(Cell::new(false));
        let (quiet, input) = (showing.clone(), input.clone());
        volume.connect_value_changed(move |scale| {
            if !quiet.get() {
                let percent = scale.value().round() as u8;
                input.emit(ConsoleMsg::TurnSound(SoundKey::Volume, percent.to_string()));
            }
        });
        let panel = Self { popover, mute, volume, heard, hears, problem, showing };
        panel.look(audio);
        panel
    }

    /// For the button that opens it.
    pub(super) fn popover(&self) -> &gtk::Popover {
        &self.popover
    }

    /// Shows what is so.
    pub(super) fn show(&self, sound: &Sound, problem: Option<&str>) {
        self.mute.set_icon_name(super::icon(sound));
        // A scale between two steps is in the person's hand.
        if self.volume.value().round() as u8 != sound.volume {
            self.showing.set(true);
            self.volume.set_value(sound.volume.into());
            self.showing.set(false);
        }
        self.hears.widget().set_visible(sound.microphone);
        let why = problem.map(|why| words::sentence(&words::quote(why)));
        self.problem.set_visible(why.is_some());
        if let Some(why) = why {
            self.problem.set_label(&gettext_f("This computer’s sound does not work: {why}", &[("why", &why)]));
        }
    }

    /// The meters move from when the popover opens until it closes.
    fn look(&self, audio: &Rc<RefCell<Audio>>) {
        let ticking: Rc<RefCell<Option<glib::SourceId>>> = Rc::default();
        let (audio, levels) = (Rc::downgrade(audio), [self.heard.clone(), self.hears.clone()]);
        let (source, shown) = (ticking.clone(), levels.clone());
        self.popover.connect_map(move |_| {
            let (audio, levels) = (audio.clone(), shown.clone());
            // What was loud while nobody looked is over.
            if let Some(audio) = audio.upgrade() {
                audio.borrow().take_levels();
            }
            let tick = glib::timeout_add_local(LOOK, move || {
                if let Some(audio) = audio.upgrade() {
                    let (played, recorded) = audio.borrow().take_levels();
                    levels[0].show(played);
                    levels[1].show(recorded);
                }
                glib::ControlFlow::Continue
            });
            if let Some(before) = source.replace(Some(tick)) {
                before.remove();
            }
        });
        self.popover.connect_unmap(move |_| {
            if let Some(tick) = ticking.take() {
                tick.remove();
            }
            levels.iter().for_each(|level| level.clear());
        });
    }
}
