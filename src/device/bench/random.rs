//! Numbers without end, the same for the same seed: what tests make noise of.

use serde_json::Value;

use crate::Size;

/// A generator (xorshift64).
pub struct Random(u64);

impl Random {
    /// The numbers of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1)
    }

    /// Any number.
    #[expect(clippy::should_implement_trait, reason = "there is no end to iterate to")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    /// A number of less than `bits` bits, small ones as often as large ones.
    pub fn near(&mut self, bits: u64) -> u64 {
        let width = self.below(bits);
        self.below(1 << width)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of `items`, which are not none.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// A number such as registers and fields break at: small, all ones, a power of two, next to one of these, or any.
    pub fn value(&mut self) -> u64 {
        match self.below(6) {
            0 => self.below(16),
            1 => u64::MAX >> self.below(64),
            2 => 1 << self.below(64),
            3 => (1 << self.below(64)) - 1,
            4 => (u64::MAX >> self.below(64)).wrapping_sub(self.below(8)),
            _ => self.next() >> self.below(64),
        }
    }

    /// A width of accesses.
    pub fn size(&mut self) -> Size {
        self.pick(&[Size::Byte, Size::Word, Size::Dword, Size::Qword])
    }

    /// Makes one thing different somewhere in `value`: what a hostile saved state does to the fields of a good one.
    pub fn twist(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) if !items.is_empty() && !self.once_in(6) => {
                let at = self.below(items.len() as u64) as usize;
                self.twist(&mut items[at]);
            }
            Value::Array(items) => match (items.last().cloned(), self.below(3)) {
                (Some(_), 0) => drop(items.pop()),
                (Some(last), 1) => items.extend(std::iter::repeat_n(last, 1 + self.below(64) as usize)),
                (_, _) => items.push(self.value().into()),
            },
            Value::Object(fields) if !fields.is_empty() => {
                let at = self.below(fields.len() as u64) as usize;
                if let Some(field) = fields.values_mut().nth(at) {
                    self.twist(field);
                }
            }
            Value::Bool(on) => *on = !*on,
            // Widths of fields differ: narrow ones would hardly ever be hit by any number.
            Value::Number(_) => {
                let bits = self.pick(&[8, 8, 16, 32, 64]);
                *value = (self.value() & (u64::MAX >> (64 - bits))).into();
            }
            Value::Null => *value = self.value().into(),
            Value::String(_) | Value::Object(_) => *value = Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn twisting_changes_and_ends() {
        let good = json!({ "a": [1, 2, 3], "b": null, "c": { "d": true, "e": "f" }, "g": [] });
        let mut random = Random::new(1);
        let mut changed = 0;
        for _ in 0..1000 {
            let mut bad = good.clone();
            random.twist(&mut bad);
            changed += usize::from(bad != good);
        }
        assert!(changed > 900);
    }
}
