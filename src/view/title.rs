//! What the window's title says: the machine's name, and what a person should know just now.

use crate::viewer::Viewer;

/// Between the name and the rest.
const DASH: &str = " — ";

impl Viewer {
    /// The title as it should be now.
    pub(crate) fn title(&self) -> String {
        let name = self.name();
        let rest = if let Some(why) = &self.ended {
            why
        } else if self.captured {
            "press Ctrl+Alt to release the pointer"
        } else if self.fate.paused {
            "paused"
        } else if !self.console.has_picture() {
            "its screen is off"
        } else if !self.console.absolute() {
            "click to give it the pointer"
        } else {
            return name.to_owned();
        };
        format!("{name}{DASH}{rest}")
    }
}
