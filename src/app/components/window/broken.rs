//! Machines whose file cannot be used: which, why, and the way to their folders.

use adw::prelude::*;
use gtk::gio;
use library::Broken;

use crate::i18n::{gettext, gettext_f, ngettext_f};

/// A banner that tells of them, for each place where machines are listed.
pub(super) fn banner() -> adw::Banner {
    let banner = adw::Banner::new("");
    banner.set_button_label(Some(&gettext("What Is Wrong")));
    banner.set_action_name(Some("win.show-broken"));
    banner
}

/// Banners say it as long as there are any.
pub(super) fn tell(banners: &[adw::Banner], broken: &[Broken]) {
    for banner in banners {
        banner.set_title(&sentence(broken));
        banner.set_revealed(!broken.is_empty());
    }
}

fn sentence(broken: &[Broken]) -> String {
    match broken {
        [] => String::new(),
        [one] => gettext_f("“{name}” cannot be used", &[("name", &name(one))]),
        all => ngettext_f("{count} machine cannot be used", "{count} machines cannot be used", all.len(), &[]),
    }
}

/// Shows them.
pub(super) fn present(broken: &[Broken], root: &adw::ApplicationWindow) {
    let group = adw::PreferencesGroup::new();
    let text = gettext(
        "Something is wrong with their configuration. Correct the file in the machine’s folder: nothing else is lost.",
    );
    group.set_description(Some(&text));
    for machine in broken {
        let row = adw::ActionRow::builder().use_markup(false).build();
        row.set_title(&name(machine));
        row.set_subtitle(&gettext_f("machine.toml: {why}", &[("why", &machine.why)]));
        let open = gtk::Button::builder()
            .icon_name("folder-open-symbolic")
            .tooltip_text(gettext("Open Folder"))
            .valign(gtk::Align::Center)
            .css_classes(["flat"])
            .build();
        let (folder, window) = (machine.folder.clone(), root.downgrade());
        open.connect_clicked(move |_| {
            let launcher = gtk::FileLauncher::new(Some(&gio::File::for_path(&folder)));
            launcher.launch(window.upgrade().as_ref(), None::<&gio::Cancellable>, |result| {
                if let Err(error) = result {
                    tracing::warn!("the folder does not open: {error}");
                }
            });
        });
        row.add_suffix(&open);
        group.add(&row);
    }
    let page = adw::PreferencesPage::new();
    page.add(&group);
    let content = adw::ToolbarView::new();
    content.add_top_bar(&adw::HeaderBar::new());
    content.set_content(Some(&page));
    adw::Dialog::builder()
        .title(gettext("Machines That Cannot Be Used"))
        .content_width(520)
        .child(&content)
        .build()
        .present(Some(root));
}

/// There is no name but the folder's.
fn name(broken: &Broken) -> String {
    broken.folder.file_name().unwrap_or(broken.folder.as_os_str()).to_string_lossy().into_owned()
}
