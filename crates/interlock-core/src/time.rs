//! Instants, offsets and days.
//!
//! Every instant is milliseconds since the Unix epoch in UTC; a zone is a fixed offset, kept where a
//! term or an event was written with one (EPCIS 2.0 `eventTimeZoneOffset`, RFC 3339). This module
//! knows no clock.

use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds in a second.
pub const SECOND_MS: i64 = 1_000;
/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds in a day without leap seconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// 9999-01-01T00:00:00Z, in milliseconds since the epoch.
const DATES_END_MS: i64 = 253_370_764_800_000;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// Why a text is no instant or zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not RFC 3339 with an offset.
    #[error(
        "`{0}` is no instant; write RFC 3339 with an offset, such as `2017-06-01T00:00:00+08:00`"
    )]
    Instant(String),
    /// Not an offset such as `+08:00`.
    #[error("`{0}` is no zone offset; write `+08:00` or `Z`")]
    Zone(String),
}

impl Timestamp {
    /// The instant `ms` milliseconds after the Unix epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant moved by `ms` milliseconds, stopping at the ends of the range.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Whether it is a date that people and RFC 3339 can write in any zone: from 1970 to the end of 9998.
    pub const fn is_date(self) -> bool {
        0 <= self.0 && self.0 < DATES_END_MS
    }

    /// Milliseconds from `earlier` to this instant; negative if `earlier` is later.
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Parses RFC 3339 with an offset and keeps the offset.
    ///
    /// # Errors
    /// [`TimeError::Instant`] for anything else, a local time without offset included.
    pub fn parse_zoned(text: &str) -> Result<(Self, Zone), TimeError> {
        let bad = || TimeError::Instant(text.into());
        let instant: jiff::Timestamp = text.parse().map_err(|_| bad())?;
        let tail = text
            .get(text.find(['T', 't', ' ']).ok_or_else(bad)?..)
            .ok_or_else(bad)?;
        let zone = match tail.rfind(['+', '-']) {
            Some(at) => Zone::parse(tail.get(at..).ok_or_else(bad)?).map_err(|_| bad())?,
            None => Zone::UTC,
        };
        Ok((Self(instant.as_millisecond()), zone))
    }

    /// RFC 3339 in `zone`, with milliseconds only where there are any.
    pub fn to_rfc3339(self, zone: Zone) -> String {
        let Ok(utc) = jiff::Timestamp::from_millisecond(self.0) else {
            return self.0.to_string();
        };
        utc.display_with_offset(zone.offset()).to_string()
    }

    /// For people: `2017-06-01 00:00 (UTC+8)`.
    pub fn to_display(self, zone: Zone) -> String {
        let Ok(utc) = jiff::Timestamp::from_millisecond(self.0) else {
            return self.0.to_string();
        };
        let at = zone.offset().to_datetime(utc);
        alloc::format!(
            "{:04}-{:02}-{:02} {:02}:{:02} ({zone})",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute()
        )
    }
}

/// A fixed offset from UTC, in minutes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Zone(i16);

impl Zone {
    /// UTC itself.
    pub const UTC: Self = Self(0);
    /// China Standard Time, `+08:00`.
    pub const CHINA: Self = Self(480);

    /// Parses `+08:00`, `-05:30` or `Z`.
    ///
    /// # Errors
    /// [`TimeError::Zone`] for another form or an offset over 18 hours.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let bad = || TimeError::Zone(text.into());
        if text == "Z" || text == "z" {
            return Ok(Self::UTC);
        }
        let (sign, rest) = match text.strip_prefix('+') {
            Some(rest) => (1, rest),
            None => (-1, text.strip_prefix('-').ok_or_else(bad)?),
        };
        let (hours, minutes) = rest.split_once(':').ok_or_else(bad)?;
        if hours.len() != 2 || minutes.len() != 2 {
            return Err(bad());
        }
        let hours: i16 = hours.parse().map_err(|_| bad())?;
        let minutes: i16 = minutes.parse().map_err(|_| bad())?;
        if hours > 18 || minutes > 59 {
            return Err(bad());
        }
        Ok(Self(sign * (hours * 60 + minutes)))
    }

    /// Minutes east of UTC.
    pub const fn minutes(self) -> i16 {
        self.0
    }

    /// The number of the day, counted from 1970-01-01 in this zone, in which `at` lies.
    pub const fn day_of(self, at: Timestamp) -> i64 {
        at.0.saturating_add(self.0 as i64 * MINUTE_MS)
            .div_euclid(DAY_MS)
    }

    /// The first instant of the day with the number `day` in this zone.
    pub const fn day_start(self, day: i64) -> Timestamp {
        Timestamp(
            day.saturating_mul(DAY_MS)
                .saturating_sub(self.0 as i64 * MINUTE_MS),
        )
    }

    /// `+08:00`, as RFC 3339 and EPCIS write it.
    pub fn to_offset_string(self) -> String {
        let minutes = self.0.unsigned_abs();
        let sign = if self.0 < 0 { '-' } else { '+' };
        alloc::format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }

    fn offset(self) -> jiff::tz::Offset {
        jiff::tz::Offset::from_seconds(i32::from(self.0) * 60).unwrap_or(jiff::tz::Offset::UTC)
    }
}

/// `UTC`, `UTC+8` or `UTC+5:30`.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.unsigned_abs();
        f.write_str("UTC")?;
        if minutes == 0 {
            return Ok(());
        }
        write!(f, "{}{}", if self.0 < 0 { '-' } else { '+' }, minutes / 60)?;
        if !minutes.is_multiple_of(60) {
            write!(f, ":{:02}", minutes % 60)?;
        }
        Ok(())
    }
}

/// What a clock knows: the true time lies between `earliest` and `latest`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockInterval {
    /// No earlier than this.
    pub earliest: Timestamp,
    /// No later than this.
    pub latest: Timestamp,
}

impl ClockInterval {
    /// The interval of a clock that is exact.
    pub const fn exact(at: Timestamp) -> Self {
        Self {
            earliest: at,
            latest: at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnight_keeps_its_zone() {
        let (at, zone) = Timestamp::parse_zoned("2017-06-01T00:00:00+08:00").unwrap();
        assert_eq!(at.as_millis(), 1_496_246_400_000);
        assert_eq!(zone, Zone::CHINA);
        assert_eq!(at.to_rfc3339(zone), "2017-06-01T00:00:00+08:00");
        assert_eq!(at.to_display(zone), "2017-06-01 00:00 (UTC+8)");
        assert_eq!(zone.day_start(zone.day_of(at)), at);
        assert_eq!(zone.day_of(at.plus_ms(-1)), zone.day_of(at) - 1);
    }

    #[test]
    fn a_local_time_is_refused() {
        for text in [
            "2017-06-01T00:00:00",
            "2017-06-01",
            "",
            "2017-06-01T25:00:00Z",
            "+08:00",
        ] {
            assert!(Timestamp::parse_zoned(text).is_err(), "{text}");
        }
    }
}
