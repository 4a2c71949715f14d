//! Durations, times and foreign texts as people read them.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

pub(crate) use tasker_shared::words::{between, bytes, count, duration};

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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_foreign_text_cannot_command_the_terminal() {
        assert_eq!(one_line("a\x1b[2Jb\r\n\tc"), "a [2Jb c");
    }
}
