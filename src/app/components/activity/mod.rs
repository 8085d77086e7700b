//! What a running machine does, on its page: small graphs of its processors, memory, disks and network over the last two minutes, with
//! the present figures.
//!
//! It is measured while it can be seen and the machine runs ([`meter`]); what happened while nobody looked is shown as its average.

mod card;
mod graph;
mod history;

use std::cell::Cell;
use std::time::Duration;

use adw::prelude::*;
use library::usage::{Rates, Sample};
use relm4::prelude::*;
use uuid::Uuid;

use self::card::Card;
use self::history::Scale;
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::meter::{self, Look};
use crate::words;

/// Figures that take a graph's whole height at least, in bytes a second: less is next to nothing.
const DISK: f64 = (1 << 20) as f64;
const NETWORK: f64 = (64 << 10) as f64;

/// The graphs.
pub(crate) struct Activity {
    /// The machine that is shown, if it runs.
    machine: Option<Uuid>,
    /// Somebody can see it.
    seen: bool,
    /// As long as it is measured.
    look: Option<Look>,
    /// Counts the looks: what an earlier one brings is of another machine.
    round: u64,
    last: Option<Sample>,
    processors: Card,
    memory: Card,
    disks: Card,
    network: Card,
}

/// What the graphs are told.
#[derive(Debug)]
pub(crate) enum ActivityMsg {
    /// Show this machine, which runs; or none.
    Show(Option<Uuid>),
    /// They may be seen now, or not any more.
    Seen(bool),
}

/// A sample of a look.
#[derive(Debug)]
pub(crate) struct Measured(u64, Sample);

#[relm4::component(pub(crate))]
impl Component for Activity {
    type Init = ();
    type Input = ActivityMsg;
    type Output = ();
    type CommandOutput = Measured;

    view! {
        adw::PreferencesGroup {
            set_title: &gettext("Activity"),
            #[watch]
            set_visible: model.machine.is_some(),

            #[name = "cards"]
            gtk::FlowBox {
                add_css_class: "activity",
                set_selection_mode: gtk::SelectionMode::None,
                set_homogeneous: true,
                set_max_children_per_line: 2,
                set_row_spacing: 12,
                set_column_spacing: 12,
            },
        }
    }

    fn init((): (), root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let model = Self {
            machine: None,
            seen: false,
            look: None,
            round: 0,
            last: None,
            processors: Card::new(&gettext("Processors"), Scale::Whole(1.0), percent),
            memory: Card::new(&gettext("Memory"), Scale::Whole(1.0), percent),
            disks: Card::new(&gettext("Disks and CDs"), Scale::Highest(DISK), rate),
            network: Card::new(&gettext("Network"), Scale::Highest(NETWORK), rate),
        };
        let widgets = view_output!();
        for card in model.cards() {
            widgets.cards.append(card.widget());
        }
        watch(&root, sender.input_sender());
        ComponentParts { model, widgets }
    }

    fn update(&mut self, message: ActivityMsg, sender: ComponentSender<Self>, _root: &Self::Root) {
        match message {
            ActivityMsg::Show(machine) if machine == self.machine => {}
            ActivityMsg::Show(machine) => {
                self.machine = machine;
                self.look = None;
                self.last = None;
                self.cards_mut().for_each(Card::clear);
            }
            ActivityMsg::Seen(seen) => self.seen = seen,
        }
        self.measure(&sender);
    }

    fn update_cmd(&mut self, Measured(round, sample): Measured, _sender: ComponentSender<Self>, _root: &Self::Root) {
        if round == self.round && self.look.is_some() {
            self.show(sample);
        }
    }
}

impl Activity {
    fn cards(&self) -> [&Card; 4] {
        [&self.processors, &self.memory, &self.disks, &self.network]
    }

    fn cards_mut(&mut self) -> impl Iterator<Item = &mut Card> {
        [&mut self.processors, &mut self.memory, &mut self.disks, &mut self.network].into_iter()
    }

