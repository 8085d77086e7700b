//! The palette: 256 colours behind ports 3C6 to 3C9.

use serde::{Deserialize, Serialize};

/// The digital to analogue converter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dac {
    mask: u8,
    read_index: u8,
    write_index: u8,
    /// Which of the three components comes next.
    component: u8,
    /// The read index was the last one set.
    reading: bool,
    /// Components of the colour being written.
    pending: [u8; 3],
    colors: [[u8; 3]; 256],
}

/// Saved palette.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DacState {
    mask: u8,
    read_index: u8,
    write_index: u8,
    component: u8,
    reading: bool,
    pending: [u8; 3],
    colors: Vec<[u8; 3]>,
}

impl Default for Dac {
    fn default() -> Self {
        Self {
            mask: 0xff,
            read_index: 0,
            write_index: 0,
            component: 0,
            reading: false,
            pending: [0; 3],
            colors: [[0; 3]; 256],
        }
    }
}

impl Dac {
    /// A guest's read of port 3C6 + `port`.
    pub(super) fn read(&mut self, port: u8) -> u8 {
        match port {
            0 => self.mask,
            1 if self.reading => 3,
            1 => 0,
            2 => self.write_index,
            _ => {
                let value = self.colors[usize::from(self.read_index)][usize::from(self.component)];
                if self.advance() {
                    self.read_index = self.read_index.wrapping_add(1);
                }
                value
            }
        }
    }

    /// A guest's write to port 3C6 + `port`.
    pub(super) fn write(&mut self, port: u8, value: u8) {
        match port {
            0 => self.mask = value,
            1 => (self.read_index, self.component, self.reading) = (value, 0, true),
            2 => (self.write_index, self.component, self.reading) = (value, 0, false),
            _ => {
                self.pending[usize::from(self.component)] = value;
                if self.advance() {
                    self.colors[usize::from(self.write_index)] = self.pending;
                    self.write_index = self.write_index.wrapping_add(1);
                }
            }
        }
    }

    /// To the next component; true after the third.
    fn advance(&mut self) -> bool {
        self.component = (self.component + 1) % 3;
        self.component == 0
    }

    /// The colour of every pixel value, as 0x00RRGGBB. Components have eight bits or, as IBM's, six.
    pub(super) fn colors(&self, eight_bits: bool) -> [u32; 256] {
        let widen = |component: u8| match eight_bits {
            true => component,
            false => (component & 0x3f) << 2 | component >> 4 & 3,
        };
        std::array::from_fn(|pixel| {
            let [red, green, blue] = self.colors[pixel & usize::from(self.mask)].map(widen);
            u32::from_be_bytes([0, red, green, blue])
        })
    }

    pub(super) fn save(&self) -> DacState {
        let Self { mask, read_index, write_index, component, reading, pending, colors } = self.clone();
        DacState { mask, read_index, write_index, component, reading, pending, colors: colors.to_vec() }
    }

    /// `None` when the state is impossible.
    pub(super) fn restored(saved: DacState) -> Option<Self> {
        let DacState { mask, read_index, write_index, component, reading, pending, colors } = saved;
        let colors = colors.try_into().ok()?;
        (component < 3).then_some(Self { mask, read_index, write_index, component, reading, pending, colors })
    }
}
