//! The dialog for a text that is to be typed into the guest.

use adw::prelude::*;
use console::us_layout::Press;

use super::typed_text::{self, Refusal};
use crate::i18n::gettext;

/// Asks for a text. `typed` gets the keys for it.
pub(super) fn present(parent: &adw::ApplicationWindow, typed: impl Fn(Vec<Press>) + 'static) {
    let dialog = adw::Dialog::builder().title(gettext("Type Text")).content_width(480).content_height(360).build();
    let cancel = gtk::Button::with_mnemonic(&gettext("_Cancel"));
    let act = gtk::Button::with_mnemonic(&gettext("_Type"));
    act.add_css_class("suggested-action");
    let header = adw::HeaderBar::builder().show_start_title_buttons(false).show_end_title_buttons(false).build();
    header.pack_start(&cancel);
    header.pack_end(&act);

    let text = gtk::TextView::builder()
        .monospace(true)
        .wrap_mode(gtk::WrapMode::WordChar)
        .accepts_tab(false)
        .top_margin(12)
        .bottom_margin(12)
        .left_margin(12)
        .right_margin(12)
        .build();
    text.update_property(&[gtk::accessible::Property::Label(&gettext("Text to type"))]);
    let scrolled = gtk::ScrolledWindow::builder().child(&text).vexpand(true).css_classes(["card"]).build();
    scrolled.set_overflow(gtk::Overflow::Hidden);
    let about = label(&gettext("The machine gets it as keys of a US keyboard: set its system to that layout."));
    about.add_css_class("dim-label");
    let problem = label("");
    problem.add_css_class("error");
    problem.set_visible(false);
    let page = gtk::Box::builder().orientation(gtk::Orientation::Vertical).spacing(12).build();
    page.set_margin_top(12);
    page.set_margin_bottom(18);
    page.set_margin_start(18);
    page.set_margin_end(18);
    for child in [about.upcast_ref::<gtk::Widget>(), scrolled.upcast_ref(), problem.upcast_ref()] {
        page.append(child);
    }
    let view = adw::ToolbarView::new();
    view.add_top_bar(&header);
    view.set_content(Some(&page));
    dialog.set_child(Some(&view));

    let buffer = text.buffer();
    let content = |buffer: &gtk::TextBuffer| buffer.text(&buffer.start_iter(), &buffer.end_iter(), false);
    let judge = {
        let act = act.clone();
        move |buffer: &gtk::TextBuffer| {
            let keys = typed_text::keys(&content(buffer));
            act.set_sensitive(keys.is_ok());
            let sentence = keys.err().filter(|refusal| *refusal != Refusal::Empty).map(|refusal| refusal.sentence());
            problem.set_visible(sentence.is_some());
            problem.set_label(&sentence.unwrap_or_default());
        }
    };
    judge(&buffer);
    buffer.connect_changed(judge);
    let weak = dialog.downgrade();
    cancel.connect_clicked(move |_| {
        if let Some(dialog) = weak.upgrade() {
            dialog.close();
        }
    });
    let weak = dialog.downgrade();
    act.connect_clicked(move |_| {
        if let (Some(dialog), Ok(keys)) = (weak.upgrade(), typed_text::keys(&content(&buffer))) {
            dialog.close();
            typed(keys);
        }
    });
    dialog.set_focus(Some(&text));
    dialog.present(Some(parent));
}

fn label(text: &str) -> gtk::Label {
    gtk::Label::builder().label(text).wrap(true).xalign(0.0).build()
}
