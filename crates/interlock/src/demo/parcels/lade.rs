//! Parcels from a file in the format of LaDe's pick-up part (Wu et al. 2023).
//!
//! INVARIANT: a file is taken whole or refused at its first bad line, with line, column and remedy.
//! The source withholds the year: [`LADE_YEAR`] is assumed, in China Standard Time, and whoever
//! shows these parcels says so. The area of interest is checked for being there and not used.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use interlock_core::time::Timestamp;

use super::{DemoParcel, ORDER_ID_MAX, PARCELS_MAX, ParcelsError, Record, complete};

/// The year that is assumed for all times, which are written without one.
pub const LADE_YEAR: u16 = 2017;

/// Largest file that is read: [`PARCELS_MAX`] lines of the format and more.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

const COLUMNS: [&str; 11] = [
    "order_id",
    "city",
    "courier_id",
    "accept_time",
    "time_window_start",
    "time_window_end",
    "lng",
    "lat",
    "aoi_id",
    "aoi_type",
    "pickup_time",
];

/// Reads the parcels in the file at `path`, ordered by acceptance.
///
/// # Errors
/// [`ParcelsError::Read`] if it cannot be read, is not UTF-8 or is over 256 MiB, else those of [`parse_lade`].
pub fn read_lade(path: &Path, seed: u64) -> Result<Vec<DemoParcel>, ParcelsError> {
    let text = read_bounded(path).map_err(|source| ParcelsError::Read {
        path: path.display().to_string(),
        source,
    })?;
    parse_lade(&text, seed)
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("larger than 256 MiB"));
    }
    Ok(text)
}

/// Parses the parcels in `text`, ordered by acceptance. `seed` decides what the format does not
/// say, order by order.
///
/// # Errors
/// [`ParcelsError`] for the first line that is not of the format, a repeated order, times that run
/// backwards, no parcels or more than [`PARCELS_MAX`].
pub fn parse_lade(text: &str, seed: u64) -> Result<Vec<DemoParcel>, ParcelsError> {
    let mut lines = text.lines().zip(1..);
    let header = lines.next().map(|(line, _)| line);
    if header != Some(COLUMNS.join(",").as_str()) {
        return Err(ParcelsError::Header {
            expected: COLUMNS.join(","),
        });
    }
    let mut records = Vec::new();
    let mut orders = HashSet::new();
    for (line, number) in lines.filter(|(line, _)| !line.is_empty()) {
        if records.len() == PARCELS_MAX {
            return Err(ParcelsError::TooMany {
                count: PARCELS_MAX + 1,
            });
        }
        let row = Row::split(line, number)?;
        let record = record(&row)?;
        if !orders.insert(record.order_id) {
            let [order_id, ..] = row.cells;
            return Err(order_id.refuse("an order stands in one line only; remove this one"));
        }
        records.push(record);
    }
    complete(records, seed)
}

struct Row<'a> {
    cells: [Cell<'a>; COLUMNS.len()],
}

#[derive(Clone, Copy)]
struct Cell<'a> {
    line: usize,
    column: &'static str,
    value: &'a str,
}

impl<'a> Row<'a> {
    fn split(text: &'a str, line: usize) -> Result<Self, ParcelsError> {
        let values: Vec<&str> = text.split(',').collect();
        let values: [&str; COLUMNS.len()] =
            values
                .try_into()
                .map_err(|values: Vec<&str>| ParcelsError::Columns {
                    line,
                    count: values.len(),
                    expected: COLUMNS.len(),
                })?;
        let mut columns = COLUMNS.into_iter();
        let cells = values.map(|value| Cell {
            line,
            column: columns.next().unwrap_or_default(),
            value,
        });
        Ok(Self { cells })
    }
}

impl Cell<'_> {
    fn refuse(self, remedy: &'static str) -> ParcelsError {
        ParcelsError::Value {
            line: self.line,
            column: self.column,
            value: self.value.chars().take(64).collect(),
            remedy,
        }
    }

    fn number<T: FromStr>(self, remedy: &'static str) -> Result<T, ParcelsError> {
        // The standard parser takes a sign; this format has none.
        if !self.value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(self.refuse(remedy));
        }
        self.value.parse().map_err(|_| self.refuse(remedy))
    }

    /// `MM-DD HH:MM:SS` in China Standard Time.
    fn time(self) -> Result<Timestamp, ParcelsError> {
        let refuse = || self.refuse("write `MM-DD HH:MM:SS`, such as `06-01 09:30:00`");
        let (day, time) = self.value.split_once(' ').ok_or_else(refuse)?;
        if day.len() != 5 || time.len() != 8 {
            return Err(refuse());
        }
        Timestamp::parse_zoned(&format!("{LADE_YEAR}-{day}T{time}+08:00"))
            .map(|(at, _)| at)
            .map_err(|_| refuse())
    }

    /// Millionths of a degree.
    fn degrees(self, limit: f64) -> Result<i32, ParcelsError> {
        let refuse = || self.refuse("write degrees as a decimal number, such as `106.46857`");
        let degrees: f64 = self.value.parse().map_err(|_| refuse())?;
        if !(-limit..=limit).contains(&degrees) {
            return Err(refuse());
        }
        // At most 180 million in size, so the conversion is exact after rounding.
        Ok((degrees * 1e6).round() as i32)
    }
}

fn record(row: &Row<'_>) -> Result<Record, ParcelsError> {
    let [
        order_id,
        city,
        courier_id,
        accept_time,
        window_start,
        window_end,
        lng,
        lat,
        aoi_id,
        aoi_type,
        pickup_time,
    ] = row.cells;
    let record = Record {
        order_id: order_id.number("write a number of at most 12 digits")?,
        city: city.value.into(),
        courier_number: courier_id.number("write a number of at most 9 digits")?,
        accepted_at: accept_time.time()?,
        window_start: window_start.time()?,
        window_end: window_end.time()?,
        picked_up_at: pickup_time.time()?,
        overnight: false,
        lng_micro: lng.degrees(180.0)?,
        lat_micro: lat.degrees(90.0)?,
    };
    aoi_id.number::<u64>("write the number of an area of interest")?;
    aoi_type.number::<u64>("write the number of a kind of area")?;
    if record.order_id > ORDER_ID_MAX {
        return Err(order_id.refuse("write a number of at most 12 digits"));
    }
    if city.value.trim().is_empty() || city.value.len() > 64 {
        return Err(city.refuse("write the name of a city, at most 64 bytes"));
    }
    if record.window_end < record.window_start {
        return Err(window_end.refuse("write a time not before `time_window_start`"));
    }
    if record.picked_up_at < record.accepted_at {
        return Err(pickup_time.refuse("write a time not before `accept_time`"));
    }
    Ok(record)
}
