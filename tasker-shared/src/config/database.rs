//! How processes reach PostgreSQL.

use std::{fmt, time::Duration};

use garde::Validate;
use serde::{Deserialize, Serialize, Serializer};

/// How processes reach PostgreSQL, which holds all state.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Where the database is; may hold a user and a password.
    #[garde(custom(is_postgres_url))]
    pub url: DatabaseUrl,
    /// Another address for LISTEN, past a pooler; empty: the same.
    #[garde(custom(is_empty_or_postgres_url))]
    pub listen_url: DatabaseUrl,
    /// What stands between `url` and PostgreSQL.
    #[garde(skip)]
    pub pooler: Pooler,
    /// How the names of notification channels begin.
    #[garde(custom(is_channel_prefix))]
    pub channel_prefix: String,
    /// Whether queues are unlogged and refilled after a crash.
    #[garde(skip)]
    pub unlogged_queues: bool,
    /// Most connections in the pool of a process.
    #[garde(range(min = 1, max = 10_000))]
    pub max_connections: u32,
    /// Longest wait for a connection of the pool.
    #[garde(range(min = 1, max = 3_600_000))]
    pub acquire_timeout_ms: u64,
    /// PostgreSQL cancels statements that take longer.
    #[garde(range(min = 1, max = 86_400_000))]
    pub statement_timeout_ms: u64,
    /// Longest database call seen from the process.
    #[garde(range(min = 1, max = 86_400_000))]
    pub call_timeout_ms: u64,
}

impl DatabaseConfig {
    /// The address for LISTEN.
    pub fn listen_url(&self) -> &DatabaseUrl {
        if self.listen_url.as_str().is_empty() {
            &self.url
        } else {
            &self.listen_url
        }
    }

    /// Longest wait for a connection of the pool.
    pub fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }

    /// PostgreSQL cancels statements that take longer.
    pub fn statement_timeout(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_ms)
    }

    /// Longest database call seen from the process.
    pub fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}

/// What stands between a process and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooler {
    /// Nothing, or a pooler that gives each client a session of its own.
    None,
    /// A pooler that gives a client a session for one transaction.
    Transaction,
}

/// A database address. It prints, and is written, with its password masked; `as_str` gives the whole.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The address to connect to, with the password.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address to print, with the password replaced.
    pub fn masked(&self) -> String {
        mask_password(&self.0)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.masked())
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

/// Replaces what may be a password in `url`: from the colon after the user to the last `@`, and
/// parameters that name one. A password with unescaped separators is covered whole.
fn mask_password(url: &str) -> String {
    const MASK: &str = "****";
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(start);
    let mut masked = scheme.to_owned();
    let address = match rest.rfind('@') {
        Some(at) => {
            let (credentials, address) = rest.split_at(at);
            match credentials.split_once(':') {
                Some((user, _)) => masked.extend([user, ":", MASK]),
                None => masked += credentials,
            }
            address
        }
        None => rest,
    };
    let Some((place, parameters)) = address.split_once('?') else {
        return masked + address;
    };
    masked.extend([place, "?"]);
    let parameters = parameters
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("password") => {
                format!("{name}={MASK}")
            }
            _ => parameter.to_owned(),
        });
    masked + &parameters.collect::<Vec<_>>().join("&")
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "garde passes the context by reference"
)]
fn is_postgres_url(url: &DatabaseUrl, (): &()) -> garde::Result {
    let url = url.as_str();
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(());
    }
    Err(garde::Error::new(
        "is not a database address: expected postgres://user@host:port/database",
    ))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "garde passes the context by reference"
)]
fn is_empty_or_postgres_url(url: &DatabaseUrl, context: &()) -> garde::Result {
    if url.as_str().is_empty() {
        Ok(())
    } else {
        is_postgres_url(url, context)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "garde passes the context by reference"
)]
fn is_channel_prefix(prefix: &str, (): &()) -> garde::Result {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !prefix.is_empty() && prefix.len() <= 20 && prefix.chars().all(fits) {
        return Ok(());
    }
    Err(garde::Error::new(
        "expected 1 to 20 lower-case letters, digits or underscores",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        for (url, masked) in [
            (
                "postgres://app:s3cret@db:5432/tasker",
                "postgres://app:****@db:5432/tasker",
            ),
            (
                "postgres://app:s3/c?r@t@db/tasker",
                "postgres://app:****@db/tasker",
            ),
            (
                "postgres://app@db/tasker?password=s3cret&a=b",
                "postgres://app@db/tasker?password=****&a=b",
            ),
            (
                "postgres://db/tasker?sslpassword=s3cret",
                "postgres://db/tasker?sslpassword=****",
            ),
            ("app:s3cret@db", "app:****@db"),
        ] {
            assert_eq!(DatabaseUrl::from(url).masked(), masked);
            assert_eq!(
                format!("{:?}", DatabaseUrl::from(url)),
                format!("{masked:?}")
            );
        }
    }

    #[test]
    fn an_address_without_a_password_is_printed_as_it_is() {
        for url in [
            "postgres://localhost/tasker",
            "postgres:///tasker?host=/var/run/postgresql",
            "",
        ] {
            assert_eq!(DatabaseUrl::from(url).masked(), url);
        }
    }

    #[test]
    fn listening_uses_the_main_address_unless_another_is_given() {
        let mut config = DatabaseConfig {
            url: "postgres://pooler/tasker".into(),
            ..DatabaseConfig::default()
        };
        assert_eq!(config.listen_url().as_str(), "postgres://pooler/tasker");
        config.listen_url = "postgres://direct/tasker".into();
        assert_eq!(config.listen_url().as_str(), "postgres://direct/tasker");
    }
}
