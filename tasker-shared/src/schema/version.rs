//! Versions of builds, as far as they say which build is the newer one.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// A version as `MAJOR.MINOR.PATCH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; 3]);

impl Version {
    /// The version of this build.
    pub(super) fn of_this_build() -> Self {
        Self(
            [
                env!("CARGO_PKG_VERSION_MAJOR"),
                env!("CARGO_PKG_VERSION_MINOR"),
                env!("CARGO_PKG_VERSION_PATCH"),
            ]
            .map(|number| number.parse().unwrap_or_default()),
        )
    }

    /// The oldest build that can use the schema of this one: that which calls no function that is
    /// not there any more, and reads no column that is not there any more.
    pub(super) const OLDEST: Self = Self([0, 1, 0]);
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut numbers = text.split('.').map(str::parse::<u32>);
        let mut next = || numbers.next().and_then(Result::ok);
        match [next(), next(), next()] {
            [Some(major), Some(minor), Some(patch)] => Ok(Self([major, minor, patch])),
            _ => Err(Error::Corrupt(format!(
                "{text:?} in tasker.schema_version is no version"
            ))),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_number_by_number() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("0.10.0") > version("0.9.12"));
        assert_eq!(version("1.2.3").to_string(), "1.2.3");
        for bad in ["", "1", "1.2", "1.2.x"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn this_build_can_use_its_own_schema() {
        assert!(Version::OLDEST <= Version::of_this_build());
    }
}
