//! One pane or two: list and page stand side by side where the window is wide enough; a grid has the whole window, and pages come in its
//! place.

use std::cell::Cell;
use std::rc::Rc;

use adw::prelude::*;

use crate::view_as::ViewAs;

/// No room for list and page in a window of this width.
const NARROW: f64 = 620.0;

/// The window's shape.
pub(super) struct Shape {
    split: adw::NavigationSplitView,
    narrow: Cell<bool>,
    view: Cell<ViewAs>,
}

impl Shape {
    /// Follows the width of `window`; `told` hears whether there is room for little.
    pub(super) fn new(
        window: &adw::ApplicationWindow,
        split: &adw::NavigationSplitView,
        view: ViewAs,
        told: impl Fn(bool) + Clone + 'static,
    ) -> Rc<Self> {
        let shape = Rc::new(Self { split: split.clone(), narrow: Cell::new(false), view: Cell::new(view) });
        let condition = adw::BreakpointCondition::new_length(
            adw::BreakpointConditionLengthType::MaxWidth,
            NARROW,
            adw::LengthUnit::Sp,
        );
        let narrow = adw::Breakpoint::new(condition);
        let (applied, unapplied) = (Rc::clone(&shape), Rc::clone(&shape));
        let tell = told.clone();
        narrow.connect_apply(move |_| {
            applied.set_narrow(true);
            tell(true);
        });
        narrow.connect_unapply(move |_| {
            unapplied.set_narrow(false);
            told(false);
        });
        window.add_breakpoint(narrow);
        shape.update();
        shape
    }

    /// The person wants another view: the machines, not the page of one.
    pub(super) fn set_view(&self, view: ViewAs) {
        self.view.set(view);
        self.split.set_show_content(false);
        self.update();
    }

    fn set_narrow(&self, narrow: bool) {
        self.narrow.set(narrow);
        self.update();
    }

    fn update(&self) {
        self.split.set_collapsed(self.narrow.get() || self.view.get() == ViewAs::Grid);
    }
}
