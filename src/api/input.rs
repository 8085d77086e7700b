//! Words for what a person does with keyboard and pointer.

use serde::{Deserialize, Serialize};

/// A pointer's button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Button {
    /// The primary one.
    Left,
    /// The wheel, pressed.
    Middle,
    /// The secondary one.
    Right,
    /// Back.
    Side,
    /// Forward.
    Extra,
}

/// A wheel's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Up and down.
    Vertical,
    /// Left and right.
    Horizontal,
}
