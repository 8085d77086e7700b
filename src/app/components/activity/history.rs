//! What a graph remembers: the figures of the last two minutes, one for each second, and how high they are drawn.

use std::collections::VecDeque;

/// Figures that are remembered.
pub(super) const LENGTH: usize = 120;

/// How high a figure may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// This is all that there can be.
    Whole(f64),
    /// As high as the highest figure that is remembered, and at least this: what is next to nothing looks like it.
    Highest(f64),
}

/// Figures, the newest last.
#[derive(Clone, Debug, Default)]
pub(super) struct History(VecDeque<f64>);

impl History {
    /// Remembers a figure of so many seconds.
    pub(super) fn push(&mut self, figure: f64, seconds: usize) {
        let figure = if figure.is_finite() { figure.max(0.0) } else { 0.0 };
        let seconds = seconds.min(LENGTH);
        let over = (self.0.len() + seconds).saturating_sub(LENGTH);
        self.0.drain(..over);
        self.0.extend(std::iter::repeat_n(figure, seconds));
    }

    /// The highest that is remembered.
    pub(super) fn highest(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// Parts of the graph's height, from 0 to 1.
    pub(super) fn heights(&self, top: f64) -> Vec<f32> {
        let height = |figure: &f64| if top > 0.0 { (figure / top).clamp(0.0, 1.0) as f32 } else { 0.0 };
        self.0.iter().map(height).collect()
    }
}

impl Scale {
    /// The figure at the graph's upper edge, where the highest that is shown is this one. It moves in steps of two, so that a graph does not
    /// wobble with each figure.
    pub(super) fn top(self, highest: f64) -> f64 {
        match self {
            Self::Whole(whole) => whole,
            Self::Highest(least) if highest <= least => least,
            Self::Highest(least) => least * 2_f64.powi((highest / least).log2().ceil() as i32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut history = History::default();
        history.push(1.0, 1);
        history.push(3.0, LENGTH - 1);
        assert_eq!((history.heights(4.0).len(), history.heights(4.0)[0], history.highest()), (LENGTH, 0.25, 3.0));
        history.push(2.0, 1);
        assert_eq!((history.heights(4.0).len(), history.heights(4.0)[0]), (LENGTH, 0.75));
        assert_eq!(history.heights(4.0)[LENGTH - 1], 0.5);
        // A gap as long as all that is remembered, and longer.
        history.push(1.0, usize::MAX);
        assert_eq!((history.heights(1.0), history.highest()), (vec![1.0; LENGTH], 1.0));
    }

    #[test]
    fn figures_that_are_none_are_nothing() {
        let mut history = History::default();
        for figure in [f64::NAN, f64::INFINITY, -1.0] {
            history.push(figure, 1);
        }
        assert_eq!(history.heights(1.0), [0.0; 3]);
        assert_eq!(history.heights(0.0), [0.0; 3]);
    }

    #[test]
    fn scales_move_in_steps() {
        assert_eq!(Scale::Whole(1.0).top(0.1), 1.0);
        let tops = [0.0, 100.0, 101.0, 200.0, 3e9].map(|highest| Scale::Highest(100.0).top(highest));
        assert_eq!(tops[..4], [100.0, 100.0, 200.0, 200.0]);
        assert!(tops[4] >= 3e9 && tops[4] < 6e9, "{tops:?}");
    }
}
