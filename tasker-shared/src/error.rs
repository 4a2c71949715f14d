//! What can go wrong between the engine and its database.

pub mod advice;
mod suggestion;

use std::time::Duration;

/// SQLSTATE of a refusal because the input is wrong.
const INVALID_INPUT: &str = "TK400";
/// SQLSTATE of a refusal because the named thing does not exist.
const NOT_FOUND: &str = "TK404";
/// SQLSTATE of a refusal because the present state forbids it.
const CONFLICT: &str = "TK409";
/// SQLSTATE of a statement that did not get a lock in time.
const LOCKED: &str = "55P03";

/// How the text of an error begins that a server gave which takes no writes.
const READ_ONLY: &str = "the server is read-only";

/// An error of a call to the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine understood the request and refuses it; the text is meant for the caller.
    #[error("{0}")]
    Refused(Refusal),
    /// The database did not take or not answer the call; the same call may work later.
    #[error("the database is unavailable: {message}")]
    Unavailable {
        /// What failed, free of credentials.
        message: String,
    },
    /// The call did not end within its deadline; what it did is unknown.
    #[error("the database call {call} did not end within {deadline:?}")]
    TimedOut {
        /// Name of the call.
        call: &'static str,
        /// The deadline that passed.
        deadline: Duration,
    },
    /// Another transaction holds what the call needs; the same call may work later.
    #[error("another transaction is in the way: {message}")]
    Locked {
        /// What the database says.
        message: String,
    },
    /// The database refused a statement for a reason of its own: a bug or a damaged schema.
    #[error("{}", advice::of_database(.0))]
    Database(#[source] sqlx::Error),
    /// A row holds what no writer of ours writes.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// What is to be deleted could not be archived before.
    #[error("the archive cannot be written: {0}")]
    Archive(#[from] crate::history::ArchiveError),
    /// The schema is missing or not the one this program was built for.
    #[error("{0}")]
    Schema(String),
}

/// A refusal by the engine, in words for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct Refusal {
    /// Which sort of refusal it is.
    pub kind: RefusalKind,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

/// The sorts of refusals, which callers answer differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The input is wrong.
    InvalidInput,
    /// The named thing does not exist.
    NotFound,
    /// The present state forbids it.
    Conflict,
}

impl Error {
    /// Whether the same call may succeed later without any change by the caller.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::TimedOut { .. } | Self::Locked { .. }
        )
    }

    /// Whether the database says that the data of the call cannot be stored: data exceptions,
    /// constraints, and limits of the program (SQLSTATE classes 22, 23 and 54). All else may pass.
    pub fn is_about_data(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.as_database_error().is_some_and(|error| {
            let code = error.code().unwrap_or_default();
            matches!(code.get(..2), Some("22" | "23" | "54"))
        })
    }

    /// Whether the session that gave the error is as good as before. The errors that a call has to
    /// expect are about what was asked; after any other, the session itself may be at fault.
    pub(crate) fn spares_session(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Locked { .. }) || self.is_about_data()
    }

    /// Whether the server takes no writes.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Unavailable { message } if message.starts_with(READ_ONLY))
    }

    /// The server takes no writes.
    pub(crate) fn read_only(place: &str) -> Self {
        Self::Unavailable {
            message: format!(
                "{READ_ONLY} ({place}){}the address has to lead to the primary, not to a standby; where \
                 it does, `show default_transaction_read_only` tells whether it was made \
                 read-only. Processes go on when it takes writes",
                advice::HINT
            ),
        }
    }

    /// The refusal, where the error is one.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                let kind = match code.as_ref() {
                    INVALID_INPUT => RefusalKind::InvalidInput,
                    NOT_FOUND => RefusalKind::NotFound,
                    CONFLICT => RefusalKind::Conflict,
                    LOCKED => {
                        return Self::Locked {
                            message: database.message().to_owned(),
                        };
                    }
                    code if is_outage(code) => {
                        return Self::Unavailable {
                            message: advice::of_server(database.as_ref()),
                        };
                    }
                    "3F000" | "42P01" | "42883" => {
                        return Self::Schema(format!(
                            "the database lacks what this program needs: {}; run `tasker migrate`",
                            database.message()
                        ));
                    }
                    _ => return Self::Database(error),
                };
                let hint = database
                    .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                    .and_then(|it| suggestion::hint(it.message(), it.detail(), it.hint()));
                Self::Refused(Refusal {
                    kind,
                    message: database.message().to_owned(),
                    hint,
                })
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => Self::Unavailable {
                message: error.to_string(),
            },
            _ => Self::Database(error),
        }
    }
}

/// Whether a SQLSTATE says that the server, or this session, cannot serve for the moment: connection
/// exceptions, credentials, lack of resources, operator intervention, a session that is read-only or
/// in a failed transaction, a disk that fails, and rollbacks that a repeated call survives.
fn is_outage(code: &str) -> bool {
    matches!(
        code.get(..2),
        Some("08" | "25" | "28" | "40" | "53" | "57" | "58")
    )
}
