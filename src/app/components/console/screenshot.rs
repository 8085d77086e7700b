//! Screenshots: the guest's own pixels, as it last drew them, in a file or on the clipboard.

use adw::prelude::*;
use gtk::{gdk, gio, glib};

use crate::i18n::{gettext, gettext_f};
use crate::words;

/// Where a screenshot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screenshot {
    /// To a file that the person chooses.
    File,
    /// To the clipboard.
    Clipboard,
}

/// Takes a screenshot of the machine of this name.
pub(super) fn take(to: Screenshot, texture: Option<gdk::Texture>, name: &str, toasts: &adw::ToastOverlay) {
    let Some(texture) = texture else {
        return say(toasts, &gettext("The machine shows no picture"));
    };
    match to {
        Screenshot::Clipboard => {
            toasts.clipboard().set_texture(&texture);
            say(toasts, &gettext("The screenshot is on the clipboard"));
        }
        Screenshot::File => {
            let (name, toasts) = (file_name(name, glib::DateTime::now_local().ok().as_ref()), toasts.clone());
            glib::spawn_future_local(async move { save(texture, &name, &toasts).await });
        }
    }
}

/// Asks where to, and writes the file.
async fn save(texture: gdk::Texture, name: &str, toasts: &adw::ToastOverlay) {
    let dialog = gtk::FileDialog::builder().title(gettext("Save Screenshot")).modal(true).initial_name(name).build();
    if let Some(pictures) = glib::user_special_dir(glib::UserDirectory::Pictures).filter(|folder| folder.is_dir()) {
        dialog.set_initial_folder(Some(&gio::File::for_path(pictures)));
    }
    let window = toasts.root().and_downcast::<gtk::Window>();
    // A person may choose none.
    let Ok(file) = dialog.save_future(window.as_ref()).await else { return };
    // Large screens take a while.
    let Ok(png) = gio::spawn_blocking(move || texture.save_to_png_bytes()).await else { return };
    let written = file.replace_contents_future(png, None, false, gio::FileCreateFlags::REPLACE_DESTINATION).await;
    match written {
        Ok(_) => toasts.add_toast(saved(file, toasts)),
        Err((_, error)) => {
            let why = words::quote(error.message());
            say(toasts, &gettext_f("The screenshot is not saved: {why}", &[("why", &why)]));
        }
    }
}

/// Says that it is there, and opens it.
fn saved(file: gio::File, toasts: &adw::ToastOverlay) -> adw::Toast {
    let toast = adw::Toast::new(&gettext("The screenshot is saved"));
    toast.set_button_label(Some(&gettext("Open")));
    let weak = toasts.downgrade();
    toast.connect_button_clicked(move |_| {
        let Some(toasts) = weak.upgrade() else { return };
        let window = toasts.root().and_downcast::<gtk::Window>();
        let launcher = gtk::FileLauncher::new(Some(&file));
        launcher.launch(window.as_ref(), None::<&gio::Cancellable>, move |result| {
            // A person who was asked for a program may choose none.
            if result.is_err_and(|error| !error.matches(gtk::DialogError::Dismissed)) {
                say(&toasts, &gettext("No program opens the screenshot"));
            }
        });
    });
    toast
}

fn say(toasts: &adw::ToastOverlay, text: &str) {
    toasts.add_toast(adw::Toast::new(&glib::markup_escape_text(text)));
}

/// The file's name, of the machine's and the time.
fn file_name(machine: &str, now: Option<&glib::DateTime>) -> String {
    // Other programs may have written the machine's file: its name leads to no other folder.
    let machine = machine.replace(['/', '\0'], "-");
    match now.and_then(|now| now.format("%Y-%m-%d %H-%M-%S").ok()) {
        Some(time) => format!("{machine} {time}.png"),
        None => format!("{machine}.png"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        let time = glib::DateTime::from_utc(2026, 11, 25, 16, 20, 3.0).unwrap();
        assert_eq!(file_name("Debian 13", Some(&time)), "Debian 13 2026-11-25 16-20-03.png");
        assert_eq!(file_name("../a", Some(&time)), "..-a 2026-11-25 16-20-03.png");
        assert_eq!(file_name("a", None), "a.png");
    }
}
