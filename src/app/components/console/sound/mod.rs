//! A console's sound: what its machine plays is heard here and, if the person wants, the microphone there, as the machine's settings say.
//!
//! What the person turns in the header bar counts at once and is written to the settings a moment later, by the way that the settings
//! dialog takes. A console without a machine is silent.

mod level;
mod panel;
mod turned;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use api::machine::{self, Machine, SoundCard};
use api::settings::SoundKey;
use audio::Audio;
use gtk::glib;
use relm4::prelude::*;
use uuid::Uuid;

use self::panel::Panel;
use self::turned::Turned;
use super::display::Display;
use super::messages::ConsoleMsg;
use super::window::ConsoleWindow;
use crate::actions;
use crate::i18n::{gettext, gettext_f};
use crate::machines;
use crate::reasons::reason;

/// How long the person turns nothing before it is written down.
const QUIET: Duration = Duration::from_millis(300);

/// A console's sound.
pub(super) struct Sound {
    audio: Rc<RefCell<Audio>>,
    panel: Panel,
    turned: Turned,
    /// As the person has it now.
    wanted: machine::Sound,
    /// The guest hears the microphone.
    recorded: bool,
    /// Until what was turned is written down; nothing once it has run, when there is nothing to remove.
    quiet: Rc<RefCell<Option<glib::SourceId>>>,
}

impl Sound {
    /// No sound yet.
    pub(super) fn new(display: &Display, input: &relm4::Sender<ConsoleMsg>) -> Self {
        let changed = input.clone();
        let audio = Audio::new(move || drop(changed.send(ConsoleMsg::SoundChanged)));
        let audio = Rc::new(RefCell::new(audio));
        let (weak, told, recorded) = (Rc::downgrade(&audio), input.clone(), Cell::new(false));
        display.connect_closure(
            "sound",
            false,
            glib::closure_local!(move |display: Display| {
                let Some(audio) = weak.upgrade() else { return };
                match display.take_sound() {
                    Some(events) => events.into_iter().for_each(|event| audio.borrow_mut().handle(event)),
                    None => audio.borrow_mut().silence(),
                }
                // An engine may offer and end streams all day long: what is seen of them is this.
                if recorded.replace(display.is_recorded()) != display.is_recorded() {
                    drop(told.send(ConsoleMsg::SoundChanged));
                }
            }),
        );
        let panel = Panel::new(&audio, input);
        let wanted = machine::Sound::default();
        Self { audio, panel, turned: Turned::default(), wanted, recorded: false, quiet: Rc::default() }
    }

    /// For the button that opens it.
    pub(super) fn popover(&self) -> &gtk::Popover {
        self.panel.popover()
    }

    /// Follows the machine's settings and what the person turned.
    pub(super) fn follow(&mut self, machine: &Machine, display: &Display) {
        let wanted = self.turned.over(machine);
        let mut audio = self.audio.borrow_mut();
        audio.set_volume(wanted.volume);
        audio.set_muted(wanted.mute);
        if (&wanted.output, &wanted.input) != (&self.wanted.output, &self.wanted.input) {
            let device = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
            audio.use_devices(device(&wanted.output), device(&wanted.input));
        }
        let problem = audio.state().problem;
        drop(audio);
        self.wanted = wanted;
        let card = self.has_card();
        display.want_sound(card, card && self.wanted.microphone);
        self.recorded = display.is_recorded();
        self.panel.show(&self.wanted, problem.as_deref());
    }

    /// The person turns something.
    pub(super) fn turn(&mut self, key: SoundKey, value: String, input: &relm4::Sender<ConsoleMsg>) {
        self.turned.add(key, value);
        self.stop_waiting();
        let (input, quiet) = (input.clone(), Rc::clone(&self.quiet));
        let source = glib::timeout_add_local_once(QUIET, move || {
            quiet.take();
            drop(input.send(ConsoleMsg::WriteSound));
        });
        self.quiet.replace(Some(source));
    }

    fn stop_waiting(&self) {
        if let Some(source) = self.quiet.take() {
            source.remove();
        }
    }

    /// Nothing was turned for a while: it is written down.
    pub(super) fn write(&mut self, uuid: Uuid, input: &relm4::Sender<ConsoleMsg>) {
        let (values, input) = (self.turned.next(), input.clone());
        if !values.is_empty() {
            relm4::spawn_blocking(move || {
                let set = machines::set_sound(uuid, &values).map_err(|error| reason(&error));
                // A window that is closed needs no answer.
                drop(input.send(ConsoleMsg::SoundWritten(set)));
            });
        }
    }

    /// It was written down; what was turned meanwhile is next.
    pub(super) fn written(&mut self, uuid: Uuid, input: &relm4::Sender<ConsoleMsg>) {
        self.turned.written();
        if self.quiet.borrow().is_none() {
            self.write(uuid, input);
        }
    }

    /// The window closes: what was turned last is written down all the same.
    pub(super) fn leave(&mut self, uuid: Uuid) {
        self.stop_waiting();
        let values = self.turned.rest();
        if !values.is_empty() {
            relm4::spawn_blocking(move || {
                if let Err(error) = machines::set_sound(uuid, &values) {
                    tracing::warn!("sound stays as it was: {error}");
                }
            });
        }
    }

    /// Has the machine a card?
    pub(super) fn has_card(&self) -> bool {
        self.wanted.card != SoundCard::None
    }

    pub(super) fn is_muted(&self) -> bool {
        self.wanted.mute
    }

    /// May the guest hear the microphone?
    pub(super) fn has_microphone(&self) -> bool {
        self.wanted.microphone
    }

    /// Does it hear it now?
    pub(super) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// For the button.
    pub(super) fn icon(&self) -> &'static str {
        icon(&self.wanted)
    }

    pub(super) fn tooltip(&self) -> String {
        if self.wanted.mute {
            return gettext("Sound: Muted");
        }
        gettext_f("Sound: {percent} %", &[("percent", &self.wanted.volume.to_string())])
    }
}

/// Adds the switches that menus, buttons and keys turn.
pub(super) fn install(
    root: &adw::ApplicationWindow,
    sender: &ComponentSender<ConsoleWindow>,
) -> [gtk::gio::SimpleAction; 2] {
    [("mute", SoundKey::Mute), ("microphone", SoundKey::Microphone)].map(|(name, key)| {
        let sender = sender.clone();
        let word = |on| if on { "on" } else { "off" };
        actions::switch(root, name, move |_, on| sender.input(ConsoleMsg::TurnSound(key, word(on).to_owned())))
    })
}

/// How loud it is, in a picture.
fn icon(sound: &machine::Sound) -> &'static str {
    match sound.volume {
        _ if sound.mute => "audio-volume-muted-symbolic",
        0 => "audio-volume-muted-symbolic",
        1..34 => "audio-volume-low-symbolic",
        34..67 => "audio-volume-medium-symbolic",
        _ => "audio-volume-high-symbolic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icons_say_how_loud_it_is() {
        let icon = |volume, mute| icon(&machine::Sound { volume, mute, ..machine::Sound::new(SoundCard::Hda) });
        let loud = [0, 1, 34, 67, 100].map(|volume| icon(volume, false).trim_end_matches("-symbolic"));
        assert_eq!(loud.map(|name| &name["audio-volume-".len()..]), ["muted", "low", "medium", "high", "high"]);
        assert_eq!(icon(100, true), icon(0, false));
    }
}
