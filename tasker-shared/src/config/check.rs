//! How values are read that have bounds or a form, each function for the keys that name it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::namespace;

/// Reads a value and refuses it for the reason that `check` gives. Passwords in it are masked.
pub(super) fn checked<'de, D, T>(
    deserializer: D,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Serialize,
{
    let value = T::deserialize(deserializer)?;
    let Err(reason) = check(&value) else {
        return Ok(value);
    };
    let written = toml::Value::try_from(value).map_err(D::Error::custom)?;
    Err(D::Error::custom(format!("{written} is refused: {reason}")))
}

/// `Err` with the expectation where a value does not meet it.
pub(super) fn expect(is_met: bool, expected: &str) -> Result<(), String> {
    if is_met {
        return Ok(());
    }
    Err(expected.to_owned())
}

/// A whole number from `MIN` to `MAX`.
pub(super) fn within<'de, D, T, const MIN: i64, const MAX: i64>(
    deserializer: D,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Serialize + Copy + TryInto<i64>,
{
    checked(deserializer, |number: &T| {
        let number = (*number).try_into().unwrap_or(i64::MAX);
        expect(number >= MIN, &format!("lower than {MIN}"))?;
        expect(number <= MAX, &format!("greater than {MAX}"))
    })
}

/// Messages in a channel.
pub(super) fn buffer_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within::<_, _, 1, 1_000_000>(deserializer)
}

/// Bytes in a channel, up to 4 GiB. Below the least nearly every message would pass alone.
pub(super) fn buffer_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within::<_, _, 1024, 4_294_967_295>(deserializer)
}

/// A duration that is written as a whole number of units, each of `UNIT_MS` milliseconds.
pub(super) struct Whole<const UNIT_MS: u64, const MIN: i64, const MAX: i64>;

/// A duration that is written in whole milliseconds.
pub(super) type Millis<const MIN: i64, const MAX: i64> = Whole<1, MIN, MAX>;

/// A duration that is written in whole seconds.
pub(super) type WholeSeconds<const MIN: i64, const MAX: i64> = Whole<1000, MIN, MAX>;

/// A duration that is written in seconds and fractions; its bounds are in milliseconds.
pub(super) struct Seconds<const MIN_MS: u64, const MAX_MS: u64>;

impl<const UNIT_MS: u64, const MIN: i64, const MAX: i64> Whole<UNIT_MS, MIN, MAX> {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let units: u64 = within::<_, _, MIN, MAX>(deserializer)?;
        Ok(Duration::from_millis(units * UNIT_MS))
    }

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let units = duration.as_millis() / u128::from(UNIT_MS);
        serializer.serialize_u64(u64::try_from(units).unwrap_or(u64::MAX))
    }
}

impl<const MIN_MS: u64, const MAX_MS: u64> Seconds<MIN_MS, MAX_MS> {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let [min, max] = [MIN_MS, MAX_MS].map(|ms| Duration::from_millis(ms).as_secs_f64());
        let seconds = checked(deserializer, |seconds: &f64| {
            let expected = format!("expected seconds from {min} to {max}");
            expect((min..=max).contains(seconds), &expected)
        })?;
        Ok(Duration::from_secs_f64(seconds))
    }

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }
}

/// A part of a whole: above 0, at most 1.
pub(super) fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |part| {
        let is_part = *part > 0.0 && *part <= 1.0;
        expect(is_part, "expected a number above 0 and at most 1")
    })
}

/// The name of a process, or nothing.
pub(super) fn instance_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, |name: &String| {
        expect(name.len() <= 200, "length is greater than 200")
    })
}

/// Names that a namespace can have.
pub(super) fn namespaces<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    checked(deserializer, |names: &Vec<String>| {
        names.iter().try_for_each(|name| namespace::check(name))
    })
}
