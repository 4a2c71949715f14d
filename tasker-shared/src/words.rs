//! Durations, sizes and numbers as people read them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A duration with as many digits as help: `12 ms`, `1.24 s`, `3 min 12 s`, `2 h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = |[large, small]: [u64; 2], [name, rest]: [&str; 2]| match small {
        0 => format!("{large} {name}"),
        _ => format!("{large} {name} {small} {rest}"),
    };
    match seconds {
        0 if duration.is_zero() => "0 ms".to_owned(),
        0 if duration < Duration::from_micros(50) => "< 0.1 ms".to_owned(),
        0 if duration < Duration::from_micros(9_950) => {
            decimal(&format!("{:.1}", duration.as_secs_f64() * 1e3), "ms")
        }
        0 => format!("{:.0} ms", duration.as_secs_f64() * 1e3),
        1..60 => decimal(&format!("{:.2}", duration.as_secs_f64()), "s"),
        60..3600 => units([seconds / 60, seconds % 60], ["min", "s"]),
        3600..86_400 => units([seconds / 3600, seconds / 60 % 60], ["h", "min"]),
        _ => units([seconds / 86_400, seconds / 3600 % 24], ["d", "h"]),
    }
}

/// A number without the zeros at its end.
fn decimal(digits: &str, unit: &str) -> String {
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits} {unit}")
}

/// The time from one moment to another; nothing where the second comes first.
pub fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from)
        .max(TimeDelta::zero())
        .to_std()
        .unwrap_or_default()
}

/// A number of bytes with as many digits as help: `812 bytes`, `1.4 MB`, `300 MB`.
pub fn bytes(bytes: i64) -> String {
    let (divisor, unit) = match bytes {
        ..1_000 => return format!("{bytes} bytes"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let (whole, tenth) = (bytes / divisor, bytes % divisor * 10 / divisor);
    if whole < 10 {
        format!("{whole}.{tenth} {unit}")
    } else {
        format!("{whole} {unit}")
    }
}

/// `1 step`, `2 steps`.
pub fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_written_in_the_unit_that_fits_it() {
        for (size, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_450, "1.4 kB"),
            (99_999, "99 kB"),
            (300_000_000, "300 MB"),
            (i64::MAX, "9223372036 GB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn a_duration_is_written_in_the_unit_that_fits_it() {
        for (millis, text) in [
            (0.0, "0 ms"),
            (0.02, "< 0.1 ms"),
            (0.2, "0.2 ms"),
            (9.0, "9 ms"),
            (9.96, "10 ms"),
            (12.4, "12 ms"),
            (1_240.0, "1.24 s"),
            (30_000.0, "30 s"),
            (120_000.0, "2 min"),
            (192_000.0, "3 min 12 s"),
            (7_500_000.0, "2 h 5 min"),
            (90_000_000.0, "1 d 1 h"),
        ] {
            assert_eq!(duration(Duration::from_secs_f64(millis / 1e3)), text);
        }
    }

    #[test]
    fn a_clock_that_runs_backwards_gives_no_time() {
        let at = DateTime::UNIX_EPOCH;
        assert_eq!(between(at + TimeDelta::seconds(1), at), Duration::ZERO);
    }
}
