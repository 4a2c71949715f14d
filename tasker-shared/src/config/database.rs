//! How processes reach PostgreSQL.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::check::{self, Millis, checked, expect};

/// How processes reach PostgreSQL, which holds all state.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Where the database is; may hold a user and a password.
    #[serde(deserialize_with = "postgres_url")]
    pub url: DatabaseUrl,
    /// Another address for LISTEN, past a pooler; empty: the same.
    #[serde(deserialize_with = "postgres_url_or_nothing")]
    pub listen_url: DatabaseUrl,
    /// What stands between `url` and PostgreSQL.
    pub pooler: Pooler,
    /// How the names of notification channels begin.
    #[serde(deserialize_with = "channel_prefix")]
    pub channel_prefix: String,
    /// Whether queues are unlogged and refilled after a crash.
    pub unlogged_queues: bool,
    /// Most connections in the pool of a process.
    #[serde(deserialize_with = "check::within::<_, _, 1, 10_000>")]
    pub max_connections: u32,
    /// Longest wait for a connection of the pool.
    #[serde(rename = "acquire_timeout_ms", with = "Millis::<1, 3_600_000>")]
    pub acquire_timeout: Duration,
    /// PostgreSQL cancels statements that take longer.
    #[serde(rename = "statement_timeout_ms", with = "Millis::<1, 86_400_000>")]
    pub statement_timeout: Duration,
    /// Longest database call seen from the process.
    #[serde(rename = "call_timeout_ms", with = "Millis::<1, 86_400_000>")]
    pub call_timeout: Duration,
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

fn postgres_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DatabaseUrl, D::Error> {
    checked(deserializer, is_postgres_url)
}

fn postgres_url_or_nothing<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<DatabaseUrl, D::Error> {
    checked(deserializer, |url: &DatabaseUrl| {
        if url.as_str().is_empty() {
            return Ok(());
        }
        is_postgres_url(url)
    })
}

fn is_postgres_url(url: &DatabaseUrl) -> Result<(), String> {
    let is_one = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.as_str().starts_with(scheme));
    expect(
        is_one,
        "is not a database address: expected postgres://user@host:port/database",
    )
}

fn channel_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    checked(deserializer, |prefix: &String| {
        expect(
            (1..=20).contains(&prefix.len()) && prefix.chars().all(fits),
            "expected 1 to 20 lower-case letters, digits or underscores",
        )
    })
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
