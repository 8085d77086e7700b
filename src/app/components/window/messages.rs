//! What the window is told, and what its commands find out.

use std::collections::HashMap;
use std::path::PathBuf;

use console::Console;
use gtk::gdk;
use library::kvm::KvmState;
use library::usb::Device;
use library::{Discarded, Loss};
use uuid::Uuid;

use super::chosen::Task;
use super::deletion::Each;
use crate::machines::{Happening, Machines, Order};
use crate::sort_by::SortBy;
use crate::view_as::ViewAs;

/// What the window is told.
#[derive(Debug)]
pub(crate) enum WindowMsg {
    /// Something changed: look at the library.
    Refresh,
    /// The person selected this machine.
    Select(Uuid),
    /// The person went to this machine's page.
    Activate(Uuid),
    /// A new machine, of this image.
    New(Option<PathBuf>),
    /// There is a new machine.
    Created(Uuid),
    /// The dialog is closed.
    DialogClosed,
    /// Show the selected machine's settings.
    Settings,
    /// That dialog is closed.
    SettingsClosed,
    /// Start the machine, or show its console.
    Open(Option<Uuid>),
    /// Connect the machine's console again.
    Connect(Uuid),
    /// The person asks this of the selected machine.
    AskSelected(Order),
    /// The person wants another name for the selected machine.
    Rename,
    /// The person wants the selected machine in another group.
    AskGroup,
    /// The person wants the selected machine's folder elsewhere.
    AskPlace,
    /// Move it there.
    MoveTo(PathBuf),
    /// The person wants to delete the selected machine.
    Delete,
    /// The person wants them back.
    Undelete(Vec<Uuid>),
    /// It is too late for that.
    FinishDeletion(Vec<Uuid>),
    /// Do this.
    Do(Uuid, Order),
    /// Do this with all of them.
    DoTogether(Vec<Uuid>, Order),
    /// The person begins or ends choosing several machines.
    Choosing(bool),
    /// The person chooses all.
    ChooseAll,
    /// The window has room for little beside each other, or not.
    Narrow(bool),
    /// The person chose these.
    Chosen(Option<Vec<Uuid>>),
    /// The person wants this done with them.
    DoWithChosen(Task),
    /// Put these into this group, or into none.
    SetGroup(Vec<Uuid>, Option<String>),
    /// A console is closed; its screen looked like this.
    ConsoleClosed(Uuid),
    /// A screen as it was last.
    Picture(Uuid, Option<gdk::Texture>),
    /// Make pictures of machines' screens.
    TakePictures,
    /// The person opened this file.
    OpenFile(PathBuf),
    /// Show this machine, without starting it.
    ShowMachine(Uuid),
    /// What to do about KVM.
    KvmAdvice,
    /// Which machines cannot be used, and why.
    ShowBroken,
    /// Show this machine's logs, or the selected one's.
    ShowLog(Option<Uuid>),
    /// They are closed.
    LogsClosed(Uuid),
    /// Open a serial console of the selected machine.
    Serial,
    /// Show the selected machine's folder.
    OpenFolder,
    /// Say this of a machine for a moment.
    Say(Uuid, String),
    /// Give this machine the USB device at this port.
    ConnectUsb(Uuid, String),
    /// Come to the front.
    Present,
    /// The person closed the window.
    Close,
    /// The person ends the app.
    Quit,
    /// About Dormer.
    About,
    /// The keyboard shortcuts.
    Shortcuts,
    /// What people ask first.
    Help,
    /// The person searches for a machine.
    Search,
    /// The person chose an order of machines.
    Sort(SortBy),
    /// The person chose a view of machines.
    View(ViewAs),
}

/// What commands find out.
#[derive(Debug)]
pub(crate) enum Found {
    /// The library.
    Machines(library::Result<Machines>),
    /// Systems' names.
    Names(HashMap<String, String>),
    /// KVM.
    Kvm(KvmState),
    /// An order is done: notes for the person, or why not.
    Done(Uuid, Order, Result<Vec<String>, String>),
    /// A screen.
    Console(Uuid, Result<Box<Console>, String>),
    /// A machine that was to be shown has ended meanwhile.
    Off(Uuid),
    /// Something happened to a machine.
    Happened(Uuid, Happening),
    /// USB devices that are plugged in.
    UsbDevices(Vec<Device>),
    /// A machine has a USB device, which is called so; or why not.
    UsbConnected(Uuid, Result<String, String>),
    /// A part of a machine is moved.
    Moving(f64),
    /// A machine is moved: to where, or why not.
    Moved(Uuid, Result<PathBuf, String>),
    /// What deleting machines would lose.
    Losses(Each<Loss>),
    /// Machines are out of sight.
    Discarded(Each<Box<Discarded>>),
    /// A deleted machine is back.
    Restored(Result<Uuid, String>),
    /// A machine is deleted for good.
    Deleted(Result<(), String>),
    /// The machine of a file that the person opened.
    File(Result<Uuid, String>),
    /// A picture of a screen, and a small one.
    Picture(Uuid, Option<gdk::Texture>, Option<gdk::Texture>),
}
