//! The dialogs over the window: a new machine, a machine's settings and logs; and what stands beside it: a serial console, and the
//! machine's folder, which another program shows.

use std::path::PathBuf;

use adw::prelude::*;
use gtk::gio;
use relm4::prelude::*;
use uuid::Uuid;

use super::{Window, WindowMsg, tell};
use crate::components::logs::LogsDialog;
use crate::components::new_machine::{NewMachineDialog, NewMachineMsg, NewMachineOutput};
use crate::components::serial;
use crate::components::settings::{SettingsDialog, SettingsOutput};
use crate::i18n::gettext_f;

impl Window {
    pub(super) fn open_dialog(
        &mut self,
        image: Option<PathBuf>,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        root.present();
        let dialog = self.dialog.get_or_insert_with(|| {
            let dialog = NewMachineDialog::builder().launch(()).forward(sender.input_sender(), |output| match output {
                NewMachineOutput::Created(uuid) => WindowMsg::Created(uuid),
                NewMachineOutput::Closed => WindowMsg::DialogClosed,
            });
            dialog.widget().present(Some(root));
            dialog
        });
        if let Some(image) = image {
            tell(dialog, NewMachineMsg::Use(image));
        }
    }

    pub(super) fn open_settings(&mut self, sender: &ComponentSender<Self>, root: &adw::ApplicationWindow) {
        // The action can come from elsewhere while the dialog is open.
        if self.settings.is_some() {
            return root.present();
        }
        let Some(summary) = self.selected.and_then(|uuid| self.summary(uuid)).cloned() else { return };
        let uuid = summary.uuid();
        let dialog = SettingsDialog::builder().launch((summary, self.names.clone()));
        let dialog = dialog.forward(sender.input_sender(), |output| match output {
            SettingsOutput::Changed => WindowMsg::Refresh,
            SettingsOutput::Closed => WindowMsg::SettingsClosed,
        });
        dialog.widget().present(Some(root));
        self.settings = Some((uuid, dialog));
    }

    /// Shows a machine's logs, over its console if the person asked there.
    pub(super) fn show_logs(
        &mut self,
        uuid: Option<Uuid>,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        let Some(summary) = uuid.or(self.selected).and_then(|uuid| self.summary(uuid)) else { return };
        let (uuid, name) = (summary.uuid(), summary.name().to_owned());
        if let Some(window) = self.logs.get(&uuid).and_then(|dialog| dialog.widget().root()) {
            return window.downcast_ref::<gtk::Window>().into_iter().for_each(GtkWindowExt::present);
        }
        let parent = self.consoles.get(&uuid).map(|console| console.widget().clone());
        let parent = parent.filter(|_| !root.is_active()).unwrap_or_else(|| root.clone());
        let dialog = LogsDialog::builder().launch((uuid, name));
        let dialog = dialog.forward(sender.input_sender(), move |()| WindowMsg::LogsClosed(uuid));
        dialog.widget().present(Some(&parent));
        self.logs.insert(uuid, dialog);
    }

    /// Opens a serial console.
    pub(super) fn open_serial(&self) {
        if let Some(summary) = self.selected.and_then(|uuid| self.summary(uuid)) {
            serial::open(summary.uuid(), summary.name(), &self.menus);
        }
    }

    /// Shows a machine's folder in the file manager.
    pub(super) fn open_folder(&self, sender: &ComponentSender<Self>, root: &adw::ApplicationWindow) {
        let Some(summary) = self.selected.and_then(|uuid| self.summary(uuid)) else { return };
        let (uuid, folder) = (summary.uuid(), summary.entry.folder.clone());
        let launcher = gtk::FileLauncher::new(Some(&gio::File::for_path(folder.join("machine.toml"))));
        let sender = sender.clone();
        launcher.open_containing_folder(Some(root), None::<&gio::Cancellable>, move |result| {
            if result.is_err_and(|error| !error.matches(gtk::DialogError::Dismissed)) {
                let path = folder.display().to_string();
                let text = gettext_f("No program opens the machine’s folder: it is {path}", &[("path", &path)]);
                sender.input(WindowMsg::Say(uuid, text));
            }
        });
    }
}
