//! A graph: one or two lines over time, the newest figure at the right edge. It has no axes; what it shows is said beside it.
//!
//! Lines have the widget's CSS colour. The first one's area is filled and the second is dashed, so that they can be told apart without
//! colours.

use std::cell::RefCell;

use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib, gsk};

use super::history::LENGTH;

/// Pixels of a line, and of one that must be seen well.
const THICKNESS: f32 = 1.5;
const STRONG: f32 = 2.5;
/// Pixels of a dash and of the gap behind it.
const DASHES: [f32; 2] = [4.0, 3.0];

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Graph {
        /// Each from 0 to 1, the newest last.
        pub(super) lines: RefCell<Vec<Vec<f32>>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Graph {
        const NAME: &'static str = "DormerGraph";
        type Type = super::Graph;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("activity-graph");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    impl ObjectImpl for Graph {
        fn constructed(&self) {
            self.parent_constructed();
            let graph = self.obj();
            graph.set_hexpand(true);
            graph.set_height_request(56);
            graph.set_overflow(gtk::Overflow::Hidden);
        }
    }

    impl WidgetImpl for Graph {
        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let graph = self.obj();
            let strong = adw::StyleManager::default().is_high_contrast();
            let (colour, thickness) = (graph.color(), if strong { STRONG } else { THICKNESS });
            let size = (graph.width() as f32, graph.height() as f32);
            for (index, line) in self.lines.borrow().iter().enumerate() {
                let Some(points) = points(line, size, thickness) else { continue };
                if index == 0 {
                    let faint = if strong { 0.35 } else { 0.2 };
                    snapshot.append_fill(
                        &area(&points, size.1),
                        gsk::FillRule::Winding,
                        &gdk::RGBA::new(colour.red(), colour.green(), colour.blue(), colour.alpha() * faint),
                    );
                }
                let stroke = gsk::Stroke::new(thickness);
                stroke.set_line_join(gsk::LineJoin::Round);
                if index > 0 {
                    stroke.set_dash(&DASHES);
                }
                snapshot.append_stroke(&path(&points), &stroke, &colour);
            }
        }
    }
}

glib::wrapper! {
    /// The graph.
    pub struct Graph(ObjectSubclass<imp::Graph>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for Graph {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl Graph {
    /// Shows these lines, of figures from 0 to 1.
    pub(super) fn show_lines(&self, lines: Vec<Vec<f32>>) {
        self.imp().lines.replace(lines);
        self.queue_draw();
    }
}

/// Where a line goes: its newest point at the right edge, all of it within the widget. `None` where there is nothing to draw.
fn points(line: &[f32], (width, height): (f32, f32), thickness: f32) -> Option<Vec<(f32, f32)>> {
    if line.len() < 2 || width <= 0.0 || height <= thickness {
        return None;
    }
    let step = width / (LENGTH - 1) as f32;
    let room = height - thickness;
    let point = |(age, part): (usize, &f32)| (width - age as f32 * step, thickness / 2.0 + room * (1.0 - part));
    Some(line.iter().rev().enumerate().map(point).collect())
}

fn path(points: &[(f32, f32)]) -> gsk::Path {
    drawn(points).to_path()
}

fn drawn(points: &[(f32, f32)]) -> gsk::PathBuilder {
    let builder = gsk::PathBuilder::new();
    for (index, (x, y)) in points.iter().enumerate() {
        if index == 0 { builder.move_to(*x, *y) } else { builder.line_to(*x, *y) }
    }
    builder
}

/// What is below a line.
fn area(points: &[(f32, f32)], height: f32) -> gsk::Path {
    let builder = drawn(points);
    if let (Some((right, _)), Some((left, _))) = (points.first(), points.last()) {
        builder.line_to(*left, height);
        builder.line_to(*right, height);
        builder.close();
    }
    builder.to_path()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_at_the_right_edge() {
        let points = points(&[0.0, 1.0, 0.5], (119.0, 42.0), 2.0).unwrap();
        assert_eq!(points, [(119.0, 21.0), (118.0, 1.0), (117.0, 41.0)]);
        let all = super::points(&[0.5; LENGTH], (119.0, 42.0), 2.0).unwrap();
        assert_eq!(all.last(), Some(&(0.0, 21.0)));
        for (line, size) in [(&[0.5][..], (9.0, 9.0)), (&[0.5, 0.5], (0.0, 9.0)), (&[0.5, 0.5], (9.0, 1.0))] {
            assert_eq!(super::points(line, size, 2.0), None);
        }
    }
}
