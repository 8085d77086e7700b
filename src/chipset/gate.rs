//! A gate in an interrupt line, which another device shuts: the PC's clock chip has one that the HPET's legacy replacement
//! holds shut (IA-PC HPET Specification 1.0a, "LegacyReplacement Route").

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use device::{IrqLine, LineSink};

struct Levels {
    high: bool,
    open: bool,
}

struct Shared {
    levels: Mutex<Levels>,
    out: IrqLine,
}

/// A gate, open at first. Clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<Shared>);

impl Gate {
    /// A gate before `out`, and the line in front of it.
    pub fn new(out: IrqLine) -> (IrqLine, Self) {
        let gate = Self(Arc::new(Shared { levels: Mutex::new(Levels { high: false, open: true }), out }));
        (IrqLine::new(Box::new(gate.clone())), gate)
    }

    /// Opens or shuts the gate. What stands in front of an opened gate passes.
    pub fn set_open(&self, open: bool) {
        let mut levels = self.levels();
        levels.open = open;
        self.0.out.set(levels.high && open);
    }

    fn levels(&self) -> MutexGuard<'_, Levels> {
        self.0.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LineSink for Gate {
    fn set_level(&self, high: bool) {
        let mut levels = self.levels();
        levels.high = high;
        self.0.out.set(high && levels.open);
    }
}

#[cfg(test)]
mod tests {
    use device::bench::Bench;

    use super::*;

    #[test]
    fn passes_levels_while_open() {
        let bench = Bench::new(0x1000);
        let (line, gate) = Gate::new(bench.line.clone());
        line.pulse();
        gate.set_open(false);
        line.pulse();
        line.set(true);
        assert_eq!(bench.levels.take(), [true, false]);
        gate.set_open(true);
        gate.set_open(false);
        line.set(false);
        gate.set_open(true);
        assert_eq!(bench.levels.take(), [true, false]);
    }
}
