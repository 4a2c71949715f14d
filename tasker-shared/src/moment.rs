//! Moments as people write them: so long ago, a date, or a date with a time.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

/// What is expected, for the error about anything else.
const EXPECTED: &str = "expected how long ago (90s, 30m, 2h, 3d, 1w), a date (2030-05-01) or a time \
     (2030-05-01T12:00:00Z)";

/// The moment that a text names, as seen from `now`.
///
/// # Errors
/// What would have been understood.
pub fn parse(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, &'static str> {
    ago(text)
        .and_then(|ago| now.checked_sub_signed(ago))
        .or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()))
        .or_else(|| {
            let date: NaiveDate = text.parse().ok()?;
            Some(date.and_time(NaiveTime::MIN).and_utc())
        })
        .ok_or(EXPECTED)
}

/// A number and its unit.
fn ago(text: &str) -> Option<TimeDelta> {
    let unit = text.chars().next_back()?;
    let number = &text[..text.len() - unit.len_utf8()];
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = number.parse().ok()?;
    match unit {
        's' => TimeDelta::try_seconds(number),
        'm' => TimeDelta::try_minutes(number),
        'h' => TimeDelta::try_hours(number),
        'd' => TimeDelta::try_days(number),
        'w' => TimeDelta::try_weeks(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_so_long_ago_a_date_or_a_time() {
        let now: DateTime<Utc> = "2030-05-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("90s", "2030-05-01T11:58:30Z"),
            ("30m", "2030-05-01T11:30:00Z"),
            ("2h", "2030-05-01T10:00:00Z"),
            ("3d", "2030-04-28T12:00:00Z"),
            ("1w", "2030-04-24T12:00:00Z"),
            ("2030-04-30", "2030-04-30T00:00:00Z"),
            ("2030-04-30T08:00:00+02:00", "2030-04-30T06:00:00Z"),
        ] {
            let expected: DateTime<Utc> = expected.parse().unwrap();
            assert_eq!(parse(text, now), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_answered_with_what_is_expected() {
        for text in [
            "",
            "h",
            "2",
            "-2h",
            "+2h",
            "2 h",
            "2y",
            "yesterday",
            "2030-13-01",
            "99999999999999999h",
            "2030-05-01T12:00",
            "é",
        ] {
            assert_eq!(parse(text, Utc::now()), Err(EXPECTED), "{text}");
        }
    }
}
