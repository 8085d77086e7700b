//! What the window's title says: the machine's name, and what a person should know just now.

use crate::viewer::Viewer;

/// Between the name and the rest.
const DASH: &str = " — ";

impl Viewer {
    /// The title as it should be now.
    pub(crate) fn title(&self) -> String {
        let sound = [("muted", self.sound.is_muted()), ("hears the microphone", self.console.is_recorded())];
        let sound = sound.into_iter().filter(|(_, so)| *so && self.ended.is_none()).map(|(words, _)| words);
        title(self.name(), self.picture(), sound)
    }

    /// What there is to say of the picture and the pointer.
    fn picture(&self) -> Option<&str> {
        if let Some(why) = &self.ended {
            Some(why)
        } else if self.captured {
            Some("press Ctrl+Alt to release the pointer")
        } else if self.fate.paused {
            Some("paused")
        } else if !self.console.has_picture() {
            Some("its screen is off")
        } else if !self.console.absolute() {
            Some("click to give it the pointer")
        } else {
            None
        }
    }
}

fn title<'a>(name: &str, picture: Option<&'a str>, sound: impl Iterator<Item = &'a str>) -> String {
    let rest: Vec<_> = picture.into_iter().chain(sound).collect();
    if rest.is_empty() { name.to_owned() } else { format!("{name}{DASH}{}", rest.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn all_that_is_so_is_said() {
        assert_eq!(title("One", None, [].into_iter()), "One");
        assert_eq!(title("One", None, ["muted"].into_iter()), "One — muted");
        assert_eq!(title("One", Some("paused"), ["muted"].into_iter()), "One — paused, muted");
    }
}
