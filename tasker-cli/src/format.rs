//! Durations, times and foreign texts as people read them.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A duration with as many digits as help: `12 ms`, `1.24 s`, `3 min 12 s`, `2 h 5 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration < Duration::from_micros(9_950) => {
            format!("{:.1} ms", duration.as_secs_f64() * 1e3)
        }
        0 => format!("{:.0} ms", duration.as_secs_f64() * 1e3),
        1..60 => format!("{:.2} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A duration in a few characters: `12ms`, `3.2s`, `3m12s`, `2h05m`, `5d3h`.
pub(crate) fn short_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// How long ago something was, in the largest unit: `12s`, `3m`, `2h`, `5d`.
pub(crate) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The time from one moment to another; nothing where the second comes first.
pub(crate) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from)
        .max(TimeDelta::zero())
        .to_std()
        .unwrap_or_default()
}

/// A moment, to the second.
pub(crate) fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A moment, to the millisecond.
pub(crate) fn precise_moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A text from elsewhere on one line, without characters that could command a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    line
}

/// JSON from elsewhere, with what could command a terminal written as an escape.
pub(crate) fn harmless(json: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() && c != '\n' {
            // Writing to a string does not fail.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

/// A number of bytes with as many digits as help: `812 bytes`, `1.4 MB`, `300 MB`.
pub(crate) fn bytes(bytes: i64) -> String {
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
pub(crate) fn count(number: usize, noun: &str) -> String {
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
            (0.2, "0.2 ms"),
            (9.96, "10 ms"),
            (12.4, "12 ms"),
            (1_240.0, "1.24 s"),
            (192_000.0, "3 min 12 s"),
            (7_500_000.0, "2 h 5 min"),
            (90_000_000.0, "1 d 1 h"),
        ] {
            assert_eq!(duration(Duration::from_secs_f64(millis / 1e3)), text);
        }
    }

    #[test]
    fn a_column_takes_durations_and_ages_in_few_characters() {
        for (seconds, took, ago) in [
            (0.012, "12ms", "0s"),
            (3.21, "3.2s", "3s"),
            (192.0, "3m12s", "3m"),
            (7_500.0, "2h05m", "2h"),
            (442_800.0, "5d3h", "5d"),
        ] {
            let duration = Duration::from_secs_f64(seconds);
            assert_eq!(short_duration(duration), took);
            assert_eq!(age(duration), ago);
        }
    }

    #[test]
    fn json_cannot_command_the_terminal() {
        assert_eq!(
            harmless("{\n\"a\": \"\u{9b}2J\"}"),
            "{\n\"a\": \"\\u009b2J\"}"
        );
    }

    #[test]
    fn a_clock_that_runs_backwards_gives_no_time() {
        let at = DateTime::UNIX_EPOCH;
        assert_eq!(between(at + TimeDelta::seconds(1), at), Duration::ZERO);
    }

    #[test]
    fn a_foreign_text_cannot_command_the_terminal() {
        assert_eq!(one_line("a\x1b[2Jb\r\n\tc"), "a [2Jb c");
    }
}
