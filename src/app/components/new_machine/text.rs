//! What the page says.

use std::path::Path;

use api::machine::Wants;
use library::media::{Medium, MediumKind};

use super::{Image, NewMachineDialog, why};
use crate::i18n::{gettext, gettext_f};
use crate::{reasons, words};

impl NewMachineDialog {
    /// What keeps the image from being used.
    pub(super) fn image_problem(&self) -> Option<String> {
        match &self.image {
            Image::Bad(_, why) => Some(words::sentence(why)),
            Image::None | Image::Inspecting(_) | Image::Known(_) => None,
        }
    }

    /// What keeps the machine from being made.
    pub(super) fn problem(&self) -> Option<String> {
        self.name_problem.clone().or_else(|| self.problem.clone())
    }

    /// The system on the image, and what it recommends.
    pub(super) fn wants(&self) -> Option<(&str, Wants)> {
        match &self.image {
            Image::Known(medium) => Some((&medium.system.name, medium.system.wants)),
            Image::None | Image::Inspecting(_) | Image::Bad(..) => None,
        }
    }

    pub(super) fn memory_subtitle(&self) -> String {
        match self.wants() {
            Some((system, Wants { memory: Some(wanted), .. })) if self.memory < wanted => {
                gettext_f("Little: {system} wants {size}", &[("system", system), ("size", &wanted.to_string())])
            }
            _ => gettext_f("{size} in this computer", &[("size", &self.room.host.memory.to_string())]),
        }
    }

    pub(super) fn disk_subtitle(&self) -> String {
        match self.wants() {
            Some((system, Wants { disk: Some(wanted), .. })) if self.disk < wanted => {
                gettext_f("Little: {system} wants {size}", &[("system", system), ("size", &wanted.to_string())])
            }
            _ => gettext("Takes room as it fills"),
        }
    }

    pub(super) fn image_title(&self) -> String {
        let name = |path: &Path| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        match &self.image {
            Image::None => gettext("Installer or Disk Image"),
            Image::Inspecting(path) | Image::Bad(path, _) => name(path),
            Image::Known(medium) => name(&medium.path),
        }
    }

    pub(super) fn image_subtitle(&self) -> String {
        match &self.image {
            Image::None => gettext("An ISO file, for example"),
            Image::Inspecting(_) => gettext("Looking at it…"),
            Image::Bad(..) => String::new(),
            Image::Known(medium) => {
                let description = medium.system.description();
                let system = [("system", description.as_str())];
                match (medium.kind, medium.system.live) {
                    (MediumKind::Cd, _) if !medium.system.recognised => {
                        gettext("Can be started from; its system is not recognised")
                    }
                    (MediumKind::Cd, false) => gettext_f("Installs {system}", &system),
                    (MediumKind::Cd, true) => gettext_f("{system}, starts without installing", &system),
                    (MediumKind::Disk, _) => gettext_f("A disk with {system}, used where it is", &system),
                }
            }
        }
    }

    /// The image that was looked at.
    fn medium(&self) -> Option<&Medium> {
        match &self.image {
            Image::Known(medium) => Some(medium),
            Image::None | Image::Inspecting(_) | Image::Bad(..) => None,
        }
    }

    /// What was chosen for what is on the image, and why.
    pub(super) fn choice(&self) -> Option<String> {
        let medium = self.medium()?;
        let firmware = match self.firmware == medium.firmware() {
            true => why::firmware(medium.why_firmware()),
            false => gettext_f("{firmware}, as you chose.", &[("firmware", &words::firmware(self.firmware))]),
        };
        let devices = match self.profile == medium.system.profile {
            true => why::devices(medium.why_devices()),
            false => gettext("Devices as you chose."),
        };
        Some(format!("{firmware} {devices}"))
    }

    /// What keeps the system on the image from being installed here.
    pub(super) fn warning(&self) -> Option<String> {
        Some(why::obstacle(self.medium()?.obstacle()?))
    }

    /// What this computer lacks.
    pub(super) fn concern_text(&self) -> String {
        self.concerns().iter().map(reasons::concern).collect::<Vec<_>>().join("\n")
    }
}
