//! Calendar dates, and dates of which only the year or month is known.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A day, written `2026-02-17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(jiff::civil::Date);

/// A text that is no date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a date; write {expected}")]
pub struct DateError {
    text: String,
    expected: &'static str,
}

impl Date {
    /// A day of the calendar.
    ///
    /// # Errors
    /// When there is no such day.
    pub fn new(year: i16, month: i8, day: i8) -> Result<Self, DateError> {
        jiff::civil::Date::new(year, month, day).map(Self).map_err(|_| DateError {
            text: format!("{year}-{month}-{day}"),
            expected: "an existing day",
        })
    }

    /// Days from `earlier` to this day; negative when this day is before it.
    pub fn days_since(self, earlier: Self) -> i32 {
        // Civil days are whole and within jiff's range, so `until` in days cannot fail.
        (self.0 - earlier.0).get_days()
    }

    /// The day so many days later; `None` beyond the calendar.
    pub fn plus_days(self, days: i32) -> Option<Self> {
        self.0.checked_add(jiff::Span::new().try_days(days).ok()?).ok().map(Self)
    }

    /// The year.
    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// The month, 1 to 12.
    pub fn month(self) -> i8 {
        self.0.month()
    }
}

impl From<jiff::civil::Date> for Date {
    fn from(date: jiff::civil::Date) -> Self {
        Self(date)
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let error = || DateError { text: text.to_owned(), expected: "YYYY-MM-DD" };
        match text.parse::<PartialDate>() {
            Ok(PartialDate::Day(date)) => Ok(date),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

/// A date as precise as its source: `2026`, `2026-02` or `2026-02-17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartialDate {
    /// Only the year is known.
    Year(i16),
    /// Only year and month are known.
    Month(i16, i8),
    /// The day is known.
    Day(Date),
}

impl PartialDate {
    /// The first day it can mean.
    pub fn earliest(self) -> Date {
        match self {
            Self::Year(year) => Date(jiff::civil::Date::constant(year, 1, 1)),
            Self::Month(year, month) => Date(jiff::civil::Date::constant(year, month, 1)),
            Self::Day(date) => date,
        }
    }

    /// The last day it can mean.
    pub fn latest(self) -> Date {
        match self {
            Self::Year(year) => Date(jiff::civil::Date::constant(year, 12, 31)),
            Self::Month(..) => Date(self.earliest().0.last_of_month()),
            Self::Day(date) => date,
        }
    }
}

impl FromStr for PartialDate {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let error = || DateError { text: text.to_owned(), expected: "YYYY-MM-DD, YYYY-MM or YYYY" };
        // Fixed widths keep `2026-2-3` and `+2026` out.
        let number = |part: &str, width: usize| {
            (part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse::<i16>().ok())
                .flatten()
        };
        let parts: Vec<&str> = text.split('-').collect();
        let year = number(parts[0], 4).filter(|year| *year > 0).ok_or_else(error)?;
        let small = |part: &str| number(part, 2).and_then(|value| i8::try_from(value).ok());
        match parts[1..] {
            [] => Ok(Self::Year(year)),
            [month] => {
                let month = small(month).filter(|m| (1..=12).contains(m)).ok_or_else(error)?;
                Ok(Self::Month(year, month))
            }
            [month, day] => {
                let (month, day) = (small(month).ok_or_else(error)?, small(day).ok_or_else(error)?);
                Date::new(year, month, day).map(Self::Day).map_err(|_| error())
            }
            _ => Err(error()),
        }
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Year(year) => f.pad(&format!("{year:04}")),
            Self::Month(year, month) => f.pad(&format!("{year:04}-{month:02}")),
            Self::Day(date) => date.fmt(f),
        }
    }
}

macro_rules! as_text {
    ($name:ident, $pattern:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

as_text!(Date, r"^\d{4}-\d{2}-\d{2}$");
as_text!(PartialDate, r"^\d{4}(-\d{2}(-\d{2})?)?$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_spans_its_days() {
        let february: PartialDate = "2026-02".parse().unwrap();
        assert_eq!(february.earliest().to_string(), "2026-02-01");
        assert_eq!(february.latest().to_string(), "2026-02-28");
    }

    #[test]
    fn what_is_no_date_is_refused_with_the_expected_form() {
        let said: Vec<String> = ["2026-2-3", "2026-13", "2026-02-30", "yesterday", "", "02/2026"]
            .iter()
            .map(|text| text.parse::<PartialDate>().unwrap_err().to_string())
            .collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        `2026-2-3` is not a date; write YYYY-MM-DD, YYYY-MM or YYYY
        `2026-13` is not a date; write YYYY-MM-DD, YYYY-MM or YYYY
        `2026-02-30` is not a date; write YYYY-MM-DD, YYYY-MM or YYYY
        `yesterday` is not a date; write YYYY-MM-DD, YYYY-MM or YYYY
        `` is not a date; write YYYY-MM-DD, YYYY-MM or YYYY
        `02/2026` is not a date; write YYYY-MM-DD, YYYY-MM or YYYY
        ");
    }

    #[test]
    fn days_between_dates_count_across_months() {
        let (from, to): (Date, Date) =
            ("2026-02-17".parse().unwrap(), "2026-11-21".parse().unwrap());
        assert_eq!(to.days_since(from), 277);
        assert_eq!(from.days_since(to), -277);
    }
}
