//! A card: what is measured, its present figures, and their graph.

use gtk::prelude::*;

use super::graph::Graph;
use super::history::{History, Scale};
use crate::i18n::gettext_f;

/// The card.
pub(super) struct Card {
    title: String,
    scale: Scale,
    /// How its figures are said.
    say: fn(f64) -> String,
    lines: [History; 2],
    root: gtk::FlowBoxChild,
    figures: [gtk::Label; 2],
    graph: Graph,
}

impl Card {
    /// One without figures.
    pub(super) fn new(title: &str, scale: Scale, say: fn(f64) -> String) -> Self {
        let label = |class: &str, xalign| {
            let label = gtk::Label::builder().xalign(xalign).ellipsize(gtk::pango::EllipsizeMode::End);
            label.css_classes([class, "numeric"]).build()
        };
        let figures = [label("body", 0.0), label("body", 1.0)];
        figures[1].set_hexpand(true);
        let line = gtk::Box::builder().spacing(12).build();
        figures.iter().for_each(|figure| line.append(figure));
        let heading = gtk::Label::builder().label(title).xalign(0.0).css_classes(["heading"]).build();
        let graph = Graph::default();

        let content = gtk::Box::builder().orientation(gtk::Orientation::Vertical).spacing(6);
        let content = content.margin_top(12).margin_bottom(12).margin_start(12).margin_end(12).build();
        content.append(&heading);
        content.append(&line);
        content.append(&graph);
        // So wide that two of them do not fit into the narrowest window.
        let card = gtk::Box::builder().width_request(220).css_classes(["card"]).build();
        card.append(&content);
        let root = gtk::FlowBoxChild::builder().child(&card).focusable(false).build();
        root.update_property(&[gtk::accessible::Property::Label(title)]);

        let lines = Default::default();
        let mut card = Self { title: title.to_owned(), scale, say, lines, root, figures, graph };
        card.clear();
        card
    }

    /// What goes on the page.
    pub(super) fn widget(&self) -> &gtk::FlowBoxChild {
        &self.root
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.lines = Default::default();
        self.say(["–".to_owned(), String::new()]);
    }

    /// Adds figures of so many seconds, as they are said now.
    pub(super) fn add(&mut self, figures: [Option<f64>; 2], seconds: usize, words: [String; 2]) {
        for (line, figure) in self.lines.iter_mut().zip(figures) {
            if let Some(figure) = figure {
                line.push(figure, seconds);
            }
        }
        self.say(words);
    }

    fn say(&self, words: [String; 2]) {
        let highest = self.lines.iter().map(History::highest).fold(0.0, f64::max);
        let top = self.scale.top(highest);
        self.graph.show_lines(self.lines.iter().map(|line| line.heights(top)).collect());
        let figures = words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(", ");
        for (label, word) in self.figures.iter().zip(&words) {
            label.set_label(word);
        }
        let most = gettext_f("At most {figure} in the last two minutes", &[("figure", &(self.say)(highest))]);
        let said = gettext_f("{title}: {figures}", &[("title", &self.title), ("figures", &figures)]);
        self.graph.set_tooltip_text(Some(&most));
        self.graph
            .update_property(&[gtk::accessible::Property::Label(&said), gtk::accessible::Property::Description(&most)]);
    }
}
