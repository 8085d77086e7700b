//! A machine's tile in the grid: its screen, large enough to be looked at.

use adw::prelude::*;
use relm4::factory::{DynamicIndex, FactoryComponent, FactorySender};
use relm4::prelude::*;

use super::item::{Choosable, Item, ItemMsg, ShowsItem};

/// The tile.
pub(super) struct Tile(Item);

impl ShowsItem for Tile {
    fn item(&self) -> &Item {
        &self.0
    }
}

#[relm4::factory(pub(super))]
impl FactoryComponent for Tile {
    type Init = Item;
    type Input = ItemMsg;
    type Output = ();
    type CommandOutput = ();
    type ParentWidget = gtk::FlowBox;

    view! {
        #[root]
        gtk::FlowBoxChild {
            set_widget_name: &self.0.uuid().to_string(),
            set_halign: gtk::Align::Center,
            #[watch]
            update_property: &[gtk::accessible::Property::Label(&self.0.spoken())],
            #[watch]
            tell_chosen: self.0.chosen,

            gtk::Box {
                set_orientation: gtk::Orientation::Vertical,
                set_spacing: 6,
                add_css_class: "machine-tile",
                #[watch]
                set_class_active: ("running", self.0.summary.is_live()),

                gtk::Overlay {
                    set_overflow: gtk::Overflow::Hidden,
                    add_css_class: "thumbnail",
                    add_css_class: "large",
                    #[watch]
                    set_class_active: ("screen", self.0.picture.is_some()),

                    // It alone has a size: all tiles are alike, whatever a screen's shape. Two of them stand side by side in the narrowest
                    // window.
                    gtk::Box {
                        set_size_request: (144, 108),
                    },
                    add_overlay = &gtk::Image {
                        #[watch]
                        set_icon_name: Some(self.0.icon()),
                        #[watch]
                        set_visible: self.0.picture.is_none(),
                        set_pixel_size: 48,
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
                    add_overlay = &gtk::CheckButton {
                        set_can_target: false,
                        set_focusable: false,
                        set_accessible_role: gtk::AccessibleRole::Presentation,
                        add_css_class: "selection-mode",
                        #[watch]
                        set_visible: self.0.chosen.is_some(),
                        #[watch]
                        set_active: self.0.chosen == Some(true),
                        set_halign: gtk::Align::End,
                        set_valign: gtk::Align::Start,
                        set_margin_all: 6,
                    },
                },
                gtk::Label {
                    #[watch]
                    set_label: self.0.summary.name(),
                    #[watch]
                    set_tooltip_text: Some(self.0.summary.name()),
                    set_max_width_chars: 1,
                    set_hexpand: true,
                    set_ellipsize: gtk::pango::EllipsizeMode::End,
                    add_css_class: "title",
                },
                gtk::Label {
                    #[watch]
                    set_label: &self.0.state(),
                    set_max_width_chars: 1,
                    set_hexpand: true,
                    set_ellipsize: gtk::pango::EllipsizeMode::End,
                    add_css_class: "caption",
                    add_css_class: "state",
                    #[watch]
                    set_class_active: ("dim-label", !self.0.summary.is_live()),
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
