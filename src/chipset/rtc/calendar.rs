//! Civil time in the proleptic Gregorian calendar, and how the clock chip's registers write it.

/// The first second of year 0, counted from 1970.
const FIRST: i64 = -62_167_219_200;
/// The last second of year 9999.
const LAST: i64 = 253_402_300_799;
const SECONDS_A_DAY: i64 = 86_400;

/// How the registers write numbers and hours: bits DM and 24/12 of register B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// Binary rather than binary-coded decimal.
    pub(super) binary: bool,
    /// Hours 0..=23 rather than 1..=12 with bit 7 for the afternoon.
    pub(super) hours_24: bool,
}

impl Format {
    /// `number` (0..=99) as the registers write it.
    pub(super) fn number(self, number: u8) -> u8 {
        if self.binary { number } else { ((number / 10) << 4) | (number % 10) }
    }

    /// What the registers mean by `byte`. Digits above 9 count as the chip's adders would count them.
    pub(super) fn read_number(self, byte: u8) -> u8 {
        if self.binary { byte } else { (byte >> 4) * 10 + (byte & 15) }
    }

    /// `hour` (0..=23) as the registers write it.
    pub(super) fn hour(self, hour: u8) -> u8 {
        match (self.hours_24, hour) {
            (true, _) => self.number(hour),
            (false, 0..12) => self.number((hour + 11) % 12 + 1),
            (false, _) => self.number((hour + 11) % 12 + 1) | 0x80,
        }
    }

    /// What the hour register means by `byte`.
    pub(super) fn read_hour(self, byte: u8) -> u8 {
        if self.hours_24 {
            return self.read_number(byte);
        }
        self.read_number(byte & 0x7f) % 12 + if byte & 0x80 != 0 { 12 } else { 0 }
    }
}

/// A moment of civil time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: u16,
    /// 1..=12
    pub(super) month: u8,
    /// 1..=31
    pub(super) day: u8,
    /// 1 is Sunday.
    pub(super) weekday: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
}

/// `seconds` moved into the years that the registers can write, 0 to 9999.
pub(super) fn clamp(seconds: i64) -> i64 {
    seconds.clamp(FIRST, LAST)
}

impl Date {
    /// The date `seconds` after the start of 1970, by the calendar of the clock's own time zone.
    pub(super) fn at(seconds: i64) -> Self {
        let seconds = clamp(seconds);
        let (days, second) = (seconds.div_euclid(SECONDS_A_DAY), seconds.rem_euclid(SECONDS_A_DAY));
        // Years are counted from March, so that the leap day is the last one; 400 years repeat exactly.
        let since_era = days + 719_468;
        let (era, day) = (since_era.div_euclid(146_097), since_era.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        Self {
            year: (era * 400 + year + next) as u16,
            month: month as u8,
            day: day as u8,
            weekday: ((days + 4).rem_euclid(7) + 1) as u8,
            hour: (second / 3600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
        }
    }

    /// Seconds from the start of 1970. Parts outside of their range carry over, as 31 April does into May; the weekday says
    /// nothing.
    pub(super) fn seconds(&self) -> i64 {
        let months = i64::from(self.year) * 12 + i64::from(self.month) - 1;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        let day = of_era * 365 + of_era / 4 - of_era / 100 + day;
        let days = era * 146_097 + day - 719_468;
        let time = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        clamp(days * SECONDS_A_DAY + time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        let date = |year, month, day, weekday| Date { year, month, day, weekday, hour: 0, minute: 0, second: 0 };
        for (days, date) in [
            (0, date(1970, 1, 1, 5)),
            (-1, date(1969, 12, 31, 4)),
            (11_016, date(2000, 2, 29, 3)),
            (11_017, date(2000, 3, 1, 4)),
            (47_540, date(2100, 2, 28, 1)),
            (47_541, date(2100, 3, 1, 2)),
        ] {
            assert_eq!(Date::at(days * SECONDS_A_DAY), date);
            assert_eq!(date.seconds(), days * SECONDS_A_DAY);
        }
    }

    #[test]
    fn every_day_of_the_range_comes_back() {
        for seconds in (FIRST..=LAST).step_by(SECONDS_A_DAY as usize * 13 + 4321) {
            assert_eq!(Date::at(seconds).seconds(), seconds);
        }
        assert_eq!((Date::at(i64::MIN).year, Date::at(i64::MAX).year), (0, 9999));
    }

    #[test]
    fn formats() {
        for (binary, hours_24) in [(false, false), (false, true), (true, false), (true, true)] {
            let format = Format { binary, hours_24 };
            for hour in 0..24 {
                assert_eq!(format.read_hour(format.hour(hour)), hour);
            }
            for number in 0..100 {
                assert_eq!(format.read_number(format.number(number)), number);
            }
        }
        let bcd12 = Format { binary: false, hours_24: false };
        assert_eq!([0, 1, 12, 23].map(|hour| bcd12.hour(hour)), [0x12, 0x01, 0x92, 0x91]);
    }
}
