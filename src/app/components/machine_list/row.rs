//! A machine's row in the list.

use adw::prelude::*;
use relm4::factory::{DynamicIndex, FactoryComponent, FactorySender};
use relm4::prelude::*;

use super::item::{Choosable, Item, ItemMsg, ShowsItem};

/// The row.
pub(super) struct Row(Item);

impl ShowsItem for Row {
    fn item(&self) -> &Item {
        &self.0
    }
}

#[relm4::factory(pub(super))]
impl FactoryComponent for Row {
    type Init = Item;
    type Input = ItemMsg;
    type Output = ();
    type CommandOutput = ();
    type ParentWidget = gtk::ListBox;

    view! {
        #[root]
        gtk::ListBoxRow {
            set_widget_name: &self.0.uuid().to_string(),
            #[watch]
            update_property: &[gtk::accessible::Property::Label(&self.0.spoken())],
            #[watch]
            tell_chosen: self.0.chosen,

            gtk::Box {
                set_spacing: 12,
                add_css_class: "machine-row",
                #[watch]
                set_class_active: ("running", self.0.summary.is_live()),

                gtk::CheckButton {
                    set_can_target: false,
                    set_focusable: false,
                    set_accessible_role: gtk::AccessibleRole::Presentation,
                    add_css_class: "selection-mode",
                    #[watch]
                    set_visible: self.0.chosen.is_some(),
                    #[watch]
                    set_active: self.0.chosen == Some(true),
                },
                gtk::Overlay {
                    set_hexpand: false,
                    set_valign: gtk::Align::Center,
                    set_overflow: gtk::Overflow::Hidden,
                    add_css_class: "thumbnail",
                    #[watch]
                    set_class_active: ("screen", self.0.picture.is_some()),

                    // It alone has a size: all rows are alike, whatever a screen's shape.
                    gtk::Box {
                        set_size_request: (48, 36),
                    },
                    add_overlay = &gtk::Image {
                        #[watch]
                        set_icon_name: Some(self.0.icon()),
                        #[watch]
                        set_visible: self.0.picture.is_none(),
                        set_accessible_role: gtk::AccessibleRole::Presentation,
                        add_css_class: "state",
                    },
                    add_overlay = &gtk::Picture {
                        #[watch]
                        set_paintable: self.0.picture.as_ref(),
                        #[watch]
                        set_visible: self.0.picture.is_some(),
                        set_content_fit: gtk::ContentFit::Contain,
                        set_accessible_role: gtk::AccessibleRole::Presentation,
                    },
                },
                gtk::Box {
                    set_orientation: gtk::Orientation::Vertical,
                    set_hexpand: true,
                    set_valign: gtk::Align::Center,
                    set_spacing: 2,

                    gtk::Label {
                        #[watch]
                        set_label: self.0.summary.name(),
                        set_xalign: 0.0,
                        set_ellipsize: gtk::pango::EllipsizeMode::End,
                        add_css_class: "title",
                    },
                    gtk::Label {
                        #[watch]
                        set_label: &self.0.state(),
                        set_xalign: 0.0,
                        add_css_class: "caption",
                        add_css_class: "state",
                        #[watch]
                        set_class_active: ("dim-label", !self.0.summary.is_live()),
                    },
                },
            },
        }
    }

    fn init_model(item: Item, _: &DynamicIndex, _: FactorySender<Self>) -> Self {
        Self(item)
    }

    fn update(&mut self, message: ItemMsg, _: FactorySender<Self>) {
        self.0.take(message);
    }
}
