//! The size of a screen, as in `1280x800`.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::problem::Problem;

/// A screen's size, as in `1280x800`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resolution {
    /// Pixels, a multiple of 8.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

impl Default for Resolution {
    fn default() -> Self {
        Self { width: 1280, height: 800 }
    }
}

impl Resolution {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// MiB of video memory that its picture wants.
    pub fn video_memory(self) -> u32 {
        (self.width * self.height * 4).div_ceil(1 << 20).next_power_of_two()
    }
}

impl std::fmt::Display for Resolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl std::str::FromStr for Resolution {
    type Err = Problem;
    fn from_str(text: &str) -> Result<Self, Problem> {
        let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
        let good = |(width, height): &(u32, u32)| {
            limits::SCREEN.contains(width) && limits::SCREEN.contains(height) && width.is_multiple_of(8)
        };
        let sides = sides.filter(good).ok_or_else(|| Problem::Resolution(text.to_owned()))?;
        Ok(Self { width: sides.0, height: sides.1 })
    }
}

impl TryFrom<String> for Resolution {
    type Error = Problem;
    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<Resolution> for String {
    fn from(resolution: Resolution) -> Self {
        resolution.to_string()
    }
}
