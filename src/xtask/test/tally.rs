//! Counting: what a test executable printed, and the sum of everything.

/// What passed, failed, and was skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// One check that is no test executable.
    pub(crate) fn check(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), skipped: 0 }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Reads the output of Rust's test harness as it comes.
///
/// A test that cannot do its work on this machine prints a line `skipped: REASON` and returns. The harness has no
/// such notion and counts it as passed; this takes it out again.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    results: Option<Tally>,
    skipped: u64,
}

/// Longer lines are of no interest here and are not kept.
const LONGEST_LINE: usize = 4096;

impl Reader {
    /// Takes more output.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.whole_line(&String::from_utf8_lossy(&line));
            } else if self.line.len() < LONGEST_LINE {
                self.line.push(byte);
            }
        }
    }

    fn whole_line(&mut self, line: &str) {
        if let Some(result) = parse_result(line) {
            *self.results.get_or_insert_default() += result;
        } else if is_skip(line) {
            self.skipped += 1;
        }
    }

    /// The count. `succeeded` is the executable's exit status: one that failed without saying what counts as one
    /// failure, because it crashed, or never got to its end.
    pub(crate) fn finish(mut self, succeeded: bool) -> Tally {
        self.feed(b"\n");
        let mut tally = self.results.unwrap_or_default();
        let moved = self.skipped.min(tally.passed);
        tally.passed -= moved;
        tally.skipped += moved;
        if !succeeded && tally.failed == 0 {
            tally.failed = 1;
        }
        tally
    }
}

/// `test result: ok. 8 passed; 0 failed; 1 ignored; …`
fn parse_result(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut tally = Tally::default();
    for count in counts.split(';') {
        let mut words = count.split_whitespace();
        let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match what {
            "passed" => tally.passed = number,
            "failed" => tally.failed = number,
            "ignored" => tally.skipped = number,
            _ => {}
        }
    }
    Some(tally)
}

/// With `--nocapture` on one thread the harness has begun the line: `test name ... skipped: no display`.
fn is_skip(line: &str) -> bool {
    let rest = match line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
        Some((_, rest)) => rest,
        None => line,
    };
    rest.starts_with("skipped: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str, succeeded: bool) -> Tally {
        let mut reader = Reader::default();
        for piece in output.as_bytes().chunks(3) {
            reader.feed(piece);
        }
        reader.finish(succeeded)
    }

    #[test]
    fn results_add_up() {
        let output = "running 2 tests\ntest a ... ok\n\n\
            test result: ok. 8 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s";
        assert_eq!(read(output, false), Tally { passed: 10, failed: 3, skipped: 1 });
    }

    #[test]
    fn skipped_tests_did_not_pass() {
        let output = "test a ... skipped: no display\nok\nskipped: no sound\ntest b ... ok\ntest c ... ok\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        assert_eq!(read(output, true), Tally { passed: 1, failed: 0, skipped: 2 });
    }

    #[test]
    fn a_crash_is_a_failure() {
        assert_eq!(read("running 2 tests\ntest a ... ok\n", false), Tally { passed: 0, failed: 1, skipped: 0 });
        assert_eq!(read("", true), Tally::default());
    }

    #[test]
    fn the_sum_reads_as_one_line() {
        let mut sum = Tally::check(true);
        sum += Tally::check(false);
        sum += Tally { passed: 3, failed: 0, skipped: 2 };
        assert_eq!(sum.to_string(), "4 passed, 1 failed, 2 skipped");
    }
}