    /// Begins or ends measuring, as it is wanted now.
    fn measure(&mut self, sender: &ComponentSender<Self>) {
        match self.machine.filter(|_| self.seen) {
            None => self.look = None,
            Some(uuid) if self.look.is_none() => {
                let (look, looked) = meter::look();
                self.look = Some(look);
                self.round += 1;
                let round = self.round;
                sender.spawn_command(move |measured| {
                    meter::measure(uuid, &looked, meter::PERIOD, |sample| {
                        measured.send(Measured(round, sample)).is_ok()
                    });
                });
            }
            Some(_) => {}
        }
    }

    /// Adds what happened since the last sample to the graphs.
    fn show(&mut self, sample: Sample) {
        if let Some(last) = &self.last {
            let passed = sample.at.saturating_duration_since(last.at);
            self.add(&sample, sample.since(last), seconds(passed));
        }
        self.last = Some(sample);
    }

    fn add(&mut self, sample: &Sample, rates: Rates, seconds: usize) {
        let usage = &sample.usage;
        let processors = usize::try_from(usage.processors).unwrap_or(usize::MAX);
        let of = ngettext_f("of {count} processor", "of {count} processors", processors, &[]);
        self.processors.add([Some(rates.load), None], seconds, [percent(rates.load), of]);
        let used = usage.memory as f64 / usage.memory_size.max(1) as f64;
        let size = gettext_f("of {size}", &[("size", &words::bytes(usage.memory_size))]);
        self.memory.add([Some(used), None], seconds, [words::bytes(usage.memory), size]);
        let read = gettext_f("Read {rate}", &[("rate", &rate(rates.read))]);
        let written = gettext_f("Written {rate}", &[("rate", &rate(rates.written))]);
        self.disks.add([Some(rates.read), Some(rates.written)], seconds, [read, written]);
        let received = gettext_f("Received {rate}", &[("rate", &rate(rates.received))]);
        let sent = gettext_f("Sent {rate}", &[("rate", &rate(rates.sent))]);
        self.network.add([Some(rates.received), Some(rates.sent)], seconds, [received, sent]);
    }
}

/// Tells whether the graphs can be seen: on the page that is shown, in a window that is.
fn watch(root: &adw::PreferencesGroup, input: &relm4::Sender<ActivityMsg>) {
    let tell = {
        let input = input.clone();
        move |root: &adw::PreferencesGroup| {
            let hidden = root.root().and_downcast::<gtk::Window>().is_some_and(|window| window.is_suspended());
            input.emit(ActivityMsg::Seen(root.is_mapped() && !hidden));
        }
    };
    let watched = Cell::new(false);
    let (mapped, unmapped) = (tell.clone(), tell.clone());
    root.connect_map(move |root| {
        mapped(root);
        if let (Some(window), false) = (root.root().and_downcast::<gtk::Window>(), watched.replace(true)) {
            let (weak, tell) = (root.downgrade(), tell.clone());
            window.connect_suspended_notify(move |_| weak.upgrade().iter().for_each(&tell));
        }
    });
    root.connect_unmap(unmapped);
}

/// Whole seconds, one at least.
fn seconds(time: Duration) -> usize {
    (time.as_secs_f64() / meter::PERIOD.as_secs_f64()).round().max(1.0) as usize
}

/// A part of a whole.
fn percent(part: f64) -> String {
    gettext_f("{percent} %", &[("percent", &format!("{:.0}", part * 100.0))])
}

/// Bytes a second.
fn rate(bytes: f64) -> String {
    gettext_f("{size}/s", &[("size", &words::bytes(bytes as u64))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_takes_its_time() {
        let seconds = [0, 400, 1400, 1600, 61_000].map(|time| seconds(Duration::from_millis(time)));
        assert_eq!(seconds, [1, 1, 1, 2, 61]);
        assert_eq!((percent(0.126), rate(2048.0)), ("13 %".into(), "2.0\u{a0}KiB/s".into()));
    }
}
