//! Versions of PostgreSQL.

use std::fmt;

/// The oldest major version Tasker supports.
pub(crate) const OLDEST_MAJOR: u32 = 14;

/// The version that `postgres --version` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// 15 of 15.20.
    pub major: u32,
    /// The number as printed, such as `15.20` or `19beta1`.
    pub full: String,
}

impl Version {
    /// Reads `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let full = text
            .split_once("(PostgreSQL) ")?
            .1
            .split_whitespace()
            .next()?;
        let digits = full
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(full.len());
        Some(Self {
            major: full[..digits].parse().ok()?,
            full: full.to_owned(),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_packages_print_them() {
        for (text, major, full) in [
            (
                "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n",
                15,
                "15.20",
            ),
            ("postgres (PostgreSQL) 18.4\n", 18, "18.4"),
            ("postgres (PostgreSQL) 19beta1\n", 19, "19beta1"),
            ("postgres (PostgreSQL) 9.6.24\n", 9, "9.6.24"),
        ] {
            assert_eq!(
                Version::parse(text),
                Some(Version {
                    major,
                    full: full.into()
                }),
                "{text}"
            );
        }
        assert_eq!(Version::parse("bash: no such file"), None);
    }
}
